//! The observer of SMs: lanes of each instruction, requests of each access, lines that L1 loses; and of memory shards: what
//! L2 fetches again.

use super::lanes::{Branch, Histogram, Kind, Piece};
use super::losses::{Access, AccessId, Losses, Who};
use super::refetches::Refetches;
use super::requests::{OnTheWay, Requests};
use super::section::Divergence as Section;
use crate::engine::Cycle;
use crate::error::Result;
use crate::ids::{SliceId, SmId};
use crate::mem::dram::DramProbe;
use crate::mem::{Line, SectorMask};
use crate::probe::{Instrument, KernelStart, L1Access, L1Evicted, MemoryInst, Probe, Setup, Unit};
use crate::research::by_pc::ByPc;
use crate::research::stores::StoresThatStay;
use crate::research::{Observe, Study};
use std::collections::BTreeMap;

/// Instructions of all kernels that are listed by pc: those of the first kernels, as far as they are no more than this.
pub const LISTED_MAX: usize = 1 << 15;

/// What was counted of an instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inst {
    kind: Kind,
    /// Its number among the details, from 1; 0 for none.
    detail: u32,
    /// Warp instructions.
    pub executed: u64,
    /// Active lanes, summed.
    pub lanes: u64,
}

/// What a branch did, or what an access asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Detail {
    pc: u32,
    /// Its number, if it was at memory.
    access: Option<AccessId>,
    branch: Branch,
    requests: Requests,
}

/// A kernel that runs.
#[derive(Clone, Debug, Default)]
struct Running {
    kernel: usize,
    listed: bool,
    insts: ByPc<Inst>,
    /// Of the instructions that have one.
    details: Vec<Detail>,
}

impl Running {
    /// That of the instruction at `pc`.
    fn detail(&mut self, pc: u32) -> &mut Detail {
        let inst = self.insts.at(pc);
        if inst.detail == 0 {
            self.details.push(Detail {
                pc,
                ..Detail::default()
            });
            inst.detail = self.details.len() as u32;
        }
        &mut self.details[inst.detail as usize - 1]
    }
}

/// What was counted of a kernel, by pc.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// Instructions that issued.
    pub insts: BTreeMap<u32, Inst>,
    /// Branches.
    pub branches: BTreeMap<u32, Branch>,
    /// Accesses.
    pub requests: BTreeMap<u32, Requests>,
}

/// A warp slot.
#[derive(Clone, Debug, Default)]
struct Warp {
    piece: Piece,
    on_the_way: OnTheWay,
    program: u8,
}

/// Observes an SM or a shard, or all of them when they are merged.
#[derive(Debug, Default)]
pub struct Divergence {
    /// Of all instructions.
    pub histogram: Histogram,
    /// Of all branches.
    pub branches: Branch,
    /// Of all accesses.
    pub requests: Requests,
    /// Lines that L1 lost.
    pub losses: Losses,
    /// Sectors that L2 fetched again.
    pub refetches: Refetches,
    /// The kernel that started last.
    kernel: usize,
    /// By kernel, in order of start; those that are listed.
    pub kernels: BTreeMap<usize, Kernel>,
    /// Kernels that are not listed.
    pub unlisted: usize,
    running: Vec<Running>,
    warps: Vec<Warp>,
    /// Instructions of the code of the kernels so far.
    insts: usize,
    stays: Option<StoresThatStay>,
    /// The access that entered the pipe last.
    last: Option<Who>,
}

impl Divergence {
    /// Puts what ran as `program` to the kernels.
    fn keep(&mut self, program: usize) {
        let running = std::mem::take(&mut self.running[program]);
        self.add(&running);
    }

    fn add(&mut self, running: &Running) {
        for detail in &running.details {
            self.branches.add(&detail.branch);
            self.requests.add(&detail.requests);
        }
        if !running.listed {
            return;
        }
        let kernel = self.kernels.entry(running.kernel).or_default();
        for (pc, inst) in running.insts.iter().filter(|(_, i)| i.executed > 0) {
            kernel.inst(pc, inst);
        }
        for detail in &running.details {
            if detail.branch.executed > 0 {
                kernel.branch(detail.pc, &detail.branch);
            }
            if detail.requests != Requests::default() {
                kernel.requests(detail.pc, &detail.requests);
            }
        }
    }
}

impl Kernel {
    fn inst(&mut self, pc: u32, more: &Inst) {
        let sum = self.insts.entry(pc).or_default();
        sum.executed += more.executed;
        sum.lanes += more.lanes;
    }

    fn branch(&mut self, pc: u32, more: &Branch) {
        self.branches.entry(pc).or_default().add(more);
    }

    fn requests(&mut self, pc: u32, more: &Requests) {
        self.requests.entry(pc).or_default().add(more);
    }

    fn merge(&mut self, other: &Self) {
        for (pc, inst) in &other.insts {
            self.inst(*pc, inst);
        }
        for (pc, branch) in &other.branches {
            self.branch(*pc, branch);
        }
        for (pc, requests) in &other.requests {
            self.requests(*pc, requests);
        }
    }
}

impl DramProbe for Divergence {}

impl Probe for Divergence {
    fn begin(&mut self, setup: &Setup) {
        if let Unit::Sm(_) = setup.unit {
            let l1 = &setup.spec.l1;
            self.losses = Losses::new((l1.unified_bytes / l1.line_bytes) as usize);
            self.stays = Some(StoresThatStay::new(l1));
            let slots = usize::from(setup.spec.sm.warps_max);
            self.warps.resize_with(slots, Warp::default);
        }
    }

    fn kernel_started(&mut self, _: Cycle, started: &KernelStart) {
        self.kernel = started.kernel;
        self.insts += started.insts.len();
        let listed = started.kernel == 0 || self.insts <= LISTED_MAX;
        self.unlisted += usize::from(!listed);
        let program = usize::from(started.program);
        if self.warps.is_empty() {
            return; // it is no SM
        }
        if self.running.len() <= program {
            self.running.resize_with(program + 1, Running::default);
        }
        self.keep(program);
        let running = &mut self.running[program];
        (running.kernel, running.listed) = (started.kernel, listed);
        for inst in started.insts {
            running.insts.at(inst.pc).kind = Kind::of(inst);
        }
    }

    fn warp_started(&mut self, _: Cycle, _: SmId, warp: u8, program: u8) {
        let warp = &mut self.warps[usize::from(warp)];
        (warp.piece, warp.program) = (Piece::default(), program);
        warp.on_the_way.clear();
    }

    #[inline]
    fn warp_issued(&mut self, _: Cycle, _: SmId, warp: u8, program: u8, pc: u32, mask: u32) {
        let running = &mut self.running[usize::from(program)];
        let warp = &mut self.warps[usize::from(warp)];
        let lanes = match mask {
            u32::MAX => 32, // by far the most
            _ => mask.count_ones(),
        };
        let inst = running.insts.at(pc);
        inst.executed += 1;
        inst.lanes += u64::from(lanes);
        let kind = inst.kind;
        self.histogram.add(lanes, kind);
        warp.on_the_way.issued(pc, lanes, kind);
        let (before, own) = warp.piece.issued(pc, mask, kind);
        if let Some(issued) = own {
            running.detail(pc).branch.add(&Branch {
                executed: 1,
                lanes: issued.lanes.count_ones().into(),
                splits: issued.split.into(),
            });
        }
        if let Some(pc) = before {
            running.detail(pc).branch.splits += 1;
        }
    }

    fn memory_entered(&mut self, _: Cycle, inst: &MemoryInst) {
        let warp = &mut self.warps[usize::from(inst.warp)];
        let running = &mut self.running[usize::from(warp.program)];
        let access = Access {
            kernel: running.kernel as u32,
            pc: inst.pc,
        };
        let detail = running.detail(inst.pc);
        let number = || self.losses.number(access);
        let who = Who {
            access: *detail.access.get_or_insert_with(number),
            cta: inst.cta as u32,
        };
        self.last = Some(who);
        if inst.op.is_none() {
            return; // a shuffle
        }
        let lanes = warp.on_the_way.entered(inst.pc);
        if let Some(request) = Requests::one(inst, lanes) {
            detail.requests.add(&request);
        }
        for line in self.stays.iter().flat_map(|stays| stays.lines(inst)) {
            self.losses.stored(line.line, line.full, who);
        }
    }

    fn l1_accessed(&mut self, now: Cycle, access: &L1Access) {
        if let Some(who) = self.last {
            self.losses.loaded(now, access, who);
        }
    }

    fn l1_filled(&mut self, _: Cycle, _: SmId, line: Line, sectors: SectorMask, _: usize) {
        self.losses.filled(line, sectors);
    }

    fn l1_evicted(&mut self, now: Cycle, evicted: &L1Evicted) {
        self.losses.evicted(now, evicted);
    }

    fn l1_emptied(&mut self, _: Cycle, _: SmId) {
        self.losses.emptied();
    }

    fn dram_asked(&mut self, _: Cycle, _: SliceId, line: Line, sectors: SectorMask, _: u32) {
        self.refetches.fetched(line, sectors, self.kernel as u32);
    }

    fn merge(&mut self, other: Self) {
        self.histogram.merge(&other.histogram);
        self.branches.add(&other.branches);
        self.requests.add(&other.requests);
        self.losses.merge(other.losses);
        self.refetches.merge(other.refetches);
        self.unlisted = self.unlisted.max(other.unlisted);
        for (number, kernel) in &other.kernels {
            self.kernels.entry(*number).or_default().merge(kernel);
        }
        for running in &other.running {
            self.add(running);
        }
    }
}

impl Instrument for Divergence {
    const FEATURE: &'static str = "memory-divergence-research";
}

impl Observe for Divergence {
    type Section = Section;

    fn section(self, study: &Study) -> Result<Section> {
        Ok(Section::new(&self, study))
    }
}
