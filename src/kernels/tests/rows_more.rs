//! Tests of the kernels over rows that no vectors fit, of rows that CTAs share, and of tensors put side by side.

use super::rows::{assert_all, kernels, mix, touch};
use super::*;

#[test]
fn a_layer_norm_of_odd_width_has_two_kernels() {
    for (data, bytes) in [("f32", 4), ("f16", 2)] {
        for name in ["v100", "h100-sxm"] {
            for (rows, cols) in [(5, 291), (3, 1025), (2, 77), (1, 1)] {
                let spec = format!("synth:layernorm?rows={rows}&cols={cols}&type={data}");
                let made = kernels(&spec, name);
                assert_eq!(made.len(), 2, "{spec}");
                let blocks = [made[0].header.block, made[1].header.block];
                assert_eq!(blocks, [[512, 1, 1], [256, 1, 1]]);
                assert_eq!(made[1].header.grid, [rows as u32, 1, 1]);
                let touched = touch(&made[..1]);
                assert_all(&touched.read[0], 0, rows * cols * bytes, 1, &spec);
                assert_all(&touched.written[4], 4, rows * 4, 1, &spec);
                assert_all(&touched.written[5], 5, rows * 4, 1, &spec);
                let touched = touch(&made[1..]);
                assert_all(&touched.read[0], 0, rows * cols * bytes, 1, &spec);
                assert_all(&touched.read[1], 1, cols * bytes, rows as u32, &spec);
                assert_all(&touched.written[3], 3, rows * cols * bytes, 1, &spec);
                assert_eq!(touched.read[4].len() as u64, rows * 4, "{spec}");
            }
        }
    }
    assert_eq!(kernels("synth:layernorm?rows=5&cols=292", "v100").len(), 1);
}

#[test]
fn an_odd_layer_norm_divides_and_shuffles_by_hand() {
    // 1023 columns, 512 threads: two elements a thread, the last one not.
    let made = kernels("synth:layernorm?rows=2&cols=1023", "a100-80");
    let of = mix(&made[0], 0);
    assert_eq!((of["LDG"], of["I2F"], of["STG"]), (16 * 2, 16 * 2, 2));
    // Five words a lane and round: 16 warps, then the first one over their moments.
    assert_eq!(of["SHFL"], (16 + 1) * 5 * 5);
    // A division an element and join, one for the variance; a root.
    assert_eq!(of["MUFU"], 16 * 2 + (16 + 1) * 5 + 1 + 1);
    let of = mix(&made[1], 0);
    // 8 warps, four elements a thread: weight, bias, element, mean, deviation.
    assert_eq!((of["LDG"], of["STG"]), (8 * 4 * 5, 8 * 4));
    assert_eq!((of["FADD"], of["FMUL"], of["FFMA"]), (32, 32, 32));
}

#[test]
fn few_long_rows_are_shared_by_ctas() {
    for (rows, cols, data, bytes) in [
        (1u64, 1u64 << 20, "f32", 4),
        (3, 300_001, "f32", 4),
        (2, 262_144, "f16", 2),
    ] {
        let spec = format!("synth:sum?rows={rows}&cols={cols}&type={data}");
        let made = kernels(&spec, "a100-80");
        let grid = made[0].header.grid;
        assert_eq!(u64::from(grid[0]), rows, "{spec}");
        // 108 SMs with 4 CTAs of 512 threads each, 16 elements a thread at least.
        let of_thread = cols.div_ceil(512);
        let parts = (432 / rows).min(of_thread.div_ceil(16));
        assert_eq!(u64::from(grid[1]), parts, "{spec}");
        let touched = touch(&made);
        assert_all(&touched.read[0], 0, rows * cols * bytes, 1, &spec);
        assert_all(&touched.written[1], 1, rows * bytes, 1, &spec);
        // Each CTA leaves its part, which the last one of the row reads.
        let staged = rows * parts * 4;
        assert_all(&touched.written[2], 2, staged, 1, &spec);
        assert_all(&touched.read[2], 2, staged, 1, &spec);
        assert_all(&touched.read[3], 3, rows * 4, parts as u32, &spec);
    }
    // Many rows, or short ones, are not shared.
    for spec in ["rows=1000&cols=300000", "rows=4&cols=100000"] {
        let made = kernels(&format!("synth:sum?{spec}"), "a100-80");
        assert_eq!(made[0].header.grid[1], 1, "{spec}");
    }
    // What the last CTA does, the others do not.
    let made = kernels("synth:reduce_kernel?rows=1&cols=8192&parts=2", "a100-80");
    let (first, last) = (mix(&made[0], 0), mix(&made[0], 1));
    assert_eq!((first["ATOMG"], last["ATOMG"]), (1, 1));
    assert_eq!((first["STG"], last["STG"]), (1, 2));
    assert_eq!((first["LDG"], last["LDG"]), (16 * 2, 16 * 2 + 1));
}

#[test]
fn tensors_side_by_side_are_read_in_vectors_and_written_alone() {
    for (data, bytes) in [("f32", 4u64), ("f16", 2)] {
        for (rows, cols, tensors) in [(3, 100, 2), (1, 1001, 3), (17, 33, 5), (200, 128, 2)] {
            let spec = format!("synth:cat?rows={rows}&cols={cols}&tensors={tensors}&type={data}");
            let made = kernels(&spec, "a100-80");
            let vectors = (rows * cols * bytes).div_ceil(16);
            let grid = [vectors.div_ceil(128) as u32, tensors as u32, 1];
            assert_eq!(made[0].header.grid, grid, "{spec}");
            let touched = touch(&made);
            let all = rows * cols * tensors * bytes;
            assert_all(&touched.read[0], 0, all, 1, &spec);
            assert_all(&touched.written[1], 1, all, 1, &spec);
        }
    }
    // A vector of four elements: one load, four stores, four divisions by a reciprocal found before.
    let made = kernels("synth:cat?rows=4&cols=128", "a100-80");
    let of = mix(&made[0], 0);
    assert_eq!((of["LDG"], of["STG"], of["SEL"]), (4, 16, 16));
    assert_eq!(of["MUFU"], 4);
    // The second tensor begins where a row of the first ends.
    let mut first = None;
    walk(&made[0], 1, |_, index, lanes| {
        let stores =
            made[0].code.insts[index as usize].mem.unwrap().kind == crate::isa::MemKind::Store;
        if stores && first.is_none() {
            first = Some(lanes[0]);
        }
    });
    assert_eq!(first, Some(array(1) + 128 * 4));
}

/// Sign and exponent, then the bits that tell elements apart, two in a round; then the one that is left is looked for, what
/// is greater is written, and it itself.
#[test]
fn the_greatest_of_rows_are_found_bit_by_bit_and_sorted() {
    for (rows, cols, k, data, bytes, rounds) in [
        (5, 8, 2, "f32", 4, 7),
        (3, 64, 6, "f16", 2, 7),
        (2, 1500, 32, "f16", 2, 8),
        (2, 3000, 30, "bf16", 2, 8),
        (1, 3000, 1, "f32", 4, 11),
    ] {
        let spec = format!("synth:topk?rows={rows}&cols={cols}&k={k}&type={data}");
        let made = kernels(&spec, "a100-80");
        // One element needs no order.
        assert_eq!(made.len(), if k > 1 { 2 } else { 1 }, "{spec}");
        let threads = (cols as u32).next_multiple_of(32).min(1024);
        assert_eq!(made[0].header.block, [threads, 1, 1]);
        assert_eq!(made[0].header.grid, [rows as u32, 1, 1]);
        let touched = touch(&made[..1]);
        assert_all(&touched.read[0], 0, rows * cols * bytes, rounds + 3, &spec);
        assert_all(&touched.written[1], 1, rows * k * bytes, 1, &spec);
        assert_all(&touched.written[2], 2, rows * k * 8, 1, &spec);
        let touched = touch(&made[1..]);
        for (operand, bytes) in [(1, rows * k * bytes), (2, rows * k * 8)] {
            let bytes = if k > 1 { bytes } else { 0 };
            for map in [&touched.read[operand], &touched.written[operand]] {
                assert_eq!(map.len() as u64, bytes, "{spec}");
                assert!(map.values().all(|&times| times == 1), "{spec}");
            }
        }
    }
    // As many rows in a CTA as leave half of the SMs with one: 512 / 54, even.
    let made = kernels("synth:topk?rows=512&cols=8", "a100-80");
    assert_eq!(made[1].header.block, [16, 8, 1]);
    assert_eq!(made[1].header.grid, [64, 1, 1]);
    // Five merges of 1 to 5 exchanges by each of four warps, each with a barrier, and one behind what is loaded.
    let of = mix(&made[1], 0);
    let barriers = of.iter().filter(|(name, _)| name.starts_with("BAR"));
    assert_eq!(barriers.map(|(_, count)| count).sum::<u64>(), 4 * (15 + 1));
    // A round votes on each of four values.
    let of = mix(&made[0], 0);
    assert_eq!((of["VOTE"], of["ATOMS"]), (7 * 4 + 2, 7 * 4));
    let refused = parse("synth:topk?rows=1&cols=4&k=5", &gpu("a100-80"));
    assert!(
        refused
            .err()
            .is_some_and(|error| error.to_string().contains("more than a row has"))
    );
}

#[test]
fn running_sums_have_a_thread_a_column() {
    for (matrices, rows, cols) in [(3u64, 20u64, 8u64), (1, 7, 700)] {
        let spec = format!("synth:cumsum?matrices={matrices}&rows={rows}&cols={cols}");
        let made = kernels(&spec, "v100");
        let header = &made[0].header;
        assert_eq!(header.block, [cols.min(512) as u32, 1, 1], "{spec}");
        let across = cols.div_ceil(512) as u32;
        assert_eq!(header.grid, [matrices as u32, across, 1], "{spec}");
        let touched = touch(&made);
        let bytes = matrices * rows * cols * 8;
        assert_all(&touched.read[0], 0, bytes, 1, &spec);
        assert_all(&touched.written[1], 1, bytes, 1, &spec);
    }
}
