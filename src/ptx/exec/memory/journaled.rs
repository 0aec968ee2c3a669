//! What running CTAs at once needs of global memory: notes of accesses, undoing, patches.

use super::{BLOCK, Global};
use crate::ptx::exec::GLOBAL_BASE;
use crate::ptx::exec::journal::deferred::Deferred;
use crate::ptx::exec::journal::{BLOCK_BYTES, Effects, Journal, Old, Patch};
use crate::ptx::exec::regs::{LANES, Lanes};
use crate::ptx::exec::rmw::Update;

impl Global {
    /// From now on notes what is read and written.
    pub fn keep_journal(&mut self) {
        self.journal = Some(Box::new(Journal::new(self.bytes.len())));
    }

    /// From now on keeps up to so many updates of a CTA, to be done once more.
    pub fn keep_updates(&mut self, most: usize) {
        if let Some(journal) = &mut self.journal {
            journal.keep_updates(most);
        }
    }

    /// Notes an access of `bytes` bytes by the lanes of `mask`, before it happens.
    #[inline(always)]
    pub fn note(&mut self, at: &Lanes<u64>, mask: u32, bytes: u64, write: bool) {
        if self.journal.is_some() {
            self.note_lanes(at, mask, bytes, write);
        }
    }

    fn note_lanes(&mut self, at: &Lanes<u64>, mask: u32, bytes: u64, write: bool) {
        let Some(mut journal) = self.journal.take() else {
            return;
        };
        let active = || {
            (0..LANES)
                .filter(|lane| mask >> lane & 1 != 0)
                .map(|l| at[l])
        };
        let (low, high) = (active().min().unwrap_or(0), active().max().unwrap_or(0));
        let offset = |address: u64| address.wrapping_sub(GLOBAL_BASE);
        if write {
            for address in active() {
                let from = offset(address);
                journal.write(from, from.saturating_add(bytes), |block| self.old(block));
            }
        } else if high - low <= 2 * LANES as u64 * bytes {
            journal.read(offset(low), offset(high).saturating_add(bytes));
        } else {
            active().for_each(|a| journal.read(offset(a), offset(a).saturating_add(bytes)));
        }
        self.journal = Some(journal);
    }

    /// Notes an update of one value, before it happens. With an `operand` it can be done once more.
    #[inline(always)]
    pub fn note_update(&mut self, address: u64, update: Update, operand: Option<u64>) {
        if self.journal.is_some() {
            self.note_value(address, update, operand);
        }
    }

    fn note_value(&mut self, address: u64, update: Update, operand: Option<u64>) {
        let Some(mut journal) = self.journal.take() else {
            return;
        };
        let from = address.wrapping_sub(GLOBAL_BASE);
        let again = operand.zip(u32::try_from(from).ok());
        let again = again.map(|(operand, offset)| Deferred {
            offset,
            update,
            operand,
        });
        if !again.is_some_and(|again| journal.update(again, |block| self.old(block))) {
            let to = from.saturating_add(update.bytes());
            journal.read(from, to);
            journal.write(from, to, |block| self.old(block));
        }
        self.journal = Some(journal);
    }

    fn block(&self, block: u32) -> [u8; BLOCK_BYTES as usize] {
        let start = block as usize * BLOCK_BYTES as usize;
        let mut bytes = [0; BLOCK_BYTES as usize];
        if let Some(content) = self.bytes.get(start..start + BLOCK_BYTES as usize) {
            bytes.copy_from_slice(content);
        }
        bytes
    }

    fn old(&self, block: u32) -> Old {
        let start = u64::from(block) * BLOCK_BYTES;
        let initialised = match self.tracking(start) {
            Some((written, at)) => {
                (written.get(at / 2).copied().unwrap_or(0) >> (32 * (at % 2))) as u32
            }
            None => 0,
        };
        Old {
            block,
            bytes: self.block(block),
            initialised,
        }
    }

    /// The bits of the buffer around offset `start`, and which word of 32 of them is meant.
    fn tracking(&self, start: u64) -> Option<(&Vec<u64>, usize)> {
        let owner = (*self.owners.get((start / BLOCK) as usize)? as usize).checked_sub(1)?;
        let a = self.allocations.get(owner)?;
        let at = start.checked_sub(a.start)? / BLOCK_BYTES;
        Some((a.written.as_ref()?, at as usize))
    }

    /// Ends a CTA that ran ahead of its turn: what it did. Memory is as it was before.
    pub fn undo(&mut self) -> Effects {
        let Some(journal) = &mut self.journal else {
            return Effects::default();
        };
        let notes = journal.finish();
        let writes = notes.writes.into_iter();
        let writes = writes.map(|(block, mask)| self.patch(block, mask));
        let effects = Effects {
            reads: notes.reads,
            writes: writes.collect(),
            updates: notes.updates,
            updated: notes.updated,
        };
        notes.old.iter().for_each(|old| self.restore(old));
        effects
    }

    /// Ends a CTA that ran in its turn: blocks and bytes in them that it wrote.
    pub fn written(&mut self) -> Vec<(u32, u32)> {
        let journal = self.journal.as_mut();
        journal.map_or_else(Vec::new, |journal| journal.finish().writes)
    }

    /// Bytes of a block as they are.
    pub fn patch(&self, block: u32, mask: u32) -> Patch {
        Patch {
            block,
            mask,
            bytes: self.block(block),
        }
    }

    /// Does an update that a CTA did on another copy.
    pub fn update(&mut self, update: &Deferred) {
        let (start, size) = (update.offset as usize, update.update.bytes() as usize);
        let Some(bytes) = self.bytes.get_mut(start..start + size) else {
            return;
        };
        let mut old = [0; 8];
        old[..size].copy_from_slice(bytes);
        let new = update
            .update
            .apply(u64::from_le_bytes(old), update.operand, 0);
        bytes.copy_from_slice(&new.to_le_bytes()[..size]);
    }

    fn restore(&mut self, old: &Old) {
        self.set_block(old.block, u32::MAX, &old.bytes);
        if let Some((word, shift)) = self.tracking_mut(old.block) {
            *word = *word & !(u64::from(u32::MAX) << shift) | u64::from(old.initialised) << shift;
        }
    }

    /// Does what a CTA did on another copy.
    pub fn apply(&mut self, patch: &Patch) {
        self.set_block(patch.block, patch.mask, &patch.bytes);
        if let Some((word, shift)) = self.tracking_mut(patch.block) {
            *word |= u64::from(patch.mask) << shift;
        }
    }

    fn set_block(&mut self, block: u32, mask: u32, bytes: &[u8; BLOCK_BYTES as usize]) {
        let start = u64::from(block) * BLOCK_BYTES;
        let range = start as usize..(start + BLOCK_BYTES) as usize;
        let Some(content) = self.bytes.get_mut(range) else {
            return;
        };
        if mask == u32::MAX {
            return content.copy_from_slice(bytes);
        }
        for (i, (target, byte)) in content.iter_mut().zip(bytes).enumerate() {
            *target = if mask >> i & 1 != 0 { *byte } else { *target };
        }
    }

    /// The word with the bits of a block, and where in it they are.
    fn tracking_mut(&mut self, block: u32) -> Option<(&mut u64, u32)> {
        let start = u64::from(block) * BLOCK_BYTES;
        let owner = (*self.owners.get((start / BLOCK) as usize)? as usize).checked_sub(1)?;
        let a = self.allocations.get_mut(owner)?;
        let at = start.checked_sub(a.start)? / BLOCK_BYTES;
        let word = a.written.as_mut()?.get_mut((at / 2) as usize)?;
        Some((word, 32 * (at % 2) as u32))
    }
}
