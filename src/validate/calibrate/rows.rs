//! The rows of a fit, and their times at the points that a search asks for.

use super::machine::Machine;
use super::parameters::Parameter;
use super::search::{Found, search};
use super::{Fitted, Job, RowResult};
use crate::error::{Error, Result};
use crate::session::Session;
use crate::validate::dataset::Row;
use crate::validate::operator::{self, Measured, Unfit};
use crate::validate::{drawn, fault};
use rayon::ThreadPool;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Why a row has no time.
const INTERRUPTED: &str = "interrupted before they were done";

/// A row, ready to be predicted.
pub struct Task<'a> {
    pub row: &'a Row,
    measured: Measured,
}

/// The rows of a fit.
pub struct Used<'a> {
    /// Rows.
    pub rows: Vec<Task<'a>>,
    /// The machine that they were measured on.
    pub machine: Machine,
    /// Rows that are left out, by reason.
    pub skipped: BTreeMap<String, usize>,
}

/// The rows of the job that were measured on its machine and that are modelled.
///
/// # Errors
/// A row with impossible numbers; no row; rows of several machines.
pub fn chosen<'a>(job: &'a Job<'_>) -> Result<Used<'a>> {
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    let mut skip = |reason: String| *skipped.entry(reason).or_default() += 1;
    let mut rows = Vec::new();
    for row in &job.rows {
        if !job.asked.is_of(row) {
            skip("another GPU".into());
            continue;
        }
        if row.trust() == "low" {
            skip("trust is low".into());
            continue;
        }
        if row.is_host_bound() {
            skip("the host bounds it".into());
            continue;
        }
        match operator::measured(row) {
            Ok(measured) => rows.push(Task { row, measured }),
            Err(Unfit::Skip(reason)) => skip(format!("{reason} is not modelled")),
            Err(Unfit::Fault(what)) => return Err(fault(&job.dataset, row, what)),
        }
    }
    let machine = job
        .asked
        .machine(&job.dataset, rows.iter().map(|task| task.row))?;
    if let Some((count, seed)) = job.sample {
        rows = drawn(rows, count, seed);
    }
    let used = Used {
        rows,
        machine,
        skipped,
    };
    used.some(job)
}

impl Used<'_> {
    /// Itself, if it has a row.
    fn some(self, job: &Job<'_>) -> Result<Self> {
        if !self.rows.is_empty() {
            return Ok(self);
        }
        let reasons = self.skipped.iter();
        let reasons: Vec<String> = reasons
            .map(|(why, n)| format!("{why} ({n} rows)"))
            .collect();
        Err(Error::input(
            &job.dataset,
            "rows",
            format!(
                "none of {} can be predicted: {}",
                self.machine.name,
                reasons.join("; ")
            ),
            "name another --gpu, or another dataset",
        ))
    }
}

/// Times of rows at points, each simulated once.
pub struct Bench<'a> {
    job: &'a Job<'a>,
    /// The rows and their machine.
    pub used: Used<'a>,
    pool: ThreadPool,
    /// Values of the parameters as shipped.
    shipped: Vec<u64>,
    /// Microseconds of a row with values of the parameters.
    known: BTreeMap<(usize, Vec<u64>), f64>,
    /// Microseconds of a row at peak rates.
    rooflines: Vec<f64>,
    simulations: usize,
}

impl<'a> Bench<'a> {
    /// The rows of `used` that have kernels, with their times as shipped; after a signal, those that are done.
    ///
    /// # Errors
    /// A failed simulation; no row that has kernels, or none that is done.
    pub fn new(job: &'a Job<'a>, mut used: Used<'a>) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(job.jobs)
            .build()
            .map_err(|e| Error::Run(format!("threads: {e}")))?;
        let config = used.machine.load(&[])?;
        let shipped: Vec<u64> = job.parameters.iter().map(|p| p.shipped(&config)).collect();
        let session = Session::of(config);
        let tasks: Vec<&Task<'_>> = used.rows.iter().collect();
        let found = predicted(job, &pool, &tasks, &session)?;
        let simulations = found.iter().flatten().count();
        let mut bench = Bench {
            job,
            used: Used {
                rows: Vec::new(),
                machine: used.machine.clone(),
                skipped: BTreeMap::new(),
            },
            pool,
            shipped,
            known: BTreeMap::new(),
            rooflines: Vec::new(),
            simulations,
        };
        for (task, found) in std::mem::take(&mut used.rows).into_iter().zip(found) {
            match found {
                None => *used.skipped.entry(INTERRUPTED.into()).or_default() += 1,
                Some(Ok(time)) => {
                    let row = bench.used.rows.len();
                    bench.known.insert((row, bench.shipped.clone()), time);
                    let (seconds, _) = task.measured.roofline(&session);
                    bench.rooflines.push(1e6 * seconds);
                    bench.used.rows.push(task);
                }
                Some(Err(Unfit::Skip(reason))) => {
                    *used.skipped.entry(reason).or_default() += 1;
                }
                Some(Err(Unfit::Fault(what))) => return Err(fault(&job.dataset, task.row, what)),
            }
        }
        bench.used.skipped = used.skipped;
        if bench.used.rows.is_empty() && bench.is_interrupted() {
            return Err(Error::Run(
                "interrupted before any row was done; nothing is written".into(),
            ));
        }
        bench.used = bench.used.some(job)?;
        Ok(bench)
    }

    /// Whether a signal has asked to end.
    pub fn is_interrupted(&self) -> bool {
        self.job.predictor.stop.load(Ordering::Relaxed)
    }

    /// What `work` gives, or nothing where a signal ended it.
    ///
    /// # Errors
    /// Those of `work` that have another reason.
    pub fn unless_interrupted<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        match work(self) {
            Ok(done) => Ok(Some(done)),
            Err(_) if self.is_interrupted() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The measured time of a row, microseconds.
    pub fn truth(&self, row: usize) -> f64 {
        self.used.rows[row].row.device_us()
    }

    /// A row by name, without times but the measured one.
    pub fn named(&self, row: usize) -> RowResult {
        let own = self.used.rows[row].row;
        RowResult {
            id: own.id.clone(),
            op: own.op.clone(),
            dtype: own.dtype.clone(),
            fold: 0,
            truth_us: self.truth(row),
            before_us: 0.0,
            after_us: None,
            left_out_us: None,
            error_rel: None,
        }
    }

    /// The time of a row at peak rates as shipped, microseconds.
    pub fn roofline(&self, row: usize) -> f64 {
        self.rooflines[row]
    }

    /// Rows that were simulated, each at each point.
    pub fn simulations(&self) -> usize {
        self.simulations
    }

    fn values(&self, at: &[i32]) -> Vec<u64> {
        let all = self.job.parameters.iter().zip(&self.shipped).zip(at);
        all.map(|((p, &shipped), &step)| p.value(shipped, step))
            .collect()
    }

    /// The times of `rows` at a point, microseconds.
    ///
    /// # Errors
    /// A failed simulation, or one that a signal ended.
    pub fn times(&mut self, at: &[i32], rows: &[usize]) -> Result<Vec<f64>> {
        let values = self.values(at);
        let key = |row: usize| (row, values.clone());
        let missing = rows.iter().copied();
        let missing: Vec<usize> = missing
            .filter(|&row| !self.known.contains_key(&key(row)))
            .collect();
        if !missing.is_empty() {
            let names = self.job.parameters.iter().map(|p| p.key);
            let sets = names
                .zip(&values)
                .map(|(name, value)| format!("{name}={value}"));
            let session = Session::of(self.used.machine.load(&sets.collect::<Vec<_>>())?);
            let tasks: Vec<&Task<'_>> = missing.iter().map(|&row| &self.used.rows[row]).collect();
            let found = predicted(self.job, &self.pool, &tasks, &session)?;
            self.simulations += found.iter().flatten().count();
            for (&row, found) in missing.iter().zip(found) {
                let found = found.ok_or_else(|| Error::Run(INTERRUPTED.into()))?;
                let time = found.map_err(|unfit| {
                    let (Unfit::Skip(what) | Unfit::Fault(what)) = unfit;
                    fault(&self.job.dataset, self.used.rows[row].row, what)
                })?;
                self.known.insert(key(row), time);
            }
        }
        Ok(rows.iter().map(|&row| self.known[&key(row)]).collect())
    }

    /// The point at which `rows` cost least.
    ///
    /// # Errors
    /// A failed simulation.
    pub fn fit(&mut self, rows: &[usize]) -> Result<Found> {
        let axes: Vec<[i32; 2]> = self.job.parameters.iter().map(Parameter::steps).collect();
        search(&axes, |at| {
            let times = self.times(at, rows)?;
            let pairs = rows.iter().zip(times);
            Ok(pairs
                .map(|(&row, time)| (time / self.truth(row)).ln())
                .collect())
        })
    }

    /// The parameters of a fit, and of the `others` that have not seen some shapes.
    pub fn fitted(&self, fit: &Found, others: &[Vec<i32>]) -> Vec<Fitted> {
        let one = |(index, p): (usize, &Parameter)| {
            let value = |step: i32| p.value(self.shipped[index], step);
            let steps = p.steps();
            let step = fit.at[index];
            let folds = || others.iter().map(|at| value(at[index]));
            Fitted {
                name: p.name,
                key: p.key,
                unit: p.unit,
                shipped: self.shipped[index],
                value: value(step),
                bounds: steps.map(value),
                folds: [folds().min(), folds().max()].map(|end| end.unwrap_or(value(step))),
                at_bound: steps.contains(&step),
                has_effect: fit.has_effect[index],
            }
        };
        self.job.parameters.iter().enumerate().map(one).collect()
    }
}

/// The times of `tasks` on the machine of `session`, microseconds; nothing for those that a signal came before.
fn predicted(
    job: &Job<'_>,
    pool: &ThreadPool,
    tasks: &[&Task<'_>],
    session: &Session,
) -> Result<Vec<Option<std::result::Result<f64, Unfit>>>> {
    let stop = job.predictor.stop;
    let one = |task: &&Task<'_>| {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let found = match job.predictor.predict(task.row, &task.measured, session) {
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(None),
            found => found?,
        };
        job.progress.advance();
        Ok(Some(found.map(|prediction| prediction.time_us)))
    };
    pool.install(|| tasks.par_iter().with_max_len(1).map(one).collect())
}
