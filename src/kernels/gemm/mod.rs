//! Matrix multiplies, C = A x B, row major: what is wanted, and what the kinds have in common.

mod ffma;
mod hmma;
mod hmma_async;

use super::builder::{KernelBuilder, p, r};
use super::fields::{Fields, Param};
use super::{Assembly, Fault, KernelGenerator};
use crate::config::GpuSpec;
use std::fmt;
use std::ops::Range;

/// Numbers of the matrices, and with them the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// FP32 on the FMA pipes.
    F32,
    /// FP16 in, FP32 sums and results, on tensor cores.
    F16,
}

/// The matrices: A has m rows of k elements, B k rows of n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of C.
    pub m: u64,
    /// Columns of C, a multiple of 4 elements (F32) or 8 (F16).
    pub n: u64,
    /// Depth, a multiple of the same.
    pub k: u64,
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

/// A matrix multiply.
///
/// [`Gemm::new`] fills in what is usual for a GPU. Other tiles, stages and warps are refused where no instruction
/// stream is known for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gemm {
    /// Numbers.
    pub numbers: Numbers,
    /// Matrices.
    pub shape: Shape,
    /// Tile of a CTA.
    pub tile: Tile,
    /// Stages of tiles in shared memory: two, or with cp.async 2 to 8.
    pub stages: u32,
    /// Warps of a CTA along m and n, each with its part of the tile.
    pub warps: [u32; 2],
}

/// Most elements along an edge of a matrix.
const EDGE_MAX: u64 = 1 << 20;
/// Most stages of cp.async.
const STAGES_MAX: u64 = 8;

const M: Param = Param::count("m", 1024, 1, EDGE_MAX, "rows of C");
pub(super) const F32_FIELDS: &[Param] = &[
    M,
    Param::count("n", 1024, 4, EDGE_MAX, "columns of C, a multiple of 4"),
    Param::count("k", 1024, 4, EDGE_MAX, "depth, a multiple of 4"),
];
pub(super) const F16_FIELDS: &[Param] = &[
    M,
    Param::count("n", 1024, 8, EDGE_MAX, "columns of C, a multiple of 8"),
    Param::count("k", 1024, 8, EDGE_MAX, "depth, a multiple of 8"),
    Param::count(
        "stages",
        0,
        0,
        STAGES_MAX,
        "stages of tiles in shared memory; 0: 3 with cp.async, 2 without",
    )
    .quiet(),
];

impl Gemm {
    /// The product as it is usual on `gpu`.
    pub fn new(numbers: Numbers, shape: Shape, gpu: &GpuSpec) -> Self {
        let (k, warps) = match numbers {
            Numbers::F32 => (ffma::DEPTH, [8, 1]),
            Numbers::F16 if gpu.compute_capability >= 80 => (hmma_async::DEPTH, [2, 4]),
            Numbers::F16 => (hmma::DEPTH, [4, 2]),
        };
        let tile = Tile {
            m: TILE as u32,
            n: TILE as u32,
            k: k as u32,
        };
        Gemm {
            numbers,
            shape,
            tile,
            stages: usual_stages(tile),
            warps,
        }
    }

    /// Of the values of a family's fields.
    pub(super) fn of(numbers: Numbers, values: &[u64], gpu: &GpuSpec) -> Self {
        let [m, n, k] = [0, 1, 2].map(|at| values[at]);
        let usual = Gemm::new(numbers, Shape { m, n, k }, gpu);
        match (numbers, values.get(3)) {
            (Numbers::F16, Some(&stages)) if stages > 0 => Gemm {
                stages: stages as u32,
                ..usual
            },
            _ => usual,
        }
    }

    /// Whether there is an instruction stream for these fields on `gpu`.
    fn check(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        let usual = Gemm::new(self.numbers, self.shape, gpu);
        let multiple = match self.numbers {
            Numbers::F32 => 4,
            Numbers::F16 => 8,
        };
        for (name, value) in [("n", self.shape.n), ("k", self.shape.k)] {
            if !value.is_multiple_of(multiple) {
                return Err(Fault::field(
                    name,
                    value,
                    format!("not a multiple of {multiple}"),
                ));
            }
        }
        if self.tile != usual.tile {
            let what = format!("on {} there are tiles of {}", gpu.name, usual.tile);
            return Err(Fault::field("tile", self.tile, what));
        }
        if self.warps != usual.warps {
            let show = |[m, n]: [u32; 2]| format!("{m}x{n}");
            let what = format!("a tile of {} has {} warps", self.tile, show(usual.warps));
            return Err(Fault::field("warps", show(self.warps), what));
        }
        let most = match is_async(self.tile) {
            true => STAGES_MAX as u32,
            false => 2,
        };
        if !(2..=most).contains(&self.stages) {
            let what = match is_async(self.tile) {
                true => format!("2 to {most} stages of cp.async"),
                false => format!("two stages without cp.async, as on {}", gpu.name),
            };
            return Err(Fault::field("stages", self.stages, what));
        }
        Ok(())
    }
}

/// Whether tiles of this depth come by cp.async.
fn is_async(tile: Tile) -> bool {
    u64::from(tile.k) == hmma_async::DEPTH
}

fn usual_stages(tile: Tile) -> u32 {
    if is_async(tile) { 3 } else { 2 }
}

impl Fields for Gemm {
    fn fields(&self) -> Vec<(Param, u64)> {
        let Shape { m, n, k } = self.shape;
        // Zero stands for the usual number.
        let stages = match self.stages {
            usual if usual == usual_stages(self.tile) => 0,
            other => other.into(),
        };
        let declared = match self.numbers {
            Numbers::F32 => F32_FIELDS,
            Numbers::F16 => F16_FIELDS,
        };
        declared.iter().copied().zip([m, n, k, stages]).collect()
    }
}

impl KernelGenerator for Gemm {
    fn name(&self) -> &'static str {
        match self.numbers {
            Numbers::F32 => "sgemm",
            Numbers::F16 => "hgemm",
        }
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check(gpu)?;
        Ok(match self.numbers {
            Numbers::F32 => ffma::assemble(self, gpu),
            Numbers::F16 if is_async(self.tile) => hmma_async::assemble(self, gpu),
            Numbers::F16 => hmma::assemble(self, gpu),
        })
    }
}

/// Rows and columns of every tile.
const TILE: u64 = 128;

impl Shape {
    /// CTAs in x and y.
    fn grid(&self) -> [u32; 3] {
        [
            self.n.div_ceil(TILE) as u32,
            self.m.div_ceil(TILE) as u32,
            1,
        ]
    }

    /// First row and column of the tile of `cta`.
    fn origin(&self, cta: u64) -> (u64, u64) {
        let columns = self.n.div_ceil(TILE);
        (cta / columns * TILE, cta % columns * TILE)
    }

    /// How many of `count` rows from `row` are in C.
    fn rows(&self, row: u64, count: u64) -> u64 {
        self.m.saturating_sub(row).min(count)
    }

    /// Groups of 8 columns from `column`, `count` at most.
    fn column_groups(&self, column: u64, count: u64) -> u64 {
        (self.n.saturating_sub(column) / 8).min(count)
    }

    /// Groups of 8 along the depth.
    fn depth_groups(&self, depth: u64, count: u64) -> u64 {
        (self.k.saturating_sub(depth) / 8).min(count)
    }
}

/// Global addresses in R2 and R4, addresses in shared memory (and a counter) in `shared`, cleared
/// results.
fn append_prologue(code: &mut KernelBuilder, shared: &[u16], results: Range<u16>) {
    code.entry();
    code.thread_number();
    for (address, parameter) in [(2, 0), (4, 1)] {
        let parameter = code.parameter(parameter);
        code.inst_const("IMAD.WIDE", &[r(address)], &[r(0), r(3)], parameter);
    }
    for &address in shared {
        code.inst("LEA", &[r(address)], &[r(3)]);
    }
    for result in results {
        code.inst("MOV", &[r(result)], &[]);
    }
}

/// Advances both global addresses and the counter, and branches back to instruction `body`.
/// Returns the index after the loop.
fn append_loop_end(code: &mut KernelBuilder, counter: u16, body: u32) -> u32 {
    for address in [2, 4, counter] {
        code.inst("IADD3", &[r(address)], &[r(address)]);
    }
    code.inst("ISETP.NE.AND", &[p(0)], &[r(counter)]);
    code.branch(body);
    code.here()
}
