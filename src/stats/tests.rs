//! The accounts against values that are written counter by counter, by the names of the JSON.

use super::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Every leaf of `value` with its path.
fn leaves(path: &str, value: &Value, out: &mut Vec<(String, u64)>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(&path, inner, out);
            }
        }
        number => out.push((path.to_owned(), number.as_u64().expect("a count"))),
    }
}

/// The account as readers of the JSON see it.
fn json(counters: &ChipCounters) -> BTreeMap<String, u64> {
    let mut out = Vec::new();
    leaves("", &serde_json::to_value(counters).unwrap(), &mut out);
    let count = out.len();
    let out: BTreeMap<String, u64> = out.into_iter().collect();
    assert_eq!(out.len(), count, "a path is written twice");
    out
}

/// An account in which every number that is kept is another multiple of `factor`, and no sum of two is a third.
fn all_different(factor: u64) -> ChipCounters {
    let mut counters = ChipCounters::default();
    let words = counters.words();
    assert_eq!(
        words.len() * size_of::<u64>(),
        size_of::<ChipCounters>(),
        "a number that is kept is not filled in"
    );
    for (at, word) in words.into_iter().enumerate() {
        *word = factor * (1000 + at as u64);
    }
    counters
}

/// Numbers that are kept and have no leaf: two extremes, and the pipe that is counted as another.
const WITHOUT_LEAF: usize = 3;

#[test]
fn every_number_has_a_leaf_and_every_leaf_a_unit_and_a_sentence() {
    let counters = all_different(1);
    let leaves = json(&counters);
    assert_eq!(leaves.len() + WITHOUT_LEAF, size_of::<ChipCounters>() / 8);
    let values: BTreeSet<u64> = leaves.values().copied().collect();
    assert_eq!(values.len(), leaves.len(), "two leaves have one value");
    let named: BTreeMap<String, u64> = counters.named().collect();
    assert_eq!(named, leaves, "exports and JSON");
    let schema: Vec<Counter> = ChipCounters::schema()
        .into_iter()
        .filter(|counter| !counter.group)
        .collect();
    assert_eq!(schema.len(), leaves.len());
    for counter in schema {
        assert!(leaves.contains_key(&counter.path), "{}", counter.path);
        assert!(
            !counter.unit.is_empty() && counter.text.len() > 5,
            "{counter:?}"
        );
    }
}

#[test]
fn a_leaf_is_the_counter_of_its_name() {
    let mut c = ChipCounters::default();
    c.sm.issue.add(Label::Sleeping, 1);
    c.sm.sm.barrier_arrivals = 2;
    c.sm.sm.pipes.add(Pipe::Xu, 3);
    c.sm.sm.pipes.add(Pipe::Fp16, 4);
    c.sm.sm.pipes.add(Pipe::Fp16Mma, 5);
    c.sm.fetch.const_misses = 6;
    c.sm.lsu.shared_passes = 7;
    c.sm.l1.evictions = 8;
    c.noc.far_requests = 10;
    c.l2.evictions = 11;
    c.dram.queued_writes_at_end = 12;
    c.dram.bus.column_wait = 13;
    let mut leaves = json(&c);
    leaves.retain(|_, value| *value > 0);
    let expected = [
        ("dram.bus.column_wait", 13),
        ("dram.queued_writes_at_end", 12),
        ("fetch.const_misses", 6),
        ("issue.sleeping", 1),
        ("l1.evictions", 8),
        ("l2.evictions", 11),
        ("lsu.shared_passes", 7),
        ("noc.far_requests", 10),
        ("sm.barrier_arrivals", 2),
        ("sm.pipe_fp16", 9),
        ("sm.pipe_xu", 3),
    ];
    let expected: BTreeMap<String, u64> = expected.map(|(k, v)| (k.to_owned(), v)).into();
    assert_eq!(leaves, expected);
}

#[test]
fn a_sum_adds_every_leaf() {
    let (a, b) = (all_different(1), all_different(1000));
    let mut sum = a;
    sum += &b;
    let (a, b) = (json(&a), json(&b));
    for (path, value) in json(&sum) {
        assert_eq!(value, a[&path] + b[&path], "{path}");
    }
}

#[test]
fn a_difference_subtracts_every_count_and_keeps_levels() {
    let (earlier, later) = (all_different(1), all_different(1000));
    let between = json(&later.since(&earlier));
    let (earlier, later) = (json(&earlier), json(&later));
    for (path, value) in between {
        let expected = match path.as_str() {
            "dram.queued_writes_at_start" => earlier["dram.queued_writes_at_end"],
            "dram.queued_writes_at_end" => later["dram.queued_writes_at_end"],
            path => later[path] - earlier[path],
        };
        assert_eq!(value, expected, "{path}");
    }
}

#[test]
fn extremes_meet_and_nothing_is_no_extreme() {
    let mut all = DramStats::default();
    all += &DramStats::default();
    assert_eq!((all.read_latency_min, all.read_latency_max), (u64::MAX, 0));
    for latency in [30, 20, 40] {
        all += &DramStats {
            read_latency_min: latency,
            read_latency_max: latency,
            ..DramStats::default()
        };
    }
    assert_eq!((all.read_latency_min, all.read_latency_max), (20, 40));
    let since = all.since(&DramStats::default());
    assert_eq!((since.read_latency_min, since.read_latency_max), (20, 40));
}

#[test]
fn every_number_of_address_translation_has_a_leaf_of_its_own() {
    let mut stats = tlb::TlbStats::default();
    let words = stats.words();
    assert_eq!(words.len() * size_of::<u64>(), size_of::<tlb::TlbStats>());
    for (at, word) in words.into_iter().enumerate() {
        *word = 1000 + at as u64;
    }
    let mut found = Vec::new();
    leaves("", &serde_json::to_value(stats).unwrap(), &mut found);
    found.sort_by_key(|(_, value)| *value);
    let named = tlb::TlbStats::schema();
    let named = named.iter().filter(|counter| !counter.group);
    let named: Vec<(String, u64)> = named.map(|c| c.path.clone()).zip(1000..).collect();
    assert_eq!(found, named);
}
