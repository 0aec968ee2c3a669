//! `cache-research`: what L1 and L2 do over the time of a real kernel.

/// The probe: this build has none.
pub type Probe = super::NoProbe;
