//! Loose round-robin: the next candidate after the warp that issued last.

use super::{Scheduler, WARPS_MAX};

#[inline(always)]
pub fn pick(scheduler: &Scheduler, candidates: u16) -> u8 {
    const LAST: u32 = WARPS_MAX as u32 - 1;
    let from = u32::from(scheduler.last) + 1;
    ((candidates.rotate_right(from & LAST).trailing_zeros() + from) & LAST) as u8
}
