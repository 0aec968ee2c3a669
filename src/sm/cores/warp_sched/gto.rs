//! Greedy, then oldest.

use super::Scheduler;

#[inline(always)]
pub fn pick(scheduler: &Scheduler, candidates: u16) -> u8 {
    match candidates >> scheduler.last & 1 {
        1 => scheduler.last,
        _ => scheduler.oldest(candidates),
    }
}
