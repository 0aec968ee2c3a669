//! One cache alone on an address trace (feature `cache-research`).
//!
//! `driver.rs` feeds the real L1, with its real tags and policies, from a trace whose misses are filled at once; what it
//! finds does not depend on time. Beside it stand what a stream is by itself, whatever the policy (`stream.rs`, with the
//! reuse distances of `distance.rs`), and the bound of Belady (`belady.rs`). The trace is read once, row by row, for all
//! policies together.
//!
//! `enabled.rs` and `disabled.rs` have the same interface; only this file knows the feature.

#[cfg(feature = "cache-research")]
mod belady;
#[cfg(feature = "cache-research")]
pub mod distance;
#[cfg(feature = "cache-research")]
mod driver;
#[cfg(feature = "cache-research")]
mod enabled;
#[cfg(all(test, feature = "cache-research"))]
mod naive;
#[cfg(feature = "cache-research")]
mod reference;
#[cfg(feature = "cache-research")]
mod report;
#[cfg(feature = "cache-research")]
mod stream;
#[cfg(all(test, feature = "cache-research"))]
mod tests;
#[cfg(feature = "cache-research")]
pub mod trace;
#[cfg(feature = "cache-research")]
pub use enabled::{ENABLED, Report, run};

#[cfg(not(feature = "cache-research"))]
mod disabled;
#[cfg(not(feature = "cache-research"))]
pub use disabled::{ENABLED, Report, run};

use crate::config::Replacement;
use crate::config::cache::AloneCache;
use std::path::PathBuf;

/// What `cache` is asked to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// The cache.
    pub cache: AloneCache,
    /// Policies that are compared; each has a cache of its own.
    pub policies: Vec<Replacement>,
    /// The trace; `-` is standard input.
    pub trace: PathBuf,
    /// Only the accesses of this SM.
    pub sm: Option<u16>,
}

/// The answer when a study is asked for and not compiled in.
pub const MISSING: &str = "needs the cache instruments: build with `--features cache-research`";
