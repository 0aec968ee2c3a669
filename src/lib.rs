//! phantom-gpu: a cycle-level, discrete-event GPU microarchitecture simulator.

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
