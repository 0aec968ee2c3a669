//! The instructions that an SM issues in a window of time, one by one (feature `gpu-profiling-research`).

use super::{KernelStart, Probe, Setup, Unit, WarpInst};
use crate::engine::Cycle;
use crate::ids::SmId;
use crate::mem::dram::DramProbe;
use crate::stats::Label;

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssueWindow {
    /// The SM.
    pub sm: u16,
    /// First cycle.
    pub from: Cycle,
    /// First cycle behind it.
    pub to: Cycle,
}

/// An instruction that issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Cycle.
    pub at: Cycle,
    /// Warp slot.
    pub warp: u8,
    /// Kernel, in order of start.
    pub kernel: usize,
    /// Byte offset of the instruction.
    pub pc: u32,
    /// Active lanes.
    pub mask: u32,
    /// Slots that the sub-core lost before it, and why: at most two reasons, 0 slots where there is none.
    pub lost: [(Label, u64); 2],
}

impl Issue {
    /// The reasons that there are.
    pub fn lost(&self) -> impl Iterator<Item = (Label, u64)> {
        self.lost.into_iter().filter(|(_, slots)| *slots > 0)
    }
}

/// Logs an SM, or is what all have logged when they are merged.
#[derive(Debug, Default)]
pub struct IssueLog {
    window: Option<IssueWindow>,
    /// Number of the kernel by program.
    kernels: Vec<usize>,
    issues: Vec<Issue>,
}

impl IssueLog {
    /// In the order of the cycles; those of one cycle by warp slot.
    pub fn issues(&self) -> Vec<Issue> {
        let mut issues = self.issues.clone();
        issues.sort_by_key(|issue| (issue.at, issue.warp));
        issues
    }
}

impl DramProbe for IssueLog {}

impl Probe for IssueLog {
    fn begin(&mut self, setup: &Setup) {
        let asked = setup.instruments.issues;
        self.window = asked.filter(|w| setup.unit == Unit::Sm(SmId(w.sm)));
    }

    fn kernel_started(&mut self, _: Cycle, started: &KernelStart) {
        let program = usize::from(started.program);
        if self.kernels.len() <= program {
            self.kernels.resize(program + 1, started.kernel);
        }
        self.kernels[program] = started.kernel;
    }

    fn warp_issued(&mut self, now: Cycle, inst: &WarpInst) {
        if self.window.is_some_and(|w| (w.from..w.to).contains(&now)) {
            self.issues.push(Issue {
                at: now,
                warp: inst.warp,
                kernel: self.kernels[usize::from(inst.program)],
                pc: inst.pc,
                mask: inst.mask,
                lost: [(Label::Misc, 0); 2],
            });
        }
    }

    /// Follows the issue that it stands before.
    fn slots_lost(&mut self, now: Cycle, inst: &WarpInst, (label, slots): (Label, u64)) {
        let Some(issue) = self.issues.last_mut() else {
            return;
        };
        if (issue.at, issue.warp) == (now, inst.warp) {
            let free = usize::from(issue.lost[0].1 > 0);
            issue.lost[free] = (label, slots);
        }
    }

    fn merge(&mut self, other: Self) {
        self.issues.extend(other.issues);
    }
}
