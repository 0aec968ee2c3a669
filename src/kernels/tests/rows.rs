//! Tests of the kernels over elements and rows: what they touch, and what they execute.

use super::*;
use crate::isa::MemKind;
use std::collections::BTreeMap;

/// Kernels of an operator's text.
fn kernels(spec: &str, gpu_name: &str) -> Vec<Kernel> {
    let workload = parse(spec, &gpu(gpu_name)).unwrap_or_else(|error| panic!("{error}"));
    workload.launches().cloned().collect()
}

/// Bytes of each operand that were read and written: how often each byte was.
#[derive(Default)]
struct Touched {
    read: [BTreeMap<u64, u32>; Arrays::MOST],
    written: [BTreeMap<u64, u32>; Arrays::MOST],
}

fn touch(kernels: &[Kernel]) -> Touched {
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
fn assert_all(map: &BTreeMap<u64, u32>, operand: usize, bytes: u64, times: u32, what: &str) {
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
fn mix(kernel: &Kernel, cta: u64) -> BTreeMap<String, u64> {
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
