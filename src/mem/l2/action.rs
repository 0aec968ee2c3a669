//! What a slice remembers of those who wait, and what it asks its shard to do.

use crate::engine::Cycle;
use crate::ids::SmId;
use crate::isa::{CacheOp, PrefetchHint};
use crate::mem::{Line, ReplyTo, Request, RequestKind, SectorMask};
use bincode::{Decode, Encode};

/// Who waits for sectors of a line.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Waiter {
    /// What was asked.
    pub kind: RequestKind,
    /// The SM that asked.
    pub sm: SmId,
    /// Whom the reply is for.
    pub to: ReplyTo,
    /// Sectors.
    pub sectors: SectorMask,
    /// Cycles of the atomic unit.
    pub atomic_cycles: u8,
    /// Cache operator.
    pub cache: CacheOp,
}

impl Waiter {
    /// The sender of `r`.
    pub fn of(r: &Request) -> Self {
        Waiter {
            kind: r.kind,
            sm: r.sm,
            to: r.to,
            sectors: r.sectors,
            atomic_cycles: r.atomic_cycles,
            cache: r.cache,
        }
    }

    /// Stands for nobody in the register of `sectors`, which `r` makes L2 fetch for itself.
    pub fn nobody(r: &Request, sectors: SectorMask) -> Self {
        Waiter {
            kind: RequestKind::Invalidate,
            sm: r.sm,
            to: r.to,
            sectors,
            atomic_cycles: 0,
            cache: r.cache,
        }
    }
}

/// What the slice wants done; the shard does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer a request at `at`.
    Reply {
        /// Leaves the slice.
        at: Cycle,
        /// What was asked.
        kind: RequestKind,
        /// The SM that asked.
        sm: SmId,
        /// Whom the reply is for.
        to: ReplyTo,
        /// Line.
        line: Line,
        /// Sectors with data.
        sectors: SectorMask,
    },
    /// Read sectors of a line from below.
    Fetch {
        /// Not before.
        at: Cycle,
        /// Line.
        line: Line,
        /// Sectors.
        sectors: SectorMask,
        /// Cache operator of the access that asks.
        cache: CacheOp,
        /// Its hint, for the home of the line.
        prefetch: PrefetchHint,
    },
    /// Write sectors of a line back.
    WriteBack {
        /// Not before.
        at: Cycle,
        /// Line.
        line: Line,
        /// Sectors.
        sectors: SectorMask,
    },
    /// Tell the copy in the other partition that the line changed.
    Invalidate {
        /// When.
        at: Cycle,
        /// Line.
        line: Line,
    },
}
