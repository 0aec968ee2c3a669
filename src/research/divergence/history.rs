//! The last lines that an L1 lost, as far back as they are remembered.
//!
//! They stand in a ring in the order in which they fell out. Behind the newest one of each bucket of lines hangs a chain of
//! older ones; it ends at one that is no longer remembered, so that what is forgotten is taken out of no chain.

use super::losses::AccessId;
use super::table::Key;
use crate::engine::Cycle;
use crate::mem::{Line, SectorMask};

/// Entries that there is room for at once: as many as most caches need.
const ROOM_MIN: usize = 1 << 13;

/// A line that fell out.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// The line.
    pub line: Line,
    /// When.
    pub at: Cycle,
    /// Which access had brought it in.
    pub owner: AccessId,
    /// Which one brought in the line that took its place.
    pub by: AccessId,
    /// Number of the eviction before, of a line of the same bucket.
    pub(super) older: u32,
    /// Sectors that it had and that did not come back.
    pub sectors: SectorMask,
    /// It was wanted back already, in part.
    pub wanted: bool,
    /// Those two accesses were of different CTAs.
    pub other_cta: bool,
}

const _: () = assert!(size_of::<Lost>() == 32);

impl Lost {
    /// Line `line`, which has left with `sectors` at `at`.
    pub fn new(line: Line, sectors: SectorMask, at: Cycle) -> Self {
        Lost {
            line,
            at,
            owner: AccessId::default(),
            by: AccessId::default(),
            older: 0,
            sectors,
            wanted: false,
            other_cta: false,
        }
    }
}

/// The last evictions of an L1. They are numbered from 1, modulo 2^32.
#[derive(Clone, Debug, Default)]
pub struct History {
    ring: Vec<Lost>,
    /// Place of the next one.
    next: usize,
    /// Evictions so far, of which the last is number `count`.
    count: u32,
    /// So many of them are remembered.
    held: usize,
    /// So many are remembered at most.
    most: usize,
    /// By bucket: number of the newest one. Buckets are a power of two, at least twice as many as entries.
    newest: Vec<u32>,
}

impl History {
    /// Of the last `most` evictions.
    pub fn new(most: usize) -> Self {
        History {
            most,
            ..History::default()
        }
    }

    /// All are forgotten.
    pub fn clear(&mut self) {
        self.held = 0;
    }

    /// How many evictions ago number `number` was, 1 for the last one; or nothing when it is not remembered.
    #[inline]
    fn ago(&self, number: u32) -> Option<usize> {
        let ago = self.count.wrapping_sub(number) as usize;
        (ago < self.held).then_some(ago + 1)
    }

    fn place(&self, ago: usize) -> usize {
        match self.next.checked_sub(ago) {
            Some(place) => place,
            None => self.next + self.ring.len() - ago,
        }
    }

    #[inline]
    fn bucket(&self, line: Line) -> Option<usize> {
        Some(line.home(self.newest.len().checked_sub(1)?))
    }

    /// The last time that `line` fell out.
    #[inline]
    pub fn get_mut(&mut self, line: Line) -> Option<&mut Lost> {
        let mut ago = self.ago(self.newest[self.bucket(line)?])?;
        loop {
            let place = self.place(ago);
            let lost = &self.ring[place];
            if lost.line == line {
                return Some(&mut self.ring[place]);
            }
            // A number that stood here 2^32 evictions ago may seem newer.
            ago = self.ago(lost.older).filter(|older| *older > ago)?;
        }
    }

    /// `lost` falls out, and takes the place of what was known of its line. Whether a line is forgotten for it of which a
    /// sector had not come back.
    pub fn push(&mut self, lost: Lost) -> bool {
        if let Some(before) = self.get_mut(lost.line) {
            before.sectors = SectorMask::NONE;
        }
        if self.next == self.ring.capacity() {
            self.make_room();
        }
        let forgets = self.held == self.most && !self.ring[self.next].sectors.is_empty();
        self.count = self.count.wrapping_add(1);
        let bucket = lost.line.home(self.newest.len() - 1);
        let older = std::mem::replace(&mut self.newest[bucket], self.count);
        let lost = Lost { older, ..lost };
        match self.ring.get_mut(self.next) {
            Some(place) => *place = lost,
            None => self.ring.push(lost),
        }
        self.held = (self.held + 1).min(self.most);
        self.next = (self.next + 1) % self.most;
        forgets
    }

    fn make_room(&mut self) {
        let room = self.most.min(ROOM_MIN.max(2 * self.ring.len()));
        self.ring.reserve_exact(room - self.ring.len());
        let buckets = (2 * room).next_power_of_two();
        self.newest = vec![0; buckets];
        for ago in (1..=self.held).rev() {
            let place = self.place(ago);
            let number = self.count.wrapping_sub(ago as u32 - 1);
            let bucket = self.ring[place].line.home(buckets - 1);
            self.ring[place].older = std::mem::replace(&mut self.newest[bucket], number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn sectors(bits: u8) -> SectorMask {
        SectorMask::new(bits)
    }

    proptest! {
        /// Beside the list of the last evictions, the newest of a line before the others; numbers go round on the way.
        #[test]
        fn what_is_remembered_are_the_last_evictions(
            most in 1usize..100,
            begin in prop::sample::select(vec![0, u32::MAX - 50]),
            steps in prop::collection::vec((0u64..60, 0u8..20), 1..600),
        ) {
            let mut history = History::new(most);
            history.count = begin;
            let mut list: VecDeque<(u64, Cycle, SectorMask)> = VecDeque::new();
            for (at, (line, step)) in steps.into_iter().enumerate() {
                let at = at as Cycle;
                let known = |list: &VecDeque<(u64, Cycle, SectorMask)>| {
                    let found = list.iter().rev().find(|(own, ..)| *own == line);
                    found.copied().map(|(_, at, left)| (at, left))
                };
                let own = history.get_mut(Line(line)).map(|lost| (lost.at, lost.sectors));
                prop_assert_eq!(own, known(&list));
                match step {
                    0 => {
                        history.clear();
                        list.clear();
                    }
                    1..5 => {
                        // It comes back.
                        if let Some(lost) = history.get_mut(Line(line)) {
                            lost.sectors = SectorMask::NONE;
                        }
                        for entry in list.iter_mut().filter(|(own, ..)| *own == line) {
                            entry.2 = SectorMask::NONE;
                        }
                    }
                    _ => {
                        for entry in list.iter_mut().filter(|(own, ..)| *own == line) {
                            entry.2 = SectorMask::NONE;
                        }
                        list.push_back((line, at, sectors(0b11)));
                        let oldest = if list.len() > most { list.pop_front() } else { None };
                        let forgets = oldest.is_some_and(|(_, _, left)| !left.is_empty());
                        let lost = Lost::new(Line(line), sectors(0b11), at);
                        prop_assert_eq!(history.push(lost), forgets);
                    }
                }
            }
        }
    }

    #[test]
    fn there_is_room_for_all_that_a_large_cache_remembers() {
        let most = 3 * ROOM_MIN as u64 + 5;
        let mut history = History::new(most as usize);
        let lines = 2 * most;
        for line in 0..lines {
            let forgets = history.push(Lost::new(Line(line), SectorMask::ALL, line));
            assert_eq!(forgets, line >= most);
        }
        for line in 0..lines {
            let found = history.get_mut(Line(line)).map(|lost| lost.at);
            assert_eq!(found, (line >= lines - most).then_some(line));
        }
    }
}
