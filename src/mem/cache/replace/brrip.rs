//! Bimodal re-reference interval prediction (Jaleel et al., ISCA 2010): SRRIP in which new lines go first.
//!
//! Of the lines that come into a set one in 32 is expected late, as SRRIP does; the others are expected never. A loop over
//! more lines than a set has ways then keeps some of them, where SRRIP and LRU would lose each line before its next use.
//! The one in 32 is counted for each set, not drawn: there is no generator whose state sets would share.

use super::srrip::{LATE, NEVER, Srrip};
use super::{Access, Policy};
use bincode::{Decode, Encode};

/// Of so many lines one is expected late.
const PERIOD: u8 = 32;
const _: () = assert!(256 % PERIOD as u32 == 0, "the counter wraps");

/// The guesses of every set, and how many lines each took.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Brrip {
    pub(super) srrip: Srrip,
    fills: Vec<u8>,
}

impl Brrip {
    /// Nothing is expected.
    pub fn new(sets: u32, ways: u32) -> Self {
        Brrip {
            srrip: Srrip::new(sets, ways),
            fills: vec![0; sets as usize],
        }
    }
}

impl Policy for Brrip {
    fn reset(&mut self, ways: u32) {
        self.srrip.reset(ways);
        self.fills.fill(0);
    }

    fn fill(&mut self, set: u32, way: u32, _: Access) {
        let fills = &mut self.fills[set as usize];
        let next_use = match *fills % PERIOD {
            0 => LATE,
            _ => NEVER,
        };
        *fills = fills.wrapping_add(1);
        self.srrip.expect(set, way, next_use);
    }

    fn hit(&mut self, set: u32, way: u32, access: Access) {
        self.srrip.hit(set, way, access);
    }

    fn victim(&mut self, set: u32) -> u32 {
        self.srrip.victim(set)
    }

    fn likely_victim(&self, set: u32) -> u32 {
        self.srrip.likely_victim(set)
    }
}
