//! `research.cache`.

use super::compiled::study;
use crate::report::Report;
use serde_json::Value as Json;

fn section(gpu: &str, input: &str, sets: &[&str]) -> (Json, Report) {
    let found = study(&["cache-research"], gpu, input, sets);
    (found.findings[0].data.clone(), found.report)
}

fn number(data: &Json, pointer: &str) -> u64 {
    data.pointer(pointer).and_then(Json::as_u64).unwrap()
}

fn real(data: &Json, pointer: &str) -> f64 {
    data.pointer(pointer).and_then(Json::as_f64).unwrap()
}

fn sum(data: &Json, list: &str, name: &str) -> u64 {
    let rows = data.pointer(list).and_then(Json::as_array).unwrap();
    rows.iter().map(|row| row[name].as_u64().unwrap()).sum()
}

/// Whatever the kernel: outcomes, distances and sets sum to the same loads, causes to the counter of refusals,
/// stalls to those by cause, and what L2 was asked for is what L2 counted.
#[test]
fn the_section_closes_over_the_counters() {
    for (gpu, input, sets) in [
        (
            "v100",
            "synth:gather?per=4&grid=40&span=1MiB",
            &["l1.mshrs=8"][..],
        ),
        (
            "v100",
            "synth:gather?per=16&grid=40&span=4KiB",
            &["l1.mshr_merges=1"],
        ),
        (
            "a100-80",
            "synth:gather?per=4&grid=60&span=64KiB",
            &["l1.miss_queue_entries=1"],
        ),
        (
            "v100",
            "synth:gather?per=4&grid=40&span=64MiB",
            &[
                "l1.allocate=on_miss",
                "l1.ways=4",
                "l1.carveouts_kib=[0,32,64,96]",
                "l1.miss_queue_entries=256",
            ],
        ),
    ] {
        let (data, report) = section(gpu, input, sets);
        let kernel = &report.kernels[0];
        let (l1, l2) = (&kernel.l1.counters, &kernel.l2.counters);
        let outcome = |name: &str| number(&data, &format!("/loads/{name}"));
        let loads =
            outcome("hits") + outcome("merged") + outcome("sector_misses") + outcome("line_misses");
        assert!(loads > 0);
        assert_eq!(sum(&data, "/set_pressure", "loads"), loads);
        let misses = sum(&data, "/set_pressure", "line_misses");
        assert_eq!(misses, outcome("line_misses"));
        let accesses = |level: &str| {
            sum(&data, &format!("/reuse_distance/{level}"), "accesses")
                + number(&data, &format!("/without_reuse_distance/{level}"))
        };
        assert_eq!(accesses("l1"), loads, "{input}: it stores nothing");
        assert_eq!(accesses("l2"), l2.requests);
        let rate = |group: &str| -> f64 {
            let causes = data[group].as_object().unwrap().values();
            causes.map(|v| v.as_f64().unwrap()).sum::<f64>()
        };
        let sms = report.config.keys["gpu"]["sms"].as_f64().unwrap();
        let kcycles = sms * report.totals.cycles as f64 / 1e3;
        let close = |rate: f64, count: u64| {
            let count = count as f64;
            assert!(
                (rate * kcycles - count).abs() < 1e-6 * count + 1e-6,
                "{input}"
            );
        };
        close(
            rate("reservation_failures_per_kcycle"),
            l1.reservation_fails,
        );
        let stalls = l1.fail_line_alloc_cycles
            + l1.fail_miss_queue_cycles
            + l1.fail_mshr_entries_cycles
            + l1.fail_mshr_merges_cycles;
        close(rate("stall_cycles_per_kcycle"), stalls);
        assert!(l1.reservation_fails > 0, "{input}: nothing to count");
    }
}

/// The registers that a kernel takes: a chase has one line in flight at a time, from the miss to the fill. All
/// of its loads take the same time, so the integral is the number of misses times that time.
#[test]
fn a_chase_has_one_register_for_the_time_of_a_miss() {
    let input = "synth:pchase?bytes=256KiB&stride=128&iters=500&warmup=0&cache=all&order=linear";
    let (data, report) = section("v100", input, &[]);
    let loads = &data["loads"];
    assert_eq!(loads["line_misses"], 500);
    assert_eq!(loads["merged"], 0);
    let spans = data["mshr_occupancy"].as_array().unwrap();
    let peak = spans.iter().map(|s| s["peak"].as_u64().unwrap()).max();
    assert_eq!(peak, Some(1));
    let cycles = real(&data, "/mshr_mean") * 80.0 * report.totals.cycles as f64;
    let each = cycles / 500.0;
    // Between a hit in L2 and a miss, and less than the time of a load, which has its way through the pipe besides.
    let load = report.totals.cycles as f64 / 500.0;
    assert!(each > 150.0 && each < load, "{each} of {load}");
    assert_eq!(data["loads_per_mshr"], 1.0);
}

/// Eight loads of eight lines fill eight registers, and none is refused; with seven the eighth load waits.
#[test]
fn as_many_registers_as_lines_refuse_nothing_and_one_fewer_does() {
    let input = "synth:gather?per=8&grid=1&block=1&span=1GiB";
    let refused = |registers: u32| {
        let (data, report) = section("v100", input, &[&format!("l1.mshrs={registers}")]);
        let causes = data["reservation_failures_per_kcycle"].as_object().unwrap();
        let others = causes.iter().filter(|(cause, _)| *cause != "mshr_entry");
        assert!(others.into_iter().all(|(_, rate)| *rate == 0.0));
        assert_eq!(data["loads"]["line_misses"], 8);
        let spans = data["mshr_occupancy"].as_array().unwrap();
        let peak = spans.iter().map(|s| s["peak"].as_u64().unwrap()).max();
        assert_eq!(peak, Some(registers.min(8).into()));
        let rate = causes["mshr_entry"].as_f64().unwrap();
        (rate * 80.0 * report.totals.cycles as f64 / 1e3).round()
    };
    assert_eq!(refused(8), 0.0);
    assert_eq!(refused(7), 1.0);
}

/// One thread, one load at a time: the hits of a fully associative LRU cache are exactly those that the
/// histogram predicts.
#[test]
fn distances_predict_the_hits_of_a_fully_associative_l1() {
    for bytes in [64, 96, 160] {
        let input =
            format!("synth:pchase?bytes={bytes}KiB&stride=128&iters=400&warmup=1&cache=all");
        let sets = ["l1.ways=1024", "l1.replacement=lru"];
        let (data, _) = section("v100", &input, &sets);
        let rows = data.pointer("/reuse_distance/l1").unwrap();
        let rows = rows.as_array().unwrap();
        let fits = |row: &&Json| row["to"].as_u64() < Some(1024);
        let fitting = rows.iter().rev().find(fits);
        let predicted = fitting.map_or(0, |row| row["lru_hits"].as_u64().unwrap());
        assert_eq!(data["loads"]["hits"], predicted, "{bytes} KiB");
        assert_eq!(predicted, if bytes < 128 { 400 } else { 0 });
    }
}

/// A kernel that reads everything once fetches nothing twice, and a copy writes whole sectors.
#[test]
fn a_copy_streams_and_covers_its_sectors() {
    let (data, _) = section("v100", "synth:copy?bytes=1MiB", &[]);
    assert_eq!(data["streaming_efficiency"], 1.0);
    assert_eq!(data["write_mask_coverage"], 1.0);
    assert_eq!(data["l2_write_mask_coverage"], 1.0);
    // Each of 2 x 8192 lines belongs to one SM.
    let rows = data["line_sharing"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["lines"]), (1, &Json::from(16384)));
}

/// Sector after sector of eight lines: of each line one load misses the line, and three find it without their sector.
#[test]
fn a_walk_over_sectors_misses_sectors_of_lines_that_are_there() {
    let input = "synth:pchase?bytes=1KiB&stride=32&iters=32&warmup=0&cache=all&order=linear";
    let (data, _) = section("v100", input, &[]);
    let loads = &data["loads"];
    assert_eq!(loads["line_misses"], 8);
    assert_eq!(loads["sector_misses"], 24);
    assert_eq!(loads["line_found"], 24);
    assert_eq!(loads["hits"], 0);
    assert_eq!(data["sector_miss_line_hit"], 1.0);
    assert_eq!(data["streaming_efficiency"], 1.0);
    assert_eq!(data["write_mask_coverage"], Json::Null);
    // Three accesses of each line come right behind another one of it.
    let rows = data.pointer("/reuse_distance/l1").unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["accesses"], 24);
}

/// A stride of as many lines as there are sets stays in one set.
#[test]
fn a_stride_of_the_sets_presses_one_set() {
    let input = "synth:pchase?bytes=64KiB&stride=512&iters=128&warmup=0&cache=all&order=linear";
    let (data, _) = section("v100", input, &["l1.set_hash=linear"]);
    let sets = data["set_pressure"].as_array().unwrap();
    let loads: Vec<u64> = sets.iter().map(|s| s["loads"].as_u64().unwrap()).collect();
    assert_eq!(loads, [128, 0, 0, 0]);
    assert_eq!(sum(&data, "/set_pressure", "line_misses"), 128);
}

/// Each of 80 SMs reads each of 32 lines.
#[test]
fn lines_that_every_sm_reads_are_shared_by_all() {
    let input = "synth:gather?span=4KiB&per=64&grid=80&block=32";
    let (data, _) = section("v100", input, &[]);
    let rows = data["line_sharing"].as_array().unwrap();
    let last = rows.last().unwrap();
    assert_eq!(
        (&last["from_sms"], &last["lines"]),
        (&Json::from(65), &Json::from(32))
    );
    assert_eq!(sum(&data, "/line_sharing", "lines"), 32);
}
