//! Counts, for each instruction of each kernel, how often it issued, with how many lanes, and the slots that its warps lost
//! before it.

use super::section::Profile;
use crate::engine::Cycle;
use crate::error::Result;
use crate::ids::SmId;
use crate::mem::dram::DramProbe;
use crate::probe::{Instrument, Probe};
use crate::research::{Observe, Study};
use crate::stats::{IssueStats, Label};
use std::collections::BTreeMap;

/// Bytes of an instruction from which pcs are multiples: those of all architectures since sm_70 are 16, of traces perhaps 8.
const PC_STEP: u32 = 8;

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

/// The instructions of one kernel, by pc in steps of [`PC_STEP`].
#[derive(Clone, Debug, Default)]
pub(super) struct Kernel(Vec<Counts>);

impl Kernel {
    #[inline]
    fn at(&mut self, pc: u32) -> &mut Counts {
        let place = (pc / PC_STEP) as usize;
        if place >= self.0.len() {
            self.0.resize_with(place + 1, Counts::default);
        }
        &mut self.0[place]
    }

    /// Those that were seen, with their pcs.
    pub fn seen(&self) -> impl Iterator<Item = (u32, &Counts)> {
        let all = (0u32..).step_by(PC_STEP as usize).zip(&self.0);
        all.filter(|(_, counts)| counts.issued > 0)
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
        let counts = std::mem::take(&mut self.now[program].0);
        add(&mut self.kernels, self.running[program], &counts);
    }
}

fn add(kernels: &mut BTreeMap<usize, Kernel>, kernel: usize, counts: &[Counts]) {
    let all = &mut kernels.entry(kernel).or_default().0;
    if all.len() < counts.len() {
        all.resize_with(counts.len(), Counts::default);
    }
    for (sum, more) in all.iter_mut().zip(counts) {
        sum.add(more);
    }
}

impl DramProbe for Sources {}

impl Probe for Sources {
    fn kernel_started(&mut self, _: Cycle, program: u8, kernel: usize) {
        let program = usize::from(program);
        if self.now.len() <= program {
            self.now.resize_with(program + 1, Kernel::default);
            self.running.resize(program + 1, kernel);
        }
        self.keep(program);
        self.running[program] = kernel;
    }

    #[inline]
    fn warp_issued(&mut self, _: Cycle, _: SmId, _: u8, program: u8, pc: u32, mask: u32) {
        let counts = self.now[usize::from(program)].at(pc);
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
        self.now[usize::from(program)].at(pc).lost.add(label, slots);
    }

    fn merge(&mut self, other: &Self) {
        for (kernel, counts) in &other.kernels {
            add(&mut self.kernels, *kernel, &counts.0);
        }
        for (kernel, counts) in other.running.iter().zip(&other.now) {
            add(&mut self.kernels, *kernel, &counts.0);
        }
    }
}

impl Instrument for Sources {
    const FEATURE: &'static str = "gpu-profiling-research";
}

impl Observe for Sources {
    type Section = Profile;

    fn section(self, study: &Study) -> Result<Profile> {
        Ok(Profile::new(&self.kernels, study))
    }
}
