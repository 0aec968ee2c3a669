//! Warp schedulers: which of a sub-core's candidates issues.
//!
//! Contract: [`pick`] is given the candidates of one cycle, at least one, all of them able to issue
//! as far as dependences go; it returns one of them and may not look at anything else than age and
//! history. It is called again in the same cycle with fewer candidates when the pick's pipe is busy.

mod cggty;
mod gto;
mod lrr;
mod two_level;

use crate::config::SchedulerPolicy;

/// Warps of a sub-core at most; the masks are `u16`.
pub const WARPS_MAX: usize = crate::config::sm::WARPS_PER_SUB_CORE_MAX as usize;
const _: () = assert!(WARPS_MAX <= u16::BITS as usize);

/// What a scheduler knows of its warps.
#[derive(Clone, Debug)]
pub struct History {
    /// The warp that issued last.
    pub last: u8,
    /// Live warps, oldest first.
    pub by_age: [u8; WARPS_MAX],
    /// How many of them.
    pub live: u8,
    /// Two-level: the active set.
    pub active: u16,
}

impl Default for History {
    fn default() -> Self {
        History {
            last: 0,
            by_age: [0; WARPS_MAX],
            live: 0,
            active: 0,
        }
    }
}

impl History {
    /// A new, youngest warp.
    pub fn launched(&mut self, warp: u8) {
        self.by_age[usize::from(self.live)] = warp;
        self.live += 1;
    }

    /// A warp is gone.
    pub fn exited(&mut self, warp: u8) {
        let live = usize::from(self.live);
        if let Some(at) = self.by_age[..live].iter().position(|&w| w == warp) {
            self.by_age.copy_within(at + 1..live, at);
            self.live -= 1;
        }
        self.active &= !(1 << warp);
    }

    #[inline(always)]
    fn oldest(&self, candidates: u16) -> u8 {
        let ages = &self.by_age[..usize::from(self.live)];
        ages.iter()
            .copied()
            .find(|&w| candidates >> w & 1 == 1)
            .unwrap_or(0)
    }

    #[inline(always)]
    fn youngest(&self, candidates: u16) -> u8 {
        let ages = &self.by_age[..usize::from(self.live)];
        ages.iter()
            .rev()
            .copied()
            .find(|&w| candidates >> w & 1 == 1)
            .unwrap_or(0)
    }
}

/// Picks one of `candidates` (not empty).
#[inline(always)]
pub fn pick(policy: SchedulerPolicy, history: &mut History, candidates: u16, active_max: u8) -> u8 {
    match policy {
        SchedulerPolicy::Cggty => cggty::pick(history, candidates),
        SchedulerPolicy::Gto => gto::pick(history, candidates),
        SchedulerPolicy::Lrr => lrr::pick(history, candidates),
        SchedulerPolicy::TwoLevel => two_level::pick(history, candidates, active_max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(ages: &[u8], last: u8) -> History {
        let mut h = History {
            last,
            ..History::default()
        };
        ages.iter().for_each(|&w| h.launched(w));
        h
    }

    #[test]
    fn greedy_schedulers_stay_with_the_last_warp() {
        let mut h = history(&[3, 1, 2], 1);
        for policy in [SchedulerPolicy::Gto, SchedulerPolicy::Cggty] {
            assert_eq!(pick(policy, &mut h, 0b1110, 8), 1);
        }
    }

    #[test]
    fn then_oldest_or_youngest() {
        let mut h = history(&[3, 1, 2], 1);
        assert_eq!(pick(SchedulerPolicy::Gto, &mut h, 0b1100, 8), 3);
        assert_eq!(pick(SchedulerPolicy::Cggty, &mut h, 0b1100, 8), 2);
        h.exited(3);
        assert_eq!(pick(SchedulerPolicy::Gto, &mut h, 0b0110, 8), 1);
    }

    #[test]
    fn round_robin_goes_on_after_the_last() {
        let mut h = history(&[0, 1, 2, 3], 2);
        assert_eq!(pick(SchedulerPolicy::Lrr, &mut h, 0b1011, 8), 3);
        assert_eq!(pick(SchedulerPolicy::Lrr, &mut h, 0b0111, 8), 0);
    }

    #[test]
    fn two_level_keeps_to_its_active_set() {
        let mut h = history(&[0, 1, 2, 3], 0);
        assert_eq!(pick(SchedulerPolicy::TwoLevel, &mut h, 0b1111, 2), 1);
        assert_eq!(h.active, 0b0011);
        h.last = 1;
        assert_eq!(pick(SchedulerPolicy::TwoLevel, &mut h, 0b1101, 2), 0);
        assert_eq!(pick(SchedulerPolicy::TwoLevel, &mut h, 0b1100, 2), 2);
    }
}
