//! Observation points of the timing model.
//!
//! Invariant: a probe may read, never steer. Cycle counts are identical with any probe. Every SM, memory shard
//! and GPC has a probe of its own; they are merged in a fixed order when the run is over, and each may then add
//! sections to the report (`research`).
//!
//! To add a probe: a file beside `dram_channels.rs` that implements [`Probe`] (and [`DramProbe`], perhaps with
//! its empty defaults), and a line in `BuildProbe` behind a feature. A build without the feature runs the same
//! instructions as before: an event that nobody observes is an empty function.

#[cfg(feature = "cache-research")]
pub mod address_log;
#[cfg(feature = "dram-research")]
mod dram_channels;
#[cfg(test)]
mod tests;

use crate::config::GpuSpec;
use crate::engine::Cycle;
use crate::gpu::ChipCounters;
use crate::ids::{SliceId, SmId};
use crate::isa::MemOp;
use crate::mem::dram::{DramProbe, NoDramProbe};
use crate::mem::l1::ReservationFail;
use crate::mem::{Line, Reply, Request, SectorMask};
use crate::sm::CtaDone;
use crate::sm::memory::Space;
use crate::stats::Label;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A memory instruction (or shuffle) that enters the SM's memory pipe.
#[derive(Clone, Copy, Debug)]
pub struct MemoryInst<'a> {
    /// Its SM.
    pub sm: SmId,
    /// Warp slot.
    pub warp: u8,
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
    ($( $(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),+); )+) => {
        /// Events of the model, each at cycle `now` of the core clock. An event that a probe does not implement
        /// costs nothing. What happens in a DRAM channel comes through [`DramProbe`], in its own clock.
        pub trait Probe: DramProbe + Default + Send {
            $(
                $(#[$doc])*
                #[inline(always)]
                fn $name(&mut self, now: Cycle, $($arg: $ty),+) {
                    let _ = (now, $(&$arg),+);
                }
            )+
            /// Adds what the probe of another unit saw.
            fn merge(&mut self, _other: &Self) {}
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
                fn $name(&mut self, now: Cycle, $($arg: $ty),+) {
                    self.0.$name(now, $($arg),+);
                    self.1.$name(now, $($arg),+);
                }
            )+
            fn merge(&mut self, other: &Self) {
                self.0.merge(&other.0);
                self.1.merge(&other.1);
            }
            fn sections(&self, run: &Observed, out: &mut Sections) {
                self.0.sections(run, out);
                self.1.sections(run, out);
            }
        }
    };
}

events! {
    /// A warp instruction issued: SM, warp slot, pc, active lanes.
    fn warp_issued(sm: SmId, warp: u8, pc: u32, mask: u32);
    /// Before that the sub-core lost `slots` issue slots, for the reason `label` of the same warp.
    fn slots_lost(sm: SmId, warp: u8, pc: u32, label: Label, slots: u64);
    /// A memory instruction entered the SM's pipe.
    fn memory_entered(inst: &MemoryInst);
    /// L1 served a load of a line: sectors present, sectors that it waits for.
    fn l1_accessed(sm: SmId, line: Line, hit: SectorMask, missed: SectorMask);
    /// L1 refused a load of a line, which is tried again.
    fn l1_refused(sm: SmId, line: Line, reason: ReservationFail);
    /// Sectors arrived in L1; `mshrs` lines are in flight now.
    fn l1_filled(sm: SmId, line: Line, sectors: SectorMask, mshrs: usize);
    /// A request left its GPC's port, or joined another one there.
    fn request_routed(request: &Request, joined: bool);
    /// A reply left its slice for an SM.
    fn reply_routed(reply: &Reply);
    /// A slice served `request`, perhaps after it waited for an MSHR: `hit` are the sectors of a read that were
    /// valid, those of a write whose line was present.
    fn l2_accessed(request: &Request, hit: SectorMask);
    /// A request waits for an MSHR of its slice.
    fn l2_waits(request: &Request);
    /// Sectors arrived in a slice from DRAM.
    fn l2_filled(slice: SliceId, line: Line, sectors: SectorMask);
    /// A CTA ended.
    fn cta_done(done: &CtaDone);
}

/// Watches nothing; zero bytes.
pub type NoProbe = NoDramProbe;

impl Probe for NoDramProbe {
    fn save(&self) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
    fn restore(&mut self, seen: &[u8]) -> bool {
        seen.is_empty()
    }
}

/// What this build observes. The only place where features meet the probe.
#[cfg(feature = "dram-research")]
pub type BuildProbe = dram_channels::DramChannels;
/// What this build observes. The only place where features meet the probe.
#[cfg(not(feature = "dram-research"))]
pub type BuildProbe = NoProbe;
