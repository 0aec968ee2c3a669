//! `wgmma`: each warp of a warpgroup computes its own 16 of the 64 rows, at once.
//!
//! The hardware works in the background, but a program may neither touch the accumulators nor
//! overwrite the matrices before it has waited, so that it cannot tell.

use super::super::fault::Ran;
use super::super::matrix::{Element, GroupOp, Source, described};
use super::super::op::{Slot, Where};
use super::super::regs::{LANES, Regs};
use super::cells::peek;
use super::matrices::{element_bits, gather, put_element, rounded, value};
use super::{Cx, Warp};
use crate::ptx::exec::observe::Observer;

/// Rows of a warp.
const ROWS: usize = 16;

impl Warp {
    pub(super) fn multiply_group<O: Observer>(
        &mut self,
        which: u32,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        self.whole(mask)?;
        let program = cx.program;
        let op = &program.groups[which as usize];
        let (n, k) = (op.n as usize, op.k as usize);
        let a = match op.a {
            Source::Registers(list) => {
                let slots = program.list(list);
                gather(&self.regs, op.a_type, slots, &op.places, ROWS * k)
            }
            Source::Shared(r) => {
                let descriptor = self.regs.x.get(r)[0];
                let first = u64::from(self.number % 4) * ROWS as u64;
                let form = (descriptor, op.transposed[0], op.a_type);
                self.in_shared(form, first, [ROWS, k], cx)?
            }
        };
        let descriptor = self.regs.x.get(op.b)[0];
        let b = self.in_shared((descriptor, op.transposed[1], op.b_type), 0, [n, k], cx)?;
        let add = self.regs.pred(op.accumulate) & 1 != 0;
        let sign = if op.negated { -1.0 } else { 1.0 };
        let slots = program.list(op.d);
        for lane in 0..LANES as u32 {
            for i in 0..op.n / 2 {
                let (row, column) = accumulator(lane, i);
                let (x, y) = (&a[row * k..][..k], &b[column * k..][..k]);
                let product: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
                let before = match add {
                    true => old(&self.regs, op, slots, lane, i),
                    false => 0.0,
                };
                let bits = rounded(before + sign * product, op.d_type, op.sat);
                put_element(&mut self.regs, op.d_type, slots, lane, i, bits);
            }
        }
        Ok(())
    }

    /// `count` rows or columns of the result from `first` on, each with its `k` factors.
    fn in_shared<O: Observer>(
        &self,
        (descriptor, transposed, element): (u64, bool, Element),
        first: u64,
        [count, k]: [usize; 2],
        cx: &mut Cx<'_, O>,
    ) -> Ran<Vec<f64>> {
        let bytes = u64::from(element.bits() / 8);
        let mut out = Vec::with_capacity(count * k);
        for across in 0..count as u64 {
            for depth in 0..k as u64 {
                let at = described(descriptor, transposed, bytes, first + across, depth);
                self.check(Where::Shared, 0, at, bytes, true, cx)?;
                out.push(value(element, peek(Where::Shared, at, bytes as usize, cx)));
            }
        }
        Ok(out)
    }
}

/// Row within the warp, and column, of element `i` of a lane's accumulators.
fn accumulator(lane: u32, i: u32) -> (usize, usize) {
    let (block, within) = (i / 4, i % 4);
    let row = lane / 4 + 8 * (within / 2);
    let column = 8 * block + lane % 4 * 2 + within % 2;
    (row as usize, column as usize)
}

fn old(regs: &Regs, op: &GroupOp, slots: &[Slot], lane: u32, i: u32) -> f64 {
    value(op.d_type, element_bits(regs, op.d_type, slots, lane, i))
}
