//! The tiles that libraries have for a type on an architecture, by the names that they go by.
//!
//! Names have the tile as column-major libraries count it: first along the columns of C, then along its rows. Those of
//! Hopper's FP32 kernels count rows first.

use crate::config::GpuSpec;
use crate::kernels::gemm::{Gemm, Raster, Shape, Tile, output_of};
use crate::kernels::operator::{DataType, GemmOp, Sums};

/// A library's kernel for any product.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    /// Its name.
    pub name: String,
    pub tile: Tile,
    pub warps: [u32; 2],
    pub slices: u32,
    pub stages: u32,
    pub raster: Raster,
    /// Columns of tiles taken along follow from their number.
    pub swizzled: bool,
}

impl Choice {
    /// For `op`, with as many stages of it as fit `gpu`.
    pub(super) fn product(&self, op: &GemmOp, gpu: &GpuSpec) -> Gemm {
        let shape = Shape {
            m: op.m,
            n: op.n,
            k: op.k,
            batch: op.batch,
        };
        let columns = op.n.div_ceil(self.tile.n.into());
        let gemm = Gemm {
            tile: self.tile,
            warps: self.warps,
            slices: self.slices,
            layout: op.layout,
            epilogue: op.epilogue,
            beta: op.beta == 1,
            pointers: op.pointers == 1,
            accumulator: op.sums,
            output: output_of(op.data),
            raster: self.raster,
            swizzle: if self.swizzled { swizzle(columns) } else { 0 },
            ..Gemm::new(op.data, shape, gpu)
        };
        Gemm {
            stages: match gpu.compute_capability {
                80.. => self.stages,
                _ => 2,
            },
            ..gemm
        }
        .spread_over_threads()
    }
}

/// CUTLASS's: how many columns of tiles (as a power of two) neighbouring CTAs take along.
fn swizzle(columns: u64) -> u32 {
    match columns {
        6.. => 3,
        3.. => 2,
        2 => 1,
        _ => 0,
    }
}

/// `volta_sgemm_128x64`, `ampere_sgemm_32x32_sliced1x4`.
pub(super) fn sgemm(n: u32, m: u32, slices: u32, gpu: &GpuSpec) -> Choice {
    let (prefix, sliced_depth) = match gpu.compute_capability {
        80.. => ("ampere", 32),
        _ => ("volta", 16),
    };
    let warps = match (n, m, slices) {
        (32, 32, 4) => [1, 1],
        (_, 32, 4) => [1, 2],
        (32, _, _) => [m / 16, 1],
        (_, 32, _) => [2, n / 32],
        _ => [m / 32, n / 64],
    };
    let sliced = match slices {
        1 => String::new(),
        slices => format!("_sliced1x{slices}"),
    };
    Choice {
        name: format!("{prefix}_sgemm_{n}x{m}{sliced}"),
        tile: Tile {
            m,
            n,
            k: if slices > 1 { sliced_depth } else { 8 },
        },
        warps,
        slices,
        stages: 2,
        raster: Raster::Columns,
        swizzled: false,
    }
}

/// `sm80_xmma_gemm_f32f32_tilesize128x128x8_stage3_warpsize2x2x1_ffma`: Hopper's FP32 kernels.
pub(super) fn xmma(tile: Tile, stages: u32, warps: [u32; 2]) -> Choice {
    let [along_m, along_n] = warps;
    Choice {
        name: format!(
            "sm80_xmma_gemm_f32f32_tilesize{tile}_stage{stages}_warpsize{along_m}x{along_n}x1_ffma"
        ),
        tile,
        warps,
        slices: 1,
        stages,
        raster: Raster::Rows,
        swizzled: false,
    }
}

/// `cutlass_80_simt_sgemm_256x128_8x4`.
pub(super) fn cutlass_simt(n: u32, m: u32, k: u32, stages: u32) -> Choice {
    Choice {
        name: format!("cutlass_80_simt_sgemm_{n}x{m}_{k}x{stages}"),
        tile: Tile { m, n, k },
        warps: [(m / 64).max(1), (n / 64).max(1)],
        slices: 1,
        stages,
        raster: Raster::Rows,
        swizzled: true,
    }
}

/// A tensor kernel: `ampere_fp16_s16816gemm_fp16_128x128_ldg8_f2f_stages_32x5`. `halves` is the depth of a stage when
/// numbers have 16 bits.
pub(super) fn tensor(
    (data, sums): (DataType, Sums),
    (n, m): (u32, u32),
    (halves, stages, slices): (u32, u32, u32),
    gpu: &GpuSpec,
) -> Choice {
    let version = gpu.compute_capability;
    let (prefix, shape) = match version {
        80.. => ("ampere", "16816gemm"),
        75.. => ("turing", "1688gemm"),
        _ => ("volta", "884gemm"),
    };
    // Libraries say in front what is added up in: s for 32 bits, h for 16.
    let shape = match sums {
        Sums::Wide => format!("{}_s{shape}", data.name()),
        Sums::Narrow => format!("h{shape}"),
    };
    let warps = match (n, m) {
        (256, 128) | (128, 256) => [m / 64, n / 64],
        (256, 64) => [1, 4],
        (64, 256) => [4, 1],
        (128, 128) if version < 80 => [2, 4],
        (128, 64) if slices > 1 && version < 80 => [1, 4],
        (128, 64) if slices > 1 => [1, 2],
        (64, 64) if slices > 1 => [1, 2],
        _ => [2, 2],
    };
    let sliced = match slices {
        1 => String::new(),
        slices => format!("_sliced1x{slices}"),
    };
    let staged = match version {
        80.. => format!("_stages_{halves}x{stages}"),
        _ => String::new(),
    };
    Choice {
        name: format!("{prefix}_{shape}_{n}x{m}{sliced}{staged}"),
        tile: Tile {
            m,
            n,
            k: halves * 2 / data.bytes() as u32,
        },
        warps,
        slices,
        stages,
        raster: Raster::Columns,
        swizzled: false,
    }
}

/// `cutlass_80_wmma_tensorop_f16_s161616gemm_f16_16x16_128x2`: one warp, for C of few rows or columns.
pub(super) fn wmma(data: DataType, gpu: &GpuSpec) -> Choice {
    let version = gpu.compute_capability.min(80);
    let name = data.name();
    Choice {
        name: format!("cutlass_{version}_wmma_tensorop_{name}_s161616gemm_{name}_16x16_128x2"),
        tile: Tile {
            m: 16,
            n: 16,
            k: 256 / data.bytes() as u32,
        },
        warps: [1, 1],
        slices: 1,
        stages: 2,
        raster: Raster::Rows,
        swizzled: false,
    }
}

/// All kernels for `op` on `gpu`.
pub(super) fn all(op: &GemmOp, gpu: &GpuSpec) -> Vec<Choice> {
    let data = op.data;
    let version = gpu.compute_capability;
    if data == DataType::F32 && version >= 90 {
        let tile = |m, n| Tile { m, n, k: 8 };
        let mut all: Vec<_> = [
            (128, 128, [2, 2]),
            (128, 64, [2, 2]),
            (256, 64, [2, 2]),
            (64, 128, [1, 4]),
            (64, 256, [1, 4]),
            (64, 64, [1, 4]),
            (128, 32, [2, 2]),
            (32, 32, [1, 2]),
        ]
        .map(|(m, n, warps)| xmma(tile(m, n), 3, warps))
        .into();
        all.push(cutlass_simt(256, 128, 8, 4));
        return all;
    }
    if data == DataType::F32 && op.batch > 1 {
        return batched(gpu);
    }
    if data == DataType::F32 {
        let plain = [(128, 128), (128, 64), (64, 64), (32, 128), (128, 32)];
        let plain = plain.map(|(n, m)| sgemm(n, m, 1, gpu));
        let sliced = [(32, 32), (64, 32), (128, 32)].map(|(n, m)| sgemm(n, m, 4, gpu));
        return plain.into_iter().chain(sliced).collect();
    }
    let tiles: &[_] = match version {
        80.. => &[
            ((128, 128), (32, 5, 1)),
            ((128, 128), (64, 3, 1)),
            ((256, 128), (32, 3, 1)),
            ((128, 256), (32, 3, 1)),
            ((256, 64), (32, 4, 1)),
            ((64, 256), (32, 4, 1)),
            ((128, 64), (32, 6, 1)),
            ((64, 128), (32, 6, 1)),
            ((128, 64), (64, 4, 1)),
            ((64, 128), (64, 4, 1)),
            ((64, 64), (32, 6, 1)),
            ((64, 64), (64, 6, 1)),
            ((64, 64), (64, 6, 2)),
        ],
        75.. => &[
            ((128, 128), (32, 2, 1)),
            ((256, 128), (32, 2, 1)),
            ((128, 256), (32, 2, 1)),
            ((128, 64), (64, 2, 2)),
            ((128, 64), (32, 2, 1)),
            ((64, 64), (32, 2, 1)),
        ],
        _ => &[
            ((128, 128), (32, 2, 1)),
            ((256, 128), (32, 2, 1)),
            ((128, 256), (32, 2, 1)),
            ((128, 64), (32, 2, 1)),
            ((64, 128), (32, 2, 1)),
            ((64, 64), (32, 2, 1)),
        ],
    };
    let tiles = tiles.iter();
    let tiles = tiles.map(|&(tile, stages)| tensor((data, op.sums), tile, stages, gpu));
    let thin = op.m.min(op.n) <= THIN && version >= 75 && op.sums == Sums::Wide;
    tiles.chain(thin.then(|| wmma(data, gpu))).collect()
}

/// The kernels that cuBLAS has been seen to launch for batches in FP32, columns by rows: one on Ampere and Ada, whatever
/// is wasted of its tile (129 of 129 measured products of A100 and L4); three on Turing (59 of T4) and three on Volta (58
/// of V100). Source: kernel names of the NeuSight dataset.
fn batched(gpu: &GpuSpec) -> Vec<Choice> {
    let tiles: &[_] = match gpu.compute_capability {
        80.. => &[(128, 128)],
        75.. => &[(128, 64), (64, 64), (128, 32)],
        _ => &[(32, 128), (64, 64), (128, 32)],
    };
    tiles.iter().map(|&(n, m)| sgemm(n, m, 1, gpu)).collect()
}

/// Rows or columns that a tile of 16 x 16 wastes nothing on.
const THIN: u64 = 16;
