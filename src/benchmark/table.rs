//! Results for people.

use super::exchange::UNTIMED;
use super::sums::{NO_KERNEL, NOT_LOWERED};
use crate::report::Report;
use crate::report::schema::{Layer, Model};
use crate::report::table::table;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Kinds of layers that are listed.
const LISTED: usize = 20;
/// Characters of a name.
const NAME: usize = 34;

/// Layers of a kind: those whose names differ in numbers only.
struct Kind<'a> {
    name: String,
    op: &'a str,
    count: u64,
    time_us: f64,
    flops: u64,
    bytes: u64,
    peak: f64,
    dram: f64,
    bound: &'static str,
    provenance: &'static str,
}

/// `name` with `*` for every number.
fn kind_of(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c.is_ascii_digit() {
            true if out.ends_with('*') => {}
            true => out.push('*'),
            false => out.push(c),
        }
    }
    out
}

fn kinds(layers: &[Layer]) -> Vec<Kind<'_>> {
    let mut places: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    for layer in layers {
        let name = kind_of(&layer.name);
        let next = kinds.len();
        let at = *places.entry((name.clone(), &layer.op)).or_insert(next);
        if at == next {
            kinds.push(Kind {
                name,
                op: &layer.op,
                count: 0,
                time_us: 0.0,
                flops: 0,
                bytes: 0,
                peak: 0.0,
                dram: 0.0,
                bound: layer.bound,
                provenance: layer.provenance.kind,
            });
        }
        let kind = &mut kinds[at];
        if at == next {
            kind.name.clone_from(&layer.name);
        } else {
            kind.name = kind_of(&layer.name);
        }
        kind.count += layer.times;
        kind.time_us += layer.time_us;
        kind.flops += layer.flops;
        kind.bytes += layer.bytes;
        kind.peak += layer.peak_fraction * layer.time_us;
        kind.dram += layer.dram_fraction * layer.time_us;
    }
    kinds.sort_by(|a, b| b.time_us.total_cmp(&a.time_us));
    kinds
}

/// The layers of one run, and what the whole takes.
pub fn layers(report: &Report) -> String {
    let Some(model) = &report.model else {
        return String::new();
    };
    let mut out = heading(model);
    if !model.fits {
        out.push_str(&missing(model));
        out.push_str(&untimed(report));
        return out;
    }
    let header = [
        "layer", "operator", "count", "time us", "%", "GFLOP", "MB", "bound", "peak %", "DRAM %",
        "by",
    ];
    let mut table = table(&header, 2);
    let kinds = kinds(&report.layers);
    let total: f64 = kinds.iter().map(|kind| kind.time_us).sum();
    let over = |value: f64, whole: f64| if whole > 0.0 { value / whole } else { 0.0 };
    for kind in kinds.iter().take(LISTED) {
        table.add_row([
            short(&kind.name, NAME),
            short(kind.op, 24),
            format!("x{}", kind.count),
            format!("{:.1}", kind.time_us),
            format!("{:.1}", 100.0 * over(kind.time_us, total)),
            format!("{:.2}", kind.flops as f64 / 1e9),
            format!("{:.1}", kind.bytes as f64 / 1e6),
            kind.bound.to_owned(),
            format!("{:.0}", 100.0 * over(kind.peak, kind.time_us)),
            format!("{:.0}", 100.0 * over(kind.dram, kind.time_us)),
            kind.provenance.to_owned(),
        ]);
    }
    let _ = writeln!(out, "{table}");
    if kinds.len() > LISTED {
        let rest: f64 = kinds[LISTED..].iter().map(|kind| kind.time_us).sum();
        let _ = writeln!(
            out,
            "and {} kinds of layers more, {:.1} %",
            kinds.len() - LISTED,
            100.0 * over(rest, total)
        );
    }
    out.push_str(&sums(model));
    out.push_str(&passes(report));
    out.push_str(&untimed(report));
    out
}

/// What each pass of a step of training takes.
fn passes(report: &Report) -> String {
    let of = |pass: &str| -> f64 {
        let own = report.layers.iter().filter(|layer| layer.pass == pass);
        own.map(|layer| layer.time_us).sum::<f64>() / 1e3
    };
    match report.model.as_ref().and_then(|model| model.optimizer) {
        None => String::new(),
        Some(_) => format!(
            "kernels of the forward pass {:.3} ms, backward {:.3} ms, optimizer {:.3} ms\n",
            of("forward"),
            of("backward"),
            of("optimizer")
        ),
    }
}

/// What no number here includes.
fn untimed(report: &Report) -> String {
    let all = report.validity.unmodelled.iter();
    let own = all.filter(|line| {
        let begins = [UNTIMED, NO_KERNEL];
        begins.iter().any(|begin| line.starts_with(begin)) || line.contains(NOT_LOWERED)
    });
    let own: Vec<&String> = own.collect();
    let shown = own.iter().take(LISTED).map(|line| format!("{line}\n"));
    let mut out: String = shown.collect();
    if own.len() > LISTED {
        let more = own.len() - LISTED;
        let _ = writeln!(out, "and {more} more, see validity.unmodelled of --json");
    }
    out
}

/// `name`, its begin left out where it is too long: names end with what tells them apart.
fn short(name: &str, width: usize) -> String {
    let count = name.chars().count();
    match count <= width {
        true => name.to_owned(),
        false => {
            let end: String = name.chars().skip(count - width + 2).collect();
            format!("..{end}")
        }
    }
}

fn heading(model: &Model) -> String {
    let tokens = match (model.seq_len, model.phase) {
        (None, _) => String::new(),
        (Some(n), "decode") => format!(", one token behind {n}"),
        (Some(n), _) => format!(", {n} tokens"),
    };
    let optimizer = match model.optimizer {
        Some(name) => format!(" (optimizer {name})"),
        None => String::new(),
    };
    let gpus = match model.tensor_parallel {
        1 => String::new(),
        n => format!(", one of {n} GPUs that share every layer"),
    };
    let tokens = match model.steps {
        None => tokens,
        Some(n) => format!("{tokens}, {n} steps"),
    };
    format!(
        "{} on {}: batch of {}{tokens}, {}, {}, {}{optimizer}{gpus}\n",
        model.name, model.gpu, model.batch_size, model.precision, model.runtime, model.phase
    )
}

/// A size for people.
fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

/// What takes how much memory.
fn parts(model: &Model) -> String {
    let memory = &model.memory;
    let (weights, activations) = (gib(memory.weights_bytes), gib(memory.activations_bytes));
    let rest = match model.optimizer {
        None => format!("keys and values {}", gib(memory.kv_cache_bytes)),
        Some(_) => format!(
            "gradients {}, optimizer {}",
            gib(memory.gradients_bytes),
            gib(memory.optimizer_bytes)
        ),
    };
    format!("weights {weights}, activations {activations}, {rest}")
}

/// What does not fit, and what would.
fn missing(model: &Model) -> String {
    let memory = &model.memory;
    let batch = match memory.largest_batch {
        Some(0) | None => "no batch would fit".to_owned(),
        Some(n) => format!("the largest batch that fits is {n}"),
    };
    format!(
        "OUT OF MEMORY: {} are needed and there are {}: {} too much, most of it for {} ({}); {batch}\n",
        gib(memory.total_bytes),
        gib(memory.capacity_bytes),
        gib(memory.missing_bytes),
        memory.largest,
        parts(model),
    )
}

fn sums(model: &Model) -> String {
    let memory = &model.memory;
    let mut out = format!(
        "latency {} ms (+- {:.1} %), {} {}; kernels {:.3} ms in {} launches, gaps {:.3} ms\n",
        number(model.latency_ms),
        100.0 * model.ci_rel,
        number(model.throughput),
        model.unit,
        model.device_ms,
        model.launches,
        model.launch_gap_ms,
    );
    let _ = writeln!(
        out,
        "memory {} of {}: {}",
        gib(memory.total_bytes),
        gib(memory.capacity_bytes),
        parts(model)
    );
    for (share, what) in [
        (
            model.unsimulated_share,
            "of the time is a bound of peak rates, no kernel was simulated for it",
        ),
        (
            model.refused_share,
            "of the operations were not lowered and are in no number here",
        ),
    ] {
        if share > 0.0 {
            let _ = writeln!(out, "{:.1} % {what}", 100.0 * share);
        }
    }
    out
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| match value {
        v if v >= 100.0 => format!("{v:.1}"),
        v => format!("{v:.3}"),
    })
}

/// A line for each run.
pub fn overview(reports: &[Report]) -> String {
    let header = [
        "model",
        "GPU",
        "phase",
        "type",
        "batch",
        "tokens",
        "ms",
        "throughput",
        "unit",
        "memory",
        "of",
    ];
    let mut table = table(&header, 4);
    for model in reports.iter().filter_map(|report| report.model.as_ref()) {
        table.add_row([
            short(&model.name, NAME),
            model.gpu.clone(),
            model.phase.to_owned(),
            model.precision.to_owned(),
            model.batch_size.to_string(),
            model.seq_len.map_or("-".into(), |n| n.to_string()),
            if model.fits {
                number(model.latency_ms)
            } else {
                "OOM".into()
            },
            number(model.throughput),
            model.unit.to_owned(),
            gib(model.memory.total_bytes),
            gib(model.memory.capacity_bytes),
        ]);
    }
    format!("{table}\n")
}
