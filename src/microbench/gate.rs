//! Tolerances that results must meet, for continuous integration.
//!
//! A TOML file: `[median]` bounds the median absolute error of classes (or `overall`), `[benchmark]`
//! the absolute error of every point of a benchmark.

use super::results::Results;
use crate::error::{Error, Result, input};
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
/// A file that cannot be read, or that bounds nothing.
pub fn read(file: &Path) -> Result<Gate> {
    let text = input::text(file, input::WRITTEN_MAX, "a gate (TOML)")?;
    parse(&text, &file.display().to_string())
}

fn parse(text: &str, file: &str) -> Result<Gate> {
    let fault = |place: &str, what: String| {
        let remedy = "give [median] and [benchmark] tables of fractions, e.g. overall = 0.1";
        Error::input(file, place, what, remedy)
    };
    let gate: Gate = toml::from_str(text).map_err(|e| fault("gate", e.to_string()))?;
    if gate.median.is_empty() && gate.benchmark.is_empty() {
        return Err(fault(
            "gate",
            "it bounds nothing, so any result would pass".into(),
        ));
    }
    for (name, bound) in gate.median.iter().chain(&gate.benchmark) {
        if !bound.is_finite() || *bound < 0.0 {
            return Err(fault(name, format!("{bound} bounds nothing")));
        }
    }
    Ok(gate)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_bounds_nothing_is_refused() {
        for text in [
            "",
            "# nothing yet\n",
            "[median]\n",
            "[median]\noverall = nan\n",
        ] {
            let error = parse(text, "g.toml").unwrap_err();
            assert!(error.to_string().contains("bounds nothing"), "{error}");
            assert_eq!(error.exit_status(), 1);
        }
        assert!(parse("[median]\noverall = 0.1\n", "g.toml").is_ok());
    }
}
