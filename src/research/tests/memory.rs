//! `research.memory`.

use super::compiled::study;
use serde_json::Value as Json;

const FEATURE: &[&str] = &["memory-research"];

fn sum(rows: &Json, name: &str) -> u64 {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[name].as_u64().unwrap()).sum()
}

/// Every byte of a copy is asked for and moved once; what L2 read and wrote is what DRAM counted.
#[test]
fn a_copy_is_coalesced_and_its_traffic_is_that_of_dram() {
    let found = study(FEATURE, "v100", "synth:copy?bytes=16MiB", &[]);
    let data = &found.findings[0].data;
    let rows = data["coalescing"].as_array().unwrap();
    let sectors = (16 << 20) / 32;
    for (row, opcode) in [(&rows[0], "LDG"), (&rows[1], "STG")] {
        assert!(row["opcode"].as_str().unwrap().starts_with(opcode), "{row}");
        assert_eq!(row["efficiency"], 1.0);
        assert_eq!(row["sectors"], sectors);
        assert_eq!(row["kernel"], "copy");
    }
    assert_eq!(data["coalescing_efficiency"], 1.0);
    let kernel = &found.report.kernels[0];
    let traffic = &data["dram_traffic"];
    assert_eq!(sum(traffic, "read_bytes"), 32 * kernel.dram.counters.reads);
    assert_eq!(
        sum(traffic, "written_bytes"),
        32 * kernel.l2.counters.writebacks
    );
    let of = |buffer: &str| {
        let mut rows = traffic.as_array().unwrap().iter();
        rows.find(|row| row["buffer"] == buffer).unwrap()
    };
    assert_eq!(of("array 0")["read_bytes"], 16 << 20);
    assert_eq!(of("array 0")["written_bytes"], 0);
    assert_eq!(of("array 2")["read_bytes"], 0);
    // Nothing hits, so that all sectors go through the data path once.
    let bytes = 2.0 * f64::from(16 << 20);
    let path = 128.0 * 80.0 * kernel.cycles as f64;
    let used = data["l1_bandwidth_utilisation"].as_f64().unwrap();
    assert!((used - bytes / path).abs() < 1e-9, "{used}");
}

/// Words of random lines: a sector each.
#[test]
fn a_gather_moves_a_sector_for_each_word() {
    let found = study(
        FEATURE,
        "v100",
        "synth:gather?per=4&grid=40&span=64MiB",
        &[],
    );
    let row = &found.findings[0].data["coalescing"][0];
    let efficiency = row["efficiency"].as_f64().unwrap();
    assert!((0.125..0.127).contains(&efficiency), "{row}");
    assert!(row["sectors_per_request"].as_f64().unwrap() > 31.5, "{row}");
}

/// Every SM reads the same 128 lines once: each is missed first by one of 80, and then by the others.
#[test]
fn of_lines_that_all_sms_read_one_miss_in_80_is_the_first() {
    let input = "synth:sweep?bytes=16KiB&total=16KiB&grid=80&block=128";
    let found = study(FEATURE, "v100", input, &[]);
    let misses = &found.findings[0].data["miss_correlation"];
    assert_eq!(misses["misses"], 80 * 128);
    assert_eq!(misses["sampled"], 80 * 128);
    assert_eq!(misses["first"], 1.0 / 80.0);
    assert_eq!(
        (&misses["same_cta"], &misses["same_sm"]),
        (&0.0.into(), &0.0.into())
    );
    let share = |name: &str| misses[name].as_f64().unwrap();
    assert!((share("same_gpc") + share("other_gpc") - 79.0 / 80.0).abs() < 1e-12);
    assert_eq!(sum(&misses["cta_distances"], "misses"), 79 * 128);
}

/// What a hash deals is all that went to L2, whichever hash it is, and the machine's own is the run.
#[test]
fn every_hash_deals_the_same_sectors() {
    let input = "synth:gather?per=4&grid=40&span=64MiB";
    let found = study(FEATURE, "v100", input, &[]);
    let data = &found.findings[0].data;
    let kernel = &found.report.kernels[0];
    let l2 = &kernel.l2.counters;
    let asked = l2.sector_reads + l2.sector_writes + l2.sector_atomics;
    for row in data["slices"].as_array().unwrap() {
        let sectors = row["sectors"].as_array().unwrap();
        assert_eq!(sectors.len(), 64);
        let all: u64 = sectors.iter().map(|s| s.as_u64().unwrap()).sum();
        assert_eq!(all, asked, "{}", row["hash"]);
        let set = format!("l2.hash={}", row["hash"].as_str().unwrap());
        let alone = study(FEATURE, "v100", input, &[set.as_str()]);
        assert_eq!(row["cycles"], alone.report.totals.cycles);
        if set == "l2.hash=ipoly" {
            assert_eq!(row["cycles"], found.report.totals.cycles);
            assert_eq!(row["balance"], data["slice_balance"]);
        }
    }
}

/// The carve-out that the machine chose for its only kernel is one of the options, with the cycles of the run.
#[test]
fn the_runs_own_carve_out_is_among_the_options() {
    // Every SM reads 64 KiB eight times over.
    let input = "synth:sweep?bytes=64KiB&total=512KiB&grid=80&block=1024";
    let found = study(FEATURE, "v100", input, &[]);
    let data = &found.findings[0].data;
    let rows = data["carveout"].as_array().unwrap();
    assert_eq!(rows.len(), 6, "all options of V100: {rows:?}");
    let own = u64::from(found.report.kernels[0].occupancy.carveout_bytes) / 1024;
    let own = rows.iter().find(|row| row["kib"] == own).unwrap();
    assert_eq!(own["cycles"], found.report.totals.cycles);
    assert_eq!(own["speedup"], 1.0);
    let least = rows.iter().map(|row| row["cycles"].as_u64().unwrap()).min();
    for row in rows {
        assert_eq!(row["best"], row["cycles"].as_u64() == least);
        assert_eq!(
            row["kib"].as_u64().unwrap() + row["l1_kib"].as_u64().unwrap(),
            128
        );
    }
    // At most seven of eight hit; an L1 of 32 KiB loses lines before they are wanted again.
    let rate = |row: &Json| row["l1_hit_rate"].as_f64().unwrap();
    assert!((0.8..=0.875).contains(&rate(&rows[0])), "{rows:?}");
    assert!(rate(&rows[5]) < 0.7, "{rows:?}");
    assert!(rows[5]["speedup"].as_f64().unwrap() < 0.9, "{rows:?}");
    let policies = data["fetch_policy"].as_array().unwrap();
    assert_eq!(policies[0]["name"], "lazy_fetch_on_read");
    assert_eq!(policies[0]["cycles"], found.report.totals.cycles);
}

#[test]
fn translation_is_a_part_of_the_section_where_addresses_are_translated() {
    let input = "synth:copy?bytes=256KiB";
    let found = study(FEATURE, "v100", input, &["tlb.enabled=true"]);
    let tlb = &found.findings[0].data["tlb"];
    let requests = found.report.kernels[0].noc.counters.requests;
    assert_eq!(tlb["l1"]["lookups"], requests);
    let off = study(FEATURE, "v100", input, &[]);
    assert_eq!(off.findings[0].data.get("tlb"), None);
    assert!(off.report.totals.cycles < found.report.totals.cycles);
}
