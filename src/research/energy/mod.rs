//! `gpu-profiling-research`, its energy: joules and watts of each kernel by part. Nothing is observed: the parts follow
//! from the counters of the report (`src/energy/`).

#[cfg(feature = "gpu-profiling-research")]
mod section;

/// The probe.
#[cfg(feature = "gpu-profiling-research")]
pub type Probe = crate::probe::Chosen<section::Meter>;
/// The probe: this build has none.
#[cfg(not(feature = "gpu-profiling-research"))]
pub type Probe = super::NoProbe;
