//! Sectored, set-associative tags.
//!
//! How a lookup finds its entry depends on the associativity, for the host's sake alone: short tags of a set that lie
//! side by side are compared at once ([`Short`]); with hundreds of ways, as L1 has, an index over all lines leads to the
//! entry. Which line makes room is decided by a policy ([`Replace`]). The behaviour is that of a plain set-associative
//! array; a property test holds it against one.

use super::replace::{Access, Replace};
use super::short::Short;
use crate::config::Replacement;
use crate::mem::{Line, SectorMask};
use bincode::{Decode, Encode};

/// Number of an entry (set × ways + way).
pub type EntryId = u32;

const NONE: u32 = u32::MAX;

/// One line's storage.
#[derive(Clone, Copy, Debug, Encode, Decode)]
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

/// What fell out to make room, or must be written back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Its line.
    pub line: Line,
    /// Its valid sectors.
    pub valid: SectorMask,
    /// Its dirty sectors.
    pub dirty: SectorMask,
    /// Its partly valid dirty sectors.
    pub partial: SectorMask,
}

/// The tag array.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Tags {
    sets: u32,
    ways: u32,
    ways_allowed: u32,
    hashed_sets: bool,
    entries: Vec<Entry>,
    /// Ways in use of each set.
    used: Vec<u16>,
    replace: Replace,
    /// How many lines of a set may be dirty; where that is limited, `dirty` has one entry a set.
    dirty_max: u16,
    dirty: Vec<u16>,
    /// Of arrays with few ways.
    short: Option<Short>,
    /// First entry of each bucket; of arrays with more ways.
    index: Vec<u32>,
    index_shift: u32,
}

impl Tags {
    /// `sets` × `ways` empty entries. With `hashed_sets` the set is a hash of the line, else the
    /// line number modulo the sets. At most 65,535 ways.
    pub fn new(sets: u32, ways: u32, hashed_sets: bool, policy: Replacement) -> Self {
        let lines = sets * ways;
        let short = (ways <= Short::WAYS).then(|| Short::new(sets, ways));
        let buckets = match short {
            Some(_) => 1,
            None => (lines.max(1) * 2).next_power_of_two(),
        };
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
            dirty_max: u16::MAX,
            dirty: Vec::new(),
            short,
            index: vec![NONE; buckets as usize],
            index_shift: (64 - buckets.trailing_zeros()).min(63),
        }
    }

    /// The same array, in which at most `lines` lines of a set, at least one, are dirty: see [`Tags::soil`].
    pub fn with_dirty_max(mut self, lines: u16) -> Self {
        self.dirty_max = lines.max(1);
        self.dirty = vec![0; self.sets as usize];
        self
    }

    /// Empties the array and allows only `ways` ways of each set from now on. Dirty data is lost.
    pub fn reset(&mut self, ways: u32) {
        self.ways_allowed = ways.min(self.ways);
        self.index.fill(NONE);
        if let Some(short) = &mut self.short {
            short.reset();
        }
        self.used.fill(0);
        self.dirty.fill(0);
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

    /// The entry of `line`, without touching its age; see [`Tags::find_in`].
    #[inline(always)]
    pub fn find(&self, line: Line) -> Option<EntryId> {
        self.find_in(self.set_of(line), line)
    }

    /// The entry of `line`, which was inserted in set `set` if at all, without touching its age.
    #[inline]
    pub fn find_in(&self, set: u32, line: Line) -> Option<EntryId> {
        if let Some(short) = &self.short {
            let first = set * self.ways;
            let holds = |way| self.entries[(first + way) as usize].line == line;
            return short.find(set, line, holds).map(|way| first + way);
        }
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
        if let Some(short) = &self.short {
            std::hint::black_box(leaving.0 ^ short.touch(set));
            return;
        }
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

    /// `sectors` of the line of `id` differ from the level below from now on. Where this makes one line of the set
    /// too many dirty, another one is clean: it stays, and what it had must be written back. That is the one that
    /// was used least recently, where the policy knows.
    #[inline]
    pub fn soil(&mut self, id: EntryId, sectors: SectorMask) -> Option<Victim> {
        let entry = &mut self.entries[id as usize];
        let first = entry.dirty.is_empty();
        entry.dirty |= sectors;
        if !first || self.dirty.is_empty() {
            return None;
        }
        let set = id / self.ways;
        self.dirty[set as usize] += 1;
        (self.dirty[set as usize] > self.dirty_max).then(|| self.clean(set, id - set * self.ways))
    }

    /// Cleans the first dirty line of `set` in the policy's order that is not in way `kept`.
    fn clean(&mut self, set: u32, kept: u32) -> Victim {
        let ways = self.ways;
        let mut way = self.replace.first_in_order(set);
        for _ in 0..ways {
            let entry = &mut self.entries[(set * ways + way) as usize];
            if way != kept && !entry.dirty.is_empty() {
                let victim = Victim {
                    line: entry.line,
                    valid: entry.valid,
                    dirty: entry.dirty,
                    partial: entry.partial,
                };
                (entry.dirty, entry.partial) = (SectorMask::NONE, SectorMask::NONE);
                self.dirty[set as usize] -= 1;
                return victim;
            }
            way = self.replace.next_in_order(set, way, ways);
        }
        unreachable!("another line of the set is dirty")
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
                valid: old.valid,
                dirty: old.dirty,
                partial: old.partial,
            });
            if self.short.is_none() {
                self.unindex(old.line, id);
            }
            if !self.dirty.is_empty() && !old.dirty.is_empty() {
                self.dirty[set as usize] -= 1;
            }
            way
        };
        let id = set * self.ways + way;
        let chain = match &mut self.short {
            Some(short) => {
                short.set(set, way, line);
                NONE
            }
            None => {
                let bucket = self.bucket(line);
                std::mem::replace(&mut self.index[bucket], id)
            }
        };
        self.entries[id as usize] = Entry {
            line,
            chain,
            valid: SectorMask::NONE,
            dirty: SectorMask::NONE,
            partial: SectorMask::NONE,
            prefetched: SectorMask::NONE,
        };
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
            sets in 1u32..9,
            ways in prop_oneof![1u32..20, 31u32..36],
            lines in prop::collection::vec((0u64..64, prop::bool::ANY), 1..400)
        ) {
            let lines = lines.into_iter().map(|(line, far)| line | u64::from(far) << 31);
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

    #[test]
    fn one_dirty_line_more_than_allowed_cleans_the_next_in_order() {
        let mut tags = Tags::new(1, 4, false, Replacement::Lru).with_dirty_max(2);
        let all = SectorMask::ALL;
        let ids: Vec<EntryId> = (0..4)
            .map(|line| tags.insert(Line(line), Access::default()).0)
            .collect();
        assert_eq!(tags.soil(ids[0], SectorMask::one(1)), None);
        assert_eq!(tags.soil(ids[1], all), None);
        assert_eq!(tags.soil(ids[1], all), None, "dirty already");
        let cleaned = tags.soil(ids[2], all).unwrap();
        assert_eq!((cleaned.line, cleaned.dirty), (Line(0), SectorMask::one(1)));
        assert_eq!(tags.find(Line(0)), Some(ids[0]), "it stays");
        assert!(tags.entry(ids[0]).dirty.is_empty());
        assert_eq!(tags.soil(ids[3], all).unwrap().line, Line(1));
        assert_eq!(tags.soil(ids[0], all).unwrap().line, Line(2));
        // Line 0 is the oldest and dirty, 1 and 2 are clean. Only 3 is dirty then, and one more may be.
        let none = SectorMask::NONE;
        for (line, victim) in [(4, all), (5, none), (6, none)] {
            let (_, old) = tags.insert(Line(line), Access::default());
            assert_eq!(old.map(|v| v.dirty), Some(victim), "{line}");
        }
        let id = tags.find(Line(6)).unwrap();
        assert_eq!(tags.soil(id, all), None);
    }
}
