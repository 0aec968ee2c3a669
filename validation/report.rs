//! The form of the report: keys, tables, explanations, output files.

use crate::support::run;
use phantom_gpu::config;
use phantom_gpu::internals::gpu::ChipCounters;
use phantom_gpu::internals::occupancy::Occupancy;
use phantom_gpu::internals::probe::NoProbe;
use phantom_gpu::internals::simulation::{KernelRun, Provenance, RunResult, Timeline};
use phantom_gpu::internals::stats::{Label, Pipe, UnitCounters};
use phantom_gpu::report::explain::{catalogue, find};
use phantom_gpu::report::metrics::METRICS;
use phantom_gpu::report::{Report, table};
use phantom_gpu::trace::{KernelHeader, Workload};
use serde_json::Value;
use std::process::{Command, Output};

/// Paths of all leaves with their kinds; `[]` stands for any element of a list.
fn leaves(path: &str, value: &Value, out: &mut Vec<String>) {
    let join = |key: &str| match path {
        "" => key.to_owned(),
        _ => format!("{path}.{key}"),
    };
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                leaves(&join(key), value, out);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            leaves(&format!("{path}[]"), &list[0], out);
        }
        Value::Array(_) => out.push(format!("{path}: list")),
        Value::String(_) => out.push(format!("{path}: text")),
        Value::Bool(_) => out.push(format!("{path}: yes or no")),
        Value::Number(n) if n.is_f64() => out.push(format!("{path}: real")),
        Value::Number(_) => out.push(format!("{path}: integer")),
        Value::Null => out.push(format!("{path}: null")),
    }
}

fn report_leaves() -> Vec<String> {
    let report = run("synth:empty?grid=2", "v100").report;
    let mut out = Vec::new();
    leaves("", &serde_json::to_value(&report).unwrap(), &mut out);
    out.retain(|leaf| !leaf.starts_with("config.") || leaf.starts_with("config.hash"));
    out
}

#[test]
fn the_keys_of_the_report_are_a_contract() {
    insta::assert_snapshot!(report_leaves().join("\n"));
}

/// Numbers that name something.
const NO_UNIT: &[&str] = &["schema_version", "kernels[].index", "kernels[].stream"];

#[test]
fn every_leaf_of_the_report_can_be_explained() {
    let all = catalogue();
    for leaf in report_leaves() {
        let path = leaf.split(": ").next().unwrap();
        if let Some(metric) = path.strip_prefix("kernels[].metrics.") {
            assert!(METRICS.iter().any(|m| m.name == metric), "{metric}");
        } else {
            let entry = all.iter().find(|e| e.path == path);
            let entry = entry.unwrap_or_else(|| panic!("{path} is not explained"));
            let number = leaf.ends_with(": integer") || leaf.ends_with(": real");
            assert!(
                !number || !entry.unit.is_empty() || NO_UNIT.contains(&path),
                "{path} has no unit"
            );
        }
    }
}

#[test]
fn every_resolved_configuration_key_can_be_explained() {
    let all = catalogue();
    let mut out = Vec::new();
    leaves("config", &config::load("v100", &[]).unwrap().echo, &mut out);
    for leaf in out.iter().filter(|l| !l.contains("tensor.latency.")) {
        let path = leaf.split(": ").next().unwrap();
        assert!(!find(&all, path).is_empty(), "{path} is not explained");
    }
}

#[test]
fn formulas_of_metrics_name_numbers_of_the_report() {
    let all = catalogue();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    for metric in METRICS {
        let words = metric.formula.split(|c| !is_name(c));
        for word in words.filter(|w| w.contains('.')) {
            assert!(!find(&all, word).is_empty(), "{}: {word}", metric.name);
        }
    }
}

/// A kernel's run with round numbers.
fn kernel(name: &str, start: u64, cycles: u64) -> KernelRun {
    let spec = config::load("v100", &[]).unwrap().spec;
    let header = KernelHeader {
        name: name.to_owned(),
        id: 1,
        grid: [640, 1, 1],
        block: [256, 1, 1],
        cluster: [1, 1, 1],
        registers_per_thread: 32,
        smem_bytes: 0,
        stream: 0,
        sm_version: 70,
        shared_base: 0,
        local_base: 0,
        source: "list".into(),
    };
    let mut c = ChipCounters::default();
    let slots = 320 * cycles;
    c.sm.issue.add(Label::Issued, slots / 4);
    c.sm.issue.add(Label::NoWarp, slots / 8);
    c.sm.issue.add(Label::LongScoreboard, slots / 2);
    c.sm.issue.add(Label::Wait, slots / 8);
    c.sm.sm.warp_instructions = slots / 4;
    c.sm.sm.thread_instructions = slots * 8;
    c.sm.sm.active_cycles = 80 * cycles * 7 / 8;
    c.sm.sm.warp_cycles = c.sm.sm.active_cycles * 48;
    c.sm.sm.fma_busy_cycles = slots / 2;
    c.sm.sm.pipes.add(Pipe::Alu, slots / 20);
    c.sm.lsu.shared_instructions = 5000;
    c.sm.lsu.shared_passes = 20_000;
    c.sm.lsu.shared_conflict_passes = 15_000;
    c.sm.l1.sector_reads = 1_048_576;
    c.sm.l1.sector_hits = 524_288;
    c.sm.l1.sector_misses = 524_288;
    c.sm.l1.sector_writes = 262_144;
    c.l2.sector_reads = 524_288;
    c.l2.read_hits = 131_072;
    c.l2.read_misses = 393_216;
    c.l2.sector_writes = 262_144;
    c.l2.busy_cycles = 64 * cycles / 4;
    c.dram.reads = 393_216;
    c.dram.writes = 131_072;
    c.dram.activates = 26_214;
    c.dram.cycles = 4_000_000;
    c.dram.bus.data = 1_048_576;
    c.dram.bus.idle = 2_951_424;
    KernelRun {
        occupancy: Occupancy::new(&header, &spec).unwrap(),
        layer: None,
        reason: None,
        header,
        start,
        end: start + cycles,
        warp_instructions: slots / 4,
        thread_instructions: slots * 8,
        counters: c,
        overlapped: false,
        partial: false,
        unknown: vec![("NEWOP.X".to_owned(), 12)],
        control_bits: false,
        provenance: Provenance::FULL,
        power: None,
    }
}

/// A report that needs no simulation, so that only a change of the report changes its table.
fn made_up(kernels: Vec<KernelRun>) -> Report {
    let config = config::load("v100", &[]).unwrap();
    let workload = Workload {
        source: "some/where/kernelslist.g".to_owned(),
        notes: vec!["kernelslist.g: line 3 was passed over: MemcpyDtoH".to_owned()],
        ..Workload::default()
    };
    let result = RunResult {
        cycles: kernels.iter().map(|k| k.end).max().unwrap_or(0),
        kernels,
        stopped: None,
        wall_s: 2.0,
        quanta: 1,
        timeline: Timeline::default(),
        memcpys: 1,
        counters: ChipCounters::default(),
        units: UnitCounters::default(),
        translation: None,
        probe: NoProbe::default(),
    };
    let mut report = Report::new(&config, &workload, &result, 2);
    report.simulation.peak_rss_bytes = 64 << 20;
    report
}

fn fits_100_columns(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn the_table_of_one_kernel() {
    let text = table::render(&made_up(vec![kernel("saxpy", 0, 100_000)]));
    fits_100_columns(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn many_launches_share_lines_and_the_longest_come_first() {
    let mut kernels = Vec::new();
    for at in 0..200u64 {
        let name = format!("_Z{}with_a_mangled_name_that_is_longPfS_i", at % 25);
        kernels.push(kernel(&name, at * 1_000_000, 10_000 + 1000 * (at % 25)));
    }
    let text = table::render(&made_up(kernels));
    fits_100_columns(&text);
    insta::assert_snapshot!(text);
}

fn phantom_gpu(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn json_on_standard_output_is_nothing_but_json() {
    let out = phantom_gpu(&["simulate", "synth:empty", "--gpu", "v100", "--json", "-"]);
    assert!(out.status.success());
    let value: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(value["status"], "complete");
    assert_eq!(value["layers"], serde_json::json!([]));
}

#[test]
fn an_output_folder_that_is_missing_is_found_before_the_run() {
    let out = phantom_gpu(&[
        "simulate",
        "synth:empty",
        "--gpu",
        "v100",
        "--json",
        "no/such/folder/r.json",
    ]);
    assert_eq!(out.status.code(), Some(1));
    let message = String::from_utf8_lossy(&out.stderr);
    assert!(message.contains("no/such/folder"), "{message}");
}

#[test]
fn a_report_file_is_complete_and_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.json");
    let name = file.to_str().unwrap();
    let out = phantom_gpu(&[
        "simulate",
        "synth:empty",
        "--gpu",
        "v100",
        "--max-cycles",
        "100",
        "--json",
        name,
    ]);
    assert!(out.status.success());
    let value: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(value["status"], "max_cycles");
    assert_eq!(value["kernels"][0]["provenance"]["partial"], true);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
