//! FlashAttention 2, forward: a CTA for some queries of a head goes over the keys, tile by tile.

mod code;
mod warps;

use crate::config::GpuSpec;
use crate::kernels::attention::tile::{CopyPatterns, HALF, Tile};
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{Field, family};
use crate::kernels::operator::DataType;
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays, per_warp};
use code::Writer;
use std::ops::Range;
use warps::{FlashWarps, Fragments};

family! {
    /// softmax(Q K^T) V over tiles of `bm` queries and `bn` keys. Tensors are (sequence, token, head, element). Operands:
    /// Q, K, V, the result (or, split, the parts' results in FP32), sums of exponentials.
    pub struct Flash of arrays: Arrays {
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
        pub head_dim: u64 = "d" count(128, 8, 256),
        /// queries see only the keys up to their own place, counted from the end: 1
        pub causal: u64 = "causal" count(0, 0, 1),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// queries of a tile
        pub bm: u64 = "bm" count(128, 16, 256),
        /// keys of a tile
        pub bn: u64 = "bn" count(64, 16, 256),
        /// warps of a CTA
        pub warps: u64 = "warps" count(4, 1, 8),
        /// CTAs that share the keys of a query
        pub splits: u64 = "splits" count(1, 1, 256),
    }
}

/// Registers: up to r3 and r12 to r19 addresses and temporaries, maxima and sums of up to 4 rows, then fragments of the
/// first operand (two sets), of the second (four in flight), scores, results.
const MAXIMA: u16 = 4;
const SUMS: u16 = 8;
const TEMPORARY: u16 = 12;
const FIRST: u16 = 20;
/// Fragments of the second operand in flight.
const AHEAD: u16 = 4;

impl Flash {
    /// Elements of a head as the kernel has them.
    fn padded(&self) -> u64 {
        self.head_dim.next_multiple_of(32)
    }

    /// Bands of 16 queries of a warp.
    fn bands(&self) -> u64 {
        self.bm / (16 * self.warps)
    }

    fn query_tile(&self) -> Tile {
        Tile {
            rows: self.bm,
            cols: self.padded(),
        }
    }

    fn key_tile(&self) -> Tile {
        Tile {
            rows: self.bn,
            cols: self.padded(),
        }
    }

    fn query_blocks(&self) -> u64 {
        self.queries.div_ceil(self.bm)
    }

    /// Tiles of keys for the queries of `block`, and how many of the last ones are masked.
    fn key_blocks(&self, block: u64) -> (u64, u64) {
        let all = self.keys.div_ceil(self.bn);
        if self.causal == 0 {
            return (all, u64::from(!self.keys.is_multiple_of(self.bn)));
        }
        let last = ((block + 1) * self.bm + self.keys).saturating_sub(self.queries);
        let blocks = last.div_ceil(self.bn).min(all);
        (blocks, blocks.min(self.bm.div_ceil(self.bn)))
    }

    /// The tiles of keys of split `split`, of those that the queries of `block` have.
    fn split_blocks(&self, block: u64, split: u64) -> Range<u64> {
        let (blocks, _) = self.key_blocks(block);
        let each = self.keys.div_ceil(self.bn).div_ceil(self.splits);
        (split * each).min(blocks)..((split + 1) * each).min(blocks)
    }

    /// Halves of an element of the result: FP32 where parts are combined.
    fn result_halves(&self) -> u64 {
        if self.splits == 1 { 1 } else { 2 }
    }

    /// The results in shared memory, in halves.
    fn result_tile(&self) -> Tile {
        Tile {
            rows: self.bm,
            cols: self.padded() * self.result_halves(),
        }
    }

    /// Bytes of shared memory: queries, keys, values; results lie where the queries were.
    fn smem_bytes(&self) -> u64 {
        let tiles = self.query_tile().bytes() + 2 * self.key_tile().bytes();
        tiles.max(self.result_tile().bytes())
    }

    fn check(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        let fault = |name, value: u64, what: &str| Err(Fault::field(name, value, what));
        if gpu.compute_capability < 80 {
            return fault(
                "sm",
                gpu.compute_capability.into(),
                "needs cp.async, from sm_80 on",
            );
        }
        if !matches!(self.data, DataType::F16 | DataType::Bf16) {
            return Err(Fault::field("type", self.data.name(), "halves only"));
        }
        if !self.head_dim.is_multiple_of(8) {
            return fault("d", self.head_dim, "not a multiple of 8");
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return fault(
                "kvh",
                self.kv_heads,
                "not a part of the heads of the queries",
            );
        }
        let rows = self.key_tile().copied_rows() * self.warps;
        if !self.bm.is_multiple_of(16 * self.warps) || !self.bm.is_multiple_of(rows) {
            return fault("bm", self.bm, "no whole number of 16 queries a warp");
        }
        if !self.bn.is_multiple_of(16) || !self.bn.is_multiple_of(rows) {
            return fault("bn", self.bn, "no whole number of copies of all warps");
        }
        if u64::from(self.registers()) > 255 {
            return fault(
                "bm",
                self.bm,
                "a warp's results and scores exceed its registers",
            );
        }
        Ok(())
    }

    fn scores(&self) -> u16 {
        (self.bands() * self.bn / 2) as u16
    }

    fn results(&self) -> u16 {
        (self.bands() * self.padded() / 2) as u16
    }

    /// First registers of fragments of the second operand, scores, results.
    fn layout(&self) -> [u16; 3] {
        let second = FIRST + 8 * self.bands() as u16;
        let scores = second + 4 * AHEAD;
        [second, scores, scores + self.scores()]
    }

    fn registers(&self) -> u16 {
        self.layout()[2] + self.results() + 4
    }
}

impl KernelGenerator for Flash {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "flash_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check(gpu)?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let mut writer = Writer {
            kernel: self,
            code: &mut code,
        };
        let prologue = writer.block(Writer::prologue);
        let count = self.query_tile().copy_count(self.warps);
        let queries = writer.block(|w| w.copies(count, 16));
        let first_keys = writer.block(Writer::key_copies);
        let masked = writer.iteration(true);
        let plain = writer.iteration(false);
        let epilogue = writer.block(Writer::epilogue);
        let pitch = |heads: u64| heads * self.head_dim * HALF;
        let result_pitch = match self.splits {
            1 => pitch(self.heads),
            _ => self.head_dim * 4,
        };
        let generator = FlashWarps {
            kernel: self.clone(),
            prologue,
            queries,
            first_keys,
            masked,
            plain,
            epilogue,
            query_copies: CopyPatterns::new(&mut code, self.query_tile(), pitch(self.heads)),
            key_copies: CopyPatterns::new(&mut code, self.key_tile(), pitch(self.kv_heads)),
            result_copies: CopyPatterns::new(&mut code, self.result_tile(), result_pitch),
            fragments: Fragments::new(&mut code, self),
        };
        let form = if self.splits == 1 {
            "flash_fwd_kernel"
        } else {
            "flash_fwd_splitkv_kernel"
        };
        let (blocks, threads) = (self.query_blocks(), 32 * self.warps as u32);
        let causal = if self.causal == 1 { " causal" } else { "" };
        let grid = match self.splits {
            1 => [blocks, self.heads, self.batch],
            splits => [blocks, splits, self.batch * self.heads],
        };
        let data = DataType::NAMES[self.data.value() as usize];
        Ok(Assembly {
            name: format!(
                "{form}<{}, {}, {}, {}> {data}{causal}",
                self.padded(),
                self.bm,
                self.bn,
                self.warps
            ),
            grid: grid.map(|n| n as u32),
            block: [threads, 1, 1],
            registers: self.registers().next_multiple_of(8).min(255),
            smem_bytes: self.smem_bytes() as u32,
            code,
            generator: per_warp(threads, generator),
        })
    }
}
