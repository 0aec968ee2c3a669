//! Tests of the convolutions: what they touch, conflicts, and instruction mixes worked out by hand.

mod choice;
mod registers;

use super::*;
use crate::isa::MemKind;
use crate::kernels::choose::{Algorithm, Recorded, candidates, choose};
use crate::kernels::conv::{Geometry, array as place};
use crate::kernels::operator::{ConvOp, Operator};
use std::collections::{BTreeMap, BTreeSet};

const GPUS: &[&str] = &["v100", "t4", "a100-80", "rtx4090", "h100-sxm"];

/// Odd sizes: one image, more than a tile, padding wider than the filter needs, no padding.
const SHAPES: &[&str] = &[
    "n=2&c=5&h=9&w=11&k=35&pad=1",
    "n=1&c=9&h=17&w=21&k=33",
    "n=3&c=16&h=8&w=16&k=64&pad=1",
    "n=17&c=3&h=5&w=6&k=2&pad=2",
];

/// Places of the filter that are no square, steps.
const IMPLICIT_SHAPES: &[&str] = &[
    "n=2&c=3&h=13&w=17&k=37&r=5&s=2&pad=2&pad_w=1&stride=2&stride_w=1",
    "n=3&c=13&h=7&w=7&k=130&r=1&s=1",
    "n=2&c=6&h=9&w=9&k=70&pad=1&groups=2",
];

fn kernels(operator: &Operator, algorithm: &Algorithm, name: &str) -> Vec<Kernel> {
    let gpu = gpu(name);
    let candidate = choose(operator, &gpu, algorithm).unwrap_or_else(|fault| panic!("{fault}"));
    candidate.build(&gpu).unwrap()
}

fn op(text: &str) -> ConvOp {
    let mut values: Vec<u64> = ConvOp::FIELDS.iter().map(|field| field.default).collect();
    for pair in text.split('&') {
        let (key, value) = pair.split_once('=').unwrap();
        let at = ConvOp::FIELDS.iter().position(|field| field.name == key);
        let at = at.unwrap_or_else(|| panic!("{key}"));
        values[at] = ConvOp::FIELDS[at].parse(value).unwrap();
    }
    ConvOp::of(&values)
}

/// How often each element (of `width` bytes) of an array was read and written.
#[derive(Default)]
struct Touched {
    read: BTreeMap<u64, u32>,
    written: BTreeMap<u64, u32>,
}

/// What `kernels` touch of each array; shared memory is looked through for conflicts.
fn touch(kernels: &[Kernel], width: u64) -> [Touched; Arrays::MOST] {
    let mut touched: [Touched; Arrays::MOST] = Default::default();
    for kernel in kernels {
        for cta in 0..kernel.header.cta_count() {
            walk(kernel, cta, |_, index, lanes| {
                let mem = kernel.code.insts[index as usize].mem.unwrap();
                let bytes = u64::from(mem.width_bytes);
                if mem.space == MemSpace::Shared {
                    let end = u64::from(kernel.header.smem_bytes);
                    assert!(lanes.iter().all(|lane| lane + bytes <= end));
                    return;
                }
                for &lane in lanes {
                    let offset = lane - array(0);
                    assert_eq!(offset % bytes, 0, "{}: not aligned", kernel.header.name);
                    let of = &mut touched[(offset >> 36) as usize];
                    let map = match mem.kind {
                        MemKind::Store => &mut of.written,
                        _ => &mut of.read,
                    };
                    let first = offset & ((1 << 36) - 1);
                    for at in (first..first + bytes).step_by(width as usize) {
                        *map.entry(at / width).or_default() += 1;
                    }
                }
            });
        }
    }
    touched
}

/// Elements of the image that lie under the filter somewhere.
fn seen(shape: &Geometry) -> BTreeSet<u64> {
    let [rows, columns] = [0, 1].map(|edge| {
        let mut all = BTreeSet::new();
        for at in 0..shape.result[edge] {
            for place in 0..shape.filter[edge] {
                let under = at * shape.stride[edge] + place;
                let inside = under.checked_sub(shape.pad[edge]);
                all.extend(inside.filter(|&inside| inside < shape.image[edge]));
            }
        }
        all
    });
    let planes = shape.n * shape.c * shape.groups;
    let mut all = BTreeSet::new();
    for plane in 0..planes {
        for row in &rows {
            let first = (plane * shape.image[0] + row) * shape.image[1];
            all.extend(columns.iter().map(|column| first + column));
        }
    }
    all
}

fn whole(map: &BTreeMap<u64, u32>, elements: u64, times: Option<u32>, what: &str) {
    assert_eq!(map.len() as u64, elements, "{what}");
    assert_eq!(
        map.last_key_value().map(|(at, _)| *at),
        Some(elements - 1),
        "{what}"
    );
    if let Some(times) = times {
        assert!(map.values().all(|&count| count == times), "{what}");
    }
}

/// Every way to compute `text` reads what it needs, and writes every result once.
fn touches_exactly(text: &str, width: u64, name: &str) {
    let op = op(text);
    let shape = Geometry::new(&op).unwrap();
    let seen = seen(&shape);
    let results = shape.pixels() * shape.k * shape.groups;
    let filters = shape.k * shape.groups * shape.depth();
    let operator = Operator::Conv(op);
    let gpu_spec = gpu(name);
    let all = candidates(&operator, &gpu_spec).unwrap();
    for candidate in all {
        let what = format!("{} of {text} on {name}", candidate.name);
        let touched = touch(&candidate.build(&gpu_spec).unwrap(), width);
        let image: BTreeSet<u64> = touched[place::IMAGE].read.keys().copied().collect();
        assert_eq!(image, seen, "{what}");
        whole(&touched[place::FILTER].read, filters, None, &what);
        whole(&touched[place::RESULT].written, results, Some(1), &what);
        for handed in [
            place::FILTERS,
            place::IMAGES,
            place::PRODUCTS,
            place::OFFSETS,
        ] {
            let of = &touched[handed];
            let unwritten = of.read.keys().find(|at| !of.written.contains_key(at));
            assert_eq!(unwritten, None, "{what}: array {handed}");
            assert!(
                of.written.values().all(|&count| count == 1),
                "{what}: array {handed}"
            );
        }
    }
}

#[test]
fn every_way_computes_every_result_once() {
    for text in SHAPES {
        touches_exactly(text, 4, "v100");
    }
    touches_exactly(SHAPES[0], 4, "a100-80");
    for text in IMPLICIT_SHAPES {
        touches_exactly(text, 4, "v100");
    }
}

#[test]
fn tensor_cores_compute_every_result_once() {
    for name in ["v100", "t4", "a100-80"] {
        for text in [&SHAPES[..2], &IMPLICIT_SHAPES[..2]].concat() {
            touches_exactly(&format!("{text}&type=f16"), 2, name);
        }
    }
    touches_exactly(
        "n=2&c=24&h=9&w=7&k=40&pad=1&layout=nhwc&type=f16",
        2,
        "v100",
    );
    // Planes of 64, 36 and 30 pixels leave in vectors of 8, 4 and 2; a filter of 1 x 1 is read where it lies.
    for edges in ["h=8&w=8&pad=1", "h=6&w=6&pad=1", "h=5&w=6&r=1&s=1"] {
        for name in ["v100", "t4", "a100-80"] {
            let text = format!("n=3&c=8&k=40&{edges}&type=f16&acc=f16");
            touches_exactly(&text, 2, name);
        }
    }
}

#[test]
fn depthwise_convolutions_touch_their_tensors_exactly() {
    touches_exactly("n=2&c=5&h=9&w=11&k=10&pad=1&groups=5&stride=2", 4, "v100");
    touches_exactly(
        "n=2&c=3&h=19&w=31&k=3&r=5&s=11&pad=2&groups=3&type=f16",
        2,
        "a100-80",
    );
}

/// All kernels of a small convolution.
fn all_kernels(name: &str) -> Vec<Kernel> {
    let gpu = gpu(name);
    let operators = [
        SHAPES[0],
        "n=1&c=8&h=6&w=7&k=8&groups=8",
        "n=1&c=40&h=9&w=17&k=136&pad=1&type=f16",
    ];
    let candidates = operators
        .iter()
        .flat_map(|text| candidates(&Operator::Conv(op(text)), &gpu).unwrap());
    candidates
        .flat_map(|candidate| candidate.build(&gpu).unwrap())
        .collect()
}

#[test]
fn streams_are_valid_on_every_architecture() {
    for name in GPUS {
        for kernel in all_kernels(name) {
            walk(&kernel, kernel.header.cta_count() - 1, |_, _, _| {});
            let mut insts = kernel.code.insts.iter();
            let unknown = insts.find(|inst| inst.class == OpClass::Unknown);
            assert!(unknown.is_none(), "{}: {unknown:?}", kernel.header.name);
        }
    }
}

#[test]
fn shared_accesses_of_convolutions_do_not_conflict() {
    for kernel in all_kernels("v100") {
        if kernel.header.name.contains("gemm_") {
            continue;
        }
        walk(&kernel, 0, |_, index, lanes| {
            let inst = &kernel.code.insts[index as usize];
            let mem = inst.mem.unwrap();
            if mem.space == MemSpace::Shared && !lanes.is_empty() {
                let ways = conflict(lanes, u64::from(mem.width_bytes));
                // Sums of the fused kernel leave once: no pitch of theirs suits both writers and readers.
                let leaving = kernel.header.name.contains("winograd")
                    && mem.kind == MemKind::Store
                    && inst.pc > 16 * 700;
                // Rows of 64 bytes that come back as vectors.
                let back = kernel.header.name.contains("fprop")
                    && mem.kind == MemKind::Load
                    && inst.pc > kernel.code.insts.last().unwrap().pc / 2;
                let allowed = if leaving || back { 2 } else { 1 };
                assert!(
                    ways <= allowed,
                    "{}: {ways} at {}",
                    kernel.header.name,
                    inst.pc
                );
            }
        });
    }
}

/// How many of each mnemonic the loop has, by the text before the first dot.
fn mix(kernel: &Kernel) -> BTreeMap<String, u64> {
    let insts = &kernel.code.insts;
    let branch = insts.iter().position(|inst| inst.class == OpClass::Branch);
    let branch = branch.unwrap();
    let mut mix = BTreeMap::new();
    for inst in &insts[(insts[branch].imm / 16) as usize..=branch] {
        let text = &kernel.code.mnemonics[inst.mnemonic as usize];
        let base = text.split('.').next().unwrap().to_owned();
        *mix.entry(base).or_default() += 1;
    }
    mix
}

fn named(text: &str, algorithm: &str, gpu: &str) -> Vec<Kernel> {
    let algorithm = Algorithm::Named(algorithm.into());
    kernels(&Operator::Conv(op(text)), &algorithm, gpu)
}

#[test]
fn loops_have_the_instructions_of_their_algorithms() {
    let text = "n=2&c=16&h=16&w=16&k=128&pad=1";
    // 8 x 8 results of a thread, 8 deep; of 1024 pixels and 4 filters a thread its part, with the offsets of 8 depths.
    for (channels, loads, rows) in [(32, 16, 8), (64, 8, 8), (128, 4, 4)] {
        let algorithm = format!("implicit_precomp_gemm_128x{channels}");
        let kernels = named(text, &algorithm, "v100");
        let mix = mix(&kernels[1]);
        assert_eq!(mix["FFMA"], 512);
        assert_eq!(mix["LDS"], 8 * 4);
        assert_eq!(mix["LDG"], loads + 4 + rows);
        assert_eq!(mix["STS"], loads + 4);
        assert_eq!(mix["BAR"], 1);
        assert_eq!(kernels[1].header.block, [2 * channels, 1, 1]);
        // Two images of 16 x 16 pixels in tiles of 128.
        assert_eq!(kernels[1].header.grid, [4, 128 / channels, 1]);
    }
    // 64 x 32 results of a warp, 32 deep: Volta multiplies 256 at once, Turing 1024, Ampere 2048. Fragments of 4 depths
    // come 16 rows at a time, of 8 depths 32 rows, of 16 depths 16 rows. Two vectors each of pixels and filters.
    let text = format!("{text}&type=f16");
    for (gpu, products, reads, loads) in [
        ("v100", 256, 8 * 6, 5),
        ("t4", 64, 4 * 3, 5),
        ("a100-80", 32, 2 * 6, 1),
    ] {
        let kernels = named(&text, "implicit_precomp_tensor_128x128", gpu);
        // Image, filters, offsets; the product stores planes itself.
        assert_eq!(kernels.len(), 4);
        let mix = mix(&kernels[3]);
        let read = if gpu == "v100" { "LDS" } else { "LDSM" };
        assert_eq!(
            (mix["HMMA"], mix[read], mix["LDG"]),
            (products, reads, loads)
        );
        let moved = if gpu == "a100-80" { "LDGSTS" } else { "STS" };
        assert_eq!(mix[moved], 4);
    }
    let text = "n=2&c=16&h=16&w=16&k=128&pad=1";
    // 16 numbers of a tile, 4 vectors of filters; the transform has 32 additions, 8 of them with a multiplication.
    let kernels = named(text, "winograd_fused", "v100");
    let mix = mix(&kernels[1]);
    assert_eq!((mix["FFMA"], mix["FADD"]), (512 + 8, 24));
    assert_eq!(mix["LDS"], 8 * 4);
    assert_eq!((mix["LDG"], mix["STS"]), (16 + 4, 16 + 4));
    assert_eq!(mix["BAR"], 2);
}

#[test]
fn grids_are_those_of_the_library() {
    // From the library's launches on V100 and A100 for these shapes.
    let fused = |text: &str| named(text, "winograd_fused", "v100")[1].header.grid;
    assert_eq!(fused("n=10&c=184&h=42&w=42&k=87&pad=1"), [30, 6, 3]);
    assert_eq!(fused("n=17&c=62&h=13&w=13&k=187&pad=1"), [102, 2, 1]);
    let implicit = |text: &str, channels: u64| {
        let name = format!("implicit_precomp_gemm_128x{channels}");
        named(text, &name, "v100")[1].header.grid
    };
    assert_eq!(implicit("n=13&c=7&h=48&w=48&k=216&pad=1", 32), [234, 7, 1]);
    assert_eq!(
        implicit("n=33&c=4&h=94&w=94&k=1521&pad=1", 64),
        [2279, 24, 1]
    );
    let products = |text: &str, kernel: &str, grid| {
        let names = ["winograd_nonfused::winogradForwardData4x4", kernel];
        let recorded = Recorded {
            kernels: names.map(str::to_owned).into(),
            grid: Some(grid),
            block: None,
        };
        let operator = Operator::Conv(op(text));
        let kernels = kernels(&operator, &Algorithm::Recorded(recorded), "v100");
        assert_eq!(kernels.len(), 4);
        kernels[2].header.grid
    };
    let text = "n=45&c=80&h=43&w=43&k=117&pad=1";
    assert_eq!(
        products(text, "volta_sgemm_32x128_nn", [182, 1, 36]),
        [182, 1, 36]
    );
    let text = "n=64&c=163&h=13&w=13&k=1422&pad=1";
    assert_eq!(
        products(text, "volta_sgemm_64x64_nn", [16, 23, 36]),
        [16, 23, 36]
    );
}

#[test]
fn winograd_transforms_are_as_much_arithmetic_as_their_matrices() {
    let arithmetic = |kernel: &Kernel| {
        let insts = kernel.code.insts.iter();
        insts.filter(|inst| inst.class == OpClass::Fp32).count()
    };
    let kernels = named("n=1&c=8&h=8&w=8&k=8&pad=1", "winograd_nonfused", "v100");
    // 12 lines of 6 numbers at 12 operations; 3 + 6 lines of 3 at 9; 6 + 4 lines of 6 at 10 and a product a result.
    assert_eq!(arithmetic(&kernels[0]), 144);
    assert_eq!(arithmetic(&kernels[1]), 81);
    assert_eq!(arithmetic(&kernels[3]), 100 + 16);
}

/// Bytes of each array that are read, lane by lane.
#[test]
fn traffic_is_that_of_the_tiles() {
    let text = "n=1&c=8&h=16&w=16&k=64&pad=1";
    let kernels = named(text, "implicit_precomp_gemm_128x64", "v100");
    let touched = touch(&kernels[1..], 4);
    let count = |map: &BTreeMap<u64, u32>| map.values().map(|&count| u64::from(count)).sum::<u64>();
    // Two tiles of pixels, each with every filter; every pixel under the filter once: 46 of 48 rows and columns.
    assert_eq!(count(&touched[place::FILTER].read), 2 * 64 * 72);
    assert_eq!(count(&touched[place::IMAGE].read), 8 * 46 * 46);
    assert_eq!(touched[place::OFFSETS].read.len(), 72);
    let kernels = named(text, "winograd_fused", "v100");
    let touched = touch(&kernels[1..], 4);
    // Two areas of 8 x 16 pixels, for two blocks of channels; 8 x 4 rows of tiles, of which 2 rows are padding.
    assert_eq!(count(&touched[place::FILTERS].read), 2 * 64 * 8 * 16);
    assert_eq!(count(&touched[place::IMAGE].read), 2 * 8 * 30 * 30);
}

#[test]
fn a_part_of_the_iterations_of_a_convolution_is_like_the_whole() {
    for algorithm in ["implicit_precomp_gemm_128x64", "winograd_fused"] {
        let kernel = &named("n=2&c=500&h=8&w=8&k=64&pad=1", algorithm, "v100")[1];
        let generator = generator(kernel);
        let count = |iterations: Range<u64>| {
            let mut out = CtaEncoder::default();
            generator.generate(0, iterations, &mut out);
            out.counts().0
        };
        let all = generator.iterations(0);
        let each = count(0..2) - count(0..1);
        assert_eq!(count(0..all), count(0..1) + (all - 1) * each, "{algorithm}");
        assert_eq!(count(7..19), count(0..12), "{algorithm}");
        let of_loop: u64 = mix(kernel).values().sum();
        assert_eq!(each, of_loop * u64::from(kernel.header.warps_per_cta()));
    }
}

#[test]
fn registers_leave_room_for_the_ctas_of_the_library() {
    let text = "n=2&c=16&h=16&w=16&k=128&pad=1";
    for (algorithm, ctas) in [
        ("implicit_precomp_gemm_128x64", 4),
        ("implicit_precomp_gemm_128x128", 2),
        ("winograd_fused", 2),
    ] {
        let header = named(text, algorithm, "v100")[1].header.clone();
        let registers = u32::from(header.registers_per_thread.next_multiple_of(8));
        let of_cta = registers * header.block[0];
        assert!(of_cta * ctas <= 65_536, "{algorithm}: {registers}");
    }
}

#[test]
fn a_kernel_of_a_convolution_is_made_again_from_its_text() {
    for made in all_kernels("v100") {
        let again = kernel(&made.header.source.to_string(), "v100");
        assert_eq!(made.code, again.code, "{}", made.header.source);
        assert_eq!(made.header.grid, again.header.grid);
    }
}
