//! Sectored, set-associative tags with LRU replacement.
//!
//! A lookup finds its entry through an index over all lines instead of comparing every way, and LRU
//! order is a list per set, so that the host's cost does not depend on associativity. The behaviour
//! is that of a plain set-associative array; a property test holds it against one.

/// Number of an entry (set × ways + way).
pub type EntryId = u32;

const NONE: u32 = u32::MAX;

/// One line's storage.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Line number.
    pub line: u64,
    chain: u32,
    newer: u32,
    older: u32,
    /// Sectors with all bytes valid.
    pub valid: u8,
    /// Sectors that differ from the level below.
    pub dirty: u8,
    /// Dirty sectors of which only some bytes are valid.
    pub partial: u8,
    in_use: bool,
}

#[derive(Clone, Copy, Debug)]
struct Set {
    newest: u32,
    oldest: u32,
    /// Ways that may be used (a carve-out takes the rest).
    used: u32,
}

/// What fell out to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Line number.
    pub line: u64,
    /// Its dirty sectors.
    pub dirty: u8,
    /// Its partly valid dirty sectors.
    pub partial: u8,
}

/// The tag array.
#[derive(Clone, Debug)]
pub struct Tags {
    sets: u32,
    ways: u32,
    ways_allowed: u32,
    hashed_sets: bool,
    entries: Vec<Entry>,
    set_state: Vec<Set>,
    index: Vec<u32>,
    index_shift: u32,
}

impl Tags {
    /// `sets` × `ways` empty entries. With `hashed_sets` the set is a hash of the line, else the
    /// line number modulo the sets.
    pub fn new(sets: u32, ways: u32, hashed_sets: bool) -> Self {
        let lines = sets * ways;
        let buckets = (lines.max(1) * 2).next_power_of_two();
        let empty = Entry {
            line: 0,
            chain: NONE,
            newer: NONE,
            older: NONE,
            valid: 0,
            dirty: 0,
            partial: 0,
            in_use: false,
        };
        Tags {
            sets,
            ways,
            ways_allowed: ways,
            hashed_sets,
            entries: vec![empty; lines as usize],
            set_state: vec![
                Set {
                    newest: NONE,
                    oldest: NONE,
                    used: 0
                };
                sets as usize
            ],
            index: vec![NONE; buckets as usize],
            index_shift: 64 - buckets.trailing_zeros(),
        }
    }

    /// Empties the array and allows only `ways` ways of each set from now on. Dirty data is lost.
    pub fn reset(&mut self, ways: u32) {
        self.ways_allowed = ways.min(self.ways);
        for entry in &mut self.entries {
            entry.in_use = false;
        }
        self.index.fill(NONE);
        self.set_state.fill(Set {
            newest: NONE,
            oldest: NONE,
            used: 0,
        });
    }

    /// Ways of each set in use at most.
    pub fn ways_allowed(&self) -> u32 {
        self.ways_allowed
    }

    #[inline(always)]
    fn bucket(&self, line: u64) -> usize {
        (line.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.index_shift) as usize
    }

    /// The set of `line`.
    #[inline(always)]
    pub fn set_of(&self, line: u64) -> u32 {
        let number = if self.hashed_sets {
            line ^ (line >> 9) ^ (line >> 17)
        } else {
            line
        };
        if self.sets.is_power_of_two() {
            number as u32 & (self.sets - 1)
        } else {
            (number % u64::from(self.sets)) as u32
        }
    }

    /// The entry of `line`, without touching its age.
    #[inline]
    pub fn find(&self, line: u64) -> Option<EntryId> {
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

    /// Loads what a lookup of `line`, and its insertion into set `set`, will read, and does nothing with it: called
    /// for several lines in a row it lets the host wait for memory once instead of line by line.
    #[inline(always)]
    pub fn warm(&self, set: u32, line: u64) {
        let content = |id: u32| self.entries.get(id as usize).map_or(0, |e| e.line);
        let oldest = content(self.set_state[set as usize].oldest);
        let present = content(self.index[self.bucket(line)]);
        std::hint::black_box(present ^ u64::from(self.index[self.bucket(oldest)]));
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

    /// Makes `id` the most recently used of its set.
    #[inline]
    pub fn touch(&mut self, id: EntryId) {
        let set = (id / self.ways) as usize;
        if self.set_state[set].newest != id {
            self.unlink(set, id);
            self.link_newest(set, id);
        }
    }

    /// Takes an entry of the line's own set; see [`Tags::insert_in`].
    pub fn insert(&mut self, line: u64) -> (EntryId, Option<Victim>) {
        self.insert_in(self.set_of(line), line)
    }

    /// Takes an entry of set `set_number` for `line`, which must not be present: an unused way, else
    /// the least recently used. The new entry has no valid sector and is the most recently used.
    pub fn insert_in(&mut self, set_number: u32, line: u64) -> (EntryId, Option<Victim>) {
        let set = set_number as usize;
        let mut victim = None;
        let id = if self.set_state[set].used < self.ways_allowed {
            let id = set_number * self.ways + self.set_state[set].used;
            self.set_state[set].used += 1;
            id
        } else {
            let id = self.set_state[set].oldest;
            let old = self.entries[id as usize];
            victim = Some(Victim {
                line: old.line,
                dirty: old.dirty,
                partial: old.partial,
            });
            self.unindex(old.line, id);
            self.unlink(set, id);
            id
        };
        let bucket = self.bucket(line);
        self.entries[id as usize] = Entry {
            line,
            chain: self.index[bucket],
            newer: NONE,
            older: NONE,
            valid: 0,
            dirty: 0,
            partial: 0,
            in_use: true,
        };
        self.index[bucket] = id;
        self.link_newest(set, id);
        (id, victim)
    }

    /// All lines that are present, in entry order.
    pub fn lines(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.in_use)
    }

    fn unindex(&mut self, line: u64, id: EntryId) {
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

    fn unlink(&mut self, set: usize, id: EntryId) {
        let (newer, older) = (
            self.entries[id as usize].newer,
            self.entries[id as usize].older,
        );
        match newer {
            NONE => self.set_state[set].newest = older,
            n => self.entries[n as usize].older = older,
        }
        match older {
            NONE => self.set_state[set].oldest = newer,
            o => self.entries[o as usize].newer = newer,
        }
    }

    fn link_newest(&mut self, set: usize, id: EntryId) {
        let head = self.set_state[set].newest;
        self.entries[id as usize].newer = NONE;
        self.entries[id as usize].older = head;
        match head {
            NONE => self.set_state[set].oldest = id,
            h => self.entries[h as usize].newer = id,
        }
        self.set_state[set].newest = id;
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
            let mut tags = Tags::new(sets, ways, false);
            let mut naive = NaiveLru::new(sets, ways);
            for line in lines {
                let (hit, victim) = naive.access(line);
                match tags.find(line) {
                    Some(id) => {
                        prop_assert!(hit);
                        tags.touch(id);
                    }
                    None => {
                        prop_assert!(!hit);
                        let (_, out) = tags.insert(line);
                        prop_assert_eq!(out.map(|v| v.line), victim);
                    }
                }
            }
            prop_assert!(tags.lines().count() <= (sets * ways) as usize);
        }
    }
}
