//! Barrier-aware: first the warps that most of their CTA's other warps wait for at a barrier; among equals greedy,
//! then oldest (after Liu et al., "Barrier-aware warp scheduling for throughput processors", ICS 2016).

use super::{Scheduler, gto, least};
use std::cmp::Reverse;

#[inline(always)]
pub fn pick(scheduler: &Scheduler, candidates: u16) -> u8 {
    let awaited = least(candidates, |w| Reverse(scheduler.mates_waiting[w]));
    gto::pick(scheduler, awaited)
}
