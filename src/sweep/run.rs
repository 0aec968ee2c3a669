//! Points are run: a worker takes the next one from the queue, runs it and stores what came of it.

use super::manifest::Point;
use super::plan::Study;
use super::point::{Limits, Status, Stored};
use super::store::Store;
use super::workload::Manner;
use crate::config::Resolved;
use crate::error::{Error, Result};
use crate::memory_limit;
use crate::progress::Progress;
use crate::report::{Report, schema};
use crate::session::Session;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two looks at the clock.
const INTERVAL: Duration = Duration::from_millis(10);

/// How points are run, and by whom.
pub struct Job<'a> {
    /// The sweep.
    pub study: &'a Study,
    /// Where results go.
    pub store: &'a Store,
    /// Limits of a point.
    pub limits: Limits,
    /// How points are simulated.
    pub manner: Manner<'a>,
    /// Points at a time.
    pub jobs: usize,
    /// Set from outside to end with what is done.
    pub stop: &'a AtomicBool,
}

/// What a worker does now.
#[derive(Default)]
struct Desk {
    /// When the point has taken too long.
    deadline: Mutex<Option<Instant>>,
    /// Ends the simulation.
    stop: AtomicBool,
    /// It was too long.
    late: AtomicBool,
}

/// Memory that points may take together.
struct Memory {
    limit: u64,
    taken: Mutex<u64>,
    freed: Condvar,
}

impl Memory {
    /// Waits until there is room; a point that is alone always has room. Returns what was taken.
    fn take(&self, bytes: u64) -> u64 {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && taken.saturating_add(bytes) > self.limit {
            taken = self
                .freed
                .wait(taken)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *taken = taken.saturating_add(bytes);
        bytes
    }

    fn give(&self, bytes: u64) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.freed.notify_all();
    }
}

impl Desk {
    /// A point begins, which may take `limit` seconds.
    fn begin(&self, limit: Option<f64>) {
        let mut deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *deadline = limit.map(|s| Instant::now() + Duration::from_secs_f64(s));
        self.stop.store(false, Ordering::SeqCst);
        self.late.store(false, Ordering::SeqCst);
    }

    /// It has ended; whether it had to be stopped because it took too long.
    fn end(&self) -> bool {
        let mut deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *deadline = None;
        self.late.load(Ordering::SeqCst)
    }

    fn look(&self, over: bool) {
        let deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        let late = deadline.is_some_and(|at| Instant::now() >= at);
        self.late.fetch_or(late, Ordering::SeqCst);
        self.stop.fetch_or(late || over, Ordering::SeqCst);
    }
}

impl Job<'_> {
    /// Runs `points` (the longest first) as far as nobody stops it.
    ///
    /// # Errors
    /// A result that cannot be stored; all stored ones stay.
    pub fn run(&self, points: &[usize], progress: &Progress) -> Result<()> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.jobs)
            .build();
        let pool = pool.map_err(|e| Error::Run(format!("threads: {e}")))?;
        let desks: Vec<Desk> = (0..self.jobs).map(|_| Desk::default()).collect();
        let next = AtomicUsize::new(0);
        let fault: Mutex<Option<Error>> = Mutex::new(None);
        let over = AtomicBool::new(false);
        let memory = Memory {
            limit: memory_limit::half_of_the_machine(),
            taken: Mutex::new(0),
            freed: Condvar::new(),
        };
        // One task for each thread, and a queue of points beside: a point that waits for threads of its own never
        // begins another one meanwhile.
        let work = |desk: &Desk| {
            while !self.stop.load(Ordering::SeqCst) && !over.load(Ordering::SeqCst) {
                let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) else {
                    return;
                };
                if let Err(error) = self.point(*point, desk, &memory) {
                    over.store(true, Ordering::SeqCst);
                    let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
                    fault.get_or_insert(error);
                    return;
                }
                progress.advance();
            }
        };
        let (done, wait) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                watch(wait, &desks, || {
                    self.stop.load(Ordering::SeqCst) || over.load(Ordering::SeqCst)
                })
            });
            let _done = done;
            pool.broadcast(|context| work(&desks[context.index()]));
        });
        match fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Runs one point and stores what came of it; nothing is stored of a point that was stopped from outside.
    fn point(&self, at: usize, desk: &Desk, memory: &Memory) -> Result<()> {
        let point = &self.study.manifest.points[at];
        if self.store.has(&point.key, &self.limits) {
            return Ok(());
        }
        let begun = Instant::now();
        let mut stored = Stored {
            key: point.key.clone(),
            status: Status::Failed,
            error: None,
            limit: None,
            again: false,
            report: None,
        };
        let machine = self.study.machine(at);
        // Whether keys are in conflict follows from them. Of anything else that fails the reason may be gone next time.
        let again = machine.is_ok();
        let report = match machine {
            Ok(machine) => {
                let parts = memory_limit::machine(&machine.spec);
                let bytes = parts
                    .iter()
                    .fold(0, |sum: u64, p| sum.saturating_add(p.bytes));
                let taken = memory.take(bytes);
                desk.begin(self.limits.time_s);
                let report = self.simulate(point, machine, desk);
                memory.give(taken);
                report
            }
            Err(error) => Err(error),
        };
        let late = desk.end();
        if late {
            stored.status = Status::OutOfTime;
            stored.limit = self.limits.time_s;
            stored.error = self
                .limits
                .time_s
                .map(|s| format!("it took more than {s} s"));
        } else if desk.stop.load(Ordering::SeqCst) {
            return Ok(());
        } else {
            match &report {
                Ok(report) => stored.status = status(report),
                Err(Error::Memory(what)) => {
                    stored.status = Status::OutOfMemory;
                    stored.limit = Some(self.limits.memory_bytes as f64);
                    stored.error = Some(self.study.named(at, what));
                }
                Err(error) => {
                    stored.again = again;
                    stored.error = Some(self.study.named(at, &error.to_string()));
                }
            }
            stored.report = report.as_ref().ok();
        }
        if stored.again && self.store.has(&point.key, &self.limits) {
            // Another process has come to a result meanwhile, which is worth more.
            return Ok(());
        }
        self.store.write(&stored)?;
        self.store
            .note_time(&point.key, at, begun.elapsed().as_secs_f64())
    }

    /// The report of a point without what differs from run to run.
    fn simulate(&self, point: &Point, machine: Resolved, desk: &Desk) -> Result<Report> {
        let session = Session::of(machine);
        let workload = &self.study.workloads[point.workload];
        let gpu = &self.study.manifest.gpus[point.gpu].name;
        let run = || workload.run(gpu, &session, &self.manner, &desk.stop);
        // A fault of ours in one point must not cost the others.
        let ended = catch_unwind(AssertUnwindSafe(run));
        let mut report = ended.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let what = text.unwrap_or("without a word");
            Err(Error::Run(format!(
                "the program failed, which is a fault of its own: {what}"
            )))
        })?;
        report.simulation = schema::Simulation::default();
        Ok(report)
    }
}

/// Looks at the clock until `done` is dropped.
fn watch(done: Receiver<()>, desks: &[Desk], over: impl Fn() -> bool) {
    while done.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let over = over();
        desks.iter().for_each(|desk| desk.look(over));
    }
}

fn status(report: &Report) -> Status {
    match (report.status, &report.model) {
        (_, Some(model)) if !model.fits => Status::DoesNotFit,
        (schema::Status::Complete, _) => Status::Complete,
        (schema::Status::UnmodelledWork, _) => Status::UnmodelledWork,
        // Whoever stops a run from outside has been asked before.
        (schema::Status::MaxCycles | schema::Status::Interrupted, _) => Status::MaxCycles,
    }
}
