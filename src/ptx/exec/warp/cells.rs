//! Bytes of any space.

use super::super::bytes::{read, write};
use super::super::fault::{LaneFault, Ran};
use super::super::op::{Ty, Where};
use super::super::regs::Lanes;
use super::{Cx, lanes};

const MISALIGNED: &str = "the address must be a multiple of the size of the access";

/// Lowest address and end of an access; every address must be a multiple of the size.
#[inline(always)]
pub(super) fn extent(at: &Lanes<u64>, mask: u32, total: u64) -> Ran<(u64, u64)> {
    let (mut low, mut high, mut bits) = (u64::MAX, 0, 0);
    for (lane, &at) in at.iter().enumerate() {
        let on = mask >> lane & 1 != 0;
        low = low.min(if on { at } else { u64::MAX });
        high = high.max(if on { at } else { 0 });
        bits |= if on { at } else { 0 };
    }
    if total.is_power_of_two() && bits & (total - 1) != 0 {
        let lane = lanes(mask).find(|&l| at[l] & (total - 1) != 0).unwrap_or(0);
        return Err(Box::new(LaneFault::new(
            lane,
            format!("misaligned access of {total} bytes at {:#x}", at[lane]),
            MISALIGNED,
        )));
    }
    Ok((low, high.saturating_add(total)))
}

pub(super) fn slice(bytes: &[u8], low: u64, high: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(low).ok()?..usize::try_from(high).ok()?)
}

pub(super) fn slice_mut(bytes: &mut [u8], low: u64, high: u64) -> Option<&mut [u8]> {
    bytes.get_mut(usize::try_from(low).ok()?..usize::try_from(high).ok()?)
}

/// A value read from a signed type fills a wider register with its sign.
#[inline(always)]
pub(super) fn signed(value: u64, ty: Ty) -> u64 {
    match ty {
        Ty::S8 => value as u8 as i8 as i64 as u64,
        Ty::S16 => value as u16 as i16 as i64 as u64,
        Ty::S32 => value as u32 as i32 as i64 as u64,
        _ => value,
    }
}

/// Reads what is known to be inside.
pub(super) fn peek<O>(space: Where, at: u64, bytes: usize, cx: &Cx<'_, O>) -> u64 {
    match space {
        Where::Shared => read(&cx.shared.bytes, at as usize, bytes),
        Where::Const => read(&cx.program.constant, at as usize, bytes),
        Where::Param => read(&cx.program.params, at as usize, bytes),
        _ => cx.global.read(at, bytes),
    }
}

/// Writes what is known to be inside.
pub(super) fn poke<O>(space: Where, at: u64, bytes: usize, value: u64, cx: &mut Cx<'_, O>) {
    if space == Where::Shared {
        write(&mut cx.shared.bytes, at as usize, bytes, value);
        cx.shared.wrote(at, bytes as u64);
        return;
    }
    cx.global.write(at, bytes, value);
}
