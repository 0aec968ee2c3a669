//! `research.divergence`, of kernels whose numbers follow from their text.

use super::compiled::study;
use serde_json::{Value as Json, json};
use std::fs;
use tempfile::TempDir;

const FEATURE: &[&str] = &["memory-divergence-research"];

/// A trace of `ctas` CTAs of one warp each, which all run `insts`, and the file that names it.
fn trace(ctas: u32, insts: &[&str]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = format!(
        "-kernel name = probe\n-kernel id = 1\n-grid dim = ({ctas},1,1)\n-block dim = (32,1,1)\n\
         -shmem = 4096\n-nregs = 16\n-binary version = 70\n-cuda stream id = 0\n\
         -shmem base_addr = 0x00007f0000000000\n-local mem base_addr = 0x00007f0001000000\n\
         -nvbit version = 1.5.5\n-accelsim tracer version = 4\n-enable lineinfo = 0\n\n\
         #traces format = PC mask dest_num [reg_dests] opcode src_num [reg_srcs] mem_width \
         [adrrescompress?] [mem_addresses]\n\n"
    );
    for cta in 0..ctas {
        text.push_str(&format!(
            "#BEGIN_TB\n\nthread block = {cta},0,0\n\nwarp = 0\ninsts = {}\n{}\n\n#END_TB\n\n",
            insts.len(),
            insts.join("\n")
        ));
    }
    fs::write(folder.path().join("kernel-1.traceg"), text).unwrap();
    let list = folder.path().join("kernelslist.g");
    fs::write(&list, "kernel-1.traceg\n").unwrap();
    let list = list.display().to_string();
    (folder, list)
}

fn section(gpu: &str, input: &str, sets: &[&str]) -> Json {
    study(FEATURE, gpu, input, sets).findings[0].data.clone()
}

fn row<'a>(data: &'a Json, list: &str, pc: u32) -> &'a Json {
    let mut rows = data[list].as_array().unwrap().iter();
    let found = rows.find(|row| row["pc"] == pc);
    found.unwrap_or_else(|| panic!("{list} has no {pc:#x}: {data}"))
}

/// Twelve of 32 lanes jump over a load that the other twenty make.
#[test]
fn lanes_and_splits_are_those_of_the_masks() {
    let (_folder, list) = trace(
        3,
        &[
            "0000 ffffffff 1 R1 MOV 0 0",
            "0010 00000fff 0 BRA 0 0",
            "0020 fffff000 1 R2 LDG.E.SYS 1 R4 4 1 0x7f4000000000 4",
            "0030 fffff000 0 BRA 0 0",
            "0040 00000fff 1 R3 FADD 2 R5 R6 0",
            "0050 ffffffff 0 BSYNC 0 0",
            "0060 ffffffff 0 EXIT 0 0",
        ],
    );
    let data = section("v100", &list, &[]);
    let histogram = data["active_lane_histogram"].as_array().unwrap();
    assert_eq!(histogram.len(), 33);
    for (lanes, bin) in histogram.iter().enumerate() {
        let expected = match lanes {
            12 => (6, 0),
            20 => (6, 3),
            32 => (9, 0),
            _ => (0, 0),
        };
        let counts = (&bin["instructions"], &bin["memory_instructions"]);
        assert_eq!(counts, (&json!(expected.0), &json!(expected.1)), "{lanes}");
    }
    assert_eq!(data["active_lanes"], 160.0 / 7.0);
    assert_eq!(data["memory_active_lanes"], 20.0);
    // The jump over the other side is no split: all that are there take it.
    let splits = |pc| {
        let row = row(&data, "branches", pc);
        ["executions", "active_lanes", "splits"].map(|name| row[name].as_f64().unwrap())
    };
    assert_eq!(splits(0x10), [3.0, 32.0, 3.0]);
    assert_eq!(splits(0x30), [3.0, 20.0, 0.0]);
    assert_eq!(data["split_share"], 0.5);
    let rows = data["divergence"].as_array().unwrap();
    let order: Vec<u64> = rows.iter().map(|row| row["pc"].as_u64().unwrap()).collect();
    assert_eq!(order, [0x40, 0x20, 0x00, 0x50, 0x60]);
    let add = row(&data, "divergence", 0x40);
    assert_eq!(
        (&add["opcode"], &add["kernel"]),
        (&json!("FADD"), &json!("probe"))
    );
    assert_eq!(
        (&add["active_lanes"], &add["idle_lanes"]),
        (&json!(12.0), &json!(60))
    );
    // Twenty words side by side are 80 bytes: three sectors, and three they fill.
    let load = row(&data, "requests", 0x20);
    assert_eq!(
        (&load["requests"], &load["active_lanes"]),
        (&json!(3), &json!(20.0))
    );
    assert_eq!(load["sectors_per_request"], 3.0);
    assert_eq!(load["ideal_sectors_per_request"], 3.0);
}

/// Lanes at known distances, and words of shared memory in the same bank.
#[test]
fn sectors_and_passes_of_a_request_follow_from_its_stride() {
    let (_folder, list) = trace(
        2,
        &[
            "0000 ffffffff 1 R2 LDG.E.SYS 1 R4 4 1 0x7f4000000000 4",
            "0010 ffffffff 1 R2 LDG.E.SYS 1 R4 4 1 0x7f4000100000 8",
            "0020 ffffffff 1 R2 LDG.E.SYS 1 R4 4 1 0x7f4000200000 128",
            "0030 ffffffff 1 R2 LDG.E.SYS 1 R4 4 1 0x7f4000300000 0",
            "0040 0000000f 1 R2 LDG.E.SYS 1 R4 4 1 0x7f4000400000 256",
            "0050 ffffffff 1 R2 LDS.U 1 R4 4 1 0x0 4",
            "0060 ffffffff 1 R2 LDS.U 1 R4 4 1 0x0 16",
            "0070 00000000 1 R2 LDG.E.SYS 1 R4 0",
            "0080 ffffffff 0 EXIT 0 0",
        ],
    );
    let data = section("v100", &list, &[]);
    for (pc, sectors, ideal) in [
        (0x00, 4.0, 4.0),
        (0x10, 8.0, 4.0),
        (0x20, 32.0, 4.0),
        (0x30, 1.0, 4.0),
        (0x40, 4.0, 1.0),
    ] {
        let row = row(&data, "requests", pc);
        assert_eq!(row["sectors_per_request"], sectors, "{pc:#x}");
        assert_eq!(row["ideal_sectors_per_request"], ideal, "{pc:#x}");
        assert_eq!(row["requests"], 2, "{pc:#x}");
    }
    // No lane, no request.
    assert_eq!(data["requests"].as_array().unwrap().len(), 5);
    assert_eq!(data["sectors_per_request"], 49.0 / 5.0);
    assert_eq!(data["ideal_sectors_per_request"], 17.0 / 5.0);
    // The one with most sectors beyond the ideal is the first.
    assert_eq!(data["requests"][0]["pc"], 0x20);
    for (pc, passes) in [(0x50, 1.0), (0x60, 4.0)] {
        let row = row(&data, "shared", pc);
        assert_eq!(row["passes_per_request"], passes, "{pc:#x}");
        assert_eq!(row["ideal_passes_per_request"], 1.0);
    }
    assert_eq!(data["shared_passes_per_request"], 2.5);
}

/// A ring of `lines` lines that are `stride` bytes apart: one lap, and `again` loads more.
fn ring(lines: u64, stride: u64, again: u64, sets: &[&str]) -> Json {
    let bytes = lines * stride;
    let input = format!(
        "synth:pchase?bytes={bytes}&stride={stride}&iters={again}&warmup=1&cache=all&order=linear"
    );
    let sets = [&["l1.replacement=lru"], sets].concat();
    section("v100", &input, &sets)["thrashing"].clone()
}

/// As many lines as L1 has are fetched once. With one more, LRU loses each line just before it is wanted again.
#[test]
fn a_working_set_of_the_cache_stays_and_one_line_more_does_not() {
    // All of L1 as one set of 1,024 lines; then one of its four sets, in which 256 lines meet.
    let whole = (1024, 128, &["l1.ways=1024"][..]);
    let set = (256, 512, &["l1.set_hash=linear"][..]);
    for (lines, stride, sets) in [whole, set] {
        let fits = ring(lines, stride, 900, sets);
        assert_eq!(fits["detected"], false);
        assert_eq!(fits["fetched_sectors"], lines);
        assert_eq!(fits["evicted_lines"], 0);
        assert_eq!(fits["evidence"].as_array().unwrap().len(), 0);

        let more = ring(lines + 1, stride, 900, sets);
        assert_eq!(more["detected"], true);
        assert_eq!(more["fetched_sectors"], lines + 1 + 900);
        assert_eq!(more["evicted_lines"], 1 + 900);
        assert_eq!(more["refetched_lines"], 900);
        assert_eq!(more["refetched_sectors"], 900);
        assert_eq!(more["refetched_share"], 900.0 / (lines as f64 + 901.0));
        assert_eq!(more["forgotten_lines"], 0);
        // 64 loads follow each other in a loop; every 64 lines each of them is one further in the ring than it was.
        let evidence = more["evidence"].as_array().unwrap();
        let sum = |name: &str| -> u64 { evidence.iter().map(|e| e[name].as_u64().unwrap()).sum() };
        let other = more["other_sectors"].as_u64().unwrap();
        assert_eq!(sum("refetched_sectors") + other, 900);
        for finding in evidence {
            for opcode in ["opcode", "evicted_by_opcode", "missed_by_opcode"] {
                assert!(
                    finding[opcode].as_str().unwrap().starts_with("LDG"),
                    "{finding}"
                );
            }
            // Who wants the line back is the one behind who drove it out.
            let [by, again] =
                ["evicted_by_pc", "missed_by_pc"].map(|n| finding[n].as_u64().unwrap());
            let behind = again == by + 16 || by == again + 63 * 16;
            assert!(behind, "{finding}");
            assert_eq!(finding["other_cta_share"], 0.0);
            assert_eq!(finding["kernel"], "pchase");
        }
    }
}

/// The threshold is a tenth of what was fetched: 113 of 1,138 are less, 114 of 1,139 are more.
#[test]
fn a_tenth_of_the_sectors_fetched_again_is_thrashing() {
    for (again, detected) in [(113, false), (114, true)] {
        let found = ring(1025, 128, again, &["l1.ways=1024"]);
        assert_eq!(found["refetched_sectors"], again);
        assert_eq!(found["fetched_sectors"], 1025 + again);
        assert_eq!(found["detected"], detected);
    }
}

/// A line is wanted back right after it was driven out: the time between is that of one load, less its way to the fill.
#[test]
fn a_finding_says_how_long_the_line_was_gone() {
    let input = "synth:pchase?bytes=131200&stride=128&iters=500&warmup=1&cache=all&order=linear";
    let found = study(
        FEATURE,
        "v100",
        input,
        &["l1.replacement=lru", "l1.ways=1024"],
    );
    let load = found.report.totals.cycles as f64 / 1525.0;
    for finding in found.findings[0].data["thrashing"]["evidence"]
        .as_array()
        .unwrap()
    {
        let gone = finding["gone_cycles"].as_f64().unwrap();
        let least = finding["gone_cycles_least"].as_f64().unwrap();
        assert!(
            least <= gone && gone > 0.0 && gone < load,
            "{gone} of {load}"
        );
    }
}

/// Whatever the kernel: what was seen is what the counters say.
#[test]
fn the_section_closes_over_the_counters() {
    for (gpu, input, sets) in [
        ("v100", "synth:gather?per=4&grid=200&span=1MiB", &[][..]),
        ("a100-80", "synth:hgemm?m=128&n=128&k=64", &[]),
        ("v100", "synth:local", &["l1.carveouts_kib=[96]"]),
        ("v100", "synth:smem?grid=2", &["l1.write=through_validate"]),
    ] {
        let found = study(FEATURE, gpu, input, sets);
        let data = &found.findings[0].data;
        let kernel = &found.report.kernels[0];
        let (lsu, l1) = (&kernel.lsu.counters, &kernel.l1.counters);
        let bins = data["active_lane_histogram"].as_array().unwrap();
        let count = |bin: &Json| bin["instructions"].as_u64().unwrap();
        let all: u64 = bins.iter().map(count).sum();
        let lanes: u64 = (0..).zip(bins).map(|(n, bin)| n * count(bin)).sum();
        assert_eq!(data["warp_instructions"], all);
        assert_eq!(all, kernel.warp_instructions);
        assert_eq!(lanes, kernel.thread_instructions);
        let sum = |list: &str, of: &str, times: &str| -> u64 {
            let rows = data[list].as_array().unwrap().iter();
            let product = |row: &Json| row[of].as_f64().unwrap() * row[times].as_f64().unwrap();
            rows.map(product).sum::<f64>().round() as u64
        };
        assert_eq!(
            sum("requests", "sectors_per_request", "requests"),
            lsu.sector_requests,
            "{input}"
        );
        assert_eq!(
            sum("shared", "passes_per_request", "requests"),
            lsu.shared_passes
        );
        let executions = |list: &str| -> u64 {
            let rows = data[list].as_array().unwrap().iter();
            rows.map(|row| row["executions"].as_u64().unwrap()).sum()
        };
        let executed = executions("divergence") + executions("branches");
        let rows = data["divergence"].as_array().unwrap().len();
        assert_eq!(executed == all, rows < 400, "{input}: {rows} are listed");
        let thrashing = &data["thrashing"];
        assert_eq!(thrashing["evicted_lines"], l1.evictions, "{input}");
        // cp.async passes L1 by.
        let served = thrashing["fetched_sectors"] == l1.sector_misses;
        assert_eq!(served, !input.contains("hgemm"), "{input}");
    }
}

/// A ring that fits L2 is fetched once. Of one that is far larger, LRU has lost each line when it is wanted again.
#[test]
fn what_falls_out_of_l2_is_fetched_from_dram_again() {
    for (bytes, lines, again) in [("4MiB", 1024, 0), ("16MiB", 4096, 600)] {
        let input = format!(
            "synth:pchase?bytes={bytes}&stride=4096&iters=600&warmup=1&cache=l2&order=linear"
        );
        let sets = ["l2.replacement=lru", "l2.hash=linear"];
        let found = study(FEATURE, "v100", &input, &sets);
        let thrashing = &found.findings[0].data["thrashing"];
        let l2 = &thrashing["l2"];
        assert_eq!(l2["fetched_sectors"], lines + again);
        assert_eq!(
            l2["fetched_sectors"],
            found.report.kernels[0].dram.counters.reads
        );
        assert_eq!(l2["refetched_sectors"], again);
        assert_eq!(l2["unfollowed_sectors"], 0);
        assert_eq!(thrashing["detected"], again > 0);
        // Loads that pass L1 by are none of its.
        assert_eq!(thrashing["fetched_sectors"], 0);
        let evidence = l2["evidence"].as_array().unwrap();
        let rows: Vec<_> = evidence.iter().map(|e| &e["refetched_sectors"]).collect();
        let expected = [json!(again)];
        assert_eq!(
            rows,
            expected.iter().filter(|_| again > 0).collect::<Vec<_>>()
        );
    }
}
