//! The instructions of the kernel.

use super::{FIRST, Flash1, WARPS};
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

    pub(super) fn barrier(&mut self) {
        self.list(self.code.barrier_text(), &[]);
    }

    pub(super) fn part(&mut self) {
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

    pub(super) fn multiply(&mut self, sum: u16, first: u16, second: u16, clear: bool) {
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
    pub(super) fn scores(&mut self) {
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
    pub(super) fn combine(&mut self, text: &str, first: u16) {
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

    pub(super) fn softmax(&mut self) {
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
    pub(super) fn results(&mut self) {
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
pub(super) fn narrow_pair(code: &mut KernelBuilder, data: DataType, first: u16) {
    crate::kernels::rows::chains::narrow(code, data, 4, first, first);
}
