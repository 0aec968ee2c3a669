//! DRAM instruments (feature `dram-research`): what an observer of the commands and requests can say about
//! banks, rows, streams, parallelism and latency, and the comparison of all policies on one trace.
//!
//! `enabled.rs` and `disabled.rs` have the same interface; only this file knows the feature.

#[cfg(feature = "dram-research")]
mod compare;
#[cfg(feature = "dram-research")]
mod enabled;
#[cfg(feature = "dram-research")]
mod instruments;
#[cfg(feature = "dram-research")]
mod parallelism;
#[cfg(feature = "dram-research")]
pub use enabled::*;

#[cfg(not(feature = "dram-research"))]
mod disabled;
#[cfg(not(feature = "dram-research"))]
pub use disabled::*;

/// The answer when the instruments are asked for and not compiled in.
pub const MISSING: &str =
    "--policy all needs the instruments: build with `--features dram-research`";
