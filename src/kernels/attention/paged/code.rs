//! The instructions of the kernel.

use super::{HALF, LOADED, Paged, WARPS};
use crate::kernels::builder::KernelBuilder;
use crate::kernels::rows::chains::{narrow, widen};
use crate::kernels::rows::combine::{Combine, butterfly};
use crate::kernels::rows::script::list;

impl Paged {
    /// Places, and the query to shared memory.
    pub(super) fn prologue(&self, code: &mut KernelBuilder) {
        code.entry();
        let load = code.global("LDG", 4);
        let text = format!(
            "S2R r0; S2R r2; S2R r3; S2R r12; IMAD.WIDE r4 = r3 c8; {load} r5 = r4; ISETP.GE.AND p0 = r5; IADD3 r6 = r5; \
             SHF r6 = r6; IMAD r7 = r12; IMNMX r6 = r6 r7; IABS r8 = r2; I2F r9 = r8; MUFU.RCP r9 = r9; F2I r9 = r9; \
             IMAD.HI.U32 r9 = r9 r8; IMAD r10 = r2 r9; SHF r11 = r0; LOP3.LUT r12 = r0; BSSY; ISETP.GE.AND p1 = r0; BRA p1"
        );
        list(code, &text, &[]);
    }

    pub(super) fn query(&self, code: &mut KernelBuilder) {
        let load = code.global("LDG", 8);
        list(
            code,
            &format!("IMAD.WIDE r4 = r2 c0; {load} r16 = r4; STS.64 r12 r16"),
            &[],
        );
    }

    pub(super) fn sync(&self, code: &mut KernelBuilder) {
        let text = format!(
            "BSYNC; {}; MOV r14; ISETP.GE.AND p0 = r11; BRA p0",
            code.barrier_text()
        );
        list(code, &text, &[]);
    }

    /// A block of keys: two lanes a token, 8 bytes of every 16 each.
    pub(super) fn keys(&self, code: &mut KernelBuilder) {
        let count = self.loads()[0];
        let work = LOADED + 2 * count;
        self.find(code);
        let load = code.global("LDG", 8);
        for n in 0..count {
            list(code, &format!("{load} k = r8"), &[("k", LOADED + 2 * n)]);
        }
        for n in 0..count {
            list(code, "LDS.64 q = r13", &[("q", work)]);
            widen(code, self.data, 4, work, work + 4);
            widen(code, self.data, 4, LOADED + 2 * n, work + 8);
            for e in 0..4 {
                let names = [
                    ("s", work + 12 + e),
                    ("x", work + 4 + e),
                    ("y", work + 8 + e),
                ];
                list(
                    code,
                    if n == 0 {
                        "FMUL s = x y"
                    } else {
                        "FFMA s = x y s"
                    },
                    &names,
                );
            }
        }
        let names = [
            ("s", work + 12),
            ("t", work + 13),
            ("u", work + 14),
            ("v", work + 15),
        ];
        let text = "FADD s = s t; FADD s = s u; FADD s = s v; SHFL.BFLY t = s; FADD s = s t; FMUL s = s c3; \
            IADD3 t = r3; ISETP.GE.AND p2 = t; FSEL t = s p2; STS r12 t; FMNMX r14 = r14 s p2; IADD3 r3 = r3; \
            ISETP.GE.AND p0 = r3; BRA p0";
        list(code, text, &names);
    }

    /// The address of the warp's next block.
    fn find(&self, code: &mut KernelBuilder) {
        let load = code.global("LDG", 4);
        let text = format!(
            "IMAD.WIDE r8 = r3 c6; {load} r8 = r8; IMAD.WIDE r8 = r8 r10 c1; IADD3 r8 = r8; IADD3.X r9 = r9"
        );
        list(code, &text, &[]);
    }

    /// The maximum of a warp's scores: lanes that share tokens have the same. Then those of all warps.
    pub(super) fn maximum(&self, code: &mut KernelBuilder) {
        list(code, "BSYNC", &[]);
        butterfly(code, Combine::Max, 16, 14, 15);
        list(code, "ISETP.NE.AND p0 = r12; STS r13 r14", &[]);
        let barrier = code.barrier_text();
        list(code, &format!("{barrier}; LDS r14 = r13"), &[]);
        butterfly(code, Combine::Max, WARPS, 14, 15);
        list(
            code,
            "SHFL.IDX r14 = r14; MOV r5; MOV r3 = r0; ISETP.GE.AND p0 = r0; BRA p0",
            &[],
        );
    }

    /// exp(score - maximum), and their sum.
    pub(super) fn exponential(&self, code: &mut KernelBuilder) {
        let text = "LDS r6 = r13; FADD r6 = r6 r14; FMUL r6 = r6; MUFU.EX2 r6 = r6; STS r13 r6; FADD r5 = r5 r6; \
            IADD3 r3 = r3; ISETP.GE.AND p0 = r3; BRA p0";
        list(code, text, &[]);
    }

    pub(super) fn sum(&self, code: &mut KernelBuilder) {
        list(code, "BSYNC", &[]);
        butterfly(code, Combine::Sum, 32, 5, 15);
        list(code, "ISETP.NE.AND p0 = r12; STS r13 r5", &[]);
        let barrier = code.barrier_text();
        list(code, &format!("{barrier}; LDS r5 = r13"), &[]);
        butterfly(code, Combine::Sum, WARPS, 5, 15);
        let text = "SHFL.IDX r5 = r5; FADD r6 = r5; MUFU.RCP r6 = r6; FMUL r6 = r6; MOV r3 = r0; ISETP.GE.AND p0 = r0; BRA p0";
        list(code, text, &[]);
    }

    /// Scores divided by their sum.
    pub(super) fn scale(&self, code: &mut KernelBuilder) {
        let text = "LDS r7 = r13; FMUL r7 = r7 r6; STS r13 r7; IADD3 r3 = r3; ISETP.GE.AND p0 = r3; BRA p0";
        list(code, text, &[]);
    }

    /// Behind that, in parts, the first thread stores maximum and sum.
    pub(super) fn scaled(&self, code: &mut KernelBuilder) {
        let barrier = code.barrier_text();
        list(code, &format!("BSYNC; {barrier}"), &[]);
        if self.parts() > 1 {
            let store = code.global("STG", 4);
            let text = format!(
                "ISETP.NE.AND p0 = r0; IMAD.WIDE r8 = r2 c7; {store} r8 r14; IMAD.WIDE r8 = r2 c4; {store} r8 r5"
            );
            list(code, &text, &[]);
        }
        for sum in 0..self.loads()[1] {
            list(code, "MOV s", &[("s", self.layout()[1] + sum)]);
        }
        list(code, "ISETP.GE.AND p0 = r11; MOV r3 = r11; BRA p0", &[]);
    }

    /// A block of values: two lanes a row of 16 tokens, 8 of them each.
    pub(super) fn values(&self, code: &mut KernelBuilder) {
        let (count, [work, sums]) = (self.loads()[1], self.layout());
        self.find(code);
        let scores = code.shared_load_128();
        list(
            code,
            &format!("{scores} a = r13; {scores} b = r13"),
            &[("a", work), ("b", work + 4)],
        );
        // Scores become halves, as the values are.
        narrow(code, self.data, 8, work, work);
        widen(code, self.data, 8, work, work + 8);
        let load = code.global("LDG", 16);
        for n in 0..count {
            list(code, &format!("{load} v = r8"), &[("v", LOADED + 4 * n)]);
        }
        for n in 0..count {
            widen(code, self.data, 8, LOADED + 4 * n, work + 16);
            for e in 0..8 {
                let names = [("s", work), ("x", work + 8 + e), ("y", work + 16 + e)];
                list(
                    code,
                    if e == 0 {
                        "FMUL s = x y"
                    } else {
                        "FFMA s = x y s"
                    },
                    &names,
                );
            }
            list(code, "FADD s = s x", &[("s", sums + n), ("x", work)]);
        }
        list(code, "IADD3 r3 = r3; ISETP.GE.AND p0 = r3; BRA p0", &[]);
    }

    /// Sums of the two lanes of a row.
    pub(super) fn rows(&self, code: &mut KernelBuilder) {
        list(code, "BSYNC", &[]);
        for sum in 0..self.loads()[1] {
            let names = [("s", self.layout()[1] + sum), ("t", 15)];
            list(code, "SHFL.BFLY t = s; FADD s = s t", &names);
        }
        list(code, code.barrier_text(), &[]);
    }

    /// Half of the warps give their sums, the others add them.
    pub(super) fn give(&self, code: &mut KernelBuilder) {
        for sum in 0..self.loads()[1] {
            list(code, "STS r13 s", &[("s", self.layout()[1] + sum)]);
        }
    }

    pub(super) fn between(&self, code: &mut KernelBuilder) {
        let barrier = code.barrier_text();
        list(
            code,
            &format!("BSYNC; {barrier}; ISETP.GE.AND p0 = r11; BSSY; BRA p0"),
            &[],
        );
    }

    pub(super) fn take(&self, code: &mut KernelBuilder) {
        for sum in 0..self.loads()[1] {
            let names = [("s", self.layout()[1] + sum), ("t", 15)];
            list(code, "LDS t = r13; FADD s = s t", &names);
        }
    }

    pub(super) fn store(&self, code: &mut KernelBuilder) {
        let store = code.global("STG", HALF);
        for sum in 0..self.loads()[1] {
            let result = self.layout()[1] + sum;
            narrow(code, self.data, 1, result, result);
            list(
                code,
                &format!("IADD3 r8 = r4; IADD3.X r9 = r5; {store} r8 s"),
                &[("s", result)],
            );
        }
    }
}
