//! The DRAM channel against two published DRAM simulators (`dram_anchors.csv`).
//!
//! The request traces are not part of this repository. With `PHANTOM_DRAM_TRACES=DIR` every trace × standard is
//! run, the error table is printed (`--nocapture`) and the targets are asserted; without it only the traces
//! that a few lines can generate are compared. `scripts/dram_anchors.sh DIR` does the former.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use phantom_gpu::internals::mem::dram::replay::{self, Pattern, Record, Replay, Report};
use phantom_gpu::internals::mem::dram::{
    ChannelSpec, Kind, Map, NoDramProbe, PagePolicy, Policy, RefreshMode, standard,
};

/// One line of `dram_anchors.csv`.
#[derive(Clone, Debug)]
struct Anchor {
    standard: String,
    config: String,
    trace: String,
    class: String,
    mlp: u32,
    bandwidth: f64,
    latency: Option<f64>,
    hit_rate: f64,
}

fn anchors() -> Vec<Anchor> {
    let text = include_str!("dram_anchors.csv");
    let rows = text.lines().filter(|l| !l.starts_with('#')).skip(1);
    rows.map(|line| {
        let f: Vec<&str> = line.split(',').collect();
        Anchor {
            standard: f[0].to_owned(),
            config: f[1].to_owned(),
            trace: f[2].to_owned(),
            class: f[3].to_owned(),
            mlp: f[4].parse().unwrap(),
            bandwidth: f[5].parse().unwrap(),
            latency: f[6].parse().ok(),
            hit_rate: f[7].parse().unwrap(),
        }
    })
    .collect()
}

/// Our configuration for an anchor's.
fn spec_for(a: &Anchor) -> ChannelSpec {
    let mut spec = ChannelSpec::new(standard(&a.standard).unwrap());
    match a.config.as_str() {
        c if c.starts_with("r2.frfcfs") => spec.policy = Policy::FrFcfsPlain,
        c if c.starts_with("ds3.fcfs") => spec.policy = Policy::Fcfs,
        c if c.starts_with("ds3.close") => spec.page = PagePolicy::Closed,
        _ => {}
    }
    if a.config.contains(".m1") {
        spec.map = Map::M1;
    }
    if a.config.contains("noref") {
        spec.refresh = RefreshMode::Off;
    }
    if a.config.contains("rowhit64") {
        (spec.read_queue, spec.write_queue) = (64, 64);
    }
    spec
}

/// What came out for one anchor, relative to it.
struct Outcome {
    anchor: Anchor,
    bandwidth: f64,
    peak: f64,
    latency: f64,
    hit_rate: f64,
}

impl Outcome {
    fn bandwidth_error(&self) -> f64 {
        self.bandwidth / self.anchor.bandwidth - 1.0
    }
    fn latency_error(&self) -> Option<f64> {
        self.anchor.latency.map(|l| self.latency / l - 1.0)
    }
}

fn run(anchor: &Anchor, records: &[Record]) -> Outcome {
    let spec = spec_for(anchor);
    let mlp = (anchor.mlp > 0).then_some(anchor.mlp);
    let run = Replay {
        spec: spec.clone(),
        mlp,
        every_cycle: false,
    }
    .run(records, &mut NoDramProbe);
    assert_eq!(
        run.stats.bus.total(),
        run.stats.cycles,
        "{} {}",
        anchor.standard,
        anchor.trace
    );
    let report = Report::new(&spec, &run, 1.0);
    Outcome {
        anchor: anchor.clone(),
        bandwidth: report.bandwidth_gbps,
        peak: report.peak_gbps,
        latency: report.read_latency_avg_ns * 1e3 / f64::from(spec.standard.tck_ps),
        hit_rate: report.row_hit_rate,
    }
}

fn percentile(values: &[f64], p: f64) -> f64 {
    let mut v: Vec<f64> = values.iter().map(|e| e.abs()).collect();
    v.sort_by(f64::total_cmp);
    if v.is_empty() {
        0.0
    } else {
        v[((v.len() - 1) as f64 * p).ceil() as usize]
    }
}

fn has_writes(records: &[Record]) -> bool {
    let writes = records.iter().filter(|r| r.kind == Kind::Write).count();
    writes != 0 && writes != records.len()
}

/// Errors of one group of traces.
#[derive(Default)]
struct Group {
    bandwidth: Vec<f64>,
    latency: Vec<f64>,
    hit_rate: Vec<f64>,
}

#[test]
fn every_reference_trace_is_within_the_targets() {
    let Ok(folder) = std::env::var("PHANTOM_DRAM_TRACES") else {
        eprintln!("PHANTOM_DRAM_TRACES is not set: reference traces skipped");
        return;
    };
    let mut groups: BTreeMap<(String, &str), Group> = BTreeMap::new();
    let mut traces: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for a in anchors() {
        let records = traces
            .entry(a.trace.clone())
            .or_insert_with(|| load(Path::new(&folder), &a.trace));
        let o = run(&a, records);
        let mixed = has_writes(records) || a.class == "streams";
        let kind = match a.trace.as_str() {
            "pingpong2rows_sat" => "pingpong",
            _ if mixed => "mixed",
            _ => "single",
        };
        let group = groups.entry((a.config.clone(), kind)).or_default();
        group.bandwidth.push(o.bandwidth_error());
        group.hit_rate.push(o.hit_rate - a.hit_rate);
        let unsaturated = a.bandwidth < 0.6 * o.peak && !a.trace.ends_with("_sat");
        let mut note = String::new();
        if let Some(e) = o.latency_error() {
            note = format!(
                "latency {:8.2} vs {:8.2} {:+6.2} %",
                o.latency,
                a.latency.unwrap_or(0.0),
                100.0 * e
            );
            if unsaturated {
                group.latency.push(e);
            }
        }
        println!(
            "{:13} {:24} {:22} bw {:7.3} vs {:7.3} {:+6.2} %  hit {:.3} vs {:.3}  {note}",
            a.standard,
            a.config,
            a.trace,
            o.bandwidth,
            a.bandwidth,
            100.0 * o.bandwidth_error(),
            o.hit_rate,
            a.hit_rate
        );
    }
    print_summary(&groups);
    assert_targets(&groups);
}

/// The targets: bandwidth, latency and hit rate of like with like.
fn assert_targets(groups: &BTreeMap<(String, &str), Group>) {
    let group = |config: &str, kind: &'static str| &groups[&(config.to_owned(), kind)];
    let at_most = |what: &str, got: f64, limit: f64| {
        assert!(got <= limit, "{what}: {got:.4} exceeds {limit}");
    };
    for config in ["r2.rowhit.open.m0", "ds3.open.rank32.m0"] {
        let g = group(config, "single");
        at_most(
            "median bandwidth error, one direction",
            percentile(&g.bandwidth, 0.5),
            0.01,
        );
        at_most(
            "worst bandwidth error, one direction",
            percentile(&g.bandwidth, 1.0),
            0.05,
        );
        at_most(
            "median hit rate difference",
            percentile(&g.hit_rate, 0.5),
            0.03,
        );
    }
    let mixed = group("r2.rowhit.open.m0", "mixed");
    at_most(
        "median bandwidth error, mixed",
        percentile(&mixed.bandwidth, 0.5),
        0.05,
    );
    at_most(
        "p90 bandwidth error, mixed",
        percentile(&mixed.bandwidth, 0.9),
        0.15,
    );
    let single = group("r2.rowhit.open.m0", "single");
    at_most(
        "median latency error",
        percentile(&single.latency, 0.5),
        0.03,
    );
    at_most(
        "worst latency error",
        percentile(&single.latency, 1.0),
        0.08,
    );
    at_most(
        "closed page",
        percentile(&group("ds3.close.bank8.m0", "single").bandwidth, 1.0),
        0.1,
    );
    at_most(
        "closed page, mixed",
        percentile(&group("ds3.close.bank8.m0", "mixed").bandwidth, 0.5),
        0.1,
    );
    for kind in ["single", "mixed"] {
        at_most(
            "FCFS",
            percentile(&group("ds3.fcfs.open.m0", kind).bandwidth, 1.0),
            0.1,
        );
    }
}

fn print_summary(groups: &BTreeMap<(String, &str), Group>) {
    println!(
        "\n{:24} {:9} {:>4}  bandwidth % median/p90/worst   latency % median/worst   hit rate median",
        "config", "traces", "n"
    );
    for ((config, kind), g) in groups {
        let pc = |v: &[f64], p: f64| 100.0 * percentile(v, p);
        println!(
            "{config:24} {kind:9} {:4}  {:6.2} {:6.2} {:6.2}   {:6.2} {:6.2} (n {})   {:.4}",
            g.bandwidth.len(),
            pc(&g.bandwidth, 0.5),
            pc(&g.bandwidth, 0.9),
            pc(&g.bandwidth, 1.0),
            pc(&g.latency, 0.5),
            pc(&g.latency, 1.0),
            g.latency.len(),
            percentile(&g.hit_rate, 0.5)
        );
    }
}

fn load(folder: &Path, trace: &str) -> Vec<Record> {
    let path: PathBuf = folder.join(format!("{trace}.txt.xz"));
    replay::read(&path, replay::Limits::new(1 << 28, "reference")).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn generated_sequential_and_row_conflict_reads_match_the_anchors() {
    for a in anchors() {
        let records = match a.trace.as_str() {
            "seq_rd_sat" => replay::generate(Pattern::Sequential, 32_768, (0, 1), 1 << 28, 0),
            "seq_wr_sat" => replay::generate(Pattern::Sequential, 32_768, (1, 1), 1 << 28, 0),
            _ => continue,
        };
        if a.config != "r2.rowhit.open.m0" {
            continue;
        }
        let o = run(&a, &records);
        assert!(
            o.bandwidth_error().abs() < 0.01,
            "{} {}: {} vs {}",
            a.standard,
            a.trace,
            o.bandwidth,
            a.bandwidth
        );
    }
}

/// A table of simple traffic on every anchored standard: a change of timing shows as a picture in review.
#[test]
fn simple_traffic_takes_the_recorded_cycles() {
    let patterns = [
        ("sequential reads", Pattern::Sequential, (0, 1)),
        ("sequential writes", Pattern::Sequential, (1, 1)),
        ("copy, 128 B each", Pattern::Sequential, (4, 8)),
        ("stride 512 B", Pattern::Stride { bytes: 512 }, (0, 1)),
        (
            "row conflicts",
            Pattern::RowConflict { bytes: 1 << 15 },
            (0, 1),
        ),
        ("random 32 B reads", Pattern::Random { bytes: 32 }, (0, 1)),
        (
            "random 128 B, 1/3 writes",
            Pattern::Random { bytes: 128 },
            (4, 12),
        ),
        (
            "8 streams",
            Pattern::Streams {
                streams: 8,
                chunk: 128,
            },
            (0, 1),
        ),
    ];
    let names = [
        "HBM2_2000",
        "HBM2E_3200",
        "HBM3_6400",
        "GDDR6_14000",
        "GDDR6X_19000",
    ];
    let mut table = format!("{:26}", "cycles of 4096 requests");
    table += &names.map(|n| format!("{n:>14}")).concat();
    for (what, pattern, writes) in patterns {
        table += &format!("\n{what:26}");
        for name in names {
            let records = replay::generate(pattern, 4096, writes, 1 << 28, 11);
            let spec = ChannelSpec::new(standard(name).unwrap());
            let run = Replay {
                spec,
                mlp: None,
                every_cycle: false,
            }
            .run(&records, &mut NoDramProbe);
            table += &format!("{:14}", run.cycles);
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn pointer_chase_takes_precharge_activate_read_and_one_cycle() {
    // Each access waits for the one before and hits another row of the same bank.
    for name in [
        "HBM2_2000",
        "HBM3_6400",
        "GDDR6_14000",
        "GDDR6X_19000",
        "HBM2E_3200",
    ] {
        let mut spec = ChannelSpec::new(standard(name).unwrap());
        spec.refresh = RefreshMode::Off;
        let t = spec.standard.timing;
        let bus = spec.standard.family.bus();
        let records = replay::generate(
            Pattern::RowConflict { bytes: 1 << 15 },
            2000,
            (0, 1),
            1 << 28,
            0,
        );
        let run = Replay {
            spec,
            mlp: Some(1),
            every_cycle: false,
        }
        .run(&records, &mut NoDramProbe);
        let bound = f64::from(t.rc.max(t.rp + t.rcd_rd + t.cl + t.bl + 1));
        let got = run.cycles as f64 / 2000.0;
        assert!(
            (got / bound - 1.0).abs() < 0.03,
            "{name}: {got} CK, bound {bound} ({bus:?})"
        );
    }
}
