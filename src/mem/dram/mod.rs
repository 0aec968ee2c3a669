//! One DRAM channel (GDDR) or pseudo-channel (HBM): device timing and memory controller.
//!
//! ```text
//!  accept ─► read queue  ─┐            ┌─► row bus    ACT PRE REF ─┐
//!            write queue ─┼─► planner ─┤                           ├─► banks ─► data bus ─► Completion
//!            opened rows ─┘   (policy) └─► column bus RD WR ───────┘
//!                              ▲ timing table, page policy, refresh
//! ```
//!
//! Life of a request: [`Channel::accept`] puts it in a queue (a read that hits a queued write is answered from
//! there, a write to a queued burst is merged). When its activate issues it leaves the queue for its bank's
//! *opened* place, from which nothing can push it out; when its column command issues it is served; a read
//! completes with its last data beat.
//!
//! Order of the stages in one bus slot: (1) a refresh falls due; (2) column bus: the best ready request, opened
//! ones first; (3) row bus: refresh, else the best ready activate or precharge. With one bus (GDDR) opened
//! requests come first, then refresh, then the best of all ready commands.
//!
//! Invariants: no gap is known outside [`timing`]; the policy never decides legality; nothing is allocated after
//! construction; [`Channel::advance`] sleeps from event to event and gives the same commands at the same
//! cycles as [`Channel::advance_every_cycle`], which looks at every slot.

mod addr_map;
mod candidates;
mod channel;
pub mod checker;
mod command;
mod config;
mod issue;
mod page;
mod plan;
mod probe;
mod queue;
mod refresh;
pub mod replay;
pub mod research;
mod sched;
pub mod spec;
mod stats;
#[cfg(test)]
mod tests;
pub mod timing;

pub use addr_map::{Decoder, Location, Map};
pub use channel::{Channel, Completion};
pub use command::{COMMANDS, Command, Kind};
pub use config::{ChannelSpec, MAX_QUEUE};
pub use page::{DEFAULT_TIMEOUT, PagePolicy};
pub use probe::{DramProbe, Issued, NoDramProbe, RowOutcome, Served};
pub use refresh::RefreshMode;
pub use sched::{DEFAULT_CAP, Policy, STREAMS, stream_of};
pub use spec::{StandardSpec, grade, standard};
pub use stats::{BusCycles, DramStats};

/// Most banks that a channel can have: one bit each in a `u64`.
pub const MAX_BANKS: usize = 64;
