//! What a slice remembers of those who wait, and what it asks its shard to do.

use crate::engine::Cycle;
use crate::isa::CacheOp;
use crate::mem::{ReplyTo, RequestKind};

/// Who waits for sectors of a line.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    /// What was asked.
    pub kind: RequestKind,
    /// SM, or slice for forwards.
    pub source: u16,
    /// Whom the reply is for.
    pub to: ReplyTo,
    /// Sectors.
    pub sectors: u8,
    /// Cycles of the atomic unit.
    pub atomic_cycles: u8,
    /// Cache operator.
    pub cache: CacheOp,
}

/// What the slice wants done; the shard does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer `source` at `at`.
    Reply {
        /// Leaves the slice.
        at: Cycle,
        /// What was asked.
        kind: RequestKind,
        /// SM or slice.
        source: u16,
        /// Whom there the reply is for.
        to: ReplyTo,
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
        /// Cache operator of the access that asks.
        cache: CacheOp,
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
