//! The tests of the program as its users see it, and of the machine against what is known. They are one program
//! because each program more would be compiled and linked with the whole library again; `golden`, `stress` and
//! `fuzz_smoke` are run alone with settings of their own.

mod analytic;
mod benchmark;
#[cfg(feature = "cache-research")]
mod cache;
mod calibrate;
mod checkpoint;
mod cli;
mod compare;
#[cfg(feature = "architecture-research")]
mod components;
mod docs;
mod dram_anchors;
#[cfg(feature = "micro-benchmarking")]
mod hw_kernels;
mod liveness;
#[cfg(feature = "micro-benchmarking")]
mod microbench;
mod model;
mod pages;
#[cfg(feature = "cache-research")]
mod prefetch;
mod ptx;
mod ptx_application;
mod ptx_faults;
mod ptx_forms;
mod ptx_power;
mod ptx_power_samples;
mod ptx_power_search;
mod ptx_threads;
mod report;
mod report_laws;
mod research;
mod sampling;
mod support;
mod sweep;
mod sweep_faults;
mod traces;
#[cfg(feature = "memory-research")]
mod translation;
mod validate;
mod validity;
