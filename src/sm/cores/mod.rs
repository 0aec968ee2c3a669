//! The cores of an SM: four sub-cores, each with its issue slot, scheduler, pipes and register file, and the warps
//! that live on them.
//!
//! `issue` is one cycle of a sub-core, `scoreboard` says when a warp may issue next, `advance` moves it to its next
//! instruction, `regfile` counts the reads of the register banks.

mod advance;
mod issue;
pub mod regfile;
mod registers;
mod scoreboard;
pub mod subcore;
pub mod warp;
pub mod warp_sched;

use super::SUB_CORES;
use crate::config::GpuSpec;
use crate::mem::l1::L1;
use crate::stats::{IssueStats, SmStats};
use crate::trace::WarpStream;
use registers::Scoreboard;
use subcore::SubCore;
use warp::Warp;
use warp_sched::ccws::Locality;

/// Sub-cores and warps. Warp slot `s` belongs to sub-core `s % SUB_CORES`.
pub struct Cores {
    pub(in crate::sm) subs: [SubCore; SUB_CORES],
    pub(in crate::sm) warps: Vec<Warp>,
    /// Ready times of the registers.
    pub(in crate::sm) regs: Scoreboard,
    /// Instruction streams by slot.
    pub(in crate::sm) streams: Vec<WarpStream>,
    /// Slots in use.
    pub(in crate::sm) used: u64,
    pub(in crate::sm) issue: IssueStats,
    pub(in crate::sm) counters: SmStats,
    /// Warp and thread instructions by program slot.
    pub(in crate::sm) per_program: Vec<(u64, u64)>,
    /// Who may not load; begins anew with each kernel.
    pub(in crate::sm) locality: Locality,
}

crate::engine::state! {
    Cores {
        units: [subs],
        values: [warps, regs, used, issue, counters, per_program],
        left: [streams, locality],
    }
}

impl Cores {
    /// Without warps, above the cache `l1`.
    pub fn new<W: Copy>(spec: &GpuSpec, l1: &mut L1<W>) -> Self {
        let warps = usize::from(spec.sm.warps_max);
        Cores {
            subs: std::array::from_fn(|_| SubCore::new(&spec.sm)),
            warps: vec![Warp::empty(); warps],
            regs: Scoreboard::new(warps),
            streams: vec![WarpStream::default(); warps],
            used: 0,
            issue: IssueStats::default(),
            counters: SmStats::default(),
            per_program: Vec::new(),
            locality: Locality::new(spec, l1),
        }
    }
}
