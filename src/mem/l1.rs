//! The L1 data cache: sectored, streaming; global stores are written through, local ones back.
//!
//! Knows lines, sectors and waiting accesses; the LSU owns its timing.

mod prefetched;

use super::cache::{Access, EntryId, Inserted, MshrTable, Tags, Victim, mshr::Refusal};
use crate::config::{AllocatePolicy, L1Spec, LocalWritePolicy, SetHash, WritePolicy};
use crate::mem::{Line, SectorMask};
use crate::stats::L1Stats;
use bincode::{Decode, Encode};

/// What a load of one line found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadResult {
    /// Sectors that are present.
    pub hit: SectorMask,
    /// Sectors that must be requested from L2 (nobody asked before).
    pub request: SectorMask,
    /// The access waits for at least one sector.
    pub waits: bool,
    /// The line was here, with or without the sectors.
    pub present: bool,
}

/// Why a load of one line cannot be served now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ReservationFail {
    /// Every MSHR is taken.
    MshrEntries,
    /// The line's MSHR is full.
    MshrMerges,
    /// All ways of the set wait for data (allocate on miss only).
    LineAlloc,
    /// The miss queue is full.
    MissQueue,
}

/// An access that waits for sectors of a line.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Waiter<W> {
    who: W,
    access: Access,
}

/// One SM's cache. `W` names a waiting access.
#[derive(Clone, Debug)]
pub struct L1<W> {
    tags: Tags,
    mshrs: MshrTable<Waiter<W>>,
    allocate: AllocatePolicy,
    write: WritePolicy,
    local_write: LocalWritePolicy,
    sets: u32,
    line_bytes: u32,
    unified_bytes: u32,
    pending_in_set: Vec<u16>,
    /// Counters.
    pub stats: L1Stats,
    /// What came in, for whom it concerns.
    pub inserted: Inserted,
}

crate::engine::state! {
    L1<W> where [W: bincode::Encode, bincode::Decode<()>] {
        units: [],
        values: [tags, mshrs, pending_in_set, stats],
        left: [allocate, write, local_write, sets, line_bytes, unified_bytes, inserted],
    }
}

impl<W: Copy> L1<W> {
    /// An empty cache of the full unified size.
    pub fn new(spec: &L1Spec) -> Self {
        let sets = (spec.unified_bytes / spec.line_bytes / u32::from(spec.ways)).max(1);
        L1 {
            tags: Tags::new(
                sets,
                u32::from(spec.ways),
                spec.set_hash == SetHash::Xor,
                spec.replacement,
            ),
            mshrs: MshrTable::new(u32::from(spec.mshrs), u16::from(spec.mshr_merges)),
            allocate: spec.allocate,
            write: spec.write,
            local_write: spec.local_write,
            sets,
            line_bytes: spec.line_bytes,
            unified_bytes: spec.unified_bytes,
            pending_in_set: vec![0; sets as usize],
            stats: L1Stats::default(),
            inserted: Inserted::silent(),
        }
    }

    /// Kernel boundary: everything invalid, `smem_bytes` of the unified memory go to shared memory. Dirty
    /// sectors vanish: local memory ends with its threads. No miss may be in flight.
    pub fn flush(&mut self, smem_bytes: u32) {
        debug_assert_eq!(self.mshrs.in_use(), 0);
        let bytes = self.unified_bytes.saturating_sub(smem_bytes);
        self.tags
            .reset((bytes / self.line_bytes / self.sets).max(1));
    }

    /// Touches the host's memory for `line` ahead of its use.
    #[inline(always)]
    pub fn warm(&self, line: Line) {
        self.tags.warm(self.tags.set_of(line), line);
        self.mshrs.warm(line);
    }

    /// Data capacity, bytes.
    pub fn capacity(&self) -> u32 {
        self.tags.ways_allowed() * self.sets * self.line_bytes
    }

    /// The set of `line`.
    pub fn set_of(&self, line: Line) -> usize {
        self.tags.set_of(line) as usize
    }

    /// A load of `sectors` of `line` by access `who`.
    ///
    /// # Errors
    /// The reason why it must be tried again; nothing has changed then.
    #[inline(always)]
    pub fn read(
        &mut self,
        line: Line,
        sectors: SectorMask,
        who: W,
        access: Access,
    ) -> Result<ReadResult, ReservationFail> {
        let present = self.tags.find(line);
        let hit = present.map_or(SectorMask::NONE, |id| self.tags.entry(id).valid) & sectors;
        let missing = sectors.without(hit);
        let mut request = SectorMask::NONE;
        if !missing.is_empty() {
            request = self.wait(line, missing, Waiter { who, access })?;
            self.stats.line_misses += u64::from(present.is_none());
            if present.is_some() {
                self.stats.sector_partial_misses += u64::from(missing.count());
            }
        }
        if let Some(id) = present {
            self.tags.hit(id, access);
        }
        self.stats.sector_reads += u64::from(sectors.count());
        self.stats.sector_hits += u64::from(hit.count());
        self.stats.sector_misses += u64::from(request.count());
        self.stats.sector_mshr_hits += u64::from((missing.without(request)).count());
        Ok(ReadResult {
            hit,
            request,
            waits: !missing.is_empty(),
            present: present.is_some(),
        })
    }

    /// A load of `sectors` that finds them, whatever is here.
    pub fn read_perfect(&mut self, sectors: SectorMask) -> ReadResult {
        self.stats.sector_reads += u64::from(sectors.count());
        self.stats.sector_hits += u64::from(sectors.count());
        ReadResult {
            hit: sectors,
            request: SectorMask::NONE,
            waits: false,
            present: true,
        }
    }

    /// A store of `sectors` of local memory that stays here for ever.
    pub fn store_local_perfect(&mut self, sectors: SectorMask) {
        let count = u64::from(sectors.count());
        self.stats.sector_writes += count;
        self.stats.sector_local_writes += count;
        self.stats.write_hits += count;
    }

    #[inline(always)]
    fn wait(
        &mut self,
        line: Line,
        missing: SectorMask,
        who: Waiter<W>,
    ) -> Result<SectorMask, ReservationFail> {
        let found = self.mshrs.find(line);
        self.mshrs.check(found).map_err(|refusal| match refusal {
            Refusal::Entries => ReservationFail::MshrEntries,
            Refusal::Merges => ReservationFail::MshrMerges,
        })?;
        let set = self.set_of(line);
        if self.allocate == AllocatePolicy::OnMiss
            && found.is_none()
            && u32::from(self.pending_in_set[set]) >= self.tags.ways_allowed()
        {
            return Err(ReservationFail::LineAlloc);
        }
        self.pending_in_set[set] += u16::from(found.is_none());
        Ok(self.mshrs.wait(found, line, missing, who).1)
    }

    /// Whether a load of `line` would need a new request, for the miss-queue check.
    #[inline]
    pub fn would_request(&self, line: Line, sectors: SectorMask) -> bool {
        let valid = self
            .tags
            .find(line)
            .map_or(SectorMask::NONE, |id| self.tags.entry(id).valid);
        let asked = self
            .mshrs
            .find(line)
            .map_or(SectorMask::NONE, |id| self.mshrs.requested(id));
        !sectors.without(valid | asked).is_empty()
    }

    /// Takes an entry for `line`, which has none; with it the line that this evicted.
    #[inline(always)]
    fn insert(&mut self, line: Line, access: Access) -> (EntryId, Option<Victim>) {
        let (id, victim) = self.tags.insert(line, access);
        self.inserted.note(id, victim.map(|v| v.line));
        self.stats.evictions += u64::from(victim.is_some());
        let dirty = victim.filter(|v| !v.dirty.is_empty());
        self.stats.sector_writebacks += dirty.map_or(0, |v| u64::from(v.dirty.count()));
        (id, victim)
    }

    /// `sectors` of `line` arrived; hands accesses that now have everything to `each`. A line that was not here
    /// is filled by the access that has waited longest. Dirty sectors of the line that this evicted must be written
    /// back.
    #[inline(always)]
    #[must_use]
    pub fn fill(
        &mut self,
        line: Line,
        sectors: SectorMask,
        mut each: impl FnMut(W),
    ) -> Option<Victim> {
        let mshr = self.mshrs.find(line);
        let (id, victim) = match self.tags.find(line) {
            Some(id) => (id, None),
            None => {
                let first = mshr.and_then(|mshr| self.mshrs.first(mshr));
                let access = first.map_or(Access::default(), |waiter| waiter.access);
                self.insert(line, access)
            }
        };
        let entry = self.tags.entry_mut(id);
        entry.valid |= sectors;
        entry.partial = entry.partial.without(sectors);
        if let Some(mshr) = mshr {
            let before = self.mshrs.in_use();
            self.mshrs.arrive(mshr, sectors, |waiter| each(waiter.who));
            if self.mshrs.in_use() < before {
                let set = self.set_of(line);
                self.pending_in_set[set] -= 1;
            }
        }
        victim
    }

    /// The access that has waited longest for `line`, which fills it; perhaps a prefetch, which is nobody's.
    pub fn filler(&self, line: Line) -> Option<W> {
        let mshr = self.mshrs.find(line)?;
        self.mshrs.first(mshr).map(|waiter| waiter.who)
    }

    /// Whether stores to local memory stay here.
    pub fn keeps_local(&self) -> bool {
        self.local_write == LocalWritePolicy::Back
    }

    /// A store of `sectors` of a line of local memory, which stays here. Dirty sectors of the line that this evicted
    /// must be written back.
    #[must_use]
    pub fn store_local(
        &mut self,
        line: Line,
        sectors: SectorMask,
        full: SectorMask,
        access: Access,
    ) -> Option<Victim> {
        let count = u64::from(sectors.count());
        self.stats.sector_writes += count;
        self.stats.sector_local_writes += count;
        let (id, victim) = match self.tags.find(line) {
            Some(id) => {
                self.stats.write_hits += count;
                self.tags.hit(id, access);
                (id, None)
            }
            None => self.insert(line, access),
        };
        let entry = self.tags.entry_mut(id);
        entry.valid |= full;
        entry.dirty |= sectors;
        entry.partial = entry.dirty.without(entry.valid);
        victim
    }

    /// A store of `sectors` of `line`, of which `full` are written in every byte; it goes to L2 as well. Dirty sectors
    /// of the line that this evicted must be written back.
    #[inline(always)]
    #[must_use]
    pub fn store(
        &mut self,
        line: Line,
        sectors: SectorMask,
        full: SectorMask,
        access: Access,
    ) -> Option<Victim> {
        self.stats.sector_writes += u64::from(sectors.count());
        match (self.tags.find(line), self.write) {
            (Some(id), policy) => {
                self.stats.write_hits += u64::from(sectors.count());
                match policy {
                    WritePolicy::ThroughInvalidate => self.tags.entry_mut(id).drop_sectors(sectors),
                    WritePolicy::ThroughValidate => self.tags.entry_mut(id).valid |= full,
                    WritePolicy::ThroughNoAllocate => {}
                }
            }
            (None, WritePolicy::ThroughValidate) if !full.is_empty() => {
                let (id, victim) = self.insert(line, access);
                self.tags.entry_mut(id).valid = full;
                return victim;
            }
            _ => {}
        }
        None
    }

    /// An atomic of `sectors` of `line`: done at L2, so the copy here is stale.
    pub fn atomic(&mut self, line: Line, sectors: SectorMask) {
        self.stats.sector_atomics += u64::from(sectors.count());
        if let Some(id) = self.tags.find(line) {
            self.tags.entry_mut(id).drop_sectors(sectors);
        }
    }

    /// Lines in flight.
    pub fn in_flight(&self) -> usize {
        self.mshrs.in_use()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Replacement;
    use crate::isa::CacheOp;

    const ANY: Access = Access {
        cache: CacheOp::All,
    };

    const fn mask(bits: u8) -> SectorMask {
        SectorMask::new(bits)
    }

    fn spec() -> L1Spec {
        L1Spec {
            enabled: true,
            perfect: false,
            unified_bytes: 4096,
            carveouts_kib: vec![0, 2],
            line_bytes: 128,
            sector_bytes: 32,
            ways: 8,
            set_hash: SetHash::Xor,
            prefetch: crate::config::L1Prefetch::None,
            stride: crate::config::load("v100", &[]).unwrap().spec.l1.stride,
            replacement: Replacement::Lru,
            allocate: AllocatePolicy::OnFill,
            write: WritePolicy::ThroughNoAllocate,
            local_write: LocalWritePolicy::Back,
            tags_per_cycle: 4,
            bytes_per_cycle: 128,
            hit_latency: 28,
            mshrs: 2,
            mshr_merges: 2,
            miss_queue_entries: 8,
            fill_latency: 4,
            miss_latency: 10,
            cp_async_latency: 39,
        }
    }

    #[test]
    fn only_missing_sectors_are_requested_and_only_once() {
        let mut l1 = L1::new(&spec());
        assert_eq!(
            l1.read(Line(5), mask(0b0011), 'a', ANY).unwrap().request,
            mask(0b0011)
        );
        assert_eq!(
            l1.read(Line(5), mask(0b0110), 'b', ANY).unwrap().request,
            mask(0b0100)
        );
        let mut done = Vec::new();
        assert_eq!(l1.fill(Line(5), mask(0b0011), |w| done.push(w)), None);
        assert_eq!(done, ['a']);
        assert_eq!(l1.fill(Line(5), mask(0b0100), |w| done.push(w)), None);
        assert_eq!(done, ['a', 'b']);
        let r = l1.read(Line(5), mask(0b1111), 'c', ANY).unwrap();
        assert_eq!(
            r,
            ReadResult {
                hit: mask(0b0111),
                request: mask(0b1000),
                waits: true,
                present: true
            }
        );
        assert_eq!(l1.stats.sector_partial_misses, 1);
    }

    #[test]
    fn refusals_name_their_cause_and_change_nothing() {
        let mut l1 = L1::new(&spec());
        l1.read(Line(1), mask(1), 0, ANY).unwrap();
        l1.read(Line(1), mask(1), 0, ANY).unwrap();
        let before = l1.stats;
        assert_eq!(
            l1.read(Line(1), mask(1), 0, ANY),
            Err(ReservationFail::MshrMerges)
        );
        l1.read(Line(2), mask(1), 0, ANY).unwrap();
        assert_eq!(
            l1.read(Line(3), mask(1), 0, ANY),
            Err(ReservationFail::MshrEntries)
        );
        assert_eq!(l1.stats.sector_reads, before.sector_reads + 1);
    }

    #[test]
    fn allocate_on_miss_refuses_a_set_of_pending_lines() {
        let spec = L1Spec {
            allocate: AllocatePolicy::OnMiss,
            ways: 2,
            mshrs: 64,
            ..spec()
        };
        let mut l1 = L1::new(&spec);
        let sets = 16;
        l1.read(Line(0), mask(1), 0, ANY).unwrap();
        l1.read(Line(sets), mask(1), 0, ANY).unwrap();
        assert_eq!(
            l1.read(Line(2 * sets), mask(1), 0, ANY),
            Err(ReservationFail::LineAlloc)
        );
        assert_eq!(l1.fill(Line(0), mask(1), |_| {}), None);
        assert!(l1.read(Line(2 * sets), mask(1), 0, ANY).is_ok());
    }

    #[test]
    fn a_carve_out_takes_ways_away() {
        let mut l1: L1<u32> = L1::new(&spec());
        assert_eq!(l1.capacity(), 4096);
        l1.flush(2048);
        assert_eq!(l1.capacity(), 2048);
    }

    #[test]
    fn write_policies_differ_in_what_stays_valid() {
        for (policy, valid) in [
            (WritePolicy::ThroughNoAllocate, 0b0011),
            (WritePolicy::ThroughInvalidate, 0b0010),
            (WritePolicy::ThroughValidate, 0b0011),
        ] {
            let mut l1 = L1::new(&L1Spec {
                write: policy,
                ..spec()
            });
            l1.read(Line(9), mask(0b0011), 0, ANY).unwrap();
            assert_eq!(l1.fill(Line(9), mask(0b0011), |_| {}), None);
            assert_eq!(l1.store(Line(9), mask(0b0001), mask(0b0001), ANY), None);
            assert_eq!(
                l1.read(Line(9), mask(0b0011), 0, ANY).unwrap().hit,
                mask(valid),
                "{policy:?}"
            );
        }
    }

    #[test]
    fn local_stores_stay_until_their_line_is_evicted() {
        let spec = L1Spec { ways: 2, ..spec() };
        let mut l1: L1<u32> = L1::new(&spec);
        let sets = 16;
        assert_eq!(
            l1.store_local(Line(0), mask(0b0011), mask(0b0001), ANY),
            None
        );
        // The sector that was written in part must be completed from below, and stays dirty.
        assert_eq!(
            l1.read(Line(0), mask(0b0011), 7, ANY).unwrap().request,
            mask(0b0010)
        );
        assert_eq!(l1.fill(Line(0), mask(0b0010), |_| {}), None);
        assert_eq!(
            l1.read(Line(0), mask(0b0011), 7, ANY).unwrap().hit,
            mask(0b0011)
        );
        assert_eq!(l1.store_local(Line(sets), mask(0b0100), mask(0), ANY), None);
        // Two ways are taken; the third line drives out the first, the fourth the second.
        let first = l1.store(Line(2 * sets), mask(0b1111), mask(0b1111), ANY);
        assert_eq!(first, None, "without allocation nothing is evicted");
        let first = l1
            .store_local(Line(2 * sets), mask(0b1111), mask(0b1111), ANY)
            .unwrap();
        assert_eq!(
            (first.line, first.dirty, first.partial),
            (Line(0), mask(0b0011), SectorMask::NONE)
        );
        l1.read(Line(3 * sets), mask(0b0001), 8, ANY).unwrap();
        let second = l1.fill(Line(3 * sets), mask(0b0001), |_| {}).unwrap();
        assert_eq!(
            (second.line, second.dirty, second.partial),
            (Line(sets), mask(0b0100), mask(0b0100))
        );
        assert_eq!(l1.stats.sector_local_writes, 2 + 1 + 4);
        assert_eq!(l1.stats.sector_writebacks, 2 + 1);
    }

    #[test]
    fn a_line_is_filled_by_the_operator_of_the_access_that_waited_longest() {
        let spec = L1Spec {
            ways: 2,
            replacement: Replacement::EvictFirst,
            ..spec()
        };
        for (first, second, gone) in [
            (CacheOp::Streaming, CacheOp::All, 16),
            (CacheOp::All, CacheOp::Streaming, 0),
        ] {
            let mut l1: L1<u32> = L1::new(&spec);
            // Set 0 gets line 0, then line 16, which two accesses wait for; a third line drives one out.
            l1.read(Line(0), mask(1), 0, ANY).unwrap();
            assert_eq!(l1.fill(Line(0), mask(1), |_| {}), None);
            l1.read(Line(16), mask(1), 1, first.into()).unwrap();
            l1.read(Line(16), mask(1), 2, second.into()).unwrap();
            assert_eq!(l1.fill(Line(16), mask(1), |_| {}), None);
            l1.read(Line(32), mask(1), 3, ANY).unwrap();
            let victim = l1
                .fill(Line(32), mask(1), |_| {})
                .map(|v| (v.line, v.valid));
            assert_eq!(victim, Some((Line(gone), mask(1))));
            assert!(
                l1.would_request(Line(gone), mask(1)),
                "{first:?} then {second:?}"
            );
            assert!(!l1.would_request(Line(16 - gone), mask(1)));
        }
    }
}
