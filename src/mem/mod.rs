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
mod line;
pub mod message;
pub mod shard;
pub mod space;
pub mod tlb;

pub use line::{Line, SectorMask};
pub use message::{CodeCache, FlightId, Reply, ReplyTo, Request, RequestKind};

use crate::config::{NocSpec, NocTopology};
use crate::engine::Port;

/// A port of the interconnect `noc` that moves `bytes_per_cycle`, unless its ports have no limit.
pub fn noc_port(noc: &NocSpec, bytes_per_cycle: u16) -> Port {
    match noc.topology {
        NocTopology::Ideal => Port::unlimited(),
        NocTopology::Crossbar | NocTopology::Mesh => Port::new(bytes_per_cycle),
    }
}

/// Bytes of a cache line; lines are numbered by `address / LINE_BYTES`.
pub const LINE_BYTES: u64 = 128;
/// Bytes of a sector.
pub const SECTOR_BYTES: u64 = 32;
/// Sectors of a line.
pub const SECTORS_PER_LINE: u32 = 4;
