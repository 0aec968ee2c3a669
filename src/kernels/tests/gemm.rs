//! Tests of the matrix products: footprints, conflicts, and instruction mixes worked out by hand.

mod ampere;
mod multiply_adds;

use super::*;
use crate::isa::{MemKind, StaticInst};
use std::collections::{BTreeMap, BTreeSet};

/// Every kind of kernel, on a GPU that has it.
const KINDS: &[(&str, &str)] = &[
    // FP32: plain tiles, few rows, few columns, slices, Hopper's large threads.
    ("sgemm?", "v100"),
    ("sgemm?layout=nt&tile_m=64&warps_m=2", "t4"),
    (
        "sgemm?layout=tn&tile_m=64&tile_n=64&warps_m=2&warps_n=1",
        "v100",
    ),
    ("sgemm?layout=tt&tile_m=32&warps_m=2&warps_n=4", "v100"),
    ("sgemm?layout=nt&tile_n=32&warps_m=8&warps_n=1", "v100"),
    (
        "sgemm?layout=nt&tile_m=32&tile_n=32&tile_k=16&warps_m=1&warps_n=1&slices=4",
        "v100",
    ),
    (
        "sgemm?layout=nt&tile_m=32&tile_k=16&warps_m=1&warps_n=2&slices=4",
        "a100-80",
    ),
    ("sgemm?layout=tn", "a100-80"),
    ("sgemm?layout=nt", "h100-sxm"),
    ("sgemm?tile_m=64&tile_n=64&warps_m=1&warps_n=4", "h100-sxm"),
    ("sgemm?tile_m=256&tile_n=64&layout=tt", "h100-sxm"),
    ("sgemm?split=2&epilogue=none", "v100"),
    ("sgemm?split=2&merge=workspace", "a100-80"),
    ("sgemm?epilogue=gelu&raster=rows&swizzle=1", "a100-80"),
    // Tensor cores of each generation, with every layout.
    ("hgemm?layout=nt", "v100"),
    ("hgemm?layout=tn&epilogue=relu", "v100"),
    ("hgemm?tile_m=64&tile_n=64&warps_m=2&warps_n=2", "v100"),
    ("hgemm?layout=nt&acc=f16", "v100"),
    ("hgemm?layout=tn&acc=f16&epilogue=bias", "v100"),
    ("hgemm?acc=f16", "t4"),
    ("hgemm?layout=nt&acc=f16&split=2&merge=workspace", "a100-80"),
    ("hgemm?layout=nt", "t4"),
    ("hgemm?layout=tn", "t4"),
    ("hgemm?layout=nt&epilogue=bias", "a100-80"),
    ("hgemm?layout=tn&tile_k=64&stages=3", "a100-80"),
    ("hgemm?layout=nt&warps_m=4&warps_n=2", "a100-80"),
    ("hgemm?layout=tt&tile_m=256&warps_m=4&stages=3", "a100-80"),
    (
        "hgemm?tile_m=64&tile_n=64&tile_k=64&warps_m=2&warps_n=1&slices=2",
        "a100-80",
    ),
    ("hgemm?layout=nt&split=2&merge=workspace", "a100-80"),
    ("hgemm?type=bf16&layout=nt", "h100-sxm"),
    ("hgemm?type=tf32&layout=nn", "a100-80"),
    ("hgemm?type=tf32&layout=tt", "a100-80"),
    ("hgemm?type=i8&layout=nt", "a100-80"),
    ("hgemm?type=i8&layout=nt", "t4"),
    ("hgemm?type=f8&layout=nt", "rtx4090"),
];

fn product(kind: &str, shape: &str, name: &str) -> Kernel {
    kernel(&format!("synth:{kind}&{shape}"), name)
}

/// Bytes of A, B and C that a product touches, all within the matrices, and no byte of C twice (unless parts are added).
fn touches_exactly(kernel: &Kernel, sizes: [u64; 3], adds: u64) {
    let source = &kernel.header.source;
    let mut touched = [(); 5].map(|()| BTreeMap::<u64, u64>::new());
    for cta in 0..kernel.header.cta_count() {
        walk(kernel, cta, |_, index, lanes| {
            let mem = kernel.code.insts[index as usize].mem.unwrap();
            let width = u64::from(mem.width_bytes);
            if mem.space == MemSpace::Shared {
                let end = u64::from(kernel.header.smem_bytes);
                assert!(lanes.iter().all(|lane| lane + width <= end), "{source}");
                return;
            }
            for &lane in lanes {
                let offset = lane - array(0);
                assert_eq!(offset % width, 0, "{source}: not aligned");
                let matrix = (offset >> 36) as usize;
                for byte in (offset..offset + width).step_by(width.min(2) as usize) {
                    *touched[matrix].entry(byte & ((1 << 36) - 1)).or_default() += 1;
                }
            }
        });
    }
    let results = if touched[4].is_empty() { 2 } else { 4 };
    let (parts, times) = match results {
        4 => (adds, 1),
        _ => (1, adds),
    };
    let wanted = [sizes[0], sizes[1], sizes[2] * parts];
    for (place, (matrix, size)) in [0, 1, results].into_iter().zip(wanted).enumerate() {
        let map = &touched[matrix];
        let unit = if map.contains_key(&1) { 1 } else { 2 };
        assert_eq!(map.len() as u64 * unit, size, "{source}: matrix {place}");
        assert!(*map.last_key_value().unwrap().0 < size, "{source}");
    }
    let once = touched[results].values().all(|&count| count == times);
    assert!(once, "{source}: a result is stored {times} times");
}

#[test]
fn products_touch_their_matrices_exactly() {
    let shapes = [
        (129, 136, 72),
        (70, 68, 44),
        (33, 262, 66),
        (257, 131, 37),
        (1, 8, 80),
    ];
    for (kind, name) in KINDS {
        for (m, n, k) in shapes {
            let narrow = kind.contains("type=i8") || kind.contains("type=f8");
            // 128 threads have no registers for a tile of 128 x 128 in pieces of two bytes.
            let few = kind.starts_with("hgemm") && !kind.contains("warps_m=4&warps_n=2");
            let k = if narrow {
                k / 4 * 4
            } else if few {
                k / 2 * 2
            } else {
                k
            };
            let [m, n] = [m, n].map(|edge| if few { (edge / 2 * 2).max(2) } else { edge });
            let [size, out] = match kind {
                _ if kind.contains("type=i8") => [1, 4],
                _ if kind.contains("type=f8") => [1, 2],
                _ if kind.starts_with("sgemm") || kind.contains("tf32") => [4, 4],
                _ => [2, if kind.contains("split") { 4 } else { 2 }],
            };
            let kernel = product(kind, &format!("m={m}&n={n}&k={k}&batch=2"), name);
            let sizes = [2 * m * k * size, 2 * k * n * size, 2 * m * n * out];
            touches_exactly(&kernel, sizes, if kind.contains("split") { 2 } else { 1 });
        }
    }
}

/// Rows of few bytes may meet the row after next in a bank: a warp of 32 columns of halves, read back.
#[test]
fn shared_accesses_of_products_do_not_conflict() {
    for (kind, name) in KINDS {
        for k in [96, 36] {
            if k == 36 && !kind.starts_with("sgemm") {
                continue;
            }
            let kernel = product(kind, &format!("m=256&n=256&k={k}"), name);
            walk(&kernel, 0, |_, index, lanes| {
                let inst = &kernel.code.insts[index as usize];
                let mem = inst.mem.unwrap();
                if mem.space == MemSpace::Shared {
                    let ways = conflict(lanes, u64::from(mem.width_bytes));
                    let text = &kernel.code.mnemonics[inst.mnemonic as usize];
                    let half_rows = mem.width_bytes == 16
                        && text.starts_with("LDS.")
                        && kind.starts_with("hgemm");
                    assert!(
                        ways == 1 || half_rows && ways == 2,
                        "{kind} on {name}: {text} {ways} at {}",
                        inst.pc
                    );
                }
            });
        }
    }
}

/// The instructions of the loop.
fn body(kernel: &Kernel) -> Vec<StaticInst> {
    let insts = &kernel.code.insts;
    let end = insts
        .iter()
        .position(|inst| inst.class == OpClass::Branch)
        .unwrap();
    let first = (insts[end].imm / 16) as usize;
    insts[first..=end].to_vec()
}

/// How many of each mnemonic, by the text before the first dot.
fn mix(kernel: &Kernel) -> BTreeMap<String, usize> {
    let mut mix = BTreeMap::new();
    for inst in body(kernel) {
        let text = &kernel.code.mnemonics[inst.mnemonic as usize];
        let base = text.split('.').next().unwrap().to_owned();
        *mix.entry(base).or_default() += 1;
    }
    mix
}

fn assert_mix(kernel: &Kernel, wanted: &[(&str, usize)]) {
    let mix = mix(kernel);
    for (text, count) in wanted {
        let found = mix.get(*text).copied().unwrap_or(0);
        assert_eq!(found, *count, "{text} of {}: {mix:?}", kernel.header.source);
    }
    let overhead = [
        "IADD3",
        "LOP3",
        "ISETP",
        "BRA",
        "BAR",
        "DEPBAR",
        "LDGDEPBAR",
    ];
    let known = wanted.iter().map(|(text, _)| *text).chain(overhead);
    let known: BTreeSet<_> = known.collect();
    assert!(
        mix.keys().all(|text| known.contains(text.as_str())),
        "{mix:?}"
    );
}

#[test]
fn loops_have_the_instructions_of_their_tiles() {
    let shape = "m=256&n=256&k=256";
    // 128 x 64 x 8 of 128 threads: 8 x 8 x 8 multiply-adds a thread; 12 numbers of A and B in three vectors, of which
    // those along the depth are stored one by one; four reads of 16 bytes for each of eight steps.
    let tile = "sgemm?layout=nt&tile_m=64&tile_n=128&warps_m=2&warps_n=2";
    assert_mix(
        &product(tile, shape, "v100"),
        &[("FFMA", 512), ("LDG", 3), ("STS", 12), ("LDS", 32)],
    );
    // Rows along n are stored as they come. Odd rows come number by number.
    let tile = "sgemm?layout=tn&tile_m=64&tile_n=128&warps_m=2&warps_n=2";
    assert_mix(
        &product(tile, shape, "v100"),
        &[("FFMA", 512), ("LDG", 3), ("STS", 3), ("LDS", 32)],
    );
    assert_mix(
        &product(tile, "m=255&n=255&k=255", "v100"),
        &[("FFMA", 512), ("LDG", 12), ("STS", 12), ("LDS", 32)],
    );
    // Hopper's 8 x 16 results of a thread: six reads for 128 multiply-adds. Numbers are copied one by one, eight of A and
    // eight of B.
    assert_mix(
        &product("sgemm?", shape, "h100-sxm"),
        &[("FFMA", 1024), ("LDGSTS", 16), ("LDS", 48)],
    );
    // 64 x 64 of a warp, two steps of 16 halves: 4 x 8 products, and four reads of A and of B, a step.
    assert_mix(
        &product("hgemm?layout=nt", shape, "a100-80"),
        &[("HMMA", 64), ("LDGSTS", 8), ("LDSM", 16)],
    );
    // 64 x 32 of a warp: a Volta step multiplies 8 x 8 x 4 for four quads, 256 in all.
    assert_mix(
        &product("hgemm?layout=nt", shape, "v100"),
        &[
            ("HMMA", 64 * 32 * 32 / 256),
            ("LDG", 4),
            ("STS", 4),
            ("LDS", 8 * 6),
        ],
    );
    assert_mix(
        &product("hgemm?layout=tn", shape, "v100"),
        &[
            ("HMMA", 64 * 32 * 32 / 256),
            ("LDG", 4),
            ("STS", 4),
            ("LDS", 8 * 3),
        ],
    );
    // Turing multiplies 16 x 8 x 8.
    assert_mix(
        &product("hgemm?layout=nt", shape, "t4"),
        &[
            ("HMMA", 64 * 32 * 32 / 1024),
            ("LDG", 4),
            ("STS", 4),
            ("LDSM", 12),
        ],
    );
}

#[test]
fn registers_and_shared_memory_leave_room_for_the_ctas_of_libraries() {
    let of = |kind: &str, name: &str| {
        let header = product(kind, "m=256&n=256&k=256", name).header;
        (header.registers_per_thread, header.smem_bytes)
    };
    // Four CTAs of 128 threads: at most 128 registers.
    let (registers, bytes) = of("sgemm?layout=nt&tile_m=64&warps_m=2&warps_n=2", "v100");
    assert!(registers <= 128, "{registers}");
    // Rows of 64 and 128 numbers, padded by four, for eight depths, twice.
    assert_eq!(bytes, 2 * 8 * (68 + 132) * 4);
    // Two CTAs of 256 threads on Volta.
    let (registers, bytes) = of("hgemm?layout=nt", "v100");
    assert!(registers <= 128, "{registers}");
    assert_eq!(bytes, 2 * 256 * 64);
    // Two CTAs of 128 threads, five stages of 16 KiB each.
    let (registers, bytes) = of("hgemm?layout=nt", "a100-80");
    assert!(registers <= 255, "{registers}");
    assert_eq!(bytes, 5 << 14);
}

/// Sums of 16 bits: half the registers, the same products, nothing to convert on the way out.
#[test]
fn narrow_sums_take_half_the_registers() {
    let shape = "m=256&n=256&k=64";
    for (name, steps) in [("v100", 2), ("t4", 1), ("a100-80", 1)] {
        let of = |acc: &str| product(&format!("hgemm?layout=nt{acc}"), shape, name);
        let (wide, narrow) = (of(""), of("&acc=f16"));
        let products = |kernel: &Kernel| mix(kernel)["HMMA"];
        assert_eq!(products(&wide), steps * products(&narrow), "{name}");
        let registers = |kernel: &Kernel| kernel.header.registers_per_thread;
        let sums = (128 * 128 / wide.header.block[0]) as u16;
        assert_eq!(registers(&wide) - registers(&narrow), sums / 2, "{name}");
        let converts = |kernel: &Kernel| {
            kernel
                .code
                .mnemonics
                .iter()
                .any(|text| text.starts_with("F2F"))
        };
        assert!(converts(&wide) && !converts(&narrow), "{name}");
    }
    for wrong in ["type=bf16", "type=tf32", "slices=2&tile_k=64"] {
        let text = format!("synth:hgemm?{shape}&acc=f16&{wrong}");
        let refused = crate::kernels::synth::parse(&text, &gpu("a100-80")).err();
        assert!(
            refused.is_some_and(|e| e.to_string().contains("acc=f16")),
            "{wrong}"
        );
    }
}

#[test]
fn results_leave_in_whole_lines() {
    let kernel = product("hgemm?layout=nt", "m=128&n=128&k=32", "a100-80");
    walk(&kernel, 0, |_, index, lanes| {
        let mem = kernel.code.insts[index as usize].mem.unwrap();
        if mem.kind == MemKind::Store && mem.space == MemSpace::Global {
            assert_eq!(mem.width_bytes, 16);
            // 32 lanes of 16 bytes: 64 halves, or 128 bytes, of each of four rows.
            let lines: BTreeSet<_> = lanes.iter().map(|lane| lane / 128).collect();
            assert_eq!((lanes.len(), lines.len()), (32, 4));
        }
    });
}

/// A part of the iterations has the same instructions a trip as all of them, and its loads begin where it does.
#[test]
fn a_part_of_the_iterations_is_like_the_whole() {
    for (kind, name) in [
        ("sgemm?layout=nt", "v100"),
        ("hgemm?", "a100-80"),
        ("sgemm?", "a100-80"),
    ] {
        let kernel = product(kind, "m=128&n=128&k=4096", name);
        let generator = generator(&kernel);
        let count = |iterations: Range<u64>| {
            let mut out = CtaEncoder::default();
            generator.generate(0, iterations, &mut out);
            out.counts().0
        };
        let all = generator.iterations(0);
        let each = count(0..2) - count(0..1);
        assert_eq!(count(0..all), count(0..1) + (all - 1) * each, "{kind}");
        assert_eq!(count(7..19), count(0..12), "{kind}");
        assert_eq!(
            each,
            body(&kernel).len() as u64 * u64::from(kernel.header.warps_per_cta())
        );
    }
}
