//! From a run to what users read: the report (JSON schema), tables, the timeline.
//!
//! Reports know counters and configuration, never units.

pub mod bound;
mod build;
pub mod derive;
pub mod explain;
pub mod host;
pub mod html;
pub mod json;
pub mod metrics;
pub mod page;
pub mod pipes;
pub mod record;
pub mod schema;
pub mod sections;
pub mod table;
pub mod timeline;
pub mod translation;
pub mod validity;

pub use derive::microseconds;
pub use schema::Report;

/// Cycles between two samples of the timeline.
pub const TIMELINE_INTERVAL: u64 = 1000;

/// The Cargo features of this build.
pub fn features() -> Vec<&'static str> {
    [
        (
            "architecture-research",
            cfg!(feature = "architecture-research"),
        ),
        ("cache-research", cfg!(feature = "cache-research")),
        ("dram-research", cfg!(feature = "dram-research")),
        (
            "gpu-profiling-research",
            cfg!(feature = "gpu-profiling-research"),
        ),
        (
            "memory-divergence-research",
            cfg!(feature = "memory-divergence-research"),
        ),
        ("memory-research", cfg!(feature = "memory-research")),
        ("micro-benchmarking", cfg!(feature = "micro-benchmarking")),
        ("studies", cfg!(feature = "studies")),
    ]
    .into_iter()
    .filter_map(|(name, on)| on.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    /// A feature of `Cargo.toml` that `features` does not know would be missing from reports.
    #[test]
    fn every_feature_is_reported() {
        let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
        let declared = manifest["features"].as_table().unwrap();
        let source = include_str!("mod.rs");
        for name in declared.keys().filter(|n| *n != "default") {
            assert!(source.contains(&format!("feature = \"{name}\"")), "{name}");
        }
    }
}
