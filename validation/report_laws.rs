//! Laws of every report: accounts close, bytes agree between neighbours, and neither threads nor skipping
//! nor watching change a byte.

use crate::support::{Run, json, run, run_with};
use phantom_gpu::config;
use phantom_gpu::internals::mem::{LINE_BYTES, SECTOR_BYTES};
use phantom_gpu::internals::simulation::Options;
use phantom_gpu::internals::stats::Label;
use phantom_gpu::report::metrics::Number;
use phantom_gpu::report::schema::{Kernel, Status};
use phantom_gpu::report::timeline;
use serde_json::Value;
use std::collections::BTreeMap;

/// Small workloads of every kind.
const INPUTS: &[&str] = &[
    "synth:empty?grid=300&block=96",
    "synth:ffma?grid=40&block=128&iters=2",
    "synth:copy?bytes=1MiB",
    "synth:triad?bytes=512KiB&width=16",
    "synth:sgemm?m=128&n=128&k=64",
    "synth:hgemm?m=128&n=128&k=64",
    "synth:gather?per=4&grid=16",
    "synth:smem?grid=8&ways=4",
    "synth:atomics?grid=8&iters=2",
    "synth:barrier?grid=8&iters=4",
    "synth:local?grid=8&block=288&words=130&iters=2",
];

fn accounts_close(k: &Kernel, run: &Run) {
    let spec = &run.config.spec;
    let units = |n: u16| u64::from(n) * k.counted_cycles;
    assert_eq!(
        k.total_slots,
        units(spec.sms) * u64::from(spec.sm.sub_cores)
    );
    assert_eq!(k.issue.total(), k.total_slots, "{}: issue", k.name);
    assert_eq!(k.issue.get(Label::Issued), k.sm.counters.warp_instructions);
    let sm = &k.sm.sm_cycles;
    assert_eq!(sm.busy + sm.idle, units(spec.sms));
    assert!(k.sm.counters.warp_cycles <= sm.busy * u64::from(spec.sm.warps_max));
    let slices = &k.l2.slice_cycles;
    assert_eq!(slices.busy + slices.idle, units(spec.l2.slices));
    let (dram, bus) = (&k.dram.counters, &k.dram.counters.bus);
    assert_eq!(
        bus.values().iter().sum::<u64>(),
        dram.cycles,
        "{}: bus",
        k.name
    );
    for label in bus.values() {
        assert!(
            label <= dram.cycles,
            "{}: a label of {label} cycles",
            k.name
        );
    }
    let pipes: u64 = k.pipes.named().map(|(_, p)| p.instructions).sum();
    assert_eq!(pipes, k.sm.counters.warp_instructions, "{}: pipes", k.name);
}

/// What one level asks for is what the next one serves.
fn levels_agree(k: &Kernel, run: &Run) {
    let spec = &run.config.spec;
    let (lsu, l1, l2) = (&k.lsu.counters, &k.l1.counters, &k.l2.counters);
    let noc = &k.noc.counters;
    let l1_all = l1.sector_reads + l1.sector_writes + l1.sector_atomics;
    assert_eq!(lsu.sector_requests, l1_all, "{}: LSU and L1", k.name);
    let read = l1.sector_hits + l1.sector_misses + l1.sector_mshr_hits;
    assert_eq!(read, l1.sector_reads, "{}: outcomes of L1 reads", k.name);
    let down = l1.sector_writes - l1.sector_local_writes + l1.sector_writebacks;
    assert_eq!(down, l2.sector_writes, "{}: writes", k.name);
    assert_eq!(l1.sector_atomics, l2.sector_atomics, "{}: atomics", k.name);
    assert_eq!(
        l2.read_hits + l2.read_misses + l2.read_mshr_hits,
        l2.sector_reads
    );
    assert_eq!(noc.requests, noc.replies, "{}: replies", k.name);
    let header = u64::from(spec.noc.header_bytes);
    let up = (l2.sector_writes + l2.sector_atomics) * SECTOR_BYTES;
    assert_eq!(
        noc.request_bytes,
        noc.requests * header + up,
        "{}: bytes to L2",
        k.name
    );
    // Reads of L2: those of the caches of the SMs, less what the coalescers joined, and the lookups for the
    // other partition.
    let asked = l1.sector_misses - noc.joined_sectors + k.fetch.counters.sector_requests;
    assert_eq!(
        l2.sector_reads,
        asked + l2.forwarded_sectors,
        "{}: reads",
        k.name
    );
    assert_eq!(l2.far_fills, l2.forwarded_sectors, "{}: far fills", k.name);
    assert!(
        l2.prefetch_hits <= l2.prefetches && l2.prefetches <= l2.fills - l2.far_fills,
        "{}: sectors that hints brought in",
        k.name
    );
    let dram = &k.dram.counters;
    assert_eq!(
        dram.reads + dram.forwarded_reads,
        l2.fills - l2.far_fills + dram.ecc_reads,
        "{}: fills",
        k.name
    );
    assert_eq!(
        l2.writebacks + dram.ecc_writes + dram.queued_writes_at_start,
        dram.writes + dram.merged_writes + dram.queued_writes_at_end,
        "{}: write-backs",
        k.name
    );
    if l2.sector_atomics == 0 {
        // A joined read has its own copy of the reply.
        let down = (asked + noc.joined_sectors) * SECTOR_BYTES;
        assert_eq!(
            noc.reply_bytes,
            noc.replies * header + down,
            "{}: bytes to SMs",
            k.name
        );
    }
    let metric = |name: &str| match k.metrics[name] {
        Number::Count(count) => count,
        Number::Real(_) => panic!("{name} is a count"),
    };
    let (hit, miss) = (
        metric("lts__t_sectors_op_read_lookup_hit.sum"),
        metric("lts__t_sectors_op_read_lookup_miss.sum"),
    );
    let all = metric("lts__t_sectors_op_read.sum");
    assert_eq!(hit + miss, all, "{}: lookups", k.name);
    assert!(
        metric("lts__t_sectors_srcunit_tex_op_read.sum") <= all,
        "{}: tex",
        k.name
    );
    if all > 0 {
        let rate = 100.0 * hit as f64 / all as f64;
        assert!(
            (k.l2.rates.read_hit_percent - rate).abs() < 1e-9,
            "{}: table and metric",
            k.name
        );
    }
}

#[test]
fn every_account_closes_on_every_kind_of_kernel() {
    for gpu in phantom_gpu::config::registry::names() {
        let spec = config::load(gpu, &[]).unwrap().spec;
        for input in INPUTS {
            if input.contains("hgemm") && spec.sm.tensor.f16_rate == 0 {
                continue;
            }
            let run = run(input, gpu);
            let kernel = &run.report.kernels[0];
            accounts_close(kernel, &run);
            levels_agree(kernel, &run);
            assert_eq!(kernel.counted_cycles, kernel.cycles);
            assert_eq!(
                kernel.warp_instructions,
                kernel.sm.counters.warp_instructions
            );
            assert_eq!(
                kernel.thread_instructions,
                kernel.sm.counters.thread_instructions
            );
        }
    }
}

/// What L2 has written back and DRAM has not yet written is in the queues between them, when a kernel begins as when
/// it ends. L2 is so small that it writes back all the time.
#[test]
fn write_backs_are_written_merged_or_queued() {
    for gpu in phantom_gpu::config::registry::names() {
        let spec = phantom_gpu::config::load(gpu, &[]).unwrap().spec;
        let set = u64::from(spec.l2.slices) * u64::from(spec.l2.ways) * LINE_BYTES;
        let small = format!("l2.bytes={}", 4 * set);
        let bytes = 12 * set;
        let (mut at_start, mut at_end) = (false, false);
        for input in [
            format!("synth:copy?bytes={bytes}&launches=3"),
            format!("synth:init?bytes={bytes}&launches=2"),
        ] {
            let run = run_with(&input, gpu, &[&small], &Options::default());
            let kernels = &run.report.kernels;
            for k in kernels {
                assert!(k.l2.counters.writebacks > 1000, "{gpu}, {input}: none");
                levels_agree(k, &run);
            }
            assert_eq!(kernels[0].dram.counters.queued_writes_at_start, 0);
            at_start |= kernels[1].dram.counters.queued_writes_at_start > 0;
            at_end |= kernels[1].dram.counters.queued_writes_at_end > 0;
        }
        assert!(at_start && at_end, "{gpu}: no write was ever queued");
    }
}

/// Local memory that fits L1 never leaves it; what does not fit is written back and read again.
#[test]
fn spills_stay_in_l1_while_they_fit() {
    let counters = |words: u64| {
        let input = format!("synth:local?iters=3&words={words}");
        // One set of 128 ways.
        let sets = [
            "l1.unified_bytes=16KiB",
            "l1.ways=128",
            "l1.carveouts_kib=[0]",
            "smem.per_cta_bytes_max=0",
        ];
        let run = run_with(&input, "v100", &sets, &Options::default());
        let l1 = run.report.kernels[0].l1.counters;
        // Three iterations of one warp, four sectors an access.
        assert_eq!(l1.sector_local_writes, 3 * words * 4);
        assert_eq!(l1.sector_reads, l1.sector_local_writes);
        (l1.sector_writebacks, l1.sector_misses)
    };
    assert_eq!(counters(128), (0, 0));
    // Twice the lines that there are: in LRU order every access finds its line gone, so each line is
    // written back once for each of its stores, the last ones driven out by the last loads.
    assert_eq!(counters(256), (3 * 256 * 4, 3 * 256 * 4));
}

/// Every SM reads the same 64 KiB from L2, four times.
const SHARED_LINES: &str = "synth:sweep?bytes=65536&total=262144&grid=114&cache=l2";

/// GH100 merges reads of a line by SMs of a GPC before L2: three join one, as counters of gpu-cache say
/// that a third to a quarter arrives.
#[test]
fn reads_of_shared_lines_are_merged_before_l2() {
    let noc_and_l2 = |entries: &str| {
        let sets = ["l2.partitions=1", entries];
        let run = run_with(SHARED_LINES, "h100-pcie", &sets, &Options::default());
        let kernel = &run.report.kernels[0];
        let (noc, l2) = (kernel.noc.counters, kernel.l2.counters);
        let inst = kernel.fetch.counters.l1_misses + kernel.fetch.counters.const_misses;
        let reads = noc.requests - noc.joined_requests - inst;
        // Whole lines, four sectors each.
        assert!(l2.sector_reads >= 4 * reads && l2.sector_reads <= 4 * (reads + inst));
        assert_eq!(noc.requests, noc.replies);
        (noc, l2.requests)
    };
    let (alone, all) = noc_and_l2("noc.coalescer_entries=0");
    assert_eq!((alone.joined_requests, alone.requests), (0, all));
    let (merged, fewer) = noc_and_l2("noc.coalescer_entries=1024");
    assert_eq!(merged.requests, alone.requests);
    assert_eq!(merged.requests - merged.joined_requests, fewer);
    let share = fewer as f64 / all as f64;
    assert!((0.25..0.4).contains(&share), "{share:.2} arrive");
}

#[test]
fn threads_and_skipping_change_no_byte() {
    for (input, gpu) in [
        ("synth:copy?bytes=512KiB&launches=2", "a100-80"),
        (
            "synth:local?grid=120&block=256&words=150&iters=2",
            "a100-80",
        ),
        ("synth:sgemm?m=128&n=128&k=32", "a100-80"),
        (SHARED_LINES, "h100-pcie"),
    ] {
        let first = json(&run(input, gpu).report).to_string();
        for threads in [2, 3, 5, 8] {
            let options = Options {
                threads,
                ..Options::default()
            };
            let other = json(&run_with(input, gpu, &[], &options).report).to_string();
            assert!(first == other, "{input} with {threads} threads differs");
        }
        let options = Options {
            no_skip: true,
            ..Options::default()
        };
        let other = json(&run_with(input, gpu, &[], &options).report).to_string();
        assert!(first == other, "{input} without skipping differs");
    }
}

#[test]
fn overlapping_kernels_share_counters_and_their_accounts_close() {
    let run = run("synth:copy?bytes=2MiB&launches=4&streams=4", "v100");
    let kernels = &run.report.kernels;
    assert_eq!(kernels.len(), 4);
    assert!(kernels.iter().all(|k| k.overlapped));
    for k in kernels {
        accounts_close(k, &run);
        assert!(k.warp_instructions <= k.sm.counters.warp_instructions);
        assert_eq!(k.warp_instructions, kernels[0].warp_instructions);
    }
    let said = &run.report.validity.assumptions;
    assert!(said.iter().any(|a| a.contains("overlap")), "{said:?}");
}

#[test]
fn kernels_of_a_stream_keep_their_distance() {
    let gaps = |gap: &str, streams: u32| -> Vec<i64> {
        let input = format!("synth:copy?bytes=1MiB&launches=3&streams={streams}");
        let set = format!("launch.stream_gap={gap}");
        let run = run_with(&input, "a100-80", &[&set], &Options::default());
        run.report
            .kernels
            .iter()
            .for_each(|k| accounts_close(k, &run));
        let kernels = run.result.kernels.iter();
        let spans: Vec<(i64, i64)> = kernels.map(|k| (k.start as i64, k.end as i64)).collect();
        spans.windows(2).map(|pair| pair[1].0 - pair[0].1).collect()
    };
    assert_eq!(gaps("0", 1), [0, 0]);
    assert_eq!(gaps("931", 1), [931, 931]);
    assert!(gaps("931", 3).iter().all(|gap| *gap < 0), "streams overlap");
}

#[test]
fn a_stopped_run_reports_what_was_done() {
    let options = Options {
        max_cycles: Some(8000),
        ..Options::default()
    };
    let run = run_with("synth:copy?bytes=8MiB&launches=2", "v100", &[], &options);
    assert_eq!(run.report.status, Status::MaxCycles);
    assert_eq!(run.report.kernels.len(), 1);
    let kernel = &run.report.kernels[0];
    assert!(kernel.partial && kernel.provenance.partial);
    assert!((8000..8200).contains(&kernel.cycles), "{}", kernel.cycles);
    assert!(kernel.warp_instructions > 0 && kernel.occupancy.achieved > 0.1);
    accounts_close(kernel, &run);
}

/// The events of a run's timeline.
fn timeline_of(run: &Run) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.json");
    timeline::write(&file, &run.report, &run.result, &run.config.spec).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let value: Value = serde_json::from_str(&text).unwrap();
    value["traceEvents"].as_array().unwrap().clone()
}

#[test]
fn a_timeline_is_ordered_nests_and_changes_nothing() {
    let input = "synth:copy?bytes=4MiB&launches=3&streams=2";
    let options = Options {
        timeline: Some(500),
        ..Options::default()
    };
    let watched = run_with(input, "v100", &[], &options);
    assert_eq!(json(&watched.report), json(&run(input, "v100").report));

    let events = timeline_of(&watched);
    let timed: Vec<&Value> = events.iter().filter(|e| e["ph"] != "M").collect();
    let ts = |e: &Value| e["ts"].as_f64().unwrap();
    assert!(timed.windows(2).all(|pair| ts(pair[0]) <= ts(pair[1])));

    let mut ends: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    let mut ctas = 0;
    for e in timed.iter().filter(|e| e["ph"] == "X") {
        let track = (e["pid"].as_u64().unwrap(), e["tid"].as_u64().unwrap());
        let end = ends.entry(track).or_insert(0.0);
        assert!(
            ts(e) >= *end - 1e-6,
            "slices of track {track:?} overlap: {e}"
        );
        *end = ts(e) + e["dur"].as_f64().unwrap();
        ctas += u64::from(track.0 == 3);
    }
    let launched: u64 = watched
        .report
        .kernels
        .iter()
        .map(|k| k.grid.iter().product::<u32>())
        .map(u64::from)
        .sum();
    assert_eq!(ctas, launched);

    let curves: Vec<&str> = timed
        .iter()
        .filter(|e| e["ph"] == "C")
        .filter_map(|e| e["name"].as_str())
        .collect();
    for name in [
        "DRAM GB/s",
        "issue utilisation %",
        "resident warps",
        "L2 read hit %",
    ] {
        assert!(curves.contains(&name), "{name}");
    }
}
