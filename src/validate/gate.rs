//! Tolerances that results must meet, for continuous integration.
//!
//! A TOML file: `[median]` bounds the median absolute error of classes (or `overall`), `[benchmark]`
//! the absolute error of every point of a benchmark.

use super::results::Results;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Bounds, as fractions.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    #[serde(default)]
    median: BTreeMap<String, f64>,
    #[serde(default)]
    benchmark: BTreeMap<String, f64>,
}

/// Reads a gate.
///
/// # Errors
/// A file that cannot be read.
pub fn read(file: &Path) -> Result<Gate> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, e))?;
    toml::from_str(&text).map_err(|e| {
        Error::input(
            file.display().to_string(),
            "gate",
            e.to_string(),
            "give [median] and [benchmark] tables of fractions",
        )
    })
}

impl Gate {
    /// Checks all bounds.
    ///
    /// # Errors
    /// Everything that is out of bounds, and bounds for things that were not run.
    pub fn check(&self, results: &Results) -> Result<()> {
        let mut faults = Vec::new();
        for (class, bound) in &self.median {
            let score = match class.as_str() {
                "overall" => Some(&results.accuracy.overall),
                _ => results.accuracy.by_class.get(class),
            };
            match score {
                None => faults.push(format!("class {class}: no result")),
                Some(s) if s.median_abs_error > *bound => faults.push(format!(
                    "class {class}: median error {:.4}, allowed {bound}",
                    s.median_abs_error
                )),
                Some(_) => {}
            }
        }
        for (name, bound) in &self.benchmark {
            let mut points = results
                .results
                .iter()
                .filter(|p| &p.name == name)
                .peekable();
            if points.peek().is_none() {
                faults.push(format!("benchmark {name}: no result"));
            }
            for p in points {
                if let Some(error) = p.error_rel.filter(|e| e.abs() > *bound) {
                    let at = &p.parameter;
                    faults.push(format!("{name} {at}: error {error:+.4}, allowed {bound}"));
                }
            }
        }
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Error::Run(format!("gate: {}", faults.join("\n")))),
        }
    }
}
