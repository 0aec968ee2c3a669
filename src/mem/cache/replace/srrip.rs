//! Static re-reference interval prediction with hit priority (Jaleel et al., ISCA 2010).
//!
//! Every line has a two-bit guess of how far its next use is. A new line is expected late, one that was used
//! again soon. The victim is the first line that is expected never; while there is none, all are expected later.
//! A scan that is never used again therefore drives out its own lines before those that are in use.

use super::{Access, Policy};
use bincode::{Decode, Encode};

/// Next use: soon.
const SOON: u8 = 0;
/// Next use: late.
pub(super) const LATE: u8 = 2;
/// Next use: as good as never.
pub(super) const NEVER: u8 = 3;

/// The guesses of every set.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Srrip {
    ways: usize,
    allowed: usize,
    next_use: Vec<u8>,
}

impl Srrip {
    /// Nothing is expected.
    pub fn new(sets: u32, ways: u32) -> Self {
        Srrip {
            ways: ways as usize,
            allowed: ways as usize,
            next_use: vec![NEVER; sets as usize * ways as usize],
        }
    }

    fn set(&mut self, set: u32) -> &mut [u8] {
        &mut self.next_use[set as usize * self.ways..][..self.allowed]
    }

    /// The line in `way` is expected again at `next_use`.
    pub(super) fn expect(&mut self, set: u32, way: u32, next_use: u8) {
        self.set(set)[way as usize] = next_use;
    }
}

impl Policy for Srrip {
    fn reset(&mut self, ways: u32) {
        self.allowed = ways as usize;
        self.next_use.fill(NEVER);
    }

    fn fill(&mut self, set: u32, way: u32, _: Access) {
        self.expect(set, way, LATE);
    }

    fn hit(&mut self, set: u32, way: u32, _: Access) {
        self.expect(set, way, SOON);
    }

    fn victim(&mut self, set: u32) -> u32 {
        let set = self.set(set);
        let farthest = set.iter().copied().max().unwrap_or(NEVER);
        set.iter_mut().for_each(|next| *next += NEVER - farthest);
        let first = set.iter().position(|&next| next == NEVER);
        first.unwrap_or_default() as u32
    }

    /// The real answer would cost a search; ways are mostly replaced in turn from the first.
    fn likely_victim(&self, _: u32) -> u32 {
        0
    }
}
