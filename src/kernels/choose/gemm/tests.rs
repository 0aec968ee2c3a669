//! What is chosen, and what recorded names mean.

use super::*;
use crate::config;
use crate::kernels::choose::Recorded;
use crate::kernels::operator::{DataType, Layout};

fn gpu(name: &str) -> GpuSpec {
    config::load(name, &[]).unwrap().spec
}

fn linear(m: u64, n: u64, k: u64, data: DataType) -> GemmOp {
    GemmOp {
        m,
        n,
        k,
        data,
        layout: Layout::Nt,
        ..GemmOp::usual()
    }
}

fn best(op: &GemmOp, name: &str) -> Candidate {
    let all = candidates(op, &gpu(name)).unwrap();
    let best = all
        .into_iter()
        .min_by(|a, b| a.estimate.total_cmp(&b.estimate));
    best.unwrap()
}

#[test]
fn a_large_product_has_large_tiles_and_a_decode_step_a_split_depth() {
    let large = best(&linear(4096, 4096, 4096, DataType::F16), "a100-80");
    assert_eq!(large.launches.len(), 1, "{}", large.name);
    assert!(
        large.name.contains("128x128") || large.name.contains("256"),
        "{}",
        large.name
    );
    let large = best(&linear(8192, 8192, 2048, DataType::F32), "v100");
    assert!(large.name.starts_with("volta_sgemm_128"), "{}", large.name);
    // 8 x 5120 has 80 tiles of 64 x 64: fewer than SMs, and a depth of 13,824 to share.
    let decode = best(&linear(8, 5120, 13_824, DataType::F16), "a100-80");
    assert!(decode.name.contains("splitK"), "{}", decode.name);
    assert_eq!(decode.launches.len(), 2);
    assert!(decode.launches[0].reason.contains("is split in"));
    assert!(decode.launches[1].reason.contains("adds up"));
}

#[test]
fn every_candidate_is_a_kernel_and_takes_what_its_estimate_thinks() {
    for (name, data) in [
        ("v100", DataType::F32),
        ("v100", DataType::F16),
        ("t4", DataType::F16),
        ("t4", DataType::I8),
        ("a100-80", DataType::F32),
        ("a100-80", DataType::Bf16),
        ("a100-80", DataType::Tf32),
        ("l4", DataType::F8),
        ("h100-sxm", DataType::F32),
        ("h100-sxm", DataType::F16),
        ("rtx5090", DataType::F16),
    ] {
        let gpu = gpu(name);
        for (m, n, k) in [(300, 500, 640), (16, 2048, 4096), (1, 40, 24)] {
            let op = linear(m, n, k, data);
            for candidate in candidates(&op, &gpu).unwrap() {
                let built = candidate.build(&gpu);
                let kernels = built.unwrap_or_else(|fault| panic!("{}: {fault}", candidate.name));
                assert_eq!(kernels.len(), candidate.launches.len());
                assert!(candidate.estimate > 0.0);
            }
            for choice in tiles::all(&op, &gpu) {
                let gemm = choice.product(&op, &gpu);
                let Ok(kernel) = crate::kernels::KernelGenerator::build(&gemm, &gpu) else {
                    continue;
                };
                let work = gemm.work(&gpu);
                let header = &kernel.header;
                assert!(
                    work.smem_bytes <= header.smem_bytes.into(),
                    "{}",
                    choice.name
                );
                assert!(
                    work.registers <= header.registers_per_thread.into(),
                    "{}",
                    choice.name
                );
            }
        }
    }
}

#[test]
fn types_that_a_chip_lacks_are_refused_with_the_reason() {
    let fault = candidates(&linear(64, 64, 64, DataType::F8), &gpu("a100-80"));
    assert!(fault.err().unwrap().to_string().contains("lack it"));
}

/// Names, grids and blocks as profilers recorded them.
#[test]
fn recorded_kernels_have_their_grid_and_block() {
    let f32 = |m, n, k| linear(m, n, k, DataType::F32);
    let f16 = |m, n, k| linear(m, n, k, DataType::F16);
    let xmma = "sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize256x64x8_stage3_warpsize2x2x1_ffma_aligna4_alignc4_execute_kernel__5x_cublas";
    let cutlass = "void cutlass::Kernel<cutlass_80_simt_sgemm_256x128_8x4_tn_align1>(Params)";
    let half = "ampere_fp16_s16816gemm_fp16_128x64_sliced1x2_ldg8_f2f_stages_64x3_tn";
    let wmma = "cutlass_80_wmma_tensorop_f16_s161616gemm_f16_16x16_128x2_tn_align8";
    let cases = [
        (
            "v100",
            "volta_sgemm_128x64_tn",
            f32(342, 2470, 3675),
            [20, 6, 2],
            128,
        ),
        (
            "v100",
            "volta_sgemm_32x128_tn",
            f32(4517, 75, 3054),
            [3, 36, 2],
            256,
        ),
        (
            "a100-40",
            "ampere_sgemm_32x32_sliced1x4_tn",
            f32(534, 1358, 2901),
            [43, 17, 1],
            128,
        ),
        (
            "a100-40",
            "ampere_sgemm_128x32_sliced1x4_tn",
            f32(2048, 768, 4096),
            [6, 64, 1],
            256,
        ),
        (
            "t4",
            "volta_sgemm_64x64_tn",
            f32(766, 424, 4959),
            [7, 12, 7],
            64,
        ),
        ("h100-sxm", xmma, f32(8192, 2048, 512), [32, 32, 1], 128),
        (
            "h100-sxm",
            cutlass,
            f32(2048, 768, 50_272),
            [32, 2, 11],
            256,
        ),
        ("a100-80", half, f16(64, 512, 1024), [4, 1, 1], 128),
        ("a100-80", wmma, f16(8, 512, 1024), [1, 32, 1], 32),
    ];
    for (name, kernel, op, grid, block) in cases {
        has_the_grid(name, kernel, &op, grid, block);
    }
}

fn has_the_grid(name: &str, kernel: &str, op: &GemmOp, grid: [u32; 3], block: u32) {
    let gpu = gpu(name);
    let launched = Recorded {
        kernels: vec![kernel.to_owned()],
        grid: Some(grid),
        block: Some([block, 1, 1]),
    };
    let candidate = recorded(op, &launched, &gpu).unwrap_or_else(|| panic!("{kernel}"));
    let built = &candidate.build(&gpu).unwrap()[0];
    // Our grid of a swizzled raster runs along the rows; its number of CTAs is what counts.
    let ctas = grid.iter().product::<u32>();
    assert_eq!(built.header.cta_count(), u64::from(ctas), "{kernel}");
    assert_eq!(built.header.block, [block, 1, 1], "{kernel}");
    if !kernel.contains("cutlass") {
        assert_eq!(built.header.grid, grid, "{kernel}");
    }
    assert!(candidate.launches[0].reason.contains("was launched"));
}

#[test]
fn a_recorded_kernel_that_nobody_knows_is_none() {
    let unknown = Recorded {
        kernels: vec!["gemv2T_kernel_val".to_owned()],
        ..Recorded::default()
    };
    assert!(recorded(&linear(8, 1, 8, DataType::F32), &unknown, &gpu("v100")).is_none());
}

#[test]
fn a_recorded_sum_of_parts_is_a_kernel_of_its_own() {
    let launched = |reduced: bool| {
        let sum = reduced.then(|| "splitKreduce_kernel<32, 16, int, float>".to_owned());
        Recorded {
            kernels: std::iter::once("volta_sgemm_32x32_sliced1x4_tn".to_owned())
                .chain(sum)
                .collect(),
            grid: Some([4, 15, 4]),
            block: None,
        }
    };
    let op = linear(471, 128, 359, DataType::F32);
    for reduced in [false, true] {
        let candidate = recorded(&op, &launched(reduced), &gpu("v100")).unwrap();
        assert_eq!(candidate.launches.len(), 1 + usize::from(reduced));
    }
}

#[test]
fn batches_in_fp32_have_the_tiles_that_were_seen() {
    for (name, tile) in [("a100-40", "128x128"), ("l4", "128x128"), ("v100", "64x64")] {
        let op = GemmOp {
            batch: 64,
            layout: Layout::Nn,
            ..linear(2048, 64, 2048, DataType::F32)
        };
        let best = best(&op, name);
        assert!(best.name.contains(tile), "{name}: {}", best.name);
    }
}

/// Each CTA of a kernel without tiles asks L2 for the whole small matrix, and waits for the rows of it that have no register.
#[test]
fn a_deep_thin_product_has_tiles_where_each_cta_would_read_a_long_small_matrix() {
    let name = |m, n, k, layout| {
        let op = GemmOp {
            layout,
            ..linear(m, n, k, DataType::F32)
        };
        best(&op, "v100-sxm2").name
    };
    // 32 MB of the small matrix for each of 128 CTAs.
    let deep = name(16, 512, 500_000, Layout::Nt);
    assert!(
        deep.starts_with("volta_sgemm") && deep.contains("splitK"),
        "{deep}"
    );
    // One row of it: 2 MB.
    let row = name(1, 512, 500_000, Layout::Nt);
    assert!(row.starts_with("gemv2T"), "{row}");
    // CTAs that share the depth read a part each.
    let shared = name(16, 512, 500_000, Layout::Nn);
    assert!(shared.starts_with("gemmSN_NN"), "{shared}");
}

#[test]
fn what_ctas_read_of_the_small_matrix_counts_at_the_rate_of_l2() {
    let gpu = gpu("v100-sxm2");
    let thin = |small_bytes| cost::Thin {
        ctas: 8000,
        warps: 4,
        registers: 64,
        smem_bytes: 0,
        trips: 4,
        instructions: 40,
        passes: 20,
        waits: 0,
        finish: 40,
        bytes: 1e6,
        small_bytes,
    };
    let [none, much] = [0, 10 << 20].map(|bytes| cost::thin_cost(&thin(bytes), &gpu).unwrap());
    let peak = f64::from(gpu.l2.slices) * f64::from(gpu.l2.slice_bytes_per_cycle);
    let least = 8000.0 * f64::from(10 << 20) / peak;
    assert!((least..2.0 * least).contains(&(much.cycles - none.cycles)));
    assert_eq!((none.limit == "L2", much.limit), (false, "L2"));
}
