//! Two levels: round-robin in a small active set; when no active warp is a candidate, the oldest
//! candidate outside takes the place of an active warp that cannot issue.

use super::{Scheduler, lrr};

#[inline(always)]
pub fn pick(scheduler: &mut Scheduler, candidates: u16) -> u8 {
    while scheduler.active.count_ones() < u32::from(scheduler.active_max) {
        let waiting = candidates & !scheduler.active;
        if waiting == 0 {
            break;
        }
        scheduler.active |= 1 << scheduler.oldest(waiting);
    }
    if candidates & scheduler.active == 0 {
        let leaves = scheduler.active.trailing_zeros();
        scheduler.active &= !(1 << leaves);
        scheduler.active |= 1 << scheduler.oldest(candidates);
    }
    lrr::pick(scheduler, candidates & scheduler.active)
}
