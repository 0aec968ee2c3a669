//! `research.profile`: units and intervals sum to the run, and a profile of real kernels is compared with it.

use super::compiled::{study, study_with};
use super::*;
use serde_json::Value as Json;

const FEATURE: &[&str] = &["gpu-profiling-research"];
const INPUT: &str = "synth:gather?per=4&grid=200&span=1MiB";

fn sum(rows: &Json, name: &str) -> u64 {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[name].as_u64().unwrap()).sum()
}

/// Rows of the units sum to the counters of the only kernel, and so does the spread.
#[test]
fn units_sum_to_the_counters_of_the_kernel() {
    let found = study(FEATURE, "v100", INPUT, &[]);
    let units = &found.findings[0].data["units"];
    let kernel = &found.report.kernels[0];
    let (l1, l2) = (&kernel.l1.counters, &kernel.l2.counters);
    for (unit, list, rows, expected) in [
        (
            "sm",
            "sms",
            80,
            ("warp_instructions", kernel.warp_instructions),
        ),
        ("sm", "sms", 80, ("ctas", 200)),
        ("sm", "sms", 80, ("l1_sector_reads", l1.sector_reads)),
        ("sm", "sms", 80, ("l1_sector_hits", l1.sector_hits)),
        ("slice", "slices", 64, ("requests", l2.requests)),
        ("slice", "slices", 64, ("sector_reads", l2.sector_reads)),
        ("slice", "slices", 64, ("read_hits", l2.read_hits)),
        (
            "channel",
            "channels",
            64,
            ("reads", kernel.dram.counters.reads),
        ),
    ] {
        let (counter, count) = expected;
        assert_eq!(units[list].as_array().unwrap().len(), rows, "{list}");
        assert!(count > 0);
        assert_eq!(sum(&units[list], counter), count, "{counter}");
        let mut spreads = units["spread"].as_array().unwrap().iter();
        let spread = spreads.find(|s| s["unit"] == unit && s["counter"] == counter);
        let spread = spread.unwrap();
        assert_eq!(spread["sum"], count);
        let values = || {
            let rows = units[list].as_array().unwrap().iter();
            rows.map(|row| row[counter].as_u64().unwrap())
        };
        assert_eq!(spread["min"].as_u64(), values().min());
        assert_eq!(spread["max"].as_u64(), values().max());
    }
    // 200 CTAs on 80 SMs: two or three each.
    let spreads = units["spread"].as_array().unwrap();
    let ctas = spreads.iter().find(|s| s["counter"] == "ctas").unwrap();
    assert_eq!((&ctas["min"], &ctas["max"]), (&2.into(), &3.into()));
    assert_eq!(ctas["spread_percent"], 40.0);
}

/// Intervals follow each other over the whole run; each counter sums to that of the kernel, each label to its slots.
#[test]
fn intervals_sum_to_the_counters_of_the_kernel() {
    let besides = Besides {
        interval: Some(100),
        ..Besides::default()
    };
    let found = study_with(FEATURE, "v100", INPUT, &[], &besides);
    let plain = study(FEATURE, "v100", INPUT, &[]);
    assert_eq!(found.report.kernels, plain.report.kernels);
    assert_eq!(plain.findings[0].data.get("over_time"), None);
    let rows = &found.findings[0].data["over_time"];
    let kernel = &found.report.kernels[0];
    let (l1, l2, dram) = (
        &kernel.l1.counters,
        &kernel.l2.counters,
        &kernel.dram.counters,
    );
    for (name, count) in [
        ("warp_instructions", kernel.warp_instructions),
        ("l1_sector_reads", l1.sector_reads),
        ("l1_sector_hits", l1.sector_hits),
        ("l2_sector_reads", l2.sector_reads),
        ("l2_read_hits", l2.read_hits),
        ("dram_read_bytes", 32 * dram.reads),
    ] {
        assert!(count > 0);
        assert_eq!(sum(rows, name), count, "{name}");
    }
    let rows = rows.as_array().unwrap();
    let mut at = 0;
    for row in rows {
        assert_eq!(row["from_cycle"], at);
        at = row["to_cycle"].as_u64().unwrap();
    }
    assert_eq!(at, found.report.totals.cycles);
    assert!(rows.len() as u64 >= at / 100 / 2, "{} of {at}", rows.len());
    for label in crate::stats::Label::ALL {
        let slots = |row: &Json| {
            let mut slots = row["slots"].as_array().unwrap().iter();
            let own = slots.find(|s| s["label"] == label.name()).unwrap();
            own["slots"].as_u64().unwrap()
        };
        let all: u64 = rows.iter().map(slots).sum();
        // SMs without work are counted for as long as the chip was looked at.
        if *label != crate::stats::Label::NoWarp {
            assert_eq!(all, kernel.issue.get(*label), "{}", label.name());
        }
    }
}

/// The profile was made of the model's numbers, times 1.05, 0.9 and 1.3 (`validation/profiles/README.md`).
#[test]
fn a_profile_of_hardware_is_compared_counter_by_counter() {
    let map = crate::correlate::Map::default();
    let file = std::path::Path::new("validation/profiles/ncu_raw.csv");
    let profile = crate::correlate::profile(file, &map).unwrap().unwrap();
    let metrics = profile.launches[0].numbers.len();
    let besides = Besides {
        hardware: Some((profile, map)),
        ..Besides::default()
    };
    let found = study_with(FEATURE, "v100", "traces/tiny_list", &[], &besides);
    let hardware = &found.findings[0].data["hardware"];
    assert_eq!(hardware["profile"], "Nsight Compute");
    let kernels = hardware["kernels"].as_u64().unwrap();
    assert!(kernels > 0);
    let pairs = hardware["pairs"].as_array().unwrap();
    let rows = hardware["metrics"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.len() <= metrics);
    assert_eq!(sum(&hardware["metrics"], "kernels"), pairs.len() as u64);
    for pair in pairs {
        let value = |name: &str| pair[name].as_f64().unwrap();
        let measured = value("measured");
        if measured != 0.0 {
            let error = (value("simulated") - measured) / measured;
            assert!((value("error") - error).abs() < 1e-9, "{pair}");
        }
        // Each kernel's numbers stand in the report.
        let launch = value("launch") as usize;
        let own = &found.report.kernels[launch].metrics;
        let own = serde_json::to_value(own).unwrap();
        assert_eq!(
            own[pair["metric"].as_str().unwrap()].as_f64(),
            Some(value("simulated"))
        );
    }
    let names: Vec<&str> = found.findings[0]
        .exhibits
        .tables
        .iter()
        .map(|t| t.name)
        .collect();
    assert!(names.contains(&"hardware") && names.contains(&"hardware-pairs"));
}

/// The levels of the memory chart are the kernel's counters, and the scarcest resource is what occupancy says.
#[test]
fn memory_and_launch_are_those_of_the_kernel() {
    let found = study(FEATURE, "v100", "synth:sgemm?m=256&n=256&k=64", &[]);
    let profile = &found.findings[0].data["kernels"][0];
    let kernel = &found.report.kernels[0];
    let (l1, l2, dram) = (
        &kernel.l1.counters,
        &kernel.l2.counters,
        &kernel.dram.counters,
    );
    let levels = [
        ("cores", l1.sector_reads, l1.sector_writes),
        ("l1", l2.sector_reads, l2.sector_writes),
        ("l2", dram.reads, dram.writes),
    ];
    for (row, (level, reads, writes)) in profile["memory"].as_array().unwrap().iter().zip(levels) {
        assert_eq!(row["level"], level);
        assert_eq!(row["read_bytes"], 32 * reads);
        assert_eq!(row["written_bytes"], 32 * writes);
    }
    let launch = &profile["launch"];
    let at_once = 80 * u64::from(kernel.occupancy.ctas_per_sm);
    let ctas = kernel.grid.iter().map(|n| u64::from(*n)).product::<u64>();
    assert_eq!(launch["waves"], ctas as f64 / at_once as f64);
    let limits = launch["limits"].as_array().unwrap();
    let least = limits
        .iter()
        .min_by_key(|l| l["ctas"].as_u64().unwrap_or(u64::MAX));
    let least = least.unwrap();
    assert_eq!(least["ctas"], kernel.occupancy.ctas_per_sm);
    assert_eq!(least["resource"], kernel.occupancy.limit);
}

/// Two kernels that overlap count the instructions of both, each: the run has them once.
#[test]
fn energy_of_kernels_that_overlap_is_counted_once() {
    let run = |input: &str| {
        let found = study(FEATURE, "v100", input, &[]);
        let energy = found.findings.iter().find(|f| f.name == "energy").unwrap();
        let of = |name: &str| energy.data[name].as_f64().unwrap();
        let joules = (of("front_end_j"), of("average_w"), of("total_j"));
        (joules, found.report)
    };
    let ((alone, ..), _) = run("synth:copy?bytes=1MiB");
    let ((both, watts, total), report) = run("synth:copy?bytes=1MiB&launches=2&streams=2");
    assert!(report.kernels.iter().all(|k| k.overlapped));
    assert!((both / alone - 2.0).abs() < 1e-9, "{both} {alone}");
    let seconds = report.totals.time_us * 1e-6;
    assert!((watts * seconds / total - 1.0).abs() < 1e-9);
}
