//! `dram-research`: what the channels of a GPU do with the requests of a real kernel, and what each scheduler would.

#[cfg(feature = "dram-research")]
mod instruments;
#[cfg(feature = "dram-research")]
mod section;
#[cfg(feature = "dram-research")]
mod show;

/// The probe.
#[cfg(feature = "dram-research")]
pub type Probe = crate::probe::Chosen<instruments::DramChannels>;
/// The probe: this build has none.
#[cfg(not(feature = "dram-research"))]
pub type Probe = super::NoProbe;
