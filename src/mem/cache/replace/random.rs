//! Random replacement: a hash of the set and of how many lines left it names the way.
//!
//! There is no generator whose state sets would share: the same accesses to a set have the same victims, whatever
//! happens elsewhere.

use super::{Access, Policy};
use bincode::{Decode, Encode};

/// How many victims each set had.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Random {
    allowed: u32,
    victims: Vec<u32>,
}

impl Random {
    /// No victims yet.
    pub fn new(sets: u32, ways: u32) -> Self {
        Random {
            allowed: ways,
            victims: vec![0; sets as usize],
        }
    }
}

/// The finisher of SplitMix64: every bit of the input moves every bit of the output.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl Policy for Random {
    fn reset(&mut self, ways: u32) {
        self.allowed = ways;
        self.victims.fill(0);
    }

    fn fill(&mut self, _: u32, _: u32, _: Access) {}

    fn hit(&mut self, _: u32, _: u32, _: Access) {}

    fn victim(&mut self, set: u32) -> u32 {
        let way = self.likely_victim(set);
        let victims = &mut self.victims[set as usize];
        *victims = victims.wrapping_add(1);
        way
    }

    fn likely_victim(&self, set: u32) -> u32 {
        let drawn = mix((u64::from(set) << 32) | u64::from(self.victims[set as usize])) >> 32;
        ((drawn * u64::from(self.allowed)) >> 32) as u32
    }
}
