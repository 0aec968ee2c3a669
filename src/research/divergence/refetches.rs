//! Sectors that L2 fetched from DRAM twice: it had them, and they fell out in between. As what L1 loses, they are noted, and
//! followed up many at a time.

use super::table::{Key, Table};
use crate::mem::{Line, SectorMask};

/// Lines of a DRAM channel that are followed, those that were fetched first.
const LINES_MAX: usize = 1 << 16;
/// Fetches that are noted before they are followed up.
const NOTED_MAX: usize = 512;
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

impl Key for Pair {
    const FREE: Self = Pair {
        before: u32::MAX,
        again: u32::MAX,
    };

    fn bits(self) -> u64 {
        u64::from(self.before) << 32 | u64::from(self.again)
    }
}

/// What was fetched of a line.
#[derive(Clone, Copy, Debug, Default)]
struct Fetched {
    /// The kernel that did so last.
    by: u32,
    sectors: SectorMask,
}

const _: () = assert!(size_of::<(Line, Fetched)>() == 16);

/// Sectors fetched by a channel, or by all when they are merged.
#[derive(Clone, Debug, Default)]
pub struct Refetches {
    noted: Vec<(Line, Fetched)>,
    lines: Table<(Line, Fetched)>,
    /// All sectors fetched.
    pub sectors: u64,
    /// Those of lines that are not followed.
    pub unfollowed: u64,
    /// Those that were fetched again.
    pub again: u64,
    /// The latter by kernels, as far as there was room for the pair.
    pub pairs: Table<(Pair, u64)>,
}

impl Refetches {
    /// `kernel` has `sectors` of `line` fetched.
    #[inline]
    pub fn fetched(&mut self, line: Line, sectors: SectorMask, kernel: u32) {
        if self.noted.len() == NOTED_MAX {
            self.follow_up();
        }
        let by = kernel;
        self.noted.push((line, Fetched { by, sectors }));
    }

    fn follow_up(&mut self) {
        let mut noted = std::mem::take(&mut self.noted);
        for (line, fetched) in noted.drain(..) {
            self.follow(line, fetched.sectors, fetched.by);
        }
        self.noted = noted;
    }

    fn follow(&mut self, line: Line, sectors: SectorMask, kernel: u32) {
        self.sectors += u64::from(sectors.count());
        if self.lines.len() >= LINES_MAX && self.lines.get(line).is_none() {
            self.unfollowed += u64::from(sectors.count());
            return;
        }
        let (_, known) = self.lines.or_insert((line, Fetched::default()));
        let again = u64::from((known.sectors & sectors).count());
        let pair = Pair {
            before: known.by,
            again: kernel,
        };
        known.sectors |= sectors;
        known.by = kernel;
        if again == 0 {
            return;
        }
        self.again += again;
        if self.pairs.len() < PAIRS_MAX || self.pairs.get(pair).is_some() {
            self.pairs.or_insert((pair, 0)).1 += again;
        }
    }

    /// Adds those of another channel.
    pub fn merge(&mut self, mut other: Self) {
        other.follow_up();
        self.sectors += other.sectors;
        self.unfollowed += other.unfollowed;
        self.again += other.again;
        for (pair, sectors) in other.pairs.iter() {
            self.pairs.or_insert((*pair, 0)).1 += sectors;
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
        all.merge(channel.clone());
        all.merge(channel);
        let pair = Pair {
            before: 1,
            again: 4,
        };
        assert_eq!(all.pairs.iter().collect::<Vec<_>>(), [&(pair, 6)]);
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
        channel.follow_up();
        assert_eq!((channel.again, channel.unfollowed), (4, 12));
    }
}
