//! The map of the memory that L2 caches: one window of lines for each kind of content.
//!
//! Data has the addresses that programs use, 48 bits of them. What programs cannot address (code, constants, the
//! local memory of threads, the page table) lies above, each in a window of its own, so that nothing is taken for anything else.

use super::{Line, SECTOR_BYTES, SectorMask};

/// Lines of the whole window of one kind: 256 TiB.
const WINDOW_LINES: u64 = 1 << 41;

/// Kinds of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Global memory.
    Data,
    /// Instructions.
    Code,
    /// Constant banks: parameters of launches and constants of kernels.
    Constants,
    /// Local memory of threads.
    Local,
    /// Page table.
    PageTable,
}

impl Window {
    /// Every window.
    pub const ALL: [Window; 5] = [
        Window::Data,
        Window::Code,
        Window::Constants,
        Window::Local,
        Window::PageTable,
    ];

    /// Its first line, and the first one after it.
    pub const fn lines(self) -> (Line, Line) {
        let (first, end) = match self {
            Window::Data => (0, WINDOW_LINES),
            Window::Code => (WINDOW_LINES, 2 * WINDOW_LINES),
            Window::Constants => (2 * WINDOW_LINES, 4 * WINDOW_LINES),
            Window::Local => (4 * WINDOW_LINES, 8 * WINDOW_LINES),
            Window::PageTable => (8 * WINDOW_LINES, 9 * WINDOW_LINES),
        };
        (Line(first), Line(end))
    }

    /// Its first byte.
    pub const fn base(self) -> u64 {
        self.lines().0.address()
    }
}

/// A line of an instruction or constant cache of `line_bytes` (a power of two, 32 to 128) as part of an L2 line:
/// the L2 line, and the sectors of it.
#[inline]
pub fn sectors_of(line: u64, line_bytes: u32) -> (Line, SectorMask) {
    let at = line * u64::from(line_bytes);
    let count = line_bytes / SECTOR_BYTES as u32;
    let first = SectorMask::sector_of(at);
    (Line::of(at), SectorMask::range(first, count))
}

/// The inverse of [`sectors_of`]: which line of a cache with `line_bytes` a reply with `sectors` of the L2 line
/// `line` is for.
#[inline]
pub fn line_of(line: Line, sectors: SectorMask, line_bytes: u32) -> u64 {
    line.sector_address(sectors.first()) / u64::from(line_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::LINE_BYTES;

    #[test]
    fn no_line_is_in_two_windows() {
        for pair in Window::ALL.windows(2) {
            let (a, b) = (pair[0].lines(), pair[1].lines());
            assert!(a.0 < a.1 && a.1 <= b.0 && b.0 < b.1, "{pair:?}");
        }
        let (_, end) = Window::ALL[4].lines();
        assert!(end.0.checked_mul(LINE_BYTES).is_some(), "bytes fit 64 bits");
    }

    #[test]
    fn lines_of_every_size_come_back() {
        for line_bytes in [32, 64, 128] {
            for line in 0..40 {
                let (l2, sectors) = sectors_of(line, line_bytes);
                assert_eq!(sectors.count() * 32, line_bytes);
                assert_eq!(line_of(l2, sectors, line_bytes), line);
            }
        }
        assert_eq!(sectors_of(3, 64), (Line(1), SectorMask::new(0b1100)));
    }
}
