//! Dynamic re-reference interval prediction (Jaleel et al., ISCA 2010): SRRIP or BRRIP, whichever misses less.
//!
//! Some sets lead: they always take new lines in as SRRIP does, or as BRRIP does. A counter goes up with each line that a
//! leader of SRRIP takes in, and down with each that a leader of BRRIP does; the other sets follow BRRIP while the counter
//! is in its upper half. Of every 32 sets (of all, if there are fewer) the first leads for SRRIP and the middle one for
//! BRRIP; a cache of one set has the first alone, and is SRRIP.

use super::brrip::Brrip;
use super::{Access, Policy};
use bincode::{Decode, Encode};

/// Sets of which two lead.
const GROUP: u32 = 32;
/// The counter has ten bits; from here on BRRIP is followed.
const HALF: u16 = 512;
const MAX: u16 = 2 * HALF - 1;

/// Who decides how a set takes lines in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Static,
    Bimodal,
    Follower,
}

/// The guesses of every set, and the duel.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Drrip {
    brrip: Brrip,
    group: u32,
    misses: u16,
}

impl Drrip {
    /// Nothing is expected; SRRIP is followed.
    pub fn new(sets: u32, ways: u32) -> Self {
        Drrip {
            brrip: Brrip::new(sets, ways),
            group: sets.min(GROUP),
            misses: HALF - 1,
        }
    }

    fn role(&self, set: u32) -> Role {
        match set % self.group {
            0 => Role::Static,
            place if place == self.group / 2 => Role::Bimodal,
            _ => Role::Follower,
        }
    }
}

impl Policy for Drrip {
    fn reset(&mut self, ways: u32) {
        self.brrip.reset(ways);
        self.misses = HALF - 1;
    }

    fn fill(&mut self, set: u32, way: u32, access: Access) {
        let role = self.role(set);
        match role {
            Role::Static => self.misses = (self.misses + 1).min(MAX),
            Role::Bimodal => self.misses = self.misses.saturating_sub(1),
            Role::Follower => {}
        }
        match role == Role::Bimodal || role == Role::Follower && self.misses >= HALF {
            true => self.brrip.fill(set, way, access),
            false => self.brrip.srrip.fill(set, way, access),
        }
    }

    fn hit(&mut self, set: u32, way: u32, access: Access) {
        self.brrip.hit(set, way, access);
    }

    fn victim(&mut self, set: u32) -> u32 {
        self.brrip.victim(set)
    }

    fn likely_victim(&self, set: u32) -> u32 {
        self.brrip.likely_victim(set)
    }
}
