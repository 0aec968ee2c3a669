//! The streams of a CTA.

use super::{BM, DEPTH, Efficient, ROWS, STAGES, WARP};
use crate::kernels::WarpGenerator;
use crate::kernels::attention::product::{Matrix, Place, TileCopies, shared};
use crate::kernels::attention::tile::{HALF, copied_patterns};
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::rows::program::Contiguous;
use crate::kernels::rows::script::{Access, Block};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// The code.
pub(super) struct Blocks {
    pub prologue: Block,
    pub begin: Block,
    pub inputs: Block,
    pub wait: Block,
    pub scores: Block,
    pub values: Block,
    /// Without and with a mask.
    pub maxima: [Block; 2],
    pub factors: Block,
    pub barrier: Block,
    pub weights: Block,
    pub sums: Block,
    pub results: Block,
    pub again: Block,
    pub epilogue: Block,
}

/// Words of rows in shared memory.
pub(super) struct Stats {
    /// By the lanes of eight rows, all four or the first of each.
    all: PatternId,
    leaders: PatternId,
    /// A word each; so many words apart.
    words: Contiguous,
    apart: [PatternId; 2],
    leaders_apart: [PatternId; 2],
}

const LEADERS: u32 = 0x1111_1111;

impl Stats {
    pub(super) fn new(code: &mut KernelBuilder) -> Self {
        Stats {
            all: code.pattern(FULL, 4, |lane| lane / 4 * 4),
            leaders: code.pattern(LEADERS, 4, |lane| lane / 4 * 4),
            apart: [2, 4].map(|words| code.pattern(FULL, 4, |lane| lane * 4 * words)),
            leaders_apart: [2, 4]
                .map(|words| code.pattern(LEADERS, 4, |lane| lane / 4 * 4 * words)),
            words: Contiguous::new(code),
        }
    }
}

/// Where fragments lie; by stage and warp.
pub(super) struct Fragments {
    products: Vec<Vec<[Vec<Place>; 2]>>,
    written: Vec<Vec<Place>>,
    read: Vec<Vec<Place>>,
}

impl Fragments {
    pub(super) fn new(code: &mut KernelBuilder, kernel: &Efficient) -> Self {
        let warps = 0..kernel.all_warps();
        let mut of_stage = |stage: u64| {
            let products = kernel.products(stage);
            let of_warp = |warp: u64| products.map(|product| product.places(code, warp));
            warps.clone().map(of_warp).collect()
        };
        let stages = kernel.stages().into_iter().max().unwrap_or(0);
        let products = (0..stages).map(&mut of_stage).collect();
        let (tile, base) = (kernel.weight_tile(), kernel.weights_at());
        let product = kernel.products(0)[0];
        let written = warps
            .clone()
            .map(|warp| product.written(code, warp, tile, base));
        let written = written.collect();
        let read = warps.map(|warp| {
            let places = copied_patterns(code, tile, warp, kernel.all_warps());
            places
                .into_iter()
                .map(|(at, pattern)| (base + at, pattern))
                .collect()
        });
        Fragments {
            products,
            written,
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
pub(super) struct EfficientWarps {
    pub kernel: Efficient,
    pub blocks: Blocks,
    pub queries: TileCopies,
    pub keys: TileCopies,
    pub values: TileCopies,
    pub results: TileCopies,
    pub stats: Stats,
    pub fragments: Fragments,
}

/// Tables of a word for each row.
#[derive(Clone, Copy)]
enum Table {
    Maxima,
    Before,
    Sums,
    Factors,
}

impl EfficientWarps {
    fn at(&self, cta: u64) -> At {
        let blocks = self.kernel.query_blocks();
        At {
            block: cta % blocks,
            head: cta / blocks % self.kernel.heads,
            sequence: cta / blocks / self.kernel.heads,
        }
    }

    /// Rows of operand `operand`: of queries (or results), keys or values.
    fn matrix(&self, at: At, operand: usize) -> Matrix {
        let kernel = &self.kernel;
        let (heads, head, rows) = match operand {
            0 | 3 => (kernel.heads, at.head, kernel.queries),
            _ => {
                let head = at.head / (kernel.heads / kernel.kv_heads);
                (kernel.kv_heads, head, kernel.keys)
            }
        };
        let first = (at.sequence * rows * heads + head) * kernel.head_dim;
        Matrix {
            base: kernel.arrays.at(operand) + first * HALF,
            rows,
        }
    }

    fn table(&self, table: Table) -> u64 {
        self.kernel.stats_at() + table as u64 * BM * 4
    }

    /// The word of row `row` of a lane's, by all lanes that have the row.
    fn of_rows(&self, table: Table, warp: u32, row: usize) -> Access {
        let first = u64::from(warp) % self.kernel.warps()[0] * WARP + row as u64 * 8;
        shared((self.table(table) + first * 4, self.stats.all))
    }

    /// A word for each thread of the first warps.
    fn of_threads(&self, table: Table, warp: u32) -> Access {
        let base = self.table(table) + u64::from(warp) * 128;
        shared((base, self.stats.words.lanes(4, 32)))
    }

    fn input(&self, at: At, (iteration, stage): (u64, u64), warp: u32, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let (queries, keys) = (self.matrix(at, 0), self.matrix(at, 1));
        let of_queries = self.queries.count() as usize;
        let there = stage < kernel.stages()[0];
        self.blocks.inputs.emit(FULL, out, |n| {
            let column = stage * DEPTH;
            match n {
                _ if !there => Access::Off,
                n if n < of_queries => {
                    self.queries
                        .access(queries, (at.block * BM, column), warp, n)
                }
                n => {
                    let row = iteration * kernel.bn();
                    self.keys.access(keys, (row, column), warp, n - of_queries)
                }
            }
        });
    }

    fn value(&self, at: At, (iteration, stage): (u64, u64), warp: u32, out: &mut CtaEncoder) {
        let values = self.matrix(at, 2);
        let row = iteration * self.kernel.bn() + stage * DEPTH;
        let there = stage < self.kernel.stages()[1];
        self.blocks.values.emit(FULL, out, |n| match there {
            true => self.values.access(values, (row, 0), warp, n),
            false => Access::Off,
        });
    }

    /// Softmax of a block of scores.
    fn softmax(&self, masked: bool, warp: u32, out: &mut CtaEncoder) {
        let (kernel, blocks) = (&self.kernel, &self.blocks);
        let [along_m, along_n] = kernel.warps();
        let wide = usize::from(along_n == 4);
        let warp_rows = u64::from(warp) % along_m * WARP;
        blocks.maxima[usize::from(masked)].emit(FULL, out, |row| Access::Pattern {
            mask: LEADERS,
            base: self.table(Table::Maxima) + (warp_rows + row as u64 * 8) * 4,
            pattern: self.stats.leaders,
        });
        // As many warps as there are rows for their threads.
        let first = u64::from(warp) < BM / 32;
        if first {
            blocks.factors.emit(FULL, out, |n| {
                let tables = [
                    Table::Maxima,
                    Table::Before,
                    Table::Factors,
                    Table::Sums,
                    Table::Sums,
                    Table::Before,
                ];
                self.of_threads(tables[n], warp)
            });
        }
        blocks.barrier.emit_plain(FULL, out);
        let partial = kernel.stats_at() + 4 * BM * 4;
        let rows = usize::from(ROWS);
        blocks.weights.emit(FULL, out, |n| match n {
            n if n < rows => self.of_rows(Table::Maxima, warp, n),
            n if n < 2 * rows => self.of_rows(Table::Factors, warp, n - rows),
            n if n < 3 * rows => {
                let row = warp_rows + (n - 2 * rows) as u64 * 8;
                Access::Pattern {
                    mask: LEADERS,
                    base: partial + (row * along_n + u64::from(warp) / along_m) * 4,
                    pattern: self.stats.leaders_apart[wide],
                }
            }
            n => shared(self.fragments.written[warp as usize][n - 3 * rows]),
        });
        if first {
            let last = along_n as usize + 1;
            blocks.sums.emit(FULL, out, |n| match n {
                n if n == 0 || n == last => self.of_threads(Table::Sums, warp),
                n => {
                    let base = partial + (u64::from(warp) * 32 * along_n + n as u64 - 1) * 4;
                    shared((base, self.stats.apart[wide]))
                }
            });
        }
        blocks.barrier.emit_plain(FULL, out);
    }

    fn iteration(&self, at: At, iteration: u64, warp: u32, out: &mut CtaEncoder) {
        let (kernel, blocks) = (&self.kernel, &self.blocks);
        let [along_head, along_keys] = kernel.stages();
        let fragments = |stage: u64| &self.fragments.products[stage as usize][warp as usize];
        blocks.begin.emit_plain(FULL, out);
        for stage in 0..STAGES - 1 {
            self.input(at, (iteration, stage), warp, out);
        }
        for stage in 0..along_head {
            blocks.wait.emit_plain(FULL, out);
            self.input(at, (iteration, stage + STAGES - 1), warp, out);
            blocks
                .scores
                .emit(FULL, out, |n| shared(fragments(stage)[0][n]));
        }
        for stage in 0..STAGES - 1 {
            self.value(at, (iteration, stage), warp, out);
        }
        self.softmax(kernel.masked(at.block, iteration), warp, out);
        for stage in 0..along_keys {
            blocks.wait.emit_plain(FULL, out);
            self.value(at, (iteration, stage + STAGES - 1), warp, out);
            blocks
                .results
                .emit(FULL, out, |n| shared(fragments(stage)[1][n]));
        }
        blocks.again.emit_plain(FULL, out);
    }

    /// Instructions of `warp` in an iteration.
    fn length(&self, masked: bool, warp: u32) -> u64 {
        let blocks = &self.blocks;
        let [along_head, along_keys] = self.kernel.stages();
        let of_stages = (along_head + STAGES - 1) * blocks.inputs.len()
            + (along_keys + STAGES - 1) * blocks.values.len()
            + along_head * (blocks.wait.len() + blocks.scores.len())
            + along_keys * (blocks.wait.len() + blocks.results.len());
        let of_rows = match u64::from(warp) < BM / 32 {
            true => blocks.factors.len() + blocks.sums.len(),
            false => 0,
        };
        let softmax = &blocks.maxima[usize::from(masked)];
        let rest = [&blocks.begin, softmax, &blocks.weights, &blocks.again];
        let rest: u64 = rest.iter().map(|block| block.len()).sum();
        of_stages + of_rows + rest + 2 * blocks.barrier.len()
    }

    fn finish(&self, at: At, warp: u32, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let rows = usize::from(ROWS);
        let written = &self.fragments.written[warp as usize];
        let read = &self.fragments.read[warp as usize];
        let results = self.matrix(at, 3);
        self.blocks.epilogue.emit(FULL, out, |n| {
            if n < rows {
                return self.of_rows(Table::Sums, warp, n);
            }
            let n = n - rows;
            if n < written.len() {
                return shared(written[n]);
            }
            let n = n - written.len();
            if n < read.len() {
                return shared(read[n]);
            }
            let n = n - read.len();
            if n < read.len() {
                return self.results.access(results, (at.block * BM, 0), warp, n);
            }
            if u64::from(warp) >= BM / 32 {
                return Access::Off;
            }
            match n - read.len() {
                0 => self.of_threads(Table::Sums, warp),
                1 => self.of_threads(Table::Maxima, warp),
                _ => {
                    let first = at.block * BM + u64::from(warp) * 32;
                    let lanes = kernel.queries.saturating_sub(first).min(32);
                    let sums = (at.sequence * kernel.heads + at.head) * kernel.queries + first;
                    match lanes {
                        0 => Access::Off,
                        _ => Access::Pattern {
                            mask: first_lanes(lanes),
                            base: kernel.arrays.at(4) + sums * 4,
                            pattern: self.stats.words.lanes(4, lanes),
                        },
                    }
                }
            }
        });
    }
}

impl WarpGenerator for EfficientWarps {
    fn iterations(&self, cta: u64) -> u64 {
        self.kernel.key_blocks(self.at(cta).block)
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let at = self.at(cta);
        self.blocks.prologue.emit_plain(FULL, out);
        let masked = iterations
            .clone()
            .find(|&n| self.kernel.masked(at.block, n));
        let masked = masked.unwrap_or(iterations.end);
        for (range, mask) in [
            (iterations.start..masked, false),
            (masked..iterations.end, true),
        ] {
            out.iterations(range, self.length(mask, warp), |iteration, out| {
                self.iteration(at, iteration, warp, out);
            });
        }
        self.finish(at, warp, out);
    }
}
