//! Counters: one spine of accounting. A counter is declared once, with unit and sentence; storage, sums,
//! differences, JSON, exports and `explain` follow from the declaration.
//!
//! A new counter is a field of its unit's struct, a new unit a struct and a field of [`ChipCounters`], a new issue
//! label or pipe a line of [`Label`] or [`Pipe`].

mod bus;
pub mod chip;
pub mod counters;
mod declare;
pub mod issue;
pub mod pipe;
#[cfg(test)]
mod tests;
pub mod tlb;

pub use chip::{ChipCounters, SmCounters, UnitCounters, UnitCounts};
pub use counters::{
    BusCycles, DramStats, FetchStats, L1Stats, L2Stats, LsuStats, NocStats, SmStats,
};
pub use declare::Counter;
pub use issue::{IssueStats, Label};
pub use pipe::{Pipe, PipeStats};

/// What stands for the unit where a number is what stands at one moment, and neither work nor time.
pub const LEVEL: &str = "level";
