//! The content of global memory, with a map of who owns which part.
//!
//! Allocations stand apart by at least one block, so that running over the end of one never lands in
//! another. What nobody initialised is tracked byte by byte until it is written.

use crate::ptx::exec::journal::Patch;
use crate::ptx::exec::journal::blocks::{BLOCK_BYTES, Block};
use crate::ptx::exec::journal::deferred::Deferred;
use crate::ptx::exec::{GLOBAL_BASE, bytes};

/// Granularity of ownership.
const BLOCK: u64 = 256;

/// A buffer.
#[derive(Clone, Debug)]
pub struct Allocation {
    /// Name for messages.
    pub name: String,
    /// Offset in the arena.
    pub start: u64,
    /// Bytes.
    pub bytes: u64,
    /// A bit for each byte that was written; `None` once everything counts as written.
    written: Option<Vec<u64>>,
}

/// What is wrong with an access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// In no buffer.
    Outside(String),
    /// Never written by anyone.
    Uninitialised(String),
}

/// Global memory as all CTAs see it.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    bytes: Vec<u8>,
    // Owner of each block, plus one.
    owners: Vec<u32>,
    allocations: Vec<Allocation>,
}

impl Arena {
    /// Adds a buffer and returns its address.
    pub fn allocate(&mut self, name: &str, content: Content) -> u64 {
        let start = (self.bytes.len() as u64 + BLOCK).next_multiple_of(BLOCK);
        let (data, written) = match content {
            Content::Data(data) => (data, None),
            Content::Uninitialised(bytes) => {
                let words = (bytes as usize).div_ceil(64);
                (vec![0; bytes as usize], Some(vec![0; words]))
            }
        };
        let bytes = data.len() as u64;
        self.bytes.resize(start as usize, 0);
        self.bytes.extend_from_slice(&data);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(BLOCK as usize), 0);
        self.owners.resize(self.bytes.len() / BLOCK as usize, 0);
        self.allocations.push(Allocation {
            name: name.to_owned(),
            start,
            bytes,
            written,
        });
        let owner = self.allocations.len() as u32;
        let first = (start / BLOCK) as usize;
        for slot in self.owners.iter_mut().skip(first) {
            *slot = owner;
        }
        GLOBAL_BASE + start
    }

    /// Adds `address` to every `stride`-th of the `count` double words there.
    pub fn relocate(&mut self, address: u64, count: u64, stride: u64) {
        for i in (0..count).step_by(stride.max(1) as usize) {
            let at = address + 8 * i;
            if let Some((bytes, _)) = self.span_mut(at, at + 8) {
                let mut word = [0; 8];
                word.copy_from_slice(bytes);
                let value = u64::from_le_bytes(word).wrapping_add(address);
                bytes.copy_from_slice(&value.to_le_bytes());
            }
        }
    }

    /// The buffers, in order of their addresses.
    pub fn allocations(&self) -> &[Allocation] {
        &self.allocations
    }

    /// The content of buffer `number`.
    pub fn content(&self, number: usize) -> &[u8] {
        let Some(a) = self.allocations.get(number) else {
            return &[];
        };
        self.bytes
            .get(a.start as usize..(a.start + a.bytes) as usize)
            .unwrap_or(&[])
    }

    /// The first byte of buffer `number` that nobody wrote.
    pub fn unwritten(&self, number: usize) -> Option<u64> {
        let a = self.allocations.get(number)?;
        let words = a.written.as_ref()?.iter();
        let at = (0..)
            .step_by(64)
            .zip(words)
            .find(|(_, word)| **word != u64::MAX)
            .map(|(start, word)| start + u64::from(word.trailing_ones()))?;
        (at < a.bytes).then_some(at)
    }

    /// Address of buffer `number`.
    pub fn address(&self, number: usize) -> u64 {
        self.allocations
            .get(number)
            .map_or(0, |a| GLOBAL_BASE + a.start)
    }

    /// The buffer that holds all of `from..to` (offsets in the arena).
    #[inline(always)]
    fn owner(&self, from: u64, to: u64) -> Option<usize> {
        let block = usize::try_from(from / BLOCK).ok()?;
        let number = (*self.owners.get(block)? as usize).checked_sub(1)?;
        let a = self.allocations.get(number)?;
        (from >= a.start && to <= a.start + a.bytes).then_some(number)
    }

    /// The bytes of addresses `from..to`, if they lie in one buffer, with whether that is tracked.
    #[inline(always)]
    pub fn span(&self, from: u64, to: u64) -> Option<(&[u8], bool)> {
        let (from, to, tracked) = self.place(from, to)?;
        Some((self.bytes.get(from..to)?, tracked))
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn span_mut(&mut self, from: u64, to: u64) -> Option<(&mut [u8], bool)> {
        let (from, to, tracked) = self.place(from, to)?;
        Some((self.bytes.get_mut(from..to)?, tracked))
    }

    #[inline(always)]
    fn place(&self, from: u64, to: u64) -> Option<(usize, usize, bool)> {
        let (from, to) = (from.checked_sub(GLOBAL_BASE)?, to.checked_sub(GLOBAL_BASE)?);
        let owner = self.owner(from, to)?;
        let tracked = self
            .allocations
            .get(owner)
            .is_some_and(|a| a.written.is_some());
        Some((from as usize, to as usize, tracked))
    }

    /// Up to 8 bytes from an offset on.
    #[inline]
    pub fn read(&self, offset: u64, bytes: usize) -> u64 {
        usize::try_from(offset).map_or(0, |at| bytes::read(&self.bytes, at, bytes))
    }

    /// A block.
    pub fn block(&self, block: u32) -> Block {
        let start = block as usize * BLOCK_BYTES as usize;
        let mut bytes = Block::default();
        if let Some(content) = self.bytes.get(start..start + BLOCK_BYTES as usize) {
            bytes.copy_from_slice(content);
        }
        bytes
    }

    /// Checks one access and says what is wrong. `wrote` tells of offsets that were written elsewhere.
    pub fn check(
        &self,
        address: u64,
        bytes: u64,
        read: bool,
        wrote: impl Fn(u64) -> bool,
    ) -> Result<(), Bad> {
        let inside = address.checked_sub(GLOBAL_BASE).and_then(|from| {
            let to = from.checked_add(bytes)?;
            Some((from, to, self.owner(from, to)?))
        });
        let Some((from, to, owner)) = inside else {
            return Err(Bad::Outside(self.describe(address)));
        };
        if !read {
            return Ok(());
        }
        let a = &self.allocations[owner];
        if let Some(written) = &a.written {
            for byte in from - a.start..to - a.start {
                let word = written.get((byte / 64) as usize).copied().unwrap_or(0);
                if word >> (byte % 64) & 1 == 0 && !wrote(a.start + byte) {
                    return Err(Bad::Uninitialised(self.describe(address)));
                }
            }
        }
        Ok(())
    }

    /// Marks bytes of a tracked buffer as written.
    pub fn mark(&mut self, address: u64, bytes: u64) {
        let from = address.wrapping_sub(GLOBAL_BASE);
        let Some(owner) = self.owner(from, from.wrapping_add(bytes)) else {
            return;
        };
        let a = &mut self.allocations[owner];
        if let Some(written) = &mut a.written {
            for byte in from - a.start..from - a.start + bytes {
                if let Some(word) = written.get_mut((byte / 64) as usize) {
                    *word |= 1 << (byte % 64);
                }
            }
        }
    }

    /// Bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Writes what a CTA wrote.
    pub fn apply(&mut self, patch: &Patch) {
        let start = patch.block as usize * BLOCK_BYTES as usize;
        let range = start..start + BLOCK_BYTES as usize;
        let Some(content) = self.bytes.get_mut(range) else {
            return;
        };
        if patch.mask == u32::MAX {
            content.copy_from_slice(&patch.bytes);
        } else {
            for (i, (target, byte)) in content.iter_mut().zip(&patch.bytes).enumerate() {
                *target = if patch.mask >> i & 1 != 0 {
                    *byte
                } else {
                    *target
                };
            }
        }
        if let Some((word, shift)) = self.tracking_mut(patch.block) {
            *word |= u64::from(patch.mask) << shift;
        }
    }

    /// Does an update that a CTA kept.
    pub fn update(&mut self, update: &Deferred) {
        let (at, size) = (update.offset as usize, update.update.bytes() as usize);
        let old = bytes::read(&self.bytes, at, size);
        let new = update.update.apply(old, update.operand, 0);
        bytes::write(&mut self.bytes, at, size, new);
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

    /// Where an address lies relative to the buffers.
    pub fn describe(&self, address: u64) -> String {
        let near = self
            .allocations
            .iter()
            .rfind(|a| GLOBAL_BASE + a.start <= address);
        match near {
            Some(a) => {
                let at = address - GLOBAL_BASE - a.start;
                match at.checked_sub(a.bytes) {
                    Some(0) => format!("right behind `{}` ({} bytes)", a.name, a.bytes),
                    Some(over) => {
                        format!(
                            "{over} bytes behind the end of `{}` ({} bytes)",
                            a.name, a.bytes
                        )
                    }
                    None => format!("byte {at} of `{}` ({} bytes)", a.name, a.bytes),
                }
            }
            None => "below all buffers".to_owned(),
        }
    }
}

/// What a new buffer holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Data(Vec<u8>),
    /// So many bytes that a kernel must write before it reads them.
    Uninitialised(u64),
}
