//! The observer of accesses to global memory: in SMs by instruction and CTA, in GPCs by slice, in channels by buffer.

use super::coalescing::Coalescing;
use super::misses::Misses;
use super::section::Memory as Section;
use super::slices::Slices;
use super::traffic::Traffic;
use crate::engine::Cycle;
use crate::error::Result;
use crate::ids::{SliceId, SmId};
use crate::mem::dram::DramProbe;
use crate::mem::{Line, Request, SectorMask};
use crate::probe::{Instrument, KernelStart, L1Access, MemoryInst, Probe, Setup, Unit, WarpRun};
use crate::research::runs::{Executed, Runs};
use crate::research::{Observe, Study};

/// Observes one unit, or all of them when they are merged. What a unit does not see stays empty.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(super) coalescing: Coalescing,
    pub(super) misses: Misses,
    pub(super) slices: Slices,
    pub(super) traffic: Traffic,
    /// Kernels that began on the idle chip.
    kernels: u32,
    /// The CTA of the memory instruction that entered last.
    cta: u64,
    runs: Runs,
    /// What runs as each program now.
    running: Vec<Running>,
}

/// A kernel that runs: its code, and how often it was executed.
#[derive(Clone, Debug, Default)]
struct Running {
    /// By place.
    pcs: Vec<u32>,
    executed: Executed,
}

impl Memory {
    /// Number of the kernel that runs.
    fn kernel(&self) -> u32 {
        self.kernels.saturating_sub(1)
    }

    /// Counts the runs that are over.
    #[inline(never)]
    fn follow_up(&mut self) {
        for run in self.runs.follow_up() {
            self.running[usize::from(run.program)].executed.add(&run);
        }
    }

    /// What ran as `program` is over.
    fn keep(&mut self, program: usize) {
        let running = std::mem::take(&mut self.running[program]);
        for (pc, times) in running.pcs.iter().zip(running.executed.times()) {
            if times.lanes > 0 {
                self.coalescing.executed(*pc, times.lanes);
            }
        }
    }

    /// All that ran is over.
    fn keep_all(&mut self) {
        self.runs.close_all();
        self.follow_up();
        for program in 0..self.running.len() {
            self.keep(program);
        }
    }
}

impl DramProbe for Memory {}

impl Probe for Memory {
    fn begin(&mut self, setup: &Setup) {
        match setup.unit {
            Unit::Sm(_) => self.runs = Runs::new(setup.spec.sm.warps_max.into()),
            Unit::Gpc(_) => self.slices = Slices::new(setup.spec),
            Unit::Shard(_) => self.traffic = Traffic::new(&setup.instruments.buffers),
        }
    }

    fn kernel_started(&mut self, _: Cycle, started: &KernelStart) {
        if started.alone {
            self.keep_all();
            self.kernels += 1;
            self.coalescing.begin_kernel(self.kernels - 1);
            self.traffic.begin_kernel();
        }
        let program = usize::from(started.program);
        if self.running.len() <= program {
            self.running.resize_with(program + 1, Running::default);
        }
        self.runs.close(started.program);
        self.follow_up();
        self.keep(program);
        self.running[program] = Running {
            pcs: started.insts.iter().map(|inst| inst.pc).collect(),
            executed: Executed::new(started.insts.len()),
        };
    }

    fn warp_started(&mut self, _: Cycle, _: SmId, warp: u8, program: u8) {
        self.runs.warp_started(warp, program);
    }

    #[inline]
    fn run_begun(&mut self, _: Cycle, run: &WarpRun) {
        if self.runs.begun(run) {
            self.follow_up();
        }
    }

    fn run_broken_off(&mut self, _: Cycle, warp: u8, place: u32) {
        self.runs.broken_off(warp, place);
    }

    fn memory_entered(&mut self, _: Cycle, inst: &MemoryInst) {
        self.cta = inst.cta;
        self.coalescing.entered(inst);
    }

    fn l1_accessed(&mut self, now: Cycle, access: &L1Access) {
        if !access.found.request.is_empty() {
            let (kernel, sm) = (self.kernel(), access.sm.0);
            self.misses.missed(kernel, access.line, now, sm, self.cta);
        }
    }

    fn request_routed(&mut self, now: Cycle, request: &Request, joined: bool) {
        if !joined {
            self.slices
                .routed(now, request.line, request.sectors.count());
        }
    }

    fn dram_asked(&mut self, _: Cycle, _: SliceId, line: Line, sectors: SectorMask, _: u32) {
        self.traffic.read(line, sectors);
    }

    fn dram_written(&mut self, _: Cycle, line: Line, sectors: SectorMask) {
        self.traffic.written(line, sectors);
    }

    fn merge(&mut self, mut other: Self) {
        other.keep_all();
        self.coalescing.merge(other.coalescing);
        self.misses.merge(other.misses);
        self.slices.merge(other.slices);
        self.traffic.merge(&other.traffic);
    }
}

impl Instrument for Memory {
    const FEATURE: &'static str = "memory-research";
}

impl Observe for Memory {
    type Section = Section;

    fn section(self, study: &Study) -> Result<Section> {
        Section::new(self, study)
    }
}
