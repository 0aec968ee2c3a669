//! The instructions of the kernel.

use super::warps::Iteration;
use super::{AHEAD, FIRST, Flash, MAXIMA, SUMS, TEMPORARY};
use crate::kernels::builder::KernelBuilder;
use crate::kernels::operator::DataType;
use crate::kernels::rows::script::{Block, list};

/// Appends the instructions of the kernel.
pub(super) struct Writer<'a> {
    pub(super) kernel: &'a Flash,
    pub(super) code: &'a mut KernelBuilder,
}

impl Writer<'_> {
    pub(super) fn block(&mut self, append: impl FnOnce(&mut Self)) -> Block {
        let start = self.code.here();
        append(self);
        Block::from(self.code, start)
    }

    pub(super) fn list(&mut self, text: &str, names: &[(&str, u16)]) {
        list(self.code, text, names);
    }

    /// Places, bounds, addresses of the tensors, cleared results.
    pub(super) fn prologue(&mut self) {
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
    pub(super) fn copies(&mut self, count: u64, address: u16) {
        for _ in 0..count {
            self.list(
                "IADD3 r14 = a; LDGSTS.E.BYPASS.LTC128B.128 r12 a",
                &[("a", address)],
            );
        }
        self.list("LDGDEPBAR", &[]);
    }

    pub(super) fn arrived(&mut self) {
        let barrier = self.code.barrier_text();
        self.list(&format!("DEPBAR.LE; {barrier}"), &[]);
    }

    pub(super) fn key_copies(&mut self) {
        let count = self.kernel.key_tile().copy_count(self.kernel.warps);
        self.copies(count, 18);
    }

    pub(super) fn multiply(&mut self, sum: u16, first: u16, second: u16, clear: bool) {
        let text = match self.kernel.data {
            DataType::Bf16 => "HMMA.16816.F32.BF16",
            _ => "HMMA.16816.F32",
        };
        let from = if clear { 255 } else { sum };
        let names = [("c", from), ("d", sum), ("a", first), ("b", second)];
        self.list(&format!("{text} d = a b c"), &names);
    }

    /// Scores: for each 16 elements of the head fragments of queries and keys, loaded ahead of their use.
    pub(super) fn scores(&mut self) {
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
    pub(super) fn mask(&mut self) {
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
    pub(super) fn row(&self, row: u16) -> impl Iterator<Item = u16> + use<> {
        let [_, scores, _] = self.kernel.layout();
        let of_band = self.kernel.scores() / (self.kernel.bands() as u16);
        let first = scores + row / 2 * of_band + row % 2 * 2;
        (0..of_band / 4).flat_map(move |n| [first + 4 * n, first + 4 * n + 1])
    }

    /// Maxima of the rows, the factor by which they have grown, results and sums scaled by it, exponentials and their sums.
    pub(super) fn softmax(&mut self) {
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
    pub(super) fn pack(&mut self, first: u16, count: u16) {
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
    pub(super) fn results(&mut self) {
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

    pub(super) fn iteration(&mut self, masked: bool) -> Iteration {
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
    pub(super) fn epilogue(&mut self) {
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
pub(super) enum Load {
    /// A fragment of queries: step and band.
    Query(u16, u16),
    /// A fragment of keys, by number.
    Key(u16),
    /// The products with a fragment of keys.
    Multiply(u16),
}

pub(super) fn score_loads(kernel: &Flash) -> Vec<Load> {
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
