//! Belady's bound: the hits of a cache that knows the future.
//!
//! Of a full set goes the line whose next access is farthest away. Where each access that allocates takes its line in, no
//! policy finds more lines present (Belady, IBM Systems Journal 1966; Mattson et al., 1970). Accesses that allocate nothing
//! change neither what is present nor the count, so they are left out. Sectors are not looked at: a line counts as
//! present with any of them.

use crate::mem::Line;
use std::collections::BTreeSet;

/// Most accesses that are recorded: 256 MiB, and as much again while the bound is computed.
pub const ACCESSES_MAX: usize = 1 << 26;
/// No further access.
const NEVER: u32 = u32::MAX;

/// The accesses of a stream by numbers of lines, while they are few enough.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    lines: Vec<Line>,
    accesses: Vec<u32>,
    given_up: bool,
}

/// What Belady's policy finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Accesses whose line was present.
    pub line_hits: u64,
    /// Accesses whose line was not.
    pub line_misses: u64,
}

impl Recording {
    /// The number of a line that is new.
    pub fn line(&mut self, line: Line) -> u32 {
        if self.given_up {
            return 0;
        }
        self.lines.push(line);
        self.lines.len() as u32 - 1
    }

    /// An access of the line `number`.
    pub fn access(&mut self, number: u32) {
        if self.accesses.len() == ACCESSES_MAX {
            self.give_up();
        }
        if !self.given_up {
            self.accesses.push(number);
        }
    }

    /// The stream is too long, or names lines that are not remembered: there will be no bound.
    pub fn give_up(&mut self) {
        self.given_up = true;
        (self.lines, self.accesses) = (Vec::new(), Vec::new());
    }

    /// The bound of an array of `ways` ways, whose sets `set_of` names; none of a stream that was given up.
    pub fn bound(&self, ways: usize, set_of: impl Fn(Line) -> usize) -> Option<Bound> {
        if self.given_up {
            return None;
        }
        let set_of: Vec<usize> = self.lines.iter().map(|&line| set_of(line)).collect();
        let mut sets = vec![BTreeSet::new(); set_of.iter().max().map_or(0, |last| last + 1)];
        let next = self.next_accesses();
        let mut line_hits = 0;
        for (now, (&line, &next)) in self.accesses.iter().zip(&next).enumerate() {
            // A set's lines by their next access: that of a line which is present is now.
            let set = &mut sets[set_of[line as usize]];
            match set.remove(&(now as u32, line)) {
                true => line_hits += 1,
                false if set.len() == ways => {
                    set.pop_last();
                }
                false => {}
            }
            set.insert((next, line));
        }
        Some(Bound {
            line_hits,
            line_misses: self.accesses.len() as u64 - line_hits,
        })
    }

    /// For each access the next one of the same line.
    fn next_accesses(&self) -> Vec<u32> {
        let mut upcoming = vec![NEVER; self.lines.len()];
        let mut next = vec![NEVER; self.accesses.len()];
        for (now, &line) in self.accesses.iter().enumerate().rev() {
            next[now] = std::mem::replace(&mut upcoming[line as usize], now as u32);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_is_needed_last_goes() {
        // Belady's own example, three frames: 9 faults for 20 references.
        let pages = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1];
        let mut recording = Recording::default();
        let mut numbers = [None; 8];
        for page in pages {
            let number = *numbers[page].get_or_insert_with(|| recording.line(Line(page as u64)));
            recording.access(number);
        }
        let bound = recording.bound(3, |_| 0).unwrap();
        assert_eq!((bound.line_hits, bound.line_misses), (11, 9));
        // With a set of its own every line stays.
        let apart = recording.bound(1, |line| line.0 as usize).unwrap();
        assert_eq!(apart.line_misses, 6);
        recording.give_up();
        assert_eq!(recording.bound(3, |_| 0), None);
    }
}
