//! The journal of a CTA: what it read and wrote of global memory, byte by byte, so that CTAs can run at the same
//! time with the result of running one after the other.
//!
//! **The rule.** CTAs have an order: their numbers. Those of a batch run at the same time. A CTA whose turn has not
//! come sees memory as it was before the batch, with its own writes on top. When its turn comes, its journal says
//! which bytes it read before it wrote them. If no earlier CTA of the batch wrote any of these, it saw what it would
//! have seen in order: its journal is applied to memory. Otherwise the journal is thrown away and the CTA runs again,
//! now in its turn (see [`super::grid`]).
//!
//! **Deferred updates.** Many CTAs add to the same counter (`red`, or `atom` whose result nobody uses). Taken as a
//! read and a write, every such update would depend on all earlier CTAs, and nothing could run at the same time. But
//! if nobody looks at the old value, the CTA's run does not depend on it. So the update is *deferred*: it is logged
//! as "add 3 to this word", counts neither as a read nor as a write, and is carried out in the CTA's turn, on what
//! memory holds then.
//!
//! This is right while the CTA does nothing else to the bytes that it updates. If it does:
//!
//! - A **read** of updated bytes needs the value that all earlier CTAs left. The bytes are marked as read, so an
//!   earlier write makes the CTA run again. The updates stay deferred.
//! - A **write** over updated bytes makes their order matter. The deferred updates are turned back into what they
//!   would have been otherwise, reads followed by writes, and later updates of these bytes are not deferred.

pub mod blocks;
pub mod deferred;
pub mod written;

use super::bytes;
use blocks::{BLOCK_BYTES, Block, Each, PAGE_BLOCKS, PAGE_BYTES, Pages, Part, Range, number};
use deferred::{Deferred, Log, WORD_BYTES};

/// What the CTA did to a page: a bit for each byte, by block.
#[derive(Clone, Debug, Default)]
struct Page {
    // Read before the CTA wrote them.
    read: Each<u32>,
    written: Each<u32>,
    // Targets of deferred updates. Never bytes that are also marked as written.
    updated: Each<u32>,
    // Where the page's content is: its place in `Journal::contents` plus one; 0 without any.
    content: u32,
}

impl Page {
    /// Whether the CTA has a copy of its own of a block, because it changed some of it.
    fn owns(&self, block: usize) -> bool {
        self.written[block] | self.updated[block] != 0
    }
}

/// The CTA's own copies of the blocks of a page. A block is copied from memory when the CTA first changes it.
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

/// Bytes of a block that a CTA wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Number of the block.
    pub block: u32,
    /// Which of its bytes were written: bit `i` for byte `i`.
    pub mask: u32,
    /// The block as the CTA left it; only bytes of the mask count.
    pub bytes: Block,
}

/// The journal of a CTA that has ended.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// What it read before it wrote it: numbers of blocks, each with a bit for each byte.
    pub reads: Vec<(u32, u32)>,
    /// What it wrote.
    pub writes: Vec<Patch>,
    /// Its deferred updates, in order.
    pub updates: Vec<Deferred>,
    /// The targets of these: numbers of blocks, each with a bit for each byte.
    pub updated: Vec<(u32, u32)>,
}

/// The journal of the CTA that is running.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    pages: Pages<Page>,
    contents: Vec<Content>,
    contents_used: usize,
    log: Log,
    // Some deferred update has been turned back into a read and a write.
    taken_back: bool,
}

impl Journal {
    /// A journal for `bytes` of memory. It defers no updates until [`Journal::keep_updates`] is called.
    pub fn new(bytes: usize) -> Self {
        Journal {
            pages: Pages::new(bytes),
            ..Journal::default()
        }
    }

    /// From now on defers up to `most` updates of each CTA.
    pub fn keep_updates(&mut self, most: usize) {
        self.log.keep(most);
    }

    /// Notes a read of `range`; it may mark more bytes than these. Returns whether memory can answer: false if the
    /// CTA has changed one of the blocks itself, see [`Journal::overlay`].
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

    /// The value of up to 8 `bytes` at `offset` as the CTA sees it, where memory holds `below`.
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

    /// The marks and the CTA's own copy of the block of `part`; the copy is made if there is none yet, of the
    /// content that `before` gives.
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

    /// Notes a write of `bytes` at `offset`; `before` gives the content of a block as it was before the batch.
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

    /// Defers an update of an aligned value, and carries it out on the CTA's own copy; returns the old value there.
    /// `None` if it cannot be deferred: the caller then has to treat it as a read and a write.
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

    /// Ends the CTA: returns what it did and clears the journal for the next one.
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

/// Where the CTA's own copy of a block is.
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
