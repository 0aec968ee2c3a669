//! Tags of a small cache: the sets lie next to each other and are searched way by way, and age is a clock.
//!
//! For caches of few ways whose content is never dirty (instructions, constants) this is faster than
//! [`Tags`](super::Tags), which pays for an index over all lines. Replacement is LRU; a property test holds both
//! against the same plain model.

use bincode::{Decode, Encode};

/// Number of an entry (set × ways + way).
pub type SmallId = usize;

/// Marks an unused way. No address is that large.
const NO_LINE: u64 = u64::MAX;

/// The tag array.
#[derive(Clone, Debug, Encode, Decode)]
pub struct SmallTags {
    sets: usize,
    ways: usize,
    lines: Vec<u64>,
    /// When each entry was last used; 0 for unused ones, which are therefore taken first.
    used_at: Vec<u64>,
    clock: u64,
}

impl SmallTags {
    /// `sets` × `ways` empty entries. The set of a line is its number modulo the sets.
    pub fn new(sets: u32, ways: u32) -> Self {
        let (sets, ways) = (sets as usize, ways as usize);
        SmallTags {
            sets,
            ways,
            lines: vec![NO_LINE; sets * ways],
            used_at: vec![0; sets * ways],
            clock: 0,
        }
    }

    /// Empties the array.
    pub fn reset(&mut self) {
        self.lines.fill(NO_LINE);
        self.used_at.fill(0);
        self.clock = 0;
    }

    /// The first entry of the line's set.
    #[inline(always)]
    fn first(&self, line: u64) -> usize {
        let set = if self.sets.is_power_of_two() {
            line as usize & (self.sets - 1)
        } else {
            line as usize % self.sets
        };
        set * self.ways
    }

    /// The entry of `line`, without touching its age.
    #[inline(always)]
    pub fn find(&self, line: u64) -> Option<SmallId> {
        let first = self.first(line);
        let set = &self.lines[first..first + self.ways];
        let way = set.iter().position(|&l| l == line)?;
        Some(first + way)
    }

    /// Makes `id` the most recently used of its set.
    #[inline(always)]
    pub fn touch(&mut self, id: SmallId) {
        self.clock += 1;
        self.used_at[id] = self.clock;
    }

    /// Empties entry `id`, which is the next of its set to be taken.
    pub fn remove(&mut self, id: SmallId) {
        (self.lines[id], self.used_at[id]) = (NO_LINE, 0);
    }

    /// Takes an entry for `line`, which must not be present: the first unused way, else the least recently used.
    /// It is the most recently used afterwards.
    pub fn insert(&mut self, line: u64) -> SmallId {
        let first = self.first(line);
        let ages = self.used_at[first..first + self.ways].iter().zip(first..);
        let id = ages.min().map_or(first, |(_, id)| id);
        self.lines[id] = line;
        self.touch(id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive::NaiveLru;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_removed_line_leaves_the_first_room() {
        let mut tags = SmallTags::new(1, 3);
        let ids = [5, 6, 7].map(|line| tags.insert(line));
        tags.remove(ids[1]);
        assert_eq!(tags.find(6), None);
        assert_eq!(tags.insert(8), ids[1]);
        assert_eq!(tags.insert(9), ids[0], "again the oldest");
    }

    proptest! {
        #[test]
        fn behaves_like_a_plain_lru_array(
            sets in 1u32..9, ways in 1u32..6, lines in prop::collection::vec(0u64..64, 1..400)
        ) {
            let mut tags = SmallTags::new(sets, ways);
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
                        let before = tags.lines.clone();
                        let id = tags.insert(line);
                        prop_assert_eq!((before[id] != NO_LINE).then_some(before[id]), victim);
                    }
                }
            }
            tags.reset();
            prop_assert!((0..64).all(|line| tags.find(line).is_none()));
        }
    }
}
