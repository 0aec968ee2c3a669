//! Pages, and where the entries of the page table lie.
//!
//! The table is that of GPUs since Pascal: directories of four levels, of which the last has entries of 16 bytes; an entry of
//! it is a page of 2 MiB or leads to the entries of pages of 64 KiB. All tables of a level lie one behind the other, so that
//! the entries of neighbouring pages share sectors and lines as in a real table.

use crate::config::PageSize;
use crate::mem::space::Window;
use crate::mem::{Line, SectorMask};

/// Number of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page(pub u64);

/// A level of the table: the address bits below its index, and log2 of the bytes of an entry.
struct Level {
    shift: u32,
    entry_bits: u32,
}

const fn level(shift: u32, entry_bits: u32) -> Level {
    Level { shift, entry_bits }
}

/// From the root to the pages of 64 KiB; those of 2 MiB end one level before.
const LEVELS: [Level; 5] = [
    level(47, 3),
    level(38, 3),
    level(29, 3),
    level(21, 4),
    level(16, 3),
];

/// log2 of the bytes between the tables of two levels.
const REGION_BITS: u32 = 40;

/// The page table of a page size.
#[derive(Clone, Copy, Debug)]
pub struct PageTable {
    bits: u32,
    levels: usize,
}

impl PageTable {
    /// That of pages of `size`.
    pub fn new(size: PageSize) -> Self {
        let bits = size.bits();
        let pages = |level: &Level| level.shift == bits;
        PageTable {
            bits,
            levels: 1 + LEVELS
                .iter()
                .position(pages)
                .expect("each size has a level"),
        }
    }

    /// Levels that a walk reads at most.
    pub fn levels(&self) -> usize {
        self.levels
    }

    /// The page of `line`.
    #[inline(always)]
    pub fn page(&self, line: Line) -> Page {
        Page(line.address() >> self.bits)
    }

    /// The first line of `page`.
    pub fn line(&self, page: Page) -> Line {
        Line::of(page.0 << self.bits)
    }

    /// Number of the entry of level `level` that leads to `page`, among all of the level.
    pub fn index(&self, level: usize, page: Page) -> u64 {
        page.0 >> (LEVELS[level].shift - self.bits)
    }

    /// The sector of that entry.
    pub fn entry(&self, level: usize, page: Page) -> (Line, SectorMask) {
        let region = (level as u64) << REGION_BITS;
        let offset = self.index(level, page) << LEVELS[level].entry_bits;
        let address = Window::PageTable.base() + region + offset;
        let sector = SectorMask::sector_of(address);
        (Line::of(address), SectorMask::range(sector, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_reads_the_levels_of_its_page_size() {
        let (small, large) = (
            PageTable::new(PageSize::Kib64),
            PageTable::new(PageSize::Mib2),
        );
        assert_eq!((small.levels(), large.levels()), (5, 4));
        let line = Line::of((5 << 21) + (3 << 16) + 128);
        assert_eq!(
            (small.page(line), large.page(line)),
            (Page(5 * 32 + 3), Page(5))
        );
        // Two entries of 16 bytes are a sector, eight a line.
        let last = |page| large.entry(3, Page(page));
        assert_eq!(last(0), last(1));
        assert_eq!(last(0).0, last(7).0);
        assert_ne!(last(0).1, last(2).1);
        assert_ne!(last(0).0, last(8).0);
        // The level above leads to 256 pages, 512 MiB.
        assert_eq!(large.index(2, Page(255)), 0);
        assert_eq!(large.index(2, Page(256)), 1);
        assert_eq!(large.line(Page(5)), Line::of(5 << 21));
    }

    #[test]
    fn tables_lie_in_their_window_for_every_address() {
        let (first, end) = Window::PageTable.lines();
        for size in [PageSize::Kib64, PageSize::Mib2] {
            let table = PageTable::new(size);
            let (_, past) = Window::Local.lines();
            for page in [Page(0), table.page(Line(past.0 - 1))] {
                for level in 0..table.levels() {
                    let (line, _) = table.entry(level, page);
                    assert!(first <= line && line < end, "{size:?} {level}");
                    assert_eq!(
                        (line.address() - first.address()) >> REGION_BITS,
                        level as u64
                    );
                }
            }
        }
    }
}
