//! CTAs on several threads, with the result of running them in order.

use super::{Run, Stopped, in_turn};
use crate::ptx::exec::cta::Runner;
use crate::ptx::exec::journal::written::Written;
use crate::ptx::exec::journal::{BLOCK_BYTES, Effects, Patch};
use crate::ptx::exec::memory::Global;
use crate::ptx::exec::observe::Parallel;

/// CTAs of a batch for each thread, at least and at most.
const BATCH: [u64; 2] = [4, 64];

/// Updates that the CTAs of a batch may keep for each thread: 64 MiB.
const UPDATES_MAX: u64 = 4 << 20;

/// A CTA that runs ahead of its turn may wait for an earlier one that has not run as yet, and would
/// for ever. It is given up after so many times the warp instructions of the longest CTA so far,
/// and so many more.
const PATIENCE: (u64, u64) = (4, 1 << 16);

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

/// Threads, each with a copy of memory.
pub struct Team<'a> {
    run: Run<'a>,
    members: Vec<Member>,
    global: &'a mut Global,
    /// For CTAs in their turn.
    runner: Runner,
    /// What members do not have as yet.
    written: Written,
    executed: u64,
    /// Most warp instructions of a CTA so far.
    longest: u64,
}

impl<'a> Team<'a> {
    /// With copies of `global`.
    pub fn new(run: Run<'a>, global: &'a mut Global) -> Self {
        let member = |_| {
            let mut global = global.clone();
            global.keep_journal();
            Member {
                global,
                runner: Runner::default(),
            }
        };
        let members = (0..run.threads).map(member).collect();
        global.keep_journal();
        Team {
            run,
            members,
            written: Written::new(global.size().div_ceil(BLOCK_BYTES as usize)),
            global,
            runner: Runner::default(),
            executed: 0,
            longest: 0,
        }
    }

    /// Runs all CTAs; see [`super::run`].
    pub fn run<O: Parallel, E>(
        mut self,
        ctas: u64,
        observer: &mut O,
        mut after: impl FnMut(O::Out) -> Result<(), E>,
    ) -> Result<u64, Stopped<E>> {
        let threads = self.members.len() as u64;
        let least = BATCH[0] * threads;
        let (mut next, mut size) = (0, least);
        // The first CTA runs alone: from it the observer learns what forked ones know.
        let mut alone = 1;
        while next < ctas {
            if next < alone {
                after(self.in_turn(next, observer)?).map_err(Stopped::Other)?;
                next += 1;
                continue;
            }
            let end = ctas.min(next + size);
            let patience = self.patience();
            let (mut wasted, mut updates) = (0, 1);
            for (cta, ahead) in (next..end).zip(self.ahead(next, end, observer)) {
                let stands = ahead.filter(|a| !self.written.touches(&a.effects.reads));
                let out = match stands {
                    Some(ahead) => {
                        updates = updates.max(ahead.effects.updates.len() as u64);
                        self.commit(&ahead.effects, ahead.executed);
                        ahead.out
                    }
                    None => {
                        let before = self.executed;
                        let out = self.in_turn(cta, observer)?;
                        // Had it been known how long CTAs are, this one would stand.
                        wasted += u64::from(self.executed - before <= patience);
                        out
                    }
                };
                after(out).map_err(Stopped::Other)?;
            }
            size = (2 * size).min(UPDATES_MAX * threads / updates);
            size = size.clamp(least, BATCH[1] * threads);
            if 2 * wasted > end - next {
                // Where most have to run again, running ahead is a waste for a while. Trying again
                // costs a few CTAs each time the number of those that have run grows by a quarter.
                alone = end + u64::max(4 * (end - next), end / 4);
                size = least;
            }
            next = end;
        }
        Ok(self.executed)
    }

    fn in_turn<O: Parallel, E>(
        &mut self,
        cta: u64,
        observer: &mut O,
    ) -> Result<O::Out, Stopped<E>> {
        let before = self.runner.executed;
        let out = in_turn(self.run, cta, &mut self.runner, self.global, observer);
        let out = out.map_err(Stopped::Fault)?;
        for (block, bits) in self.global.written() {
            self.written.add(block, bits);
        }
        self.count(self.runner.executed - before);
        Ok(out)
    }

    /// Does what a CTA did that ran ahead.
    fn commit(&mut self, effects: &Effects, executed: u64) {
        for patch in &effects.writes {
            self.global.apply(patch);
            self.written.add(patch.block, patch.mask);
        }
        for update in &effects.updates {
            self.global.update(update);
        }
        for &(block, bits) in &effects.updated {
            self.written.add(block, bits);
        }
        self.count(executed);
    }

    fn count(&mut self, executed: u64) {
        self.executed += executed;
        self.longest = self.longest.max(executed);
    }

    /// Warp instructions that a CTA may run ahead of its turn.
    fn patience(&self) -> u64 {
        PATIENCE.0 * self.longest + PATIENCE.1
    }

    /// Runs CTAs `from..to` at once; `None` for those that have to run in their turn.
    fn ahead<O: Parallel>(
        &mut self,
        from: u64,
        to: u64,
        observer: &O,
    ) -> Vec<Option<Ahead<O::Out>>> {
        let (run, global) = (self.run, &*self.global);
        let patches: Vec<Patch> = self
            .written
            .take()
            .map(|(block, mask)| global.patch(block, mask))
            .collect();
        let threads = self.members.len();
        let limit = self.patience();
        let updates = UPDATES_MAX * threads as u64 / (to - from);
        let patches = &patches;
        let mut shares: Vec<_> = std::thread::scope(|scope| {
            let handles: Vec<_> = (from..)
                .zip(&mut self.members)
                .map(|(first, member)| {
                    let mut own = observer.fork();
                    member.runner.limit = limit;
                    member.global.keep_updates(updates as usize);
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
        let effects = self.global.undo();
        let (out, complete) = own.finish();
        (ran.is_ok() && complete).then_some(Ahead {
            out,
            effects,
            executed: self.runner.executed - before,
        })
    }
}
