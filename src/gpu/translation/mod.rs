//! Address translation on the chip: messages between SMs, the MMU and the memory shards.
//!
//! `enabled.rs` and `disabled.rs` have the same interface; only this file knows the feature.

#[cfg(feature = "memory-research")]
mod enabled;
#[cfg(feature = "memory-research")]
pub(super) use enabled::Translation;

#[cfg(not(feature = "memory-research"))]
mod disabled;
#[cfg(not(feature = "memory-research"))]
pub(super) use disabled::Translation;
