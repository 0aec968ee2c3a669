//! What a slice remembers of those who wait, and what it asks its shard to do.

use crate::engine::Cycle;
use crate::mem::RequestKind;

/// Who waits for sectors of a line.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// What was asked.
    pub kind: RequestKind,
    /// SM, or slice for forwards.
    pub source: u16,
    /// The sender's tag.
    pub tag: u32,
    /// Sectors.
    pub sectors: u8,
    /// Cycles of the atomic unit.
    pub atomic_cycles: u8,
}

/// What the slice wants done; the shard does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer `to` at `at`.
    Reply {
        /// Leaves the slice.
        at: Cycle,
        /// What was asked.
        kind: RequestKind,
        /// SM or slice.
        source: u16,
        /// Its tag.
        tag: u32,
        /// Line.
        line: u64,
        /// Sectors with data.
        sectors: u8,
    },
    /// Read sectors of a line from below.
    Fetch {
        /// Not before.
        at: Cycle,
        /// Line.
        line: u64,
        /// Sectors.
        sectors: u8,
    },
    /// Write sectors of a line back.
    WriteBack {
        /// Not before.
        at: Cycle,
        /// Line.
        line: u64,
        /// Sectors.
        sectors: u8,
    },
    /// Tell the copy in the other partition that the line changed.
    Invalidate {
        /// When.
        at: Cycle,
        /// Line.
        line: u64,
    },
}
