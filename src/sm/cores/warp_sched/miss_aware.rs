//! Miss-aware: first the warps with the fewest memory instructions that wait for L2, so that warps that thrash the
//! cache issue fewer further loads; among equals greedy, then oldest.

use super::{Scheduler, gto, least};

#[inline(always)]
pub fn pick(scheduler: &Scheduler, candidates: u16) -> u8 {
    let calm = least(candidates, |w| scheduler.misses[w]);
    gto::pick(scheduler, calm)
}
