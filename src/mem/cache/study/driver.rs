//! The real L1, fed with accesses one after the other: every miss is filled before the next access comes.

use super::reference::Reference;
use super::stream::Seen;
use super::trace::Kind;
use crate::config::{L1Spec, Replacement, WritePolicy};
use crate::mem::Line;
use crate::mem::cache::Victim;
use crate::mem::l1::L1;
use crate::stats::L1Stats;

/// What an access that allocates found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The line, with all sectors that it needs.
    Hit,
    /// The line, but not all of the sectors.
    SectorMiss,
    /// No line.
    LineMiss,
}

/// How often accesses that allocate found what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub hits: u64,
    pub sector_misses: u64,
    pub line_misses: u64,
}

impl Tally {
    fn count(&mut self, found: Found) {
        match found {
            Found::Hit => self.hits += 1,
            Found::SectorMiss => self.sector_misses += 1,
            Found::LineMiss => self.line_misses += 1,
        }
    }

    /// Accesses.
    pub fn accesses(&self) -> u64 {
        self.line_hits() + self.line_misses
    }

    /// Accesses that found their line, with or without the sectors.
    pub fn line_hits(&self) -> u64 {
        self.hits + self.sector_misses
    }
}

/// A set under pressure.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetPressure {
    pub accesses: u64,
    pub line_misses: u64,
    pub evictions: u64,
    /// Lines now.
    pub lines: u64,
    /// Lines that accesses found in the set, summed up.
    pub lines_found: u64,
}

/// What one cache did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub tally: Tally,
    /// Line hits whose line was last accessed by another SM.
    pub hits_after_another_sm: u64,
    /// Stores that allocate nothing, and those of them that found their line.
    pub passing_stores: u64,
    pub passing_store_hits: u64,
    pub written_back_lines: u64,
    /// Sectors of these lines that were written in every byte.
    pub written_back_full_sectors: u64,
}

/// A cache alone.
#[derive(Debug)]
pub struct Alone {
    pub policy: Replacement,
    pub counts: Counts,
    pub sets: Vec<SetPressure>,
    /// By number of the program counter.
    pub pcs: Vec<Tally>,
    l1: L1<()>,
    write: WritePolicy,
}

impl Alone {
    /// The empty cache `spec` with `policy` in place of its own.
    pub fn new(spec: &L1Spec, policy: Replacement) -> Self {
        let spec = L1Spec {
            replacement: policy,
            ..spec.clone()
        };
        let sets = spec.unified_bytes / spec.line_bytes / u32::from(spec.ways);
        Alone {
            policy,
            counts: Counts::default(),
            sets: vec![SetPressure::default(); sets as usize],
            pcs: Vec::new(),
            l1: L1::new(&spec),
            write: spec.write,
        }
    }

    /// Counters of the cache itself.
    pub fn stats(&self) -> &L1Stats {
        &self.l1.stats
    }

    /// The set of `line`.
    pub fn set_of(&self, line: Line) -> usize {
        self.l1.set_of(line)
    }

    /// Whether the line of `access` is here afterwards, whether it was before or not. Depends on the access alone.
    pub fn allocates(&self, access: &Reference) -> bool {
        let validates = self.write == WritePolicy::ThroughValidate && !access.full.is_empty();
        match access.kind {
            Kind::Load => true,
            Kind::Store => validates,
            Kind::LocalStore => self.l1.keeps_local() || validates,
            Kind::Atomic => false,
        }
    }

    /// Serves `access`.
    pub fn serve(&mut self, access: &Reference, seen: &Seen) {
        let before = self.l1.stats;
        let &Reference {
            line,
            sectors,
            full,
            kind,
            ..
        } = access;
        let operator = access.cache.into();
        let (found, victim) = match kind {
            Kind::Atomic => return self.l1.atomic(line, sectors),
            Kind::Load => self.load(access),
            Kind::LocalStore if self.l1.keeps_local() => {
                let victim = self.l1.store_local(line, sectors, full, operator);
                (self.stored(&before), victim)
            }
            Kind::Store | Kind::LocalStore => {
                let victim = self.l1.store(line, sectors, full, operator);
                (self.stored(&before), victim)
            }
        };
        self.count_victim(victim);
        if !self.allocates(access) {
            self.counts.passing_stores += 1;
            self.counts.passing_store_hits += u64::from(found == Found::Hit);
            return;
        }
        self.counts.tally.count(found);
        self.counts.hits_after_another_sm += u64::from(seen.other_sm && found != Found::LineMiss);
        if self.pcs.len() <= seen.pc {
            self.pcs.resize(seen.pc + 1, Tally::default());
        }
        self.pcs[seen.pc].count(found);
        let evictions = self.l1.stats.evictions - before.evictions;
        let set = &mut self.sets[self.l1.set_of(line)];
        let missed = u64::from(found == Found::LineMiss);
        set.accesses += 1;
        set.line_misses += missed;
        set.evictions += evictions;
        set.lines_found += set.lines;
        set.lines = set.lines + missed - evictions;
    }

    fn load(&mut self, access: &Reference) -> (Found, Option<Victim>) {
        let before = self.l1.stats.line_misses;
        let read = self
            .l1
            .read(access.line, access.sectors, (), access.cache.into());
        let read = read.expect("nothing is in flight, so nothing is in the way");
        if !read.waits {
            return (Found::Hit, None);
        }
        let found = match self.l1.stats.line_misses > before {
            true => Found::LineMiss,
            false => Found::SectorMiss,
        };
        (found, self.l1.fill(access.line, read.request, |()| {}))
    }

    /// What a store found, by the counters `before` it.
    fn stored(&self, before: &L1Stats) -> Found {
        match self.l1.stats.write_hits > before.write_hits {
            true => Found::Hit,
            false => Found::LineMiss,
        }
    }

    fn count_victim(&mut self, victim: Option<Victim>) {
        let Some(victim) = victim.filter(|v| !v.dirty.is_empty()) else {
            return;
        };
        self.counts.written_back_lines += 1;
        let full = victim.dirty.without(victim.partial);
        self.counts.written_back_full_sectors += u64::from(full.count());
    }
}
