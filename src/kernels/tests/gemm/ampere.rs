//! `ampere_sgemm` kernels: numbers one by one through registers.

use super::*;

/// Tiles, columns by rows.
const TILES: [(&str, &str); 6] = [
    ("128x128", ""),
    ("128x64", "tile_m=64&warps_m=2&warps_n=2&"),
    ("128x32", "tile_m=32&warps_m=2&warps_n=4&"),
    (
        "64x32_sliced1x4",
        "tile_m=32&tile_n=64&tile_k=32&warps_m=1&warps_n=2&slices=4&",
    ),
    (
        "32x32_sliced1x4",
        "tile_m=32&tile_n=32&tile_k=32&warps_m=1&warps_n=1&slices=4&",
    ),
    (
        "128x32_sliced1x4",
        "tile_m=32&tile_k=32&warps_m=1&warps_n=2&slices=4&",
    ),
];

fn ampere(tile: &str, layout: &str) -> Kernel {
    let (_, fields) = TILES.iter().find(|(name, _)| *name == tile).unwrap();
    let kind = format!("sgemm?{fields}layout={layout}");
    product(&kind, "m=256&n=256&k=256", "a100-80")
}

/// Counters of `ampere_sgemm_128x32_nn` with 4096 rows, columns and numbers of depth on an A4000 (NVIDIA developer forum,
/// topic 261150): 84,410,368 loads and stores of global memory and 353,140,736 of shared memory for 32,768 warps. These are
/// five and 21 an iteration of eight steps, 16 stores of results, and 25 more of shared memory.
#[test]
fn numbers_are_loaded_and_stored_one_by_one() {
    let kernel = ampere("128x32", "nn");
    let mix = mix(&kernel);
    assert_eq!((mix["LDG"], mix["STS"], mix["LDS"]), (5, 5, 16));
    let warps = 4096 / 128 * (4096 / 32) * 8;
    let count = |text: &str| {
        let of = |inst: &&StaticInst| {
            let full = &kernel.code.mnemonics[usize::from(inst.mnemonic)];
            full.split('.').next() == Some(text)
        };
        kernel.code.insts.iter().filter(of).count() as u64
    };
    assert_eq!(count("STG"), 16);
    assert_eq!(warps * (4096 / 8 * 5 + count("STG")), 84_410_368);
    // Four stores of sums and 16 reads of them, the first tile's stores, and its first fragments.
    let outside = count("STS") + count("LDS") - 5 - 16;
    assert_eq!(outside, 4 + 16 + 5 + 2);
    let shared = warps * (4096 / 8 * 21 + outside);
    assert!(shared.abs_diff(353_140_736) * 2000 < shared, "{shared}");
}

/// ptxas 12.9 gives a loop of this form (source of our own, sm_80) some percent more instructions: it works places in
/// shared memory out again.
#[test]
fn loops_have_about_the_instructions_of_a_compiler() {
    for (tile, compiled, share) in [
        ("128x128", 621, 0.96),
        ("128x64", 658, 0.94),
        ("128x32", 211, 0.87),
        ("64x32_sliced1x4", 391, 0.92),
        ("32x32_sliced1x4", 404, 0.95),
        ("128x32_sliced1x4", 769, 0.88),
    ] {
        let found = body(&ampere(tile, "nt")).len() as f64 / f64::from(compiled);
        assert!((found - share).abs() < 0.01, "{tile}: {found}");
    }
}

/// Registers of a thread as profilers have shown them, in the units of eight that they are given out in.
#[test]
fn kernels_have_their_registers() {
    for (tile, registers) in [
        ("128x64", 122_u16),
        ("64x32_sliced1x4", 82),
        ("32x32_sliced1x4", 86),
        ("128x32_sliced1x4", 134),
    ] {
        let kernel = ampere(tile, "nt");
        let wanted = registers.next_multiple_of(8);
        assert_eq!(kernel.header.registers_per_thread, wanted, "{tile}");
    }
}
