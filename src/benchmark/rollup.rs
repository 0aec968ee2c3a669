//! Times of layers and of the whole model.

use super::clock::{Clocks, Host};
use super::fit::Fit;
use super::schedule::{Simulated, by_layer, order};
use super::{Case, Runner, bound_of, exchange, sums};
use crate::config::GpuSpec;
use crate::mem::SECTOR_BYTES;
use crate::model::graph::Graph;
use crate::model::lower::{Layer as Lowering, Lowered, Plan};
use crate::probe::NoProbe;
use crate::report::bound::{Bound, bound};
use crate::report::schema::{Layer, Provenance, Status, Totals};
use crate::report::{Report, microseconds};
use crate::session::Session;
use crate::simulation::{KernelRun, ProvenanceKind, RunResult, Timeline};
use crate::stats::{ChipCounters, UnitCounters};
use crate::trace::{Command, Workload};

/// All layers, and sums.
pub struct Rolled {
    layers: Vec<Layer>,
    /// Begin of the first launch of each run, in core cycles.
    starts: Vec<u64>,
    pub latency_s: f64,
    pub device_s: f64,
    pub unsimulated_s: f64,
    pub ci_rel: f64,
    /// Warp and thread instructions of all launches.
    instructions: (u64, u64),
    pub host: Host,
}

/// The kernels of a layer, and the calls that have none, of its first run; what it waited for in all its runs.
#[derive(Default)]
struct Part<'a> {
    runs: Vec<(usize, &'a KernelRun)>,
    /// Seconds, and seconds of the side that bounds it, of calls without kernels.
    bounds: Vec<(f64, Bound)>,
    /// Whether one of its runs is in no layer before it.
    new: bool,
    waited_s: f64,
}

/// Adds up.
pub fn roll(
    lowered: &Lowered,
    plan: &Plan,
    simulated: &Simulated,
    spec: &GpuSpec,
    host: Host,
) -> Rolled {
    let clock_hz = f64::from(spec.core_clock_khz) * 1e3;
    let gap_s = f64::from(spec.launch.stream_gap) / clock_hz;
    let seconds = |cycles: u64| cycles as f64 / clock_hz;
    let mut clocks = Clocks::default();
    let mut parts: Vec<Part<'_>> = lowered.layers.iter().map(|_| Part::default()).collect();
    let by_layer = by_layer(&simulated.launches, lowered.layers.len());
    let mut starts = vec![None; simulated.runs.len()];
    let mut counts = vec![0u64; simulated.runs.len()];
    let mut rolled = Rolled {
        layers: Vec::new(),
        starts: Vec::new(),
        latency_s: 0.0,
        device_s: 0.0,
        unsimulated_s: 0.0,
        ci_rel: 0.0,
        instructions: (0, 0),
        host,
    };
    for (index, round) in order(&lowered.layers) {
        let (part, first) = (&mut parts[index], round == 0);
        let mut launches = by_layer[index].iter().peekable();
        for (number, call) in lowered.layers[index].calls.iter().enumerate() {
            let mut times = Vec::new();
            while let Some(launch) = launches.next_if(|launch| launch.call == number) {
                let run = &simulated.runs[launch.run];
                times.push(seconds(run.end - run.start));
                if first {
                    part.runs.push((launch.run, run));
                    part.new |= counts[launch.run] == 0;
                }
                counts[launch.run] += 1;
                rolled.instructions.0 += run.warp_instructions;
                rolled.instructions.1 += run.thread_instructions;
                starts[launch.run].get_or_insert((clocks.end() * clock_hz) as u64);
            }
            if times.is_empty() {
                let limit = bound_of(call, plan, spec);
                let side = if limit.compute_s >= limit.memory_s {
                    Bound::Compute
                } else {
                    Bound::Memory
                };
                times.push(limit.seconds());
                if first {
                    part.bounds.push((limit.seconds(), side));
                }
                rolled.unsimulated_s += limit.seconds();
            }
            rolled.device_s += times.iter().sum::<f64>();
            part.waited_s += clocks.call(host.call_us * 1e-6, times, gap_s);
            clocks.after(call.waits);
        }
    }
    let layers = lowered.layers.iter().zip(&parts);
    rolled.layers = layers
        .map(|(of, part)| layer(of, part, plan, spec))
        .collect();
    rolled.latency_s = clocks.end();
    rolled.starts = starts.into_iter().map(Option::unwrap_or_default).collect();
    rolled.ci_rel = interval(simulated, &counts, seconds, rolled.latency_s);
    rolled
}

/// The relative half width of the interval of the whole: launches of one run err together, others by themselves.
fn interval(
    simulated: &Simulated,
    counts: &[u64],
    seconds: impl Fn(u64) -> f64,
    latency_s: f64,
) -> f64 {
    let spread = simulated.runs.iter().zip(counts).map(|(run, &count)| {
        (run.provenance.ci_rel * seconds(run.end - run.start) * count as f64).powi(2)
    });
    let spread = spread.fold(0.0, |sum: f64, part| sum + part).sqrt();
    if latency_s > 0.0 {
        spread / latency_s
    } else {
        0.0
    }
}

fn layer(of: &Lowering, part: &Part<'_>, plan: &Plan, spec: &GpuSpec) -> Layer {
    let clock_hz = f64::from(spec.core_clock_khz) * 1e3;
    let simulated: u64 = part.runs.iter().map(|(_, run)| run.end - run.start).sum();
    let bounds: f64 = part.bounds.iter().map(|(seconds, _)| seconds).sum();
    let cycles = simulated + (bounds * clock_hz).ceil() as u64;
    let time_s = simulated as f64 / clock_hz + bounds;
    let peak: f64 = of
        .calls
        .iter()
        .map(|call| bound_of(call, plan, spec).seconds())
        .sum();
    let sectors: u64 = part
        .runs
        .iter()
        .map(|(_, run)| run.counters.dram.reads + run.counters.dram.writes)
        .sum();
    let simulated_s = simulated as f64 / clock_hz;
    let over = |value: f64, whole: f64| if whole > 0.0 { value / whole } else { 0.0 };
    let times = of.times as f64;
    let dram = (sectors * SECTOR_BYTES) as f64 / spec.dram.peak_bytes_per_s() as f64;
    Layer {
        name: of.name.clone(),
        op: of.op.clone(),
        pass: of.pass.name(),
        kernels: part.runs.iter().map(|(index, _)| *index).collect(),
        times: of.times,
        cycles: cycles.saturating_mul(of.times),
        time_us: times * time_s * 1e6,
        wait_us: part.waited_s * 1e6,
        flops: of.flops.saturating_mul(of.times),
        bytes: of.bytes.saturating_mul(of.times),
        bound: limit(part, time_s, times, spec).name(),
        peak_fraction: over(peak, time_s),
        dram_fraction: over(dram, simulated_s),
        provenance: provenance(part, cycles),
    }
}

/// What bounds a layer: the host if the device waits for it longer than it computes, else what bounds most of the time.
fn limit(part: &Part<'_>, time_s: f64, times: f64, spec: &GpuSpec) -> Bound {
    if part.waited_s > times * time_s {
        return Bound::Launch;
    }
    let clock_hz = f64::from(spec.core_clock_khz) * 1e3;
    let runs = part
        .runs
        .iter()
        .map(|(_, run)| ((run.end - run.start) as f64 / clock_hz, bound(run, spec)));
    let all: Vec<(f64, Bound)> = runs.chain(part.bounds.iter().copied()).collect();
    let share = |wanted: Bound| {
        all.iter()
            .filter(|(_, bound)| *bound == wanted)
            .map(|(time, _)| time)
            .sum::<f64>()
    };
    let kinds = [Bound::Compute, Bound::Memory, Bound::Latency, Bound::Launch];
    let most = kinds
        .into_iter()
        .max_by(|a, b| share(*a).total_cmp(&share(*b)));
    most.unwrap_or(Bound::Launch)
}

/// Of several kernels the least exact one's.
fn provenance(part: &Part<'_>, cycles: u64) -> Provenance {
    let runs = || part.runs.iter().map(|(_, run)| *run);
    let is = |kind: ProvenanceKind| runs().any(|run| run.provenance.kind == kind);
    let kind = if !part.bounds.is_empty() {
        ProvenanceKind::Roofline
    } else if !part.new {
        ProvenanceKind::Memo
    } else if is(ProvenanceKind::Sampled) {
        ProvenanceKind::Sampled
    } else {
        ProvenanceKind::Full
    };
    let weights: f64 = runs().map(|run| run.warp_instructions as f64).sum();
    let simulated: f64 = runs()
        .map(|run| run.warp_instructions as f64 * run.provenance.simulated_fraction)
        .sum();
    let spread: f64 = runs()
        .map(|run| (run.provenance.ci_rel * (run.end - run.start) as f64).powi(2))
        .sum();
    Provenance {
        kind: kind.name(),
        simulated_fraction: if weights > 0.0 {
            simulated / weights
        } else {
            0.0
        },
        ci_rel: spread.sqrt() / cycles.max(1) as f64,
        partial: false,
        note: runs().find_map(|run| run.provenance.note.clone()),
    }
}

/// The report: distinct kernels, layers, the model.
pub fn report(
    case: &Case,
    graph: &Graph,
    lowered: &Lowered,
    simulated: Simulated,
    rolled: Rolled,
    fit: Fit,
    (session, runner): (&Session, &Runner<'_>),
) -> Report {
    let spec = session.spec();
    let launches = simulated.launches.iter();
    let launches = launches
        .map(|launch| lowered.layers[launch.layer].times)
        .sum::<u64>() as usize;
    let result = result(&simulated.runs, &rolled, spec);
    let mut workload = Workload {
        source: case.model.clone(),
        hash: hash(case, lowered),
        layers: lowered
            .layers
            .iter()
            .map(|layer| layer.name.clone())
            .collect(),
        notes: exchange::untimed(graph, case)
            .into_iter()
            .chain(sums::unmodelled(lowered, &simulated))
            .collect(),
        ..Workload::default()
    };
    workload.commands = simulated
        .kernels
        .into_iter()
        .map(|kernel| Command::Launch(Box::new(kernel)))
        .collect();
    let mut report = Report::new(session.config(), &workload, &result, runner.jobs);
    let cycles = (rolled.latency_s * f64::from(spec.core_clock_khz) * 1e3).round() as u64;
    report.set_totals(match fit.fits {
        true => Totals {
            cycles,
            time_us: microseconds(cycles, spec),
            warp_instructions: rolled.instructions.0,
            thread_instructions: rolled.instructions.1,
            kernels: launches,
        },
        false => Totals {
            cycles: 0,
            time_us: 0.0,
            warp_instructions: 0,
            thread_instructions: 0,
            kernels: launches,
        },
    });
    let model = sums::model(case, graph, lowered, &rolled, fit, launches);
    if model.refused_share > 0.01 || !lowered.refused.is_empty() {
        report.status = Status::UnmodelledWork;
    }
    let assumptions = &mut report.validity.assumptions;
    assumptions.extend(lowered.assumptions.iter().cloned());
    assumptions.extend(graph.notes.iter().cloned());
    assumptions.push(format!("host: {}", rolled.host.source));
    assumptions.push(
        "the run is one of many: L2 begins with what the end of the run before has left".into(),
    );
    if fit.fits {
        report.layers = rolled.layers;
    }
    report.model = Some(model);
    report
}

/// Hash of what is run.
fn hash(case: &Case, lowered: &Lowered) -> String {
    let calls = lowered.layers.iter().map(|layer| match layer.times {
        1 => format!("{:?}", layer.calls),
        times => format!("{times} x {:?}", layer.calls),
    });
    let text = format!(
        "{:?} {:?} {}",
        case.phase,
        case.runtime,
        calls.collect::<String>()
    );
    crate::hash::ContentHash::of(text.as_bytes()).hex()
}

/// The runs as those of one stream, each where it is first launched.
fn result(runs: &[KernelRun], rolled: &Rolled, spec: &GpuSpec) -> RunResult<NoProbe> {
    let mut counters = ChipCounters::default();
    let placed = runs.iter().zip(&rolled.starts).map(|(run, &start)| {
        counters += &run.counters;
        KernelRun {
            start,
            end: start + (run.end - run.start),
            ..run.clone()
        }
    });
    let kernels = placed.collect();
    RunResult {
        cycles: (rolled.latency_s * f64::from(spec.core_clock_khz) * 1e3) as u64,
        stopped: None,
        kernels,
        wall_s: 0.0,
        quanta: 0,
        timeline: Timeline::default(),
        memcpys: 0,
        counters,
        units: UnitCounters::default(),
        translation: None,
        probe: NoProbe::default(),
    }
}
