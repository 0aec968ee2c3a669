//! Which line of a full set makes room for a new one: a policy per file, behind one contract.
//!
//! The tag array tells its policy what happens (`fill`, `hit`, `reset`) and asks one question (`victim`). A policy
//! sees set and way numbers, how many ways are allowed, and the [`Access`]; it never sees lines, sectors, dirty
//! masks or time, and it never looks into another unit. It owns its state, which it lays out as it likes.
//!
//! To add a policy: a file here that implements `Policy`, a variant and an arm in this file, and a name in
//! `config::l1::Replacement`. The keys `l1.replacement` and `l2.replacement` then accept it. A policy that is there for
//! research only is compiled in with the feature `cache-research`, and [`Replace::has`] says whether it is.

#[cfg(feature = "cache-research")]
mod brrip;
#[cfg(feature = "cache-research")]
mod drrip;
mod evict_first;
mod fifo;
mod lru;
mod plru;
mod random;
#[cfg(all(test, feature = "cache-research"))]
mod rrip_tests;
mod srrip;
#[cfg(test)]
mod tests;

use crate::config::Replacement;
use crate::isa::CacheOp;
use bincode::{Decode, Encode};

/// What a policy learns of the access that hits or fills a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Access {
    /// The cache operator of the instruction.
    pub cache: CacheOp,
}

impl From<CacheOp> for Access {
    #[inline(always)]
    fn from(cache: CacheOp) -> Self {
        Access { cache }
    }
}

/// The contract between a tag array and its policy.
///
/// `set` is below the number of sets, `way` below the number of allowed ways. The array fills the ways of a set
/// in ascending order after a `reset`; once all are filled it calls `victim`, and then `fill` for the way that it
/// named. The same calls give the same victims, whatever machine or thread makes them.
trait Policy {
    /// All ways are empty, and `ways` of each set are allowed from now on.
    fn reset(&mut self, ways: u32);
    /// A new line was put into `way`, by `access`.
    fn fill(&mut self, set: u32, way: u32, access: Access);
    /// The line in `way` was used by `access`.
    fn hit(&mut self, set: u32, way: u32, access: Access);
    /// The way whose line goes. May change the state of the policy, such as ages.
    fn victim(&mut self, set: u32) -> u32;
    /// A cheap guess of the next victim, to load the host's memory ahead of its use. It changes nothing and may
    /// be wrong.
    fn likely_victim(&self, set: u32) -> u32;
}

/// A policy with its state.
#[derive(Clone, Debug, Encode, Decode)]
pub enum Replace {
    /// Least recently used.
    Lru(lru::Lru),
    /// Tree of bits.
    Plru(plru::Plru),
    /// First in, first out.
    Fifo(fifo::Fifo),
    /// Re-reference intervals.
    Srrip(srrip::Srrip),
    /// By chance.
    Random(random::Random),
    /// LRU in which streams go first.
    EvictFirst(evict_first::EvictFirst),
    /// Re-reference intervals; most new lines are expected never.
    #[cfg(feature = "cache-research")]
    Brrip(brrip::Brrip),
    /// The better of SRRIP and BRRIP, by a duel of sets.
    #[cfg(feature = "cache-research")]
    Drrip(drrip::Drrip),
}

/// Passes a call on to the policy.
macro_rules! policy {
    ($self:ident, $policy:ident => $call:expr) => {
        match $self {
            Replace::Lru($policy) => $call,
            Replace::Plru($policy) => $call,
            Replace::Fifo($policy) => $call,
            Replace::Srrip($policy) => $call,
            Replace::Random($policy) => $call,
            Replace::EvictFirst($policy) => $call,
            #[cfg(feature = "cache-research")]
            Replace::Brrip($policy) => $call,
            #[cfg(feature = "cache-research")]
            Replace::Drrip($policy) => $call,
        }
    };
}

impl Replace {
    /// Whether this build has the policy `name`.
    pub const fn has(name: Replacement) -> bool {
        cfg!(feature = "cache-research") || !matches!(name, Replacement::Brrip | Replacement::Drrip)
    }

    /// The policies that this build has.
    pub fn all() -> impl Iterator<Item = Replacement> {
        let names = Replacement::ALL.iter().copied();
        names.filter(|&name| Self::has(name))
    }

    /// The policy `name`, which this build must have, for `sets` × `ways` empty entries.
    pub fn new(name: Replacement, sets: u32, ways: u32) -> Self {
        match name {
            Replacement::Lru => Replace::Lru(lru::Lru::new(sets, ways)),
            Replacement::Plru => Replace::Plru(plru::Plru::new(sets, ways)),
            Replacement::Fifo => Replace::Fifo(fifo::Fifo::new(sets, ways)),
            Replacement::Srrip => Replace::Srrip(srrip::Srrip::new(sets, ways)),
            Replacement::Random => Replace::Random(random::Random::new(sets, ways)),
            Replacement::EvictFirst => {
                Replace::EvictFirst(evict_first::EvictFirst::new(sets, ways))
            }
            #[cfg(feature = "cache-research")]
            Replacement::Brrip => Replace::Brrip(brrip::Brrip::new(sets, ways)),
            #[cfg(feature = "cache-research")]
            Replacement::Drrip => Replace::Drrip(drrip::Drrip::new(sets, ways)),
            #[cfg(not(feature = "cache-research"))]
            Replacement::Brrip | Replacement::Drrip => {
                unreachable!("a configuration that names it is refused")
            }
        }
    }

    /// Empties all sets; `ways` of each are allowed from now on.
    pub fn reset(&mut self, ways: u32) {
        policy!(self, p => p.reset(ways));
    }

    /// A new line was put into `way`.
    #[inline(always)]
    pub fn fill(&mut self, set: u32, way: u32, access: Access) {
        policy!(self, p => p.fill(set, way, access));
    }

    /// The line in `way` was used.
    #[inline(always)]
    pub fn hit(&mut self, set: u32, way: u32, access: Access) {
        policy!(self, p => p.hit(set, way, access));
    }

    /// The way of the full set `set` whose line goes; the caller fills it next.
    #[inline(always)]
    pub fn victim(&mut self, set: u32) -> u32 {
        policy!(self, p => p.victim(set))
    }

    /// The way with which a walk through `set` in order of use begins: the least recently used one, where the policy
    /// keeps this order.
    pub fn first_in_order(&self, set: u32) -> u32 {
        match self {
            Replace::Lru(lru) => lru.oldest(set),
            _ => 0,
        }
    }

    /// The way of `set`, of `ways`, that comes after `way` in that walk.
    pub fn next_in_order(&self, set: u32, way: u32, ways: u32) -> u32 {
        match self {
            Replace::Lru(lru) => lru.newer(set, way),
            _ => (way + 1) % ways,
        }
    }

    /// A guess of the next victim, for the host's caches only.
    #[inline(always)]
    pub fn likely_victim(&self, set: u32) -> u32 {
        policy!(self, p => p.likely_victim(set))
    }
}
