//! The checked configuration: immutable specs in cycles and bytes, one for each unit.
//!
//! Field names are the TOML keys, the module names and the JSON fields. Every latency is in cycles of
//! the core clock unless the name says otherwise. Nothing here has a default in code: each number
//! comes from `configs/`, with its source.

pub mod gpu;
pub mod l1;
pub mod l2;
pub mod launch;
pub mod memory;
pub mod noc;
pub mod sm;

pub use gpu::{Architecture, GpuSpec};
pub use l1::{AllocatePolicy, L1Spec, LsuSpec, SmemSpec, WritePolicy};
pub use l2::{L2Spec, SliceHash};
pub use launch::LaunchSpec;
pub use memory::MemorySpec;
pub use noc::NocSpec;
pub use sm::{
    ConstCacheSpec, DependencePolicy, FetchSpec, LatencySpec, PipeSpec, RegfileSpec,
    SchedulerPolicy, SmSpec, TensorLatency, TensorSpec,
};
