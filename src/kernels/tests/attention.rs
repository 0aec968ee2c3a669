//! Tests of the attention kernels.

use super::rows::{assert_all, kernels, mix, touch};
use super::*;
use crate::isa::MemKind;
use crate::trace::kernel::{Part, PartIterations};

/// Operands of FlashAttention: every query, key and value is read, every result written once.
#[test]
fn flash_attention_touches_its_tensors() {
    for (spec, name) in [
        ("b=2&h=2&sq=130&d=64&impl=flash2", "a100-80"),
        (
            "b=1&h=4&kvh=2&sq=200&sk=70&d=128&impl=flash2&type=bf16",
            "h100-sxm",
        ),
        ("b=1&h=1&sq=65&d=40&impl=flash2", "rtx4090"),
        ("b=1&h=2&sq=64&d=96&impl=flash2", "a100-80"),
        ("b=1&h=1&sq=64&d=256&impl=flash2", "h100-sxm"),
        ("b=2&h=2&sq=130&d=64&impl=flash1", "a100-80"),
        ("b=1&h=1&sq=33&sk=300&d=32&impl=flash1", "a100-80"),
        ("b=1&h=3&sq=40&sk=200&d=128&impl=flash1", "a100-80"),
        ("b=1&h=3&sq=40&sk=200&d=64&impl=flash1", "t4"),
    ] {
        let data = if spec.contains("bf16") {
            ""
        } else {
            "&type=f16"
        };
        let text = format!("synth:attention?{spec}{data}");
        let number = |key: &str, usual: u64| {
            let found = spec
                .split('&')
                .find_map(|pair| pair.strip_prefix(&format!("{key}=")));
            found.map_or(usual, |value| value.parse().unwrap())
        };
        let [b, h, sq, d] = ["b", "h", "sq", "d"].map(|key| number(key, 0));
        let (kvh, sk) = (number("kvh", h), number("sk", sq));
        let made = kernels(&text, name);
        assert_eq!(made.len(), 1);
        let touched = touch(&made);
        let keys = b * sk * kvh * d * 2;
        for (operand, bytes) in [(0, b * sq * h * d * 2), (1, keys), (2, keys)] {
            assert_eq!(
                touched.read[operand].len() as u64,
                bytes,
                "{text}: operand {operand}"
            );
        }
        assert_all(&touched.written[3], 3, b * sq * h * d * 2, 1, &text);
    }
}

#[test]
fn causal_attention_reads_only_the_keys_that_queries_see() {
    // 4 tiles of 128 queries, tiles of 64 keys: 2, 4, 6, 8 of them.
    let made = kernels(
        "synth:attention?b=1&h=1&sq=512&d=128&causal=1&impl=flash2&type=f16",
        "a100-80",
    );
    let trips: Vec<_> = (0..4).map(|cta| made[0].ctas.iterations(cta)).collect();
    assert_eq!(trips, [2, 4, 6, 8]);
    let mut furthest = 0;
    walk(&made[0], 1, |_, index, lanes| {
        let mem = made[0].code.insts[index as usize].mem.unwrap();
        if mem.kind == MemKind::CpAsync && lanes[0] >= array(1) && lanes[0] < array(2) {
            furthest = furthest.max(lanes.iter().max().unwrap() + 16 - array(1));
        }
    });
    assert_eq!(furthest, 256 * 128 * 2);
}

#[test]
fn flash_attention_multiplies_and_exponentiates_by_hand() {
    let spec = "synth:attention?b=1&h=1&sq=128&sk=256&d=128&impl=flash2&type=f16";
    let made = kernels(spec, "a100-80");
    assert_eq!(
        (made[0].header.grid, made[0].header.block),
        ([1, 1, 1], [128, 1, 1])
    );
    assert_eq!(made[0].header.smem_bytes, 64 << 10);
    let mix = mix(&made[0], 0);
    let of = |base: &str| mix.get(base).copied().unwrap_or(0);
    // 4 warps, 4 tiles of keys: two products of 32 x 64 x 128 a warp in pieces of 16 x 8 x 16.
    assert_eq!(of("HMMA"), 4 * 4 * 2 * (32 / 16 * 64 / 8 * 128 / 16));
    // Queries and keys for each 16 elements of a head, values for each 16 keys, 16 x 16 at a time.
    assert_eq!(of("LDSM"), 4 * 4 * (8 * (2 + 4) + 4 * 8));
    // 64 scores and 4 factors a thread and tile; 4 reciprocals and 4 logarithms.
    assert_eq!(of("MUFU"), 4 * (4 * (64 + 4) + 8));
    // 16 bytes a lane: queries, 4 tiles of keys and values each and those of a fifth that is not there.
    assert_eq!(of("LDGSTS"), 4 * (16 + 8 + 4 * 16));
    assert_eq!(of("STG"), 4 * (16 + 4));
}

#[test]
fn attention_in_shared_memory_does_not_conflict() {
    for d in [32, 64, 96, 128, 256] {
        let made = kernels(
            &format!("synth:attention?b=1&h=1&sq=128&d={d}&impl=flash2&type=f16"),
            "a100-80",
        );
        walk(&made[0], 0, |_, index, lanes| {
            let mem = made[0].code.insts[index as usize].mem.unwrap();
            if mem.space == MemSpace::Shared {
                assert_eq!(
                    conflict(lanes, u64::from(mem.width_bytes)),
                    1,
                    "{d}: {lanes:x?}"
                );
            }
        });
    }
}

#[test]
fn cut_attention_has_whole_iterations() {
    for (spec, first) in [
        (
            "attention?b=1&h=2&sq=256&sk=1024&d=64&impl=flash2&type=f16",
            3,
        ),
        (
            "flash1_kernel?b=1&h=2&sq=128&sk=512&d=64&shares=1&type=f16",
            5,
        ),
    ] {
        let made = kernels(&format!("synth:{spec}"), "a100-80");
        let total = made[0].ctas.iterations(0);
        assert!(total > first + 2);
        let run = |iterations: PartIterations| {
            let part = made[0].part(
                Part {
                    first_cta: 0,
                    iterations,
                },
                1,
            );
            counts(&part, 0).0
        };
        let of = |run_iterations: u64| {
            run(PartIterations::Some {
                run: run_iterations,
                most: total,
                wave: 1,
            })
        };
        // Each iteration adds the same.
        let each = of(2) - of(1);
        assert_eq!(of(3) - of(2), each, "{spec}");
        let whole = run(PartIterations::All);
        assert!(
            (whole - of(1)) % each == 0 || spec.contains("flash1"),
            "{spec}"
        );
    }
}

#[test]
fn few_queries_share_their_keys_among_ctas() {
    // 8 CTAs for 108 SMs, 32 tiles of 128 keys.
    let spec = "synth:attention?b=1&h=32&kvh=8&sq=1&sk=4096&d=128&type=f16";
    let made = kernels(spec, "a100-80");
    assert_eq!(made.len(), 2);
    let splits = made[0].header.grid[1];
    assert_eq!(made[0].header.grid, [1, splits, 8]);
    assert!((8..=16).contains(&splits), "{splits}");
    let touched = touch(&made);
    // Four heads that share keys are queries of one head.
    assert_all(&touched.read[1], 1, 4096 * 8 * 128 * 2, 1, spec);
    assert_all(
        &touched.written[3],
        3,
        u64::from(splits) * 32 * 128 * 4,
        1,
        spec,
    );
    assert_all(
        &touched.read[3],
        3,
        u64::from(splits) * 32 * 128 * 4,
        1,
        spec,
    );
    assert_all(&touched.written[5], 5, 32 * 128 * 2, 1, spec);
    // With enough sequences there is nothing to share.
    let many = kernels(
        "synth:attention?b=16&h=32&kvh=8&sq=1&sk=512&d=128&type=f16",
        "a100-80",
    );
    assert_eq!(many.len(), 1);
}

#[test]
fn the_math_path_has_softmax_between_products() {
    let made = kernels(
        "synth:attention?b=1&h=1&sq=128&d=64&causal=1&impl=math",
        "v100",
    );
    // A product whose depth is shared has a kernel behind it that adds the parts.
    let names: Vec<_> = made
        .iter()
        .map(|kernel| kernel.header.name.as_str())
        .filter(|name| !name.contains("splitKreduce"))
        .collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(
        names[1].contains("div_scalar") && names[2].contains("masked_fill"),
        "{names:?}"
    );
    assert!(names[3].contains("softmax"), "{names:?}");
}

/// Rows are those of the launch rule: at three CTAs an SM 324 run at once, and ten shares of 96 heads fill three waves by
/// 98.8 %, 27 fill eight whole ones, and the fewest of 95 % of that are ten.
#[test]
fn flash_attention_1_shares_heads_and_keeps_its_tensors_in_registers() {
    let made = kernels(
        "synth:attention?b=8&h=12&sq=1024&d=32&impl=flash1&type=f16",
        "a100-80",
    );
    assert_eq!(made[0].header.grid, [8, 12, 10]);
    // 64 steps, the first four shares have seven of them, in each of four parts of the keys.
    let trips: Vec<_> = [0, 3 * 96, 4 * 96, 9 * 96]
        .iter()
        .map(|&cta| made[0].ctas.iterations(cta))
        .collect();
    assert_eq!(trips, [28, 28, 24, 24]);

    let spec = "synth:flash1_kernel?b=1&h=1&sq=32&sk=512&d=64&shares=1&type=f16";
    let one = &kernels(spec, "a100-80")[0];
    assert_eq!(one.header.smem_bytes, 4096 + 256 * 64 * 2);
    let mix = mix(one, 0);
    let of = |base: &str| mix.get(base).copied().unwrap_or(0);
    // Four warps, two parts of 256 keys, two steps: products of 16 x 64 x 64 and of 16 x 64 x 64 in pieces of 16 x 8 x 16.
    assert_eq!(of("HMMA"), 4 * 2 * 2 * 2 * 32);
    // A part's keys and values once, 16 pieces each; four of queries a step.
    assert_eq!(of("LDSM"), 4 * 2 * (32 + 2 * 4));
    // 32 scores; of two rounds of rows the part before, the logarithm and the reciprocal.
    assert_eq!(of("MUFU"), 4 * 2 * 2 * (32 + 2 * 3));
    // Two a step, five where a part begins.
    assert_eq!(of("BAR"), 4 * 2 * (5 + 2 * 2));
}

/// The results of a part of the keys are read by the next one, and only the last one's are narrow.
#[test]
fn flash_attention_1_carries_its_results_from_part_to_part() {
    let made = kernels(
        "synth:flash1_kernel?b=2&h=3&sq=40&sk=700&d=64&shares=2&type=f16",
        "a100-80",
    );
    let touched = touch(&made);
    let rows = 2 * 3 * 40;
    assert_all(&touched.written[3], 3, rows * 64 * 2, 1, "results");
    assert_all(&touched.written[5], 5, rows * 64 * 4, 2, "results so far");
    assert_all(&touched.read[5], 5, rows * 64 * 4, 2, "results so far");
    // Logarithms are kept by each of three parts, and read by all four warps and four lanes a row in the two later ones.
    assert_all(&touched.written[4], 4, rows * 4, 3, "logarithms");
    assert_all(&touched.read[4], 4, rows * 4, 2 * 4 * 4, "logarithms");
}

/// What `torch.matmul` makes of views of a packed tensor: each is copied, keys across, before it is multiplied.
#[test]
fn eager_attention_copies_its_views_first() {
    let spec = "synth:attention?b=2&h=3&sq=64&d=32&type=f16&impl=eager";
    let made = kernels(spec, "a100-80");
    assert_eq!(made.len(), 7);
    let of_packed = 2 * 3 * 64 * 32 * 2;
    for (copy, operand) in [(0, 0), (1, 1), (2, 2)] {
        let touched = touch(&made[copy..=copy]);
        assert_all(&touched.written[operand], operand, of_packed, 1, spec);
        // The second sequence's piece lies behind all three of the first's.
        let read = &touched.read[6];
        assert_eq!(read.len() as u64, of_packed);
        assert_eq!(read.values().max(), Some(&1));
        let reach = read.keys().next_back().unwrap() + 1 - array(6);
        assert_eq!(reach, of_packed / 2 * 4);
    }
}
