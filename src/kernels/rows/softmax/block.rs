//! A CTA a row.

use super::*;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::rows::chains::{narrow, widen};
use crate::kernels::rows::combine::{Combine, serial, shuffled};
use crate::kernels::rows::program::{Place, Script, SharedPlace, Span, Who};
use crate::kernels::rows::script::list;

impl Softmax {
    /// The body of a loop over vectors of `vector` elements.
    pub(super) fn body(&self, code: &mut KernelBuilder, pass: Pass, vector: u64) {
        let bytes = vector * self.data.bytes();
        let load = code.global("LDG", bytes);
        list(code, &format!("{ADDRESS}; {load} d = r4"), &[("d", DATA)]);
        let count = vector as u16;
        let wide = if self.data.bytes() == 4 { DATA } else { WIDE };
        widen(code, self.data, count, DATA, wide);
        self.process(code, pass, wide, count);
        if pass == Pass::Write {
            let store = code.global("STG", bytes);
            let packed = if self.data.bytes() == 4 { RESULT } else { DATA };
            narrow(code, self.data, count, RESULT, packed);
            list(
                code,
                &format!("IMAD.WIDE r10 = r8 r6; {store} r10 d"),
                &[("d", packed)],
            );
        }
        list(code, AGAIN, &[]);
    }

    /// What `pass` does with `count` elements in registers from `wide`.
    pub(super) fn process(&self, code: &mut KernelBuilder, pass: Pass, wide: u16, count: u16) {
        match pass {
            Pass::Maximum => {
                for e in 0..count {
                    let names = [("a", MAXIMUM), ("b", wide + e), ("p", 0)];
                    list(code, Combine::Max.text(), &names);
                }
            }
            Pass::Sum => exponentials(code, wide, count, Some(SUM)),
            Pass::Write => {
                exponentials(code, wide, count, None);
                divide(code, [wide, RESULT, SUM], count);
            }
        }
    }

    pub(super) fn pass(&self, script: &mut Script<'_>, pass: Pass) {
        let row = Place::Row(self.row(0));
        let places = match pass {
            Pass::Write => vec![row, Place::Row(self.row(1))],
            _ => vec![row],
        };
        let vector = self.vector();
        if !self.cols.is_multiple_of(vector) {
            script.each(Span::Head(vector), places.clone(), |code| {
                self.body(code, pass, 1)
            });
        }
        // The remainder of the row by the vectors of all threads.
        script.once(Who::All, vec![], |code| {
            let remainder =
                "IMAD.HI r9 = r3; IMAD r9 = r9; ISETP.GE.U32.AND p0 = r9; IADD3 r9 = r9 p0";
            list(code, remainder, &[]);
            list(
                code,
                "IADD3 r9 = r9; ISETP.GE.AND p0 = r8 r9; BSSY; BRA p0",
                &[],
            );
        });
        script.each(Span::Body(vector), places.clone(), |code| {
            self.body(code, pass, vector)
        });
        script.once(Who::All, vec![], |code| {
            list(
                code,
                "BSYNC; IADD3 r8 = r2 r9; BSSY; ISETP.GE.AND p0 = r8; BRA p0",
                &[],
            );
        });
        script.each(Span::Tail(vector), places, |code| self.body(code, pass, 1));
        script.once(Who::All, vec![], |code| {
            list(code, "BSYNC; MOV r8 = r2", &[]);
        });
    }

    pub(super) fn combine(&self, script: &mut Script<'_>, how: Combine, value: u16) {
        match self.serial {
            1 => serial(script, how, self.threads(), [value, value, OWN]),
            _ => shuffled(script, how, self.threads(), [value, value, OWN]),
        }
    }

    pub(super) fn block_steps(&self, script: &mut Script<'_>) {
        script.once(Who::All, vec![], |code| {
            code.entry();
            list(code, BLOCK_PROLOGUE, &[]);
        });
        self.pass(script, Pass::Maximum);
        self.combine(script, Combine::Max, MAXIMUM);
        self.pass(script, Pass::Sum);
        self.combine(script, Combine::Sum, SUM);
        self.pass(script, Pass::Write);
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
    }

    /// Behind the sums that are combined lies the row.
    pub(super) fn shared_steps(&self, script: &mut Script<'_>) {
        let (vector, bytes) = (self.vector(), self.data.bytes());
        let count = vector as u16;
        let row = Place::Row(self.row(0));
        // The row is in shared memory as in memory: lanes 16 bytes apart.
        let kept = Place::Shared(SharedPlace {
            base: self.threads() / 32 * 4,
            lane: 16,
            warp: 512,
        });
        let wide = if bytes == 4 { DATA } else { WIDE };
        let load = script.code.global("LDG", 16);
        let shared_load = script.code.shared_load_128();
        script.once(Who::All, vec![], |code| {
            code.entry();
            list(code, BLOCK_PROLOGUE, &[]);
        });
        script.each(Span::Vectors(vector), vec![row, kept], |code| {
            list(code, &format!("{ADDRESS}; {load} d = r4"), &[("d", DATA)]);
            widen(code, self.data, count, DATA, wide);
            self.process(code, Pass::Maximum, wide, count);
            list(code, &format!("STS.128 r8 d; {AGAIN}"), &[("d", DATA)]);
        });
        self.combine(script, Combine::Max, MAXIMUM);
        script.each(Span::Vectors(vector), vec![kept], |code| {
            list(code, &format!("{shared_load} d = r8"), &[("d", DATA)]);
            widen(code, self.data, count, DATA, wide);
            self.process(code, Pass::Sum, wide, count);
            list(code, AGAIN, &[]);
        });
        self.combine(script, Combine::Sum, SUM);
        let places = vec![kept, Place::Row(self.row(1))];
        let store = script.code.global("STG", 16);
        script.each(Span::Vectors(vector), places, |code| {
            list(code, &format!("{shared_load} d = r8"), &[("d", DATA)]);
            widen(code, self.data, count, DATA, wide);
            self.process(code, Pass::Write, wide, count);
            let packed = if bytes == 4 { RESULT } else { DATA };
            narrow(code, self.data, count, RESULT, packed);
            list(
                code,
                &format!("{ADDRESS}; {store} r4 d; {AGAIN}"),
                &[("d", packed)],
            );
        });
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
    }
}

/// Addresses of the row, and the reciprocal by which a remainder is found.
pub(super) const BLOCK_PROLOGUE: &str = "
    S2R r9
    S2R r2
    IMAD.WIDE r4 = r9 c2
    IMAD.WIDE r6 = r9 c2
    LEA r4 = r4 c1
    LEA.HI.X r5 = r5 c1
    LEA r6 = r6 c0
    LEA.HI.X r7 = r7 c0
    LOP3.LUT r9 = r4
    ISETP.NE.AND p2 = r9
    BRA p2
    I2F.U32.RP r3 = r3
    MUFU.RCP r3 = r3
    IADD3 r3 = r3
    F2I.FTZ.U32.TRUNC.NTZ r3 = r3
    IMAD r10 = r3
    IMAD.HI.U32 r3 = r3 r10
    MOV r12
    MOV r13
    MOV r8 = r2
    LOP3.LUT r15 = r2
    ISETP.GT.U32.OR p1 = r15";
