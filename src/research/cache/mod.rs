//! `cache-research`: what L1 and L2 do over the time of a real kernel.

#[cfg(feature = "cache-research")]
mod course;
#[cfg(feature = "cache-research")]
mod instruments;
#[cfg(feature = "cache-research")]
mod section;
#[cfg(feature = "cache-research")]
mod sharing;
#[cfg(feature = "cache-research")]
mod show;

/// The probe.
#[cfg(feature = "cache-research")]
pub type Probe = crate::probe::Chosen<instruments::Caches>;
/// The probe: this build has none.
#[cfg(not(feature = "cache-research"))]
pub type Probe = super::NoProbe;
