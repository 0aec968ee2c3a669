//! FlashAttention 1, forward: a CTA has a head of a sequence, keeps some keys and values in registers and shared memory,
//! and goes over all queries, 16 at a time, for each such part of the keys.

use super::tile::{CopyPatterns, HALF, Tile, columns_pattern, copied_patterns, rows_pattern};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::fields::family;
use crate::kernels::operator::DataType;
use crate::kernels::rows::script::{Access, Block, list};
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, WarpGenerator, per_warp};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

family! {
    /// softmax(Q K^T) V, 16 queries a step (`fmha_fwd_loop_kernel`). Tensors are (sequence, token, head, element).
    /// Operands: Q, K, V, the result, sums of exponentials, results so far in FP32.
    pub struct Flash1 of arrays: Arrays {
        /// sequences
        pub batch: u64 = "b" count(8, 1, 65535),
        /// heads
        pub heads: u64 = "h" count(32, 1, 4096),
        /// queries of a sequence
        pub queries: u64 = "sq" count(2048, 1, 1 << 24),
        /// keys of a sequence
        pub keys: u64 = "sk" count(2048, 1, 1 << 24),
        /// elements of a head
        pub head_dim: u64 = "d" count(128, 8, 128),
        /// queries see only the keys up to their own place: 1
        pub causal: u64 = "causal" count(0, 0, 1),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

/// Warps of a CTA, each with a quarter of the keys of a part.
const WARPS: u64 = 4;
const THREADS: u32 = 32 * WARPS as u32;
/// Queries of a step.
const STEP: u64 = 16;
/// Bytes that a lane's row of partial results is padded by.
const PAD: u64 = 16;

impl Flash1 {
    fn padded(&self) -> u64 {
        match self.head_dim {
            ..=32 => 32,
            ..=64 => 64,
            _ => 128,
        }
    }

    /// Keys of a part: as many as registers hold.
    pub fn part(&self) -> u64 {
        let most = if self.padded() == 128 { 128 } else { 256 };
        self.keys.next_multiple_of(128).min(most)
    }

    fn parts(&self) -> u64 {
        self.keys.div_ceil(self.part())
    }

    fn steps(&self) -> u64 {
        self.queries.div_ceil(STEP)
    }

    fn key_tile(&self) -> Tile {
        Tile {
            rows: self.part(),
            cols: self.padded(),
        }
    }

    fn query_tile(&self) -> Tile {
        Tile {
            rows: STEP,
            cols: self.padded(),
        }
    }

    /// First step of part `part` in which a query sees one of its keys.
    fn first_step(&self, part: u64) -> u64 {
        match self.causal {
            0 => 0,
            _ => (part * self.part() / STEP).min(self.steps()),
        }
    }

    /// Queries twice, keys and values in turn, partial results of all warps, maxima and sums.
    fn smem_bytes(&self) -> u64 {
        let partial = WARPS * STEP * (self.padded() * 4 + PAD);
        2 * self.query_tile().bytes() + self.key_tile().bytes() + partial + WARPS * STEP * 8
    }

    fn partial_base(&self) -> u64 {
        2 * self.query_tile().bytes() + self.key_tile().bytes()
    }

    fn stats_base(&self) -> u64 {
        self.partial_base() + WARPS * STEP * (self.padded() * 4 + PAD)
    }

    /// Pairs of 8-column blocks of a warp's scores, of results, and steps of 16 along the head.
    fn shape(&self) -> Shape {
        Shape {
            keys: (self.part() / WARPS / 16) as u16,
            head: (self.padded() / 16) as u16,
        }
    }

    fn check(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        if gpu.compute_capability < 75 {
            let what = "needs tensor cores of Turing or later";
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

#[derive(Clone, Copy)]
struct Shape {
    keys: u16,
    head: u16,
}

/// Registers: to r19 addresses and temporaries, fragments of queries, keys, values, scores, results.
const FIRST: u16 = 20;

impl Shape {
    fn keys_at(self) -> u16 {
        FIRST + 8
    }

    /// Keys stay in registers for a part.
    fn values_at(self) -> u16 {
        self.keys_at() + 16
    }

    fn scores_at(self) -> u16 {
        self.values_at() + 4 * self.keys * self.head
    }

    fn results_at(self) -> u16 {
        self.scores_at() + 8 * self.keys
    }

    fn end(self) -> u16 {
        self.results_at() + 8 * self.head
    }
}

/// Memory instructions of a step, in order.
#[derive(Clone, Copy)]
enum Kind {
    /// The queries of the next step, from memory and to shared memory.
    Load(usize),
    Keep(usize),
    /// A fragment of queries.
    Query(usize),
    /// The maximum (0) or sum (1) of 8 rows of the warp, and those of all warps.
    Stat(u64, u64),
    Stats(u64, u64),
    /// A warp's part of the results, written and read.
    Write(u64),
    Read(u64, u64),
    /// The results so far, and with this part; the last part's are final.
    Before(u64),
    After(u64),
    Result(u64),
}

impl Flash1 {
    /// The memory instructions of a step; [`Writer::step`] appends them in this order.
    fn kinds(&self) -> Vec<Kind> {
        let copies = self.query_tile().copy_count(self.query_warps()) as usize;
        let mut kinds: Vec<_> = (0..copies).map(Kind::Load).collect();
        if self.parts() > 1 {
            kinds.extend((0..self.rounds()).map(Kind::Before));
        }
        kinds.extend((0..self.shape().head.into()).map(Kind::Query));
        for stat in [0, 1] {
            kinds.extend([0, 1].map(|half| Kind::Stat(stat, half)));
            kinds.extend([0, 1].map(|half| Kind::Stats(stat, half)));
        }
        kinds.extend((0..self.padded() / 4).map(Kind::Write));
        for round in 0..self.rounds() {
            kinds.extend((0..WARPS).map(|warp| Kind::Read(round, warp)));
            if self.parts() > 1 {
                kinds.push(Kind::After(round));
            }
            kinds.push(Kind::Result(round));
        }
        kinds.extend((0..copies).map(Kind::Keep));
        kinds
    }

    /// Rounds of all threads, four elements each, that a step's results take.
    fn rounds(&self) -> u64 {
        (STEP * self.padded() / 4).div_ceil(THREADS.into())
    }

    /// Warps that copy queries.
    fn query_warps(&self) -> u64 {
        WARPS.min(STEP / self.query_tile().copied_rows())
    }
}

/// What the generator needs of the code.
struct FlashWarps {
    kernel: Flash1,
    kinds: Vec<Kind>,
    prologue: Block,
    part: Block,
    step: Block,
    end: Block,
    copies: CopyPatterns,
    /// Lanes in shared memory, by warp: copies of keys and of queries, fragments of keys, values.
    keys_kept: Vec<Vec<(u64, PatternId)>>,
    queries_kept: Vec<Vec<(u64, PatternId)>>,
    keys: Vec<Vec<(u64, PatternId)>>,
    values: Vec<Vec<(u64, PatternId)>>,
    queries: Vec<(u64, PatternId)>,
    /// Lanes of partial results as written and as read.
    written: PatternId,
    read: PatternId,
    stat: PatternId,
    stats: PatternId,
    /// Results of a round, by rows that there are, in FP32 and as stored.
    wide: Vec<(u32, PatternId)>,
    narrow: Vec<(u32, PatternId)>,
}

fn at(base: u64, (first, pattern): (u64, PatternId)) -> Access {
    Access::Pattern {
        mask: FULL,
        base: base + first,
        pattern,
    }
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

    /// Keys and values of part `part`, through shared memory into registers.
    fn load_part(&self, cta: u64, warp: u32, (part, step): (u64, u64), out: &mut CtaEncoder) {
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
    fn first_queries(&self, cta: u64, warp: u32, step: u64, n: usize) -> Access {
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

    fn query_copy(&self, cta: u64, warp: u32, step: u64, n: usize) -> Access {
        let kernel = &self.kernel;
        let mut copies = kernel
            .query_tile()
            .copies(warp.into(), kernel.query_warps());
        let (row, col) = copies.nth(n).expect("as many as there are places for");
        self.copy(0, cta, kernel.queries, (step * STEP + row, col))
    }

    fn step(&self, cta: u64, warp: u32, (part, step): (u64, u64), out: &mut CtaEncoder) {
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
    fn result(&self, cta: u64, warp: u64, (step, round): (u64, u64), wide: bool) -> Access {
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

impl Flash1 {
    /// Element of a tensor of `rows` rows a sequence at `row` of the head of `cta`.
    fn element(&self, cta: u64, rows: u64, row: u64) -> u64 {
        let (sequence, head) = (cta % self.batch, cta / self.batch);
        ((sequence * rows + row) * self.heads + head) * self.head_dim
    }

    /// Rows of results that a warp has in a round.
    fn warp_rows(&self) -> u64 {
        (32 / (self.padded() / 4)).max(1)
    }

    fn round_row(&self, round: u64, warp: u64) -> u64 {
        (round * WARPS + warp) * self.warp_rows()
    }

    /// Iterations of the parts before `part`.
    fn before(&self, part: u64) -> u64 {
        (0..part)
            .map(|part| self.steps() - self.first_step(part))
            .sum()
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

/// Appends the instructions of the kernel.
struct Writer<'a> {
    kernel: &'a Flash1,
    code: &'a mut KernelBuilder,
}

impl Writer<'_> {
    fn block(&mut self, append: impl FnOnce(&mut Self)) -> Block {
        let start = self.code.here();
        append(self);
        Block::from(self.code, start)
    }

    fn list(&mut self, text: &str, names: &[(&str, u16)]) {
        list(self.code, text, names);
    }

    fn barrier(&mut self) {
        self.list(self.code.barrier_text(), &[]);
    }

    fn part(&mut self) {
        let shape = self.kernel.shape();
        let count = self.kernel.key_tile().copy_count(WARPS) as u16;
        let load = self.code.global("LDG", 16);
        let fragments = [
            ("LDSM.16.M88.4", shape.keys_at()),
            ("LDSM.16.MT88.4", shape.values_at()),
        ];
        for (fragment, first) in fragments {
            for n in 0..count {
                let text = format!("IADD3 r14 = r16; ISETP.GE.AND p0 = r14; {load} d = r16 p0");
                self.list(&text, &[("d", shape.scores_at() + 4 * (n % 8))]);
            }
            self.barrier();
            for n in 0..count {
                self.list("STS.128 r12 d", &[("d", shape.scores_at() + 4 * (n % 8))]);
            }
            self.barrier();
            for n in 0..shape.keys * shape.head {
                self.list(&format!("{fragment} d = r13"), &[("d", first + 4 * n)]);
            }
        }
        let copies = self
            .kernel
            .query_tile()
            .copy_count(self.kernel.query_warps()) as u16;
        for n in 0..copies {
            self.list(&format!("{load} d = r18 p6"), &[("d", 8 + 4 * n)]);
        }
        for n in 0..copies {
            self.list("STS.128 r12 d p6", &[("d", 8 + 4 * n)]);
        }
        self.barrier();
    }

    fn multiply(&mut self, sum: u16, first: u16, second: u16, clear: bool) {
        let text = match self.kernel.data {
            DataType::Bf16 => "HMMA.16816.F32.BF16",
            _ => "HMMA.16816.F32",
        };
        let turing = self.code.sm_version() < 80;
        let names = [
            ("c", if clear { 255 } else { sum }),
            ("d", sum),
            ("a", first),
            ("b", second),
        ];
        match turing {
            false => self.list(&format!("{text} d = a b c"), &names),
            true => self.list("HMMA.1688.F32 d = a b c; HMMA.1688.F32 d = a b d", &names),
        }
    }

    /// Scores of 16 queries with the warp's keys, masked.
    fn scores(&mut self) {
        let shape = self.kernel.shape();
        let load = self.code.global("LDG", 16);
        for _ in 0..self
            .kernel
            .query_tile()
            .copy_count(self.kernel.query_warps())
        {
            self.list(&format!("{load} r8 = r18 p6"), &[]);
        }
        // The results so far, long before they are needed.
        if self.kernel.parts() > 1 {
            for round in 0..self.kernel.rounds() as u16 {
                self.list(
                    &format!("{load} x = r16"),
                    &[("x", shape.end() + 4 * round)],
                );
            }
        }
        for step in 0..shape.head {
            let query = FIRST + step % 2 * 4;
            self.list("LDSM.16.M88.4 a = r12", &[("a", query)]);
            for n in 0..2 * shape.keys {
                let key = shape.keys_at() + (step * shape.keys + n / 2) * 4 + n % 2 * 2;
                self.multiply(shape.scores_at() + 4 * n, query, key, step == 0);
            }
        }
        for n in 0..8 * shape.keys {
            self.list(
                "ISETP.GE.AND p0 = r14; FSEL x = x p0",
                &[("x", shape.scores_at() + n)],
            );
        }
    }

    /// Combines each of two rows' values over the warp and, through shared memory, over all warps.
    fn combine(&mut self, text: &str, first: u16) {
        let shape = self.kernel.shape();
        for n in 0..8 * shape.keys {
            let names = [("a", first + n % 4 / 2), ("x", shape.scores_at() + n)];
            self.list(&format!("{text} a = a x"), &names);
        }
        for _ in 0..2 {
            for row in 0..2 {
                let names = [("a", first + row), ("t", 8 + row)];
                self.list(&format!("SHFL.BFLY t = a; {text} a = a t"), &names);
            }
        }
        for row in 0..2 {
            self.list("STS r15 a", &[("a", first + row)]);
        }
        self.barrier();
        for row in 0..2 {
            self.list("LDS.128 t = r15", &[("t", 8 + 4 * row)]);
            for warp in 0..4 {
                let names = [("a", first + row), ("t", 8 + 4 * row + warp)];
                self.list(&format!("{text} a = a t"), &names);
            }
        }
    }

    fn softmax(&mut self) {
        let shape = self.kernel.shape();
        self.combine("FMNMX", 4);
        for text in ["FFMA x = x c3 m", "MUFU.EX2 x = x"] {
            for n in 0..8 * shape.keys {
                let names = [("x", shape.scores_at() + n), ("m", 4 + n % 4 / 2)];
                self.list(text, &names);
            }
        }
        self.combine("FADD", 6);
        let pack = match (self.kernel.data, self.code.sm_version()) {
            (_, ..80) => "PRMT",
            (DataType::Bf16, _) => "F2FP.BF16.PACK_AB",
            _ => "F2FP.PACK_AB",
        };
        for n in 0..4 * shape.keys {
            let names = [
                ("d", shape.scores_at() + n),
                ("x", shape.scores_at() + 2 * n),
            ];
            self.list(&format!("{pack} d = x"), &names);
        }
    }

    /// The warp's part of the results, then all warps' in shared memory added, with the results so far.
    fn results(&mut self) {
        let shape = self.kernel.shape();
        for step in 0..shape.keys {
            for n in 0..2 * shape.head {
                let value = shape.values_at() + (step * shape.head + n / 2) * 4 + n % 2 * 2;
                let weights = shape.scores_at() + 4 * step;
                self.multiply(shape.results_at() + 4 * n, weights, value, step == 0);
            }
        }
        for n in 0..4 * shape.head {
            self.list("STS.64 r15 o", &[("o", shape.results_at() + 2 * n)]);
        }
        self.barrier();
        let store = self.code.global("STG", 16);
        let narrow = self.code.global("STG", 8);
        for round in 0..self.kernel.rounds() {
            let first = shape.results_at();
            for warp in 0..WARPS as u16 {
                self.list("LDS.128 o = r15", &[("o", first + 4 * warp)]);
            }
            for n in 0..12 {
                self.list(
                    "FADD o = o x",
                    &[("o", first + n % 4), ("x", first + 4 + n)],
                );
            }
            self.list("MUFU.RCP r8 = r6; LOP3.LUT r9 = r6", &[]);
            if self.kernel.parts() > 1 {
                for n in 0..4 {
                    let before = shape.end() + 4 * round as u16 + n;
                    self.list("FFMA o = x r7 o", &[("o", first + n), ("x", before)]);
                }
                self.list(&format!("{store} r16 o"), &[("o", first)]);
            }
            for n in 0..4 {
                self.list("FMUL o = o r8", &[("o", first + n)]);
            }
            narrow_pair(self.code, self.kernel.data, first);
            self.list(&format!("{narrow} r18 o"), &[("o", first)]);
        }
        for _ in 0..self
            .kernel
            .query_tile()
            .copy_count(self.kernel.query_warps())
        {
            self.list("STS.128 r12 r8 p6", &[]);
        }
        self.barrier();
        self.list(
            "IADD3 r3 = r3; IADD3 r18 = r18; IADD3.X r19 = r19; ISETP.GE.AND p0 = r3; BRA p0",
            &[],
        );
    }
}

/// Four results as stored.
fn narrow_pair(code: &mut KernelBuilder, data: DataType, first: u16) {
    crate::kernels::rows::chains::narrow(code, data, 4, first, first);
}

impl FlashWarps {
    fn new(kernel: &Flash1, code: &mut KernelBuilder, blocks: [Block; 4]) -> Self {
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

impl KernelGenerator for Flash1 {
    fn name(&self) -> &'static str {
        "flash1_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check(gpu)?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let mut writer = Writer {
            kernel: self,
            code: &mut code,
        };
        let prologue = writer.block(|w| {
            w.code.entry();
            let start = "S2R r2; S2R r3; S2R r4; IMAD r12 = r3; IMAD r12 = r12 r4; IMAD.WIDE r16 = r12 c0; \
                IMAD.WIDE r18 = r12 c1; SHF r13 = r2; LOP3.LUT r14 = r2; LEA r16 = r16 r13; LEA.HI.X r17 = r17 r13; \
                LEA r18 = r18 r13; LEA.HI.X r19 = r19 r13; LOP3.LUT r12 = r14; IMAD r15 = r13; MOV r3";
            w.list(start, &[]);
        });
        let part = writer.block(Writer::part);
        let step = writer.block(|w| {
            w.scores();
            w.softmax();
            w.results();
        });
        let end = writer.block(|w| w.list("EXIT", &[]));
        let generator = FlashWarps::new(self, &mut code, [prologue, part, step, end]);
        let causal = if self.causal == 1 { " causal" } else { "" };
        let registers = (self.shape().end() + 4 * self.rounds() as u16)
            .next_multiple_of(8)
            .min(255);
        Ok(Assembly {
            name: format!(
                "fmha_fwd_loop_kernel<{}, {}> {}{causal}",
                self.part(),
                self.padded(),
                self.data.name()
            ),
            grid: [self.batch as u32, self.heads as u32, 1],
            block: [THREADS, 1, 1],
            registers,
            smem_bytes: self.smem_bytes() as u32,
            code,
            generator: per_warp(THREADS, generator),
        })
    }
}
