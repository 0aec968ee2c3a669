//! Tests of the memory-efficient and the paged attention, and of FlashAttention 2's backward.

use super::rows::{assert_all, kernels, mix, touch};
use super::*;

#[test]
fn efficient_attention_touches_its_tensors() {
    for (b, h, kvh, sq, sk, d, data) in [
        (2, 2, 2, 130, 130, 64, "f16"),
        (1, 4, 2, 70, 200, 128, "bf16"),
        (1, 1, 1, 64, 33, 40, "f16"),
        (1, 2, 1, 20, 300, 80, "f16"),
    ] {
        let spec = format!(
            "synth:attention?b={b}&h={h}&kvh={kvh}&sq={sq}&sk={sk}&d={d}&type={data}&impl=efficient"
        );
        let made = kernels(&spec, "a100-80");
        let touched = touch(&made);
        for (operand, bytes) in [
            (0, b * sq * h * d * 2),
            (1, b * sk * kvh * d * 2),
            (2, b * sk * kvh * d * 2),
        ] {
            assert_eq!(
                touched.read[operand].len() as u64,
                bytes,
                "{spec}: {operand}"
            );
        }
        assert_all(&touched.written[3], 3, b * sq * h * d * 2, 1, &spec);
        assert_all(&touched.written[4], 4, b * h * sq * 4, 1, &spec);
    }
}

#[test]
fn efficient_attention_multiplies_by_hand() {
    // 64 queries, two blocks of 64 keys, heads of 64: four warps of 32 x 32.
    let spec = "synth:attention?b=1&h=1&sq=64&sk=128&d=64&type=f16&impl=efficient";
    let made = kernels(spec, "a100-80");
    assert_eq!(
        (made[0].header.grid, made[0].header.block),
        ([1, 1, 1], [32, 4, 1])
    );
    // Three stages of queries and keys, weights, three stages of values, 4 + 2 words of each row.
    let smem = 3 * (64 + 64) * 64 + 64 * 128 + 3 * 32 * 128 + 64 * 4 * 6;
    assert_eq!(made[0].header.smem_bytes, smem);
    let of = mix(&made[0], 0);
    assert_eq!(of["HMMA"], 2 * 2 * (64 / 16) * (64 / 8) * (64 / 16));
    // A warp and step of 16: two fragments of each operand.
    assert_eq!(of["LDSM"], 4 * 2 * 2 * 4 * 4);
    // An exponential for each score, a factor of each row by two warps, reciprocals of 4 rows, logarithms.
    assert_eq!(of["MUFU"], 4 * 2 * 32 + 2 * 2 + 4 * 4 + 4);
    // Both operands come again for every block: 64 elements in two stages, one more asked for that is not there, twice.
    assert_eq!(of["LDGSTS"], 4 * 2 * ((2 + 2) * (2 + 2) + 2 * (2 + 2)));
    // Keys that a tile of causal queries does not see are no block of it.
    let causal = kernels(
        "synth:attention?b=1&h=1&sq=256&d=64&causal=1&type=f16&impl=efficient",
        "a100-80",
    );
    let trips: Vec<_> = (0..4).map(|cta| causal[0].ctas.iterations(cta)).collect();
    assert_eq!(trips, [1, 2, 3, 4]);
    for kernel in [&made[0], &causal[0]] {
        walk(kernel, 0, |_, index, lanes| {
            let mem = kernel.code.insts[index as usize].mem.unwrap();
            if mem.space == MemSpace::Shared && mem.width_bytes == 16 {
                assert_eq!(conflict(lanes, 16), 1, "{lanes:x?}");
            }
        });
    }
    let refused = parse(
        "synth:attention?b=1&h=1&sq=64&d=256&type=f16&impl=efficient",
        &gpu("a100-80"),
    );
    assert!(refused.err().unwrap().to_string().contains("d=256"));
}

#[test]
fn paged_attention_reads_every_block_once() {
    for (b, h, kvh, sk, d, parts) in [
        (2u64, 4u64, 4u64, 400u64, 128u64, 1u64),
        (1, 2, 1, 1040, 64, 3),
        (3, 2, 2, 512, 80, 1),
        (1, 1, 1, 2048, 256, 4),
    ] {
        let spec =
            format!("synth:attention?b={b}&h={h}&kvh={kvh}&sq=1&sk={sk}&d={d}&type=f16&impl=paged");
        let made = kernels(&spec, "a100-80");
        assert_eq!(made.len() as u64, parts.min(2), "{spec}");
        let grid = made[0].header.grid.map(u64::from);
        assert_eq!(
            (grid, made[0].header.block),
            ([h, b, parts], [128, 1, 1]),
            "{spec}"
        );
        let touched = touch(&made);
        let shares = (h / kvh) as u32;
        let blocks = sk.div_ceil(16) * 16;
        for operand in [1, 2] {
            assert_all(
                &touched.read[operand],
                operand,
                b * kvh * blocks * d * 2,
                shares,
                &spec,
            );
        }
        assert_all(&touched.read[0], 0, b * h * d * 2, parts as u32, &spec);
        let results = b * h * d * 2;
        assert_all(&touched.written[3], 3, results * parts, 1, &spec);
        if parts > 1 {
            assert_all(&touched.read[3], 3, results * parts, 1, &spec);
            assert_all(&touched.written[5], 5, results, 1, &spec);
            assert_all(&touched.written[4], 4, b * h * parts * 4, 1, &spec);
            assert_all(&touched.read[7], 7, b * h * parts * 4, 1, &spec);
        }
    }
}

#[test]
fn paged_attention_by_hand() {
    // Four blocks, one a warp: 16 loads of 8 bytes of keys, 8 of 16 bytes of values.
    let made = kernels(
        "synth:paged_kernel?b=1&h=1&kvh=1&sk=64&d=128&type=f16",
        "a100-80",
    );
    let of = mix(&made[0], 0);
    // Lengths and two tables a warp; one warp loads the query.
    assert_eq!(of["LDG"], 4 * (1 + 2 + 16 + 8) + 1);
    assert_eq!(of["STG"], 8);
    // Keys: 64 elements a lane, first of each four a product; values: 8 rows of 8 tokens.
    assert_eq!(of["FFMA"], 4 * (15 * 4 + 8 * 7));
    // Two blocks behind each other in a table lie apart in memory.
    let made = kernels(
        "synth:paged_kernel?b=8&h=1&kvh=1&sk=1024&d=64&type=f16",
        "a100-80",
    );
    let mut keys = Vec::new();
    walk(&made[0], 0, |_, _, lanes| {
        if (array(1)..array(2)).contains(&lanes[0]) {
            keys.push(lanes[0] / 2048);
        }
    });
    keys.dedup();
    let side_by_side = keys
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) == 1)
        .count();
    assert!(
        side_by_side * 4 < keys.len(),
        "{side_by_side} of {}",
        keys.len()
    );
}

#[test]
fn backward_attention_touches_its_tensors() {
    for (b, h, sq, sk, d, data) in [
        (1u64, 2u64, 130u64, 130u64, 64u64, "f16"),
        (2, 1, 64, 200, 128, "bf16"),
        (1, 1, 100, 33, 40, "f16"),
    ] {
        let spec =
            format!("synth:attention?b={b}&h={h}&sq={sq}&sk={sk}&d={d}&type={data}&backward=1");
        let made = kernels(&spec, "a100-80");
        assert_eq!(made.len(), 3, "{spec}");
        let (of_queries, of_keys) = (b * sq * h * d * 2, b * sk * h * d * 2);
        let padded = if d <= 64 { 64 } else { 128 };
        let sums = b * h * sq.next_multiple_of(128) * padded * 4;
        // Before: results and their gradients are read, numbers written, sums cleared.
        let before = touch(&made[..1]);
        assert_all(&before.read[3], 3, of_queries, 1, &spec);
        assert_all(&before.read[5], 5, of_queries, 1, &spec);
        assert_eq!(before.written[4].len() as u64, b * h * sq * 4, "{spec}");
        assert!(
            before.written[6].len() as u64 >= b * h * sq * padded * 4,
            "{spec}"
        );
        // Gradients of keys and values are stored once, those of queries added for each tile of keys.
        let main = touch(&made[1..2]);
        for (operand, bytes) in [(0, of_queries), (1, of_keys), (2, of_keys), (5, of_queries)] {
            assert_eq!(main.read[operand].len() as u64, bytes, "{spec}: {operand}");
        }
        assert_eq!(main.written[7].len() as u64, 2 * of_keys, "{spec}");
        assert!(main.written[7].values().all(|&n| n == 1), "{spec}");
        let blocks = sk.div_ceil(128) as u32;
        assert!(main.read[6].values().all(|&n| n == blocks), "{spec}");
        assert!(main.read[6].len() as u64 <= sums, "{spec}");
        let after = touch(&made[2..]);
        assert_all(&after.written[7], 7, of_queries, 1, &spec);
        assert!(after.read[6].values().all(|&n| n == 1), "{spec}");
    }
}

#[test]
fn backward_attention_multiplies_five_times_by_hand() {
    for (d, bm, bn, smem) in [(64, 128, 128, 144), (128, 64, 128, 144), (256, 64, 64, 144)] {
        let spec = format!("synth:attention?b=1&h=1&sq=256&sk={bn}&d={d}&type=f16&backward=1");
        let made = kernels(&spec, "a100-80");
        let main = &made[1];
        assert_eq!(
            (main.header.grid, main.header.block),
            ([1, 1, 1], [256, 1, 1])
        );
        assert_eq!(main.header.smem_bytes, smem << 10, "{d}");
        let of = mix(main, 0);
        let tiles = 256 / bm;
        assert_eq!(of["HMMA"], 5 * tiles * bm * bn * d / (16 * 8 * 16), "{d}");
        // Exponentials of all scores, a lane each; every sum of a gradient of queries is added alone.
        assert_eq!(of["MUFU"], tiles * bm * bn / 32, "{d}");
        assert_eq!(of["RED"], tiles * bm * d / 32, "{d}");
        // Weights and gradients as pairs of halves, gradients of keys and values at the end.
        assert_eq!(of["STS"], tiles * 2 * bm * bn / 64 + 2 * bn * d / 64, "{d}");
        walk(main, 0, |_, index, lanes| {
            let mem = main.code.insts[index as usize].mem.unwrap();
            if mem.space == MemSpace::Shared {
                let ways = conflict(lanes, u64::from(mem.width_bytes));
                assert_eq!(ways, 1, "{d}: {lanes:x?}");
            }
        });
    }
    // Tiles of queries in front of the keys of a causal tile are left out.
    let causal = kernels(
        "synth:attention?b=1&h=1&sq=512&d=128&causal=1&type=f16&backward=1",
        "a100-80",
    );
    let trips: Vec<_> = (0..4).map(|cta| causal[1].ctas.iterations(cta)).collect();
    assert_eq!(trips, [8, 6, 4, 2]);
    let shared = "synth:attention?b=1&h=4&kvh=2&sq=512&type=f16&backward=1";
    let refused = parse(shared, &gpu("a100-80"));
    assert!(refused.err().unwrap().to_string().contains("as many heads"));
}

#[test]
fn cut_attention_of_all_kinds_has_whole_iterations() {
    use crate::trace::kernel::{Part, PartIterations};
    for (spec, at) in [
        ("b=1&h=1&sq=64&sk=1024&d=64&impl=efficient", 0),
        ("b=1&h=1&sq=64&sk=1024&d=128&impl=efficient", 0),
        ("b=1&h=1&sq=1024&sk=128&d=64&backward=1", 1),
        ("b=1&h=1&sq=1024&sk=64&d=256&backward=1", 1),
    ] {
        let made = kernels(&format!("synth:attention?{spec}&type=f16"), "a100-80");
        let of = |run: u64| {
            let iterations = PartIterations::Some {
                run,
                most: 8,
                wave: 1,
            };
            let part = Part {
                first_cta: 0,
                iterations,
            };
            counts(&made[at].part(part, 1), 0).0
        };
        assert_eq!(of(3) - of(2), of(2) - of(1), "{spec}");
    }
}
