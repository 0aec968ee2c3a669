//! From a run to what users read: the report (JSON schema), tables, the timeline.
//!
//! Reports know counters and configuration, never units.

mod build;
pub mod counters;
pub mod derive;
pub mod explain;
pub mod file;
pub mod host;
pub mod json;
pub mod metrics;
mod record;
pub mod schema;
pub mod table;
pub mod timeline;
pub mod validity;

pub use schema::Report;

/// Cycles between two samples of the timeline.
pub const TIMELINE_INTERVAL: u64 = 1000;

/// The Cargo features of this build.
pub fn features() -> Vec<&'static str> {
    [("dram-research", cfg!(feature = "dram-research"))]
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
        .collect()
}
