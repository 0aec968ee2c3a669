//! Address translation (feature `memory-research`, key `tlb.enabled`).
//!
//! L1 caches have virtual addresses; what leaves an SM for L2 is translated on its way. Three levels know pages: the L1
//! TLB of an SM, the TLB of its GPC, and the L2 TLB of the chip, behind which walkers read the page table through L2 and
//! DRAM. Every level has a queue where it can be slower than its requesters: for its lookups, for the pages that it waits
//! for, for the walkers. Misses of one page are one request to the next level.
//!
//! Pages are mapped to themselves, before the run begins and for as long as it lasts; nothing is unmapped. So no entry ever
//! becomes wrong, and nothing is invalidated: not by a kernel's end, which empties L1, nor by a host copy, which writes data
//! and no mapping. A run begins with empty TLBs.
//!
//! In builds without the feature all of this is empty, and a value of [`Compiled`] cannot exist.

#[cfg(feature = "memory-research")]
mod level;
#[cfg(feature = "memory-research")]
mod mmu;
#[cfg(feature = "memory-research")]
mod page;
#[cfg(feature = "memory-research")]
mod sm;
#[cfg(all(test, feature = "memory-research"))]
mod tests;
#[cfg(feature = "memory-research")]
mod walk;
#[cfg(feature = "memory-research")]
pub use mmu::Mmu;
#[cfg(feature = "memory-research")]
pub use page::{Page, PageTable};
#[cfg(feature = "memory-research")]
pub use sm::{Ask, Looked, SmTlb};

/// Whether address translation is compiled in.
pub const COMPILED: bool = cfg!(feature = "memory-research");

/// What only builds with address translation have.
#[cfg(feature = "memory-research")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Compiled;

/// What only builds with address translation have: there is no value of it here.
#[cfg(not(feature = "memory-research"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum Compiled {}

/// What an SM asks of the TLB of its GPC.
#[cfg(not(feature = "memory-research"))]
pub type Ask = Compiled;

/// Messages to the page walkers; takes no room in builds without them.
#[derive(Clone, Debug)]
pub struct Outbox<T> {
    #[cfg(feature = "memory-research")]
    messages: Vec<T>,
    #[cfg(not(feature = "memory-research"))]
    messages: [T; 0],
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Outbox {
            messages: Default::default(),
        }
    }
}

impl<T> Outbox<T> {
    /// Forgets all messages.
    #[inline(always)]
    pub fn clear(&mut self) {
        #[cfg(feature = "memory-research")]
        self.messages.clear();
    }

    /// Adds a message.
    #[inline(always)]
    pub fn push(&mut self, _: Compiled, message: T) {
        #[cfg(feature = "memory-research")]
        self.messages.push(message);
        #[cfg(not(feature = "memory-research"))]
        drop(message);
    }

    /// The messages, in the order in which they came.
    pub fn messages(&self) -> &[T] {
        &self.messages
    }
}
