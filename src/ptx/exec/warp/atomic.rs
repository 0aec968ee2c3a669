//! Read-modify-write operations, lane by lane in ascending order.

use super::super::fault::{LaneFault, Ran};
use super::super::observe::Observer;
use super::super::op::{Addr, List, Rmw, Slot, Where};
use super::super::regs::{LANES, Lanes, each};
use super::super::rmw::Update;
use super::super::shared::Use;
use super::cells::{extent, peek, poke};
use super::{Cx, Warp, lanes};

/// What an atomic instruction does to memory.
#[derive(Clone, Copy, Debug)]
pub struct Atom {
    /// Operation and type.
    pub update: Update,
    /// Operand.
    pub b: Slot,
    /// Second operand of a compare-and-swap.
    pub c: Option<Slot>,
}

impl Warp {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn atom<O: Observer>(
        &mut self,
        pc: u32,
        space: Where,
        what: Atom,
        addr: Addr,
        d: Option<Slot>,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        self.polls += 1;
        let at = self.addresses(addr);
        cx.observer.access(self.number, pc, mask, &at);
        self.by_space(space, &at, mask, |warp, space, at, mask| {
            warp.atom_in(space, what, at, d, mask, cx)
        })
    }

    /// A vector of atomics: element by element, destinations and operands as lists.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn atom_vector<O: Observer>(
        &mut self,
        pc: u32,
        space: Where,
        what: Update,
        addr: Addr,
        (d, b, c): (Option<List>, List, List),
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        self.polls += 1;
        let at = self.addresses(addr);
        cx.observer.access(self.number, pc, mask, &at);
        let program = cx.program;
        let (operands, swaps) = (program.list(b), program.list(c));
        let results = d.map_or(&[][..], |d| program.list(d));
        let element = what.bytes();
        extent(&at, mask, element * operands.len() as u64)?;
        // Results must not change operands that are still to be used.
        let values: Vec<Lanes<u64>> = operands
            .iter()
            .map(|&slot| each(|lane| self.regs.lane(slot, lane)))
            .collect();
        if what.f == Rmw::Cas {
            let new: Vec<Lanes<u64>> = swaps
                .iter()
                .map(|&slot| each(|lane| self.regs.lane(slot, lane)))
                .collect();
            return self.by_space(space, &at, mask, |warp, space, at, mask| {
                warp.swap_together(space, at, (&values, &new), results, mask, cx)
            });
        }
        for (i, values) in values.iter().enumerate() {
            let at = each(|lane| at[lane].wrapping_add(i as u64 * element));
            let d = results.get(i).copied();
            self.by_space(space, &at, mask, |warp, space, at, mask| {
                warp.update(space, what, at, (values, &[0; LANES]), d, mask, cx)
            })?;
        }
        Ok(())
    }

    /// Compare-and-swap of several double words as one.
    fn swap_together<O: Observer>(
        &mut self,
        space: Where,
        at: &Lanes<u64>,
        (old, new): (&[Lanes<u64>], &[Lanes<u64>]),
        results: &[Slot],
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let places = || (0..).step_by(8);
        for lane in lanes(mask) {
            let bytes = 8 * old.len() as u64;
            self.check(space, lane, at[lane], bytes, true, cx)?;
            if space == Where::Global {
                cx.global.note_read(&[at[lane]; LANES], 1, bytes);
            }
            let found: Vec<u64> = places()
                .take(old.len())
                .map(|skip| peek(space, at[lane] + skip, 8, cx))
                .collect();
            if found
                .iter()
                .zip(old)
                .all(|(found, old)| *found == old[lane])
            {
                for (skip, new) in places().zip(new) {
                    poke(space, at[lane] + skip, 8, new[lane], cx);
                }
            }
            for (&d, value) in results.iter().zip(found) {
                self.regs.put_lane(d, lane, value);
            }
        }
        Ok(())
    }

    fn atom_in<O: Observer>(
        &mut self,
        space: Where,
        what: Atom,
        at: &Lanes<u64>,
        d: Option<Slot>,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let b = each(|lane| self.regs.lane(what.b, lane));
        let c = each(|lane| what.c.map_or(0, |c| self.regs.lane(c, lane)));
        self.update(space, what.update, at, (&b, &c), d, mask, cx)
    }

    #[allow(clippy::too_many_arguments)]
    fn update<O: Observer>(
        &mut self,
        space: Where,
        what: Update,
        at: &Lanes<u64>,
        (b, c): (&Lanes<u64>, &Lanes<u64>),
        d: Option<Slot>,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let bytes = what.bytes();
        extent(at, mask, bytes)?;
        if !matches!(space, Where::Global | Where::Shared) {
            return Err(Box::new(LaneFault::new(
                mask.trailing_zeros() as usize,
                "an atomic operation on memory that is neither global nor shared",
                "atomics need global or shared memory",
            )));
        }
        if space == Where::Shared && cx.shared.checked() {
            self.check_races(at, bytes, mask, Use::Atomic, cx)?;
        }
        for lane in lanes(mask) {
            self.check(space, lane, at[lane], bytes, true, cx)?;
            let old = if space == Where::Global {
                let operands = [b[lane], c[lane]];
                cx.global.update(at[lane], what, operands, d.is_some())
            } else {
                let old = peek(space, at[lane], bytes as usize, cx);
                let new = what.apply(old, b[lane], c[lane]);
                poke(space, at[lane], bytes as usize, new, cx);
                old
            };
            if let Some(d) = d {
                self.regs.put_lane(d, lane, old);
            }
        }
        Ok(())
    }
}
