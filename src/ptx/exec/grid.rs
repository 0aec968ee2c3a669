//! A launch: every CTA of the grid, with the result of running them in order.
//!
//! The defined order of atomics, and of every other access to global memory, is that of the CTAs,
//! number 0 first. A kernel that updates global memory atomically, or polls it, runs just so. The
//! CTAs of any other kernel run at once on several threads, a batch at a time, each on memory as it
//! was before the batch. Then they are taken in order: one that read what an earlier one of its batch
//! wrote, or that failed, is run again in its turn. So the number of threads changes nothing.

use super::cta::{Runner, Shape};
use super::fault::Fault;
use super::journal::{Effects, Patch, Written};
use super::memory::Global;
use super::observe::Parallel;
use super::program::Program;

/// CTAs of a batch for each thread, at first and at most.
const BATCH: [u64; 2] = [4, 64];

/// The most bytes that all copies of memory may have together.
const COPIES_BYTES_MAX: usize = 2 << 30;

/// What is run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The kernel.
    pub program: &'a Program,
    /// Grid and block.
    pub shape: Shape,
    /// Looks for races in shared memory.
    pub race_check: bool,
    /// Threads of the host.
    pub threads: usize,
}

/// Why a run ended early.
#[derive(Clone, Debug)]
pub enum Stopped<E> {
    /// The kernel did something wrong.
    Fault(Box<Fault>),
    /// The observer gave up.
    Other(E),
}

/// Runs all CTAs, calling `after` in their order with what the observer has of each. Returns the
/// number of warp instructions.
///
/// # Errors
/// The first fault, or what `after` says.
pub fn run<O: Parallel, E>(
    run: Run<'_>,
    global: &mut Global,
    observer: &mut O,
    mut after: impl FnMut(O::Out) -> Result<(), E>,
) -> Result<u64, Stopped<E>> {
    let ctas = run.shape.grid.iter().map(|&d| u64::from(d)).product();
    let mut runner = Runner::default();
    let copies = global.size().saturating_mul(run.threads + 1);
    if run.threads > 1 && ctas > 1 && !run.program.ordered && copies <= COPIES_BYTES_MAX {
        let mut team = Team::new(run, global);
        return team.run(ctas, runner, global, observer, after);
    }
    for cta in 0..ctas {
        let out = in_turn(run, cta, &mut runner, global, observer).map_err(Stopped::Fault)?;
        after(out).map_err(Stopped::Other)?;
    }
    Ok(runner.executed)
}

fn in_turn<O: Parallel>(
    run: Run<'_>,
    cta: u64,
    runner: &mut Runner,
    global: &mut Global,
    observer: &mut O,
) -> Result<O::Out, Box<Fault>> {
    observer.begin();
    runner.run(
        run.program,
        run.shape,
        cta,
        run.race_check,
        global,
        observer,
    )?;
    Ok(observer.finish().0)
}

/// A thread's own copy of everything.
struct Member {
    global: Global,
    runner: Runner,
}

/// What running a CTA ahead of its turn gave.
struct Ahead<T> {
    out: T,
    effects: Effects,
    executed: u64,
}

struct Team<'a> {
    run: Run<'a>,
    members: Vec<Member>,
    /// What the batch before wrote, in order.
    patches: Vec<Patch>,
    written: Written,
}

impl<'a> Team<'a> {
    fn new(run: Run<'a>, global: &mut Global) -> Self {
        global.keep_journal();
        let member = |_| Member {
            global: global.clone(),
            runner: Runner::ahead(),
        };
        Team {
            run,
            members: (0..run.threads).map(member).collect(),
            patches: Vec::new(),
            written: Written::new(global.size()),
        }
    }

    fn run<O: Parallel, E>(
        &mut self,
        ctas: u64,
        mut runner: Runner,
        global: &mut Global,
        observer: &mut O,
        mut after: impl FnMut(O::Out) -> Result<(), E>,
    ) -> Result<u64, Stopped<E>> {
        let mut executed = 0;
        let threads = self.members.len() as u64;
        // The first CTA runs alone: from it the observer learns what forked ones know.
        let (mut next, mut size, mut alone) = (0, 1, 1);
        while next < ctas {
            let end = ctas.min(next + size);
            let batch = match alone {
                0 => self.ahead(next, end, observer),
                // Where most have to run again, running ahead is a waste for a while.
                _ => (next..end).map(|_| None).collect(),
            };
            let mut again = 0;
            self.patches.clear();
            self.written.clear();
            for (cta, ahead) in (next..end).zip(batch) {
                let stands = ahead.filter(|a| !self.written.touches(&a.effects.reads));
                let (out, writes) = match stands {
                    Some(ahead) => {
                        ahead.effects.writes.iter().for_each(|p| global.apply(p));
                        executed += ahead.executed;
                        (ahead.out, ahead.effects.writes)
                    }
                    None => {
                        again += 1;
                        let out = in_turn(self.run, cta, &mut runner, global, observer);
                        let writes = global.effects(true).writes;
                        (out.map_err(Stopped::Fault)?, writes)
                    }
                };
                self.written.add(&writes);
                self.patches.extend(writes);
                after(out).map_err(Stopped::Other)?;
            }
            alone = match alone {
                0 if again * 2 > end - next => 4,
                n => u64::saturating_sub(n, 1),
            };
            next = end;
            size = (2 * size).clamp(BATCH[0] * threads, BATCH[1] * threads);
        }
        Ok(executed + runner.executed)
    }

    /// Runs CTAs `from..to` at once; `None` for those that have to run in their turn.
    fn ahead<O: Parallel>(
        &mut self,
        from: u64,
        to: u64,
        observer: &O,
    ) -> Vec<Option<Ahead<O::Out>>> {
        let (run, patches) = (self.run, &self.patches);
        let threads = self.members.len();
        let mut shares: Vec<_> = std::thread::scope(|scope| {
            let handles: Vec<_> = (from..)
                .zip(&mut self.members)
                .map(|(first, member)| {
                    let mut own = observer.fork();
                    scope.spawn(move || {
                        patches.iter().for_each(|p| member.global.apply(p));
                        (first..to)
                            .step_by(threads)
                            .map(|cta| member.ahead(run, cta, &mut own))
                            .collect::<Vec<_>>()
                            .into_iter()
                    })
                })
                .collect();
            handles
                .into_iter()
                .map(|handle| handle.join().unwrap_or_default())
                .collect()
        });
        (0..(to - from) as usize)
            .map(|i| shares[i % threads].next().flatten())
            .collect()
    }
}

impl Member {
    fn ahead<O: Parallel>(&mut self, run: Run<'_>, cta: u64, own: &mut O) -> Option<Ahead<O::Out>> {
        own.begin();
        let before = self.runner.executed;
        let ran = self.runner.run(
            run.program,
            run.shape,
            cta,
            run.race_check,
            &mut self.global,
            own,
        );
        let effects = self.global.effects(false);
        let (out, complete) = own.finish();
        (ran.is_ok() && complete).then_some(Ahead {
            out,
            effects,
            executed: self.runner.executed - before,
        })
    }
}
