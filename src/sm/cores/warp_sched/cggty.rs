//! Compiler-guided greedy, then youngest: what recent NVIDIA sub-cores do (Huerta et al., MICRO'25).

use super::Scheduler;

#[inline(always)]
pub fn pick(scheduler: &Scheduler, candidates: u16) -> u8 {
    match candidates >> scheduler.last & 1 {
        1 => scheduler.last,
        _ => scheduler.youngest(candidates),
    }
}
