//! Matrix products, C = A x B, as libraries compute them: tiles of C, each by one CTA.
//!
//! [`Gemm`] says everything that tells one library kernel from another: numbers, layouts, tile, warps, stages, slices
//! of the depth within a CTA and over the grid, order of the tiles, epilogue. Any shape goes; edges are masked lane by
//! lane, and rows that are not aligned are read in smaller pieces.
//!
//! - `operand`: the way of a tile from global to shared memory
//! - `pipeline`: the loop that all kinds have in common; `writer`: its code
//! - `simt`, `tensor`: what is read from shared memory and multiplied
//! - `epilogue`: the way of the results to C
//! - `reduce`: the sum of the parts of a split depth
//! - `gemv`, `gemv_columns`: C of few rows or few columns, without tiles

mod body;
mod check;
mod convert;
mod epilogue;
mod fields;
pub mod gemv;
pub mod gemv_columns;
mod lanes;
mod operand;
mod pipeline;
mod place;
pub mod reduce;
mod simt;
mod tensor;
mod work;
mod writer;

pub(super) use fields::{F16_FIELDS, F32_FIELDS};

pub use work::Work;

use super::operator::{DataType, Epilogue, Layout, Sums};
use super::{Arrays, Assembly, Fault, KernelGenerator, fields::names, moves_arrays};
use crate::config::GpuSpec;
use std::fmt;

/// The matrices: A has m rows of k elements, B k rows of n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of C.
    pub m: u64,
    /// Columns of C.
    pub n: u64,
    /// Depth.
    pub k: u64,
    /// Products, one behind the other in memory.
    pub batch: u64,
}

/// What a CTA multiplies at a time, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows of C.
    pub m: u32,
    /// Columns of C.
    pub n: u32,
    /// Depth of a stage.
    pub k: u32,
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.m, self.n, self.k)
    }
}

names! {
    /// Where the parts of a split depth become one.
    pub enum Merge {
        /// Each part is added to C where it lies, at L2. C is zero before.
        InPlace = "inplace",
        /// Each part is stored apart; a kernel of its own adds them up.
        Workspace = "workspace",
    }
}

names! {
    /// Which way the numbers of CTAs run over the tiles of C.
    pub enum Raster {
        /// Along a row of tiles first.
        Columns = "columns",
        /// Along a column of tiles first.
        Rows = "rows",
    }
}

/// A matrix product, by one kernel.
///
/// [`Gemm::new`] fills in what is usual for a GPU. What has no instruction stream is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gemm {
    /// Numbers of A and B.
    pub data: DataType,
    /// Matrices.
    pub shape: Shape,
    /// How A and B lie in memory.
    pub layout: Layout,
    /// Tile of a CTA.
    pub tile: Tile,
    /// Warps of a slice along m and n, each with its part of the tile.
    pub warps: [u32; 2],
    /// Groups of warps that share a tile: each multiplies its part of the depth of a stage, and they add up in the end.
    pub slices: u32,
    /// Stages of tiles in shared memory: two, or with cp.async 2 to 8.
    pub stages: u32,
    /// Parts of the depth, each with CTAs of its own.
    pub split: u32,
    /// Where these become one.
    pub merge: Merge,
    /// Order of the tiles.
    pub raster: Raster,
    /// With [`Raster::Rows`]: that many columns of tiles (as a power of two) are taken along.
    pub swizzle: u32,
    /// What is done to results.
    pub epilogue: Epilogue,
    /// What C held is added to the results.
    pub beta: bool,
    /// The matrices of a batch are found by arrays of pointers. They lie as without.
    pub pointers: bool,
    /// Numbers that products of 16-bit floats are added up in.
    pub accumulator: Sums,
    /// Numbers of C.
    pub output: DataType,
    /// Rows may begin at any number: A, B and C move number by number whatever their pitches are, and each load of A
    /// and B has a guard and an address of its own. So are the FP32 kernels of Hopper (`aligna4_alignc4`, in bytes, and
    /// `align1`, in numbers) and of Ampere (`ampere_sgemm_128x32_nn`: five loads of global memory, five stores to shared
    /// memory and sixteen reads of it a warp and eight steps, 16 stores of results, by counters of an A4000).
    pub any_alignment: bool,
    /// A, B, C, bias, workspace; pointers to the matrices A, B, C of a batch.
    pub arrays: Arrays,
}

/// Places among the arrays.
pub(super) mod array {
    pub const A: usize = 0;
    pub const B: usize = 1;
    pub const C: usize = 2;
    pub const BIAS: usize = 3;
    pub const WORKSPACE: usize = 4;
    /// Of A; those of B and C follow.
    pub const POINTERS: usize = 5;
}

/// Most stages of cp.async.
const STAGES_MAX: u32 = 8;

impl Gemm {
    /// The product as it is usual on `gpu`: tiles of 128 x 128.
    pub fn new(data: DataType, shape: Shape, gpu: &GpuSpec) -> Self {
        let version = gpu.compute_capability;
        let (depth, warps, stages) = match data {
            DataType::F32 if version >= 90 => (8, [2, 2], 3),
            DataType::F32 => (8, [4, 2], 2),
            // 64 bytes of depth.
            _ if version >= 80 => (64 / data.bytes() as u32, [2, 2], 5),
            _ => (64 / data.bytes() as u32, [2, 4], 2),
        };
        let tile = Tile {
            m: 128,
            n: 128,
            k: depth,
        };
        Gemm {
            data,
            shape,
            layout: Layout::Nn,
            tile,
            warps,
            slices: 1,
            stages: 2,
            split: 1,
            merge: Merge::InPlace,
            raster: Raster::Columns,
            swizzle: 0,
            epilogue: Epilogue::None,
            beta: false,
            pointers: false,
            accumulator: Sums::Wide,
            output: output_of(data),
            any_alignment: data == DataType::F32 && version >= 80,
            arrays: Arrays::default(),
        }
        .with_stages(stages, gpu)
    }

    /// With at most `stages` stages, as many as leave room for two CTAs on an SM of `gpu`.
    pub fn with_stages(self, stages: u32, gpu: &GpuSpec) -> Self {
        let of_sm = gpu.l1.carveouts_kib.iter().max().copied().unwrap_or(0) * 1024;
        let room = u64::from(of_sm / 2).saturating_sub(gpu.smem.reserved_per_cta_bytes.into());
        let stage =
            u64::from(self.tile.m + self.tile.n) * u64::from(self.tile.k) * self.data.bytes();
        let fit = u32::try_from(room / stage.max(1)).unwrap_or(u32::MAX);
        Gemm {
            stages: stages.min(fit).max(stages.min(3)),
            ..self
        }
    }

    /// With more warps where a tile comes in pieces of two bytes: each is a register on its way.
    pub fn spread_over_threads(mut self) -> Self {
        let [a, b] = self.vectors();
        let part = |gemm: &Self, edge: usize| [gemm.tile.m, gemm.tile.n][edge] / gemm.warps[edge];
        if self.data != DataType::F32 && a.min(b) < 4 && part(&self, 0) * part(&self, 1) > 2048 {
            let edge = if part(&self, 0) > 32 { 0 } else { 1 };
            self.warps[edge] *= 2;
        }
        self
    }

    /// Threads of a CTA.
    pub fn threads(&self) -> u32 {
        32 * self.warps[0] * self.warps[1] * self.slices
    }

    /// Bytes that the first elements of all rows of A and of B are known to be aligned to: what one access may
    /// have.
    pub fn vectors(&self) -> [u64; 2] {
        let (a, b) = (self.pitches().0, self.pitches().1);
        let size = self.data.bytes();
        match self.any_alignment {
            true => [size; 2],
            false => [a, b].map(|pitch| 1 << pitch.trailing_zeros().min(4)),
        }
    }

    /// Whether cp.async brings the tiles on a machine of compute capability `version`: it moves four bytes at least.
    /// FP32 kernels of two stages are those that libraries have had since Volta, with registers between.
    pub fn asynchronous(&self, version: u16) -> bool {
        version >= 80
            && (self.data != DataType::F32 || self.stages > 2)
            && self.vectors().iter().all(|&bytes| bytes >= 4)
    }

    /// Bytes from row to row (or column to column) of A and B in memory.
    fn pitches(&self) -> (u64, u64) {
        let Shape { m, n, k, .. } = self.shape;
        let size = self.data.bytes();
        let a = match self.layout {
            Layout::Nn | Layout::Nt => k,
            Layout::Tn | Layout::Tt => m,
        };
        let b = match self.layout {
            Layout::Nn | Layout::Tn => n,
            Layout::Nt | Layout::Tt => k,
        };
        (a * size, b * size)
    }
}

/// Numbers of C for products of `data`, as libraries have them: integers stay 32 bits, 8-bit floats become 16.
pub fn output_of(data: DataType) -> DataType {
    match data {
        DataType::F32 | DataType::Tf32 | DataType::I8 => DataType::F32,
        DataType::F16 => DataType::F16,
        DataType::Bf16 | DataType::F8 => DataType::Bf16,
    }
}

impl KernelGenerator for Gemm {
    moves_arrays!();

    fn name(&self) -> &'static str {
        match self.data {
            DataType::F32 => "sgemm",
            _ => "hgemm",
        }
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check(gpu)?;
        Ok(match self.data {
            DataType::F32 => pipeline::assemble(self, simt::Simt::new(self), gpu),
            _ => pipeline::assemble(self, tensor::Tensor::new(self, gpu), gpu),
        })
    }
}
