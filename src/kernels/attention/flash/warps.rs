//! The streams of a CTA: which rows of the tensors it copies, and where its fragments lie.

use super::Flash;
use super::code::{Load, score_loads};
use crate::kernels::WarpGenerator;
use crate::kernels::attention::tile::{
    CopyPatterns, HALF, Tile, columns_pattern, copied_patterns, rows_pattern,
};
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::rows::script::{Access, Block};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Code of the kernel, and where its memory instructions go.
pub(super) struct FlashWarps {
    pub(super) kernel: Flash,
    pub(super) prologue: Block,
    /// Copies of the first tiles.
    pub(super) queries: Block,
    pub(super) first_keys: Block,
    /// An iteration with and without a mask: copies of values, scores, copies of the next keys, the rest.
    pub(super) masked: Iteration,
    pub(super) plain: Iteration,
    pub(super) epilogue: Block,
    pub(super) query_copies: CopyPatterns,
    pub(super) key_copies: CopyPatterns,
    pub(super) result_copies: CopyPatterns,
    pub(super) fragments: Fragments,
}

pub(super) struct Iteration {
    pub(super) values: Block,
    pub(super) scores: Block,
    pub(super) keys: Block,
    pub(super) rest: Block,
}

impl Iteration {
    pub(super) fn len(&self) -> u64 {
        [&self.values, &self.scores, &self.keys, &self.rest]
            .iter()
            .map(|block| block.len())
            .sum()
    }
}

/// Where fragments are read, in the order of the code.
pub(super) struct Fragments {
    /// Of queries, for the first warp's first band, and of keys: for each step along the head.
    pub(super) scores: Vec<Fragment>,
    /// Of values, for each step along the keys.
    pub(super) values: Vec<(u64, PatternId)>,
    /// Of results, written: for each band, 8 columns and half of 16 rows; by warp.
    pub(super) written: Vec<Vec<(u64, PatternId)>>,
    /// Of results, read as they are copied; by warp.
    pub(super) read: Vec<Vec<(u64, PatternId)>>,
    /// Sums of 8 rows, by how many of them there are.
    pub(super) sums: Vec<PatternId>,
}

pub(super) enum Fragment {
    /// By warp.
    Query(Vec<(u64, PatternId)>),
    Key((u64, PatternId)),
}

/// A CTA's place.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) block: u64,
    pub(super) split: u64,
    pub(super) sequence: u64,
    pub(super) head: u64,
}

impl FlashWarps {
    pub(super) fn at(&self, cta: u64) -> At {
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
    pub(super) fn key_block(&self, at: At, iteration: u64) -> u64 {
        let blocks = self.kernel.split_blocks(at.block, at.split);
        blocks.end - 1 - iteration
    }

    /// Copy `n` of the warp of a tile.
    pub(super) fn copy(&self, matrix: Matrix, tile: Tile, warp: u32, n: usize) -> Access {
        let mut copies = tile.copies(warp.into(), self.kernel.warps);
        let (row, col) = copies.nth(n).expect("the code has as many copies");
        let left = matrix.rows.saturating_sub(matrix.first + row);
        let columns = (self.kernel.head_dim * matrix.halves).saturating_sub(col);
        let patterns = match matrix.operand {
            0 => &self.query_copies,
            3 => &self.result_copies,
            _ => &self.key_copies,
        };
        match patterns.get(left, columns) {
            (0, _) => Access::Off,
            (mask, pattern) => Access::Pattern {
                mask,
                base: matrix.base
                    + ((matrix.first + row) * matrix.pitch * matrix.halves + col) * HALF,
                pattern,
            },
        }
    }

    pub(super) fn queries_of(&self, at: At) -> Matrix {
        let kernel = &self.kernel;
        let pitch = kernel.heads * kernel.head_dim;
        let first = at.sequence * kernel.queries * pitch + at.head * kernel.head_dim;
        Matrix {
            operand: 0,
            base: kernel.arrays.at(0) + first * HALF,
            first: at.block * kernel.bm,
            rows: kernel.queries,
            pitch,
            halves: 1,
        }
    }

    pub(super) fn keys_of(&self, at: At, operand: usize, block: u64) -> Matrix {
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
            halves: 1,
        }
    }

    /// Where results go: as the queries lie; or in FP32, split by split.
    pub(super) fn results_of(&self, at: At) -> Matrix {
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
            halves: 2,
        }
    }

    pub(super) fn shared(&self, offset: u64, (first, pattern): (u64, PatternId)) -> Access {
        Access::Pattern {
            mask: FULL,
            base: offset + first,
            pattern,
        }
    }

    pub(super) fn iteration(
        &self,
        at: At,
        warp: u32,
        iteration: u64,
        last: u64,
        out: &mut CtaEncoder,
    ) {
        let code = match iteration < self.masks(at) {
            true => &self.masked,
            false => &self.plain,
        };
        let block = self.key_block(at, iteration);
        let (values, tile) = (self.keys_of(at, 2, block), self.kernel.key_tile());
        code.values
            .emit(FULL, out, |n| self.copy(values, tile, warp, n));
        let keys_at = self.kernel.query_tile().bytes();
        let values_at = keys_at + self.kernel.key_tile().bytes();
        code.scores
            .emit(FULL, out, |n| match &self.fragments.scores[n] {
                Fragment::Query(by_warp) => self.shared(0, by_warp[warp as usize]),
                Fragment::Key(key) => self.shared(keys_at, *key),
            });
        let more = iteration + 1 < last;
        let next = self.keys_of(at, 1, block.saturating_sub(1));
        code.keys.emit(FULL, out, |n| match more {
            true => self.copy(next, tile, warp, n),
            false => Access::Off,
        });
        code.rest.emit(FULL, out, |n| {
            self.shared(values_at, self.fragments.values[n])
        });
    }

    /// Iterations with a mask.
    pub(super) fn masks(&self, at: At) -> u64 {
        let (blocks, masked) = self.kernel.key_blocks(at.block);
        let mine = self.kernel.split_blocks(at.block, at.split);
        // The masked ones are the last tiles of keys, which only some splits have.
        mine.end.saturating_sub((blocks - masked).max(mine.start))
    }

    /// Results through shared memory to memory, 16 bytes a lane; then the sums.
    pub(super) fn finish(&self, at: At, warp: u32, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let (written, read) = (
            &self.fragments.written[warp as usize],
            &self.fragments.read[warp as usize],
        );
        let sums = (at.split * kernel.batch + at.sequence) * kernel.heads + at.head;
        let matrix = self.results_of(at);
        self.epilogue.emit(FULL, out, |n| {
            if n < written.len() {
                return self.shared(0, written[n]);
            }
            let n = n - written.len();
            if n < read.len() {
                return self.shared(0, read[n]);
            }
            let n = n - read.len();
            if n < read.len() {
                return self.copy(matrix, kernel.result_tile(), warp, n);
            }
            let n = (n - read.len()) as u64;
            let row = n / 2 * 16 * kernel.warps + u64::from(warp) * 16 + n % 2 * 8;
            let first = at.block * kernel.bm + row;
            self.sum(
                sums * kernel.queries + first,
                kernel.queries.saturating_sub(first).min(8),
            )
        });
    }

    /// Sums of exponentials of `rows` rows, by the first lane of each row's four.
    pub(super) fn sum(&self, first: u64, rows: u64) -> Access {
        match rows {
            0 => Access::Off,
            _ => Access::Pattern {
                mask: 0x1111_1111 & first_lanes(4 * rows),
                base: self.kernel.arrays.at(4) + first * 4,
                pattern: self.fragments.sums[rows as usize],
            },
        }
    }
}

/// Rows of a tensor that belong to a head.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    pub(super) operand: usize,
    pub(super) base: u64,
    /// First row of the tile.
    pub(super) first: u64,
    pub(super) rows: u64,
    /// Elements from one row to the next.
    pub(super) pitch: u64,
    /// Halves of an element.
    pub(super) halves: u64,
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
        let tile = self.kernel.query_tile();
        self.queries
            .emit(FULL, out, |n| self.copy(queries, tile, warp, n));
        if !iterations.is_empty() {
            let keys = self.keys_of(at, 1, self.key_block(at, iterations.start));
            let tile = self.kernel.key_tile();
            self.first_keys
                .emit(FULL, out, |n| self.copy(keys, tile, warp, n));
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

impl Fragments {
    pub(super) fn new(code: &mut KernelBuilder, kernel: &Flash) -> Self {
        let (queries, keys) = (kernel.query_tile(), kernel.key_tile());
        let of_step = kernel.bn / 16;
        let mut scores = Vec::new();
        for load in score_loads(kernel) {
            match load {
                Load::Query(step, band) => {
                    let row = |warp: u64| (u64::from(band) * kernel.warps + warp) * 16;
                    let of_warp =
                        |warp| rows_pattern(code, queries, row(warp), u64::from(step) * 16);
                    scores.push(Fragment::Query((0..kernel.warps).map(of_warp).collect()));
                }
                Load::Key(n) => {
                    let (step, pair) = (u64::from(n) / of_step, u64::from(n) % of_step);
                    scores.push(Fragment::Key(columns_pattern(
                        code,
                        keys,
                        pair * 16,
                        step * 16,
                    )));
                }
                Load::Multiply(_) => {}
            }
        }
        let of_step = kernel.padded() / 16;
        let values = (0..of_step * kernel.bn / 16)
            .map(|n| rows_pattern(code, keys, n / of_step * 16, n % of_step * 16))
            .collect();
        let warps = 0..kernel.warps;
        let written = warps
            .clone()
            .map(|warp| written(code, kernel, warp))
            .collect();
        let tile = kernel.result_tile();
        let read = warps
            .map(|warp| copied_patterns(code, tile, warp, kernel.warps))
            .collect();
        let sums = (0..=8).map(|rows| match first_lanes(4 * rows) & 0x1111_1111 {
            0 => 0,
            mask => code.pattern(mask, 4, |l| l / 4 * 4),
        });
        Fragments {
            scores,
            values,
            written,
            read,
            sums: sums.collect(),
        }
    }
}

/// Where a warp's results go in shared memory: two elements a lane of 8 rows and 8 columns.
pub(super) fn written(
    code: &mut KernelBuilder,
    kernel: &Flash,
    warp: u64,
) -> Vec<(u64, PatternId)> {
    let (tile, halves) = (kernel.result_tile(), kernel.result_halves());
    let mut places = Vec::new();
    for band in 0..kernel.bands() {
        for column in 0..kernel.padded() / 8 {
            for half in 0..2 {
                let row = (band * kernel.warps + warp) * 16 + half * 8;
                let offset = |l: u64| {
                    let byte = (l % 4) * 4 * halves;
                    let col = column * 8 * halves + byte / 16 * 8;
                    tile.offset(row + l / 4, col) + byte % 16
                };
                places.push((offset(0), code.pattern(FULL, 4 * halves, offset)));
            }
        }
    }
    places
}
