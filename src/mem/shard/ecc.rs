//! In-line ECC: where the check bits of a line lie among the data of its channel.
//!
//! Boards whose DRAM has no room beside the data keep check bits in the data's own memory: one line of each block of a
//! few lines has those of the others. A block is a row or a part of one, so that the check bits are in the row that is
//! open already. The controller keeps none of them: each fetch of a line, or of some of its sectors, reads a burst of
//! check bits, and each written-back line writes one.

use crate::config::MemorySpec;
use crate::mem::{LINE_BYTES, SECTOR_BYTES, SECTORS_PER_LINE};

/// The layout of a channel with in-line ECC.
#[derive(Clone, Copy, Debug)]
pub struct InlineEcc {
    /// Lines of a block, the one with the check bits included.
    lines: u64,
}

impl InlineEcc {
    /// That of `spec`; nothing where the check bits have a place of their own, or there are none.
    pub fn new(spec: &MemorySpec) -> Option<Self> {
        let lines = u64::from(spec.ecc_block_lines);
        spec.inline_ecc.then_some(InlineEcc { lines })
    }

    /// Where the line of data at `address` of the channel really lies, and the burst of its check bits.
    pub fn place(self, address: u64) -> (u64, u64) {
        let data = self.lines - 1;
        let (block, line) = (address / LINE_BYTES / data, address / LINE_BYTES % data);
        let first = block * self.lines * LINE_BYTES;
        let checks = first + data * LINE_BYTES;
        let burst = line * u64::from(SECTORS_PER_LINE) / data;
        (first + line * LINE_BYTES, checks + burst * SECTOR_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn one_line_of_each_block_has_the_check_bits_of_the_others() {
        let mut spec = crate::config::load("t4", &[]).unwrap().spec.dram;
        for lines in [2u64, 9, 16] {
            spec.ecc_block_lines = lines as u8;
            let ecc = InlineEcc::new(&spec).unwrap();
            let (mut places, mut covered) = (HashSet::new(), HashMap::new());
            for line in 0..10 * (lines - 1) {
                let (data, check) = ecc.place(line * LINE_BYTES);
                assert!(places.insert(data), "two lines at {data}");
                *covered.entry(check).or_insert(0) += 1;
                let block = lines * LINE_BYTES;
                assert_eq!(data / block, check / block, "another row");
            }
            let checks: HashSet<u64> = covered
                .keys()
                .map(|c| c / LINE_BYTES * LINE_BYTES)
                .collect();
            assert!(places.is_disjoint(&checks));
            assert_eq!(checks.len(), 10, "{lines}: one line a block");
            let most = (lines - 1).div_ceil(u64::from(SECTORS_PER_LINE));
            assert_eq!(covered.values().max(), Some(&most), "{lines}");
        }
        spec.inline_ecc = false;
        assert!(InlineEcc::new(&spec).is_none());
    }
}
