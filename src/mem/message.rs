//! The messages between SMs and L2 slices, and between slices.

use super::tlb::Compiled;
use super::{Line, SectorMask};
use crate::engine::{Cycle, Timed};
use crate::ids::{SliceId, SmId};
use crate::isa::{CacheOp, PrefetchHint};
use bincode::{Decode, Encode};

/// What a request asks of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
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
    /// A read forwarded by a slice of the other partition.
    Forward,
    /// Data for a forwarded read.
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

/// Number of a memory instruction that waits for replies, within its SM. It has 24 bits, so that a [`ReplyTo`]
/// takes four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FlightId([u8; 3]);

impl FlightId {
    /// The largest number.
    pub const MAX: u32 = (1 << 24) - 1;

    /// Stands for no instruction where a prefetch waits; no instruction has this number.
    pub const NOBODY: FlightId = FlightId([u8::MAX; 3]);

    /// Flight number `number`, at most [`FlightId::MAX`].
    #[inline(always)]
    pub fn new(number: u32) -> Self {
        debug_assert!(number <= Self::MAX);
        let [low, middle, high, _] = number.to_le_bytes();
        FlightId([low, middle, high])
    }

    /// Its number.
    #[inline(always)]
    pub fn number(self) -> u32 {
        let [low, middle, high] = self.0;
        u32::from_le_bytes([low, middle, high, 0])
    }
}

/// A cache of an SM that reads code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CodeCache {
    /// Instructions.
    Inst,
    /// Constants.
    Const,
}

/// Whom the reply to a request is for, at its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum ReplyTo {
    /// The L1 line, and whatever waits in its MSHR.
    #[default]
    Fill,
    /// A memory instruction that waits for this reply itself: reads past L1, atomics.
    Flight(FlightId),
    /// A warp slot whose store or reduction is acknowledged.
    Warp(u8),
    /// Nobody: the acknowledgement of a written-back line only returns its store credit.
    WriteBack,
    /// A line of the instruction or constant caches.
    Fetch(CodeCache),
    // Who is not an SM comes in a row, so that one comparison tells.
    /// The slice that sent this to another slice.
    Slice(SliceId),
    /// A page walker.
    Walk(Compiled, u16),
    /// The TLB of the SM: the page of the line is translated.
    Translation(Compiled),
}

impl ReplyTo {
    /// The place of a slice, or of a page walker, among the senders of requests.
    #[inline(never)]
    fn rank_behind_sms(self) -> u32 {
        match self {
            ReplyTo::Slice(slice) => 1 << 16 | u32::from(slice.0),
            _ => 1 << 15 | self.walker().map_or(0, |(_, walker)| u32::from(walker)),
        }
    }

    /// The page walker, if it is for one.
    #[inline(always)]
    pub fn walker(self) -> Option<(Compiled, u16)> {
        match self {
            #[allow(unreachable_patterns, reason = "some builds have no translation")]
            ReplyTo::Walk(compiled, walker) => Some((compiled, walker)),
            _ => None,
        }
    }
}

/// A message towards a slice. `at` is when it reaches the SM's port, then when it leaves that port, then when it
/// arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// Cycle.
    pub at: Cycle,
    /// Its line.
    pub line: Line,
    /// Whom the reply is for.
    pub to: ReplyTo,
    /// The SM that sent it, written by its port; no one where a slice did, which [`Request::to`] then names.
    pub sm: SmId,
    /// Destination slice; written by the crossbar.
    pub slice: SliceId,
    /// What is asked.
    pub kind: RequestKind,
    /// Sectors.
    pub sectors: SectorMask,
    /// Of those, the ones that are written in full.
    pub full: SectorMask,
    /// Atomic: cycles that the slice's atomic unit needs.
    pub atomic_cycles: u8,
    /// Cache operator of the access, for the slice's replacement policy.
    pub cache: CacheOp,
    /// What a read asks L2 to fetch beyond its sectors.
    pub prefetch: PrefetchHint,
}

impl Request {
    /// A request of `kind` for `sectors` of `line`, whose reply is for `to`; what else it has is zero, and its
    /// cache operator the ordinary one.
    #[inline(always)]
    pub fn new(kind: RequestKind, line: Line, sectors: SectorMask, to: ReplyTo) -> Self {
        Request {
            at: 0,
            line,
            to,
            sm: SmId::default(),
            slice: SliceId::default(),
            kind,
            sectors,
            full: SectorMask::NONE,
            atomic_cycles: 0,
            cache: CacheOp::All,
            prefetch: PrefetchHint::None,
        }
    }
}

/// A message towards an SM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reply {
    /// Cycle at which it leaves the slice, then of its arrival at the SM.
    pub at: Cycle,
    /// Its line.
    pub line: Line,
    /// Whom it is for, as the request said.
    pub to: ReplyTo,
    /// Destination SM.
    pub sm: SmId,
    /// Sending slice.
    pub slice: SliceId,
    /// What was asked.
    pub kind: RequestKind,
    /// Sectors with data; none for acknowledgements.
    pub sectors: SectorMask,
}

const _: () = assert!(size_of::<Request>() <= 32 && size_of::<Reply>() <= 32);
const _: () = assert!(size_of::<ReplyTo>() == 4);

impl Timed for Request {
    fn at(&self) -> Cycle {
        self.at
    }
    /// Page walkers come after SMs, slices after these.
    fn rank(&self) -> u32 {
        match self.to {
            #[allow(unreachable_patterns, reason = "some builds have no translation")]
            ReplyTo::Slice(_) | ReplyTo::Walk(..) => self.to.rank_behind_sms(),
            _ => u32::from(self.sm.0),
        }
    }
}

impl Timed for Reply {
    fn at(&self) -> Cycle {
        self.at
    }
    fn rank(&self) -> u32 {
        u32::from(self.slice.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flight_numbers_of_24_bits_come_back() {
        for number in [0, 1, 255, 256, 0x12_3456, FlightId::MAX] {
            assert_eq!(FlightId::new(number).number(), number);
        }
    }
}
