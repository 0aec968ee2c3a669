//! Counts, for each instruction of each kernel, how often it issued, with how many lanes, and the slots that its warps lost
//! before it. All of it is noted, and counted many at a time: see `src/research/runs.rs`.

use super::section::Profile;
use crate::engine::Cycle;
use crate::error::Result;
use crate::ids::SmId;
use crate::mem::dram::DramProbe;
use crate::probe::{Instrument, KernelStart, Probe, Setup, Unit, WarpInst, WarpRun};
use crate::research::runs::{Executed, Runs};
use crate::research::{Observe, Study};
use crate::stats::{IssueStats, Label};
use std::collections::BTreeMap;

/// Losses that are noted before they are counted.
const NOTED_MAX: usize = 2048;

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

/// The instructions of one kernel that were seen, by pc.
#[derive(Clone, Debug, Default)]
pub(super) struct Kernel(BTreeMap<u32, Counts>);

impl Kernel {
    /// Those that were seen, with their pcs.
    pub fn seen(&self) -> impl Iterator<Item = (u32, &Counts)> {
        self.0.iter().map(|(pc, counts)| (*pc, counts))
    }
}

/// Slots that were lost before an instruction, for one reason.
#[derive(Clone, Copy, Debug)]
struct Lost {
    /// Its place.
    place: u32,
    /// Program.
    program: u8,
    label: Label,
    slots: u16,
}

const _: () = assert!(size_of::<Lost>() == 8);

/// What runs as a program now.
#[derive(Clone, Debug, Default)]
struct Running {
    /// Number of the kernel.
    kernel: usize,
    executed: Executed,
    /// By place: pc, and slots lost.
    insts: Vec<(u32, IssueStats)>,
}

/// Observes an SM, or all of them when they are merged.
#[derive(Debug, Default)]
pub struct Sources {
    runs: Runs,
    /// Losses that are not counted yet.
    noted: Vec<Lost>,
    /// By program.
    running: Vec<Running>,
    /// By kernel, in order of start.
    kernels: BTreeMap<usize, Kernel>,
    /// It observes an SM.
    sm: bool,
}

impl Sources {
    /// Counts the runs that are over.
    #[inline(never)]
    fn count_runs(&mut self) {
        for run in self.runs.follow_up() {
            self.running[usize::from(run.program)].executed.add(&run);
        }
    }

    /// Counts the losses that are noted.
    #[inline(never)]
    fn count_losses(&mut self) {
        for lost in self.noted.drain(..) {
            let running = &mut self.running[usize::from(lost.program)];
            let (_, counts) = &mut running.insts[lost.place as usize];
            counts.add(lost.label, lost.slots.into());
        }
    }

    /// Puts what ran as `program` to the kernels.
    fn keep(&mut self, program: usize) {
        let running = std::mem::take(&mut self.running[program]);
        let kernel = self.kernels.entry(running.kernel).or_default();
        for ((pc, lost), times) in running.insts.iter().zip(running.executed.times()) {
            if times.warps > 0 {
                let counts = kernel.0.entry(*pc).or_default();
                counts.issued += times.warps;
                counts.lanes += times.lanes;
                counts.lost += lost;
            }
        }
    }
}

impl DramProbe for Sources {}

impl Probe for Sources {
    fn begin(&mut self, setup: &Setup) {
        if let Unit::Sm(_) = setup.unit {
            self.sm = true;
            self.runs = Runs::new(setup.spec.sm.warps_max.into());
            self.noted.reserve_exact(NOTED_MAX);
        }
    }

    fn kernel_started(&mut self, _: Cycle, started: &KernelStart) {
        if !self.sm {
            return;
        }
        let program = usize::from(started.program);
        if self.running.len() <= program {
            self.running.resize_with(program + 1, Running::default);
        }
        self.runs.close(started.program);
        self.count_runs();
        self.count_losses();
        self.keep(program);
        let inst = |inst: &crate::isa::StaticInst| (inst.pc, IssueStats::default());
        self.running[program] = Running {
            kernel: started.kernel,
            executed: Executed::new(started.insts.len()),
            insts: started.insts.iter().map(inst).collect(),
        };
    }

    fn warp_started(&mut self, _: Cycle, _: SmId, warp: u8, program: u8) {
        self.runs.warp_started(warp, program);
    }

    #[inline]
    fn run_begun(&mut self, _: Cycle, run: &WarpRun) {
        if self.runs.begun(run) {
            self.count_runs();
        }
    }

    fn run_broken_off(&mut self, _: Cycle, warp: u8, place: u32) {
        self.runs.broken_off(warp, place);
    }

    #[inline]
    fn slots_lost(&mut self, _: Cycle, inst: &WarpInst, (label, slots): (Label, u64)) {
        let mut left = slots;
        loop {
            let slots = left.min(u16::MAX.into()) as u16;
            self.noted.push(Lost {
                place: inst.place,
                program: inst.program,
                label,
                slots,
            });
            if self.noted.len() >= NOTED_MAX {
                self.count_losses();
            }
            left -= u64::from(slots);
            if left == 0 {
                return;
            }
        }
    }

    fn merge(&mut self, mut other: Self) {
        other.runs.close_all();
        other.count_runs();
        other.count_losses();
        for program in 0..other.running.len() {
            other.keep(program);
        }
        for (number, seen) in other.kernels {
            let kernel = self.kernels.entry(number).or_default();
            for (pc, more) in seen.0 {
                let counts = kernel.0.entry(pc).or_default();
                counts.issued += more.issued;
                counts.lanes += more.lanes;
                counts.lost += &more.lost;
            }
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
