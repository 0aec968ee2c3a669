//! What was put into a cache, and what it drove out, for policies that learn from it.
//!
//! `enabled.rs` and `disabled.rs` have the same interface; only this file knows the feature.

#[cfg(feature = "architecture-research")]
mod enabled;
#[cfg(feature = "architecture-research")]
pub use enabled::Inserted;

#[cfg(not(feature = "architecture-research"))]
mod disabled;
#[cfg(not(feature = "architecture-research"))]
pub use disabled::Inserted;
