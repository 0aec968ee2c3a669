//! Warp schedulers: which of a sub-core's candidates issues.
//!
//! Contract: events go in, one decision comes out. A [`Scheduler`] hears of every warp that starts, ends, issues,
//! waits for memory or for its CTA at a barrier; [`Scheduler::pick`] is given the candidates of one cycle, at least
//! one, all of them able to issue as far as dependences go, and returns one of them. It is called again in the same
//! cycle with fewer candidates when the pick's pipe is busy, or when the pick may not issue (`ccws`, which looks at the
//! warps of all sub-cores and lets some of them not load). A policy decides by what these events told it, and by
//! nothing else.
//!
//! To add a policy: a file with its `pick`, a variant of `SchedulerPolicy` (`config/sm.rs`), a line in
//! [`Scheduler::pick`].

mod ages;
mod barrier_aware;
pub mod ccws;
mod cggty;
mod gto;
mod lrr;
mod miss_aware;
#[cfg(test)]
mod tests;
mod two_level;

use crate::config::{SchedulerPolicy, SmSpec};
use ages::Ages;

/// Warps of a sub-core at most; the masks are `u16`.
pub const WARPS_MAX: usize = crate::config::sm::WARPS_PER_SUB_CORE_MAX as usize;
const _: () = assert!(WARPS_MAX <= u16::BITS as usize);

/// The scheduler of one sub-core. Warps are numbered within the sub-core.
#[derive(Clone, Debug)]
pub struct Scheduler {
    policy: SchedulerPolicy,
    /// The warp that issued last.
    last: u8,
    live: u16,
    ages: Ages,
    /// Two-level: the active set, and how many warps it has at most.
    active: u16,
    active_max: u8,
    /// Memory instructions of each warp that wait for L2.
    misses: [u16; WARPS_MAX],
    /// Warps of each warp's CTA that wait at a barrier.
    mates_waiting: [u8; WARPS_MAX],
}

crate::engine::state! {
    Scheduler {
        units: [],
        values: [last, live, ages, active, misses, mates_waiting],
        left: [policy, active_max],
    }
}

impl Scheduler {
    /// A scheduler without warps.
    pub fn new(spec: &SmSpec) -> Self {
        Scheduler {
            policy: spec.scheduler,
            last: 0,
            live: 0,
            ages: Ages::new(),
            active: 0,
            active_max: spec.two_level_active_warps,
            misses: [0; WARPS_MAX],
            mates_waiting: [0; WARPS_MAX],
        }
    }

    /// A new, youngest warp; `mates_waiting` warps of its CTA wait at a barrier.
    pub fn launched(&mut self, warp: u8, mates_waiting: u8) {
        self.live |= 1 << warp;
        self.ages.launched(warp);
        self.mates_waiting[usize::from(warp)] = mates_waiting;
    }

    /// A warp issued its last instruction.
    pub fn exited(&mut self, warp: u8) {
        self.live &= !(1 << warp);
        self.ages.exited(warp);
        self.active &= !(1 << warp);
    }

    /// `warp` issued an instruction. Returns whether it also issued the one before.
    #[inline(always)]
    pub fn issued(&mut self, warp: u8) -> bool {
        std::mem::replace(&mut self.last, warp) == warp
    }

    /// A memory instruction of `warp` left the SM's pipe and waits for L2.
    #[inline(always)]
    pub fn missed(&mut self, warp: u8) {
        self.misses[usize::from(warp)] += 1;
    }

    /// One of these instructions has all its data.
    #[inline(always)]
    pub fn served(&mut self, warp: u8) {
        self.misses[usize::from(warp)] -= 1;
    }

    /// Whether the policy looks at barriers: telling every warp of a CTA costs time.
    #[inline(always)]
    pub fn hears_barriers(&self) -> bool {
        self.policy == SchedulerPolicy::BarrierAware
    }

    /// So many warps of the CTA of `warp` wait at a barrier now.
    pub fn barrier_changed(&mut self, warp: u8, mates_waiting: u8) {
        self.mates_waiting[usize::from(warp)] = mates_waiting;
    }

    /// The oldest live warp; there is one.
    pub fn first(&self) -> u8 {
        self.ages.oldest(self.live)
    }

    /// Picks one of `candidates` (not empty).
    #[inline(always)]
    pub fn pick(&mut self, candidates: u16) -> u8 {
        match self.policy {
            SchedulerPolicy::Cggty => cggty::pick(self, candidates),
            SchedulerPolicy::Gto | SchedulerPolicy::Ccws => gto::pick(self, candidates),
            SchedulerPolicy::Lrr => lrr::pick(self, candidates),
            SchedulerPolicy::TwoLevel => two_level::pick(self, candidates),
            SchedulerPolicy::BarrierAware => barrier_aware::pick(self, candidates),
            SchedulerPolicy::MissAware => miss_aware::pick(self, candidates),
        }
    }

    #[inline(always)]
    fn oldest(&self, candidates: u16) -> u8 {
        self.ages.oldest(candidates)
    }

    #[inline(always)]
    fn youngest(&self, candidates: u16) -> u8 {
        self.ages.youngest(candidates)
    }
}

/// The candidates for which `key` is least.
fn least<K: Ord + Copy>(candidates: u16, key: impl Fn(usize) -> K) -> u16 {
    let mut best = None;
    let mut mask = 0;
    for warp in (0..WARPS_MAX).filter(|w| candidates >> w & 1 == 1) {
        let value = key(warp);
        match best {
            Some(least) if value > least => continue,
            Some(least) if value == least => {}
            _ => mask = 0,
        }
        best = Some(value);
        mask |= 1 << warp;
    }
    mask
}
