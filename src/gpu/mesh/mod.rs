//! The mesh on the chip: messages between SMs and memory shards that do not go through the ports of GPCs.
//!
//! `enabled.rs` and `disabled.rs` have the same interface; only this file knows the feature.

#[cfg(feature = "architecture-research")]
mod enabled;
#[cfg(feature = "architecture-research")]
pub(super) use enabled::MeshUnit;

#[cfg(not(feature = "architecture-research"))]
mod disabled;
#[cfg(not(feature = "architecture-research"))]
pub(super) use disabled::MeshUnit;
