//! Address translation inside whole GPUs: reach, accounts, threads, and that it is absent where it is off.

use phantom_gpu::session::{Options, Outcome, Session};
use serde_json::Value;

fn run(gpu: &str, sets: &[&str], inputs: &[&str], threads: usize) -> Value {
    let session = Session::new(gpu, sets).unwrap();
    let workload = session.open(inputs).unwrap();
    let options = Options {
        threads,
        ..Options::default()
    };
    let Outcome { mut report, .. } = session.run(&workload, &options).unwrap();
    report.simulation = Default::default();
    serde_json::to_value(report).unwrap()
}

fn count(report: &Value, path: &str) -> u64 {
    let at = report.pointer(path);
    at.and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{path}: {at:?}"))
}

fn tlb(report: &Value, path: &str) -> u64 {
    count(report, &format!("/research/memory/tlb/{path}"))
}

const ON: &str = "tlb.enabled=true";
const SMALL: &[&str] = &[ON, "gpu.sms=8", "gpu.gpcs=2"];

const INPUTS: &[&str] = &[
    "synth:copy?bytes=1MiB",
    "synth:gather?span=512MiB&per=2&grid=16",
    "synth:atomics?grid=8&iters=2",
    "synth:local?grid=8&block=288&words=130&iters=2",
    "synth:hgemm?m=128&n=128&k=64",
];

/// Cycles of a load in an L2-resident chase with a page and a line between loads.
fn cycles_per_load(pages: u64, sets: &[&str]) -> f64 {
    let ring = |kind: &str| {
        let bytes = pages * 2_097_280;
        format!("synth:{kind}grid=72&bytes={bytes}&stride=2097280&cache=l2")
    };
    let inputs = [
        ring("lap?"),
        ring("ring?loads=64&"),
        ring("ring?loads=320&start=64&"),
    ];
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let report = run("quadro-rtx6000", sets, &inputs, 1);
    let cycles = |kernel: usize| count(&report, &format!("/kernels/{kernel}/cycles"));
    (cycles(2) - cycles(1)) as f64 / 256.0
}

/// The published steps of TU102: 7 ns between 32 and 64 MiB, 6 ns more between 8 and 12 GiB, no other to 16 GiB.
#[test]
fn the_steps_of_tu102_are_where_and_as_high_as_published() {
    let ns = |mib: u64| cycles_per_load(mib / 2, &[ON]) / 1.455;
    let off = cycles_per_load(32, &[]) / 1.455;
    let [a, b, c, d, e] = [32, 64, 8192, 12288, 16384].map(ns);
    assert!(
        (a - off).abs() < 0.5,
        "a known page costs nothing: {a} {off}"
    );
    assert!((b - a - 7.0).abs() < 1.5, "{a} {b}");
    assert!((c - b).abs() < 0.5, "{b} {c}");
    assert!((d - c - 6.0).abs() < 1.5, "{c} {d}");
    assert!((e - d).abs() < 0.5, "{d} {e}");
}

#[test]
fn levels_agree_with_each_other_and_with_l2() {
    for input in INPUTS {
        let report = run("v100", SMALL, &[input], 1);
        for level in ["l1", "gpc", "l2"] {
            let of = |name: &str| tlb(&report, &format!("{level}/{name}"));
            assert_eq!(of("lookups"), of("hits") + of("misses"), "{input} {level}");
            assert_eq!(of("misses"), of("merged") + of("asked"), "{input} {level}");
        }
        assert_eq!(tlb(&report, "l1/asked"), tlb(&report, "gpc/lookups"));
        assert_eq!(tlb(&report, "gpc/asked"), tlb(&report, "l2/lookups"));
        assert_eq!(tlb(&report, "l2/asked"), tlb(&report, "walk/walks"));
        let (reads, cached) = (tlb(&report, "walk/reads"), tlb(&report, "walk/cached"));
        assert_eq!(reads + cached, 4 * tlb(&report, "walk/walks"), "{input}");
        // Whatever leaves an SM is looked up once; L2 is asked for that and for the entries of the page table.
        let requests = count(&report, "/kernels/0/noc/requests");
        assert_eq!(tlb(&report, "l1/lookups"), requests, "{input}");
        let asked = count(&report, "/kernels/0/l2/requests");
        assert_eq!(asked, requests + reads, "{input}");
    }
}

#[test]
fn neither_threads_nor_skipping_change_a_byte() {
    for input in INPUTS {
        let one = run("a100-80", SMALL, &[input], 1);
        for threads in [2, 3, 5] {
            assert_eq!(run("a100-80", SMALL, &[input], threads), one, "{input}");
        }
        let session = Session::new("a100-80", SMALL).unwrap();
        let workload = session.open(&[input]).unwrap();
        let options = Options {
            no_skip: true,
            ..Options::default()
        };
        let mut all = session.run(&workload, &options).unwrap().report;
        all.simulation = Default::default();
        assert_eq!(serde_json::to_value(all).unwrap(), one, "{input}");
    }
}

#[test]
fn without_it_other_keys_of_tlb_change_nothing() {
    let plain = run("a100-80", &["gpu.sms=8", "gpu.gpcs=2"], INPUTS, 1);
    let sets = [
        "gpu.sms=8",
        "gpu.gpcs=2",
        "tlb.gpc_latency=1",
        "tlb.l1_entries=32",
    ];
    let other = run("a100-80", &sets, INPUTS, 1);
    assert_eq!(plain["kernels"], other["kernels"]);
    assert!(plain["research"].get("memory").is_none());
    let unmodelled = plain["validity"]["unmodelled"].to_string();
    assert!(unmodelled.contains("address translation"));
    let on = run("a100-80", SMALL, INPUTS, 1);
    let unmodelled = on["validity"]["unmodelled"].to_string();
    assert!(!unmodelled.contains("address translation"));
}

#[test]
fn every_leaf_of_the_section_is_explained() {
    let report = run("v100", SMALL, &[INPUTS[0]], 1);
    let catalogue = phantom_gpu::report::explain::catalogue();
    let section = report.pointer("/research/memory/tlb").unwrap();
    for (name, value) in section.as_object().unwrap() {
        let leaves: Vec<String> = match value.as_object() {
            Some(group) => group.keys().map(|leaf| format!("{name}.{leaf}")).collect(),
            None => vec![name.clone()],
        };
        for leaf in leaves {
            let path = format!("research.memory.tlb.{leaf}");
            let entry = catalogue.iter().find(|entry| entry.path == path);
            let entry = entry.unwrap_or_else(|| panic!("{path} is not explained"));
            assert!(!entry.unit.is_empty() && entry.text.len() > 5, "{path}");
        }
    }
}
