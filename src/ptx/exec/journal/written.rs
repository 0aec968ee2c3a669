//! What the CTAs of a batch have written so far.

use super::blocks::{Each, PAGE_BLOCKS, Pages, Range};
use crate::ptx::exec::GLOBAL_BASE;
use crate::ptx::exec::regs::{LANES, Lanes};

/// Which bytes were written, a bit for each.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pages: Pages<Each<u32>>,
}

impl Written {
    /// For so many bytes of memory.
    pub fn new(bytes: usize) -> Self {
        Written {
            pages: Pages::new(bytes),
        }
    }

    /// Whether something of `reads`, bytes of blocks, was written.
    pub fn touches(&self, reads: &[(u32, u32)]) -> bool {
        reads.iter().any(|&(block, bits)| {
            let page = self.pages.get(block / PAGE_BLOCKS as u32);
            page.is_some_and(|page| page[block as usize % PAGE_BLOCKS] & bits != 0)
        })
    }

    /// Bytes of a block were written.
    pub fn add_bits(&mut self, block: u32, bits: u32) {
        if let Some(page) = self.pages.touch(block / PAGE_BLOCKS as u32) {
            page[block as usize % PAGE_BLOCKS] |= bits;
        }
    }

    /// Offsets were written.
    pub fn add(&mut self, range: Range) {
        for part in range.parts() {
            self.add_bits(part.number(), part.bits());
        }
    }

    /// `bytes` bytes were written by each lane of `mask`.
    pub fn add_lanes(&mut self, at: &Lanes<u64>, mask: u32, bytes: u64) {
        for lane in (0..LANES).filter(|lane| mask >> lane & 1 != 0) {
            self.add(Range::new(at[lane].wrapping_sub(GLOBAL_BASE), bytes));
        }
    }

    /// Nothing was written as yet.
    pub fn clear(&mut self) {
        self.pages.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_until_the_batch_ends() {
        let mut written = Written::new(4096);
        written.add(Range::new(68, 4));
        written.add_bits(33, 1);
        assert!(written.touches(&[(1, 1), (2, 0x80)]) && !written.touches(&[(2, 0x100)]));
        assert!(written.touches(&[(33, 3)]));
        written.clear();
        assert!(!written.touches(&[(2, 0x80), (33, 3)]));
    }
}
