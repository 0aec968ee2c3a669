//! Sectored, set-associative tags.
//!
//! A lookup finds its entry through an index over all lines instead of comparing every way, so that the host's
//! cost does not depend on associativity. Which line makes room is decided by a policy ([`Replace`]). The
//! behaviour is that of a plain set-associative array; a property test holds it against one.

use super::replace::{Access, Replace};
use crate::config::Replacement;
use crate::mem::{Line, SectorMask};

/// Number of an entry (set × ways + way).
pub type EntryId = u32;

const NONE: u32 = u32::MAX;

/// One line's storage.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its line.
    pub line: Line,
    chain: u32,
    /// Sectors with all bytes valid.
    pub valid: SectorMask,
    /// Sectors that differ from the level below.
    pub dirty: SectorMask,
    /// Dirty sectors of which only some bytes are valid.
    pub partial: SectorMask,
    /// Sectors that a hint brought in and that nobody has read since.
    pub prefetched: SectorMask,
}

const _: () = assert!(size_of::<Entry>() == 16);

impl Entry {
    /// `sectors` are no longer valid.
    #[inline(always)]
    pub fn drop_sectors(&mut self, sectors: SectorMask) {
        self.valid = self.valid.without(sectors);
    }
}

/// What fell out to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Its line.
    pub line: Line,
    /// Its dirty sectors.
    pub dirty: SectorMask,
    /// Its partly valid dirty sectors.
    pub partial: SectorMask,
}

/// The tag array.
#[derive(Clone, Debug)]
pub struct Tags {
    sets: u32,
    ways: u32,
    ways_allowed: u32,
    hashed_sets: bool,
    entries: Vec<Entry>,
    /// Ways in use of each set.
    used: Vec<u16>,
    replace: Replace,
    index: Vec<u32>,
    index_shift: u32,
}

impl Tags {
    /// `sets` × `ways` empty entries. With `hashed_sets` the set is a hash of the line, else the
    /// line number modulo the sets. At most 65,535 ways.
    pub fn new(sets: u32, ways: u32, hashed_sets: bool, policy: Replacement) -> Self {
        let lines = sets * ways;
        let buckets = (lines.max(1) * 2).next_power_of_two();
        let empty = Entry {
            line: Line::default(),
            chain: NONE,
            valid: SectorMask::NONE,
            dirty: SectorMask::NONE,
            partial: SectorMask::NONE,
            prefetched: SectorMask::NONE,
        };
        Tags {
            sets,
            ways,
            ways_allowed: ways,
            hashed_sets,
            entries: vec![empty; lines as usize],
            used: vec![0; sets as usize],
            replace: Replace::new(policy, sets, ways),
            index: vec![NONE; buckets as usize],
            index_shift: 64 - buckets.trailing_zeros(),
        }
    }

    /// Empties the array and allows only `ways` ways of each set from now on. Dirty data is lost.
    pub fn reset(&mut self, ways: u32) {
        self.ways_allowed = ways.min(self.ways);
        self.index.fill(NONE);
        self.used.fill(0);
        self.replace.reset(self.ways_allowed);
    }

    /// Ways of each set in use at most.
    pub fn ways_allowed(&self) -> u32 {
        self.ways_allowed
    }

    #[inline(always)]
    fn bucket(&self, line: Line) -> usize {
        (line.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.index_shift) as usize
    }

    /// The set of `line`.
    #[inline(always)]
    pub fn set_of(&self, line: Line) -> u32 {
        let Line(number) = line;
        let number = if self.hashed_sets {
            number ^ (number >> 9) ^ (number >> 17)
        } else {
            number
        };
        if self.sets.is_power_of_two() {
            number as u32 & (self.sets - 1)
        } else {
            (number % u64::from(self.sets)) as u32
        }
    }

    /// The entry of `line`, without touching its age.
    #[inline]
    pub fn find(&self, line: Line) -> Option<EntryId> {
        let mut at = self.index[self.bucket(line)];
        while at != NONE {
            let entry = &self.entries[at as usize];
            if entry.line == line {
                return Some(at);
            }
            at = entry.chain;
        }
        None
    }

    /// Software prefetch: touches the host memory that a lookup of `line`, and its insertion into `set`, will read.
    /// Called for several lines in a row, it overlaps their host cache misses. Changes nothing.
    #[inline(always)]
    pub fn warm(&self, set: u32, line: Line) {
        let content = |id: u32| {
            self.entries
                .get(id as usize)
                .map_or(Line::default(), |e| e.line)
        };
        let leaving = content(set * self.ways + self.replace.likely_victim(set));
        let present = content(self.index[self.bucket(line)]);
        std::hint::black_box(present.0 ^ u64::from(self.index[self.bucket(leaving)]));
    }

    /// An entry's content.
    #[inline(always)]
    pub fn entry(&self, id: EntryId) -> &Entry {
        &self.entries[id as usize]
    }

    /// An entry's content, to change its masks.
    #[inline(always)]
    pub fn entry_mut(&mut self, id: EntryId) -> &mut Entry {
        &mut self.entries[id as usize]
    }

    /// `access` uses the line of `id`.
    #[inline]
    pub fn hit(&mut self, id: EntryId, access: Access) {
        let set = id / self.ways;
        self.replace.hit(set, id - set * self.ways, access);
    }

    /// Takes an entry of the line's own set; see [`Tags::insert_in`].
    pub fn insert(&mut self, line: Line, access: Access) -> (EntryId, Option<Victim>) {
        self.insert_in(self.set_of(line), line, access)
    }

    /// Takes an entry of set `set` for `line`, which must not be present and which `access` brings in: an unused
    /// way, else the one that the policy names. The new entry has no valid sector.
    pub fn insert_in(&mut self, set: u32, line: Line, access: Access) -> (EntryId, Option<Victim>) {
        let mut victim = None;
        let used = &mut self.used[set as usize];
        let way = if u32::from(*used) < self.ways_allowed {
            *used += 1;
            u32::from(*used) - 1
        } else {
            let way = self.replace.victim(set);
            let id = set * self.ways + way;
            let old = self.entries[id as usize];
            victim = Some(Victim {
                line: old.line,
                dirty: old.dirty,
                partial: old.partial,
            });
            self.unindex(old.line, id);
            way
        };
        let id = set * self.ways + way;
        let bucket = self.bucket(line);
        self.entries[id as usize] = Entry {
            line,
            chain: self.index[bucket],
            valid: SectorMask::NONE,
            dirty: SectorMask::NONE,
            partial: SectorMask::NONE,
            prefetched: SectorMask::NONE,
        };
        self.index[bucket] = id;
        self.replace.fill(set, way, access);
        (id, victim)
    }

    /// All lines that are present, in entry order.
    pub fn lines(&self) -> impl Iterator<Item = &Entry> {
        let sets = self.entries.chunks(self.ways as usize).zip(&self.used);
        sets.flat_map(|(set, &used)| &set[..usize::from(used)])
    }

    fn unindex(&mut self, line: Line, id: EntryId) {
        let bucket = self.bucket(line);
        let next = self.entries[id as usize].chain;
        if self.index[bucket] == id {
            self.index[bucket] = next;
            return;
        }
        let mut at = self.index[bucket];
        while self.entries[at as usize].chain != id {
            at = self.entries[at as usize].chain;
        }
        self.entries[at as usize].chain = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive::NaiveLru;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_plain_lru_array(
            sets in 1u32..9, ways in 1u32..6, lines in prop::collection::vec(0u64..64, 1..400)
        ) {
            let mut tags = Tags::new(sets, ways, false, Replacement::Lru);
            let mut naive = NaiveLru::new(sets, ways);
            for line in lines {
                let (hit, victim) = naive.access(line);
                match tags.find(Line(line)) {
                    Some(id) => {
                        prop_assert!(hit);
                        tags.hit(id, Access::default());
                    }
                    None => {
                        prop_assert!(!hit);
                        let (_, out) = tags.insert(Line(line), Access::default());
                        prop_assert_eq!(out.map(|v| v.line.0), victim);
                    }
                }
            }
            prop_assert!(tags.lines().count() <= (sets * ways) as usize);
        }
    }
}
