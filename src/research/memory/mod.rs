//! `memory-research`: what accesses to global memory do on their way, and what other ways would do with them.
//!
//! `coalescing.rs`, `misses.rs`, `slices.rs` and `traffic.rs` each watch one thing; `studies.rs` runs the workload on other
//! machines. docs/memory-research.md has the definitions.

#[cfg(feature = "memory-research")]
mod by_pc;
#[cfg(feature = "memory-research")]
mod coalescing;
#[cfg(feature = "memory-research")]
mod instruments;
#[cfg(feature = "memory-research")]
mod misses;
#[cfg(feature = "memory-research")]
mod section;
#[cfg(feature = "memory-research")]
mod slices;
#[cfg(feature = "memory-research")]
mod studies;
#[cfg(feature = "memory-research")]
mod tables;
#[cfg(feature = "memory-research")]
mod traffic;

/// The probe.
#[cfg(feature = "memory-research")]
pub type Probe = crate::probe::Chosen<instruments::Memory>;
/// The probe: this build has none.
#[cfg(not(feature = "memory-research"))]
pub type Probe = super::NoProbe;
