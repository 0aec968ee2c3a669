//! The warp table: what the SM remembers of each resident warp.

use crate::sm::memory::coalesce::{LINES_MAX, Lines};
use crate::stats::Label;
use bincode::{Decode, Encode};

/// Local time of an SM, in core cycles since its epoch.
pub type Local = u32;

/// A time that is not known yet. Larger than any time a run may reach.
pub const PENDING: Local = (1 << 30) - 1;

/// Registers' ready times are stored as `time << 2 | source`.
#[inline(always)]
pub fn raw(time: Local, source: u8) -> u32 {
    time << 2 | u32::from(source)
}

/// What keeps a warp from being considered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Hold {
    /// Nothing.
    None,
    /// At a CTA barrier.
    Barrier,
    /// At a memory fence.
    Membar,
    /// Waiting until at most this many cp.async groups are open: see `Warp::held_by`.
    Groups,
    /// Exited; memory instructions are still in flight.
    Drain,
}

/// One warp slot.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Warp {
    /// Index of the next instruction in the program.
    pub op: u32,
    /// End of the current run.
    pub run_end: u32,
    /// Active lanes.
    pub mask: u32,
    /// How many lanes are active.
    pub lanes: u8,
    /// When it may issue, as far as known.
    pub ready_at: Local,
    /// When its instruction is in the buffer, or [`PENDING`].
    pub fetched_at: Local,
    /// When its constant operand is in the cache, or [`PENDING`].
    pub constant_at: Local,
    /// Not before this cycle: stall count, branch, barrier.
    pub floor: Local,
    /// Completion of the last memory instruction whose completion is known.
    pub memory_done: Local,
    /// Control bits: ready time (raw) of each scoreboard.
    pub sb_ready: [u32; 6],
    /// Control bits: operations in flight with unknown completion, by scoreboard.
    pub sb_pending: [u8; 6],
    /// Memory instructions with unknown completion.
    pub pending: u16,
    /// Store requests without acknowledgement.
    pub stores: u16,
    /// Entries of the local memory queue.
    pub queued: u8,
    /// CTA slot.
    pub cta: u8,
    /// Program slot.
    pub program: u8,
    /// Warp number within the CTA.
    pub in_cta: u8,
    /// What it waits for.
    pub why: Label,
    /// What `floor` stands for.
    pub floor_why: Label,
    /// Held.
    pub hold: Hold,
    /// With [`Hold::Barrier`] the barrier's number, with [`Hold::Groups`] the cp.async groups that may
    /// stay incomplete.
    pub held_by: u8,
}

impl Warp {
    /// An empty slot.
    pub fn empty() -> Self {
        Warp {
            op: 0,
            run_end: 0,
            mask: 0,
            lanes: 0,
            ready_at: 0,
            fetched_at: 0,
            constant_at: 0,
            floor: 0,
            memory_done: 0,
            sb_ready: [0; 6],
            sb_pending: [0; 6],
            pending: 0,
            stores: 0,
            queued: 0,
            cta: 0,
            program: 0,
            in_cta: 0,
            why: Label::Misc,
            floor_why: Label::Wait,
            hold: Hold::None,
            held_by: 0,
        }
    }
}

/// A memory instruction in a sub-core's local queue.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Queued {
    /// When address generation is done.
    pub ready: Local,
    /// Warp slot.
    pub warp: u8,
    /// Program slot.
    pub program: u8,
    /// Progress: lines already looked up.
    pub next_line: u8,
    /// Lines that went to L2 so far.
    pub misses: u8,
    /// Bank passes.
    pub passes: u8,
    /// Bank passes without conflict.
    pub least_passes: u8,
    /// Index of the instruction.
    pub op: u32,
    /// Flight number once a line missed.
    pub flight: u32,
    /// Kind after resolving generic addresses.
    pub space: crate::sm::memory::Space,
    /// Cycles of the slice's atomic unit, by line.
    pub atomic_weight: [u8; LINES_MAX],
    /// Lines of a global access.
    pub lines: Lines,
}
