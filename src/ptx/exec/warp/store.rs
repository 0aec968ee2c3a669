//! Stores.

use super::super::bytes::write;
use super::super::fault::{LaneFault, Ran};
use super::super::observe::Observer;
use super::super::op::{Addr, List, Slot, Where};
use super::super::regs::{LANES, Lanes};
use super::super::shared::Use;
use super::cells::{extent, poke, slice_mut};
use super::{Cx, Warp, lanes};

impl Warp {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn store<O: Observer>(
        &mut self,
        pc: u32,
        space: Where,
        bytes: u8,
        addr: Addr,
        a: List,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let at = self.addresses(addr);
        cx.observer.access(self.number, pc, mask, &at);
        self.by_space(space, &at, mask, |warp, space, at, mask| {
            warp.store_to(space, u64::from(bytes), at, a, mask, cx)
        })
    }

    fn store_to<O: Observer>(
        &mut self,
        space: Where,
        element: u64,
        at: &Lanes<u64>,
        a: List,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let total = element * u64::from(a.count);
        let (low, high) = extent(at, mask, total)?;
        let slots = cx.program.list(a);
        if space == Where::Local {
            return self.store_local(element, at, slots, mask);
        }
        if matches!(space, Where::Const | Where::Param) {
            return Err(Box::new(LaneFault::new(
                mask.trailing_zeros() as usize,
                "a store to memory that can only be read",
                "store to global, shared or local memory",
            )));
        }
        if space == Where::Shared && cx.shared.checked() {
            self.check_races(at, total, mask, Use::Write, cx)?;
        }
        let (bytes, tracked) = match space {
            Where::Shared => (slice_mut(&mut cx.shared.bytes, low, high), false),
            _ => match cx.global.store((low, high), at, mask, total) {
                Some((bytes, tracked)) => (Some(bytes), tracked),
                None => (None, false),
            },
        };
        if let Some(bytes) = bytes {
            self.put(bytes, low, element, at, slots, mask);
            if space == Where::Shared {
                cx.shared.wrote_lanes((low, high), at, mask, total);
            }
            if tracked {
                for lane in lanes(mask) {
                    cx.global.arena.mark(at[lane], total);
                }
            }
            return Ok(());
        }
        if space == Where::Global && self.store_together((low, high), element, at, slots, mask, cx)
        {
            return Ok(());
        }
        for lane in lanes(mask) {
            self.check(space, lane, at[lane], total, false, cx)?;
            for (i, &slot) in slots.iter().enumerate() {
                let value = self.regs.lane(slot, lane);
                poke(
                    space,
                    at[lane] + i as u64 * element,
                    element as usize,
                    value,
                    cx,
                );
            }
        }
        Ok(())
    }

    fn store_local(&mut self, element: u64, at: &Lanes<u64>, slots: &[Slot], mask: u32) -> Ran<()> {
        let total = element * slots.len() as u64;
        let size = self.local.len() / LANES;
        for lane in lanes(mask) {
            let start = self.local_place(lane, at[lane], total, size)?;
            for (i, &slot) in slots.iter().enumerate() {
                let value = self.regs.lane(slot, lane);
                write(
                    &mut self.local,
                    start + i * element as usize,
                    element as usize,
                    value,
                );
            }
        }
        Ok(())
    }

    /// Writes what lanes store into the bytes from `low` on.
    fn put(
        &self,
        bytes: &mut [u8],
        low: u64,
        element: u64,
        at: &Lanes<u64>,
        slots: &[Slot],
        mask: u32,
    ) {
        for (i, &slot) in slots.iter().enumerate() {
            let skip = i as u64 * element;
            for lane in lanes(mask) {
                let to = (at[lane] - low + skip) as usize;
                write(bytes, to, element as usize, self.regs.lane(slot, lane));
            }
        }
    }

    /// For a CTA ahead of its turn, whose journal takes a range faster than lane after lane: stores
    /// that fill a range without a gap. False if they have to be done otherwise.
    fn store_together<O: Observer>(
        &self,
        (low, high): (u64, u64),
        element: u64,
        at: &Lanes<u64>,
        slots: &[Slot],
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> bool {
        let total = element * slots.len() as u64;
        let mut buffer = [0; 16 * LANES];
        let bytes = usize::try_from(high - low).ok();
        let Some(bytes) = bytes.and_then(|bytes| buffer.get_mut(..bytes)) else {
            return false;
        };
        let filled = lanes(mask).fold(0u64, |filled, lane| {
            filled | 1 << ((at[lane] - low) / total).min(63)
        });
        if u64::from(filled.count_ones()) * total != high - low {
            return false;
        }
        self.put(bytes, low, element, at, slots, mask);
        cx.global.write_ahead(low, bytes)
    }
}
