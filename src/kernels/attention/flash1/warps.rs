//! The streams of a CTA: which rows of the tensors it copies, and where its fragments lie.

use super::{Flash1, Kind, PAD, STEP, WARPS};
use crate::kernels::WarpGenerator;
use crate::kernels::attention::tile::{
    CopyPatterns, HALF, columns_pattern, copied_patterns, rows_pattern,
};
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::rows::script::{Access, Block};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// What the generator needs of the code.
pub(super) struct FlashWarps {
    pub(super) kernel: Flash1,
    pub(super) kinds: Vec<Kind>,
    pub(super) prologue: Block,
    pub(super) part: Block,
    pub(super) step: Block,
    pub(super) end: Block,
    pub(super) copies: CopyPatterns,
    /// Lanes in shared memory, by warp: copies of keys and of queries, fragments of keys, values.
    pub(super) keys_kept: Vec<Vec<(u64, PatternId)>>,
    pub(super) queries_kept: Vec<Vec<(u64, PatternId)>>,
    pub(super) keys: Vec<Vec<(u64, PatternId)>>,
    pub(super) values: Vec<Vec<(u64, PatternId)>>,
    pub(super) queries: Vec<(u64, PatternId)>,
    /// Lanes of partial results as written and as read.
    pub(super) written: PatternId,
    pub(super) read: PatternId,
    pub(super) stat: PatternId,
    pub(super) stats: PatternId,
    /// Results of a round, by rows that there are, in FP32 and as stored.
    pub(super) wide: Vec<(u32, PatternId)>,
    pub(super) narrow: Vec<(u32, PatternId)>,
}

pub(super) fn at(base: u64, (first, pattern): (u64, PatternId)) -> Access {
    Access::Pattern {
        mask: FULL,
        base: base + first,
        pattern,
    }
}

impl FlashWarps {
    /// A copy of some rows of a tensor of `rows` rows.
    pub(super) fn copy(
        &self,
        operand: usize,
        cta: u64,
        rows: u64,
        (row, col): (u64, u64),
    ) -> Access {
        let kernel = &self.kernel;
        let left = rows.saturating_sub(row);
        match self.copies.get(left, kernel.head_dim.saturating_sub(col)) {
            (0, _) => Access::Off,
            (mask, pattern) => Access::Pattern {
                mask,
                base: kernel.arrays.at(operand) + (kernel.element(cta, rows, row) + col) * HALF,
                pattern,
            },
        }
    }

    /// Keys and values of part `part`, through shared memory into registers.
    pub(super) fn load_part(
        &self,
        cta: u64,
        warp: u32,
        (part, step): (u64, u64),
        out: &mut CtaEncoder,
    ) {
        let kernel = &self.kernel;
        let (base, first) = (2 * kernel.query_tile().bytes(), part * kernel.part());
        let kept = &self.keys_kept[warp as usize];
        let fragments = [&self.keys[warp as usize], &self.values[warp as usize]];
        let of_operand = 2 * kept.len() + fragments[0].len();
        self.part.emit(FULL, out, |n| {
            if n >= 2 * of_operand {
                return self.first_queries(cta, warp, step, n - 2 * of_operand);
            }
            let (operand, n) = (n / of_operand, n % of_operand);
            if n < kept.len() {
                let mut copies = kernel.key_tile().copies(warp.into(), WARPS);
                let (row, col) = copies.nth(n).expect("as many as there are places for");
                return self.copy(1 + operand, cta, kernel.keys, (first + row, col));
            }
            match n - kept.len() {
                n if n < kept.len() => at(base, kept[n]),
                n => at(base, fragments[operand][n - kept.len()]),
            }
        });
    }

    /// Copies of the queries of the first step of a part: from memory, then to shared memory.
    pub(super) fn first_queries(&self, cta: u64, warp: u32, step: u64, n: usize) -> Access {
        let kept = &self.queries_kept[warp as usize];
        if u64::from(warp) >= self.kernel.query_warps() {
            return Access::Off;
        }
        match n < kept.len() {
            true => self.query_copy(cta, warp, step, n),
            false => at(
                step % 2 * self.kernel.query_tile().bytes(),
                kept[n - kept.len()],
            ),
        }
    }

    pub(super) fn query_copy(&self, cta: u64, warp: u32, step: u64, n: usize) -> Access {
        let kernel = &self.kernel;
        let mut copies = kernel
            .query_tile()
            .copies(warp.into(), kernel.query_warps());
        let (row, col) = copies.nth(n).expect("as many as there are places for");
        self.copy(0, cta, kernel.queries, (step * STEP + row, col))
    }

    pub(super) fn step(&self, cta: u64, warp: u32, (part, step): (u64, u64), out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let w = u64::from(warp);
        let copying = w < kernel.query_warps();
        let buffer = |step: u64| step % 2 * kernel.query_tile().bytes();
        let pitch = kernel.padded() * 4 + PAD;
        let (partial, stats) = (kernel.partial_base(), kernel.stats_base());
        let last = part + 1 == kernel.parts();
        self.step.emit(FULL, out, |n| match self.kinds[n] {
            Kind::Load(n) if copying && step + 1 < kernel.steps() => {
                self.query_copy(cta, warp, step + 1, n)
            }
            Kind::Keep(n) if copying && step + 1 < kernel.steps() => {
                at(buffer(step + 1), self.queries_kept[warp as usize][n])
            }
            Kind::Query(n) => at(buffer(step), self.queries[n]),
            Kind::Stat(stat, half) => Access::Pattern {
                mask: 0x1111_1111,
                base: stats + stat * WARPS * STEP * 4 + half * 8 * WARPS * 4 + w * 4,
                pattern: self.stat,
            },
            Kind::Stats(stat, half) => at(
                stats + stat * WARPS * STEP * 4 + half * 8 * WARPS * 4,
                (0, self.stats),
            ),
            Kind::Write(n) => {
                let row = w * STEP + n % 2 * 8;
                at(partial + row * pitch + n / 2 * 32, (0, self.written))
            }
            Kind::Read(round, of) => {
                let row = of * STEP + kernel.round_row(round, w);
                at(partial + row * pitch, (0, self.read))
            }
            Kind::Before(round) if part > 0 => self.result(cta, w, (step, round), true),
            Kind::After(round) if !last => self.result(cta, w, (step, round), true),
            Kind::Result(round) if last => self.result(cta, w, (step, round), false),
            _ => Access::Off,
        });
    }

    /// A round of the results of a step: so far in FP32, or final.
    pub(super) fn result(
        &self,
        cta: u64,
        warp: u64,
        (step, round): (u64, u64),
        wide: bool,
    ) -> Access {
        let kernel = &self.kernel;
        let of_round = kernel.round_row(round, warp);
        let row = step * STEP + of_round;
        let there = kernel.queries.saturating_sub(row).min(kernel.warp_rows());
        let there = if of_round < STEP { there } else { 0 };
        let (patterns, operand, bytes) = match wide {
            true => (&self.wide, 5, 4),
            false => (&self.narrow, 3, HALF),
        };
        match patterns[there as usize] {
            (0, _) => Access::Off,
            (mask, pattern) => Access::Pattern {
                mask,
                base: kernel.arrays.at(operand) + kernel.element(cta, kernel.queries, row) * bytes,
                pattern,
            },
        }
    }
}

impl WarpGenerator for FlashWarps {
    fn iterations(&self, _cta: u64) -> u64 {
        self.kernel.before(self.kernel.parts())
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        self.prologue.emit_plain(FULL, out);
        for part in 0..self.kernel.parts() {
            let (before, after) = (self.kernel.before(part), self.kernel.before(part + 1));
            let range = iterations.start.clamp(before, after)..iterations.end.clamp(before, after);
            if range.is_empty() {
                continue;
            }
            let first = self.kernel.first_step(part);
            let step = first + range.start - before;
            self.load_part(cta, warp, (part, step), out);
            out.iterations(range, self.step.len(), |iteration, out| {
                self.step(cta, warp, (part, first + iteration - before), out);
            });
        }
        self.end.emit_plain(FULL, out);
    }
}

impl FlashWarps {
    pub(super) fn new(kernel: &Flash1, code: &mut KernelBuilder, blocks: [Block; 4]) -> Self {
        let shape = kernel.shape();
        let (keys, queries) = (kernel.key_tile(), kernel.query_tile());
        let of_warp = kernel.part() / WARPS;
        let mut keys_read = Vec::new();
        let mut values_read = Vec::new();
        for warp in 0..WARPS {
            let row = |pair: u16| warp * of_warp + u64::from(pair) * 16;
            let all =
                || (0..shape.head).flat_map(|step| (0..shape.keys).map(move |pair| (step, pair)));
            let col = |step: u16| u64::from(step) * 16;
            let places =
                all().map(|(step, pair)| columns_pattern(code, keys, row(pair), col(step)));
            keys_read.push(places.collect());
            let places = all().map(|(step, pair)| rows_pattern(code, keys, row(pair), col(step)));
            values_read.push(places.collect());
        }
        let pitch = kernel.padded() * 4 + PAD;
        let lanes = kernel.padded() / 4;
        let there = kernel.head_dim / 4;
        let mut results = |bytes: u64| -> Vec<(u32, PatternId)> {
            let of = |rows: u64| {
                let active = (0..32u64).filter(|l| l / lanes < rows && l % lanes < there);
                let mask = active.fold(0, |mask, lane| mask | 1u32 << lane);
                let row = kernel.heads * kernel.head_dim * bytes;
                let place = |l: u64| l / lanes * row + l % lanes * 4 * bytes;
                match mask {
                    0 => (0, 0),
                    _ => (mask, code.pattern(mask, 4 * bytes, place)),
                }
            };
            (0..=kernel.warp_rows()).map(of).collect()
        };
        let (wide, narrow) = (results(4), results(HALF));
        let head_pitch = kernel.heads * kernel.head_dim * HALF;
        let warps = 0..WARPS;
        let kept = |warp| copied_patterns(code, keys, warp, WARPS);
        let keys_kept = warps.clone().map(kept).collect();
        let copying = kernel.query_warps();
        let kept = |warp| copied_patterns(code, queries, warp % copying, copying);
        let queries_kept = warps.map(kept).collect();
        let [prologue, part, step, end] = blocks;
        FlashWarps {
            kernel: kernel.clone(),
            kinds: kernel.kinds(),
            prologue,
            part,
            step,
            end,
            copies: CopyPatterns::new(code, keys, head_pitch),
            keys_kept,
            queries_kept,
            keys: keys_read,
            values: values_read,
            queries: (0..shape.head)
                .map(|n| rows_pattern(code, queries, 0, u64::from(n) * 16))
                .collect(),
            written: code.pattern(FULL, 8, |l| l / 4 * pitch + l % 4 * 8),
            read: code.pattern(FULL, 16, |l| l / lanes * pitch + l % lanes * 16),
            stat: code.pattern(0x1111_1111, 4, |l| l / 4 * WARPS * 4),
            stats: code.pattern(FULL, 16, |l| l / 4 * WARPS * 4),
            wide,
            narrow,
        }
    }
}
