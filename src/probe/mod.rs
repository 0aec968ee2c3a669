//! Observation points of the timing model.
//!
//! Invariant: a probe may read, never steer. Cycle counts are identical with any probe. Every SM, memory shard
//! and GPC has a probe of its own; they are merged in a fixed order when the run is over, and each may then add
//! sections to the report (`research`).
//!
//! A probe implements [`Probe`] (and [`DramProbe`], perhaps with its empty defaults). Those of the research features
//! are in `src/research/`, which says how to add one. A run that nobody observes has the same instructions as if there
//! were no probes: an event that nobody observes is an empty function.

#[cfg(feature = "cache-research")]
pub mod address_log;
#[cfg(feature = "gpu-profiling-research")]
pub mod issue_log;
#[cfg(test)]
mod tests;

use crate::config::GpuSpec;
use crate::engine::Cycle;
use crate::gpu::ChipCounters;
use crate::ids::{ChannelId, GpcId, SliceId, SmId};
use crate::isa::{MemOp, StaticInst};
use crate::mem::dram::{Command, DramProbe, Issued, NoDramProbe, Served};
use crate::mem::l1::{L1, ReadResult, ReservationFail};
use crate::mem::{FlightId, Line, Reply, Request, SectorMask};
use crate::sm::CtaDone;
use crate::sm::memory::Space;
use crate::stats::Label;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A warp instruction that issues. In a recorded kernel the lanes whose guard is false are not active: a branch has the
/// lanes that take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarpInst {
    /// Its SM.
    pub sm: SmId,
    /// Warp slot.
    pub warp: u8,
    /// Program.
    pub program: u8,
    /// Its place in the code of the kernel.
    pub place: u32,
    /// Program counter, bytes.
    pub pc: u32,
    /// Active lanes.
    pub mask: u32,
}

/// Instructions that a warp issues from now on, one after the other as they stand in the code of the kernel, and all with
/// the same lanes. When the next run of the warp begins, or the warp ends, each of them has issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarpRun {
    /// Place of the first one in the code.
    pub first: u32,
    /// Place behind the last one.
    pub end: u32,
    /// Active lanes.
    pub mask: u32,
    /// Warp slot.
    pub warp: u8,
    /// Program.
    pub program: u8,
}

/// A memory instruction (or shuffle) that enters the SM's memory pipe.
#[derive(Clone, Copy, Debug)]
pub struct MemoryInst<'a> {
    /// Its SM.
    pub sm: SmId,
    /// Warp slot.
    pub warp: u8,
    /// Program.
    pub program: u8,
    /// Number of its CTA in the grid.
    pub cta: u64,
    /// Its place in the code of the kernel.
    pub place: u32,
    /// Program counter, bytes.
    pub pc: u32,
    /// What it does; nothing is known of a shuffle.
    pub op: Option<&'a MemOp>,
    /// Where it goes.
    pub space: Space,
    /// Lines that it touches with their sectors; none for shared memory and shuffles.
    pub lines: &'a [crate::sm::memory::coalesce::LineAccess],
    /// Passes over the shared-memory banks.
    pub passes: u8,
    /// Passes that its bytes take without a conflict.
    pub least_passes: u8,
}

/// A load of a line that L1 served: it hits, or it waits. The instruction is the one that entered the pipe last.
#[derive(Clone, Copy, Debug)]
pub struct L1Access<'a> {
    /// Its SM.
    pub sm: SmId,
    /// The line.
    pub line: Line,
    /// The sectors that were asked for.
    pub sectors: SectorMask,
    /// What they found.
    pub found: ReadResult,
    /// The cache, as the access has left it.
    pub cache: &'a L1<FlightId>,
}

impl L1Access<'_> {
    /// The sectors that it waits for.
    pub fn missed(&self) -> SectorMask {
        self.sectors.without(self.found.hit)
    }
}

/// A line that fell out of L1.
#[derive(Clone, Copy, Debug)]
pub struct L1Evicted {
    /// The line.
    pub line: Line,
    /// The sectors of it that were valid.
    pub valid: SectorMask,
    /// The line that took its place.
    pub by: Line,
}

/// A kernel that starts.
#[derive(Clone, Copy, Debug)]
pub struct KernelStart<'a> {
    /// Its number, in order of start.
    pub kernel: usize,
    /// What it runs as: the program of events, until another kernel starts as that.
    pub program: u8,
    /// No other kernel is on the chip.
    pub alone: bool,
    /// Its code.
    pub insts: &'a [StaticInst],
}

/// Which unit of the chip a probe watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// An SM.
    Sm(SmId),
    /// The ports of a GPC.
    Gpc(GpcId),
    /// A DRAM channel with its L2 slices.
    Shard(ChannelId),
}

/// What a probe is told before the run.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The machine.
    pub spec: &'a GpuSpec,
    /// The unit that the probe watches.
    pub unit: Unit,
    /// What is to be observed.
    pub instruments: &'a Instruments,
}

/// What is to be observed in a run. Without probes that ask for it, it has no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instruments {
    /// Research features whose instruments are on.
    pub chosen: Vec<&'static str>,
    /// What is at which addresses, as far as it is known.
    pub buffers: Vec<Buffer>,
    /// Which issues are logged.
    #[cfg(feature = "gpu-profiling-research")]
    pub issues: Option<issue_log::IssueWindow>,
}

impl Instruments {
    /// The instruments of the research features `chosen`, which know `buffers`; no issue is logged.
    pub fn new(chosen: Vec<&'static str>, buffers: Vec<Buffer>) -> Self {
        Instruments {
            chosen,
            buffers,
            #[cfg(feature = "gpu-profiling-research")]
            issues: None,
        }
    }
}

/// Memory of the program that is known by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Its name.
    pub name: String,
    /// First byte.
    pub first: u64,
    /// Length.
    pub bytes: u64,
}

/// What a probe may look at when it writes its section.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The machine.
    pub spec: &'a GpuSpec,
    /// Counters of the whole run.
    pub counters: &'a ChipCounters,
}

/// Sections of the report by name.
pub type Sections = BTreeMap<&'static str, Json>;

/// Declares each event once: the trait's method with its empty default, and how a pair of probes passes it on.
macro_rules! events {
    ($( $(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*); )+) => {
        /// Events of the model, each at cycle `now` of the core clock. An event that a probe does not implement
        /// costs nothing. What happens in a DRAM channel comes through [`DramProbe`], in its own clock.
        pub trait Probe: DramProbe + Default + Send {
            /// Whether it sees anything at all.
            const WATCHES: bool = true;

            $(
                $(#[$doc])*
                #[inline(always)]
                fn $name(&mut self, now: Cycle, $($arg: $ty),*) {
                    let _ = (now, $(&$arg),*);
                }
            )+
            /// The run is about to begin. Called once, for the probe of each unit.
            fn begin(&mut self, _setup: &Setup) {}
            /// Adds what the probe of another unit saw.
            fn merge(&mut self, _other: Self) {}
            /// What it has seen so far, for a checkpoint; nothing where that cannot be kept.
            fn save(&self) -> Option<Vec<u8>> {
                None
            }
            /// Takes over what [`Probe::save`] gave; false when these are other bytes.
            fn restore(&mut self, _seen: &[u8]) -> bool {
                false
            }
            /// Adds this probe's sections to the report. Called once, after the last merge.
            fn sections(&self, _run: &Observed, _out: &mut Sections) {}
        }

        impl<A: Probe, B: Probe> Probe for (A, B) {
            $(
                #[inline(always)]
                fn $name(&mut self, now: Cycle, $($arg: $ty),*) {
                    self.0.$name(now, $($arg),*);
                    self.1.$name(now, $($arg),*);
                }
            )+
            fn begin(&mut self, setup: &Setup) {
                self.0.begin(setup);
                self.1.begin(setup);
            }
            fn merge(&mut self, other: Self) {
                self.0.merge(other.0);
                self.1.merge(other.1);
            }
            fn sections(&self, run: &Observed, out: &mut Sections) {
                self.0.sections(run, out);
                self.1.sections(run, out);
            }
        }

        impl<P: Instrument> Probe for Chosen<P> {
            $(
                #[inline(always)]
                fn $name(&mut self, now: Cycle, $($arg: $ty),*) {
                    if let Some(probe) = &mut self.0 {
                        probe.$name(now, $($arg),*);
                    }
                }
            )+
            fn begin(&mut self, setup: &Setup) {
                if setup.instruments.chosen.contains(&P::FEATURE) {
                    self.0.get_or_insert_default().begin(setup);
                }
            }
            fn merge(&mut self, other: Self) {
                if let Some(other) = other.0 {
                    self.0.get_or_insert_default().merge(*other);
                }
            }
            fn sections(&self, run: &Observed, out: &mut Sections) {
                if let Some(probe) = &self.0 {
                    probe.sections(run, out);
                }
            }
        }
    };
}

/// A probe that is on where its feature was chosen for the run.
pub trait Instrument: Probe {
    /// The Cargo feature.
    const FEATURE: &'static str;
}

/// An instrument, if it is on.
#[derive(Debug)]
pub struct Chosen<P>(pub Option<Box<P>>);

impl<P> Default for Chosen<P> {
    fn default() -> Self {
        Chosen(None)
    }
}

impl<P: DramProbe> DramProbe for Chosen<P> {
    const EVERY_COMMAND: bool = P::EVERY_COMMAND;

    #[inline(always)]
    fn command_issued(&mut self, issued: &Issued) {
        if let Some(probe) = &mut self.0 {
            probe.command_issued(issued);
        }
    }
    #[inline(always)]
    fn commands_passed_over(&mut self, command: Command, count: u64) {
        if let Some(probe) = &mut self.0 {
            probe.commands_passed_over(command, count);
        }
    }
    #[inline(always)]
    fn request_served(&mut self, served: &Served) {
        if let Some(probe) = &mut self.0 {
            probe.request_served(served);
        }
    }
}

events! {
    /// A kernel starts; every unit is told. L1 caches were emptied before, if it is alone.
    fn kernel_started(started: &KernelStart);
    /// A warp starts, in a slot that no other one has: SM, warp slot, program.
    fn warp_started(sm: SmId, warp: u8, program: u8);
    /// A warp begins a run of instructions, the first one of the warp or behind the last one of its run before.
    fn run_begun(run: &WarpRun);
    /// The simulation is broken off within the run of a warp slot, before the instruction at `place` issued.
    fn run_broken_off(warp: u8, place: u32);
    /// A warp instruction issued.
    fn warp_issued(inst: &WarpInst);
    /// Before that the sub-core lost issue slots: why the same warp did not issue in them, and how many they are.
    fn slots_lost(inst: &WarpInst, lost: (Label, u64));
    /// A memory instruction of a warp slot issued with the lanes `mask` and waits for the SM's pipe, which those of a
    /// sub-core enter in order.
    fn memory_queued(warp: u8, mask: u32);
    /// A memory instruction entered the SM's pipe.
    fn memory_entered(inst: &MemoryInst);
    /// L1 served a load of a line.
    fn l1_accessed(access: &L1Access);
    /// L1 refused a load of a line, which is tried again.
    fn l1_refused(sm: SmId, line: Line, reason: ReservationFail);
    /// Sectors arrived in L1; `mshrs` lines are in flight now.
    fn l1_filled(sm: SmId, line: Line, sectors: SectorMask, mshrs: usize);
    /// A line fell out of L1 for another one: behind the fill of that one, or while the store that left it there is
    /// the instruction that entered the pipe last.
    fn l1_evicted(evicted: &L1Evicted);
    /// L1 of an SM was emptied: a kernel begins on an idle chip.
    fn l1_emptied(sm: SmId);
    /// A request left its GPC's port, or joined another one there.
    fn request_routed(request: &Request, joined: bool);
    /// A reply left its slice for an SM.
    fn reply_routed(reply: &Reply);
    /// A slice served `request`, perhaps after it waited for an MSHR: `hit` are the sectors of a read that were
    /// valid, those of a write whose line was present.
    fn l2_accessed(request: &Request, hit: SectorMask);
    /// A request waits for an MSHR of its slice.
    fn l2_waits(request: &Request);
    /// A slice sends for sectors in DRAM. Until they have come, `tag` is that of their reads in the channel, and of the
    /// read of their check bits where those lie among the data.
    fn dram_asked(slice: SliceId, line: Line, sectors: SectorMask, tag: u32);
    /// A slice sends sectors of a line towards DRAM.
    fn dram_written(line: Line, sectors: SectorMask);
    /// Sectors arrived in a slice from DRAM.
    fn l2_filled(slice: SliceId, line: Line, sectors: SectorMask);
    /// A CTA ended.
    fn cta_done(done: &CtaDone);
}

/// Watches nothing; zero bytes.
pub type NoProbe = NoDramProbe;

impl Probe for NoDramProbe {
    const WATCHES: bool = false;

    fn save(&self) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
    fn restore(&mut self, seen: &[u8]) -> bool {
        seen.is_empty()
    }
}
