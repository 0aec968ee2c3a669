//! The instructions of the kernel.

use super::{Efficient, FRAGMENTS, RESULTS, ROWS, SCORES, STATS};
use crate::kernels::attention::product::{ProductRegisters, pack};
use crate::kernels::attention::tile::Tile;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::rows::script::list;

/// Scores or results of a lane.
const SUMS: u16 = 32;

/// The scores or results that a lane has of its row `row`: in pairs of neighbouring columns.
fn of_row(first: u16, row: u16) -> impl Iterator<Item = u16> {
    let start = first + row / 2 * (SUMS / 2) + row % 2 * 2;
    (0..SUMS / 8).flat_map(move |n| [start + 4 * n, start + 4 * n + 1])
}

/// The names of row `row`: its maximum or sum, a temporary, a factor.
fn row_names(row: u16) -> [(&'static str, u16); 3] {
    [
        ("m", STATS + row),
        ("t", STATS + ROWS + row),
        ("u", STATS + 2 * ROWS + row),
    ]
}

/// Combines a value of each row over the four lanes that share it.
fn over_lanes(code: &mut KernelBuilder, text: &str) {
    for _ in 0..2 {
        for text in ["SHFL.BFLY t = m", text] {
            for row in 0..ROWS {
                list(code, text, &row_names(row));
            }
        }
    }
}

impl Efficient {
    /// Places, bounds, addresses of the tensors, cleared results.
    pub(super) fn prologue(&self, code: &mut KernelBuilder) {
        code.entry();
        let text = "S2R r0; S2R r2; S2R r3; S2R r12; S2R r13; IMAD r13 = r13 r12; ISETP.GE.AND p0 = r0; \
            IMAD.WIDE r4 = r2 r3 c0; IMAD.WIDE r6 = r2 r3 c1; IMAD.WIDE r8 = r2 r3 c2; SHF r14 = r13; LOP3.LUT r14 = r14; \
            LEA r4 = r4 r14; LEA.HI.X r5 = r5 r4; LEA r6 = r6 r14; LEA.HI.X r7 = r7 r6; LEA r8 = r8 r14; LEA.HI.X r9 = r9 r8; \
            LOP3.LUT r12 = r13 r14";
        list(code, text, &[]);
        for pair in (0..SUMS).step_by(2) {
            list(code, "CS2R o", &[("o", RESULTS + pair)]);
        }
    }

    /// All warps have done with the block before; scores from zero.
    pub(super) fn begin(&self, code: &mut KernelBuilder) {
        list(code, code.barrier_text(), &[]);
        for pair in (0..SUMS).step_by(2) {
            list(code, "CS2R o", &[("o", SCORES + pair)]);
        }
    }

    fn copies(&self, code: &mut KernelBuilder, tile: Tile, address: u16) {
        for _ in 0..tile.copy_count(self.all_warps()) {
            let text = "IADD3 r14 = a; LDGSTS.E.BYPASS.LTC128B.128 r12 a";
            list(code, text, &[("a", address)]);
        }
    }

    /// A stage of queries and keys.
    pub(super) fn input_copies(&self, code: &mut KernelBuilder) {
        self.copies(code, self.query_tile(), 4);
        self.copies(code, self.key_tile(), 6);
        list(code, "LDGDEPBAR", &[]);
    }

    /// A stage of values.
    pub(super) fn value_copies(&self, code: &mut KernelBuilder) {
        self.copies(code, self.value_tile(), 8);
        list(code, "LDGDEPBAR", &[]);
    }

    /// The oldest stage has come, and nobody reads the one that is filled next.
    pub(super) fn wait(&self, code: &mut KernelBuilder) {
        let barrier = code.barrier_text();
        list(code, "DEPBAR.LE", &[]);
        list(code, barrier, &[]);
    }

    pub(super) fn barrier(&self, code: &mut KernelBuilder) {
        let barrier = code.barrier_text();
        list(code, &format!("BSYNC; {barrier}"), &[]);
    }

    /// Product number `which` of a stage, and the control of its loop.
    pub(super) fn multiply(&self, code: &mut KernelBuilder, which: usize) {
        let registers = ProductRegisters {
            address: 12,
            fragments: FRAGMENTS,
            sums: [SCORES, RESULTS][which],
        };
        self.products(0)[which].append(code, self.data, registers, false);
        list(
            code,
            "IADD3 r3 = r3; IADD3 r4 = r4; IADD3.X r5 = r5; ISETP.NE.AND p0 = r3; BRA p0",
            &[],
        );
    }

    /// Scaled scores, masked where keys are not seen; maxima of rows by atomics in shared memory, as the order of
    /// floats is that of integers.
    pub(super) fn maxima(&self, code: &mut KernelBuilder, masked: bool) {
        for score in SCORES..SCORES + SUMS {
            list(code, "FMUL x = x c3", &[("x", score)]);
        }
        if masked {
            list(code, "IMAD r14 = r2; IADD3 r15 = r14", &[]);
            for score in SCORES..SCORES + SUMS {
                list(
                    code,
                    "ISETP.GE.AND p0 = r14 r15; FSEL x = x p0",
                    &[("x", score)],
                );
            }
        }
        for row in 0..ROWS {
            list(code, "MOV m", &row_names(row));
            for score in of_row(SCORES, row) {
                list(
                    code,
                    "FMNMX m = m x",
                    &[&row_names(row)[..], &[("x", score)]].concat(),
                );
            }
        }
        over_lanes(code, "FMNMX m = m t");
        for row in 0..ROWS {
            let text = "ISETP.GE.AND p0 = m; BRA p0; ATOMS.MAX.S32 t = r13 m";
            list(code, text, &row_names(row));
        }
        let barrier = code.barrier_text();
        list(
            code,
            &format!("{barrier}; ISETP.GE.AND p1 = r13; BSSY; BRA p1"),
            &[],
        );
    }

    /// A thread for each row: by how much its maximum has grown.
    pub(super) fn factors(&self, code: &mut KernelBuilder) {
        let text = "LDS r14 = r13; LDS r15 = r13; FADD r15 = r15 r14; FMUL r15 = r15; MUFU.EX2 r15 = r15; STS r13 r15; \
            LDS r10 = r13; FMUL r10 = r10 r15; STS r13 r10; STS r13 r14";
        list(code, text, &[]);
    }

    /// Exponentials and their sums, results scaled, weights as halves to shared memory.
    pub(super) fn weights(&self, code: &mut KernelBuilder) {
        for row in 0..ROWS {
            list(code, "LDS u = r13; FMUL u = u c3", &row_names(row));
        }
        for text in ["FFMA x = x c3 u", "MUFU.EX2 x = x"] {
            for row in 0..ROWS {
                for score in of_row(SCORES, row) {
                    list(code, text, &[&row_names(row)[..], &[("x", score)]].concat());
                }
            }
        }
        for row in 0..ROWS {
            list(code, "LDS t = r13", &row_names(row));
            for result in of_row(RESULTS, row) {
                list(
                    code,
                    "FMUL x = x t",
                    &[&row_names(row)[..], &[("x", result)]].concat(),
                );
            }
        }
        for row in 0..ROWS {
            list(code, "MOV m", &row_names(row));
            for score in of_row(SCORES, row) {
                list(
                    code,
                    "FADD m = m x",
                    &[&row_names(row)[..], &[("x", score)]].concat(),
                );
            }
        }
        over_lanes(code, "FADD m = m t");
        for row in 0..ROWS {
            list(code, "STS r13 m", &row_names(row));
        }
        pack(code, self.data, SCORES, SUMS);
        for pair in 0..SUMS / 2 {
            list(code, "STS r12 x", &[("x", SCORES + pair)]);
        }
        let barrier = code.barrier_text();
        list(code, &format!("{barrier}; BSSY; BRA p1"), &[]);
    }

    /// A thread for each row: the sums of all warps.
    pub(super) fn sums(&self, code: &mut KernelBuilder) {
        list(code, "LDS r10 = r13", &[]);
        for _ in 0..self.warps()[1] {
            list(code, "LDS r14 = r13; FADD r10 = r10 r14", &[]);
        }
        list(code, "STS r13 r10", &[]);
    }

    /// To the next block of keys.
    pub(super) fn again(&self, code: &mut KernelBuilder) {
        let text = "IADD3 r2 = r2; IMAD.WIDE r6 = r2 c1; IMAD.WIDE r8 = r2 c2; ISETP.LT.AND p0 = r2; BRA p0";
        list(code, text, &[]);
    }

    /// Results divided by the sums, through shared memory; the sums of exponentials.
    pub(super) fn epilogue(&self, code: &mut KernelBuilder) {
        let barrier = code.barrier_text();
        list(code, barrier, &[]);
        for row in 0..ROWS {
            list(code, "LDS m = r13; MUFU.RCP t = m", &row_names(row));
            for result in of_row(RESULTS, row) {
                list(
                    code,
                    "FMUL x = x t",
                    &[&row_names(row)[..], &[("x", result)]].concat(),
                );
            }
        }
        pack(code, self.data, RESULTS, SUMS);
        for pair in 0..SUMS / 2 {
            list(code, "STS r12 x", &[("x", RESULTS + pair)]);
        }
        list(code, barrier, &[]);
        let count = self.weight_tile().copy_count(self.all_warps()) as u16;
        let (load, store) = (code.shared_load_128(), code.global("STG", 16));
        for n in 0..count {
            list(
                code,
                &format!("{load} d = r12"),
                &[("d", FRAGMENTS + 4 * (n % 16))],
            );
        }
        for n in 0..count {
            let names = [("d", FRAGMENTS + 4 * (n % 16))];
            list(code, &format!("IADD3 r14 = r8; {store} r8 d"), &names);
        }
        let store = code.global("STG", 4);
        let text = format!(
            "LDS r10 = r13; LDS r14 = r13; MUFU.LG2 r10 = r10; FFMA r10 = r14 r10; {store} r8 r10; EXIT"
        );
        list(code, &text, &[]);
    }
}
