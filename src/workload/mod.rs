//! Workloads that are made here rather than recorded.

pub mod synthetic;
