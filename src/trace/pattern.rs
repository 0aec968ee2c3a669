//! Lane-offset patterns: how the lanes of one access lie relative to its first active lane.
//!
//! Regular kernels have a handful of them, so a stream stores a base address and a pattern number,
//! and everything that depends on the pattern alone (bank conflicts, sectors) is computed once.

use bincode::{Decode, Encode};
use std::collections::HashMap;

/// Number of a pattern in its kernel's table.
pub type PatternId = u32;

/// Offsets of the active lanes from the first active lane's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct LanePattern {
    /// Active lanes.
    pub mask: u32,
    /// Bytes accessed by each lane.
    pub width_bytes: u8,
    /// Offsets in bytes, in active-lane order; the first is 0.
    pub offsets: Vec<i32>,
}

/// The most patterns that one kernel may have; further lane shapes are stored in the stream itself.
pub const PATTERNS_MAX: usize = 4096;

/// Patterns of a kernel under construction.
#[derive(Clone, Debug, Default)]
pub struct PatternTable {
    patterns: Vec<LanePattern>,
    index: HashMap<LanePattern, PatternId>,
    key: Option<LanePattern>,
}

impl PatternTable {
    /// The number of the pattern of `addresses` (active lanes only, in lane order), interning it if
    /// there is room. `None` when the table is full or an offset does not fit 32 bits.
    pub fn intern(&mut self, mask: u32, width_bytes: u8, addresses: &[u64]) -> Option<PatternId> {
        let base = *addresses.first()?;
        let mut key = self.key.take().unwrap_or(LanePattern {
            mask,
            width_bytes,
            offsets: Vec::new(),
        });
        key.mask = mask;
        key.width_bytes = width_bytes;
        key.offsets.clear();
        let mut fits = true;
        for &address in addresses {
            let offset = address.wrapping_sub(base) as i64;
            fits &= i64::from(offset as i32) == offset;
            key.offsets.push(offset as i32);
        }
        let found = if fits {
            self.index.get(&key).copied()
        } else {
            None
        };
        let id = match found {
            Some(id) => Some(id),
            None if fits && self.patterns.len() < PATTERNS_MAX => {
                let id = self.patterns.len() as PatternId;
                self.patterns.push(key.clone());
                self.index.insert(key.clone(), id);
                Some(id)
            }
            None => None,
        };
        self.key = Some(key);
        id
    }

    /// The number of a pattern that is there already.
    pub fn find(&self, pattern: &LanePattern) -> Option<PatternId> {
        self.index.get(pattern).copied()
    }

    /// Whether no pattern can be added.
    pub fn is_full(&self) -> bool {
        self.patterns.len() >= PATTERNS_MAX
    }

    /// The patterns so far, by number.
    pub fn patterns(&self) -> &[LanePattern] {
        &self.patterns
    }

    /// Gives the finished table away.
    pub fn into_patterns(self) -> Vec<LanePattern> {
        self.patterns
    }
}
