//! `memory-divergence-research`: how many lanes of a warp work, in how many sectors their accesses lie, and which lines
//! leave a cache before they are wanted again.
//!
//! `lanes.rs`, `requests.rs`, `losses.rs` and `refetches.rs` each watch one thing; `code.rs`, `history.rs` and `table.rs`
//! keep what they need to know. docs/divergence-research.md has the definitions.

#[cfg(feature = "memory-divergence-research")]
mod code;
#[cfg(feature = "memory-divergence-research")]
mod history;
#[cfg(feature = "memory-divergence-research")]
mod instruments;
#[cfg(feature = "memory-divergence-research")]
mod lanes;
#[cfg(feature = "memory-divergence-research")]
mod losses;
#[cfg(feature = "memory-divergence-research")]
mod refetches;
#[cfg(feature = "memory-divergence-research")]
mod requests;
#[cfg(feature = "memory-divergence-research")]
mod section;
#[cfg(feature = "memory-divergence-research")]
mod table;
#[cfg(feature = "memory-divergence-research")]
mod tables;

/// The probe.
#[cfg(feature = "memory-divergence-research")]
pub type Probe = crate::probe::Chosen<instruments::Divergence>;
/// The probe: this build has none.
#[cfg(not(feature = "memory-divergence-research"))]
pub type Probe = super::NoProbe;
