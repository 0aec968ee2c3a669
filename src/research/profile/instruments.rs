//! Counts, for each instruction of each kernel, how often it issued, with how many lanes, and the slots that its warps lost
//! before it.

use super::section::Profile;
use crate::engine::Cycle;
use crate::error::Result;
use crate::ids::SmId;
use crate::mem::dram::DramProbe;
use crate::probe::{Instrument, KernelStart, Probe};
use crate::research::by_pc::ByPc;
use crate::research::{Observe, Study};
use crate::stats::{IssueStats, Label};
use std::collections::BTreeMap;

/// What was counted of an instruction.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Warp instructions.
    pub issued: u64,
    /// Active lanes, summed.
    pub lanes: u64,
    /// Slots that were lost before it.
    pub lost: IssueStats,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.issued += other.issued;
        self.lanes += other.lanes;
        self.lost += &other.lost;
    }
}

/// The instructions of one kernel.
#[derive(Clone, Debug, Default)]
pub(super) struct Kernel(ByPc<Counts>);

impl Kernel {
    fn add(&mut self, other: &Self) {
        for (pc, counts) in other.seen() {
            self.0.at(pc).add(counts);
        }
    }

    /// Those that were seen, with their pcs.
    pub fn seen(&self) -> impl Iterator<Item = (u32, &Counts)> {
        self.0.iter().filter(|(_, counts)| counts.issued > 0)
    }
}

/// Observes an SM, or all of them when they are merged.
#[derive(Debug, Default)]
pub struct Sources {
    /// What runs as each program now: number of the kernel.
    running: Vec<usize>,
    /// By kernel, in order of start.
    kernels: BTreeMap<usize, Kernel>,
    /// What runs as each program now.
    now: Vec<Kernel>,
}

impl Sources {
    /// Puts what runs as `program` to the kernels.
    fn keep(&mut self, program: usize) {
        let counts = std::mem::take(&mut self.now[program]);
        self.add(self.running[program], &counts);
    }

    fn add(&mut self, kernel: usize, counts: &Kernel) {
        self.kernels.entry(kernel).or_default().add(counts);
    }
}

impl DramProbe for Sources {}

impl Probe for Sources {
    fn kernel_started(&mut self, _: Cycle, started: &KernelStart) {
        let (program, kernel) = (usize::from(started.program), started.kernel);
        if self.now.len() <= program {
            self.now.resize_with(program + 1, Kernel::default);
            self.running.resize(program + 1, kernel);
        }
        self.keep(program);
        self.running[program] = kernel;
    }

    #[inline]
    fn warp_issued(&mut self, _: Cycle, _: SmId, _: u8, program: u8, pc: u32, mask: u32) {
        let counts = self.now[usize::from(program)].0.at(pc);
        counts.issued += 1;
        counts.lanes += u64::from(mask.count_ones());
    }

    #[inline]
    fn slots_lost(
        &mut self,
        _: Cycle,
        _: SmId,
        _: u8,
        program: u8,
        pc: u32,
        (label, slots): (Label, u64),
    ) {
        self.now[usize::from(program)]
            .0
            .at(pc)
            .lost
            .add(label, slots);
    }

    fn merge(&mut self, other: Self) {
        for (kernel, counts) in &other.kernels {
            self.add(*kernel, counts);
        }
        for (kernel, counts) in other.running.iter().zip(&other.now) {
            self.add(*kernel, counts);
        }
    }
}

impl Instrument for Sources {
    const FEATURE: &'static str = "gpu-profiling-research";
}

impl Observe for Sources {
    type Section = Profile;

    fn section(self, study: &Study) -> Result<Profile> {
        Profile::new(&self.kernels, study)
    }
}
