//! What one CTA reads and writes of global memory, byte by byte, so that CTAs can run at once.
//!
//! A CTA runs on a copy of memory as it was before its batch. Its effects are what it read and did
//! not write itself, what it wrote, and the updates that can be done once more. They stand if no
//! earlier CTA of the batch wrote what it read; otherwise it runs again, in its turn (see
//! [`super::grid`]).
//!
//! An update whose old value nobody sees neither reads nor writes here: it is kept, and done to
//! memory as it is when the CTA's turn has come. That is right only as long as the same CTA does
//! nothing to those bytes that is not such an update. A read of them is one of the value that all
//! earlier CTAs left, so it counts as a read and changes nothing else. With a write the kept updates
//! become what they would have been without being kept, reads followed by writes, and later updates
//! of those bytes are no longer kept.

pub mod deferred;
pub mod written;

use deferred::{Deferred, Log};

/// Bytes that one mark covers.
pub const BLOCK_BYTES: u64 = 32;

#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    // Marks of earlier epochs are void.
    epoch: u32,
    read: u32,
    written: u32,
    // Bytes of kept updates; none of them is among the written ones.
    updated: u32,
}

/// A block before it changes first: bytes, and which of them counted as written.
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

/// What a CTA did that ran ahead of its turn.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Blocks and bytes in them that it read before it wrote them.
    pub reads: Vec<(u32, u32)>,
    /// What it wrote.
    pub writes: Vec<Patch>,
    /// What it updated, in order.
    pub updates: Vec<Deferred>,
    /// Blocks and bytes in them that it updated.
    pub updated: Vec<(u32, u32)>,
}

/// The notes of a CTA that has ended: blocks with bytes in them, unless said otherwise.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// What it read and did not write before.
    pub reads: Vec<(u32, u32)>,
    /// What it wrote.
    pub writes: Vec<(u32, u32)>,
    /// What kept updates change.
    pub updated: Vec<(u32, u32)>,
    /// The kept updates, in order.
    pub updates: Vec<Deferred>,
    /// Changed blocks as they were.
    pub old: Vec<Old>,
}

/// Notes of what the running CTA does.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    marks: Vec<Mark>,
    epoch: u32,
    touched: Vec<u32>,
    old: Vec<Old>,
    log: Log,
    // Some kept update has become reads and writes.
    taken_back: bool,
}

impl Journal {
    /// For so many bytes of memory. Keeps no updates until told to.
    pub fn new(bytes: usize) -> Self {
        Journal {
            marks: vec![Mark::default(); bytes.div_ceil(BLOCK_BYTES as usize)],
            epoch: 1,
            log: Log::new(bytes),
            ..Journal::default()
        }
    }

    /// From now on keeps up to so many updates of a CTA.
    pub fn keep_updates(&mut self, most: usize) {
        self.log.keep(most);
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
            let first = mark.written | mark.updated == 0;
            let back = mark.updated & updates_around(bits);
            mark.read |= back;
            mark.updated &= !back;
            mark.written |= bits | back;
            self.taken_back |= back != 0;
            if first {
                self.old.push(before(block));
            }
        }
    }

    /// Keeps an update of a value at a multiple of its size. False if it cannot be kept, so that it
    /// has to be noted as a read and a write.
    pub fn update(&mut self, update: Deferred, before: impl Fn(u32) -> Old) -> bool {
        let from = u64::from(update.offset);
        let within = blocks(from, from + update.update.bytes()).next();
        let Some((block, bits)) = within.filter(|_| self.log.has_room()) else {
            return false;
        };
        let Some(mark) = self.mark(block).filter(|m| m.written & bits == 0) else {
            return false;
        };
        let first = mark.written | mark.updated == 0;
        mark.updated |= bits;
        if first {
            self.old.push(before(block));
        }
        self.log.push(update);
        true
    }

    /// Ends the CTA.
    pub fn finish(&mut self) -> Notes {
        let mut notes = Notes::default();
        let kept = |bits: u32| bits != 0;
        for &block in &self.touched {
            let Some(mark) = self.marks.get(block as usize) else {
                continue;
            };
            notes
                .reads
                .extend(kept(mark.read).then_some((block, mark.read)));
            notes
                .writes
                .extend(kept(mark.written).then_some((block, mark.written)));
            notes
                .updated
                .extend(kept(mark.updated).then_some((block, mark.updated)));
        }
        let (marks, taken_back) = (&self.marks, self.taken_back);
        notes.updates = self.log.take(|update| {
            let at = u64::from(update.offset);
            let mark = marks.get((at / BLOCK_BYTES) as usize);
            taken_back && mark.is_some_and(|m| m.written >> (at % BLOCK_BYTES) & 1 != 0)
        });
        notes.old = std::mem::take(&mut self.old);
        self.touched.clear();
        self.taken_back = false;
        self.epoch += 1;
        notes
    }
}

/// The bytes of all values of up to eight bytes, each at a multiple of its size, that overlap `bits`.
fn updates_around(bits: u32) -> u32 {
    const GROUP: u32 = 0xff;
    (0..BLOCK_BYTES as u32 / 8)
        .map(|group| GROUP << (8 * group))
        .filter(|group| bits & group != 0)
        .fold(0, |all, group| all | group)
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
