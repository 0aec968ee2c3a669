//! The instructions of the kernel.

use super::{Flash1, QUERIES_AT, WARPS};
use crate::kernels::builder::KernelBuilder;
use crate::kernels::operator::DataType;
use crate::kernels::rows::script::{Block, list};

/// Appends the instructions of the kernel.
pub(super) struct Writer<'a> {
    pub(super) kernel: &'a Flash1,
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

    fn barrier(&mut self) {
        self.list(self.code.barrier_text(), &[]);
    }

    /// The lines of `text` `count` times, each with `d` four registers further, the first at `first`.
    fn each(&mut self, text: &str, first: u16, count: u16) {
        for n in 0..count {
            self.list(text, &[("d", first + 4 * n)]);
        }
    }

    /// Keys and values by way of the same shared memory into registers, where they stay, and the queries of the first step.
    pub(super) fn part(&mut self) {
        let shape = self.kernel.shape();
        let tile = self.kernel.key_tile().copy_count(WARPS) as u16;
        let queries = self.kernel.query_copies() as u16;
        let load = self.code.global("LDG", 16);
        let guarded = format!("IADD3 r14 = r16; ISETP.GE.AND p0 = r14; {load} d = r16 p0");
        // Where keys stay in the end, and where scores and results will be.
        let (keys_at, values_at) = (shape.keys_at(), shape.scores_at());
        self.each(&guarded, keys_at, tile);
        self.each(&format!("{load} d = r18 p6"), 4, queries);
        self.each(&guarded, values_at, tile);
        if self.kernel.parts() > 1 {
            let load = self.code.global("LDG", 4);
            self.list(&format!("{load} r20 = r18; {load} r21 = r18"), &[]);
        }
        self.barrier();
        let fragments = shape.keys * shape.head;
        self.each("STS.128 r12 d p6", 4, queries);
        self.each("STS.128 r12 d", values_at, tile);
        self.barrier();
        self.each("LDSM.16.MT88.4 d = r13", shape.values_at(), fragments);
        self.barrier();
        self.each("STS.128 r12 d", keys_at, tile);
        self.barrier();
        self.each("LDSM.16.M88.4 d = r13", keys_at, fragments);
        // Partial results go where keys were.
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

    /// Scores of 16 queries with the warp's keys, masked; what the end of the step and the next one need is on its way.
    pub(super) fn scores(&mut self) {
        let shape = self.kernel.shape();
        let load = self.code.global("LDG", 16);
        let fragment = |step: u16| [("a", QUERIES_AT + step % 2 * 4)];
        self.list("LDSM.16.M88.4 a = r12", &fragment(0));
        for step in 0..shape.head {
            if step + 1 < shape.head {
                self.list("LDSM.16.M88.4 a = r12", &fragment(step + 1));
            }
            for n in 0..2 * shape.keys {
                let key = shape.keys_at() + (step * shape.keys + n / 2) * 4 + n % 2 * 2;
                let query = QUERIES_AT + step % 2 * 4;
                self.multiply(shape.scores_at() + 4 * n, query, key, step == 0);
            }
        }
        if self.kernel.parts() > 1 {
            let rounds = self.kernel.rounds() as u16;
            self.each(&format!("{load} d = r16"), shape.end(), rounds);
        }
        let queries = self.kernel.query_copies() as u16;
        self.each(&format!("{load} d = r18 p6"), 4, queries);
        self.mask();
    }

    /// Scores of keys that there are not, or that a query does not see. A column's two rows share a comparison with the
    /// number of keys; with the diagonal each has its own.
    fn mask(&mut self) {
        let shape = self.kernel.shape();
        for n in 0..2 * shape.keys {
            let rows = if self.kernel.causal == 1 { 2 } else { 1 };
            let compared = |row: u16, column: u16| 1 + (row % rows) * 2 + column;
            for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                if row < rows {
                    self.list("ISETP.GE.AND p = r14", &[("p", compared(row, column))]);
                }
            }
            for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let names = [
                    ("x", shape.scores_at() + 4 * n + 2 * row + column),
                    ("p", compared(row, column)),
                ];
                self.list("FSEL x = x p", &names);
            }
        }
    }

    /// Combines each of two rows' scores over the lanes that share them.
    fn combine(&mut self, text: &str, first: u16) {
        let shape = self.kernel.shape();
        for n in 0..8 * shape.keys {
            let names = [("a", first + n % 4 / 2), ("x", shape.scores_at() + n)];
            self.list(&format!("{text} a = a x"), &names);
        }
        self.over_lanes(text, first, [12, 2]);
    }

    /// Combines `count` numbers from register `first` on over four lanes, those of others in registers from `others` on.
    fn over_lanes(&mut self, text: &str, first: u16, [others, count]: [u16; 2]) {
        let names = |n: u16| [("a", first + n), ("t", others + n)];
        for _ in 0..2 {
            for n in 0..count {
                self.list("SHFL.BFLY t = a", &names(n));
            }
            for n in 0..count {
                self.list(&format!("{text} a = a t"), &names(n));
            }
        }
    }

    /// Weights of the warp's keys; the maximum is that of all warps, the sum the warp's own.
    pub(super) fn softmax(&mut self) {
        let shape = self.kernel.shape();
        let later = self.kernel.parts() > 1;
        if later {
            // The logarithm so far is the first maximum; it is needed again by other lanes.
            self.list(
                "STS r15 r20; STS r15 r21; FMUL r0 = r20; FMUL r1 = r21",
                &[],
            );
            let load = self.code.global("LDG", 4);
            self.list(&format!("{load} r20 = r18; {load} r21 = r18"), &[]);
        }
        self.combine("FMNMX", 0);
        self.list("STS r15 r0; STS r15 r1", &[]);
        self.barrier();
        self.list("LDS r0 = r15; LDS r1 = r15", &[]);
        self.over_lanes("FMNMX", 0, [12, 2]);
        self.list("FMUL r0 = r0; FMUL r1 = r1", &[]);
        for text in ["FFMA x = x c3 m", "MUFU.EX2 x = x"] {
            for n in 0..8 * shape.keys {
                let names = [("x", shape.scores_at() + n), ("m", n % 4 / 2)];
                self.list(text, &names);
            }
        }
        self.combine("FADD", 2);
        self.list("STS r15 r2; STS r15 r3", &[]);
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
        self.each("STS.128 r12 d p6", 4, self.kernel.query_copies() as u16);
    }

    /// The warp's part of the results, then all warps' in shared memory added, with the results so far.
    pub(super) fn results(&mut self) {
        let shape = self.kernel.shape();
        for step in 0..shape.keys {
            for n in 0..2 * shape.head {
                let value = shape.values_at() + (step * shape.head + n / 2) * 4 + n % 2 * 2;
                let weights = shape.scores_at() + 4 * step;
                self.multiply(shape.results_at() + 4 * n, weights, value, step == 0);
            }
        }
        let rounds = self.kernel.rounds() as u16;
        // Lanes have other rows from here on: the maxima again.
        self.rows_of("FMNMX", 0);
        for n in 0..rounds {
            self.list("FMUL m = m", &[("m", self.stat_at(0, n))]);
        }
        if self.kernel.parts() > 1 {
            for n in 0..rounds {
                self.list("LDS l = r15", &[("l", self.stat_at(2, n))]);
            }
        }
        for n in 0..4 * shape.head {
            self.list("STS.64 r15 o", &[("o", shape.results_at() + 2 * n)]);
        }
        self.barrier();
        self.rows_of("FADD", 1);
        self.sums(rounds);
        self.outputs(rounds);
        self.list(
            "IADD3 r17 = r17; IADD3 r18 = r18; IADD3.X r19 = r19; ISETP.GE.AND p0 = r17; BRA p0",
            &[],
        );
    }

    /// Where a round's maximum (0), sum (1), logarithm so far (2) and what other lanes have (3) are: scores and their
    /// weights are no longer needed.
    fn stat_at(&self, stat: u16, round: u16) -> u16 {
        self.kernel.shape().scores_at() + 4 * stat + round
    }

    /// A number of all warps for the row that a lane has in each round.
    fn rows_of(&mut self, text: &str, stat: u16) {
        let rounds = self.kernel.rounds() as u16;
        for n in 0..rounds {
            self.list("LDS m = r15", &[("m", self.stat_at(stat, n))]);
        }
        self.over_lanes(text, self.stat_at(stat, 0), [self.stat_at(3, 0), rounds]);
    }

    /// The sums with those so far, and their logarithms.
    fn sums(&mut self, rounds: u16) {
        for n in 0..rounds {
            let names =
                [("m", 0), ("s", 1), ("l", 2)].map(|(name, of)| (name, self.stat_at(of, n)));
            if self.kernel.parts() > 1 {
                let text = "FADD l = l m; FMUL l = l; MUFU.EX2 l = l; FADD s = s l";
                self.list(text, &names);
            }
            let store = self.code.global("STG", 4);
            let text = format!(
                "FSETP p1 = s; MUFU.LG2 r12 = s; FFMA r12 = r12 m; FSEL r12 = r12 p1; \
                MUFU.RCP m = s; FSEL m = m p1; {store} r18 r12"
            );
            self.list(&text, &names);
        }
    }

    /// Adds up what the warps have, with the results so far, and stores them, wide or as they are in the end.
    fn outputs(&mut self, rounds: u16) {
        let shape = self.kernel.shape();
        let later = self.kernel.parts() > 1;
        let store = self.code.global("STG", 16);
        let narrow = self.code.global("STG", 8);
        for round in 0..rounds {
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
            for n in 0..4 {
                let mut names = vec![("o", first + n), ("i", self.stat_at(0, round))];
                if later {
                    names.push(("x", shape.end() + 4 * round + n));
                    names.push(("l", self.stat_at(2, round)));
                    self.list("FFMA o = x l o", &names);
                }
                self.list("FMUL o = o i", &names);
            }
            if later {
                self.list(&format!("{store} r16 o"), &[("o", first)]);
            }
            narrow_pair(self.code, self.kernel.data, first);
            self.list(&format!("{narrow} r18 o"), &[("o", first)]);
        }
    }
}

/// Four results as stored.
fn narrow_pair(code: &mut KernelBuilder, data: DataType, first: u16) {
    crate::kernels::rows::chains::narrow(code, data, 4, first, first);
}
