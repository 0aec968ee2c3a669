//! `architecture-research`: the workload on machines that differ from the one that it ran on, side by side, and how much
//! each parameter of the machine is worth to it.
//!
//! Nothing is observed. `variant.rs` reads what is different about a variant, `machine.rs` makes machines of it,
//! `runs.rs` runs them, `compare.rs` and `slopes.rs` say what came of it. docs/architecture-research.md has the
//! definitions.

#[cfg(feature = "architecture-research")]
mod change;
#[cfg(feature = "architecture-research")]
mod compare;
#[cfg(not(feature = "architecture-research"))]
mod disabled;
#[cfg(feature = "architecture-research")]
mod machine;
#[cfg(feature = "architecture-research")]
mod runs;
#[cfg(feature = "architecture-research")]
mod section;
#[cfg(feature = "architecture-research")]
mod show;
#[cfg(feature = "architecture-research")]
mod slopes;
#[cfg(feature = "architecture-research")]
mod variant;
#[cfg(feature = "architecture-research")]
mod wanted;

#[cfg(not(feature = "architecture-research"))]
pub use disabled::{Wanted, listed};
#[cfg(feature = "architecture-research")]
pub use wanted::{Wanted, listed};

/// The Cargo feature.
pub const FEATURE: &str = "architecture-research";

/// A built-in variant, for a list of them.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What is different, in a sentence.
    pub text: String,
    /// Keys with what they become, as they are written.
    pub keys: Vec<(String, String)>,
    /// Why it does not fit the GPU that was named.
    pub reason: Option<String>,
}

/// The probe.
#[cfg(feature = "architecture-research")]
pub type Probe = crate::probe::Chosen<section::Nothing>;
/// The probe: this build has none.
#[cfg(not(feature = "architecture-research"))]
pub type Probe = super::NoProbe;

/// Joules of `kernel` on `spec`.
#[cfg(all(feature = "architecture-research", feature = "gpu-profiling-research"))]
fn joules(kernel: &crate::report::schema::Kernel, spec: &crate::config::GpuSpec) -> Option<f64> {
    let table = crate::energy::Coefficients::of(spec);
    Some(crate::energy::Energy::of(kernel, spec, &table).total_j)
}

/// Nothing: this build knows no energy.
#[cfg(all(
    feature = "architecture-research",
    not(feature = "gpu-profiling-research")
))]
fn joules(_: &crate::report::schema::Kernel, _: &crate::config::GpuSpec) -> Option<f64> {
    None
}
