//! The memory-efficient attention of PyTorch (CUTLASS's `fmha_cutlassF_*_aligned_64x64_rf`, `_64x128_rf`), forward.
//!
//! A CTA has 64 queries and goes over the keys 64 (128 where heads are longer than 64) at a time: a product of queries
//! and keys whose operands both come through three stages of shared memory, 32 elements of the head each; softmax with
//! maxima and sums in shared memory; the weights through shared memory; a product with the values, which come in three
//! stages of 32 keys. The structure is that of `kernel_forward.h` of PyTorch 2.1, recalled.

mod code;
mod warps;

use crate::config::GpuSpec;
use crate::kernels::attention::product::{Product, Side, TileCopies};
use crate::kernels::attention::tile::{HALF, Tile};
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{Field, family};
use crate::kernels::operator::DataType;
use crate::kernels::rows::script::Block;
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays, per_warp};
use warps::{EfficientWarps, Stats};

family! {
    /// softmax(Q K^T) V. Tensors are (sequence, token, head, element). Operands: Q, K, V, the result, sums of exponentials.
    pub struct Efficient of arrays: Arrays {
        /// sequences
        pub batch: u64 = "b" count(8, 1, 65535),
        /// heads of the queries
        pub heads: u64 = "h" count(32, 1, 4096),
        /// heads of keys and values, a part of those
        pub kv_heads: u64 = "kvh" count(32, 1, 4096),
        /// queries of a sequence
        pub queries: u64 = "sq" count(2048, 1, 1 << 24),
        /// keys of a sequence
        pub keys: u64 = "sk" count(2048, 1, 1 << 24),
        /// elements of a head
        pub head_dim: u64 = "d" count(64, 8, 128),
        /// queries see only the keys up to their own place: 1
        pub causal: u64 = "causal" count(0, 0, 1),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

/// Queries of a CTA.
pub(super) const BM: u64 = 64;
/// Elements of a head, and keys, of a stage.
const DEPTH: u64 = 32;
const STAGES: u64 = 3;
/// Rows and columns of a warp.
const WARP: u64 = 32;
/// Queries that a lane has a part of.
const ROWS: u16 = 4;
/// Registers: addresses and temporaries up to r15; two sets of fragments, scores, results; then maxima and sums.
const FRAGMENTS: u16 = 16;
const SCORES: u16 = 48;
const RESULTS: u16 = 80;
const STATS: u16 = 112;
/// `__launch_bounds__`: 16 warps an SM.
const REGISTERS: u16 = 128;

impl Efficient {
    /// Keys of a block; values have as many columns.
    fn bn(&self) -> u64 {
        if self.head_dim <= 64 { 64 } else { 128 }
    }

    /// Warps along queries, and along keys.
    fn warps(&self) -> [u64; 2] {
        [BM / WARP, self.bn() / WARP]
    }

    fn all_warps(&self) -> u64 {
        self.warps().iter().product()
    }

    fn query_tile(&self) -> Tile {
        Tile {
            rows: BM,
            cols: DEPTH,
        }
    }

    fn key_tile(&self) -> Tile {
        Tile {
            rows: self.bn(),
            cols: DEPTH,
        }
    }

    fn value_tile(&self) -> Tile {
        Tile {
            rows: DEPTH,
            cols: self.bn(),
        }
    }

    fn weight_tile(&self) -> Tile {
        Tile {
            rows: BM,
            cols: self.bn(),
        }
    }

    /// Bytes of a stage of queries and keys.
    fn stage(&self) -> u64 {
        self.query_tile().bytes() + self.key_tile().bytes()
    }

    fn weights_at(&self) -> u64 {
        STAGES * self.stage()
    }

    fn values_at(&self, stage: u64) -> u64 {
        self.weights_at() + self.weight_tile().bytes() + stage * self.value_tile().bytes()
    }

    /// Maxima, maxima before, sums, factors, and sums of the warps of a row.
    fn stats_at(&self) -> u64 {
        self.values_at(STAGES)
    }

    fn smem_bytes(&self) -> u64 {
        self.stats_at() + BM * 4 * (4 + self.warps()[1])
    }

    fn query_blocks(&self) -> u64 {
        self.queries.div_ceil(BM)
    }

    /// Blocks of keys that the queries of `block` see.
    fn key_blocks(&self, block: u64) -> u64 {
        let keys = match self.causal {
            0 => self.keys,
            _ => self.keys.min((block + 1) * BM),
        };
        keys.div_ceil(self.bn())
    }

    /// Whether block `iteration` of the keys needs a mask.
    fn masked(&self, block: u64, iteration: u64) -> bool {
        let end = (iteration + 1) * self.bn();
        end > self.keys || self.causal == 1 && end > block * BM + 1
    }

    /// Stages along the head, and along a block of keys.
    fn stages(&self) -> [u64; 2] {
        [self.head_dim.div_ceil(DEPTH), self.bn() / DEPTH]
    }

    /// The product of stage `stage` of queries and keys, and of weights and values.
    fn products(&self, stage: u64) -> [Product; 2] {
        let of = |a: Side, b: Side| Product {
            rows: WARP,
            cols: WARP,
            depth: DEPTH,
            a,
            b,
            warps_m: self.warps()[0],
        };
        let side = |tile: Tile, base: u64, across: bool| Side {
            tile,
            base,
            across,
            first: 0,
        };
        let queries = side(self.query_tile(), stage % STAGES * self.stage(), false);
        let keys_at = stage % STAGES * self.stage() + self.query_tile().bytes();
        let keys = side(self.key_tile(), keys_at, false);
        let weights = Side {
            first: stage * DEPTH,
            ..side(self.weight_tile(), self.weights_at(), false)
        };
        let values = side(self.value_tile(), self.values_at(stage % STAGES), true);
        [of(queries, keys), of(weights, values)]
    }

    fn check(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        if gpu.compute_capability < 80 {
            let what = "needs cp.async, from sm_80 on";
            return Err(Fault::field("sm", gpu.compute_capability, what));
        }
        if !matches!(self.data, DataType::F16 | DataType::Bf16) {
            return Err(Fault::field("type", self.data.name(), "halves only"));
        }
        if !self.head_dim.is_multiple_of(8) {
            return Err(Fault::field("d", self.head_dim, "not a multiple of 8"));
        }
        match self.heads.is_multiple_of(self.kv_heads) {
            true => Ok(()),
            false => Err(Fault::field(
                "kvh",
                self.kv_heads,
                "not a part of the heads of the queries",
            )),
        }
    }
}

impl KernelGenerator for Efficient {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "efficient_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check(gpu)?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let warps = self.all_warps();
        let mut block = |append: &dyn Fn(&Self, &mut KernelBuilder)| {
            let first = code.here();
            append(self, &mut code);
            Block::from(&code, first)
        };
        let blocks = warps::Blocks {
            prologue: block(&Self::prologue),
            begin: block(&Self::begin),
            inputs: block(&Self::input_copies),
            wait: block(&Self::wait),
            scores: block(&|of, code| of.multiply(code, 0)),
            values: block(&Self::value_copies),
            maxima: [false, true].map(|masked| block(&|of, code| of.maxima(code, masked))),
            factors: block(&Self::factors),
            barrier: block(&Self::barrier),
            weights: block(&Self::weights),
            sums: block(&Self::sums),
            results: block(&|of, code| of.multiply(code, 1)),
            again: block(&Self::again),
            epilogue: block(&Self::epilogue),
        };
        let pitch = |heads: u64| heads * self.head_dim * HALF;
        let mut copies = |tile: Tile, heads: u64| {
            TileCopies::new(&mut code, tile, warps, pitch(heads), self.head_dim)
        };
        let generator = EfficientWarps {
            queries: copies(self.query_tile(), self.heads),
            keys: copies(self.key_tile(), self.kv_heads),
            values: copies(self.value_tile(), self.kv_heads),
            results: copies(self.weight_tile(), self.heads),
            stats: Stats::new(&mut code),
            fragments: warps::Fragments::new(&mut code, self),
            kernel: self.clone(),
            blocks,
        };
        let threads = 32 * warps as u32;
        let causal = if self.causal == 1 { " causal" } else { "" };
        let data = DataType::NAMES[self.data.value() as usize];
        Ok(Assembly {
            name: format!(
                "fmha_cutlassF_{data}_aligned_{BM}x{}_rf_sm80{causal}",
                self.bn()
            ),
            grid: [self.query_blocks(), self.heads, self.batch].map(|edge| edge as u32),
            block: [32, warps as u32, 1],
            registers: REGISTERS,
            smem_bytes: self.smem_bytes() as u32,
            code,
            generator: per_warp(threads, generator),
        })
    }
}
