//! The streams of a CTA.

use super::{BLOCK, HALF, Paged, THREADS, WARPS};
use crate::kernels::WarpGenerator;
use crate::kernels::builder::{FULL, first_lanes};
use crate::kernels::rows::program::Contiguous;
use crate::kernels::rows::script::{Access, Block};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// The code.
pub(super) struct Blocks {
    pub prologue: Block,
    pub query: Block,
    pub sync: Block,
    pub keys: Block,
    pub maximum: Block,
    pub exponential: Block,
    pub sum: Block,
    pub scale: Block,
    pub scaled: Block,
    pub values: Block,
    pub rows: Block,
    pub give: Block,
    pub between: Block,
    pub take: Block,
    pub store: Block,
    pub exit: Block,
}

pub(super) struct PagedWarps {
    pub kernel: Paged,
    pub blocks: Blocks,
    pub words: Contiguous,
    /// Of one lane a token or row: words, halves.
    pub tokens: PatternId,
    pub results: PatternId,
    /// Of two lanes a token: 8 bytes of the query.
    pub query: PatternId,
    /// Of two lanes a row: 32 bytes of scores.
    pub scores: PatternId,
    pub same: PatternId,
}

/// The first lane of each pair.
pub(super) const EVEN: u32 = 0x5555_5555;

/// A CTA's place.
#[derive(Clone, Copy)]
struct At {
    head: u64,
    sequence: u64,
    part: u64,
    first: u64,
    end: u64,
}

impl PagedWarps {
    fn at(&self, cta: u64) -> At {
        let kernel = &self.kernel;
        let (each, _) = kernel.part();
        let part = cta / kernel.heads / kernel.batch;
        At {
            head: cta % kernel.heads,
            sequence: cta / kernel.heads % kernel.batch,
            part,
            first: part * each,
            end: ((part + 1) * each).min(kernel.blocks()),
        }
    }

    fn pattern(mask: u32, base: u64, pattern: PatternId) -> Access {
        Access::Pattern {
            mask,
            base,
            pattern,
        }
    }

    fn table(&self, at: At, block: u64) -> Access {
        let kernel = &self.kernel;
        let base = kernel.arrays.at(6) + (at.sequence * kernel.blocks() + block) * 4;
        Self::pattern(FULL, base, self.same)
    }

    /// Block `block` of operand `operand` (keys or values) of the CTA's head.
    fn block(&self, at: At, operand: usize, block: u64) -> u64 {
        let kernel = &self.kernel;
        let (bytes, of_head) = kernel.block_bytes();
        let head = at.head / (kernel.heads / kernel.kv_heads);
        kernel.arrays.at(operand) + kernel.scattered(at.sequence, block) * bytes + head * of_head
    }

    /// The words of all warps: of maxima or sums. The first lane of a warp writes, then the first lanes read.
    fn combined(&self, which: u64, warp: u32, n: usize) -> Access {
        let base = self.kernel.layout_shared()[2] + which * WARPS * 4;
        match n {
            0 => Self::pattern(1, base + u64::from(warp) * 4, self.words.lanes(4, 1)),
            _ => Self::pattern(0xf, base, self.words.lanes(4, WARPS)),
        }
    }

    /// Scores of all threads, 128 at a time; each code reads and writes a word.
    fn over_scores(&self, block: &Block, at: At, warp: u32, out: &mut CtaEncoder) {
        let tokens = (at.end * BLOCK).min(self.kernel.keys) - at.first * BLOCK;
        let mut first = u64::from(warp) * 32;
        while first < tokens {
            let lanes = (tokens - first).min(32);
            let mask = first_lanes(lanes);
            block.emit(mask, out, |_| {
                Self::pattern(mask, first * 4, self.words.lanes(4, lanes))
            });
            first += THREADS;
        }
    }

    fn scores_of(&self, at: At, warp: u32, out: &mut CtaEncoder) {
        let query_at = self.kernel.layout_shared()[1];
        let count = usize::from(self.kernel.loads()[0]);
        for block in (at.first + u64::from(warp)..at.end).step_by(WARPS as usize) {
            let base = self.block(at, 1, block);
            self.blocks.keys.emit(FULL, out, |n| match n {
                0 => self.table(at, block),
                n if n <= count => {
                    let base = base + (n as u64 - 1) * BLOCK * 16;
                    Self::pattern(FULL, base, self.words.lanes(8, 32))
                }
                n if n <= 2 * count => {
                    let base = query_at + (n - count - 1) as u64 * 16;
                    Self::pattern(FULL, base, self.query)
                }
                _ => Self::pattern(EVEN, (block - at.first) * BLOCK * 4, self.tokens),
            });
        }
    }

    fn values_of(&self, at: At, warp: u32, out: &mut CtaEncoder) {
        for block in (at.first + u64::from(warp)..at.end).step_by(WARPS as usize) {
            let base = self.block(at, 2, block);
            self.blocks.values.emit(FULL, out, |n| match n {
                0 => self.table(at, block),
                1 | 2 => {
                    let base = (block - at.first) * BLOCK * 4 + (n as u64 - 1) * 16;
                    Self::pattern(FULL, base, self.scores)
                }
                n => {
                    let base = base + (n as u64 - 3) * 16 * BLOCK * HALF;
                    Self::pattern(FULL, base, self.words.lanes(16, 32))
                }
            });
        }
    }

    /// The sums of all warps, and the result.
    fn finish(&self, at: At, warp: u32, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let row = |of_warp: u64, n: usize| {
            let first = of_warp * kernel.head_dim + n as u64 * 16;
            Self::pattern(EVEN, first * 4, self.tokens)
        };
        let warp = u64::from(warp);
        let mut half = WARPS / 2;
        while half > 0 {
            if (half..2 * half).contains(&warp) {
                self.blocks.give.emit(EVEN, out, |n| row(warp - half, n));
            }
            self.blocks.between.emit_plain(FULL, out);
            if warp < half {
                self.blocks.take.emit(EVEN, out, |n| row(warp, n));
            }
            self.blocks.between.emit_plain(FULL, out);
            half /= 2;
        }
        if warp == 0 {
            let head = at.sequence * kernel.heads + at.head;
            let result = (head * kernel.parts() + at.part) * kernel.head_dim;
            let base = kernel.arrays.at(3) + result * HALF;
            self.blocks.store.emit(EVEN, out, |n| {
                Self::pattern(EVEN, base + n as u64 * 16 * HALF, self.results)
            });
        }
        self.blocks.exit.emit_plain(FULL, out);
    }
}

impl WarpGenerator for PagedWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let (at, kernel, blocks) = (self.at(cta), &self.kernel, &self.blocks);
        let lengths = kernel.lengths() + at.sequence * 4;
        blocks
            .prologue
            .emit(FULL, out, |_| Self::pattern(FULL, lengths, self.same));
        let of_query = (kernel.head_dim / 4)
            .saturating_sub(u64::from(warp) * 32)
            .min(32);
        if of_query > 0 {
            let mask = first_lanes(of_query);
            let skip = u64::from(warp) * 256;
            let query = (at.sequence * kernel.heads + at.head) * kernel.head_dim * HALF + skip;
            blocks.query.emit(mask, out, |n| {
                let base = [
                    kernel.arrays.at(0) + query,
                    kernel.layout_shared()[1] + skip,
                ][n];
                Self::pattern(mask, base, self.words.lanes(8, of_query))
            });
        }
        blocks.sync.emit_plain(FULL, out);
        self.scores_of(at, warp, out);
        blocks
            .maximum
            .emit(FULL, out, |n| self.combined(0, warp, n));
        self.over_scores(&blocks.exponential, at, warp, out);
        blocks.sum.emit(FULL, out, |n| self.combined(1, warp, n));
        self.over_scores(&blocks.scale, at, warp, out);
        let head = at.sequence * kernel.heads + at.head;
        let word = (head * kernel.parts() + at.part) * 4;
        blocks.scaled.emit(FULL, out, |n| match warp {
            0 => {
                let operand = [7, 4][n];
                Self::pattern(1, kernel.arrays.at(operand) + word, self.words.lanes(4, 1))
            }
            _ => Access::Off,
        });
        self.values_of(at, warp, out);
        blocks.rows.emit_plain(FULL, out);
        self.finish(at, warp, out);
    }
}
