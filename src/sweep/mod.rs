//! Sweeps: points of a design on workloads, each simulated once and kept.
//!
//! A sweep is read ([`file`]), its axes become a design ([`axis`], [`design`]), workloads are loaded once ([`workload`]),
//! and every point gets a key that says all that its result depends on ([`plan`]). Points are run by any number of
//! processes ([`run`]) into a folder ([`store`]), and tables are made of what is stored ([`table`], [`summary`]).

mod axis;
mod design;
mod file;
mod kernels;
pub mod manifest;
mod merge;
mod metrics;
mod page;
mod plan;
pub mod point;
pub mod results;
mod run;
mod slurm;
pub mod store;
pub mod summary;
pub mod table;
#[cfg(test)]
mod tests;
mod workload;

pub use file::Usual;
pub use merge::merge;
pub use plan::Study;
pub use slurm::{Cluster, script};

use crate::error::{Error, Result};
use crate::memory_limit;
use crate::output;
use crate::progress::{self, Progress};
use crate::sampling::Memo;
use manifest::Manifest;
use point::Limits;
use rayon::prelude::*;
use run::Job;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use store::Store;
use summary::Summary;
use table::Table;
use workload::Manner;

/// A part of the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 0.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl Shard {
    /// Reads `I/N`.
    ///
    /// # Errors
    /// What is no such pair.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let pair = text.split_once('/');
        let pair = pair.and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        match pair {
            Some((index, count)) if index < count => Ok(Shard { index, count }),
            _ => Err(format!(
                "{text}: expected I/N with I from 0 to N - 1, such as 0/4"
            )),
        }
    }
}

/// How a sweep is run.
pub struct Manners<'a> {
    /// Points at a time.
    pub jobs: usize,
    /// Which of the points.
    pub shard: Shard,
    /// Points that a limit has ended are run again.
    pub retry: bool,
    /// Most memory of a simulated machine, in place of what the sweep says.
    pub memory_limit: Option<u64>,
    /// What was estimated before.
    pub memo: &'a Memo,
    /// Set from outside to end with what is done.
    pub stop: &'a AtomicBool,
    /// Where the page goes.
    pub html: Option<&'a Path>,
}

/// What is in the folder of a sweep.
pub struct Outcome {
    /// What follows from it.
    pub summary: Summary,
    /// The results.
    pub table: Table,
}

/// Points of `shard` that `study` has, the longest first.
fn share(study: &Study, shard: Shard) -> Vec<usize> {
    let all = study.queue().into_iter().enumerate();
    all.filter(|(at, _)| at % shard.count == shard.index)
        .map(|(_, point)| point)
        .collect()
}

/// What a run would do: points of the shard, and how many of them have a result already in `folder`.
///
/// # Errors
/// A folder with another sweep.
pub fn foresee(study: &Study, folder: Option<&Path>, shard: Shard) -> Result<(usize, usize)> {
    let points = share(study, shard);
    let stored = match folder.map(Manifest::read).transpose()?.flatten() {
        Some(known) if known.sweep == study.manifest.sweep => {
            let store = Store::at(folder.unwrap_or(Path::new("")));
            let limits = limits(study, None, false);
            let has = |at: &&usize| store.has(&study.manifest.points[**at].key, &limits);
            points.par_iter().filter(has).count()
        }
        Some(known) => {
            return Err(Error::Usage(format!(
                "another sweep is in the folder, which differs in {}; name another one with -o",
                known.difference(&study.manifest)
            )));
        }
        None => 0,
    };
    Ok((points.len(), stored))
}

fn limits(study: &Study, memory_limit: Option<u64>, retry: bool) -> Limits {
    let usual = memory_limit::half_of_the_machine();
    Limits {
        time_s: study.file.written.limits.time_s,
        memory_bytes: memory_limit.or(study.memory_limit).unwrap_or(usual),
        retry,
    }
}

/// Runs the points of a shard that have no result in `folder`, and makes the tables of all that are there.
///
/// # Errors
/// A folder with another sweep, or one that cannot be written; results that are stored stay.
pub fn run(study: &Study, folder: &Path, manners: &Manners<'_>) -> Result<Outcome> {
    let store = Store::open(folder, &study.manifest)?;
    let limits = limits(study, manners.memory_limit, manners.retry);
    let points = share(study, manners.shard);
    let mut todo: Vec<usize> = points
        .into_par_iter()
        .filter(|at| !store.has(&study.manifest.points[*at].key, &limits))
        .collect();
    note_damaged(study, &store, &todo);
    if store.is_shared() && !todo.is_empty() {
        // Whoever began before takes the same points in the same order: begin elsewhere, and meet in the end.
        let place = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let first = place as usize % todo.len();
        todo.rotate_left(first);
    }
    let written = &study.file.written;
    let job = Job {
        study,
        store: &store,
        limits,
        manner: Manner {
            fidelity: written.fidelity,
            ci: written.ci,
            max_cycles: written.limits.max_cycles,
            memory_limit: limits.memory_bytes,
            memo: manners.memo,
        },
        jobs: manners.jobs,
        stop: manners.stop,
    };
    let progress = Progress::of(todo.len() as u64);
    let done = progress::watch(&progress, "points", || job.run(&todo, &progress));
    done.and_then(|()| finish(&study.manifest, &store, manners.html))
        .map_err(unwritten)
}

/// Says which points of `todo` have a file that is not what was stored: they are run again.
fn note_damaged(study: &Study, store: &Store, todo: &[usize]) {
    let keys = todo
        .iter()
        .map(|at| study.manifest.points[*at].key.as_str());
    if let Some(damaged) = store.damaged(keys) {
        output::note(format_args!(
            "note: {}: {damaged}; made again",
            store.folder().display()
        ));
    }
}

/// Says of a file that could not be written that the others are.
fn unwritten(error: Error) -> Error {
    match error {
        Error::Io { path, source } => Error::input(
            path.display().to_string(),
            "results",
            source.to_string(),
            "what is stored is kept: mend this, then run the same command again",
        ),
        other => other,
    }
}

/// Makes the tables of all results that are stored, and their page where `html` says. Of several processes that end at
/// once the last one has all.
fn finish(manifest: &Manifest, store: &Store, html: Option<&Path>) -> Result<Outcome> {
    store.alone(|| {
        let table = Table::of(manifest, store);
        let summary = Summary::of(manifest, &table);
        table.write(manifest, store)?;
        summary.write(store)?;
        results::keep(manifest, &table, store)?;
        let outcome = Outcome { summary, table };
        if let Some(file) = html {
            page::page(manifest, &outcome).write(file)?;
        }
        Ok(outcome)
    })
}
