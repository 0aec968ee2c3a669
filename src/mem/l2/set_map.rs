//! Lines to sets.

use crate::config::L2Spec;
use crate::mem::Line;
use crate::mem::addr_map::Interleave;

/// The set of a line within its slice: by its number among the lines of the slice, not among all.
///
/// Consecutive lines of a slice then fill all sets alike, and a region has the same number of lines in
/// each; the digits above are added, so that a stride of a multiple of the sets spreads too.
#[derive(Clone, Copy, Debug)]
pub struct SetMap {
    sets: u64,
    interleave: Interleave,
}

impl SetMap {
    /// The map of a slice with so many sets.
    pub fn new(spec: &L2Spec, sets: u32) -> Self {
        SetMap {
            sets: u64::from(sets),
            interleave: Interleave::new(spec),
        }
    }

    /// The set of `line`.
    pub fn set_of(&self, line: Line) -> u32 {
        let local = self.interleave.number(line);
        let above = local / self.sets;
        ((local + above + above / self.sets) % self.sets) as u32
    }
}
