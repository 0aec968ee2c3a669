//! One DRAM channel.
