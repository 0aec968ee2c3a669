//! phantom-gpu: a cycle-level, discrete-event GPU microarchitecture simulator.

pub mod ids;
pub mod mem;
