//! The streams of a CTA.

use super::{Backward, WARPS, Which};
use crate::kernels::WarpGenerator;
use crate::kernels::attention::product::{Matrix, Place, TileCopies, shared};
use crate::kernels::attention::tile::{HALF, copied_patterns};
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::rows::script::{Access, Block};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// The code.
pub(super) struct Blocks {
    pub prologue: Block,
    pub keys: Block,
    pub queries: Block,
    pub sent: Block,
    pub arrived: Block,
    pub products: [Block; 5],
    /// Without and with a mask.
    pub weights: [Block; 2],
    pub gradients: Block,
    pub barrier: Block,
    pub add: Block,
    pub again: Block,
    pub epilogue: Block,
}

/// Where fragments lie, by warp.
pub(super) struct Fragments {
    /// By turn of the queries.
    products: Vec<Vec<[Vec<Place>; 5]>>,
    /// Weights and their gradients, written.
    written: Vec<[Vec<Place>; 2]>,
    /// Gradients of keys and values, written and read back.
    results: Vec<[Vec<Place>; 2]>,
    read: Vec<[Vec<Place>; 2]>,
}

impl Fragments {
    pub(super) fn new(code: &mut KernelBuilder, kernel: &Backward) -> Self {
        let mut of_turn = |turn: u64| {
            let of =
                |warp: u64| Which::ALL.map(|which| kernel.product(which, turn).places(code, warp));
            (0..WARPS).map(of).collect()
        };
        let products = (0..kernel.turns()).map(&mut of_turn).collect();
        let at = kernel.shared();
        let mut written = |which: Which, tile, bases: [u64; 2]| {
            let product = kernel.product(which, 0);
            let of = |warp: u64| bases.map(|base| product.written(code, warp, tile, base));
            (0..WARPS).map(of).collect()
        };
        let scores = written(
            Which::Scores,
            kernel.score_tile(),
            [at.weights, at.gradients],
        );
        let results = written(Which::Keys, kernel.key_tile(), [at.keys, at.values]);
        let read = (0..WARPS).map(|warp| {
            let places = copied_patterns(code, kernel.key_tile(), warp, WARPS);
            [at.keys, at.values].map(|base| {
                let places = places.iter();
                places
                    .map(|&(offset, pattern)| (base + offset, pattern))
                    .collect()
            })
        });
        Fragments {
            products,
            written: scores,
            results,
            read: read.collect(),
        }
    }
}

/// A CTA's place.
#[derive(Clone, Copy)]
struct At {
    block: u64,
    head: u64,
    sequence: u64,
}

/// Streams of the kernel.
pub(super) struct BackwardWarps {
    pub kernel: Backward,
    pub blocks: Blocks,
    pub queries: TileCopies,
    pub keys: TileCopies,
    /// Words of eight rows, four lanes each, by rows that there are.
    pub stats: Vec<PatternId>,
    /// Words side by side.
    pub added: PatternId,
    pub fragments: Fragments,
}

impl BackwardWarps {
    fn at(&self, cta: u64) -> At {
        let (blocks, batch) = (self.kernel.key_blocks(), self.kernel.batch);
        At {
            block: cta % blocks,
            sequence: cta / blocks % batch,
            head: cta / blocks / batch,
        }
    }

    /// Rows of a head of the tensor at `base`, which has `rows` tokens a sequence.
    fn matrix(&self, at: At, base: u64, rows: u64) -> Matrix {
        let kernel = &self.kernel;
        let first = (at.sequence * rows * kernel.heads + at.head) * kernel.head_dim;
        Matrix {
            base: base + first * HALF,
            rows,
        }
    }

    /// A tile of queries or of gradients of results.
    fn copy_queries(
        &self,
        at: At,
        operand: usize,
        tile: Option<u64>,
        warp: u32,
        out: &mut CtaEncoder,
    ) {
        let kernel = &self.kernel;
        let matrix = self.matrix(at, kernel.arrays.at(operand), kernel.queries);
        self.blocks.queries.emit(FULL, out, |n| match tile {
            Some(tile) => self
                .queries
                .access(matrix, (tile * kernel.tile().0, 0), warp, n),
            None => Access::Off,
        });
        self.blocks.sent.emit_plain(FULL, out);
    }

    /// Words of the rows of a lane, from the table at `base`.
    fn rows(&self, at: At, base: u64, queries: u64, warp: u32, row: usize) -> Access {
        let kernel = &self.kernel;
        let product = kernel.product(Which::Scores, 0);
        let first = queries * kernel.tile().0
            + u64::from(warp) % product.warps_m * product.rows
            + row as u64 * 8;
        let left = kernel.queries.saturating_sub(first).min(8);
        let head = at.sequence * kernel.heads + at.head;
        match left {
            0 => Access::Off,
            rows => Access::Pattern {
                mask: first_lanes(4 * rows),
                base: base + (head * kernel.queries + first) * 4,
                pattern: self.stats[rows as usize],
            },
        }
    }

    /// Addition number `n` of a warp to the gradients of a tile of queries. Sums lie there in an order of their own, which
    /// the kernel that converts them knows: each warp adds to 32 words side by side, the warps to eight rows.
    fn addition(&self, at: At, queries: u64, warp: u32, n: usize) -> Access {
        let kernel = &self.kernel;
        let of_column = kernel.tile().0 / WARPS;
        let (row, col) = (
            n as u64 % of_column * WARPS + u64::from(warp),
            n as u64 / of_column * 32,
        );
        let head = at.sequence * kernel.heads + at.head;
        let first = head * kernel.summed_rows() + queries * kernel.tile().0 + row;
        Access::Pattern {
            mask: FULL,
            base: kernel.arrays.at(6) + (first * kernel.padded() + col) * 4,
            pattern: self.added,
        }
    }

    fn product(&self, which: Which, turn: u64, warp: u32, out: &mut CtaEncoder) {
        let turn = (turn % self.kernel.turns()) as usize;
        let places = &self.fragments.products[turn][warp as usize][which as usize];
        self.blocks.products[which as usize].emit(FULL, out, |n| shared(places[n]));
    }

    /// Tile `queries` of the queries; `next` comes after it.
    fn iteration(
        &self,
        at: At,
        (queries, turn): (u64, u64),
        next: Option<u64>,
        warp: u32,
        out: &mut CtaEncoder,
    ) {
        let (kernel, blocks) = (&self.kernel, &self.blocks);
        blocks.arrived.emit_plain(FULL, out);
        // Where queries have two tiles, the next come while this one is worked on.
        if kernel.turns() > 1 {
            self.copy_queries(at, 0, next, warp, out);
        }
        self.product(Which::Scores, turn, warp, out);
        let masked = usize::from(kernel.masked(at.block, queries));
        let sums = kernel.arrays.at(4);
        blocks.weights[masked].emit(FULL, out, |row| self.rows(at, sums, queries, warp, row));
        self.product(Which::Weights, turn, warp, out);
        let rows = usize::from(kernel.lane_rows());
        let [weights, gradients] = &self.fragments.written[warp as usize];
        blocks.gradients.emit(FULL, out, |n| match n {
            n if n < rows => self.rows(at, kernel.numbers_at(), queries, warp, n),
            n if n < rows + weights.len() => shared(weights[n - rows]),
            n => shared(gradients[n - rows - weights.len()]),
        });
        self.product(Which::Values, turn, warp, out);
        blocks.barrier.emit_plain(FULL, out);
        self.copy_queries(at, 5, next, warp, out);
        self.product(Which::Queries, turn, warp, out);
        blocks
            .add
            .emit(FULL, out, |n| self.addition(at, queries, warp, n));
        self.product(Which::Keys, turn, warp, out);
        if kernel.turns() == 1 {
            blocks.barrier.emit_plain(FULL, out);
            self.copy_queries(at, 0, next, warp, out);
        }
        blocks.again.emit_plain(FULL, out);
    }

    /// Instructions of an iteration.
    fn length(&self, masked: bool) -> u64 {
        let blocks = &self.blocks;
        let products: u64 = blocks.products.iter().map(Block::len).sum();
        let copies = 2 * (blocks.queries.len() + blocks.sent.len());
        let barriers = if self.kernel.turns() == 1 { 2 } else { 1 };
        let rest = [
            &blocks.arrived,
            &blocks.weights[usize::from(masked)],
            &blocks.gradients,
        ];
        let rest: u64 = rest.iter().map(|block| block.len()).sum();
        products
            + copies
            + rest
            + barriers * blocks.barrier.len()
            + blocks.add.len()
            + blocks.again.len()
    }

    fn finish(&self, at: At, warp: u32, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let of_warp = warp as usize;
        let [keys, values] = &self.fragments.results[of_warp];
        let read = &self.fragments.read[of_warp];
        let (written, count) = (keys.len() + values.len(), read[0].len());
        let gradient = |which: u64| {
            let base = kernel.arrays.at(7) + which * kernel.gradient_bytes();
            self.matrix(at, base, kernel.keys)
        };
        let row = at.block * kernel.tile().1;
        self.blocks.epilogue.emit(FULL, out, |n| {
            if n < keys.len() {
                return shared(keys[n]);
            }
            if n < written {
                return shared(values[n - keys.len()]);
            }
            let n = n - written;
            if n < 2 * count {
                return shared(read[n / count][n % count]);
            }
            let n = n - 2 * count;
            let matrix = gradient(1 + (n / count) as u64);
            self.keys.access(matrix, (row, 0), warp, n % count)
        });
    }
}

impl WarpGenerator for BackwardWarps {
    fn iterations(&self, cta: u64) -> u64 {
        self.kernel.query_blocks() - self.kernel.first_queries(self.at(cta).block)
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let (at, kernel) = (self.at(cta), &self.kernel);
        // The last queries come first.
        let queries = |iteration: u64| kernel.query_blocks() - 1 - iteration;
        let row = at.block * kernel.tile().1;
        self.blocks.prologue.emit_plain(FULL, out);
        for operand in [1, 2] {
            let matrix = self.matrix(at, kernel.arrays.at(operand), kernel.keys);
            let access = |n| self.keys.access(matrix, (row, 0), warp, n);
            self.blocks.keys.emit(FULL, out, access);
        }
        let first = (!iterations.is_empty()).then(|| queries(iterations.start));
        self.copy_queries(at, 0, first, warp, out);
        self.copy_queries(at, 5, first, warp, out);
        let masked = iterations
            .clone()
            .find(|&n| kernel.masked(at.block, queries(n)));
        let masked = masked.unwrap_or(iterations.end);
        for (range, mask) in [
            (iterations.start..masked, false),
            (masked..iterations.end, true),
        ] {
            out.iterations(range, self.length(mask), |iteration, out| {
                let next = (iteration + 1 < iterations.end).then(|| queries(iteration + 1));
                self.iteration(at, (queries(iteration), iteration), next, warp, out);
            });
        }
        self.finish(at, warp, out);
    }
}
