//! The memory system: caches, address map and DRAM.

pub mod dram;
