//! Physical quantities of a machine, fitted to measurements.
//!
//! Few quantities may move, each within bounds that say why ([`parameters`]). The cost is a sum over rows of what is off,
//! and its least is searched for on a lattice ([`search`]); a row is simulated once for each point that is asked for.
//! The error that counts for a row is that of a fit which has not seen its shape. Nothing that is shipped changes: what
//! comes out is a description of a GPU on top of the shipped one ([`overlay`]).

mod fold;
pub mod machine;
pub mod overlay;
pub mod parameters;
mod rows;
mod search;
pub mod table;

use super::dataset::Row;
use super::predict::Predictor;
use super::results::Skipped;
use super::score::{Pair, Score};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::session::MODEL_VERSION;
use fold::Folds;
use machine::{Asked, Machine};
use parameters::Parameter;
use rows::Bench;
use serde::Serialize;

/// What is to be fitted.
pub struct Job<'a> {
    /// Name of the dataset.
    pub dataset: String,
    /// Hash of its content.
    pub dataset_hash: String,
    /// Its rows, filtered.
    pub rows: Vec<Row>,
    /// The machine.
    pub asked: Asked,
    /// So many of the rows that can be predicted, drawn with the seed.
    pub sample: Option<(usize, u64)>,
    /// What may move.
    pub parameters: Vec<Parameter>,
    /// How rows are predicted.
    pub predictor: Predictor<'a>,
    /// Rows simulated.
    pub progress: &'a Progress,
    /// Threads; results do not depend on them.
    pub jobs: usize,
}

/// Version of the structure of results.
const SCHEMA_VERSION: u32 = 2;

/// Shapes that a parameter needs: fewer would be met by any value.
const SHAPES_PER_PARAMETER: usize = 3;

/// A fitted parameter.
#[derive(Clone, Debug, Serialize)]
pub struct Fitted {
    /// Name.
    pub name: &'static str,
    /// Key of the configuration.
    pub key: &'static str,
    /// Unit of the numbers.
    pub unit: &'static str,
    /// Value before.
    pub shipped: u64,
    /// Value of the fit to all rows.
    pub value: u64,
    /// Least and greatest value that is allowed.
    pub bounds: [u64; 2],
    /// Least and greatest value of the fits without the rows of some shapes.
    pub folds: [u64; 2],
    /// The fit ends at a bound: what is wrong lies elsewhere, or further away.
    pub at_bound: bool,
    /// Whether the parameter changes any prediction; without, it stays as it was.
    pub has_effect: bool,
}

/// A row.
#[derive(Clone, Debug, Serialize)]
pub struct RowResult {
    /// Name.
    pub id: String,
    /// Operator.
    pub op: String,
    /// Type of the numbers.
    pub dtype: String,
    /// The fit that has not seen its shape.
    pub fold: usize,
    /// Measured, microseconds.
    pub truth_us: f64,
    /// Predicted as shipped, microseconds.
    pub before_us: f64,
    /// Predicted by the fit to all rows, microseconds; absent where a signal came before it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_us: Option<f64>,
    /// Predicted by the fit that has not seen its shape, microseconds; absent where a signal came before it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out_us: Option<f64>,
    /// `left_out_us / truth_us - 1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rel: Option<f64>,
}

/// Errors.
#[derive(Clone, Debug, Serialize)]
pub struct Errors {
    /// As shipped.
    pub before: Score,
    /// Of the fit, on the rows that it was made of; of none, where a signal came before it was done.
    pub after: Score,
    /// Of fits that have not seen the shape of the row, where they are done.
    pub left_out: Score,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Version of this structure.
    pub schema_version: u32,
    /// Version of the machine's behaviour.
    pub model_version: u32,
    /// `complete`, or `interrupted`: then rows, fits or parameters are missing.
    pub status: &'static str,
    /// Where the rows came from.
    pub dataset: String,
    /// Hash of its content.
    pub dataset_hash: String,
    /// The machine that was fitted.
    pub machine: Machine,
    /// `full`, `sampled` or `roofline`.
    pub fidelity: &'static str,
    /// Shapes of the rows.
    pub shapes: usize,
    /// Fits without some shapes: as many as there are shapes (leave one out), or fewer.
    pub folds: usize,
    /// Rows that were simulated, each at each point that the searches asked for.
    pub simulations: usize,
    /// What moved.
    pub parameters: Vec<Fitted>,
    /// Errors.
    pub error: Errors,
    /// Rows in the order of the dataset.
    pub rows: Vec<RowResult>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

/// Fits. After a signal, what is done until then: rows as shipped, the fit to them, some of the fits without some shapes.
///
/// # Errors
/// A machine that nobody knows; a row with impossible numbers, with its line; too few shapes; a failed simulation; a signal
/// before any row is done.
pub fn run(job: &Job<'_>) -> Result<Results> {
    let used = rows::chosen(job)?;
    // Before anything is simulated; some rows may turn out to have no kernels.
    enough(job, Folds::of(used.rows.iter().map(|task| task.row)).shapes)?;
    let mut bench = Bench::new(job, used)?;
    let folds = Folds::of(bench.used.rows.iter().map(|task| task.row));
    if !bench.is_interrupted() {
        enough(job, folds.shapes)?;
    }
    let all: Vec<usize> = (0..bench.used.rows.len()).collect();
    let before = bench.times(&vec![0; job.parameters.len()], &all)?;
    let fit = bench.unless_interrupted(|bench| {
        let found = bench.fit(&all)?;
        let times = bench.times(&found.at, &all)?;
        Ok((found, times))
    })?;
    let Unseen {
        times: left_out,
        points,
    } = match &fit {
        Some(_) => unseen(&mut bench, &folds)?,
        None => Unseen {
            times: vec![None; all.len()],
            points: Vec::new(),
        },
    };
    let after: Vec<Option<f64>> = all
        .iter()
        .map(|&row| fit.as_ref().map(|(_, times)| times[row]))
        .collect();
    let shipped: Vec<Option<f64>> = before.iter().copied().map(Some).collect();
    let error = Errors {
        before: score(&bench, &shipped),
        after: score(&bench, &after),
        left_out: score(&bench, &left_out),
    };
    let result = |row: usize| RowResult {
        fold: folds.of_row[row],
        before_us: before[row],
        after_us: after[row],
        left_out_us: left_out[row],
        error_rel: left_out[row].map(|time| time / bench.truth(row) - 1.0),
        ..bench.named(row)
    };
    let rows = all.iter().copied().map(result).collect();
    let skipped = bench.used.skipped.iter().map(|(reason, &count)| Skipped {
        reason: reason.clone(),
        count,
    });
    let fitted = fit.as_ref().map(|(found, _)| bench.fitted(found, &points));
    Ok(Results {
        schema_version: SCHEMA_VERSION,
        model_version: MODEL_VERSION,
        status: match bench.is_interrupted() {
            true => "interrupted",
            false => "complete",
        },
        dataset: job.dataset.clone(),
        dataset_hash: job.dataset_hash.clone(),
        machine: bench.used.machine.clone(),
        fidelity: job.predictor.depth.name(),
        shapes: folds.shapes,
        folds: folds.count,
        simulations: bench.simulations(),
        parameters: fitted.unwrap_or_default(),
        error,
        rows,
        skipped: skipped.collect(),
    })
}

/// Fits without some shapes.
struct Unseen {
    /// The time of each row by the fit that has not seen its shape, microseconds.
    times: Vec<Option<f64>>,
    /// Where these fits end.
    points: Vec<Vec<i32>>,
}

/// As many fits without some shapes as are done before a signal.
fn unseen(bench: &mut Bench<'_>, folds: &Folds) -> Result<Unseen> {
    let mut unseen = Unseen {
        times: vec![None; folds.of_row.len()],
        points: Vec::with_capacity(folds.count),
    };
    for fold in 0..folds.count {
        let rows = 0..folds.of_row.len();
        let (out, seen): (Vec<usize>, Vec<usize>) =
            rows.partition(|&row| folds.of_row[row] == fold);
        let found = bench.unless_interrupted(|bench| {
            let found = bench.fit(&seen)?;
            let times = bench.times(&found.at, &out)?;
            Ok((found, times))
        })?;
        let Some((found, times)) = found else {
            break;
        };
        out.iter()
            .zip(times)
            .for_each(|(&row, time)| unseen.times[row] = Some(time));
        unseen.points.push(found.at);
    }
    Ok(unseen)
}

/// How far times of rows are off, where they are known.
fn score(bench: &Bench<'_>, predicted: &[Option<f64>]) -> Score {
    let pair = |(row, predicted): (usize, &Option<f64>)| {
        Some(Pair {
            predicted: (*predicted)?,
            truth: bench.truth(row),
            roofline: bench.roofline(row),
        })
    };
    let pairs = predicted.iter().enumerate().filter_map(pair);
    Score::of(&pairs.collect::<Vec<Pair>>())
}

/// That there are enough shapes for what may move.
fn enough(job: &Job<'_>, shapes: usize) -> Result<()> {
    let count = job.parameters.len();
    let needed = SHAPES_PER_PARAMETER * count;
    if shapes >= needed {
        return Ok(());
    }
    let names: Vec<&str> = job.parameters.iter().map(|p| p.name).collect();
    Err(Error::input(
        &job.dataset,
        "rows",
        format!(
            "{shapes} different shapes can be predicted, and {count} parameters ({}) need {needed}",
            names.join(", ")
        ),
        "add measurements of other shapes, or let fewer --parameters move",
    ))
}
