//! FlashAttention 2, forward: a CTA for some queries of a head goes over the keys, tile by tile.

use super::tile::{CopyPatterns, HALF, Tile, columns_pattern, copied_patterns, rows_pattern};
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
        if self.bm % (16 * self.warps) != 0 || self.bm % rows != 0 {
            return fault("bm", self.bm, "no whole number of 16 queries a warp");
        }
        if self.bn % 16 != 0 || self.bn % rows != 0 {
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
    result_copies: CopyPatterns,
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
        [&self.values, &self.scores, &self.keys, &self.rest]
            .iter()
            .map(|block| block.len())
            .sum()
    }
}

/// Where fragments are read, in the order of the code.
struct Fragments {
    /// Of queries, for the first warp's first band, and of keys: for each step along the head.
    scores: Vec<Fragment>,
    /// Of values, for each step along the keys.
    values: Vec<(u64, PatternId)>,
    /// Of results, written: for each band, 8 columns and half of 16 rows; by warp.
    written: Vec<Vec<(u64, PatternId)>>,
    /// Of results, read as they are copied; by warp.
    read: Vec<Vec<(u64, PatternId)>>,
    /// Sums of 8 rows, by how many of them there are.
    sums: Vec<PatternId>,
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

    /// Copy `n` of the warp of a tile.
    fn copy(&self, matrix: Matrix, tile: Tile, warp: u32, n: usize) -> Access {
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
            halves: 1,
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
            halves: 1,
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
            halves: 2,
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
    fn masks(&self, at: At) -> u64 {
        let (blocks, masked) = self.kernel.key_blocks(at.block);
        let mine = self.kernel.split_blocks(at.block, at.split);
        // The masked ones are the last tiles of keys, which only some splits have.
        mine.end.saturating_sub((blocks - masked).max(mine.start))
    }

    /// Results through shared memory to memory, 16 bytes a lane; then the sums.
    fn finish(&self, at: At, warp: u32, out: &mut CtaEncoder) {
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
    fn sum(&self, first: u64, rows: u64) -> Access {
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
struct Matrix {
    operand: usize,
    base: u64,
    /// First row of the tile.
    first: u64,
    rows: u64,
    /// Elements from one row to the next.
    pitch: u64,
    /// Halves of an element.
    halves: u64,
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

/// Appends the instructions of the kernel.
struct Writer<'a> {
    kernel: &'a Flash,
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

    /// Places, bounds, addresses of the tensors, cleared results.
    fn prologue(&mut self) {
        self.code.entry();
        let [_, _, results] = self.kernel.layout();
        let start = "S2R r0; S2R r2; S2R r3; S2R r12; IMAD r13 = r2; IMAD.HI.U32 r14 = r13; IADD3 r14 = r14; \
            ISETP.GE.AND p0 = r14; IMAD.WIDE r16 = r13 r14 c0; IMAD.WIDE r18 = r13 r14 c1; SHF r15 = r12; LOP3.LUT r15 = r15; \
            LEA r16 = r16 r15; LEA.HI.X r17 = r17 r16; LEA r18 = r18 r15; LEA.HI.X r19 = r19 r18; LOP3.LUT r12 = r12 r15";
        self.list(start, &[]);
        for pair in (0..self.kernel.results()).step_by(2) {
            self.list("CS2R o", &[("o", results + pair)]);
        }
        for row in 0..2 * self.kernel.bands() as u16 {
            self.list("MOV m; MOV s", &[("m", MAXIMA + row), ("s", SUMS + row)]);
        }
    }

    /// `count` copies of a tile, each with its bounds or step.
    fn copies(&mut self, count: u64, address: u16) {
        for _ in 0..count {
            self.list(
                "IADD3 r14 = a; LDGSTS.E.BYPASS.LTC128B.128 r12 a",
                &[("a", address)],
            );
        }
        self.list("LDGDEPBAR", &[]);
    }

    fn arrived(&mut self) {
        let barrier = self.code.barrier_text();
        self.list(&format!("DEPBAR.LE; {barrier}"), &[]);
    }

    fn key_copies(&mut self) {
        let count = self.kernel.key_tile().copy_count(self.kernel.warps);
        self.copies(count, 18);
    }

    fn multiply(&mut self, sum: u16, first: u16, second: u16, clear: bool) {
        let text = match self.kernel.data {
            DataType::Bf16 => "HMMA.16816.F32.BF16",
            _ => "HMMA.16816.F32",
        };
        let from = if clear { 255 } else { sum };
        let names = [("c", from), ("d", sum), ("a", first), ("b", second)];
        self.list(&format!("{text} d = a b c"), &names);
    }

    /// Scores: for each 16 elements of the head fragments of queries and keys, loaded ahead of their use.
    fn scores(&mut self) {
        let kernel = self.kernel;
        let [second, scores, _] = kernel.layout();
        let (bands, steps) = (kernel.bands() as u16, (kernel.padded() / 16) as u16);
        let of_step = (kernel.bn / 16) as u16;
        let query = |step: u16, band: u16| FIRST + (step % 2 * bands + band) * 4;
        let key = |n: u16| second + n % AHEAD * 4;
        for item in score_loads(kernel) {
            match item {
                Load::Query(step, band) => {
                    self.list("LDSM.16.M88.4 a = r12", &[("a", query(step, band))]);
                }
                Load::Key(n) => {
                    self.list("LDSM.16.M88.4 b = r13", &[("b", key(n))]);
                }
                Load::Multiply(n) => {
                    let (step, pair) = (n / of_step, n % of_step);
                    for band in 0..bands {
                        for half in 0..2 {
                            let sum = scores + (band * of_step * 2 + pair * 2 + half) * 4;
                            self.multiply(sum, query(step, band), key(n) + 2 * half, step == 0);
                        }
                    }
                }
            }
        }
        debug_assert!(steps > 0);
    }

    /// Keys that a query does not see.
    fn mask(&mut self) {
        let [_, scores, _] = self.kernel.layout();
        self.list("IMAD r14 = r2; IADD3 r14 = r14; IMNMX r15 = r14", &[]);
        for score in 0..self.kernel.scores() {
            let text = match score % 2 {
                0 => "IADD3 r16 = r14; ISETP.GE.AND p0 = r16 r15; FSEL x = x p0",
                _ => "ISETP.GE.AND p0 = r16 r15; FSEL x = x p0",
            };
            self.list(text, &[("x", scores + score)]);
        }
    }

    /// Scores of row `row` of a thread's: pairs of neighbouring columns.
    fn row(&self, row: u16) -> impl Iterator<Item = u16> + use<> {
        let [_, scores, _] = self.kernel.layout();
        let of_band = self.kernel.scores() / (self.kernel.bands() as u16);
        let first = scores + row / 2 * of_band + row % 2 * 2;
        (0..of_band / 4).flat_map(move |n| [first + 4 * n, first + 4 * n + 1])
    }

    /// Maxima of the rows, the factor by which they have grown, results and sums scaled by it, exponentials and their sums.
    fn softmax(&mut self) {
        let rows = 2 * self.kernel.bands() as u16;
        let [_, _, results] = self.kernel.layout();
        let own = |row: u16| {
            [
                ("m", MAXIMA + row),
                ("s", SUMS + row),
                ("t", TEMPORARY + 2 * (row % 4)),
                ("u", TEMPORARY + 2 * (row % 4) + 1),
            ]
        };
        for row in 0..rows {
            self.list("MOV u = m", &own(row));
            for score in self.row(row) {
                self.list("FMNMX m = m x", &[&own(row)[..], &[("x", score)]].concat());
            }
        }
        for _ in 0..2 {
            for text in ["SHFL.BFLY t = m", "FMNMX m = m t"] {
                for row in 0..rows {
                    self.list(text, &own(row));
                }
            }
        }
        for text in [
            "FSETP.NEU.AND p0 = m",
            "FSEL t = m p0",
            "FADD u = u t",
            "FMUL u = u c3",
            "MUFU.EX2 u = u",
            "FMUL s = s u",
            "FMUL t = t c3",
        ] {
            for row in 0..rows {
                self.list(text, &own(row));
            }
        }
        for result in 0..self.kernel.results() {
            let row = result / (self.kernel.results() / (rows / 2)) * 2 + result % 4 / 2;
            self.list(
                "FMUL o = o u",
                &[&own(row)[..], &[("o", results + result)]].concat(),
            );
        }
        for text in ["FFMA x = x c3 t", "MUFU.EX2 x = x", "FADD s = s x"] {
            for row in 0..rows {
                for score in self.row(row) {
                    self.list(text, &[&own(row)[..], &[("x", score)]].concat());
                }
            }
        }
    }

    /// Two of `count` FP32 numbers from `first` on in each register.
    fn pack(&mut self, first: u16, count: u16) {
        let text = match (self.kernel.data, self.code.sm_version()) {
            (DataType::Bf16, 90..) => "F2FP.BF16.F32.PACK_AB",
            (DataType::Bf16, _) => "F2FP.BF16.PACK_AB",
            (_, 90..) => "F2FP.F16.F32.PACK_AB",
            _ => "F2FP.PACK_AB",
        };
        for pair in 0..count / 2 {
            let names = [
                ("d", first + pair),
                ("x", first + 2 * pair),
                ("y", first + 2 * pair + 1),
            ];
            self.list(&format!("{text} d = y x"), &names);
        }
    }

    /// Results: the exponentials, as halves, times the values.
    fn results(&mut self) {
        let kernel = self.kernel;
        let [second, scores, results] = kernel.layout();
        self.pack(scores, kernel.scores());
        let bands = kernel.bands() as u16;
        let (of_step, steps) = ((kernel.padded() / 16) as u16, (kernel.bn / 16) as u16);
        let total = of_step * steps;
        let value = |n: u16| second + n % AHEAD * 4;
        for n in 0..total + AHEAD - 1 {
            if n < total {
                self.list("LDSM.16.MT88.4 b = r13", &[("b", value(n))]);
            }
            if n + 1 >= AHEAD {
                let n = n + 1 - AHEAD;
                let (step, pair) = (n / of_step, n % of_step);
                for band in 0..bands {
                    let weights = scores + (band * steps + step) * 4;
                    for half in 0..2 {
                        let sum = results + (band * of_step * 2 + pair * 2 + half) * 4;
                        self.multiply(sum, weights, value(n) + 2 * half, false);
                    }
                }
            }
        }
        self.list("IADD3 r3 = r3; ISETP.GT.AND p0 = r3; BRA p0", &[]);
    }

    fn iteration(&mut self, masked: bool) -> Iteration {
        Iteration {
            values: self.block(|w| {
                w.arrived();
                w.key_copies();
            }),
            scores: self.block(|w| {
                w.scores();
                if masked {
                    w.mask();
                }
            }),
            keys: self.block(|w| {
                w.arrived();
                w.key_copies();
            }),
            rest: self.block(|w| {
                w.softmax();
                w.results();
            }),
        }
    }

    /// Results divided by the sums, through shared memory.
    fn epilogue(&mut self) {
        let kernel = self.kernel;
        let [second, _, results] = kernel.layout();
        let rows = 2 * kernel.bands() as u16;
        for _ in 0..2 {
            for row in 0..rows {
                let names = [("s", SUMS + row), ("t", TEMPORARY + row)];
                self.list("SHFL.BFLY t = s; FADD s = s t", &names);
            }
        }
        for row in 0..rows {
            let names = [
                ("s", SUMS + row),
                ("m", MAXIMA + row),
                ("t", TEMPORARY + row),
            ];
            self.list("FSETP.NEU.AND p0 = s; MUFU.RCP t = s; FSEL t = t p0; MUFU.LG2 s = s; FFMA m = m c3 s", &names);
        }
        for result in 0..kernel.results() {
            let row = result / (kernel.results() / (rows / 2)) * 2 + result % 4 / 2;
            self.list(
                "FMUL o = o t",
                &[("o", results + result), ("t", TEMPORARY + row)],
            );
        }
        let halves = kernel.result_halves();
        if halves == 1 {
            self.pack(results, kernel.results());
        }
        self.list(self.code.barrier_text(), &[]);
        let (store, words) = match halves {
            1 => ("STS r12 o", 1),
            _ => ("STS.64 r12 o", 2),
        };
        for n in 0..kernel.results() / 2 {
            self.list(store, &[("o", results + n * words)]);
        }
        self.list(self.code.barrier_text(), &[]);
        let count = kernel.result_tile().copy_count(kernel.warps) as u16;
        let load = self.code.shared_load_128();
        for n in 0..count {
            self.list(&format!("{load} d = r13"), &[("d", second + n * 4 % 160)]);
        }
        let store = self.code.global("STG", 16);
        for n in 0..count {
            self.list(
                &format!("IADD3 r14 = r16; {store} r16 d"),
                &[("d", second + n * 4 % 160)],
            );
        }
        let store = self.code.global("STG", 4);
        for row in 0..rows {
            self.list(
                &format!("IADD3 r14 = r18; {store} r18 m"),
                &[("m", MAXIMA + row)],
            );
        }
        self.list("EXIT", &[]);
    }
}

/// The order of loads and products of the scores.
enum Load {
    /// A fragment of queries: step and band.
    Query(u16, u16),
    /// A fragment of keys, by number.
    Key(u16),
    /// The products with a fragment of keys.
    Multiply(u16),
}

fn score_loads(kernel: &Flash) -> Vec<Load> {
    let (bands, steps) = (kernel.bands() as u16, (kernel.padded() / 16) as u16);
    let of_step = (kernel.bn / 16) as u16;
    let total = of_step * steps;
    let mut order: Vec<_> = (0..bands).map(|band| Load::Query(0, band)).collect();
    for n in 0..total + AHEAD - 1 {
        if n < total {
            order.push(Load::Key(n));
        }
        if n + 1 >= AHEAD {
            let n = n + 1 - AHEAD;
            let (step, pair) = (n / of_step, n % of_step);
            // The next step's queries, while this step's are multiplied.
            if pair == 0 && step + 1 < steps {
                order.extend((0..bands).map(|band| Load::Query(step + 1, band)));
            }
            order.push(Load::Multiply(n));
        }
    }
    order
}

impl Fragments {
    fn new(code: &mut KernelBuilder, kernel: &Flash) -> Self {
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
fn written(code: &mut KernelBuilder, kernel: &Flash, warp: u64) -> Vec<(u64, PatternId)> {
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

impl KernelGenerator for Flash {
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
