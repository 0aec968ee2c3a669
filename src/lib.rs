//! phantom-gpu: a cycle-level, discrete-event GPU microarchitecture simulator.

pub mod cli;
pub mod config;
pub mod error;
pub mod hash;
pub mod ids;
pub mod isa;
pub mod mem;
pub mod trace;
pub mod workload;
