//! What a validation found.

use super::predict::{Launched, Origin};
use super::score::Score;
use crate::report::bound::Bound;
use serde::Serialize;

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
    /// Where it is from.
    pub source: String,
    /// Kernels.
    pub launched: Vec<Launched>,
    /// How they were simulated.
    pub provenance: Origin,
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
    /// All rows but those of low trust.
    pub overall: Score,
    /// The rows of low trust.
    pub low_trust: Score,
}
