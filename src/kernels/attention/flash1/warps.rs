//! The streams of a CTA: which rows of the tensors it copies, and where its fragments lie.

use super::{Fetch, Flash1, Kind, PAD, STEP, WARPS};
use crate::kernels::WarpGenerator;
use crate::kernels::attention::tile::{
    CopyPatterns, HALF, columns_pattern, copied_patterns, rows_pattern,
};
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::rows::script::{Access, Block};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Lanes in shared memory: where the first one's bytes lie, and the others' beside them.
type Placed = (u64, PatternId);

/// What the generator needs of the code.
pub(super) struct FlashWarps {
    kernel: Flash1,
    fetches: Vec<Fetch>,
    kinds: Vec<Kind>,
    prologue: Block,
    part: Block,
    step: Block,
    end: Block,
    copies: CopyPatterns,
    /// By warp: copies of queries and of keys, fragments of keys, values.
    queries_kept: Vec<Vec<Placed>>,
    keys_kept: Vec<Vec<Placed>>,
    keys: Vec<Vec<Placed>>,
    values: Vec<Vec<Placed>>,
    queries: Vec<Placed>,
    /// Lanes of partial results as written and as read.
    written: PatternId,
    read: PatternId,
    /// A number of each of 8 rows, from one lane; of all warps, a lane each; of the rows of a round.
    stat: PatternId,
    stats: PatternId,
    stats_of: PatternId,
    /// The logarithms of 8 rows, and of the rows of a round, in shared memory or, by rows that there are, in memory.
    logs: Vec<(u32, PatternId)>,
    log_kept: PatternId,
    log_of: PatternId,
    log: Vec<(u32, PatternId)>,
    /// Results of a round, by rows that there are, in FP32 and as stored.
    wide: Vec<(u32, PatternId)>,
    narrow: Vec<(u32, PatternId)>,
}

/// Lanes of the first row of each group of four that have something to store.
const FIRST_OF_FOUR: u32 = 0x1111_1111;

fn at(base: u64, (first, pattern): Placed) -> Access {
    Access::Pattern {
        mask: FULL,
        base: base + first,
        pattern,
    }
}

/// Where a warp is: its CTA, its number, the part of the keys and the step.
#[derive(Clone, Copy)]
struct Place {
    cta: u64,
    warp: u64,
    part: u64,
    step: u64,
}

impl FlashWarps {
    /// A copy of some rows of a tensor of `rows` rows.
    fn copy(&self, operand: usize, cta: u64, rows: u64, (row, col): (u64, u64)) -> Access {
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

    /// Keys and values of a part, through shared memory into registers, and the first queries.
    fn load_part(&self, place: Place, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let Place {
            cta, warp, part, ..
        } = place;
        let (base, first) = (kernel.partial_base(), part * kernel.part());
        let keys = |n: usize| kernel.key_tile().copies(warp, WARPS).nth(n);
        let w = warp as usize;
        self.part.emit(FULL, out, |n| match self.fetches[n] {
            Fetch::Load(0, n) => self.query_copy(place, n),
            Fetch::Load(operand, n) => {
                let (row, col) = keys(n).expect("as many as there are places for");
                self.copy(operand, cta, kernel.keys, (first + row, col))
            }
            Fetch::Keep(0, n) => self.query_kept(place, n),
            Fetch::Keep(_, n) => at(base, self.keys_kept[w][n]),
            Fetch::Fragment(1, n) => at(base, self.keys[w][n]),
            Fetch::Fragment(_, n) => at(base, self.values[w][n]),
            Fetch::Log(half) if part > 0 => self.log(place, STEP / 2 * half, &self.logs),
            Fetch::Log(_) => Access::Off,
        });
    }

    /// A copy of the queries of a step, from memory.
    fn query_copy(&self, place: Place, n: usize) -> Access {
        let kernel = &self.kernel;
        let warps = kernel.query_warps();
        if place.warp >= warps || place.step >= kernel.steps() {
            return Access::Off;
        }
        let mut copies = kernel.query_tile().copies(place.warp, warps);
        let (row, col) = copies.nth(n).expect("as many as there are places for");
        self.copy(0, place.cta, kernel.queries, (place.step * STEP + row, col))
    }

    /// The same to shared memory, where two steps' queries lie in turn.
    fn query_kept(&self, place: Place, n: usize) -> Access {
        match place.warp < self.kernel.query_warps() && place.step < self.kernel.steps() {
            true => at(
                self.query_buffer(place.step),
                self.queries_kept[place.warp as usize][n],
            ),
            false => Access::Off,
        }
    }

    fn query_buffer(&self, step: u64) -> u64 {
        step / self.kernel.shares % 2 * self.kernel.query_tile().bytes()
    }

    /// Logarithms of the rows from `row` of the step on, that there are.
    fn log(&self, place: Place, row: u64, patterns: &[(u32, PatternId)]) -> Access {
        let kernel = &self.kernel;
        let row = place.step * STEP + row;
        let there = kernel.queries.saturating_sub(row);
        let [sequence, head, _] = kernel.place(place.cta);
        let first = (sequence * kernel.heads + head) * kernel.queries + row;
        match patterns[(there as usize).min(patterns.len() - 1)] {
            (0, _) => Access::Off,
            (mask, pattern) => Access::Pattern {
                mask,
                base: kernel.arrays.at(4) + first * 4,
                pattern,
            },
        }
    }

    fn step(&self, place: Place, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let w = place.warp;
        let next = Place {
            step: place.step + kernel.shares,
            ..place
        };
        let pitch = kernel.padded() * 4 + PAD;
        let (partial, stats) = (kernel.partial_base(), kernel.stats_base());
        let (later, last) = (place.part > 0, place.part + 1 == kernel.parts());
        let of_stat = |stat: u64| stats + stat * WARPS * STEP * 4;
        self.step.emit(FULL, out, |n| match self.kinds[n] {
            Kind::Query(n) => at(self.query_buffer(place.step), self.queries[n]),
            Kind::Before(round) if later => self.result(place, round, true),
            Kind::Load(n) => self.query_copy(next, n),
            Kind::Keep(n) => self.query_kept(next, n),
            Kind::LogKept(half) if later && w == 0 => Access::Pattern {
                mask: FIRST_OF_FOUR,
                base: kernel.before_base() + STEP / 2 * half * 4,
                pattern: self.log_kept,
            },
            Kind::LogNext(half) if later => self.log(next, STEP / 2 * half, &self.logs),
            Kind::LogOf(round) if later => {
                let row = kernel.round_row(round, w);
                at(kernel.before_base() + row * 4, (0, self.log_of))
            }
            Kind::Stat(stat, half) => Access::Pattern {
                mask: FIRST_OF_FOUR,
                base: of_stat(stat) + half * 8 * WARPS * 4 + w * 4,
                pattern: self.stat,
            },
            Kind::Stats(half) => at(of_stat(0) + half * 8 * WARPS * 4, (0, self.stats)),
            Kind::StatsOf(stat, round) => {
                let row = kernel.round_row(round, w);
                at(of_stat(stat) + row * WARPS * 4, (0, self.stats_of))
            }
            Kind::Write(n) => {
                let row = w * STEP + n % 2 * 8;
                at(partial + row * pitch + n / 2 * 32, (0, self.written))
            }
            Kind::Read(round, of) => {
                let row = of * STEP + kernel.round_row(round, w);
                at(partial + row * pitch, (0, self.read))
            }
            Kind::Log(round) => self.log(place, kernel.round_row(round, w), &self.log),
            Kind::After(round) if !last => self.result(place, round, true),
            Kind::Result(round) if last => self.result(place, round, false),
            _ => Access::Off,
        });
    }

    /// A round of the results of a step: so far in FP32, or final.
    fn result(&self, place: Place, round: u64, wide: bool) -> Access {
        let kernel = &self.kernel;
        let row = place.step * STEP + kernel.round_row(round, place.warp);
        let there = kernel.queries.saturating_sub(row).min(kernel.warp_rows());
        let (patterns, operand, bytes) = match wide {
            true => (&self.wide, 5, 4),
            false => (&self.narrow, 3, HALF),
        };
        let first = kernel.element(place.cta, kernel.queries, row);
        match patterns[there as usize] {
            (0, _) => Access::Off,
            (mask, pattern) => Access::Pattern {
                mask,
                base: kernel.arrays.at(operand) + first * bytes,
                pattern,
            },
        }
    }
}

impl WarpGenerator for FlashWarps {
    fn iterations(&self, cta: u64) -> u64 {
        let [_, _, share] = self.kernel.place(cta);
        let parts = 0..self.kernel.parts();
        parts.map(|part| self.kernel.steps_in(part, share)).sum()
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let [_, _, share] = kernel.place(cta);
        self.prologue.emit_plain(FULL, out);
        let mut after = 0;
        for part in 0..kernel.parts() {
            let before = after;
            after += kernel.steps_in(part, share);
            let range = iterations.start.clamp(before, after)..iterations.end.clamp(before, after);
            if range.is_empty() {
                continue;
            }
            let place = |iteration: u64| Place {
                cta,
                warp: warp.into(),
                part,
                step: kernel.first_step(part, share) + (iteration - before) * kernel.shares,
            };
            self.load_part(place(range.start), out);
            out.iterations(range, self.step.len(), |iteration, out| {
                self.step(place(iteration), out);
            });
        }
        self.end.emit_plain(FULL, out);
    }
}

impl FlashWarps {
    pub(super) fn new(kernel: Flash1, code: &mut KernelBuilder, blocks: [Block; 4]) -> Self {
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
        let head_pitch = kernel.heads * kernel.head_dim * HALF;
        let warps = 0..WARPS;
        let kept = |warp| copied_patterns(code, keys, warp, WARPS);
        let keys_kept = warps.clone().map(kept).collect();
        let copying = kernel.query_warps();
        let kept = |warp| copied_patterns(code, queries, warp % copying, copying);
        let queries_kept = warps.map(kept).collect();
        let (wide, narrow) = (results(&kernel, code, 4), results(&kernel, code, HALF));
        let [logs, log] = logarithms(&kernel, code);
        let [prologue, part, step, end] = blocks;
        FlashWarps {
            fetches: kernel.fetches(),
            kinds: kernel.kinds(),
            prologue,
            part,
            step,
            end,
            copies: CopyPatterns::new(code, keys, head_pitch),
            queries_kept,
            keys_kept,
            keys: keys_read,
            values: values_read,
            queries: (0..shape.head)
                .map(|n| rows_pattern(code, queries, 0, u64::from(n) * 16))
                .collect(),
            written: code.pattern(FULL, 8, |l| l / 4 * pitch + l % 4 * 8),
            read: code.pattern(FULL, 16, |l| l / lanes * pitch + l % lanes * 16),
            stat: code.pattern(FIRST_OF_FOUR, 4, |l| l / 4 * WARPS * 4),
            stats: code.pattern(FULL, 4, |l| l * 4),
            stats_of: code.pattern(FULL, 4, |l| (l / lanes * WARPS + l % WARPS) * 4),
            logs,
            log_kept: code.pattern(FIRST_OF_FOUR, 4, |l| l / 4 * 4),
            log_of: code.pattern(FULL, 4, |l| l / lanes * 4),
            log,
            wide,
            narrow,
            kernel,
        }
    }
}

/// Patterns of results of `bytes` an element, by rows that there are.
fn results(kernel: &Flash1, code: &mut KernelBuilder, bytes: u64) -> Vec<(u32, PatternId)> {
    let lanes = kernel.padded() / 4;
    let there = kernel.head_dim / 4;
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
}

/// Patterns of logarithms, by rows that there are: of 8 rows, four lanes each, and of a round's rows, one lane each.
fn logarithms(kernel: &Flash1, code: &mut KernelBuilder) -> [Vec<(u32, PatternId)>; 2] {
    let lanes = kernel.padded() / 4;
    let mut of = |mask: u32, rows: u64| match mask {
        0 => (0, 0),
        _ => (mask, code.pattern(mask, 4, |l| l / rows * 4)),
    };
    let logs = (0..=STEP / 2).map(|rows| of(first_lanes(4 * rows), 4));
    let logs = logs.collect();
    let firsts = |rows: u64| (0..rows).fold(0, |mask, row| mask | 1u32 << (row * lanes));
    let log = (0..=kernel.warp_rows()).map(|rows| of(firsts(rows), lanes));
    [logs, log.collect()]
}
