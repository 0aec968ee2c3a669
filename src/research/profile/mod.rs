//! `gpu-profiling-research`: where the time of each kernel goes, in the sections of Nsight Compute, down to the
//! instruction.

#[cfg(feature = "gpu-profiling-research")]
mod ceilings;
#[cfg(feature = "gpu-profiling-research")]
mod course;
#[cfg(feature = "gpu-profiling-research")]
mod hardware;
#[cfg(feature = "gpu-profiling-research")]
mod instruments;
#[cfg(feature = "gpu-profiling-research")]
mod launch;
#[cfg(feature = "gpu-profiling-research")]
mod memory;
#[cfg(feature = "gpu-profiling-research")]
mod section;
#[cfg(feature = "gpu-profiling-research")]
mod show;
#[cfg(feature = "gpu-profiling-research")]
mod units;

/// The probe.
#[cfg(feature = "gpu-profiling-research")]
pub type Probe = crate::probe::Chosen<instruments::Sources>;
/// The probe: this build has none.
#[cfg(not(feature = "gpu-profiling-research"))]
pub type Probe = super::NoProbe;
