//! A run, and the same workload on other machines.

use super::Request;
use crate::config::GpuSpec;
use crate::error::{Error, Result};
use crate::memory_limit;
use crate::probe::Instruments;
use crate::progress::{self, Progress};
use crate::report::Report;
use crate::report::schema::{self, Status};
use crate::session::{Options, Session};
use crate::stats::{ChipCounters, UnitCounters};
use crate::trace::Workload;
use rayon::prelude::*;
use std::sync::atomic::Ordering;

/// The run, for those who make a section of it.
pub struct Study<'a> {
    /// What was run.
    pub request: &'a Request<'a>,
    /// Its report.
    pub report: &'a Report,
    /// Counters of the whole run.
    pub counters: &'a ChipCounters,
    /// The same of each unit.
    pub units: &'a UnitCounters,
    /// The run so far, at some moments of it; none unless [`super::Besides::interval`] asks for them.
    pub moments: &'a [Moment],
}

/// A moment of the run.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Core cycle.
    pub at: u64,
    /// Resident warps of the chip.
    pub warps: u32,
    /// Counters so far.
    pub counters: ChipCounters,
}

/// The same workload on another machine.
#[derive(Clone, Debug)]
pub struct Again {
    /// Core cycles of the whole run.
    pub cycles: u64,
    /// Counters of the whole run.
    pub counters: ChipCounters,
    /// Its kernels.
    pub kernels: Vec<schema::Kernel>,
}

impl Study<'_> {
    /// The machine.
    pub fn spec(&self) -> &GpuSpec {
        self.request.session.spec()
    }

    /// SMs times cycles of the run.
    pub fn sm_cycles(&self) -> u64 {
        u64::from(self.spec().sms) * self.report.totals.cycles
    }

    /// The run itself, as one of several; nothing where it has ended early.
    pub fn own(&self) -> Option<Again> {
        is_whole(self.report).then_some(Again {
            cycles: self.report.totals.cycles,
            counters: *self.counters,
            kernels: self.report.kernels.clone(),
        })
    }

    /// The workload again, unobserved, with `sets` besides what the user changed. Nothing where the run has ended early,
    /// or ends early now: no comparison is made of parts.
    ///
    /// # Errors
    /// Keys in conflict with the user's; a failed run.
    pub fn again(&self, sets: &[String]) -> Result<Option<Again>> {
        self.again_of(self.request.workload, sets)
    }

    /// The same of `workload`, a part of the one that was run.
    ///
    /// # Errors
    /// As [`Study::again`].
    pub fn again_of(&self, workload: &Workload, sets: &[String]) -> Result<Option<Again>> {
        let request = self.request;
        if !is_whole(self.report) || request.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let sets: Vec<&String> = request.sets.iter().chain(sets).collect();
        let session = Session::new(request.gpu, &sets)?;
        let progress = Progress::of(ctas(workload));
        let options = options(request, &progress, Instruments::default());
        progress::watch(&progress, "CTAs", || whole(&session, workload, &options))
    }

    /// The workload on each of `machines`, unobserved, several at a time: as many as there are threads. Together they take
    /// no more memory than the run itself may: a machine that does not fit its share is run alone, after the others.
    /// Nothing where it has ended early, or the run has.
    pub fn many(&self, machines: &[Session]) -> Vec<Result<Option<Again>>> {
        let request = self.request;
        if !is_whole(self.report) {
            return machines.iter().map(|_| Ok(None)).collect();
        }
        let jobs = request.threads.clamp(1, machines.len().max(1));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
        let limit = request.memory_limit;
        let limit = limit.unwrap_or_else(memory_limit::half_of_the_machine);
        let workload = request.workload;
        let progress = Progress::of(ctas(workload) * machines.len() as u64);
        let run = |session: &Session, threads: usize, memory: u64| {
            if request.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let options = Options {
                threads,
                memory_limit: Some(memory),
                ..options(request, &progress, Instruments::default())
            };
            whole(session, workload, &options)
        };
        let threads = (request.threads / jobs).max(1);
        let share = limit / jobs as u64;
        let all = || -> Vec<Result<Option<Again>>> {
            let each = machines.par_iter().with_max_len(1);
            let first = match pool {
                Ok(pool) => pool.install(|| each.map(|m| run(m, threads, share)).collect()),
                Err(_) => machines
                    .iter()
                    .map(|m| run(m, threads, share))
                    .collect::<Vec<_>>(),
            };
            let again = first.into_iter().zip(machines);
            let again = again.map(|(ended, machine)| match ended {
                Err(Error::Memory(_)) if jobs > 1 => run(machine, request.threads, limit),
                other => other,
            });
            again.collect()
        };
        progress::watch(&progress, "CTAs", all)
    }
}

/// A run of `workload`, or nothing where it ends early.
fn whole(session: &Session, workload: &Workload, options: &Options) -> Result<Option<Again>> {
    let outcome = session.run(workload, options)?;
    Ok(is_whole(&outcome.report).then_some(Again {
        cycles: outcome.run.cycles,
        counters: outcome.run.counters,
        kernels: outcome.report.kernels,
    }))
}

fn is_whole(report: &Report) -> bool {
    matches!(report.status, Status::Complete | Status::UnmodelledWork)
}

/// CTAs of `workload`.
pub(super) fn ctas(workload: &Workload) -> u64 {
    workload.launches().map(|k| k.header.cta_count()).sum()
}

pub(super) fn options<'a>(
    request: &Request<'a>,
    progress: &'a Progress,
    instruments: Instruments,
) -> Options<'a> {
    Options {
        threads: request.threads,
        max_cycles: request.max_cycles,
        memory_limit: request.memory_limit,
        stop: Some(request.stop),
        progress: Some(&progress.done),
        instruments,
        ..Options::default()
    }
}
