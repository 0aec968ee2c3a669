//! Lines and sectors: how L2's space is cut up, as types.

use super::{LINE_BYTES, SECTOR_BYTES, SECTORS_PER_LINE};
use bincode::{Decode, Encode};
use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign};

/// Number of a line of [`LINE_BYTES`] in the space that L2 caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Line(pub u64);

impl Line {
    /// The line in which `address` lies.
    #[inline(always)]
    pub const fn of(address: u64) -> Self {
        Line(address / LINE_BYTES)
    }

    /// The address of its first byte.
    #[inline(always)]
    pub const fn address(self) -> u64 {
        self.0 * LINE_BYTES
    }

    /// The address of the first byte of its sector number `sector`.
    #[inline(always)]
    pub const fn sector_address(self, sector: u32) -> u64 {
        self.address() + sector as u64 * SECTOR_BYTES
    }

    /// The line `by` lines further on.
    #[inline(always)]
    pub const fn offset(self, by: i64) -> Self {
        Line(self.0.wrapping_add_signed(by))
    }
}

/// Some sectors of a line: bit `i` for bytes `32 i`..`32 i + 31`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SectorMask(u8);

impl SectorMask {
    /// No sector.
    pub const NONE: SectorMask = SectorMask(0);
    /// The whole line.
    pub const ALL: SectorMask = SectorMask((1 << SECTORS_PER_LINE) - 1);

    /// The sectors whose bits are set in `bits`, of which only the low four may be.
    #[inline(always)]
    pub const fn new(bits: u8) -> Self {
        debug_assert!(bits <= Self::ALL.0);
        SectorMask(bits)
    }

    /// Sector number `sector` alone.
    #[inline(always)]
    pub const fn one(sector: u32) -> Self {
        SectorMask::new(1 << sector)
    }

    /// `count` sectors from number `first` on.
    #[inline(always)]
    pub const fn range(first: u32, count: u32) -> Self {
        SectorMask::new(((1 << count) - 1) << first)
    }

    /// Number of the sector in which `address` lies.
    #[inline(always)]
    pub const fn sector_of(address: u64) -> u32 {
        (address % LINE_BYTES / SECTOR_BYTES) as u32
    }

    /// Whether sector number `sector` is one of them.
    #[inline(always)]
    pub const fn has(self, sector: u32) -> bool {
        self.0 >> sector & 1 == 1
    }

    /// How many there are.
    #[inline(always)]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is none.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are among them.
    #[inline(always)]
    pub const fn contains(self, other: SectorMask) -> bool {
        other.without(self).is_empty()
    }

    /// Those that are not in `other`.
    #[inline(always)]
    pub const fn without(self, other: SectorMask) -> Self {
        SectorMask(self.0 & !other.0)
    }

    /// They and their neighbours: both sectors of every aligned pair that has one of them.
    #[inline(always)]
    pub const fn in_pairs(self) -> Self {
        SectorMask(self.0 | (self.0 << 1 & 0b1010) | (self.0 >> 1 & 0b0101))
    }

    /// Number of the first one; of an empty mask a number that no sector has.
    #[inline(always)]
    pub const fn first(self) -> u32 {
        self.0.trailing_zeros()
    }

    /// Their numbers, in ascending order.
    #[inline(always)]
    pub fn sectors(self) -> impl Iterator<Item = u32> {
        (0..SECTORS_PER_LINE).filter(move |&sector| self.has(sector))
    }
}

impl BitOr for SectorMask {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        SectorMask(self.0 | other.0)
    }
}

impl BitOrAssign for SectorMask {
    #[inline(always)]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for SectorMask {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        SectorMask(self.0 & other.0)
    }
}

impl BitAndAssign for SectorMask {
    #[inline(always)]
    fn bitand_assign(&mut self, other: Self) {
        self.0 &= other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_come_back_from_their_addresses() {
        let line = Line::of(3 * LINE_BYTES + 1);
        assert_eq!((line, line.offset(-2)), (Line(3), Line(1)));
        for sector in 0..SECTORS_PER_LINE {
            let address = line.sector_address(sector) + SECTOR_BYTES - 1;
            assert_eq!(Line::of(address), line);
            assert_eq!(SectorMask::sector_of(address), sector);
        }
        assert_eq!(
            Line::of(line.sector_address(SECTORS_PER_LINE)),
            line.offset(1)
        );
    }

    #[test]
    fn masks_are_sets() {
        let (low, middle) = (SectorMask::range(0, 2), SectorMask::range(1, 2));
        assert_eq!(low | middle, SectorMask::new(0b0111));
        assert_eq!(low & middle, SectorMask::one(1));
        assert_eq!(low.without(middle), SectorMask::one(0));
        assert!(SectorMask::ALL.contains(low) && !low.contains(middle));
        assert_eq!(middle.sectors().collect::<Vec<_>>(), [1, 2]);
        assert_eq!((middle.first(), middle.count()), (1, 2));
        assert_eq!(SectorMask::range(0, SECTORS_PER_LINE), SectorMask::ALL);
        assert_eq!(middle.in_pairs(), SectorMask::ALL);
        assert_eq!(SectorMask::one(3).in_pairs(), SectorMask::range(2, 2));
        assert_eq!(SectorMask::one(0).in_pairs(), low);
        assert!(SectorMask::ALL.without(SectorMask::ALL).is_empty());
    }
}
