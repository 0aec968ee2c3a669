//! The observer of L1 and of the slices of L2.
//!
//! What needs to know a line is noted, and followed up many accesses at a time: most of what is known of lines is not in the
//! host's caches when they are accessed, and in a row the accesses wait for it together.

use super::course::Course;
use super::section::Cache;
use super::sharing::{RecordNumber, Sharing};
use crate::engine::Cycle;
use crate::error::Result;
use crate::ids::SmId;
use crate::isa::MemKind;
use crate::mem::cache::study::distance::{Octaves, Stack};
use crate::mem::dram::DramProbe;
use crate::mem::l1::ReservationFail;
use crate::mem::{Line, Request, RequestKind, SectorMask};
use crate::probe::{Instrument, L1Access, MemoryInst, Probe, Setup, Unit};
use crate::research::stores::StoresThatStay;
use crate::research::{Observe, Study};

/// Lines below which the reuse distances of a cache are exact.
pub const DISTANCE_MAX: usize = 1 << 16;
/// Accesses that are noted before they are followed up.
const NOTED_MAX: usize = 256;

/// Loads of a line by what they found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    /// Every sector was there.
    pub hits: u64,
    /// What was missing was on its way already.
    pub merged: u64,
    /// The line was there; a sector had to be fetched.
    pub sector_misses: u64,
    /// The line was not there; a sector had to be fetched.
    pub line_misses: u64,
    /// Loads that found their line, with or without the sectors.
    pub line_found: u64,
    /// Sectors fetched.
    pub fetched_sectors: u64,
    /// Sectors that no load had asked for since L1 was emptied.
    pub new_sectors: u64,
    /// Registers taken: loads that found none of their line's.
    pub registers_taken: u64,
}

/// Sectors that were written, and those among them that were written in every byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// All.
    pub sectors: u64,
    /// In every byte.
    pub full: u64,
}

/// A set of L1, summed over SMs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetCounts {
    /// Loads of its lines.
    pub loads: u64,
    /// Those that did not find their line and fetched a sector.
    pub line_misses: u64,
}

/// What is known of the SM that is watched.
#[derive(Debug)]
struct OwnL1 {
    /// Lines that were accessed, with the sectors that a load asked for.
    noted: Vec<(Line, SectorMask)>,
    /// With each line the sectors that loads have asked for.
    touched: Stack<SectorMask>,
    in_flight: usize,
    stays: StoresThatStay,
}

/// An access of L2.
#[derive(Clone, Copy, Debug)]
struct L2Access {
    line: Line,
    /// The SM that asks, unless the line is not followed.
    sm: Option<SmId>,
    /// Which slice of the shard it is of.
    slice: u16,
}

/// What is known of the shard that is watched.
#[derive(Debug)]
struct OwnL2 {
    noted: Vec<L2Access>,
    /// By slice, with each line the number of its record in [`Sharing`].
    slices: Vec<Stack<RecordNumber>>,
}

/// Observes the L1 of an SM, or the slices of a shard, or all of them when they are merged.
#[derive(Debug, Default)]
pub struct Caches {
    pub loads: Loads,
    /// In the order of [`ReservationFail`]'s variants.
    pub refusals: [u64; 4],
    /// Registers of L1 in use.
    pub occupancy: Course,
    pub sets: Vec<SetCounts>,
    pub l1_written: Written,
    pub l2_written: Written,
    /// Requests that waited for a register of their slice, or for room towards DRAM.
    pub l2_waits: u64,
    pub l1_reuse: Octaves,
    pub l2_reuse: Octaves,
    /// Lines whose sectors were forgotten: `new_sectors` is too high then.
    pub forgotten: u64,
    pub sharing: Sharing,
    l1: Option<OwnL1>,
    l2: Option<OwnL2>,
}

impl Caches {
    /// A load of `sectors` of `line`, or a store to it that stays.
    #[inline]
    fn note(&mut self, line: Line, sectors: SectorMask) {
        let Some(l1) = &mut self.l1 else { return };
        l1.noted.push((line, sectors));
        if l1.noted.len() == NOTED_MAX {
            self.follow_up();
        }
    }

    /// Follows up what was noted.
    fn follow_up(&mut self) {
        if let Some(l1) = &mut self.l1 {
            for (line, sectors) in l1.noted.drain(..) {
                let (distance, touched) = l1.touched.touch(line.0);
                self.l1_reuse.add(distance);
                let new = sectors.without(*touched);
                *touched |= new;
                self.loads.new_sectors += u64::from(new.count());
            }
        }
        if let Some(l2) = &mut self.l2 {
            for access in l2.noted.drain(..) {
                let slice = &mut l2.slices[usize::from(access.slice)];
                let forgetful = slice.forgotten() > 0;
                let (distance, record) = slice.touch(access.line.0);
                self.l2_reuse.add(distance);
                if let Some(sm) = access.sm {
                    self.sharing.asked(access.line, record, sm, forgetful);
                }
            }
        }
    }
}

impl DramProbe for Caches {}

impl Probe for Caches {
    fn begin(&mut self, setup: &Setup) {
        let spec = setup.spec;
        match setup.unit {
            Unit::Sm(_) => {
                let l1 = &spec.l1;
                let sets = l1.unified_bytes / l1.line_bytes / u32::from(l1.ways);
                self.sets = vec![SetCounts::default(); sets.max(1) as usize];
                self.l1 = Some(OwnL1 {
                    noted: Vec::with_capacity(NOTED_MAX),
                    touched: Stack::new(DISTANCE_MAX),
                    in_flight: 0,
                    stays: StoresThatStay::new(l1),
                });
            }
            Unit::Shard(_) => {
                let slices = usize::from(spec.l2.slices / spec.dram.channels);
                self.sharing = Sharing::new(usize::from(spec.sms), spec.l2.partitions > 1);
                self.l2 = Some(OwnL2 {
                    noted: Vec::with_capacity(NOTED_MAX),
                    slices: vec![Stack::new(DISTANCE_MAX); slices],
                });
            }
            Unit::Gpc(_) => {}
        }
    }

    fn memory_entered(&mut self, _: Cycle, inst: &MemoryInst) {
        let store = inst.op.is_some_and(|op| op.kind == MemKind::Store);
        let Some(stays) = self.l1.as_ref().filter(|_| store).map(|l1| l1.stays) else {
            return;
        };
        for line in inst.lines {
            self.l1_written.sectors += u64::from(line.sectors.count());
            self.l1_written.full += u64::from(line.full.count());
        }
        for line in stays.lines(inst) {
            self.note(line.line, SectorMask::NONE);
        }
    }

    fn l1_accessed(&mut self, now: Cycle, access: &L1Access) {
        self.note(access.line, access.sectors);
        let Some(l1) = &mut self.l1 else { return };
        let found = access.found;
        let loads = &mut self.loads;
        loads.fetched_sectors += u64::from(found.request.count());
        loads.line_found += u64::from(found.present);
        let fetches = !found.request.is_empty();
        let kind = match (found.waits, fetches, found.present) {
            (false, ..) => &mut loads.hits,
            (true, false, _) => &mut loads.merged,
            (true, true, true) => &mut loads.sector_misses,
            (true, true, false) => &mut loads.line_misses,
        };
        *kind += 1;
        let set = &mut self.sets[access.cache.set_of(access.line)];
        set.loads += 1;
        set.line_misses += u64::from(fetches && !found.present);
        let in_flight = access.cache.in_flight();
        if in_flight > l1.in_flight {
            loads.registers_taken += 1;
            self.occupancy.change(now, 1, in_flight as u64);
        }
        l1.in_flight = in_flight;
    }

    fn l1_refused(&mut self, _: Cycle, _: SmId, _: Line, reason: ReservationFail) {
        self.refusals[reason as usize] += 1;
    }

    fn l1_filled(&mut self, now: Cycle, _: SmId, _: Line, _: SectorMask, mshrs: usize) {
        let Some(l1) = &mut self.l1 else { return };
        if mshrs < l1.in_flight {
            self.occupancy.change(now, -1, mshrs as u64);
        }
        l1.in_flight = mshrs;
    }

    fn l1_emptied(&mut self, _: Cycle, _: SmId) {
        self.follow_up();
        let Some(l1) = &mut self.l1 else { return };
        self.forgotten += l1.touched.forgotten();
        l1.touched = Stack::new(DISTANCE_MAX);
    }

    fn l2_accessed(&mut self, _: Cycle, request: &Request, _: SectorMask) {
        let shares = match request.kind {
            RequestKind::Write => {
                self.l2_written.sectors += u64::from(request.sectors.count());
                self.l2_written.full += u64::from(request.full.count());
                true
            }
            RequestKind::Read | RequestKind::Atomic | RequestKind::Reduction => true,
            _ => false,
        };
        let Some(l2) = &mut self.l2 else { return };
        l2.noted.push(L2Access {
            line: request.line,
            sm: shares.then_some(request.sm),
            slice: request.slice.0 % l2.slices.len() as u16,
        });
        if l2.noted.len() == NOTED_MAX {
            self.follow_up();
        }
    }

    fn l2_waits(&mut self, _: Cycle, _: &Request) {
        self.l2_waits += 1;
    }

    fn merge(&mut self, mut other: Self) {
        other.follow_up();
        self.loads.add(&other.loads);
        for (sum, more) in self.refusals.iter_mut().zip(other.refusals) {
            *sum += more;
        }
        self.occupancy.merge(other.occupancy);
        if self.sets.len() < other.sets.len() {
            self.sets.resize(other.sets.len(), SetCounts::default());
        }
        for (sum, more) in self.sets.iter_mut().zip(&other.sets) {
            sum.loads += more.loads;
            sum.line_misses += more.line_misses;
        }
        self.l1_written.add(other.l1_written);
        self.l2_written.add(other.l2_written);
        self.l2_waits += other.l2_waits;
        self.l1_reuse.merge(&other.l1_reuse);
        self.l2_reuse.merge(&other.l2_reuse);
        self.forgotten += other.forgotten;
        if let Some(l1) = &other.l1 {
            self.forgotten += l1.touched.forgotten();
        }
        self.sharing.merge(other.sharing);
    }
}

impl Loads {
    fn add(&mut self, more: &Loads) {
        self.hits += more.hits;
        self.merged += more.merged;
        self.sector_misses += more.sector_misses;
        self.line_misses += more.line_misses;
        self.line_found += more.line_found;
        self.fetched_sectors += more.fetched_sectors;
        self.new_sectors += more.new_sectors;
        self.registers_taken += more.registers_taken;
    }

    /// Loads of a line.
    pub fn all(&self) -> u64 {
        self.hits + self.merged + self.sector_misses + self.line_misses
    }
}

impl Written {
    fn add(&mut self, more: Written) {
        self.sectors += more.sectors;
        self.full += more.full;
    }
}

impl Instrument for Caches {
    const FEATURE: &'static str = "cache-research";
}

impl Observe for Caches {
    type Section = Cache;

    fn section(self, study: &Study) -> Result<Cache> {
        Ok(Cache::new(&self, study))
    }
}
