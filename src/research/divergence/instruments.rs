//! The observer of SMs: lanes of each instruction, requests of each access, lines that L1 loses; and of memory shards: what
//! L2 fetches again.

use super::code::Code;
use super::lanes::{Branch, Histogram, Piece};
use super::losses::{Access, AccessId, Losses, Who};
use super::refetches::Refetches;
use super::requests::{OnTheWay, Requests};
use super::section::Divergence as Section;
use crate::engine::Cycle;
use crate::error::Result;
use crate::ids::{SliceId, SmId};
use crate::mem::dram::DramProbe;
use crate::mem::{Line, SectorMask};
use crate::probe::{
    Instrument, KernelStart, L1Access, L1Evicted, MemoryInst, Probe, Setup, Unit, WarpRun,
};
use crate::research::runs::{Executed, Runs};
use crate::research::stores::StoresThatStay;
use crate::research::{Observe, Study};
use std::collections::BTreeMap;

/// Instructions of all kernels that are listed by pc: those of the first kernels, as far as they are no more than this.
pub const LISTED_MAX: usize = 1 << 15;

/// What was counted of an instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inst {
    /// Warp instructions.
    pub executed: u64,
    /// Active lanes, summed.
    pub lanes: u64,
}

/// An instruction that entered the pipe: what it asked for.
#[derive(Clone, Copy, Debug)]
struct Detail {
    pc: u32,
    /// Its number.
    access: AccessId,
    requests: Requests,
}

/// A kernel that runs.
#[derive(Clone, Debug, Default)]
struct Running {
    kernel: usize,
    listed: bool,
    code: Code,
    executed: Executed,
    /// By place, of those that are branches.
    branches: Vec<Branch>,
    /// Of the instructions that entered the pipe.
    details: Vec<Detail>,
    /// By place which of them it is, from 1; 0 for none.
    numbers: Vec<u32>,
}

impl Running {
    fn new(started: &KernelStart, listed: bool) -> Self {
        let count = started.insts.len();
        Running {
            kernel: started.kernel,
            listed,
            code: Code::new(started.insts),
            executed: Executed::new(count),
            branches: vec![Branch::default(); count],
            details: Vec::new(),
            numbers: vec![0; count],
        }
    }

    /// That of `inst`, which gets a number of `losses` if it has none.
    fn detail(&mut self, inst: &MemoryInst, losses: &mut Losses) -> &mut Detail {
        let number = &mut self.numbers[inst.place as usize];
        if *number == 0 {
            let access = Access {
                kernel: self.kernel as u32,
                pc: inst.pc,
            };
            self.details.push(Detail {
                pc: inst.pc,
                access: losses.number(access),
                requests: Requests::default(),
            });
            *number = self.details.len() as u32;
        }
        &mut self.details[*number as usize - 1]
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
    runs: Runs,
    /// By warp slot.
    pieces: Vec<Piece>,
    on_the_way: OnTheWay,
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

    /// Counts the runs that are over.
    #[inline(never)]
    fn follow_up(&mut self) {
        for run in self.runs.follow_up() {
            let piece = &mut self.pieces[usize::from(run.warp)];
            if run.another {
                *piece = Piece::default();
            }
            if run.length() == 0 {
                continue;
            }
            let running = &mut self.running[usize::from(run.program)];
            running.executed.add(&run);
            let memory = running.code.memory_of(&run);
            self.histogram.add(run.lanes(), run.length(), memory);
            running.code.follow(&run, piece, &mut running.branches);
        }
    }

    fn add(&mut self, running: &Running) {
        for branch in &running.branches {
            self.branches.add(branch);
        }
        for detail in &running.details {
            self.requests.add(&detail.requests);
        }
        if !running.listed {
            return;
        }
        let kernel = self.kernels.entry(running.kernel).or_default();
        for (place, times) in (0..).zip(running.executed.times()) {
            if times.warps > 0 {
                let inst = Inst {
                    executed: times.warps,
                    lanes: times.lanes,
                };
                kernel.inst(running.code.pc(place), &inst);
            }
        }
        for (place, branch) in (0..).zip(&running.branches) {
            if branch.executed > 0 {
                kernel.branch(running.code.pc(place), branch);
            }
        }
        for detail in &running.details {
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
            self.runs = Runs::new(slots);
            self.pieces = vec![Piece::default(); slots];
        }
    }

    fn kernel_started(&mut self, _: Cycle, started: &KernelStart) {
        self.kernel = started.kernel;
        self.insts += started.insts.len();
        let listed = started.kernel == 0 || self.insts <= LISTED_MAX;
        self.unlisted += usize::from(!listed);
        let program = usize::from(started.program);
        if self.pieces.is_empty() {
            return; // it is no SM
        }
        if self.running.len() <= program {
            self.running.resize_with(program + 1, Running::default);
        }
        self.runs.close(started.program);
        self.follow_up();
        self.keep(program);
        self.running[program] = Running::new(started, listed);
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

    #[inline]
    fn memory_queued(&mut self, _: Cycle, warp: u8, mask: u32) {
        self.on_the_way.queued(warp, mask);
    }

    fn memory_entered(&mut self, _: Cycle, inst: &MemoryInst) {
        let running = &mut self.running[usize::from(inst.program)];
        let detail = running.detail(inst, &mut self.losses);
        let who = Who {
            access: detail.access,
            cta: inst.cta as u32,
        };
        self.last = Some(who);
        if inst.op.is_none() {
            return; // a shuffle
        }
        let lanes = self.on_the_way.entered(inst.warp);
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

    fn merge(&mut self, mut other: Self) {
        other.runs.close_all();
        other.follow_up();
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
