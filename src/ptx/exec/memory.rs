//! Global memory: one arena with a map of who owns which part.
//!
//! Allocations stand apart by at least one block, so that running over the end of one never lands in
//! another. What nobody initialised is tracked byte by byte until it is written.

mod journaled;

use super::GLOBAL_BASE;
use super::journal::Journal;

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

/// Global memory.
#[derive(Clone, Debug, Default)]
pub struct Global {
    bytes: Vec<u8>,
    // Owner of each block, plus one.
    owners: Vec<u32>,
    allocations: Vec<Allocation>,
    // Kept while CTAs run at once.
    journal: Option<Box<Journal>>,
}

impl Global {
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
            let value = self.read(at, 8).wrapping_add(address);
            if let Some((bytes, _)) = self.span(at, at + 8) {
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
    pub fn span(&mut self, from: u64, to: u64) -> Option<(&mut [u8], bool)> {
        let (from, to) = (from.checked_sub(GLOBAL_BASE)?, to.checked_sub(GLOBAL_BASE)?);
        let owner = self.owner(from, to)?;
        let tracked = self
            .allocations
            .get(owner)
            .is_some_and(|a| a.written.is_some());
        let bytes = self.bytes.get_mut(from as usize..to as usize)?;
        Some((bytes, tracked))
    }

    /// Checks one access and says what is wrong.
    pub fn check(&self, address: u64, bytes: u64, read: bool) -> Result<(), Bad> {
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
                if word >> (byte % 64) & 1 == 0 {
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

    /// Bytes of the arena.
    pub fn size(&self) -> usize {
        self.bytes.len()
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

    /// Reads up to 8 bytes that are known to be inside.
    pub fn read(&self, address: u64, bytes: usize) -> u64 {
        let at = address.wrapping_sub(GLOBAL_BASE) as usize;
        let mut word = [0; 8];
        if let Some(source) = self.bytes.get(at..at.wrapping_add(bytes.min(8))) {
            word[..source.len()].copy_from_slice(source);
        }
        u64::from_le_bytes(word)
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
