//! Two levels: round-robin in a small active set; when no active warp is a candidate, the oldest
//! candidate outside takes the place of an active warp that cannot issue.

use super::{History, lrr};

#[inline(always)]
pub fn pick(history: &mut History, candidates: u16, active_max: u8) -> u8 {
    while history.active.count_ones() < u32::from(active_max) {
        let waiting = candidates & !history.active;
        if waiting == 0 {
            break;
        }
        history.active |= 1 << history.oldest(waiting);
    }
    if candidates & history.active == 0 {
        let leaves = history.active.trailing_zeros();
        history.active &= !(1 << leaves);
        history.active |= 1 << history.oldest(candidates);
    }
    lrr::pick(history, candidates & history.active)
}
