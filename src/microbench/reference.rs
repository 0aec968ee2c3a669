//! Measured numbers of real GPUs: `validation/reference/*.toml`, which are part of the program.

use crate::error::{Error, Result};
use serde::Deserialize;

/// The references of one GPU.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Configuration name.
    pub gpu: String,
    /// Single numbers.
    #[serde(default)]
    pub value: Vec<Value>,
    /// Curves.
    #[serde(default)]
    pub curve: Vec<Curve>,
}

/// One measured number.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// Benchmark.
    pub name: String,
    /// Point, when the benchmark has several.
    #[serde(default)]
    pub parameter: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// How it was measured, as far as it matters.
    #[serde(default)]
    pub condition: String,
    /// Where it comes from.
    pub source: String,
    /// `raw-data`, `primary-text`, `raw-doc`, `compiler`, `derived`; anything else does not count.
    pub grade: String,
}

/// A measured curve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Benchmark.
    pub name: String,
    /// Unit of the values.
    pub unit: String,
    /// How it was measured.
    #[serde(default)]
    pub condition: String,
    /// Where it comes from.
    pub source: String,
    /// As for a value.
    pub grade: String,
    /// Parameter and value.
    pub points: Vec<(String, f64)>,
}

/// A reference for one result.
#[derive(Clone, Debug)]
pub struct Found {
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// Source and condition.
    pub source: String,
    /// Whether it counts.
    pub trusted: bool,
}

const FILES: &[(&str, &str)] = &[
    ("v100", include_str!("../../validation/reference/v100.toml")),
    (
        "titanv",
        include_str!("../../validation/reference/titanv.toml"),
    ),
    (
        "a100-40",
        include_str!("../../validation/reference/a100-40.toml"),
    ),
    (
        "a100-80",
        include_str!("../../validation/reference/a100-80.toml"),
    ),
    (
        "h100-pcie",
        include_str!("../../validation/reference/h100-pcie.toml"),
    ),
    (
        "h100-sxm",
        include_str!("../../validation/reference/h100-sxm.toml"),
    ),
    ("l40s", include_str!("../../validation/reference/l40s.toml")),
    (
        "quadro-rtx6000",
        include_str!("../../validation/reference/quadro-rtx6000.toml"),
    ),
    (
        "rtx3070",
        include_str!("../../validation/reference/rtx3070.toml"),
    ),
    (
        "rtx3090",
        include_str!("../../validation/reference/rtx3090.toml"),
    ),
    ("t4", include_str!("../../validation/reference/t4.toml")),
    (
        "rtx2060",
        include_str!("../../validation/reference/rtx2060.toml"),
    ),
];

/// Whether numbers of this grade count.
fn trusted(grade: &str) -> bool {
    matches!(
        grade,
        "raw-data" | "primary-text" | "raw-doc" | "compiler" | "derived"
    )
}

impl Reference {
    /// The references of `gpu`; empty when there are none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(gpu: &str) -> Result<Reference> {
        let Some((name, text)) = FILES.iter().find(|(name, _)| *name == gpu) else {
            return Ok(Reference::default());
        };
        toml::from_str(text).map_err(|e| {
            Error::input(
                format!("validation/reference/{name}.toml"),
                "reference",
                e.to_string(),
                "correct it and build again",
            )
        })
    }

    /// The curve of a benchmark.
    pub fn curve(&self, name: &str) -> Option<&Curve> {
        self.curve.iter().find(|c| c.name == name)
    }

    /// The reference of a benchmark at a point.
    pub fn find(&self, name: &str, parameter: &str) -> Option<Found> {
        let value = self
            .value
            .iter()
            .find(|v| v.name == name && v.parameter == parameter);
        if let Some(v) = value {
            return Some(Found {
                value: v.value,
                unit: v.unit.clone(),
                source: cite(&v.source, &v.condition),
                trusted: trusted(&v.grade),
            });
        }
        let curve = self.curve(name)?;
        Some(Found {
            value: curve.at(parameter)?,
            unit: curve.unit.clone(),
            source: cite(&curve.source, &curve.condition),
            trusted: trusted(&curve.grade),
        })
    }
}

fn cite(source: &str, condition: &str) -> String {
    match condition {
        "" => source.to_owned(),
        _ => format!("{source} ({condition})"),
    }
}

impl Curve {
    /// The value at a point: itself, or between its neighbours when points are numbers.
    fn at(&self, parameter: &str) -> Option<f64> {
        if let Some((_, value)) = self.points.iter().find(|(p, _)| p == parameter) {
            return Some(*value);
        }
        let x: f64 = parameter.parse().ok()?;
        let points = self.points.iter();
        let points = points.filter_map(|(p, v)| Some((p.parse::<f64>().ok()?, *v)));
        let points: Vec<(f64, f64)> = points.collect();
        let above = points.iter().position(|(p, _)| *p >= x)?;
        let below = above.checked_sub(1)?;
        let ((x0, y0), (x1, y1)) = (points[below], points[above]);
        let share = (x / x0).ln() / (x1 / x0).ln();
        Some(y0 + (y1 - y0) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_can_be_read_and_say_their_source() {
        for (name, _) in FILES {
            let reference = Reference::of(name).unwrap();
            assert_eq!(&reference.gpu, name);
            for value in &reference.value {
                assert!(
                    !value.source.is_empty() && value.value > 0.0,
                    "{name}: {}",
                    value.name
                );
            }
        }
    }

    #[test]
    fn a_curve_is_interpolated_between_its_points() {
        let curve = Curve {
            name: "x".into(),
            unit: "cycles".into(),
            condition: String::new(),
            source: "here".into(),
            grade: "raw-data".into(),
            points: vec![("10".into(), 100.0), ("1000".into(), 300.0)],
        };
        assert_eq!(curve.at("10"), Some(100.0));
        assert!((curve.at("100").unwrap() - 200.0).abs() < 1e-9);
        assert_eq!(curve.at("5"), None);
        assert_eq!(curve.at("2000"), None);
    }
}
