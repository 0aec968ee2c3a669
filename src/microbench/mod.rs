//! The model against silicon: the micro-benchmark suite (feature `micro-benchmarking`) and the
//! correlation of results.
//!
//! A benchmark is an entry of a TOML file in `microbench/`: kernels, and how its number follows from
//! their cycles and counters. `microbench/README.md` says how to add one. References are transcribed
//! in `validation/reference/`, one file a GPU.

pub mod chart;
pub mod correlate;
pub mod results;
mod units;

#[cfg(feature = "micro-benchmarking")]
pub mod definition;
#[cfg(feature = "micro-benchmarking")]
mod enabled;
#[cfg(feature = "micro-benchmarking")]
mod gate;
#[cfg(feature = "micro-benchmarking")]
pub mod points;
#[cfg(feature = "micro-benchmarking")]
pub mod reference;
#[cfg(feature = "micro-benchmarking")]
pub mod suite;
#[cfg(feature = "micro-benchmarking")]
mod template;
#[cfg(feature = "micro-benchmarking")]
pub use enabled::{ENABLED, run};

#[cfg(not(feature = "micro-benchmarking"))]
mod disabled;
#[cfg(not(feature = "micro-benchmarking"))]
pub use disabled::{ENABLED, run};

use crate::session::Session;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// What `micro-benchmark` is asked to do.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The machine; none when benchmarks are only listed.
    pub machine: Option<Session>,
    /// Benchmarks by name; all when empty.
    pub only: Vec<String>,
    /// Only benchmarks of the caches.
    pub cache_analysis: bool,
    /// Show the accuracy of each class.
    pub validate_accuracy: bool,
    /// Tolerances that must hold.
    pub gate: Option<PathBuf>,
    /// Points of a curve.
    pub points: usize,
    /// Threads.
    pub jobs: usize,
    /// Where results go as JSON.
    pub json: Option<PathBuf>,
    /// Where charts go.
    pub html: Option<PathBuf>,
    /// Set from outside to end the suite with the results that there are.
    pub stop: Option<&'static AtomicBool>,
}
