//! Read-modify-write operations, lane by lane in ascending order.

use super::super::alu::extend;
use super::super::fault::{LaneFault, Ran};
use super::super::numeric::{Round, Small, from_small, to_small};
use super::super::observe::Observer;
use super::super::op::{Addr, List, Rmw, Slot, Ty, Where};
use super::super::regs::{LANES, Lanes, each};
use super::super::shared::Use;
use super::cells::{extent, peek, poke};
use super::{Cx, Warp, lanes};

/// What an atomic instruction does to memory.
#[derive(Clone, Copy, Debug)]
pub struct Atom {
    /// Operation.
    pub f: Rmw,
    /// Type of the value.
    pub ty: Ty,
    /// Two values of a small format.
    pub packed: bool,
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
        what: Atom,
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
        let element = u64::from(what.ty.bytes()) * if what.packed { 2 } else { 1 };
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
            self.check(space, lane, at[lane], 8 * old.len() as u64, true, cx)?;
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
        self.update(space, what, at, (&b, &c), d, mask, cx)
    }

    #[allow(clippy::too_many_arguments)]
    fn update<O: Observer>(
        &mut self,
        space: Where,
        what: Atom,
        at: &Lanes<u64>,
        (b, c): (&Lanes<u64>, &Lanes<u64>),
        d: Option<Slot>,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let bytes = u64::from(what.ty.bytes()) * if what.packed { 2 } else { 1 };
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
            let old = peek(space, at[lane], bytes as usize, cx);
            let new = updated(what, old, b[lane], c[lane]);
            poke(space, at[lane], bytes as usize, new, cx);
            if let Some(d) = d {
                self.regs.put_lane(d, lane, old);
            }
        }
        Ok(())
    }
}

fn updated(what: Atom, old: u64, b: u64, c: u64) -> u64 {
    if what.packed
        && let Ty::Small(small) = what.ty
    {
        let half = |shift: u32| {
            u64::from(small_result(
                what.f,
                small,
                (old >> shift) as u32,
                (b >> shift) as u32,
            ))
        };
        return half(0) | half(16) << 16;
    }
    match what.f {
        Rmw::Exch => b,
        Rmw::Cas => {
            let ones = u64::MAX >> (64 - 8 * what.ty.bytes());
            if old & ones == b & ones { c } else { old }
        }
        _ => match what.ty {
            Ty::F32 => {
                let (x, y) = (f32::from_bits(old as u32), f32::from_bits(b as u32));
                let out = match what.f {
                    Rmw::Add => x + y,
                    Rmw::Min => x.min(y),
                    _ => x.max(y),
                };
                u64::from(if out.is_nan() {
                    0x7fff_ffff
                } else {
                    out.to_bits()
                })
            }
            Ty::F64 => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
            Ty::Small(small) => u64::from(small_result(what.f, small, old as u32, b as u32)),
            _ => integer(what, old, b),
        },
    }
}

fn small_result(f: Rmw, small: Small, old: u32, b: u32) -> u32 {
    let (x, y) = (
        from_small(old & 0xffff, small),
        from_small(b & 0xffff, small),
    );
    let out = match f {
        Rmw::Add => f64::from(x) + f64::from(y),
        Rmw::Min => f64::from(x.min(y)),
        _ => f64::from(x.max(y)),
    };
    to_small(out, small, Round::Nearest)
}

fn integer(what: Atom, old: u64, b: u64) -> u64 {
    let (x, y) = (extend(old, what.ty), extend(b, what.ty));
    let less = match what.ty.signed() {
        true => x < y,
        false => (x as u64) < y as u64,
    };
    match what.f {
        Rmw::Add => old.wrapping_add(b),
        Rmw::Min if less => old,
        Rmw::Max if !less => old,
        Rmw::Min | Rmw::Max => b,
        Rmw::And => old & b,
        Rmw::Or => old | b,
        Rmw::Xor => old ^ b,
        Rmw::Inc if x as u64 >= y as u64 => 0,
        Rmw::Inc => old.wrapping_add(1),
        Rmw::Dec if x == 0 || x as u64 > y as u64 => b,
        Rmw::Dec => old.wrapping_sub(1),
        Rmw::Exch | Rmw::Cas => b,
    }
}
