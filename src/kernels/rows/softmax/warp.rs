//! A warp for one or two rows.

use super::*;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::rows::chains::{narrow, widen};
use crate::kernels::rows::combine::{Combine, butterfly};
use crate::kernels::rows::program::{Place, RowPlace, Script, Who};
use crate::kernels::rows::script::list;

/// The shape of the warp form.
pub(super) struct WarpShape {
    /// Lanes of a row.
    pub(super) lanes: u64,
    /// Elements of a lane.
    pub(super) each: u16,
    /// Rows of a lane.
    pub(super) rows: u16,
}

impl WarpShape {
    pub(super) fn of(cols: u64) -> Self {
        let padded = cols.next_power_of_two();
        let lanes = padded.min(32);
        WarpShape {
            lanes,
            each: (padded / lanes) as u16,
            rows: if padded <= 128 { 2 } else { 1 },
        }
    }

    pub(super) fn register(&self, row: u16, each: u16) -> u16 {
        64 + row * self.each + each
    }
}

impl Softmax {
    /// The elements of both rows, in the order of the code.
    pub(super) fn warp_places(&self, shape: &WarpShape, operand: usize) -> Vec<Place> {
        let of_row = |row: u16| {
            let lanes = shape.lanes;
            (0..shape.each).map(move |n| (u64::from(n) * lanes, u64::from(row)))
        };
        let all = (0..shape.rows).flat_map(of_row);
        all.map(|first| {
            Place::Row(RowPlace {
                first,
                ..self.row(operand)
            })
        })
        .collect()
    }

    pub(super) fn warp_steps(&self, script: &mut Script<'_>, shape: &WarpShape) {
        script.once(Who::All, self.warp_places(shape, 0), |code| {
            self.warp_loads(code, shape)
        });
        script.once(Who::All, vec![], |code| {
            let all = || (0..shape.rows).map(|row| (row, shape.register(row, 0)));
            for (row, first) in all() {
                list(code, "MOV m = x", &[("m", MAXIMUM + row), ("x", first)]);
                for n in 1..shape.each {
                    let names = [("a", MAXIMUM + row), ("b", first + n), ("p", 0)];
                    list(code, Combine::Max.text(), &names);
                }
                butterfly(code, Combine::Max, shape.lanes, MAXIMUM + row, OWN);
            }
            for (row, first) in all() {
                exponentials(code, first, shape.each, None);
                list(code, "MOV s", &[("s", SUM + 2 + row)]);
                for n in 0..shape.each {
                    let names = [("a", SUM + 2 + row), ("b", first + n), ("p", 0)];
                    list(code, Combine::Sum.text(), &names);
                }
                butterfly(code, Combine::Sum, shape.lanes, SUM + 2 + row, OWN);
            }
        });
        script.once(Who::All, self.warp_places(shape, 1), |code| {
            self.warp_stores(code, shape)
        });
    }

    pub(super) fn warp_loads(&self, code: &mut KernelBuilder, shape: &WarpShape) {
        code.entry();
        let start = "S2R r3; S2R r9; S2R r2; IMAD r3 = r3 r9; SHF r8 = r2; IMAD.WIDE r4 = r3 r2 c2; \
            ISETP.GE.AND p1 = r3; SEL r9 = c3 p1; SHF.L r6 = r4; SHF.L.U64.HI r7 = r4 r5; \
            IADD3 r4 = r6 c1; IADD3.X r5 = r7 c1";
        list(code, start, &[]);
        let load = code.global("LDG", self.data.bytes());
        for row in 0..shape.rows {
            for n in 0..shape.each {
                let names = [("d", shape.register(row, n))];
                let text = "IADD3 r10 = r2; ISETP.GE.AND p0 = r10 r9; MOV d";
                list(code, &format!("{text}; {load} d = r4 p0"), &names);
            }
        }
        for row in 0..shape.rows {
            for n in 0..shape.each {
                let at = shape.register(row, n);
                widen(code, self.data, 1, at, at);
            }
        }
    }

    pub(super) fn warp_stores(&self, code: &mut KernelBuilder, shape: &WarpShape) {
        let store = code.global("STG", self.data.bytes());
        list(code, "IADD3 r6 = r6 c0; IADD3.X r7 = r7 c0", &[]);
        for row in 0..shape.rows {
            list(code, "ISETP.LT.AND p1 = r9; BRA p1", &[]);
            for n in 0..shape.each {
                list(code, "IADD3 r10 = r2; ISETP.GE.AND p1 = r10; BRA p1", &[]);
                let at = shape.register(row, n);
                divide(code, [at, RESULT, SUM + 2 + row], 1);
                narrow(code, self.data, 1, RESULT, RESULT);
                list(code, &format!("{store} r6 d"), &[("d", RESULT)]);
            }
        }
        list(code, "EXIT", &[]);
    }
}
