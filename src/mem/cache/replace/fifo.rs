//! First in, first out: use does not matter.

use super::{Access, Policy};
use bincode::{Decode, Encode};

/// The way of each set that was filled longest ago.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Fifo {
    allowed: u32,
    oldest: Vec<u16>,
}

impl Fifo {
    /// Way 0 is the first to go.
    pub fn new(sets: u32, ways: u32) -> Self {
        Fifo {
            allowed: ways,
            oldest: vec![0; sets as usize],
        }
    }
}

impl Policy for Fifo {
    fn reset(&mut self, ways: u32) {
        self.allowed = ways;
        self.oldest.fill(0);
    }

    /// Ways are filled in turn, so the one after this was filled before all others.
    fn fill(&mut self, set: u32, way: u32, _: Access) {
        self.oldest[set as usize] = if way + 1 == self.allowed {
            0
        } else {
            way as u16 + 1
        };
    }

    fn hit(&mut self, _: u32, _: u32, _: Access) {}

    fn victim(&mut self, set: u32) -> u32 {
        self.likely_victim(set)
    }

    fn likely_victim(&self, set: u32) -> u32 {
        u32::from(self.oldest[set as usize])
    }
}
