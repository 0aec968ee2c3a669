//! Global memory as a running CTA sees it.

pub mod arena;

use super::journal::blocks::Range;
use super::journal::deferred::Deferred;
use super::journal::written::Written;
use super::journal::{Effects, Journal};
use super::op::Rmw;
use super::regs::{LANES, Lanes};
use super::rmw::Update;
use super::{GLOBAL_BASE, bytes};
pub use arena::{Arena, Bad, Content};
use std::sync::Arc;

/// Global memory while CTAs run.
#[derive(Debug, Default)]
pub struct Global {
    /// The content, unless it is somebody else's.
    pub arena: Arena,
    side: Side,
}

/// What else is done with accesses.
#[derive(Debug, Default)]
enum Side {
    /// Nothing.
    #[default]
    Alone,
    /// Writes are noted.
    Noting(Box<Written>),
    /// They are those of a CTA ahead of its turn, which changes nothing but its journal.
    Ahead(Box<Ahead>),
}

#[derive(Debug, Default)]
struct Ahead {
    base: Arc<Arena>,
    journal: Journal,
}

impl Global {
    /// Memory for CTAs in their turn.
    pub fn of(arena: Arena) -> Self {
        Global {
            arena,
            side: Side::Alone,
        }
    }

    /// Memory for CTAs that run ahead of their turn, of so many bytes, once it is `show`n to them.
    pub fn ahead(bytes: usize) -> Self {
        Global {
            arena: Arena::default(),
            side: Side::Ahead(Box::new(Ahead {
                base: Arc::default(),
                journal: Journal::new(bytes),
            })),
        }
    }

    /// Shows to CTAs that run ahead what is there, and lets each keep up to so many updates.
    pub fn show(&mut self, base: Arc<Arena>, updates: usize) {
        if let Side::Ahead(ahead) = &mut self.side {
            ahead.base = base;
            ahead.journal.keep_updates(updates);
        }
    }

    /// Lends the content to those who run ahead.
    pub fn lend(&mut self) -> Arc<Arena> {
        Arc::new(std::mem::take(&mut self.arena))
    }

    /// Takes back what was lent, after nobody is shown it any more.
    pub fn take_back(&mut self, lent: Arc<Arena>) {
        self.arena = Arc::try_unwrap(lent).unwrap_or_else(|lent| Arena::clone(&lent));
    }

    /// Notes in `written` what is written, until it is asked for.
    pub fn note_into(&mut self, written: Box<Written>) {
        self.side = Side::Noting(written);
    }

    /// The notes.
    pub fn noted(&mut self) -> Option<Box<Written>> {
        match std::mem::take(&mut self.side) {
            Side::Noting(written) => Some(written),
            _ => None,
        }
    }

    /// Does what a CTA did ahead of its turn, and notes what that wrote.
    pub fn commit(&mut self, effects: &Effects, written: &mut Written) {
        for patch in &effects.writes {
            self.arena.apply(patch);
            written.add_bits(patch.block, patch.mask);
        }
        for update in &effects.updates {
            self.arena.update(update);
        }
        for &(block, bits) in &effects.updated {
            written.add_bits(block, bits);
        }
    }

    /// Ends a CTA that ran ahead of its turn: what it did.
    pub fn finish(&mut self) -> Effects {
        match &mut self.side {
            Side::Ahead(ahead) => ahead.journal.finish(),
            _ => Effects::default(),
        }
    }

    /// Without what a CTA did ahead of its turn.
    #[inline(always)]
    fn content(&self) -> &Arena {
        match &self.side {
            Side::Ahead(ahead) => &ahead.base,
            _ => &self.arena,
        }
    }

    /// The bytes of addresses `from..to`, if they lie in one buffer, with whether that is tracked.
    /// What a CTA did ahead of its turn is not in them.
    #[inline(always)]
    pub fn span(&self, from: u64, to: u64) -> Option<(&[u8], bool)> {
        self.content().span(from, to)
    }

    /// Notes a load of `bytes` bytes by the lanes of `mask`. False if the CTA sees something other
    /// than what is in the arena.
    #[inline(always)]
    pub fn note_read(&mut self, at: &Lanes<u64>, mask: u32, bytes: u64) -> bool {
        match &mut self.side {
            Side::Ahead(ahead) => ahead.note_read(at, mask, bytes),
            _ => true,
        }
    }

    /// The bytes of addresses `from..to` to be written by lanes of `mask`, `bytes` each, if they lie
    /// in one buffer and are written directly, with whether that is tracked.
    #[inline(always)]
    pub fn store(
        &mut self,
        (from, to): (u64, u64),
        at: &Lanes<u64>,
        mask: u32,
        bytes: u64,
    ) -> Option<(&mut [u8], bool)> {
        match &mut self.side {
            Side::Alone => {}
            Side::Noting(written) => written.add_lanes(at, mask, bytes),
            Side::Ahead(_) => return None,
        }
        self.arena.span_mut(from, to)
    }

    /// Checks one access and says what is wrong.
    pub fn check(&self, address: u64, bytes: u64, read: bool) -> Result<(), Bad> {
        match &self.side {
            Side::Ahead(ahead) => {
                let wrote = |offset| ahead.journal.wrote(offset);
                ahead.base.check(address, bytes, read, wrote)
            }
            _ => self.arena.check(address, bytes, read, |_| false),
        }
    }

    /// Reads up to 8 bytes that are known to be inside.
    #[inline]
    pub fn read(&self, address: u64, bytes: usize) -> u64 {
        let offset = address.wrapping_sub(GLOBAL_BASE);
        match &self.side {
            Side::Ahead(ahead) => {
                let below = ahead.base.read(offset, bytes);
                ahead.journal.overlay(offset, bytes, below)
            }
            _ => self.arena.read(offset, bytes),
        }
    }

    /// Writes up to 8 bytes that are known to be inside.
    #[inline]
    pub fn write(&mut self, address: u64, bytes: usize, value: u64) {
        let offset = address.wrapping_sub(GLOBAL_BASE);
        match &mut self.side {
            Side::Alone => {}
            Side::Noting(written) => written.add(Range::new(offset, bytes as u64)),
            Side::Ahead(ahead) => {
                let (base, word) = (&ahead.base, value.to_le_bytes());
                let journal = &mut ahead.journal;
                return journal.write(offset, &word[..bytes.min(8)], |block| base.block(block));
            }
        }
        let span = self.arena.span_mut(address, address + bytes as u64);
        if let Some((target, tracked)) = span {
            bytes::write(target, 0, bytes, value);
            if tracked {
                self.arena.mark(address, bytes as u64);
            }
        }
    }

    /// The same with a range of lanes' stores, for a CTA ahead of its turn. False if it is no such
    /// CTA, or the range lies in no buffer.
    pub fn write_ahead(&mut self, address: u64, bytes: &[u8]) -> bool {
        let Side::Ahead(ahead) = &mut self.side else {
            return false;
        };
        let (base, journal) = (&ahead.base, &mut ahead.journal);
        if base.span(address, address + bytes.len() as u64).is_none() {
            return false;
        }
        let offset = address.wrapping_sub(GLOBAL_BASE);
        journal.write(offset, bytes, |block| base.block(block));
        true
    }

    /// Updates a value that is known to be inside and returns the old one. If nobody wants that, a
    /// CTA ahead of its turn may keep the update for then.
    pub fn update(
        &mut self,
        address: u64,
        update: Update,
        operands: [u64; 2],
        wanted: bool,
    ) -> u64 {
        if let Side::Ahead(ahead) = &mut self.side {
            return ahead.update(address, update, operands, wanted);
        }
        let size = update.bytes();
        if let Side::Noting(written) = &mut self.side {
            written.add(Range::new(address.wrapping_sub(GLOBAL_BASE), size));
        }
        // Only what is initialised can be updated, so that nothing has to be marked.
        let Some((value, _)) = self.arena.span_mut(address, address + size) else {
            return 0;
        };
        let (old, [b, c]) = (bytes::read(value, 0, size as usize), operands);
        bytes::write(value, 0, size as usize, update.apply(old, b, c));
        old
    }
}

impl Ahead {
    fn note_read(&mut self, at: &Lanes<u64>, mask: u32, bytes: u64) -> bool {
        let (mut low, mut high) = (u64::MAX, 0);
        for (lane, &at) in at.iter().enumerate() {
            let on = mask >> lane & 1 != 0;
            low = low.min(if on { at } else { u64::MAX });
            high = high.max(if on { at } else { 0 });
        }
        let range = |address: u64, bytes| Range::new(address.wrapping_sub(GLOBAL_BASE), bytes);
        let span = high.saturating_sub(low);
        if span <= 2 * LANES as u64 * bytes {
            return self.journal.read(range(low, span + bytes));
        }
        let mut same = true;
        for lane in (0..LANES).filter(|lane| mask >> lane & 1 != 0) {
            same &= self.journal.read(range(at[lane], bytes));
        }
        same
    }

    fn update(&mut self, address: u64, update: Update, [b, c]: [u64; 2], wanted: bool) -> u64 {
        let (base, journal) = (&self.base, &mut self.journal);
        let before = |block| base.block(block);
        let offset = address.wrapping_sub(GLOBAL_BASE);
        // A compare-and-swap has two operands.
        if !wanted
            && update.f != Rmw::Cas
            && let Ok(offset) = u32::try_from(offset)
        {
            let new = Deferred {
                offset,
                update,
                operand: b,
            };
            if let Some(old) = journal.update(new, before) {
                return old;
            }
        }
        let size = update.bytes() as usize;
        journal.read(Range::new(offset, size as u64));
        let old = journal.overlay(offset, size, base.read(offset, size));
        let new = update.apply(old, b, c).to_le_bytes();
        journal.write(offset, &new[..size], before);
        old
    }
}

#[cfg(test)]
mod tests;
