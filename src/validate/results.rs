//! What a validation found.

use super::predict::{Launched, Origin};
use super::score::Score;
use crate::report::bound::Bound;
use serde::Serialize;
use std::collections::BTreeMap;

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct RowResult {
    /// The row's name.
    pub id: String,
    /// GPU, as the dataset calls it.
    pub gpu: String,
    /// The board that stands for it.
    pub board: String,
    /// Operator.
    pub op: String,
    /// Type of the numbers.
    pub dtype: String,
    /// Predicted device time, microseconds.
    pub predicted_us: f64,
    /// Measured time that the prediction is held against, microseconds.
    pub truth_us: f64,
    /// Measured time as it stands in the dataset, microseconds.
    pub truth_raw_us: f64,
    /// `predicted_us / truth_us - 1`.
    pub error_rel: f64,
    /// Bound of published peaks, microseconds.
    pub roofline_us: f64,
    /// What limits the model's longest kernel.
    pub bound: Bound,
    /// What clearly limits the operator at published peaks; absent where neither side is 1.5 times the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_expected: Option<Bound>,
    /// How much the measurement can be trusted.
    pub trust: String,
    /// Whether the measured time is that of a host which the device waited for.
    pub host_bound: bool,
    /// Where it is from.
    pub source: String,
    /// Kernels.
    pub launched: Vec<Launched>,
    /// How they were simulated.
    pub provenance: Origin,
}

impl RowResult {
    /// Whether it counts: rows of low trust and those that a host bounds are kept apart.
    pub fn counts(&self) -> bool {
        self.trust != "low" && !self.host_bound
    }
}

/// Rows of one GPU, operator and type.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// GPU.
    pub gpu: String,
    /// Operator.
    pub op: String,
    /// Type.
    pub dtype: String,
    /// Whether these are the rows of low trust, which are kept apart.
    pub low_trust: bool,
    /// Whether these are the rows that a host bounds, which are kept apart.
    pub host_bound: bool,
    /// The score.
    #[serde(flatten)]
    pub score: Score,
    /// The rows that are furthest off, the worst first.
    pub worst: Vec<String>,
}

/// Rows that were not predicted, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The reason.
    pub reason: String,
    /// Rows.
    pub count: usize,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Version of this structure.
    pub schema_version: u32,
    /// Where the rows came from.
    pub dataset: String,
    /// `complete`, or `interrupted`: then rows are missing.
    pub status: &'static str,
    /// Whose kernels: `chosen`, `best`, `row` or a name.
    pub algorithm: String,
    /// `full`, `sampled` or `roofline`.
    pub fidelity: &'static str,
    /// Rows in the order of the dataset.
    pub rows: Vec<RowResult>,
    /// By GPU, operator and type.
    pub groups: Vec<Group>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// Of the rows whose limit is clear at published peaks, the share whose limit the model has as well.
    pub bottleneck_right: Option<f64>,
    /// Rows that are counted in it.
    pub bottleneck_rows: usize,
    /// All rows but those of low trust and those that a host bounds.
    pub overall: Score,
    /// The rows of low trust.
    pub low_trust: Score,
    /// The rows that a host bounds.
    pub host_bound: Score,
    /// The same as a share that is right, by GPU and overall.
    pub accuracy: Accuracy,
}

/// How right predictions are, as users of such tools expect it: 100 % less the mean absolute error, and 0 where that is
/// more than 100 %. Rows of low trust and those that a host bounds are left out.
#[derive(Clone, Debug, Serialize)]
pub struct Accuracy {
    /// How the numbers are made.
    pub method: &'static str,
    /// By GPU.
    pub gpus: Vec<GpuAccuracy>,
    /// Of all rows, percent; null where there is none.
    pub overall: Option<f64>,
}

/// The accuracy on a GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GpuAccuracy {
    /// GPU, as the dataset calls it.
    pub gpu: String,
    /// Rows.
    pub n: usize,
    /// Percent.
    pub accuracy: f64,
}

impl Accuracy {
    /// Of `rows`.
    pub fn of(rows: &[RowResult]) -> Self {
        let mut by_gpu: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.counts()) {
            by_gpu.entry(&row.gpu).or_default().push(row.error_rel);
        }
        let gpus = by_gpu.iter().map(|(gpu, errors)| GpuAccuracy {
            gpu: (*gpu).to_owned(),
            n: errors.len(),
            accuracy: accuracy(errors),
        });
        let all: Vec<f64> = by_gpu.values().flatten().copied().collect();
        Accuracy {
            method: "100 % - mean |predicted / measured - 1|, at least 0; rows of low trust and of busy hosts left out",
            gpus: gpus.collect(),
            overall: (!all.is_empty()).then(|| accuracy(&all)),
        }
    }
}

fn accuracy(errors: &[f64]) -> f64 {
    let sum: f64 = errors.iter().map(|error| error.abs()).sum();
    (100.0 - 100.0 * sum / errors.len().max(1) as f64).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::accuracy;

    #[test]
    fn what_is_wrong_is_taken_off() {
        assert_eq!(accuracy(&[0.25, -0.75]), 50.0);
        assert_eq!(accuracy(&[3.0]), 0.0);
    }
}
