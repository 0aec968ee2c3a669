//! What one CTA reads and writes of global memory, byte by byte, so that CTAs can run at once.
//!
//! A CTA runs on a copy of memory as it was before its batch. Its effects are what it read and did
//! not write itself, and what it wrote. They stand if no earlier CTA of the batch wrote what it read;
//! otherwise it runs again, in its turn (see [`super::grid`]).

/// Bytes that one mark covers.
pub const BLOCK_BYTES: u64 = 32;

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    // Marks of earlier epochs are void.
    epoch: u32,
    read: u32,
    written: u32,
}

/// A block before its first write: bytes, and which of them counted as written.
#[derive(Clone, Copy, Debug)]
pub struct Old {
    /// Number of the block.
    pub block: u32,
    /// Content.
    pub bytes: [u8; BLOCK_BYTES as usize],
    /// A bit for each byte that somebody wrote.
    pub initialised: u32,
}

/// Bytes of a block that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Number of the block.
    pub block: u32,
    /// A bit for each byte.
    pub mask: u32,
    /// Content.
    pub bytes: [u8; BLOCK_BYTES as usize],
}

/// What a CTA did.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Blocks and bytes in them that it read before it wrote them.
    pub reads: Vec<(u32, u32)>,
    /// What it wrote.
    pub writes: Vec<Patch>,
}

/// Notes of what the running CTA does.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    marks: Vec<Mark>,
    epoch: u32,
    touched: Vec<u32>,
    old: Vec<Old>,
}

impl Journal {
    /// For so many bytes of memory.
    pub fn new(bytes: usize) -> Self {
        Journal {
            marks: vec![Mark::default(); bytes.div_ceil(BLOCK_BYTES as usize)],
            epoch: 1,
            touched: Vec::new(),
            old: Vec::new(),
        }
    }

    fn mark(&mut self, block: u32) -> Option<&mut Mark> {
        let mark = self.marks.get_mut(block as usize)?;
        if mark.epoch != self.epoch {
            *mark = Mark {
                epoch: self.epoch,
                ..Mark::default()
            };
            self.touched.push(block);
        }
        Some(mark)
    }

    /// Offsets `from..to` are read. More may be noted than is read.
    pub fn read(&mut self, from: u64, to: u64) {
        for (block, bits) in blocks(from, to) {
            if let Some(mark) = self.mark(block) {
                mark.read |= bits & !mark.written;
            }
        }
    }

    /// Exactly the offsets `from..to` are written; `before` gives the content of a block.
    pub fn write(&mut self, from: u64, to: u64, before: impl Fn(u32) -> Old) {
        for (block, bits) in blocks(from, to) {
            let Some(mark) = self.mark(block) else {
                continue;
            };
            let first = mark.written == 0;
            mark.written |= bits;
            if first {
                self.old.push(before(block));
            }
        }
    }

    /// Ends the CTA: what it read and did not write before, which blocks it wrote, and how those
    /// were.
    #[allow(clippy::type_complexity)]
    pub fn finish(&mut self) -> (Vec<(u32, u32)>, Vec<(u32, u32)>, Vec<Old>) {
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for block in self.touched.drain(..) {
            let Some(mark) = self.marks.get(block as usize) else {
                continue;
            };
            if mark.read != 0 {
                reads.push((block, mark.read));
            }
            if mark.written != 0 {
                writes.push((block, mark.written));
            }
        }
        self.epoch += 1;
        (reads, writes, std::mem::take(&mut self.old))
    }
}

/// Blocks of `from..to` with a bit for each byte.
fn blocks(from: u64, to: u64) -> impl Iterator<Item = (u32, u32)> {
    let last = to.saturating_sub(1) / BLOCK_BYTES;
    (from / BLOCK_BYTES..=last).filter_map(move |block| {
        let start = block * BLOCK_BYTES;
        let (low, high) = (from.max(start) - start, to.min(start + BLOCK_BYTES) - start);
        let bits = (u64::from(u32::MAX) >> (BLOCK_BYTES - (high - low))) << low;
        Some((u32::try_from(block).ok()?, bits as u32))
    })
}

/// Which bytes the CTAs of a batch have written so far.
#[derive(Clone, Debug)]
pub struct Written {
    marks: Vec<(u32, u32)>,
    batch: u32,
}

impl Written {
    /// For so many bytes of memory.
    pub fn new(bytes: usize) -> Self {
        Written {
            marks: vec![(0, 0); bytes.div_ceil(BLOCK_BYTES as usize)],
            batch: 1,
        }
    }

    /// A new batch begins.
    pub fn clear(&mut self) {
        self.batch += 1;
    }

    /// Whether something of `reads` was written.
    pub fn touches(&self, reads: &[(u32, u32)]) -> bool {
        reads.iter().any(|&(block, bits)| {
            let mark = self.marks.get(block as usize);
            mark.is_some_and(|&(batch, written)| batch == self.batch && written & bits != 0)
        })
    }

    /// Notes what a CTA wrote.
    pub fn add(&mut self, writes: &[Patch]) {
        for patch in writes {
            if let Some(mark) = self.marks.get_mut(patch.block as usize) {
                let before = if mark.0 == self.batch { mark.1 } else { 0 };
                *mark = (self.batch, before | patch.mask);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_exactly_their_bytes() {
        let all: Vec<_> = blocks(30, 66).collect();
        assert_eq!(all, [(0, 0xc000_0000), (1, u32::MAX), (2, 3)]);
        assert_eq!(blocks(32, 64).collect::<Vec<_>>(), [(1, u32::MAX)]);
    }

    #[test]
    fn reading_what_one_wrote_is_no_read() {
        let mut journal = Journal::new(64);
        let old = |block| Old {
            block,
            bytes: [0; 32],
            initialised: 0,
        };
        journal.write(4, 8, old);
        journal.read(0, 12);
        let (reads, writes, before) = journal.finish();
        assert_eq!(reads, [(0, 0xf0f)]);
        assert_eq!(writes, [(0, 0xf0)]);
        assert_eq!(before.len(), 1);
        assert!(journal.finish().0.is_empty());
    }
}
