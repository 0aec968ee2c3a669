//! Tests of the kernels over elements and rows: what they touch, and what they execute.

use super::*;
use crate::isa::MemKind;
use std::collections::BTreeMap;

/// Kernels of an operator's text.
pub(super) fn kernels(spec: &str, gpu_name: &str) -> Vec<Kernel> {
    let workload = parse(spec, &gpu(gpu_name)).unwrap_or_else(|error| panic!("{error}"));
    workload.launches().cloned().collect()
}

/// Bytes of each operand that were read and written: how often each byte was.
#[derive(Default)]
pub(super) struct Touched {
    pub read: [BTreeMap<u64, u32>; Arrays::MOST],
    pub written: [BTreeMap<u64, u32>; Arrays::MOST],
}

pub(super) fn touch(kernels: &[Kernel]) -> Touched {
    let mut touched = Touched::default();
    for kernel in kernels {
        for cta in 0..kernel.header.cta_count() {
            walk(kernel, cta, |_, index, lanes| {
                let mem = kernel.code.insts[index as usize].mem.unwrap();
                if mem.space != MemSpace::Global {
                    return;
                }
                for &lane in lanes {
                    let operand = ((lane - array(0)) >> 36) as usize;
                    let map = match mem.kind {
                        MemKind::Store => &mut touched.written[operand],
                        _ => &mut touched.read[operand],
                    };
                    for byte in lane..lane + u64::from(mem.width_bytes) {
                        *map.entry(byte).or_default() += 1;
                    }
                }
            });
        }
    }
    touched
}

/// `map` holds exactly `bytes` bytes from the start of `operand`, each touched `times`.
pub(super) fn assert_all(
    map: &BTreeMap<u64, u32>,
    operand: usize,
    bytes: u64,
    times: u32,
    what: &str,
) {
    assert_eq!(map.len() as u64, bytes, "{what}: operand {operand}");
    let first = map.keys().next().copied();
    assert_eq!(first, Some(array(operand as u64)), "{what}");
    assert_eq!(
        map.keys().next_back(),
        Some(&(array(operand as u64) + bytes - 1)),
        "{what}"
    );
    let other = map.values().find(|&&n| n != times);
    assert_eq!(
        other, None,
        "{what}: operand {operand} is touched {times} times"
    );
}

/// Warp instructions of each mnemonic (up to the first dot) in one CTA.
pub(super) fn mix(kernel: &Kernel, cta: u64) -> BTreeMap<String, u64> {
    let mut mix = BTreeMap::new();
    let mut stream = WarpStream::default();
    for warp in 0..kernel.header.warps_per_cta() {
        let mut chunk = Some(0);
        while let Some(number) = chunk {
            kernel
                .ctas
                .load_chunk(cta, warp, number, &mut stream)
                .unwrap();
            while let Some(run) = stream.next_run() {
                for index in run.start..run.start + run.length {
                    let inst = &kernel.code.insts[index as usize];
                    let name = &kernel.code.mnemonics[usize::from(inst.mnemonic)];
                    let base = name.split('.').next().unwrap().to_owned();
                    *mix.entry(base).or_default() += 1;
                }
            }
            chunk = stream.next_chunk();
        }
    }
    mix
}

#[test]
fn pointwise_kernels_touch_every_element_once() {
    for (name, style, per_cta) in [
        ("v100", "torch21", 512),
        ("t4", "torch21", 512),
        ("a100-80", "torch", 1024),
        ("h100-sxm", "torch", 1024),
    ] {
        for function in ["add", "div", "gelu", "cast", "copy", "masked_fill"] {
            for (data, bytes) in [("f32", 4), ("f16", 2), ("bf16", 2)] {
                for n in [1u64, 31, 512, 1025, 4099] {
                    let spec =
                        format!("synth:elementwise?n={n}&fn={function}&type={data}&style={style}");
                    let made = kernels(&spec, name);
                    let ctas = if function == "cast" {
                        n.div_ceil(512)
                    } else {
                        n.div_ceil(per_cta)
                    };
                    assert_eq!(made[0].header.cta_count(), ctas, "{spec}");
                    let touched = touch(&made);
                    assert_all(&touched.read[0], 0, n * bytes, 1, &spec);
                    let to = if function == "cast" { 4 } else { bytes };
                    assert_all(&touched.written[3], 3, n * to, 1, &spec);
                    match function {
                        "add" | "div" => assert_all(&touched.read[1], 1, n * bytes, 1, &spec),
                        "masked_fill" => assert_all(&touched.read[1], 1, n, 1, &spec),
                        _ => assert!(touched.read[1].is_empty(), "{spec}"),
                    }
                }
            }
        }
    }
}

#[test]
fn pointwise_arithmetic_is_that_of_a_compiler() {
    // Per warp of a whole CTA: four elements, as ptxas has them for the same source.
    let of = |function: &str, data: &str, name: &str| {
        let spec = format!("synth:elementwise?n=512&fn={function}&type={data}");
        let mut mix = mix(&kernels(&spec, name)[0], 0);
        mix.values_mut().for_each(|n| *n /= 4);
        move |base: &str| mix.get(base).copied().unwrap_or(0)
    };
    let add = of("add", "f32", "a100-80");
    assert_eq!(
        (add("LDG"), add("STG"), add("FFMA"), add("MUFU")),
        (2, 1, 4, 0)
    );
    let div = of("div", "f32", "a100-80");
    assert_eq!((div("MUFU"), div("FCHK"), div("FFMA")), (4, 4, 20));
    let gelu = of("gelu", "f32", "a100-80");
    assert_eq!(
        (gelu("MUFU"), gelu("FSEL"), gelu("FFMA"), gelu("FMUL")),
        (4, 36, 28, 16)
    );
    let tanh = of("tanh", "f32", "a100-80");
    assert_eq!(
        (tanh("MUFU"), tanh("FFMA"), tanh("FSETP"), tanh("LOP3")),
        (8, 24, 8, 4)
    );
    let exp = of("exp", "f32", "v100");
    assert_eq!(
        (exp("MUFU"), exp("FFMA"), exp("FADD"), exp("FMUL")),
        (4, 16, 4, 4)
    );
    // Halves are packed by twos from Ampere on, one by one before.
    let half = of("add", "f16", "a100-80");
    assert_eq!(
        (half("HADD2"), half("F2FP"), half("F2F"), half("PRMT")),
        (8, 2, 0, 0)
    );
    let half = of("add", "f16", "v100");
    assert_eq!(
        (half("HADD2"), half("F2FP"), half("F2F"), half("PRMT")),
        (8, 0, 4, 2)
    );
}

#[test]
fn operands_beyond_32_bit_offsets_are_halved() {
    for (n, data, launches) in [
        (1u64 << 29, "f32", 1),
        ((1 << 29) + 1, "f32", 2),
        (3 << 29, "f32", 4),
        (17 << 28, "f32", 16),
        (1 << 30, "f16", 1),
    ] {
        let made = kernels(&format!("synth:elementwise?n={n}&type={data}"), "a100-80");
        assert_eq!(made.len(), launches, "{n} {data}");
        // Part by part, each behind the one before.
        let mut next = array(3);
        for kernel in &made {
            let mut first = u64::MAX;
            walk(kernel, 0, |_, index, lanes| {
                let mem = kernel.code.insts[index as usize].mem.unwrap();
                if mem.kind == MemKind::Store {
                    first = first.min(lanes[0]);
                }
            });
            assert_eq!(first, next);
            next += n.div_ceil(launches as u64) * if data == "f32" { 4 } else { 2 };
        }
    }
}

#[test]
fn softmax_reads_and_writes_whole_rows() {
    // Columns, the kernel that has them, and how often it reads a row.
    let of_21 = [
        (3, "warp", 1),
        (8, "warp", 1),
        (33, "warp", 1),
        (128, "warp", 1),
        (1000, "warp", 1),
        (1025, "Forward<", 3),
        (1541, "Forward<", 3),
        (4096, "Forward<", 3),
    ];
    let newer = [(128, "warp", 1), (2048, "Smem", 1), (2051, "Forward<", 3)];
    for (style, shapes) in [("torch21", &of_21[..]), ("torch", &newer)] {
        for &(cols, form, reads) in shapes {
            for (data, bytes) in [("f32", 4), ("f16", 2)] {
                for name in ["v100", "a100-80"] {
                    let rows = 11;
                    let spec =
                        format!("synth:softmax?rows={rows}&cols={cols}&type={data}&style={style}");
                    let made = kernels(&spec, name);
                    assert!(
                        made[0].header.name.contains(form),
                        "{spec}: {}",
                        made[0].header.name
                    );
                    let touched = touch(&made);
                    assert_all(&touched.read[0], 0, rows * cols * bytes, reads, &spec);
                    assert_all(&touched.written[1], 1, rows * cols * bytes, 1, &spec);
                }
            }
        }
    }
}

#[test]
fn softmax_has_the_block_that_pytorch_gives_it() {
    // As recorded by profilers for FP32 under PyTorch 2.1: up to half of the 16-byte vectors of a row.
    for (cols, threads) in [
        (1280, 256),
        (2048, 256),
        (2089, 512),
        (4096, 512),
        (16384, 512),
    ] {
        let made = kernels(&format!("synth:softmax?rows=2&cols={cols}"), "v100");
        assert_eq!(made[0].header.block, [threads, 1, 1], "{cols}");
        assert_eq!(made[0].header.smem_bytes, 4 * threads);
    }
    let warps = kernels("synth:softmax?rows=3781&cols=682", "a100-40");
    assert_eq!(
        (warps[0].header.grid, warps[0].header.block),
        ([946, 1, 1], [32, 4, 1])
    );
    let two_rows = kernels("synth:softmax?rows=3781&cols=100", "a100-40");
    assert_eq!(two_rows[0].header.grid, [473, 1, 1]);
    let narrow = kernels("synth:softmax?rows=100&cols=8", "a100-40");
    assert_eq!(
        (narrow[0].header.grid, narrow[0].header.block),
        ([4, 1, 1], [8, 16, 1])
    );
}

#[test]
fn softmax_executes_what_a_compiler_makes_of_it() {
    // 4096 columns, 512 threads: two vectors of 4 a thread and pass, 16 warps.
    let spec = "synth:softmax?rows=2&cols=4096";
    let mix = mix(&kernels(spec, "v100")[0], 0);
    let of = |base: &str| mix.get(base).copied().unwrap_or(0);
    // Three passes read, one writes.
    assert_eq!((of("LDG"), of("STG")), (16 * 2 * 3, 16 * 2));
    // exp in two passes, a division in one, each of 8 elements a thread; a reciprocal for remainders.
    assert_eq!(of("MUFU"), 16 * 8 * (1 + 2) + 16);
    assert_eq!(of("FCHK"), 16 * 8);
    // Five barriers a combination, one warp reads 32 words of each lane by fours, one lane 16.
    assert_eq!(of("BAR"), 16 * 2 * 4);
    assert_eq!(of("LDS"), 2 * (8 + 4 + 16));
}

#[test]
fn norms_read_rows_twice_and_write_them_once() {
    for (data, bytes) in [("f32", 4), ("f16", 2)] {
        for name in ["v100", "h100-sxm"] {
            for (rows, cols) in [(5, 292), (3, 1024), (2, 4100)] {
                let spec = format!("synth:layernorm?rows={rows}&cols={cols}&type={data}");
                let made = kernels(&spec, name);
                assert_eq!(made[0].header.grid, [rows as u32, 1, 1]);
                assert_eq!(made[0].header.block, [32, 4, 1]);
                let touched = touch(&made);
                let row_bytes = rows * cols * bytes;
                assert_all(&touched.read[0], 0, row_bytes, 2, &spec);
                assert_all(&touched.written[3], 3, row_bytes, 1, &spec);
                assert_all(&touched.read[1], 1, cols * bytes, rows as u32, &spec);
                assert_all(&touched.read[2], 2, cols * bytes, rows as u32, &spec);
                assert_all(&touched.written[4], 4, rows * 4, 1, &spec);
                assert_all(&touched.written[5], 5, rows * 4, 1, &spec);

                let spec = format!("synth:rmsnorm?rows={rows}&cols={cols}&type={data}&style=vllm");
                let touched = touch(&kernels(&spec, name));
                assert_all(&touched.read[0], 0, row_bytes, 2, &spec);
                assert_all(&touched.read[1], 1, cols * bytes, rows as u32, &spec);
                assert_all(&touched.written[2], 2, row_bytes, 1, &spec);

                let spec =
                    format!("synth:add_rmsnorm?rows={rows}&cols={cols}&type={data}&style=vllm");
                let touched = touch(&kernels(&spec, name));
                assert_all(&touched.read[0], 0, row_bytes, 1, &spec);
                // The sum is read again where it was written.
                assert_all(&touched.read[2], 2, row_bytes, 2, &spec);
                assert_all(&touched.written[2], 2, row_bytes, 1, &spec);
                assert_all(&touched.written[0], 0, row_bytes, 1, &spec);
            }
        }
    }
}

#[test]
fn a_layer_norm_divides_for_every_element() {
    // 1024 columns, 128 threads: two vectors of 4 a thread in each pass.
    let mix = mix(
        &kernels("synth:layernorm?rows=2&cols=1024", "a100-80")[0],
        0,
    );
    let of = |base: &str| mix.get(base).copied().unwrap_or(0);
    assert_eq!((of("LDG"), of("STG")), (4 * (2 + 2 * 3), 4 * 2 + 2));
    // Moments of 8 elements, 5 joins within a warp, 2 + 1 of warps with others, one division, a root each.
    assert_eq!(of("MUFU"), 4 * (8 + 5) + 3 + 1 + 4);
    assert_eq!(of("SHFL"), 4 * 5 * 3);
    assert_eq!(of("BAR"), 4 * 5);
}

#[test]
fn vllm_kernels_touch_what_their_operators_have() {
    for (rows, cols) in [(3, 100), (2, 1024), (2, 2500)] {
        let n = rows * cols;
        let spec = format!("synth:elementwise?n={n}&cols={cols}&fn=silu_mul&type=f16&style=vllm");
        let touched = touch(&kernels(&spec, "a100-80"));
        assert_all(&touched.read[0], 0, 2 * n * 2, 1, &spec);
        assert_all(&touched.written[1], 1, n * 2, 1, &spec);
    }
    for (heads, kv_heads, d) in [(4, 1, 128), (3, 3, 80), (32, 8, 64), (1, 1, 2)] {
        let rows = 3;
        let spec =
            format!("synth:rope?rows={rows}&heads={heads}&kv_heads={kv_heads}&d={d}&type=f16");
        let made = kernels(&spec, "a100-80");
        let touched = touch(&made);
        // Values lie behind queries and keys and stay as they are.
        let (rotated, pitch) = ((heads + kv_heads) * d * 2, (heads + 2 * kv_heads) * d * 2);
        let mut expected = BTreeMap::new();
        for row in 0..rows {
            expected.extend((0..rotated).map(|byte| (array(0) + row * pitch + byte, 1)));
        }
        assert_eq!(touched.read[0], expected, "{spec}");
        assert_eq!(touched.written[0], expected, "{spec}");
        assert_eq!(touched.read[1].len() as u64, rows * d * 2, "{spec}");
        assert_eq!(touched.read[2].len() as u64, rows * 8, "{spec}");
    }
}

#[test]
fn strided_kernels_read_what_operands_have() {
    let cases = [
        // Result's elements, columns, how operands lie, times that each byte of the first and the last one is read.
        (300u64 * 7, 300u64, "row", 1, 7),
        (300 * 7, 300, "column", 1, 300),
        (96 * 50, 96, "transposed", 1, 0),
    ];
    for (n, cols, operands, first, last) in cases {
        for (data, bytes, each) in [("f32", 4, 256), ("f16", 2, 512)] {
            let function = if last == 0 { "copy" } else { "add" };
            let spec = format!(
                "synth:elementwise?n={n}&cols={cols}&operands={operands}&fn={function}&type={data}"
            );
            let made = kernels(&spec, "a100-80");
            assert_eq!(made[0].header.cta_count(), n.div_ceil(each), "{spec}");
            let touched = touch(&made);
            assert_all(&touched.written[3], 3, n * bytes, 1, &spec);
            assert_all(&touched.read[0], 0, n * bytes, first, &spec);
            if last > 0 {
                let size = if operands == "row" { cols } else { n / cols };
                assert_all(&touched.read[1], 1, size * bytes, last, &spec);
            }
        }
    }
    // A transposed read of FP32 has each lane in a line of its own.
    let made = kernels(
        "synth:elementwise?n=4096&cols=64&operands=transposed&fn=copy",
        "v100",
    );
    let mut lines = 0;
    walk(&made[0], 0, |_, index, lanes| {
        if made[0].code.insts[index as usize].mem.unwrap().kind == MemKind::Load {
            lines = lines.max(
                lanes
                    .windows(2)
                    .filter(|pair| pair[1] - pair[0] >= 128)
                    .count(),
            );
        }
    });
    assert_eq!(lines, 31);
}

#[test]
fn reductions_read_rows_once() {
    for (rows, cols) in [(33, 1000), (40, 37), (3, 500), (20, 8193)] {
        for (data, bytes) in [("f32", 4), ("bf16", 2)] {
            let spec = format!("synth:sum?rows={rows}&cols={cols}&type={data}");
            let touched = touch(&kernels(&spec, "a100-80"));
            assert_all(&touched.read[0], 0, rows * cols * bytes, 1, &spec);
            assert_all(&touched.written[1], 1, rows * bytes, 1, &spec);
        }
    }
    let names: Vec<_> = kernels("synth:rmsnorm?rows=20&cols=256&type=f16", "a100-80")
        .iter()
        .map(|kernel| kernel.header.name.clone())
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(
        names[1].contains("reduce_kernel") && names[5].contains("elementwise_kernel<128, 4> mul")
    );
}

#[test]
fn rows_of_a_table_are_gathered_whole() {
    let spec = "synth:embedding?rows=50&cols=300&table=1000&type=f16";
    let touched = touch(&kernels(spec, "a100-80"));
    assert_all(&touched.written[2], 2, 50 * 600, 1, spec);
    // 75 vectors of 8 bytes: 96 threads, which all read the index.
    assert_all(&touched.read[1], 1, 50 * 8, 96, spec);
    // Most rows differ, and each is read from its start.
    let starts: Vec<_> = touched.read[0]
        .keys()
        .filter(|&&at| (at - array(0)).is_multiple_of(600))
        .collect();
    assert!(starts.len() > 45, "{}", starts.len());
    assert_eq!(touched.read[0].len(), starts.len() * 600);
}
