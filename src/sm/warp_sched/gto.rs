//! Greedy, then oldest.

use super::History;

#[inline(always)]
pub fn pick(history: &History, candidates: u16) -> u8 {
    match candidates >> history.last & 1 {
        1 => history.last,
        _ => history.oldest(candidates),
    }
}
