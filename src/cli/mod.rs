//! The command line: one module for each command.

pub mod dram;
pub mod list;
pub mod trace;
