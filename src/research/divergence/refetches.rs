//! Sectors that L2 fetched from DRAM twice: it had them, and they fell out in between.

use super::table::Table;
use crate::mem::{Line, SectorMask};
use std::collections::BTreeMap;

/// Lines of a DRAM channel that are followed, those that were fetched first.
const LINES_MAX: usize = 1 << 16;
/// Pairs of kernels that are told apart in a channel.
const PAIRS_MAX: usize = 1024;

/// A kernel that fetched sectors, and one that fetched them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The one that fetched them last before.
    pub before: u32,
    /// The one that fetched them again.
    pub again: u32,
}

/// Sectors fetched by a channel, or by all when they are merged.
#[derive(Clone, Debug, Default)]
pub struct Refetches {
    /// What was fetched of a line, and the kernel that fetched last.
    lines: Table<(SectorMask, u32)>,
    /// All sectors fetched.
    pub sectors: u64,
    /// Those of lines that are not followed.
    pub unfollowed: u64,
    /// Those that were fetched again.
    pub again: u64,
    /// The latter by kernels, as far as there was room for the pair.
    pub pairs: BTreeMap<Pair, u64>,
}

impl Refetches {
    /// `kernel` has `sectors` of `line` fetched.
    pub fn fetched(&mut self, line: Line, sectors: SectorMask, kernel: u32) {
        self.sectors += u64::from(sectors.count());
        if self.lines.len() >= LINES_MAX && self.lines.get(line).is_none() {
            self.unfollowed += u64::from(sectors.count());
            return;
        }
        let (had, before) = self.lines.or_insert(line, (SectorMask::NONE, kernel));
        let again = u64::from((*had & sectors).count());
        let pair = Pair {
            before: *before,
            again: kernel,
        };
        *had |= sectors;
        *before = kernel;
        if again == 0 {
            return;
        }
        self.again += again;
        if self.pairs.len() < PAIRS_MAX || self.pairs.contains_key(&pair) {
            *self.pairs.entry(pair).or_default() += again;
        }
    }

    /// Adds those of another channel.
    pub fn merge(&mut self, other: &Self) {
        self.sectors += other.sectors;
        self.unfollowed += other.unfollowed;
        self.again += other.again;
        for (pair, sectors) in &other.pairs {
            *self.pairs.entry(*pair).or_default() += sectors;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_again_is_laid_to_both_kernels() {
        let mut channel = Refetches::default();
        let mask = SectorMask::new;
        channel.fetched(Line(1), mask(0b0011), 0);
        channel.fetched(Line(1), mask(0b0100), 1);
        channel.fetched(Line(1), mask(0b1111), 4);
        channel.fetched(Line(2), mask(0b1111), 4);
        let mut all = Refetches::default();
        all.merge(&channel);
        all.merge(&channel);
        let pair = Pair {
            before: 1,
            again: 4,
        };
        assert_eq!(all.pairs.into_iter().collect::<Vec<_>>(), [(pair, 6)]);
        assert_eq!((all.sectors, all.again, all.unfollowed), (22, 6, 0));
    }

    #[test]
    fn lines_beyond_the_room_are_counted_and_not_followed() {
        let mut channel = Refetches::default();
        for line in 0..LINES_MAX as u64 + 2 {
            channel.fetched(Line(line), SectorMask::ALL, 0);
        }
        channel.fetched(Line(0), SectorMask::ALL, 1);
        channel.fetched(Line(LINES_MAX as u64), SectorMask::ALL, 1);
        assert_eq!((channel.again, channel.unfollowed), (4, 12));
    }
}
