//! Predicted times against thousands of measured ones.
//!
//! A row of a dataset says which operator was measured on which board. The chooser takes the kernels that a library
//! would launch, they are simulated behind an earlier run of themselves, and the sum of their times is held against the
//! measurement. Nothing of a row's time goes into its prediction.

pub mod calibrate;
pub mod cuda;
pub mod dataset;
pub mod filter;
pub mod gate;
pub mod html;
mod layer;
mod models;
pub mod operator;
pub mod predict;
pub mod results;
pub mod roofline;
pub mod score;
pub mod table;

use crate::config::boards::{Board, boards, of_dataset};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::report::bound::Bound;
use crate::session::Session;
use dataset::Row;
use operator::{Measured, Unfit};
use predict::Predictor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use results::{Accuracy, Group, Results, RowResult, Skipped};
use score::{Pair, Score};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Our own transcription of measurements, with their sources.
const REFERENCE: &str = include_str!("../../validation/reference/kernels.csv");

/// The rows of the project's own reference set.
///
/// # Errors
/// A fault of the file.
pub fn reference() -> Result<Vec<Row>> {
    dataset::parse(REFERENCE, "validation/reference/kernels.csv")
}

/// Which measured time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// That of the device, where it is known apart.
    Device,
    /// That of the dataset.
    Raw,
}

/// A row, ready to be predicted.
struct Task<'a> {
    row: &'a Row,
    measured: Measured,
    board: &'a Board,
}

/// What is to be validated.
pub struct Job<'a> {
    /// Name of the dataset.
    pub dataset: String,
    /// Its rows, filtered.
    pub rows: Vec<Row>,
    /// Only the boards of this GPU, or this board.
    pub gpu: Option<String>,
    /// Changes to every configuration.
    pub sets: Vec<String>,
    /// So many of the rows that can be predicted, drawn with the seed.
    pub sample: Option<(usize, u64)>,
    /// Which time counts.
    pub truth: Truth,
    /// How rows are predicted.
    pub predictor: Predictor<'a>,
    /// Rows done.
    pub progress: &'a Progress,
    /// Threads; results do not depend on them.
    pub jobs: usize,
}

/// GPUs that datasets name and that no configuration describes: older than Volta, or from another vendor, or a part
/// whose clocks nobody can say.
const NOT_MODELLED: &[&str] = &[
    "P100",
    "P40",
    "P4",
    "M40",
    "K80",
    "K40",
    "TITAN-X",
    "TITANX",
    "GTX10",
    "GTX9",
    "MI",
    "RTX3060-Laptop",
    "TPU",
];

/// Version of the structure of results.
const SCHEMA_VERSION: u32 = 2;

/// Rows of a group that are listed as its worst.
const WORST: usize = 10;

/// Validates.
///
/// # Errors
/// A row with impossible numbers or a GPU that nobody knows, with its line; a simulation that failed; nothing that
/// could be predicted.
pub fn run(job: &Job<'_>) -> Result<Results> {
    let boards = boards()?;
    if let Some(gpu) = &job.gpu
        && !boards.iter().any(|board| board.is(gpu))
    {
        let known: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
        return Err(Error::Usage(format!(
            "--gpu {gpu}: no board is called so, and none has such a GPU; known: {}",
            known.join(", ")
        )));
    }
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    let mut tasks = tasks(job, &boards, &mut skipped)?;
    if let Some((count, seed)) = job.sample {
        tasks = drawn(tasks, count, seed);
    }
    let sessions = sessions(&tasks, &job.sets)?;
    job.progress
        .total
        .store(tasks.len() as u64, Ordering::Relaxed);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(job.jobs)
        .build();
    let pool = pool.map_err(|e| Error::Run(format!("threads: {e}")))?;
    let stop = job.predictor.stop;
    let found: Vec<Option<Result<std::result::Result<RowResult, Unfit>>>> = pool.install(|| {
        let one = |task: &Task<'_>| {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let result = row(job, task, &sessions[&task.board.name]);
            job.progress.advance();
            Some(result)
        };
        // One row at a time: long ones must not pile up at the end of somebody's share.
        tasks.par_iter().with_max_len(1).map(one).collect()
    });
    let mut rows = Vec::new();
    let mut interrupted = false;
    for (found, task) in found.into_iter().zip(&tasks) {
        match found {
            None => interrupted = true,
            Some(Ok(Ok(row))) => rows.push(row),
            Some(Ok(Err(Unfit::Skip(reason)))) => *skipped.entry(reason).or_default() += 1,
            Some(Ok(Err(Unfit::Fault(what)))) => return Err(fault(&job.dataset, task.row, what)),
            Some(Err(_)) if stop.load(Ordering::Relaxed) => interrupted = true,
            Some(Err(error)) => return Err(error),
        }
    }
    if rows.is_empty() && !interrupted && skipped.is_empty() {
        return Err(Error::input(
            &job.dataset,
            "rows",
            "none is of the GPU that was asked for",
            "choose another one, or another dataset",
        ));
    }
    if rows.is_empty() && !interrupted {
        let reasons: Vec<String> = skipped
            .iter()
            .map(|(r, n)| format!("{r} ({n} rows)"))
            .collect();
        return Err(Error::input(
            &job.dataset,
            "rows",
            format!("none could be predicted: {}", reasons.join("; ")),
            "choose other rows, or another dataset",
        ));
    }
    Ok(results(job, rows, skipped, interrupted))
}

fn fault(dataset: &str, row: &Row, what: String) -> Error {
    let place = format!("line {} ({})", row.line, row.id);
    Error::input(dataset, place, what, "correct the row, or take it out")
}

fn tasks<'a>(
    job: &'a Job<'_>,
    boards: &'a [Board],
    skipped: &mut BTreeMap<String, usize>,
) -> Result<Vec<Task<'a>>> {
    let mut tasks = Vec::new();
    for row in &job.rows {
        let Some(board) = of_dataset(boards, &row.gpu, &row.source) else {
            if NOT_MODELLED.iter().any(|name| row.gpu.starts_with(name)) {
                let reason = format!("{} is not modelled", row.gpu);
                *skipped.entry(reason).or_default() += 1;
                continue;
            }
            let known: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
            let what = format!("GPU {:?} is no board; known: {}", row.gpu, known.join(", "));
            return Err(fault(&job.dataset, row, what));
        };
        let wanted = job.gpu.as_deref().is_none_or(|gpu| board.is(gpu));
        if !wanted {
            continue;
        }
        match operator::measured(row) {
            Ok(measured) => tasks.push(Task {
                row,
                measured,
                board,
            }),
            Err(Unfit::Skip(reason)) => {
                *skipped
                    .entry(format!("{reason} is not modelled"))
                    .or_default() += 1;
            }
            Err(Unfit::Fault(what)) => return Err(fault(&job.dataset, row, what)),
        }
    }
    Ok(tasks)
}

/// `count` of `tasks`, in their order.
fn drawn<T>(tasks: Vec<T>, count: usize, seed: u64) -> Vec<T> {
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    order.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    order.truncate(count);
    let mut taken = vec![false; tasks.len()];
    order.into_iter().for_each(|at| taken[at] = true);
    let pairs = tasks.into_iter().zip(taken);
    pairs
        .filter(|(_, taken)| *taken)
        .map(|(task, _)| task)
        .collect()
}

/// The machines of the boards of `tasks`, by board.
fn sessions(tasks: &[Task<'_>], sets: &[String]) -> Result<BTreeMap<String, Session>> {
    let mut sessions = BTreeMap::new();
    for task in tasks {
        if !sessions.contains_key(&task.board.name) {
            sessions.insert(task.board.name.clone(), Session::of(task.board.load(sets)?));
        }
    }
    Ok(sessions)
}

fn row(
    job: &Job<'_>,
    task: &Task<'_>,
    session: &Session,
) -> Result<std::result::Result<RowResult, Unfit>> {
    let row = task.row;
    let found = match job.predictor.predict(row, &task.measured, session)? {
        Ok(found) => found,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let truth_us = match job.truth {
        Truth::Device => row.device_us(),
        Truth::Raw => row.latency_us,
    };
    let (roofline_s, roofline) = task.measured.roofline(session);
    Ok(Ok(RowResult {
        id: row.id.clone(),
        gpu: row.gpu.clone(),
        board: task.board.name.clone(),
        op: row.op.clone(),
        dtype: row.dtype.clone(),
        predicted_us: found.time_us,
        truth_us,
        truth_raw_us: row.latency_us,
        error_rel: found.time_us / truth_us - 1.0,
        roofline_us: 1e6 * roofline_s,
        bound: found.bound,
        bound_expected: match row.is_host_bound() {
            true => Some(Bound::Launch),
            false => roofline::clear_bound(&roofline),
        },
        trust: row.trust().to_owned(),
        host_bound: row.is_host_bound(),
        source: row.source.clone(),
        launched: found.launched,
        provenance: found.origin,
    }))
}

fn pairs<'a>(rows: impl Iterator<Item = &'a RowResult>) -> Vec<Pair> {
    rows.map(|row| Pair {
        predicted: row.predicted_us,
        truth: row.truth_us,
        roofline: row.roofline_us,
    })
    .collect()
}

fn results(
    job: &Job<'_>,
    rows: Vec<RowResult>,
    skipped: BTreeMap<String, usize>,
    interrupted: bool,
) -> Results {
    let low = |row: &&RowResult| row.trust == "low";
    let host = |row: &&RowResult| row.host_bound && !low(row);
    let mut by_key: BTreeMap<_, Vec<&RowResult>> = BTreeMap::new();
    for row in &rows {
        let key = (
            row.op.clone(),
            row.dtype.clone(),
            row.gpu.clone(),
            (low(&row), host(&row)),
        );
        by_key.entry(key).or_default().push(row);
    }
    let groups = by_key
        .into_iter()
        .map(|((op, dtype, gpu, (low_trust, host_bound)), mut of)| {
            let score = Score::of(&pairs(of.iter().copied()));
            of.sort_by(|a, b| b.error_rel.abs().total_cmp(&a.error_rel.abs()));
            Group {
                gpu,
                op,
                dtype,
                low_trust,
                host_bound,
                score,
                worst: of.iter().take(WORST).map(|row| row.id.clone()).collect(),
            }
        });
    let groups = groups.collect();
    let clear: Vec<bool> = rows
        .iter()
        .filter(|row| !low(row))
        .filter_map(|row| Some(row.bound == row.bound_expected?))
        .collect();
    let right = clear.iter().filter(|right| **right).count();
    Results {
        schema_version: SCHEMA_VERSION,
        dataset: job.dataset.clone(),
        status: if interrupted {
            "interrupted"
        } else {
            "complete"
        },
        algorithm: job.predictor.choice.name().to_owned(),
        fidelity: job.predictor.depth.name(),
        groups,
        skipped: skipped
            .into_iter()
            .map(|(reason, count)| Skipped { reason, count })
            .collect(),
        bottleneck_right: (!clear.is_empty()).then(|| right as f64 / clear.len() as f64),
        bottleneck_rows: clear.len(),
        overall: Score::of(&pairs(rows.iter().filter(|row| row.counts()))),
        low_trust: Score::of(&pairs(rows.iter().filter(low))),
        host_bound: Score::of(&pairs(rows.iter().filter(host))),
        accuracy: Accuracy::of(&rows),
        rows,
    }
}
