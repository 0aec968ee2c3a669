//! A build without energy: clocks stay where the configuration has them.

use crate::config::GpuSpec;
use crate::simulation::throttle::Governor;

/// Nothing.
pub fn governor(_: &GpuSpec) -> Option<Governor> {
    None
}
