//! phantom-gpu simulates NVIDIA GPUs, from Volta to Blackwell, cycle by cycle.
//!
//! A [`Session`](session::Session) is a configured machine. It opens inputs (Accel-Sim traces, `.pgt` files, generated
//! kernels), runs them and makes a [`Report`](report::Report), which serde writes as the JSON that the command line
//! writes. The same input on the same configuration gives the same report for any number of threads.
//!
//! ```
//! use phantom_gpu::session::{Options, Session};
//!
//! // The same kernel on a V100 and on one with half as many ways in L2.
//! for sets in [&[][..], &["l2.ways=8"]] {
//!     let session = Session::new("v100", sets)?;
//!     let workload = session.open(&["synth:copy?bytes=64KiB"])?;
//!     let options = Options { threads: 2, ..Options::default() };
//!     let report = session.run(&workload, &options)?.report;
//!
//!     let kernel = &report.kernels[0];
//!     assert_eq!(kernel.name, "copy");
//!     assert!(kernel.cycles > 0 && kernel.ipc > 0.0);
//! }
//! # Ok::<(), phantom_gpu::error::Error>(())
//! ```
//!
//! # The map
//!
//! | | |
//! |---|---|
//! | [`session`] | the one way to run |
//! | [`config`] | TOML files and `--set` to a checked, immutable specification |
//! | [`trace`] | kernels and their files; generators (`synth:`) and recorded PTX end here too |
//! | [`report`] | what a run found: counters, rates, tables, JSON, timeline |
//! | [`error`] | every error, with the exit status that it asks for |
//!
//! The machine itself (SMs, crossbar, caches, DRAM, host side) is private; `ARCHITECTURE.md` has its map.
//!
//! # Invariants
//!
//! - Shards (SMs; DRAM channels with their L2 slices) run a quantum of cycles by themselves and then exchange
//!   messages. No message is faster than a quantum, so that threads cannot change a result.
//! - A cycle that is skipped is one in which nothing could happen.
//! - Every issue slot, SM cycle, slice cycle and DRAM bus cycle has exactly one label.
//! - No hardware number has a default in code, and no feature changes a cycle.
//! - Bad input is an [`Error`](error::Error) that names file, place and remedy; our own faults are assertions.
//!
//! `ARCHITECTURE.md` in the repository has the whole of it, `CONTRIBUTING.md` how to add something.

pub(crate) mod benchmark;
pub(crate) mod cli;
pub mod config;
pub(crate) mod correlate;
pub(crate) mod cta_scheduler;
pub(crate) mod diff;
#[cfg(feature = "gpu-profiling-research")]
pub(crate) mod energy;
pub(crate) mod engine;
pub mod error;
pub(crate) mod expression;
pub(crate) mod gpu;
pub(crate) mod hash;
pub(crate) mod ids;
pub(crate) mod isa;
pub(crate) mod kernels;
pub(crate) mod mem;
pub(crate) mod memory_limit;
pub(crate) mod microbench;
pub(crate) mod model;
pub(crate) mod noc;
pub(crate) mod occupancy;
pub(crate) mod output;
pub(crate) mod power;
pub(crate) mod probe;
pub(crate) mod progress;
pub(crate) mod ptx;
pub mod report;
pub(crate) mod research;
pub(crate) mod sampling;
pub mod session;
pub(crate) mod simulation;
pub(crate) mod sm;
pub(crate) mod stats;
pub(crate) mod sweep;
pub mod trace;
pub(crate) mod validate;

/// Not part of the API: what the binary, benches, tests and fuzz targets of this repository need besides it.
/// It changes without notice.
#[doc(hidden)]
pub mod internals {
    pub mod cli {
        pub use crate::cli::*;
    }
    pub mod engine {
        pub use crate::engine::*;
    }
    pub mod gpu {
        pub use crate::gpu::*;
    }
    pub mod hash {
        pub use crate::hash::*;
    }
    pub mod ids {
        pub use crate::ids::*;
    }
    pub mod isa {
        pub use crate::isa::*;
    }
    pub mod kernels {
        pub use crate::kernels::*;
    }
    pub mod mem {
        pub use crate::mem::*;
    }
    pub mod microbench {
        pub use crate::microbench::*;
    }
    pub mod model {
        pub use crate::model::*;
    }
    pub mod occupancy {
        pub use crate::occupancy::*;
    }
    pub mod probe {
        pub use crate::probe::*;
    }
    pub mod ptx {
        pub use crate::ptx::*;
    }
    pub mod research {
        pub use crate::research::*;
    }
    pub mod simulation {
        pub use crate::simulation::*;
    }
    pub mod sampling {
        pub use crate::sampling::*;
    }
    pub mod sweep {
        pub use crate::sweep::*;
    }
    pub mod sm {
        pub use crate::sm::*;
    }
    pub mod stats {
        pub use crate::stats::*;
    }
}
