//! The border: features by name, sections that explain themselves, instruments that change nothing.

use super::*;

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|n| (*n).to_owned()).collect()
}

/// The command line and the report know a feature by what Cargo calls it.
#[test]
fn every_feature_is_one_of_the_manifest() {
    let manifest: toml::Table = include_str!("../../../Cargo.toml").parse().unwrap();
    for feature in FEATURES {
        assert!(manifest["features"].get(feature.name).is_some());
        assert_eq!(
            feature.compiled,
            crate::report::features().contains(&feature.name)
        );
    }
}

#[test]
fn an_unknown_feature_and_one_that_is_not_built_are_bad_usage() {
    let error = chosen(&names(&["dram-research", "dram-reserch"])).unwrap_err();
    assert_eq!(error.exit_status(), 2);
    assert!(error.to_string().contains("--features dram-reserch"));
    assert!(error.to_string().contains("cache-research, dram-research"));
    assert_eq!(chosen(&[]).unwrap_err().exit_status(), 2);
    for feature in FEATURES.iter().filter(|f| !f.compiled) {
        let error = chosen(&names(&[feature.name])).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let command = format!("cargo build --release --features {}", feature.name);
        assert!(error.to_string().contains(&command), "{error}");
    }
}

#[test]
fn features_are_chosen_once_and_in_order() {
    let mut compiled: Vec<&str> = FEATURES
        .iter()
        .filter(|f| f.compiled)
        .map(|f| f.name)
        .collect();
    compiled.dedup();
    if !compiled.is_empty() {
        let twice: Vec<&str> = compiled.iter().rev().chain(&compiled).copied().collect();
        assert_eq!(chosen(&names(&twice)).unwrap(), compiled);
    }
}

/// A section that the catalogue has and the list of features has not, or the other way round, would be a feature half
/// built in.
#[test]
fn features_and_instruments_are_the_same() {
    let all = catalogue();
    for feature in FEATURES {
        let prefix = format!("research.{}.", feature.section);
        let explained = all.iter().any(|e| e.path.starts_with(&prefix));
        assert_eq!(explained, feature.compiled, "{}", feature.name);
    }
    let paths: std::collections::BTreeSet<&str> = all.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(paths.len(), all.len(), "a path is explained twice");
}

#[cfg(feature = "cache-research")]
mod cache;
#[cfg(any(
    feature = "architecture-research",
    feature = "cache-research",
    feature = "dram-research",
    feature = "memory-research",
    feature = "memory-divergence-research",
    feature = "gpu-profiling-research"
))]
mod compiled;
#[cfg(feature = "memory-divergence-research")]
mod divergence;
#[cfg(feature = "dram-research")]
mod dram;
#[cfg(feature = "memory-research")]
mod memory;
#[cfg(feature = "gpu-profiling-research")]
mod profile;
#[cfg(feature = "architecture-research")]
mod variants;
