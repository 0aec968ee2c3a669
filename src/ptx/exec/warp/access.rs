//! Loads, and what all accesses have in common.

use super::super::bytes::read;
use super::super::fault::{LaneFault, Ran};
use super::super::memory::Bad;
use super::super::observe::Observer;
use super::super::op::{Addr, List, Slot, Ty, Where};
use super::super::regs::{FULL, LANES, Lanes, each};
use super::super::shared::Use;
use super::super::{CONST_WINDOW, LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW, WINDOW_BYTES};
use super::cells::{extent, peek, signed, slice};
use super::{Cx, Warp, lanes};

const OUTSIDE: &str = "check the index, the sizes of the buffers and the arguments of the launch";

const OUTSIDE_SHARED: &str = "check the index, and `dynamic_shared_bytes` of the launch";

/// The window that a generic address lies in; 0 for global memory.
pub fn window(address: u64) -> u64 {
    for base in [SHARED_WINDOW, LOCAL_WINDOW, CONST_WINDOW, PARAM_WINDOW] {
        if address.wrapping_sub(base) < WINDOW_BYTES {
            return base;
        }
    }
    0
}

/// The space of a window.
fn space_of(window: u64) -> Where {
    match window {
        SHARED_WINDOW => Where::Shared,
        LOCAL_WINDOW => Where::Local,
        CONST_WINDOW => Where::Const,
        PARAM_WINDOW => Where::Param,
        _ => Where::Global,
    }
}

impl Warp {
    /// Effective addresses.
    #[inline(always)]
    pub(super) fn addresses(&self, addr: Addr) -> Lanes<u64> {
        let offset = addr.offset as u64;
        match addr.base {
            Slot::Double(r) => {
                let base = self.regs.x.get(r);
                each(|i| base[i].wrapping_add(offset))
            }
            Slot::Half(r) | Slot::Word(r) => {
                // Sums of 32-bit addresses wrap: compilers move constants between the two parts.
                let base = self.regs.w.get(r);
                each(|i| u64::from(base[i].wrapping_add(offset as u32)))
            }
        }
    }

    /// A load that may be one of a loop that waits: it is if it reads the same place again.
    pub(super) fn poll(&mut self, addr: Addr, mask: u32) {
        let at = self.addresses(addr)[mask.trailing_zeros() as usize & (LANES - 1)];
        self.polls += u32::from(at == self.polled);
        self.polled = at;
    }

    /// Splits generic addresses by space and calls `each` with lanes and addresses within it.
    pub(super) fn by_space(
        &mut self,
        space: Where,
        at: &Lanes<u64>,
        mask: u32,
        mut visit: impl FnMut(&mut Self, Where, &Lanes<u64>, u32) -> Ran<()>,
    ) -> Ran<()> {
        if space != Where::Generic {
            return visit(self, space, at, mask);
        }
        let mut left = mask;
        while left != 0 {
            let first = at[left.trailing_zeros() as usize];
            let base = window(first);
            let same = lanes(left).fold(0, |m, l| m | u32::from(window(at[l]) == base) << l);
            let inner = each(|i| at[i].wrapping_sub(base));
            visit(self, space_of(base), &inner, same)?;
            left &= !same;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn load<O: Observer>(
        &mut self,
        pc: u32,
        space: Where,
        ty: Ty,
        addr: Addr,
        d: List,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let at = self.addresses(addr);
        cx.observer.access(self.number, pc, mask, &at);
        self.by_space(space, &at, mask, |warp, space, at, mask| {
            warp.load_from(space, ty, at, d, mask, cx)
        })
    }

    fn load_from<O: Observer>(
        &mut self,
        space: Where,
        ty: Ty,
        at: &Lanes<u64>,
        d: List,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let element = u64::from(ty.bytes());
        let total = element * u64::from(d.count);
        let (low, high) = extent(at, mask, total)?;
        let program = cx.program;
        let slots = program.list(d);
        if space == Where::Local {
            return self.load_local(ty, at, slots, mask, total);
        }
        if space == Where::Shared && cx.shared.checked() {
            self.check_races(at, total, mask, Use::Read, cx)?;
        }
        if space == Where::Shared && !cx.shared.is_written(low, high) {
            for lane in lanes(mask) {
                self.check(space, lane, at[lane], total, true, cx)?;
            }
        }
        let (bytes, direct) = match space {
            Where::Shared => (slice(&cx.shared.bytes, low, high), true),
            Where::Const => (slice(&program.constant, low, high), true),
            Where::Param => (slice(&program.params, low, high), true),
            _ => {
                let direct = cx.global.note_read(at, mask, total);
                match cx.global.span(low, high) {
                    Some((bytes, tracked)) => (Some(bytes), direct && !tracked),
                    None => (None, false),
                }
            }
        };
        let Some(bytes) = bytes.filter(|_| direct) else {
            return self.load_slowly(space, ty, at, slots, mask, total, cx);
        };
        if let ([Slot::Word(d)], 4) = (slots, element) {
            let target = &mut self.regs.w.0[*d as usize];
            load_words(target, bytes, at, low, mask);
            return Ok(());
        }
        for (i, &slot) in slots.iter().enumerate() {
            let skip = i as u64 * element;
            for lane in lanes(mask) {
                let from = (at[lane] - low + skip) as usize;
                let value = read(bytes, from, element as usize);
                self.regs.put_lane(slot, lane, signed(value, ty));
            }
        }
        Ok(())
    }

    fn load_local(
        &mut self,
        ty: Ty,
        at: &Lanes<u64>,
        slots: &[Slot],
        mask: u32,
        total: u64,
    ) -> Ran<()> {
        let size = self.local.len() / LANES;
        for lane in lanes(mask) {
            let start = self.local_place(lane, at[lane], total, size)?;
            for (i, &slot) in slots.iter().enumerate() {
                let element = ty.bytes() as usize;
                let value = read(&self.local, start + i * element, element);
                self.regs.put_lane(slot, lane, signed(value, ty));
            }
        }
        Ok(())
    }

    pub(super) fn local_place(&self, lane: usize, at: u64, total: u64, size: usize) -> Ran<usize> {
        let inside = at.checked_add(total).is_some_and(|end| end <= size as u64);
        if !inside {
            return Err(Box::new(LaneFault::new(
                lane,
                format!("local address {at:#x} is outside the {size} bytes of the thread"),
                OUTSIDE,
            )));
        }
        Ok(lane * size + at as usize)
    }

    /// Lane by lane, with every check: the fault is found here, or there is none.
    #[allow(clippy::too_many_arguments)]
    fn load_slowly<O: Observer>(
        &mut self,
        space: Where,
        ty: Ty,
        at: &Lanes<u64>,
        slots: &[Slot],
        mask: u32,
        total: u64,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        for lane in lanes(mask) {
            self.check(space, lane, at[lane], total, true, cx)?;
            for (i, &slot) in slots.iter().enumerate() {
                let element = u64::from(ty.bytes());
                let value = peek(space, at[lane] + i as u64 * element, element as usize, cx);
                self.regs.put_lane(slot, lane, signed(value, ty));
            }
        }
        Ok(())
    }

    /// Checks one lane's access to any space but local memory.
    pub(super) fn check<O: Observer>(
        &self,
        space: Where,
        lane: usize,
        at: u64,
        bytes: u64,
        read: bool,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let (size, name, remedy) = match space {
            Where::Shared => (cx.shared.bytes.len(), "shared", OUTSIDE_SHARED),
            Where::Const => (cx.program.constant.len(), "constant", OUTSIDE),
            Where::Param => (cx.program.params.len(), "parameter", OUTSIDE),
            _ => {
                let (what, remedy) = match cx.global.check(at, bytes, read) {
                    Ok(()) => return Ok(()),
                    Err(Bad::Outside(place)) => (
                        format!("access of {bytes} bytes at {at:#x} is in no buffer, {place}"),
                        OUTSIDE,
                    ),
                    Err(Bad::Uninitialised(place)) => (
                        format!("read of {bytes} bytes at {at:#x} that nobody wrote, {place}"),
                        "give the buffer an `init` in the launch file, or write it first",
                    ),
                };
                return Err(Box::new(LaneFault::new(lane, what, remedy)));
            }
        };
        if let Some(end) = at.checked_add(bytes).filter(|end| *end <= size as u64) {
            if space != Where::Shared || !read || cx.shared.is_written(at, end) {
                return Ok(());
            }
            return Err(Box::new(LaneFault::new(
                lane,
                format!("read of {bytes} bytes at shared address {at:#x} that nobody wrote so far"),
                "write it first, with a barrier in between, or guard the read: it has no value",
            )));
        }
        Err(Box::new(LaneFault::new(
            lane,
            format!(
                "access of {bytes} bytes at {name} address {at:#x} is outside its {size} bytes"
            ),
            remedy,
        )))
    }

    pub(super) fn check_races<O: Observer>(
        &self,
        at: &Lanes<u64>,
        bytes: u64,
        mask: u32,
        kind: Use,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        for lane in lanes(mask) {
            if let Some((other, did)) = cx.shared.touch(self.number, at[lane], bytes, kind) {
                let did = if did == Use::Read { "read" } else { "written" };
                let other = match other {
                    n if n < u16::MAX - 1 => format!("warp {other}"),
                    _ => "other warps".to_owned(),
                };
                return Err(Box::new(LaneFault::new(
                    lane,
                    format!(
                        "race: shared address {:#x} was {did} by {other} since the last barrier",
                        at[lane]
                    ),
                    "put a barrier between the two accesses",
                )));
            }
        }
        Ok(())
    }
}

/// Loads a word for each lane of `mask` from the bytes from `low` on.
fn load_words(target: &mut Lanes<u32>, bytes: &[u8], at: &Lanes<u64>, low: u64, mask: u32) {
    let word = |at: u64| read(bytes, (at - low) as usize, 4) as u32;
    if mask != FULL {
        lanes(mask).for_each(|lane| target[lane] = word(at[lane]));
    } else if bytes.len() == 4 * LANES && in_step(at, low) {
        // What most loads are; one copy also meets cache misses all at once.
        for (t, word) in target.iter_mut().zip(bytes.as_chunks().0) {
            *t = u32::from_le_bytes(*word);
        }
    } else {
        target.iter_mut().zip(at).for_each(|(t, at)| *t = word(*at));
    }
}

/// Whether the lanes' addresses are those of words in a row from `low` on.
fn in_step(at: &Lanes<u64>, low: u64) -> bool {
    let mut off = 0;
    for (lane, at) in at.iter().enumerate() {
        off |= at.wrapping_sub(low) ^ (4 * lane as u64);
    }
    off == 0
}
