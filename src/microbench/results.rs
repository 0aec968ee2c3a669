//! What a run of the suite leaves: one result a benchmark and point, and how near they are to the
//! references. The serde structs are the JSON schema.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Results of one GPU, simulated or measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// GPU.
    pub gpu: String,
    /// Whether all of the suite was run.
    #[serde(default)]
    pub status: Status,
    /// One for each benchmark and point.
    pub results: Vec<Point>,
    /// How near.
    #[serde(default)]
    pub accuracy: Accuracy,
}

/// How a suite ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every benchmark was run.
    #[default]
    Complete,
    /// A signal ended it: results are those that were done.
    Interrupted,
}

/// One number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Benchmark.
    pub name: String,
    /// Point of a curve; empty for a single number.
    #[serde(default)]
    pub parameter: String,
    /// What the model (or, from the hardware kit, the hardware) gave; none when not modelled.
    pub simulated: Option<f64>,
    /// Unit of both.
    #[serde(default)]
    pub unit: String,
    /// What silicon gave.
    #[serde(default)]
    pub reference: Option<f64>,
    /// Where that comes from.
    #[serde(default)]
    pub source: Option<String>,
    /// Simulated over reference, less one.
    #[serde(default)]
    pub error_rel: Option<f64>,
    /// `ok`, `off`, `no reference`, `untrusted reference`, `not modelled`.
    #[serde(default)]
    pub verdict: String,
    /// Class, for the accuracy.
    #[serde(skip)]
    pub class: String,
    /// Largest error that is `ok`.
    #[serde(skip)]
    pub tolerance: f64,
}

/// Accuracy by class and of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// By class.
    pub by_class: BTreeMap<String, Score>,
    /// Of all results with a trusted reference.
    pub overall: Score,
}

/// Errors of a set of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Results with a trusted reference.
    pub results: usize,
    /// Share of them within their tolerance.
    pub within_tolerance: f64,
    /// Mean absolute relative error.
    pub mean_abs_error: f64,
    /// Median absolute relative error.
    pub median_abs_error: f64,
}

impl Score {
    /// Of results; those without a trusted reference do not count.
    pub fn of<'a>(points: impl Iterator<Item = &'a Point>) -> Score {
        let counted: Vec<&Point> = points.filter(|p| p.counts()).collect();
        let errors = counted.iter().filter_map(|p| p.error_rel);
        let mut errors: Vec<f64> = errors.map(f64::abs).collect();
        errors.sort_by(f64::total_cmp);
        let ok = counted.iter().filter(|p| p.verdict == "ok").count();
        let n = errors.len();
        if n == 0 {
            return Score::default();
        }
        Score {
            results: n,
            within_tolerance: ok as f64 / n as f64,
            mean_abs_error: errors.iter().sum::<f64>() / n as f64,
            median_abs_error: (errors[(n - 1) / 2] + errors[n / 2]) / 2.0,
        }
    }
}

impl Point {
    /// Whether it has a trusted reference.
    pub fn counts(&self) -> bool {
        matches!(self.verdict.as_str(), "ok" | "off") && self.error_rel.is_some()
    }

    /// Sets error and verdict from what is known.
    pub fn judge(&mut self, trusted: bool) {
        self.error_rel = match (self.simulated, self.reference) {
            (Some(got), Some(expected)) if expected != 0.0 => Some(got / expected - 1.0),
            _ => None,
        };
        self.verdict = match (self.simulated, self.error_rel) {
            (None, _) => "not modelled",
            (_, None) => "no reference",
            _ if !trusted => "untrusted reference",
            (_, Some(error)) if error.abs() <= self.tolerance => "ok",
            _ => "off",
        }
        .to_owned();
    }
}

impl Results {
    /// Computes the accuracy from the results.
    pub fn score(&mut self) {
        let mut classes: Vec<&str> = self.results.iter().map(|p| p.class.as_str()).collect();
        classes.sort_unstable();
        classes.dedup();
        let of = |class: &str| Score::of(self.results.iter().filter(|p| p.class == class));
        let by_class = classes.iter().map(|class| ((*class).to_owned(), of(class)));
        self.accuracy = Accuracy {
            by_class: by_class.filter(|(_, score)| score.results > 0).collect(),
            overall: Score::of(self.results.iter()),
        };
    }
}
