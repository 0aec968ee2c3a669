//! FlashAttention 2, forward: a CTA for some queries of a head goes over the keys, tile by tile.

use super::tile::{CopyPatterns, HALF, Tile, columns_pattern, rows_pattern};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::fields::{Field, family};
use crate::kernels::operator::DataType;
use crate::kernels::rows::script::{Access, Block, list};
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, WarpGenerator, per_warp};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

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

/// Registers of the fragments: of the first operand, then the second, then scores, then results.
const FIRST: u16 = 24;

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

    /// Bytes of shared memory: queries, keys, values; results lie where the queries were.
    fn smem_bytes(&self) -> u64 {
        let result = match self.splits {
            1 => 0,
            _ => self.bm * self.padded() * 4,
        };
        (self.query_tile().bytes() + 2 * self.key_tile().bytes()).max(result)
    }

    fn check(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        let fault = |name, value: u64, what: &str| Err(Fault::field(name, value, what));
        if gpu.compute_capability < 80 {
            return fault("sm", gpu.compute_capability.into(), "needs cp.async, from sm_80 on");
        }
        if !matches!(self.data, DataType::F16 | DataType::Bf16) {
            return Err(Fault::field("type", self.data.name(), "halves only"));
        }
        if !self.head_dim.is_multiple_of(8) {
            return fault("d", self.head_dim, "not a multiple of 8");
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return fault("kvh", self.kv_heads, "not a part of the heads of the queries");
        }
        let rows = self.key_tile().copied_rows() * self.warps;
        if self.bm % (16 * self.warps) != 0 || self.bm % rows != 0 {
            return fault("bm", self.bm, "no whole number of 16 queries a warp");
        }
        if self.bn % 16 != 0 || self.bn % rows != 0 {
            return fault("bn", self.bn, "no whole number of copies of all warps");
        }
        if u64::from(self.registers()) > 255 {
            return fault("bm", self.bm, "a warp's results and scores exceed its registers");
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
        let second = FIRST + 4 * self.bands() as u16;
        let scores = second + 16;
        [second, scores, scores + self.scores()]
    }

    fn registers(&self) -> u16 {
        self.layout()[2] + self.results() + 4
    }
}

/// Code of the kernel, and where its memory instructions go.
struct FlashWarps {
    kernel: Flash,
    prologue: Block,
    /// Copies of the first tiles.
    queries: Block,
    first_keys: Block,
    /// An iteration with and without a mask: copies of values, scores, copies of the next keys, the rest.
    masked: Iteration,
    plain: Iteration,
    epilogue: Block,
    query_copies: CopyPatterns,
    key_copies: CopyPatterns,
    stores: CopyPatterns,
    fragments: Fragments,
}

struct Iteration {
    values: Block,
    scores: Block,
    keys: Block,
    rest: Block,
}

impl Iteration {
    fn len(&self) -> u64 {
        [&self.values, &self.scores, &self.keys, &self.rest].iter().map(|block| block.len()).sum()
    }
}

/// Where fragments are read, in the order of the code.
struct Fragments {
    /// Of queries, for the first warp's first band, and of keys: for each step along the head.
    scores: Vec<Fragment>,
    /// Of values, for each step along the keys.
    values: Vec<(u64, PatternId)>,
}

enum Fragment {
    /// By warp.
    Query(Vec<(u64, PatternId)>),
    Key((u64, PatternId)),
}

/// A CTA's place.
#[derive(Clone, Copy)]
struct At {
    block: u64,
    split: u64,
    sequence: u64,
    head: u64,
}

impl FlashWarps {
    fn at(&self, cta: u64) -> At {
        let kernel = &self.kernel;
        let blocks = kernel.query_blocks();
        let (block, rest) = (cta % blocks, cta / blocks);
        let (split, rest) = (rest % kernel.splits, rest / kernel.splits);
        At {
            block,
            split,
            head: rest % kernel.heads,
            sequence: rest / kernel.heads,
        }
    }

    /// The tile of keys of iteration `iteration`: the last first.
    fn key_block(&self, at: At, iteration: u64) -> u64 {
        let blocks = self.kernel.split_blocks(at.block, at.split);
        blocks.end - 1 - iteration
    }

    /// Copy `n` of a tile that begins at row `row` of a matrix of `rows` rows.
    fn copy(&self, matrix: Matrix, warp: u32, n: usize) -> Access {
        let kernel = &self.kernel;
        let tile = if matrix.operand == 0 { kernel.query_tile() } else { kernel.key_tile() };
        let mut copies = tile.copies(warp.into(), kernel.warps);
        let (row, col) = copies.nth(n).expect("the code has as many copies");
        let patterns = if matrix.operand == 0 { &self.query_copies } else { &self.key_copies };
        self.piece(matrix, (row, col), patterns)
    }

    fn piece(&self, matrix: Matrix, (row, col): (u64, u64), patterns: &CopyPatterns) -> Access {
        let left = matrix.rows.saturating_sub(matrix.first + row);
        match patterns.get(left, self.kernel.head_dim.saturating_sub(col)) {
            (0, _) => Access::Off,
            (mask, pattern) => Access::Pattern {
                mask,
                base: matrix.base + ((matrix.first + row) * matrix.pitch + col) * matrix.bytes,
                pattern,
            },
        }
    }

    fn queries_of(&self, at: At) -> Matrix {
        let kernel = &self.kernel;
        let pitch = kernel.heads * kernel.head_dim;
        let first = at.sequence * kernel.queries * pitch + at.head * kernel.head_dim;
        Matrix {
            operand: 0,
            base: kernel.arrays.at(0) + first * HALF,
            first: at.block * kernel.bm,
            rows: kernel.queries,
            pitch,
            bytes: HALF,
        }
    }

    fn keys_of(&self, at: At, operand: usize, block: u64) -> Matrix {
        let kernel = &self.kernel;
        let pitch = kernel.kv_heads * kernel.head_dim;
        let head = at.head / (kernel.heads / kernel.kv_heads);
        let first = at.sequence * kernel.keys * pitch + head * kernel.head_dim;
        Matrix {
            operand,
            base: kernel.arrays.at(operand) + first * HALF,
            first: block * kernel.bn,
            rows: kernel.keys,
            pitch,
            bytes: HALF,
        }
    }

    /// Where results go: as the queries lie; or in FP32, split by split.
    fn results_of(&self, at: At) -> Matrix {
        let kernel = &self.kernel;
        if kernel.splits == 1 {
            return Matrix {
                operand: 3,
                base: self.queries_of(at).base - kernel.arrays.at(0) + kernel.arrays.at(3),
                ..self.queries_of(at)
            };
        }
        let of_split = (at.split * kernel.batch + at.sequence) * kernel.heads + at.head;
        Matrix {
            operand: 3,
            base: kernel.arrays.at(3) + of_split * kernel.queries * kernel.head_dim * 4,
            first: at.block * kernel.bm,
            rows: kernel.queries,
            pitch: kernel.head_dim,
            bytes: 4,
        }
    }

    fn shared(&self, offset: u64, (first, pattern): (u64, PatternId)) -> Access {
        Access::Pattern {
            mask: FULL,
            base: offset + first,
            pattern,
        }
    }

    fn iteration(&self, at: At, warp: u32, iteration: u64, last: u64, out: &mut CtaEncoder) {
        let code = match iteration < self.masks(at) {
            true => &self.masked,
            false => &self.plain,
        };
        let block = self.key_block(at, iteration);
        let values = self.keys_of(at, 2, block);
        code.values.emit(FULL, out, |n| self.copy(values, warp, n));
        let keys_at = self.kernel.query_tile().bytes();
        let values_at = keys_at + self.kernel.key_tile().bytes();
        code.scores.emit(FULL, out, |n| match &self.fragments.scores[n] {
            Fragment::Query(by_warp) => self.shared(0, by_warp[warp as usize]),
            Fragment::Key(key) => self.shared(keys_at, *key),
        });
        let more = iteration + 1 < last;
        let next = self.keys_of(at, 1, block.saturating_sub(1));
        code.keys.emit(FULL, out, |n| match more {
            true => self.copy(next, warp, n),
            false => Access::Off,
        });
        code.rest.emit(FULL, out, |n| self.shared(values_at, self.fragments.values[n]));
    }

    /// Iterations with a mask.
    fn masks(&self, at: At) -> u64 {
        let (blocks, masked) = self.kernel.key_blocks(at.block);
        let mine = self.kernel.split_blocks(at.block, at.split);
        // The masked ones are the last tiles of keys, which only some splits have.
        mine.end.saturating_sub((blocks - masked).max(mine.start))
    }

    /// Results through shared memory to memory, 16 bytes a lane; then the sums.
    fn finish(&self, at: At, warp: u32, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let matrix = self.results_of(at);
        let words = kernel.bands() * kernel.padded() / 4 * if kernel.splits == 1 { 1 } else { 2 };
        let tile = kernel.query_tile();
        let reads = tile.copy_count(kernel.warps) * if kernel.splits == 1 { 1 } else { 2 };
        let sums = (at.split * kernel.batch + at.sequence) * kernel.heads + at.head;
        self.epilogue.emit(FULL, out, |n| {
            let n = n as u64;
            if n < words {
                let row = u64::from(warp) * 16;
                return self.staged(row * kernel.padded() * HALF + n % 8 * 16);
            }
            let n = n - words;
            if n < reads {
                return self.staged((u64::from(warp) * reads + n) * 512);
            }
            let n = n - reads;
            if n < reads {
                return self.store(matrix, warp, n);
            }
            let first = at.block * kernel.bm + u64::from(warp) * 16 * kernel.bands();
            self.sum(sums * kernel.queries + first, kernel.queries.saturating_sub(first))
        });
    }

    /// Consecutive lanes in shared memory.
    fn staged(&self, base: u64) -> Access {
        Access::Pattern {
            mask: FULL,
            base: base % self.kernel.smem_bytes().saturating_sub(512).max(1) / 16 * 16,
            pattern: self.fragments.values[0].1,
        }
    }

    fn store(&self, matrix: Matrix, warp: u32, n: u64) -> Access {
        let kernel = &self.kernel;
        let mut copies = kernel.query_tile().copies(warp.into(), kernel.warps);
        if kernel.splits == 1 {
            let place = copies.nth(n as usize).expect("as many stores as copies");
            return self.piece(matrix, place, &self.stores);
        }
        // FP32 rows have twice the chunks: each copy's columns in two halves.
        let (row, col) = copies.nth(n as usize / 2).expect("two stores a copy");
        let half = if kernel.padded().is_multiple_of(64) { 32 } else { 16 };
        self.piece(matrix, (row, col + n % 2 * half), &self.stores)
    }

    /// A sum of exponentials for each query of the warp.
    fn sum(&self, first: u64, left: u64) -> Access {
        let count = left.min(16 * self.kernel.bands()).min(32);
        let base = self.kernel.arrays.at(4) + first * 4;
        match first_lanes(count) {
            0 => Access::Off,
            mask => Access::List {
                mask,
                addresses: (0..count).map(|n| base + 4 * n).collect(),
            },
        }
    }
}

/// Rows of a tensor that belong to a head.
#[derive(Clone, Copy)]
struct Matrix {
    operand: usize,
    base: u64,
    /// First row of the tile.
    first: u64,
    rows: u64,
    /// Elements from one row to the next.
    pitch: u64,
    /// Bytes of an element.
    bytes: u64,
}

impl WarpGenerator for FlashWarps {
    fn iterations(&self, cta: u64) -> u64 {
        let at = self.at(cta);
        let blocks = self.kernel.split_blocks(at.block, at.split);
        blocks.end - blocks.start
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let at = self.at(cta);
        self.prologue.emit_plain(FULL, out);
        let queries = self.queries_of(at);
        self.queries.emit(FULL, out, |n| self.copy(queries, warp, n));
        if !iterations.is_empty() {
            let keys = self.keys_of(at, 1, self.key_block(at, iterations.start));
            self.first_keys.emit(FULL, out, |n| self.copy(keys, warp, n));
        }
        let masks = self.masks(at).clamp(iterations.start, iterations.end);
        for (range, code) in [
            (iterations.start..masks, &self.masked),
            (masks..iterations.end, &self.plain),
        ] {
            out.iterations(range, code.len(), |iteration, out| {
                self.iteration(at, warp, iteration, iterations.end, out);
            });
        }
        self.finish(at, warp, out);
    }
}
