//! Loose round-robin: the next candidate after the warp that issued last.

use super::History;

#[inline(always)]
pub fn pick(history: &History, candidates: u16) -> u8 {
    let from = u32::from(history.last) + 1;
    ((candidates.rotate_right(from & 15).trailing_zeros() + from) & 15) as u8
}
