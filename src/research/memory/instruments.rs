//! The observer of accesses to global memory: in SMs by instruction and CTA, in GPCs by slice, in channels by buffer.

use super::coalescing::Coalescing;
use super::misses::Misses;
use super::section::Memory as Section;
use super::slices::Slices;
use super::traffic::Traffic;
use crate::engine::Cycle;
use crate::error::Result;
use crate::ids::SliceId;
use crate::mem::dram::DramProbe;
use crate::mem::{Line, Request, SectorMask};
use crate::probe::{Instrument, KernelStart, L1Access, MemoryInst, Probe, Setup, Unit, WarpInst};
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
}

impl Memory {
    /// Number of the kernel that runs.
    fn kernel(&self) -> u32 {
        self.kernels.saturating_sub(1)
    }
}

impl DramProbe for Memory {}

impl Probe for Memory {
    fn begin(&mut self, setup: &Setup) {
        match setup.unit {
            Unit::Sm(_) => {}
            Unit::Gpc(_) => self.slices = Slices::new(setup.spec),
            Unit::Shard(_) => self.traffic = Traffic::new(&setup.instruments.buffers),
        }
    }

    fn kernel_started(&mut self, _: Cycle, started: &KernelStart) {
        if !started.alone {
            return;
        }
        self.kernels += 1;
        self.coalescing.begin_kernel(self.kernels - 1);
        self.traffic.begin_kernel();
    }

    fn warp_issued(&mut self, _: Cycle, inst: &WarpInst) {
        self.coalescing.issued(inst.pc, inst.mask);
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

    fn merge(&mut self, other: Self) {
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
