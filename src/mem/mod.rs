//! The memory system: messages, caches, address map and DRAM.
//!
//! Life of a global load: the LSU coalesces the lanes into lines with a sector mask; L1 answers what
//! it has and sends a [`Request`] for the missing sectors of each line through the crossbar; the
//! slice of that line answers with a [`Reply`], at once or after DRAM filled it; the fill completes
//! every access that waits in the line's MSHR. Stores are posted: a request with a sector mask, and a
//! [`Reply`] without data that gives the SM its store credit back.

pub mod addr_map;
pub mod cache;
pub mod dram;
pub mod l1;
pub mod l2;
pub mod shard;
pub mod space;

use crate::engine::{Cycle, Timed};

/// Bytes of a cache line; lines are numbered by `address / LINE_BYTES`.
pub const LINE_BYTES: u64 = 128;
/// Bytes of a sector.
pub const SECTOR_BYTES: u64 = 32;
/// Sectors of a line.
pub const SECTORS_PER_LINE: u32 = 4;

/// What a request asks of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RequestKind {
    /// Sectors for L1.
    Read,
    /// Sectors for the instruction or constant cache.
    ReadInst,
    /// Posted write.
    Write,
    /// Read-modify-write that returns data.
    Atomic,
    /// Read-modify-write that returns an acknowledgement.
    Reduction,
    /// A read forwarded by a slice of the other partition; the tag is that slice's number.
    Forward,
    /// Data for a forwarded read; the tag is the slice that asked.
    ForwardReply,
    /// The line was written at home: drop the copy.
    Invalidate,
}

impl RequestKind {
    /// News from the other partition: no access of its own, and never waits for an MSHR.
    pub fn is_news(self) -> bool {
        matches!(self, RequestKind::ForwardReply | RequestKind::Invalidate)
    }
}

/// A message towards a slice. `at` is when it leaves the SM port, then when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Cycle.
    pub at: Cycle,
    /// Line number.
    pub line: u64,
    /// The sender's number for the reply: an L1 MSHR, an access, a warp slot.
    pub tag: u32,
    /// SM (or slice, for forwards).
    pub source: u16,
    /// What is asked.
    pub kind: RequestKind,
    /// Sectors, bit i for bytes `32 i`..`32 i + 31` of the line.
    pub sectors: u8,
    /// Of those, the ones that are written in full.
    pub full: u8,
    /// Atomic: cycles that the slice's atomic unit needs.
    pub atomic_cycles: u8,
    /// Destination slice.
    pub slice: u16,
}

/// A message towards an SM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Cycle at which it leaves the slice, then of its arrival at the SM.
    pub at: Cycle,
    /// Line number.
    pub line: u64,
    /// The request's tag.
    pub tag: u32,
    /// Destination SM.
    pub sm: u16,
    /// Sending slice.
    pub slice: u16,
    /// What was asked.
    pub kind: RequestKind,
    /// Sectors with data; none for acknowledgements.
    pub sectors: u8,
}

const _: () = assert!(size_of::<Request>() <= 32 && size_of::<Reply>() <= 32);

impl Timed for Request {
    fn at(&self) -> Cycle {
        self.at
    }
    /// Slices come after SMs.
    fn rank(&self) -> u32 {
        let internal = u32::from(self.kind as u8 >= RequestKind::Forward as u8);
        internal << 16 | u32::from(self.source)
    }
}

impl Timed for Reply {
    fn at(&self) -> Cycle {
        self.at
    }
    fn rank(&self) -> u32 {
        u32::from(self.slice)
    }
}
