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

/// Bytes that pcs of all architectures are multiples of.
const PC_STEP: u32 = 8;
/// Instructions below this pc are found by their place; a trace may have some anywhere within 4 GiB.
const NEAR_BYTES: u32 = 1 << 20;

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
pub(super) struct Kernel {
    /// Those below [`NEAR_BYTES`], by pc in steps of [`PC_STEP`].
    near: Vec<Counts>,
    /// All others, by pc.
    far: BTreeMap<u32, Counts>,
}

impl Kernel {
    #[inline]
    fn at(&mut self, pc: u32) -> &mut Counts {
        if pc >= NEAR_BYTES || !pc.is_multiple_of(PC_STEP) {
            return self.far.entry(pc).or_default();
        }
        let place = (pc / PC_STEP) as usize;
        if place >= self.near.len() {
            self.near.resize_with(place + 1, Counts::default);
        }
        &mut self.near[place]
    }

    fn add(&mut self, other: &Self) {
        for (pc, counts) in other.seen() {
            self.at(pc).add(counts);
        }
    }

    /// Those that were seen, with their pcs.
    pub fn seen(&self) -> impl Iterator<Item = (u32, &Counts)> {
        let near = (0u32..).step_by(PC_STEP as usize).zip(&self.near);
        let far = self.far.iter().map(|(pc, counts)| (*pc, counts));
        near.chain(far).filter(|(_, counts)| counts.issued > 0)
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
        Ok(Profile::new(&self.kernels, study))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neighbours that a step would put together, and code at the end of 4 GiB, which must not take memory by its place.
    #[test]
    fn pcs_anywhere_are_counted_apart() {
        let mut kernel = Kernel::default();
        let pcs = [0, 4, 16, NEAR_BYTES - 8, NEAR_BYTES, u32::MAX - 15];
        for (times, pc) in (1..).zip(pcs) {
            kernel.at(pc).issued += times;
        }
        let mut sum = kernel.clone();
        sum.add(&kernel);
        let mut seen: Vec<(u32, u64)> = sum.seen().map(|(pc, c)| (pc, c.issued)).collect();
        seen.sort_unstable();
        let expected: Vec<(u32, u64)> = pcs.into_iter().zip((1..).map(|times| 2 * times)).collect();
        assert_eq!(seen, expected);
        assert!(sum.near.len() <= (NEAR_BYTES / PC_STEP) as usize);
    }
}
