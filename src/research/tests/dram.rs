//! `research.dram`.

use super::compiled::study;
use crate::session::{Options, Session};
use serde_json::Value as Json;

/// What banks served is what the channels counted; buffers are the reads among it; latencies are of reads.
#[test]
fn the_section_closes_over_the_channels_counters() {
    let input = "synth:gather?per=4&grid=40&span=64MiB";
    let found = study(&["dram-research"], "v100", input, &[]);
    let data = &found.findings[0].data;
    let sum = |list: &str, name: &str| -> u64 {
        let rows = data[list].as_array().unwrap();
        rows.iter().map(|row| row[name].as_u64().unwrap()).sum()
    };
    let dram = &found.report.kernels[0].dram;
    let served = sum("banks", "hits") + sum("banks", "misses") + sum("banks", "conflicts");
    assert_eq!(served, dram.counters.reads + dram.counters.writes);
    let channels = data["channels"].as_array().unwrap();
    let machine = Session::new::<&str>("v100", &[]).unwrap();
    assert_eq!(channels.len(), usize::from(machine.spec().dram.channels));
    for bank in data["banks"].as_array().unwrap() {
        let number = bank["bank"].as_u64().unwrap() as usize;
        let of = |channel: &Json| channel["requests"][number].as_u64().unwrap_or(0);
        let kinds = ["hits", "misses", "conflicts"].map(|kind| bank[kind].as_u64().unwrap());
        assert_eq!(
            channels.iter().map(of).sum::<u64>(),
            kinds.iter().sum::<u64>()
        );
    }
    assert_eq!(sum("banks", "conflicts"), dram.counters.row_conflicts);
    assert_eq!(sum("banks", "activates"), dram.counters.activates);
    assert_eq!(sum("buffers", "reads"), dram.counters.reads);
    assert_eq!(
        data["latency_percentiles"][3]["count"],
        dram.counters.read_latency_count
    );
    let hits = sum("banks", "hits") as f64 / served as f64;
    assert!((data["row_hit_rate"].as_f64().unwrap() - hits).abs() < 1e-12);
    let banks = data["bank_parallelism"].as_f64().unwrap();
    assert!((1.0..=16.0).contains(&banks), "{banks}");
}

/// A copy reads one of its arrays, each sector once, and only writes the other.
#[test]
fn a_copy_reads_the_sectors_of_one_array() {
    let found = study(&["dram-research"], "v100", "synth:copy?bytes=1MiB", &[]);
    let buffers = found.findings[0].data["buffers"].as_array().unwrap();
    assert_eq!(buffers.len(), 1);
    assert_eq!(buffers[0]["buffer"], "array 0");
    assert_eq!(buffers[0]["reads"], 32768);
}

/// A chase has one request in DRAM at a time: one bank at work, whichever it is.
#[test]
fn a_chase_keeps_one_bank_busy() {
    let input = "synth:pchase?bytes=32MiB&stride=4096&iters=300&warmup=0&cache=l2";
    let found = study(&["dram-research"], "v100", input, &[]);
    let data = &found.findings[0].data;
    assert_eq!(data["buffers"][0]["reads"], 300);
    assert_eq!(data["buffers"][0]["bank_parallelism"], 1.0);
    // One after the other, no scheduler has a choice.
    let policies = data["policies"].as_array().unwrap();
    assert!(policies.iter().all(|p| p["speedup"] == 1.0), "{policies:?}");
}

/// The run under each scheduler is the one that `dram.scheduler` gives, and FCFS the measure of all.
#[test]
fn policies_are_the_cycles_of_the_machine_with_each() {
    let input = "synth:gather?per=4&grid=40&span=64MiB";
    let found = study(&["dram-research"], "v100", input, &[]);
    let policies = found.findings[0].data["policies"].as_array().unwrap();
    let schedulers = crate::config::DramScheduler::ALL;
    assert_eq!(policies.len(), schedulers.len());
    for policy in policies {
        let name = policy["name"].as_str().unwrap();
        let set = format!("dram.scheduler={name}");
        let session = Session::new("v100", &[set]).unwrap();
        let workload = session.open(&[input]).unwrap();
        let report = session.run(&workload, &Options::default()).unwrap().report;
        assert_eq!(policy["cycles"], report.totals.cycles, "{name}");
        if name == "fcfs" {
            assert_eq!(policy["speedup"], 1.0);
        }
    }
}
