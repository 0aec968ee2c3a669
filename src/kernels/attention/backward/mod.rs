//! FlashAttention 2, backward: a CTA for some keys of a head goes over the queries, tile by tile.
//!
//! Five products an iteration: scores again, their gradients, and what these give to values, queries and keys. Gradients
//! of queries are added in memory, in FP32, by atomics (`flash_bwd_dq_dk_dv_loop_seqk_parallel_kernel`). In front of it
//! [`rows::DotRows`] makes a number of each row, behind it [`rows::ConvertQueries`] makes halves of the sums. Tiles are
//! those of `flash_bwd_launch_template.h`; its traits for 96 and 192 elements are not built, such heads are padded.

mod code;
pub mod rows;
mod warps;

use crate::config::GpuSpec;
use crate::kernels::attention::product::{Product, Side, TileCopies};
use crate::kernels::attention::tile::{HALF, Tile};
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::fields::{Field, family};
use crate::kernels::operator::DataType;
use crate::kernels::rows::script::Block;
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays, per_warp};
use warps::{BackwardWarps, Blocks, Fragments};

family! {
    /// Gradients of queries, keys and values. Tensors are (sequence, token, head, element). Operands: Q, K, V, the result
    /// of forward, sums of exponentials (and numbers of rows), its gradient, sums of the queries' gradients, gradients.
    pub struct Backward of arrays: Arrays {
        /// sequences
        pub batch: u64 = "b" count(8, 1, 65535),
        /// heads
        pub heads: u64 = "h" count(32, 1, 4096),
        /// queries of a sequence
        pub queries: u64 = "sq" count(2048, 1, 1 << 20),
        /// keys of a sequence
        pub keys: u64 = "sk" count(2048, 1, 1 << 20),
        /// elements of a head
        pub head_dim: u64 = "d" count(128, 8, 256),
        /// queries see only the keys up to their own place, counted from the end: 1
        pub causal: u64 = "causal" count(0, 0, 1),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

/// Warps of a CTA.
const WARPS: u64 = 8;
/// Registers: addresses up to r3, numbers of rows up to r7, then two sets of fragments, scores and their gradients (or
/// those of queries), gradients of values and of keys.
const ADDRESS: u16 = 2;
const STATS: u16 = 4;
const FRAGMENTS: u16 = 8;

/// The products, in the order of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Scores,
    Weights,
    Values,
    Queries,
    Keys,
}

impl Which {
    const ALL: [Which; 5] = [
        Which::Scores,
        Which::Weights,
        Which::Values,
        Which::Queries,
        Which::Keys,
    ];
}

/// Places in shared memory.
#[derive(Clone, Copy)]
struct Shared {
    keys: u64,
    values: u64,
    /// Two tiles, which take turns where there is room.
    queries: u64,
    results: u64,
    weights: u64,
    gradients: u64,
    end: u64,
}

impl Backward {
    /// Elements of a head as the kernel has them.
    fn padded(&self) -> u64 {
        match self.head_dim {
            ..=64 => 64,
            65..=128 => 128,
            _ => 256,
        }
    }

    /// Queries and keys of a tile.
    fn tile(&self) -> (u64, u64) {
        match self.padded() {
            64 => (128, 128),
            128 => (64, 128),
            _ => (64, 64),
        }
    }

    /// Warps along the rows of the scores, of the gradients of keys and values, of those of queries.
    fn along(&self) -> [u64; 3] {
        match self.padded() {
            64 => [4, 4, 4],
            128 => [2, 4, 2],
            _ => [4, 2, 2],
        }
    }

    fn query_tile(&self) -> Tile {
        Tile {
            rows: self.tile().0,
            cols: self.padded(),
        }
    }

    fn key_tile(&self) -> Tile {
        Tile {
            rows: self.tile().1,
            cols: self.padded(),
        }
    }

    fn score_tile(&self) -> Tile {
        let (rows, cols) = self.tile();
        Tile { rows, cols }
    }

    /// Tiles of queries in turn: where heads are long there is no room for two on A100.
    fn turns(&self) -> u64 {
        if self.padded() > 128 { 1 } else { 2 }
    }

    fn shared(&self) -> Shared {
        let (of_queries, of_keys) = (self.query_tile().bytes(), self.key_tile().bytes());
        let queries = 2 * of_keys;
        let results = queries + self.turns() * of_queries;
        let weights = results + of_queries;
        let gradients = weights + self.score_tile().bytes();
        Shared {
            keys: 0,
            values: of_keys,
            queries,
            results,
            weights,
            gradients,
            end: gradients + self.score_tile().bytes(),
        }
    }

    /// Product `which` of the queries of turn `turn`.
    fn product(&self, which: Which, turn: u64) -> Product {
        let ((bm, bn), d, at) = (self.tile(), self.padded(), self.shared());
        let side = |tile: Tile, base: u64, across: bool| Side {
            tile,
            base,
            across,
            first: 0,
        };
        let turn = turn % self.turns() * self.query_tile().bytes();
        let queries = |across| side(self.query_tile(), at.queries + turn, across);
        let results = |across| side(self.query_tile(), at.results, across);
        let keys = |across| side(self.key_tile(), at.keys, across);
        let values = side(self.key_tile(), at.values, false);
        let weights = side(self.score_tile(), at.weights, true);
        let gradients = |across| side(self.score_tile(), at.gradients, across);
        let [of_scores, of_keys, of_queries] = self.along();
        let (warps_m, [rows, cols], depth, a, b) = match which {
            Which::Scores => (of_scores, [bm, bn], d, queries(false), keys(false)),
            Which::Weights => (of_scores, [bm, bn], d, results(false), values),
            Which::Values => (of_keys, [bn, d], bm, weights, results(true)),
            Which::Queries => (of_queries, [bm, d], bn, gradients(false), keys(true)),
            Which::Keys => (of_keys, [bn, d], bm, gradients(true), queries(true)),
        };
        Product {
            rows: rows / warps_m,
            cols: cols / (WARPS / warps_m),
            depth,
            a,
            b,
            warps_m,
        }
    }

    /// First register of the sums of `which`, and one behind the last of all.
    fn sums(&self, which: Which) -> (u16, u16) {
        let count = |which: Which| self.product(which, 0).sum_registers();
        let fragments = Which::ALL.map(|which| self.product(which, 0).fragment_registers());
        let scores = FRAGMENTS + 2 * fragments.into_iter().max().unwrap_or(0);
        let weights = scores + count(Which::Scores);
        let free = (weights + count(Which::Weights)).max(scores + count(Which::Queries));
        let keys = free + count(Which::Values);
        let first = match which {
            Which::Scores | Which::Queries => scores,
            Which::Weights => weights,
            Which::Values => free,
            Which::Keys => keys,
        };
        (first, keys + count(Which::Keys))
    }

    /// Rows of the scores that a lane has a part of.
    fn lane_rows(&self) -> u16 {
        (self.product(Which::Scores, 0).rows / 8) as u16
    }

    fn query_blocks(&self) -> u64 {
        self.queries.div_ceil(self.tile().0)
    }

    fn key_blocks(&self) -> u64 {
        self.keys.div_ceil(self.tile().1)
    }

    /// Queries, beyond keys, in front of the first key that the first query sees.
    fn ahead(&self, block: u64) -> u64 {
        (block * self.tile().1 + self.queries).saturating_sub(self.keys)
    }

    /// The first tile of queries that sees keys of `block`.
    fn first_queries(&self, block: u64) -> u64 {
        match self.causal {
            0 => 0,
            _ => (self.ahead(block) / self.tile().0).min(self.query_blocks()),
        }
    }

    /// Whether the scores of a tile of queries and one of keys are masked.
    fn masked(&self, block: u64, queries: u64) -> bool {
        let (bm, bn) = self.tile();
        let cut = (block + 1) * bn > self.keys;
        cut || self.causal == 1 && queries * bm < self.ahead(block) + bn
    }

    /// Bytes of one gradient; they lie one behind the other.
    fn gradient_bytes(&self) -> u64 {
        let tokens = self.queries.max(self.keys);
        (self.batch * tokens * self.heads * self.head_dim * HALF).next_multiple_of(512)
    }

    /// Where the numbers of rows lie: behind the sums of exponentials.
    fn numbers_at(&self) -> u64 {
        let sums = self.batch * self.heads * self.queries * 4;
        self.arrays.at(4) + sums.next_multiple_of(512)
    }

    /// Rows of the sums of a head's gradients of queries.
    fn summed_rows(&self) -> u64 {
        self.queries.next_multiple_of(128)
    }

    fn check(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        if gpu.compute_capability < 80 {
            let what = "needs cp.async, from sm_80 on";
            return Err(Fault::field("sm", gpu.compute_capability, what));
        }
        if !matches!(self.data, DataType::F16 | DataType::Bf16) {
            return Err(Fault::field("type", self.data.name(), "halves only"));
        }
        match self.head_dim.is_multiple_of(8) {
            true => Ok(()),
            false => Err(Fault::field("d", self.head_dim, "not a multiple of 8")),
        }
    }
}

impl KernelGenerator for Backward {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "flash_backward_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check(gpu)?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let mut block = |append: &dyn Fn(&Self, &mut KernelBuilder)| {
            let first = code.here();
            append(self, &mut code);
            Block::from(&code, first)
        };
        let blocks = Blocks {
            prologue: block(&Self::prologue),
            keys: block(&|of, code| of.copies(code, of.key_tile(), 0)),
            queries: block(&|of, code| of.copies(code, of.query_tile(), 0)),
            sent: block(&|_, code| Self::sent(code)),
            arrived: block(&|_, code| Self::arrived(code)),
            products: Which::ALL.map(|which| block(&|of, code| of.multiply(code, which))),
            weights: [false, true].map(|masked| block(&|of, code| of.weights(code, masked))),
            gradients: block(&Self::gradients),
            barrier: block(&|_, code| Self::barrier(code)),
            add: block(&Self::add),
            again: block(&|_, code| Self::again(code)),
            epilogue: block(&Self::epilogue),
        };
        let pitch = self.heads * self.head_dim * HALF;
        let mut copies = |tile: Tile| TileCopies::new(&mut code, tile, WARPS, pitch, self.head_dim);
        let (queries, keys) = (copies(self.query_tile()), copies(self.key_tile()));
        let stats = (0..=8).map(|rows| match first_lanes(4 * rows) {
            0 => 0,
            mask => code.pattern(mask, 4, |lane| lane / 4 * 4),
        });
        let stats = stats.collect();
        let generator = BackwardWarps {
            kernel: self.clone(),
            blocks,
            queries,
            keys,
            stats,
            added: code.pattern(FULL, 4, |lane| lane * 4),
            fragments: Fragments::new(&mut code, self),
        };
        let (bm, bn) = self.tile();
        let causal = if self.causal == 1 { " causal" } else { "" };
        let data = DataType::NAMES[self.data.value() as usize];
        let threads = 32 * WARPS as u32;
        Ok(Assembly {
            name: format!(
                "flash_bwd_dq_dk_dv_loop_seqk_parallel_kernel<{}, {bm}, {bn}, {WARPS}> {data}{causal}",
                self.padded()
            ),
            grid: [self.key_blocks(), self.batch, self.heads].map(|edge| edge as u32),
            block: [threads, 1, 1],
            registers: self.sums(Which::Keys).1.next_multiple_of(8).min(255),
            smem_bytes: self.shared().end as u32,
            code,
            generator: per_warp(threads, generator),
        })
    }
}
