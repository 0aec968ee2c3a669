//! One L2 slice: sectored, write-back, with write masks and lazy fetch.
//!
//! A slice decides and keeps state; the shard that owns it moves its messages. Reads of a line whose
//! home is in the other partition are looked up here first (the slice keeps a copy) and forwarded on
//! a miss.

mod action;
mod fetch;
mod perfect;
mod set_map;
mod state;
mod touch;

pub use action::Action;

use super::cache::{Access, EntryId, MshrTable, Tags, Victim};
use super::{LINE_BYTES, Line, Request, RequestKind, SectorMask, noc_port};
use crate::config::{ARCHITECTURE_RESEARCH, L2Spec, NocSpec};
use crate::engine::{Cycle, Port};
use crate::isa::PrefetchHint;
use crate::stats::L2Stats;
use action::Waiter;
use set_map::SetMap;
use std::collections::VecDeque;

/// One slice.
#[derive(Clone, Debug)]
pub struct Slice {
    tags: Tags,
    sets: SetMap,
    ways: u32,
    mshrs: MshrTable<Waiter>,
    /// Scratch of [`Slice::arrived`].
    ready: Vec<Waiter>,
    free_at: Cycle,
    /// Into the interconnect: every reply with its header.
    reply_port: Port,
    header_bytes: u64,
    atomic_free_at: Cycle,
    atomic_latency: Cycle,
    /// Requests that wait for an MSHR, in order; forwarded reads apart, so that they never wait for
    /// MSHRs that wait for the other partition.
    waiting: [VecDeque<Request>; 2],
    /// Lines in flight from the other partition; they take at most `remote_max` of the MSHRs.
    remote_in_flight: u32,
    remote_max: u32,
    waiting_since: Cycle,
    bytes_per_cycle: u32,
    hit_latency: Cycle,
    miss_latency: Cycle,
    fill_latency: Cycle,
    lazy_fetch: bool,
    perfect: bool,
    sector_bytes: u32,
    replicates: bool,
    /// Both lines of an aligned pair are here.
    pairs: bool,
    /// Counters.
    pub stats: L2Stats,
}

impl Slice {
    /// An empty slice with a port into the interconnect `noc`.
    pub fn new(spec: &L2Spec, noc: &NocSpec) -> Self {
        let lines = spec.bytes / u64::from(spec.slices) / u64::from(spec.line_bytes);
        let sets = (lines / u64::from(spec.ways)).max(1) as u32;
        Slice {
            tags: Tags::new(sets, u32::from(spec.ways), false, spec.replacement)
                .with_dirty_max(spec.dirty_ways()),
            sets: SetMap::new(spec, sets),
            ways: u32::from(spec.ways),
            mshrs: MshrTable::new(u32::from(spec.mshrs), spec.mshr_merges),
            ready: Vec::new(),
            free_at: 0,
            reply_port: noc_port(noc, spec.slice_bytes_per_cycle),
            header_bytes: u64::from(noc.header_bytes),
            atomic_free_at: 0,
            atomic_latency: Cycle::from(spec.atomic_latency),
            waiting: [VecDeque::new(), VecDeque::new()],
            remote_in_flight: 0,
            remote_max: (u32::from(spec.mshrs) * u32::from(spec.far_mshrs_percent) / 100).max(1),
            waiting_since: 0,
            bytes_per_cycle: u32::from(spec.slice_bytes_per_cycle),
            hit_latency: Cycle::from(spec.hit_latency),
            miss_latency: Cycle::from(spec.miss_latency),
            fill_latency: Cycle::from(spec.fill_latency),
            lazy_fetch: spec.lazy_fetch,
            perfect: spec.perfect,
            sector_bytes: spec.sector_bytes,
            replicates: spec.two_copies(),
            pairs: u64::from(spec.interleave_bytes) >= 2 * LINE_BYTES,
            stats: L2Stats::default(),
        }
    }

    /// Lines in flight.
    pub fn in_flight(&self) -> usize {
        self.mshrs.in_use()
    }

    /// Touches the host's memory for `line` ahead of its use.
    #[inline(always)]
    pub fn warm(&self, line: Line) {
        self.tags.warm(self.sets.set_of(line), line);
        self.mshrs.warm(line);
    }

    #[inline(always)]
    fn find(&self, line: Line) -> Option<EntryId> {
        self.tags.find_in(self.sets.set_of(line), line)
    }

    /// Drops all content.
    pub fn flush(&mut self) {
        self.tags.reset(self.ways);
    }

    /// A host copy: all sectors of `sectors` present and clean, without time.
    pub fn preload(&mut self, line: Line, sectors: SectorMask) {
        let id = match self.find(line) {
            Some(id) => id,
            None => {
                let set = self.sets.set_of(line);
                self.tags.insert_in(set, line, Access::default()).0
            }
        };
        self.tags.hit(id, Access::default());
        self.tags.entry_mut(id).valid |= sectors;
    }

    fn data_cycles(&self, sectors: SectorMask) -> Cycle {
        let bytes = sectors.count() * self.sector_bytes;
        Cycle::from(bytes.div_ceil(self.bytes_per_cycle)).max(1)
    }

    /// Serves a request that arrives at `now`, and returns the sectors that it found; nothing when it must
    /// wait for an MSHR, and then nothing has changed. `home` says that the line's home is here, not in the
    /// other partition.
    pub fn serve(
        &mut self,
        r: &Request,
        now: Cycle,
        home: bool,
        act: &mut Vec<Action>,
    ) -> Option<SectorMask> {
        if ARCHITECTURE_RESEARCH && self.perfect {
            return Some(self.serve_perfectly(r, now, act));
        }
        match r.kind {
            RequestKind::Write => Some(self.write(r, now, act)),
            RequestKind::Invalidate => {
                if let Some(id) = self.find(r.line) {
                    self.tags.entry_mut(id).valid = SectorMask::NONE;
                }
                Some(SectorMask::NONE)
            }
            RequestKind::ForwardReply => {
                self.arrived(r.line, r.sectors, now, home, act);
                Some(SectorMask::NONE)
            }
            _ => self.read(r, now, home, act),
        }
    }

    fn start(&mut self, now: Cycle, cycles: Cycle) -> Cycle {
        let start = now.max(self.free_at);
        self.free_at = start + cycles;
        self.stats.busy_cycles += cycles;
        start
    }

    /// Reads and atomics: both need their sectors present.
    fn read(
        &mut self,
        r: &Request,
        now: Cycle,
        home: bool,
        act: &mut Vec<Action>,
    ) -> Option<SectorMask> {
        let present = self.find(r.line);
        let (valid, partial) = present.map_or((SectorMask::NONE, SectorMask::NONE), |id| {
            (self.tags.entry(id).valid, self.tags.entry(id).partial)
        });
        let hit = valid & r.sectors;
        let missing = r.sectors.without(hit);
        let waiter = Waiter::of(r);
        let mut new = SectorMask::NONE;
        if !missing.is_empty() {
            let found = self.mshrs.find(r.line);
            let remote = !home && found.is_none();
            if self.mshrs.check(found).is_err()
                || remote && self.remote_in_flight == self.remote_max
            {
                return None;
            }
            self.remote_in_flight += u32::from(remote);
            let coming = found.map_or(SectorMask::NONE, |id| self.mshrs.prefetched(id));
            self.stats.prefetch_hits += u64::from((coming & missing).count());
            new = self.mshrs.wait(found, r.line, missing, waiter).1;
        }
        self.count_read(r, hit, new);
        self.stats.lazy_fetches += u64::from((new & partial).count());
        if let Some(id) = present {
            self.tags.hit(id, r.cache.into());
            self.count_prefetch_hits(id, hit);
        }
        let start = self.start(
            now,
            if hit.is_empty() {
                1
            } else {
                self.data_cycles(hit)
            },
        );
        if missing.is_empty() {
            self.answer(&waiter, r.line, start, self.hit_latency, act);
        } else if !new.is_empty() {
            self.fetch(r, new, start, home, act);
        }
        Some(hit)
    }

    /// Counts a read or atomic that found the sectors `hit` and sent for those in `new`.
    #[inline(always)]
    fn count_read(&mut self, r: &Request, hit: SectorMask, new: SectorMask) {
        let count = |mask: SectorMask| u64::from(mask.count());
        self.stats.requests += 1;
        if matches!(r.kind, RequestKind::Atomic | RequestKind::Reduction) {
            self.stats.sector_atomics += count(r.sectors);
        } else {
            self.stats.sector_reads += count(r.sectors);
            self.stats.read_hits += count(hit);
            self.stats.read_misses += count(new);
            self.stats.read_mshr_hits += count(r.sectors.without(hit | new));
        }
    }

    /// When a reply with `sectors` of data, whose turn in the data path is at `start`, is through the
    /// slice's port. The port is reserved in the order of these turns; latencies come on top.
    fn send(&mut self, start: Cycle, sectors: SectorMask) -> Cycle {
        let data = u64::from(sectors.count() * self.sector_bytes);
        self.reply_port.send(start, self.header_bytes + data)
    }

    /// Sends what `waiter` asked for, `latency` after its turn in the data path; atomics go through
    /// the atomic unit first, data for the other partition through its link instead of the port.
    fn answer(
        &mut self,
        waiter: &Waiter,
        line: Line,
        start: Cycle,
        latency: Cycle,
        act: &mut Vec<Action>,
    ) {
        let mut sectors = waiter.sectors;
        let mut at = match waiter.kind {
            RequestKind::Forward => start,
            RequestKind::Reduction => self.send(start, SectorMask::NONE),
            _ => self.send(start, sectors),
        } + latency;
        if matches!(waiter.kind, RequestKind::Atomic | RequestKind::Reduction) {
            let start = self.atomic_free_at.max(at);
            self.atomic_free_at = start + Cycle::from(waiter.atomic_cycles);
            at = self.atomic_free_at;
            if let Some(id) = self.find(line) {
                self.soil(id, waiter.sectors, at, act);
            }
            if self.replicates {
                act.push(Action::Invalidate { at, line });
            }
            if waiter.kind == RequestKind::Reduction {
                sectors = SectorMask::NONE;
            } else {
                at += self.atomic_latency;
            }
        }
        act.push(Action::Reply {
            at,
            kind: waiter.kind,
            sm: waiter.sm,
            to: waiter.to,
            line,
            sectors,
        });
    }

    /// Takes a write; returns its sectors when their line was present.
    fn write(&mut self, r: &Request, now: Cycle, act: &mut Vec<Action>) -> SectorMask {
        let count = u64::from(r.sectors.count());
        self.stats.requests += 1;
        self.stats.sector_writes += count;
        let start = self.start(now, self.data_cycles(r.sectors));
        let present = self.find(r.line);
        let id = match present {
            Some(id) => {
                self.stats.write_hits += count;
                self.tags.hit(id, r.cache.into());
                id
            }
            None => {
                self.stats.write_misses += count;
                self.allocate(r.line, r.cache.into(), start, act)
            }
        };
        let entry = self.tags.entry_mut(id);
        let unknown = r.sectors.without(r.full | entry.valid);
        entry.valid |= r.full;
        entry.partial = (entry.partial | unknown).without(r.full);
        entry.prefetched = entry.prefetched.without(r.sectors);
        self.soil(id, r.sectors, start, act);
        let fetch = !self.lazy_fetch && !unknown.is_empty();
        if fetch && self.mshrs.check(self.mshrs.find(r.line)).is_ok() {
            let waiter = Waiter::nobody(r, unknown);
            let new = self
                .mshrs
                .wait(self.mshrs.find(r.line), r.line, unknown, waiter)
                .1;
            if !new.is_empty() {
                let at = start + self.miss_latency;
                act.push(Action::Fetch {
                    at,
                    line: r.line,
                    sectors: new,
                    cache: r.cache,
                    prefetch: PrefetchHint::None,
                });
            }
        }
        self.acknowledge(r, start, act);
        present.map_or(SectorMask::NONE, |_| r.sectors)
    }

    /// The write `r`, whose turn in the data path is at `start`, is done.
    #[inline(always)]
    fn acknowledge(&mut self, r: &Request, start: Cycle, act: &mut Vec<Action>) {
        let at = self.send(start, SectorMask::NONE) + self.hit_latency;
        if self.replicates {
            act.push(Action::Invalidate { at, line: r.line });
        }
        act.push(Action::Reply {
            at,
            kind: r.kind,
            sm: r.sm,
            to: r.to,
            line: r.line,
            sectors: SectorMask::NONE,
        });
    }

    fn allocate(&mut self, line: Line, access: Access, at: Cycle, act: &mut Vec<Action>) -> u32 {
        let (id, victim) = self.tags.insert_in(self.sets.set_of(line), line, access);
        if let Some(victim) = victim {
            self.stats.evictions += 1;
            self.write_back(victim, at, act);
        }
        id
    }

    /// Entry `id` is dirty in `sectors`; another one may have to be written back for it.
    fn soil(&mut self, id: EntryId, sectors: SectorMask, at: Cycle, act: &mut Vec<Action>) {
        if let Some(cleaned) = self.tags.soil(id, sectors) {
            self.stats.cleaned_lines += 1;
            self.write_back(cleaned, at, act);
        }
    }

    fn write_back(&mut self, victim: Victim, at: Cycle, act: &mut Vec<Action>) {
        if !victim.dirty.is_empty() {
            self.stats.writebacks += u64::from(victim.dirty.count());
            self.stats.partial_writebacks += u64::from(victim.partial.count());
            act.push(Action::WriteBack {
                at,
                line: victim.line,
                sectors: victim.dirty,
            });
        }
    }

    /// Sectors of a line arrive from DRAM (or its home) at `now`. A line that was not here is filled by the request
    /// that has waited longest.
    pub fn arrived(
        &mut self,
        line: Line,
        sectors: SectorMask,
        now: Cycle,
        home: bool,
        act: &mut Vec<Action>,
    ) {
        let mshr = self.mshrs.find(line);
        let id = match self.find(line) {
            Some(id) => id,
            None => {
                let first = mshr.and_then(|mshr| self.mshrs.first(mshr));
                let access = first.map_or(Access::default(), |waiter| waiter.cache.into());
                self.allocate(line, access, now, act)
            }
        };
        let count = u64::from(sectors.count());
        self.stats.fills += count;
        self.stats.far_fills += if home { 0 } else { count };
        let entry = self.tags.entry_mut(id);
        let unread = mshr.map_or(SectorMask::NONE, |id| self.mshrs.prefetched(id));
        entry.valid |= sectors;
        entry.partial = entry.partial.without(sectors);
        entry.prefetched = entry.prefetched.without(sectors) | (unread & sectors);
        let Some(mshr) = mshr else {
            return;
        };
        let before = self.mshrs.in_use();
        let mut ready = std::mem::take(&mut self.ready);
        self.mshrs
            .arrive(mshr, sectors, |waiter| ready.push(waiter));
        self.remote_in_flight -= u32::from(!home && self.mshrs.in_use() < before);
        let latency = if home { self.fill_latency } else { 1 };
        for waiter in ready.drain(..) {
            if waiter.kind != RequestKind::Invalidate {
                let start = self.start(now, self.data_cycles(waiter.sectors));
                self.answer(&waiter, line, start, latency, act);
            }
        }
        self.ready = ready;
    }

    /// Whether a request of `kind` must queue behind others.
    pub fn must_wait(&self, kind: RequestKind) -> bool {
        !self.waiting[queue_of(kind)].is_empty()
    }

    /// Nobody waits for an MSHR.
    pub fn nobody_waits(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// Requests that wait for an MSHR.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// `request` waits from `now` on.
    pub fn queue(&mut self, request: Request, now: Cycle) {
        if self.nobody_waits() {
            self.waiting_since = now;
        }
        self.waiting[queue_of(request.kind)].push_back(request);
    }

    /// The head of waiting queue `which`.
    pub fn head(&self, which: usize) -> Option<Request> {
        self.waiting[which].front().copied()
    }

    /// The head of waiting queue `which` was served at `now`.
    pub fn unqueue(&mut self, which: usize, now: Cycle) {
        self.waiting[which].pop_front();
        if self.nobody_waits() {
            self.stats.mshr_stall_cycles += now - self.waiting_since;
        }
    }

    /// Dirty sectors that are still here.
    pub fn dirty_sectors(&self) -> u64 {
        self.tags.lines().map(|e| u64::from(e.dirty.count())).sum()
    }
}

/// Waiting queue of a request: forwarded reads first.
fn queue_of(kind: RequestKind) -> usize {
    usize::from(kind != RequestKind::Forward)
}

#[cfg(test)]
mod tests;
