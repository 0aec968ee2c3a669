//! phantom-gpu simulates NVIDIA GPUs, from Volta to Blackwell, cycle by cycle.
//!
//! A [`Session`](session::Session) is a configured machine. It opens inputs (Accel-Sim traces, `.pgt` files, generated
//! kernels), runs them and makes a [`Report`](report::Report), which serde writes as the JSON that the command line
//! writes. The same input on the same configuration gives the same report for any number of threads.
//!
//! ```
//! use phantom_gpu::session::Session;
//! use phantom_gpu::simulation::Options;
//! use phantom_gpu::stats::Label;
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
//!     assert!(kernel.cycles > 0 && kernel.issue.get(Label::Issued) > 0);
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
//! | [`trace`], [`kernels`], [`ptx`] | where kernels come from: files, generators, PTX that is executed and recorded |
//! | [`simulation`] | the host side: launches, quanta, stop conditions |
//! | [`gpu`], [`sm`], [`noc`], [`mem`] | the chip: all wiring, one SM, the crossbar, caches and DRAM |
//! | [`stats`], [`report`] | what is counted, and what readers see of it |
//! | [`probe`] | what can be observed without changing a cycle |
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

pub mod cli;
pub mod config;
pub mod cta_scheduler;
pub mod engine;
pub mod error;
pub mod gpu;
pub mod hash;
pub mod ids;
pub mod isa;
pub mod kernels;
pub mod mem;
pub mod memory_limit;
pub mod microbench;
pub mod noc;
pub mod occupancy;
pub mod output;
pub mod probe;
pub mod progress;
pub mod ptx;
pub mod report;
pub mod session;
pub mod simulation;
pub mod sm;
pub mod stats;
pub mod trace;
