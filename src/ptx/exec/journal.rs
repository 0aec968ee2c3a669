//! What one CTA reads and writes of global memory, byte by byte, so that CTAs can run at once.
//!
//! A CTA ahead of its turn sees memory as it was before its batch, and what it wrote itself. Its
//! effects are what it read and did not write before, what it wrote, and the updates that can be
//! done once more. They stand if no earlier CTA of the batch wrote what it read; otherwise it runs
//! again, in its turn (see [`super::grid`]).
//!
//! An update whose old value nobody sees neither reads nor writes here: it is kept, and done to
//! memory as it is when the CTA's turn has come. That is right only as long as the same CTA does
//! nothing to those bytes that is not such an update. A read of them is one of the value that all
//! earlier CTAs left, so it counts as a read and changes nothing else. With a write the kept updates
//! become what they would have been without being kept, reads followed by writes, and later updates
//! of those bytes are no longer kept.

pub mod blocks;
pub mod deferred;
pub mod written;

use super::bytes;
use blocks::{BLOCK_BYTES, Block, Each, PAGE_BLOCKS, PAGE_BYTES, Pages, Part, Range, number};
use deferred::{Deferred, Log, WORD_BYTES};

/// Marks of a page.
#[derive(Clone, Debug, Default)]
struct Page {
    read: Each<u32>,
    written: Each<u32>,
    // Bytes of kept updates; none of them is among the written ones.
    updated: Each<u32>,
    // Number of the page's content, plus one.
    content: u32,
}

impl Page {
    /// Whether the CTA has a block of its own.
    fn owns(&self, block: usize) -> bool {
        self.written[block] | self.updated[block] != 0
    }
}

/// What the CTA sees in a page, where it differs from memory. Blocks are filled when they begin to.
#[derive(Clone, Debug)]
struct Content {
    blocks: Each<Block>,
    // The last update of each word, see `Log::push`.
    last: [u32; PAGE_BYTES as usize / WORD_BYTES],
}

const EMPTY: Content = Content {
    blocks: [[0; BLOCK_BYTES as usize]; PAGE_BLOCKS],
    last: [0; PAGE_BYTES as usize / WORD_BYTES],
};

/// Bytes of a block that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Number of the block.
    pub block: u32,
    /// A bit for each byte.
    pub mask: u32,
    /// Content.
    pub bytes: Block,
}

/// What a CTA did.
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

/// Notes of what the running CTA does.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    pages: Pages<Page>,
    contents: Vec<Content>,
    contents_used: usize,
    log: Log,
    // Some kept update has become a read and a write.
    taken_back: bool,
}

impl Journal {
    /// For so many bytes of memory. Keeps no updates until told to.
    pub fn new(bytes: usize) -> Self {
        Journal {
            pages: Pages::new(bytes),
            ..Journal::default()
        }
    }

    /// From now on keeps up to so many updates of a CTA.
    pub fn keep_updates(&mut self, most: usize) {
        self.log.keep(most);
    }

    /// Offsets are read. More may be noted than is read. False if the CTA itself changed some.
    pub fn read(&mut self, range: Range) -> bool {
        let mut same = true;
        for part in range.parts() {
            if let Some(page) = self.pages.touch(part.page) {
                // A byte of an updated value depends on all of that value.
                let updated = page.updated[part.block];
                let around = updated & updates_around(part.bits() & updated);
                page.read[part.block] |= part.bits() & !page.written[part.block] | around;
                same &= !page.owns(part.block);
            }
        }
        same
    }

    /// What the CTA sees of up to 8 bytes from an offset on, where memory has `below`.
    pub fn overlay(&self, offset: u64, bytes: usize, below: u64) -> u64 {
        let mut seen = below;
        let mut at = 0;
        for part in Range::new(offset, bytes as u64).parts() {
            let size = part.high - part.low;
            let page = self.pages.get(part.page).filter(|p| p.owns(part.block));
            let content = page.and_then(|p| self.contents.get(p.content as usize - 1));
            if let Some(content) = content {
                let value = bytes::read(&content.blocks[part.block], part.low, size);
                let mask = u64::MAX >> (64 - 8 * size.min(8)) << (8 * at);
                seen = seen & !mask | value << (8 * at) & mask;
            }
            at += size;
        }
        seen
    }

    /// Whether the CTA has written the byte at an offset.
    pub fn wrote(&self, offset: u64) -> bool {
        Range::new(offset, 1).parts().any(|part| {
            let page = self.pages.get(part.page);
            page.is_some_and(|page| page.written[part.block] & part.bits() != 0)
        })
    }

    /// Marks and content of the block of a part, made its own; `before` gives what was there.
    fn own(&mut self, part: Part, before: impl Fn(u32) -> Block) -> Option<Owned<'_>> {
        let page = self.pages.touch(part.page)?;
        if page.content == 0 {
            if self.contents_used == self.contents.len() {
                self.contents.push(EMPTY);
            }
            self.contents_used += 1;
            page.content = self.contents_used as u32;
        }
        let content = self.contents.get_mut(page.content as usize - 1)?;
        if !page.owns(part.block) {
            content.blocks[part.block] = before(part.number());
        }
        Some(Owned {
            page,
            content,
            log: &mut self.log,
        })
    }

    /// Bytes are written from an offset on; `before` gives the content of a block.
    pub fn write(&mut self, offset: u64, bytes: &[u8], before: impl Fn(u32) -> Block) {
        let mut rest = bytes;
        for part in Range::new(offset, bytes.len() as u64).parts() {
            let (source, after) = rest.split_at(part.high - part.low);
            rest = after;
            let Some(Owned { page, content, .. }) = self.own(part, &before) else {
                continue;
            };
            content.blocks[part.block][part.low..part.high].copy_from_slice(source);
            let back = page.updated[part.block] & updates_around(part.bits());
            page.read[part.block] |= back;
            page.updated[part.block] &= !back;
            page.written[part.block] |= part.bits() | back;
            self.taken_back |= back != 0;
        }
    }

    /// Does and keeps an update of a value at a multiple of its size; returns the old one. `None` if
    /// it cannot be kept, so that it has to be a read and a write.
    pub fn update(&mut self, update: Deferred, before: impl Fn(u32) -> Block) -> Option<u64> {
        let size = update.update.bytes();
        let part = Range::new(u64::from(update.offset), size).parts().next();
        let part = part.filter(|_| self.log.has_room())?;
        let Owned { page, content, log } = self.own(part, before)?;
        if page.written[part.block] & part.bits() != 0 {
            return None;
        }
        page.updated[part.block] |= part.bits();
        let block = &mut content.blocks[part.block];
        let old = bytes::read(block, part.low, size as usize);
        let new = update.update.apply(old, update.operand, 0);
        bytes::write(block, part.low, size as usize, new);
        let start = part.block * BLOCK_BYTES as usize;
        let words = (start + part.low) / WORD_BYTES..(start + part.high).div_ceil(WORD_BYTES);
        log.push(update, &mut content.last[words]);
        Some(old)
    }

    /// Ends the CTA: what it did.
    pub fn finish(&mut self) -> Effects {
        let mut effects = Effects::default();
        for (number_of_page, page) in self.pages.all() {
            let content = (page.content as usize).checked_sub(1);
            let content = content.and_then(|content| self.contents.get(content));
            for place in 0..PAGE_BLOCKS {
                let block = number(number_of_page, place);
                let marked = |bits: u32| (bits != 0).then_some((block, bits));
                effects.reads.extend(marked(page.read[place]));
                effects.updated.extend(marked(page.updated[place]));
                let written = marked(page.written[place]).zip(content);
                effects
                    .writes
                    .extend(written.map(|((block, mask), content)| Patch {
                        block,
                        mask,
                        bytes: content.blocks[place],
                    }));
            }
        }
        let (pages, taken_back) = (&self.pages, self.taken_back);
        effects.updates = self.log.take(|update| {
            let part = Range::new(u64::from(update.offset), 1).parts().next();
            let page = part.and_then(|part| Some((part, pages.get(part.page)?)));
            taken_back
                && page.is_some_and(|(part, page)| page.written[part.block] & part.bits() != 0)
        });
        self.pages.clear();
        self.contents_used = 0;
        self.taken_back = false;
        effects
    }
}

/// A block of the CTA's own.
struct Owned<'a> {
    page: &'a mut Page,
    content: &'a mut Content,
    log: &'a mut Log,
}

/// The bytes of all values of up to eight bytes, each at a multiple of its size, that overlap `bits`.
fn updates_around(bits: u32) -> u32 {
    const GROUP: u32 = 0xff;
    (0..BLOCK_BYTES as u32 / 8)
        .map(|group| GROUP << (8 * group))
        .filter(|group| bits & group != 0)
        .fold(0, |all, group| all | group)
}

#[cfg(test)]
mod tests;
