//! What a stream of accesses is by itself, whatever cache it meets: reuse distances, sharing, written sectors.

use super::belady::Recording;
use super::distance::{Histogram, Stack};
use super::reference::Reference;
use super::trace::Kind;
use crate::mem::SectorMask;
use std::collections::BTreeMap;

/// Reuse distances are exact below so many lines (512 MiB of them), and twice as many are remembered at most.
pub const LINES_MAX: usize = 1 << 22;
/// Program counters that are told apart; all further ones are counted together.
pub const PCS_MAX: usize = 1 << 16;

/// What is remembered of a line.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Its number, in order of first touch; none before that.
    number: Option<u32>,
    /// The SM of its last access.
    sm: u16,
    shared: bool,
    /// Sectors that loads have touched.
    loaded: SectorMask,
}

/// What a cache has to know of an access beyond the access itself.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Which of the program counters of the stream it has.
    pub pc: usize,
    /// The access of its line before it came from another SM.
    pub other_sm: bool,
}

/// Counts of a stream. Accesses that *allocate* are those whose line is in the cache afterwards.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamCounts {
    pub loads: u64,
    pub stores: u64,
    pub atomics: u64,
    pub allocating: u64,
    pub written_sectors: u64,
    pub fully_written_sectors: u64,
    /// Accesses that allocate whose line was last accessed by another SM.
    pub after_another_sm: u64,
    pub distinct_lines: u64,
    pub shared_lines: u64,
    pub distinct_loaded_sectors: u64,
}

/// Observes a stream.
#[derive(Debug)]
pub struct Stream {
    pub counts: StreamCounts,
    /// Allocating accesses by reuse distance, in lines.
    pub distances: Histogram,
    /// For Belady's bound.
    pub recording: Recording,
    lines: Stack<Known>,
    numbers: BTreeMap<u64, usize>,
    pcs: Vec<u64>,
}

impl Stream {
    /// Nothing was seen.
    pub fn new() -> Self {
        Stream {
            counts: StreamCounts::default(),
            distances: Histogram::default(),
            recording: Recording::default(),
            lines: Stack::new(LINES_MAX),
            numbers: BTreeMap::new(),
            pcs: Vec::new(),
        }
    }

    /// Whether there was no access.
    pub fn is_empty(&self) -> bool {
        self.counts.loads + self.counts.stores + self.counts.atomics == 0
    }

    /// Whether every line is remembered: what is counted of distinct lines is exact then.
    pub fn knows_all_lines(&self) -> bool {
        self.lines.forgotten() == 0
    }

    /// The program counter number `at`; none for those that are counted together.
    pub fn pc(&self, at: usize) -> Option<u64> {
        self.pcs.get(at).copied()
    }

    fn number_of(&mut self, pc: u64) -> usize {
        match self.numbers.get(&pc) {
            Some(&number) => number,
            None if self.pcs.len() == PCS_MAX => PCS_MAX,
            None => {
                let number = self.pcs.len();
                self.numbers.insert(pc, number);
                self.pcs.push(pc);
                number
            }
        }
    }

    /// Counts `access`, which `allocates` or not.
    pub fn see(&mut self, access: &Reference, allocates: bool) -> Seen {
        let counts = &mut self.counts;
        match access.kind {
            Kind::Load => counts.loads += 1,
            Kind::Atomic => counts.atomics += 1,
            Kind::Store | Kind::LocalStore => {
                counts.stores += 1;
                counts.written_sectors += u64::from(access.sectors.count());
                counts.fully_written_sectors += u64::from(access.full.count());
            }
        }
        let mut seen = Seen {
            pc: self.number_of(access.pc),
            other_sm: false,
        };
        if !allocates {
            return seen;
        }
        let counts = &mut self.counts;
        counts.allocating += 1;
        let (distance, known) = self.lines.touch(access.line.0);
        self.distances.add(distance);
        seen.other_sm = known.number.is_some() && known.sm != access.sm;
        counts.after_another_sm += u64::from(seen.other_sm);
        counts.shared_lines += u64::from(seen.other_sm && !known.shared);
        known.shared |= seen.other_sm;
        known.sm = access.sm;
        if access.kind == Kind::Load {
            let new = access.sectors.without(known.loaded);
            counts.distinct_loaded_sectors += u64::from(new.count());
            known.loaded |= new;
        }
        counts.distinct_lines += u64::from(known.number.is_none());
        let recording = &mut self.recording;
        let number = *known
            .number
            .get_or_insert_with(|| recording.line(access.line));
        recording.access(number);
        if !self.knows_all_lines() {
            self.recording.give_up();
        }
        seen
    }
}
