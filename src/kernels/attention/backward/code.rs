//! The instructions of the kernel.

use super::{ADDRESS, Backward, FRAGMENTS, STATS, Which};
use crate::kernels::attention::product::{ProductRegisters, pack};
use crate::kernels::attention::tile::Tile;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::rows::script::list;

impl Backward {
    /// Places, bounds, addresses of the tensors, cleared gradients.
    pub(super) fn prologue(&self, code: &mut KernelBuilder) {
        code.entry();
        let text = "S2R r0; S2R r2; S2R r3; S2R r4; IMAD r5 = r2; ISETP.GE.AND p0 = r5; IMAD.WIDE r8 = r5 r3 c0; \
            IMAD.WIDE r10 = r5 r3 c1; IMAD.WIDE r12 = r5 r3 c2; IMAD.WIDE r14 = r5 r3 c5; SHF r6 = r0; LOP3.LUT r6 = r6; \
            LEA r8 = r8 r6; LEA.HI.X r9 = r9 r8; LEA r10 = r10 r6; LEA.HI.X r11 = r11 r10; LEA r12 = r12 r6; \
            LEA.HI.X r13 = r13 r12; LEA r14 = r14 r6; LEA.HI.X r15 = r15 r14; LOP3.LUT r2 = r0 r6";
        list(code, text, &[]);
        let (first, _) = self.sums(Which::Values);
        for pair in (first..self.sums(Which::Keys).1).step_by(2) {
            list(code, "CS2R o", &[("o", pair)]);
        }
    }

    /// Copies of a tile, each with its bounds or step.
    pub(super) fn copies(&self, code: &mut KernelBuilder, tile: Tile, address: u16) {
        for _ in 0..tile.copy_count(super::WARPS) {
            let text = "IADD3 r3 = a; LDGSTS.E.BYPASS.LTC128B.128 r2 a";
            list(code, text, &[("a", address)]);
        }
    }

    pub(super) fn sent(code: &mut KernelBuilder) {
        list(code, "LDGDEPBAR", &[]);
    }

    pub(super) fn arrived(code: &mut KernelBuilder) {
        let barrier = code.barrier_text();
        list(code, &format!("DEPBAR.LE; {barrier}"), &[]);
    }

    pub(super) fn barrier(code: &mut KernelBuilder) {
        list(code, code.barrier_text(), &[]);
    }

    /// Product `which`; gradients of keys and values are added to what there is.
    pub(super) fn multiply(&self, code: &mut KernelBuilder, which: Which) {
        let registers = ProductRegisters {
            address: ADDRESS,
            fragments: FRAGMENTS,
            sums: self.sums(which).0,
        };
        let clear = !matches!(which, Which::Values | Which::Keys);
        self.product(which, 0)
            .append(code, self.data, registers, clear);
    }

    /// Scores and gradients of row `row` of a lane's: pairs of neighbouring columns.
    fn of_row(&self, which: Which, row: u16) -> impl Iterator<Item = u16> + use<> {
        let (first, _) = self.sums(which);
        let of_band = (self.product(which, 0).cols / 2) as u16;
        let start = first + row / 2 * of_band + row % 2 * 2;
        (0..of_band / 4).flat_map(move |n| [start + 4 * n, start + 4 * n + 1])
    }

    fn load_rows(&self, code: &mut KernelBuilder) {
        let load = code.global("LDG", 4);
        for row in 0..self.lane_rows() {
            list(code, &format!("{load} l = r0"), &[("l", STATS + row)]);
        }
    }

    /// Halves of the sums of `which` to shared memory.
    fn stage(&self, code: &mut KernelBuilder, which: Which) {
        let (first, count) = (self.sums(which).0, self.product(which, 0).sum_registers());
        pack(code, self.data, first, count);
        for pair in 0..count / 2 {
            list(code, "STS r2 x", &[("x", first + pair)]);
        }
    }

    /// Weights: exponentials of the scores less the sums of forward.
    pub(super) fn weights(&self, code: &mut KernelBuilder, masked: bool) {
        self.load_rows(code);
        if masked {
            list(code, "IMAD r1 = r0; IADD3 r3 = r1", &[]);
        }
        for row in 0..self.lane_rows() {
            list(code, "FMUL l = l c3", &[("l", STATS + row)]);
            for score in self.of_row(Which::Scores, row) {
                let names = [("x", score), ("l", STATS + row)];
                if masked {
                    list(code, "ISETP.GE.AND p0 = r1 r3; FSEL x = x p0", &names);
                }
                list(code, "FFMA x = x c3 l; MUFU.EX2 x = x", &names);
            }
        }
    }

    /// Gradients of the scores: weight x (its gradient - the row's number); both as halves to shared memory.
    pub(super) fn gradients(&self, code: &mut KernelBuilder) {
        self.load_rows(code);
        for row in 0..self.lane_rows() {
            let pairs = self
                .of_row(Which::Weights, row)
                .zip(self.of_row(Which::Scores, row));
            for (gradient, weight) in pairs {
                let names = [("g", gradient), ("w", weight), ("l", STATS + row)];
                list(code, "FADD g = g l; FMUL g = g w", &names);
            }
        }
        self.stage(code, Which::Scores);
        self.stage(code, Which::Weights);
        Self::barrier(code);
    }

    /// Gradients of queries to memory: each lane adds its own.
    pub(super) fn add(&self, code: &mut KernelBuilder) {
        let (first, count) = (
            self.sums(Which::Queries).0,
            self.product(Which::Queries, 0).sum_registers(),
        );
        for sum in first..first + count {
            list(code, "RED.E.ADD.F32.FTZ.RN.STRONG.GPU r0 x", &[("x", sum)]);
        }
    }

    pub(super) fn again(code: &mut KernelBuilder) {
        list(
            code,
            "IADD3 r3 = r3; IMAD.WIDE r0 = r3 c0; ISETP.GE.AND p0 = r3; BRA p0",
            &[],
        );
    }

    /// Gradients of keys, scaled, and of values, through shared memory.
    pub(super) fn epilogue(&self, code: &mut KernelBuilder) {
        let (first, end) = self.sums(Which::Keys);
        for sum in first..end {
            list(code, "FMUL x = x c3", &[("x", sum)]);
        }
        Self::barrier(code);
        self.stage(code, Which::Keys);
        self.stage(code, Which::Values);
        Self::barrier(code);
        let count = 2 * self.key_tile().copy_count(super::WARPS) as u16;
        let (load, store) = (code.shared_load_128(), code.global("STG", 16));
        for n in 0..count {
            list(
                code,
                &format!("{load} d = r2"),
                &[("d", FRAGMENTS + 4 * (n % 32))],
            );
        }
        for n in 0..count {
            let names = [("d", FRAGMENTS + 4 * (n % 32))];
            list(code, &format!("IADD3 r3 = r0; {store} r0 d"), &names);
        }
        list(code, "EXIT", &[]);
    }
}
