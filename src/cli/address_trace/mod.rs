//! `simulate --address-trace`: a run whose accesses of L1 are written down (feature `cache-research`).
//!
//! `enabled.rs` and `disabled.rs` have the same interface; only this file knows the feature.

#[cfg(feature = "cache-research")]
mod enabled;
#[cfg(feature = "cache-research")]
pub use enabled::{ENABLED, run};

#[cfg(not(feature = "cache-research"))]
mod disabled;
#[cfg(not(feature = "cache-research"))]
pub use disabled::{ENABLED, run};
