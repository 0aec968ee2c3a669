//! Scheduling policies.
//!
//! **Contract.** A policy never decides what is *legal*, only what is *preferred*. For each bank and queue the
//! channel knows the best waiting request that hits the open row and the best that does not; a policy
//!
//! 1. gives each request a key ([`key`]): of the commands that are ready first, the one with the smallest key
//!    issues;
//! 2. says when the row may be closed under waiting hits ([`Protect`]), and after how many hits an
//!    overtaken conflict bars further ones (`overtake_cap`);
//! 3. says whether a column command goes before row commands of the same class where both share a bus (`hit_first`).
//!
//! Requests whose activate has been issued are outside the policy: they have a place of their own, come first,
//! and their row is never closed under them. This bounds the wait of an opened row and is what Ramulator 2.1 does.

use super::channel::Channel;
use super::command::Kind;
use super::queue::Entry;
use crate::config::DramScheduler;
use bincode::{Decode, Encode};

mod bliss;
mod fcfs;
mod frfcfs;
mod parbs;
mod write_aware;

/// The policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// First ready, first come first served; a younger conflict cannot close a row that an older hit waits for.
    FrFcfs,
    /// First ready, first come first served without that protection.
    FrFcfsPlain,
    /// Hits always before conflicts of the bank, and before row commands.
    FrFcfsRowHit,
    /// As `FrFcfsRowHit`, but after so many hits past an older conflict the conflict is served.
    FrFcfsCap {
        /// Hits.
        hits: u32,
    },
    /// Strictly in order of arrival, one request at a time.
    Fcfs,
    /// Blacklisting: a stream that was served several times in a row loses its turn for a while.
    Bliss,
    /// Batches of the oldest requests per stream and bank; within a batch shortest stream first.
    ParBs,
    /// FR-FCFS that leaves a write drain only when no queued write hits an open row.
    WriteAware,
}

/// Hits past an older conflict after which `fr-fcfs-cap` of `phantom-gpu dram` serves the conflict, when none are
/// given (as DRAMsim3).
pub const DEFAULT_CAP: u32 = 4;

impl Policy {
    /// The policy that `scheduler` names; `cap` is the number of hits of `fr-fcfs-cap`.
    pub fn new(scheduler: DramScheduler, cap: u32) -> Policy {
        match scheduler {
            DramScheduler::Fcfs => Policy::Fcfs,
            DramScheduler::FrFcfs => Policy::FrFcfs,
            DramScheduler::FrFcfsPlain => Policy::FrFcfsPlain,
            DramScheduler::FrFcfsRowHit => Policy::FrFcfsRowHit,
            DramScheduler::FrFcfsCap => Policy::FrFcfsCap { hits: cap },
            DramScheduler::Bliss => Policy::Bliss,
            DramScheduler::ParBs => Policy::ParBs,
            DramScheduler::WriteAware => Policy::WriteAware,
        }
    }

    /// Every policy with its default numbers, in the order of their names.
    pub fn all() -> impl ExactSizeIterator<Item = Policy> {
        let policies = DramScheduler::ALL.iter();
        policies.map(|&scheduler| Policy::new(scheduler, DEFAULT_CAP))
    }

    /// The policy called `name`; `fr-fcfs-cap=N` sets the cap.
    pub fn from_name(name: &str) -> Option<Policy> {
        if let Some(number) = name.strip_prefix("fr-fcfs-cap=") {
            let hits = number.parse().ok().filter(|&n| n > 0)?;
            return Some(Policy::FrFcfsCap { hits });
        }
        DramScheduler::from_name(name).map(|scheduler| Policy::new(scheduler, DEFAULT_CAP))
    }

    /// The name of the policy, without its numbers.
    pub fn name(self) -> &'static str {
        let scheduler = match self {
            Policy::Fcfs => DramScheduler::Fcfs,
            Policy::FrFcfs => DramScheduler::FrFcfs,
            Policy::FrFcfsPlain => DramScheduler::FrFcfsPlain,
            Policy::FrFcfsRowHit => DramScheduler::FrFcfsRowHit,
            Policy::FrFcfsCap { .. } => DramScheduler::FrFcfsCap,
            Policy::Bliss => DramScheduler::Bliss,
            Policy::ParBs => DramScheduler::ParBs,
            Policy::WriteAware => DramScheduler::WriteAware,
        };
        scheduler.name()
    }

    /// The fixed part of the policy.
    pub(super) fn rules(self) -> Rules {
        match self {
            Policy::FrFcfs => frfcfs::RULES,
            Policy::FrFcfsPlain => frfcfs::PLAIN,
            Policy::FrFcfsRowHit => frfcfs::ROW_HIT,
            Policy::FrFcfsCap { hits } => Rules {
                overtake_cap: hits,
                ..frfcfs::ROW_HIT
            },
            Policy::Fcfs => fcfs::RULES,
            Policy::Bliss => bliss::RULES,
            Policy::ParBs => parbs::RULES,
            Policy::WriteAware => write_aware::RULES,
        }
    }
}

/// When a row may be closed for a conflict while hits to it wait in the same queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protect {
    /// Always.
    Never,
    /// If the conflict is preferred to every hit.
    PreferredHits,
    /// If the conflict is of a better class than every hit.
    ClassHits,
}

/// What the channel asks a policy on the hot path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Protection of waiting hits.
    pub protect: Protect,
    /// Hits that may overtake an older conflict of their bank before they are barred.
    pub overtake_cap: u32,
    /// Column commands before row commands of the same class on a shared bus.
    pub hit_first: bool,
    /// Keys are in order of arrival, so the first match in a bank's list is the best.
    pub age_ordered: bool,
    /// Only the oldest request may issue commands.
    pub strict: bool,
    /// Draining goes on while queued writes hit open rows.
    pub drain_hits: bool,
}

/// Policies with memory.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) enum Memory {
    /// Nothing to remember.
    None,
    /// Blacklist.
    Bliss(bliss::Bliss),
    /// Batches; the marks are in the keys.
    ParBs,
}

impl Memory {
    /// The memory that `policy` needs.
    pub fn new(policy: Policy) -> Memory {
        match policy {
            Policy::Bliss => Memory::Bliss(bliss::Bliss::default()),
            Policy::ParBs => Memory::ParBs,
            _ => Memory::None,
        }
    }

    /// The class in which a request of `stream` arrives.
    #[inline]
    pub fn class(&self, stream: u8) -> u64 {
        match self {
            Memory::None => 0,
            Memory::Bliss(b) => b.class(stream),
            Memory::ParBs => parbs::UNMARKED,
        }
    }
}

/// Set in keys of requests that wait in a queue; opened requests come before all of them.
pub(super) const QUEUED: u64 = 1 << 63;
/// Lowest bit of the class, the most significant preference among queued requests.
pub(super) const CLASS_SHIFT: u32 = 60;
/// Added to row commands if column commands of the same class go first.
pub(super) const ROW_PENALTY: u64 = 1 << 59;
/// Lowest bit of the rank, the preference after class and hit.
pub(super) const RANK_SHIFT: u32 = 52;
/// The bits that count arrivals.
pub(super) const AGE_MASK: u64 = (1 << RANK_SHIFT) - 1;

/// The key of a queued request: class, then rank, then age; smaller is better.
pub(super) const fn key(class: u64, rank: u64, age: u64) -> u64 {
    QUEUED | (class << CLASS_SHIFT) | (rank << RANK_SHIFT) | (age & AGE_MASK)
}

/// Streams that the stream-aware policies tell apart.
pub const STREAMS: usize = 32;

/// The stream of an address. Request traces carry no requester, so a stream is a 16 MiB region (modulo 32).
pub const fn stream_of(addr: u64) -> u8 {
    (addr >> 24) as u8 & (STREAMS as u8 - 1)
}

/// Which queue a request waits in, as an index.
pub(super) const fn side(kind: Kind) -> usize {
    kind as usize
}

impl Channel {
    /// A request of `stream` was served at `ck`: policies with memory learn from it.
    #[inline]
    pub(super) fn after_service(&mut self, stream: u8, ck: u64) {
        match &mut self.memory {
            Memory::None => {}
            Memory::Bliss(b) => {
                if b.served(ck, stream) {
                    let memory = self.memory.clone();
                    self.rekey(|e| key(memory.class(e.stream), 0, e.key));
                }
            }
            Memory::ParBs => parbs::form_batches(self),
        }
    }

    /// Gives every queued request a new key.
    fn rekey(&mut self, mut new: impl FnMut(&Entry) -> u64) {
        let banks = self.banks;
        for queue in &mut self.queues {
            queue.for_each_mut(banks, |e| e.key = new(e));
        }
        for bank in 0..banks {
            self.rescan(bank);
        }
    }
}
