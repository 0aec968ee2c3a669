//! What holds kernels within the power of their board: energy (`src/energy/`) beside the clocks that a board has.
//!
//! A component of feature `gpu-profiling-research`, which energy belongs to; other builds refuse `power.throttle`.

#[cfg(not(feature = "gpu-profiling-research"))]
mod disabled;
#[cfg(feature = "gpu-profiling-research")]
mod enabled;

#[cfg(not(feature = "gpu-profiling-research"))]
pub use disabled::governor;
#[cfg(feature = "gpu-profiling-research")]
pub use enabled::governor;

use crate::config::GpuSpec;
use crate::error::{Error, Result};

#[cfg(all(test, feature = "gpu-profiling-research"))]
mod tests;

/// Refuses a machine whose kernels may have clocks of their own, for `what`, which is `why` made for one clock.
///
/// # Errors
/// Where `power.throttle`.
pub fn one_clock(spec: &GpuSpec, what: &str, why: &str) -> Result<()> {
    match spec.power.throttle {
        true => Err(Error::Usage(format!(
            "{what}: not with power.throttle=true, which gives each kernel a clock of its own: {why}; set power.throttle=false"
        ))),
        false => Ok(()),
    }
}
