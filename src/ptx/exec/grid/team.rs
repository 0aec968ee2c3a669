//! CTAs on several threads, with the result of running them in order.

use super::{Run, Stopped, in_turn};
use crate::ptx::exec::cta::Runner;
use crate::ptx::exec::journal::Effects;
use crate::ptx::exec::journal::written::Written;
use crate::ptx::exec::memory::Global;
use crate::ptx::exec::observe::Parallel;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// CTAs of a batch for each thread, at least and at most.
const BATCH: [u64; 2] = [4, 64];

/// Updates that the CTAs of a batch may keep for each thread: 64 MiB.
const UPDATES_MAX: u64 = 4 << 20;

/// A CTA that runs ahead of its turn may wait for an earlier one of its batch, and would for ever.
/// It is given up after so many times the warp instructions of the longest CTA so far, and so many
/// more.
const PATIENCE: (u64, u64) = (4, 1 << 13);

/// What a thread has of its own.
struct Member {
    global: Global,
    runner: Runner,
}

/// What running a CTA ahead of its turn gave.
enum Ahead<T> {
    Ended {
        out: T,
        effects: Effects,
        executed: u64,
    },
    /// It took too long.
    GivenUp,
    /// It cannot stand for another reason.
    Failed,
}

/// How it went with a batch.
struct Tally {
    /// CTAs that ran ahead in vain.
    wasted: u64,
    /// Those among them that waited for another one.
    waited: u64,
    /// The most updates that one kept.
    updates: u64,
}

/// Threads, and what they work on.
pub struct Team<'a> {
    run: Run<'a>,
    members: Vec<Member>,
    global: &'a mut Global,
    /// For CTAs in their turn.
    runner: Runner,
    /// What the CTAs of a batch wrote, while it is committed.
    written: Box<Written>,
    executed: u64,
    /// Most warp instructions of a CTA so far.
    longest: u64,
}

impl<'a> Team<'a> {
    /// For a run on `global`.
    pub fn new(run: Run<'a>, global: &'a mut Global) -> Self {
        let bytes = global.arena.size();
        let member = |_| Member {
            global: Global::ahead(bytes),
            runner: Runner::default(),
        };
        Team {
            run,
            members: (0..run.threads).map(member).collect(),
            written: Box::new(Written::new(bytes)),
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
        let mut done = Vec::new();
        while next < ctas {
            if next < alone {
                let out = self.in_turn(next, observer);
                done = finish(done, &mut after)?;
                after(out?).map_err(Stopped::Other)?;
                next += 1;
                continue;
            }
            let end = ctas.min(next + size);
            let (batch, finished) = self.ahead(next, end, observer, || finish(done, &mut after));
            done = finished?;
            let tally = match self.commit(next, batch, observer, &mut done) {
                Ok(tally) => tally,
                Err(fault) => {
                    finish(done, &mut after)?;
                    return Err(fault);
                }
            };
            size = (2 * size).min(UPDATES_MAX * threads / tally.updates);
            size = size.clamp(least, BATCH[1] * threads);
            if 2 * tally.waited > end - next {
                // CTAs that wait for each other stay so. Each time that this is found out costs a
                // batch for as long as patience lasts: with trying again as below, decoupled
                // look-back took twice as long as without running ahead.
                alone = ctas;
            } else if 2 * tally.wasted > end - next {
                // Where most have to run again, running ahead is a waste for a while. Trying again
                // costs a few CTAs each time the number of those that have run grows by a quarter.
                alone = end + u64::max(4 * (end - next), end / 4);
                size = least;
            }
            next = end;
        }
        finish(done, &mut after)?;
        Ok(self.executed)
    }

    /// Takes the CTAs of a batch, `first` being the first, in order.
    fn commit<O: Parallel, E>(
        &mut self,
        first: u64,
        batch: Vec<Ahead<O::Out>>,
        observer: &mut O,
        done: &mut Vec<O::Out>,
    ) -> Result<Tally, Stopped<E>> {
        let patience = self.patience();
        let mut tally = Tally {
            wasted: 0,
            waited: 0,
            updates: 1,
        };
        for (cta, ahead) in (first..).zip(batch) {
            let given_up = matches!(ahead, Ahead::GivenUp);
            if let Ahead::Ended {
                out,
                effects,
                executed,
            } = ahead
                && !self.written.touches(&effects.reads)
            {
                tally.updates = tally.updates.max(effects.updates.len() as u64);
                self.global.commit(&effects, &mut self.written);
                self.count(executed);
                done.push(out);
                continue;
            }
            let before = self.executed;
            self.global.note_into(std::mem::take(&mut self.written));
            let out = self.in_turn(cta, observer)?;
            self.written = self.global.noted().unwrap_or_default();
            done.push(out);
            // Had it been known how long CTAs are, a longer one would stand.
            let short = self.executed - before <= patience;
            tally.wasted += u64::from(short);
            tally.waited += u64::from(short && given_up);
        }
        Ok(tally)
    }

    fn in_turn<O: Parallel, E>(
        &mut self,
        cta: u64,
        observer: &mut O,
    ) -> Result<O::Out, Stopped<E>> {
        let before = self.runner.executed;
        let out = in_turn(self.run, cta, &mut self.runner, self.global, observer);
        let out = out.map_err(Stopped::Fault)?;
        self.count(self.runner.executed - before);
        Ok(out)
    }

    fn count(&mut self, executed: u64) {
        self.executed += executed;
        self.longest = self.longest.max(executed);
    }

    /// Warp instructions that a CTA may run ahead of its turn.
    fn patience(&self) -> u64 {
        PATIENCE.0 * self.longest + PATIENCE.1
    }

    /// Runs CTAs `from..to` at once. This thread does `first` something else.
    fn ahead<O: Parallel, T>(
        &mut self,
        from: u64,
        to: u64,
        observer: &O,
        first: impl FnOnce() -> T,
    ) -> (Vec<Ahead<O::Out>>, T) {
        let run = self.run;
        let limit = self.patience();
        let updates = (UPDATES_MAX * self.members.len() as u64 / (to - from)) as usize;
        let lent = self.global.lend();
        self.written.clear();
        for member in &mut self.members {
            member.runner.limit = limit;
            member.global.show(Arc::clone(&lent), updates);
        }
        // Whoever is free takes the next one.
        let next = AtomicU64::new(from);
        let share = |member: &mut Member, mut own: O| -> Vec<_> {
            std::iter::from_fn(|| Some(next.fetch_add(1, Relaxed)).filter(|&cta| cta < to))
                .map(|cta| (cta, member.ahead(run, cta, &mut own)))
                .collect()
        };
        let mut batch: Vec<_> = (from..to).map(|_| Ahead::Failed).collect();
        let mut put = |shares: Vec<(u64, _)>| {
            for (cta, ahead) in shares {
                if let Some(place) = batch.get_mut((cta - from) as usize) {
                    *place = ahead;
                }
            }
        };
        let said = std::thread::scope(|scope| {
            let (mine, others) = self.members.split_at_mut(1);
            let share = &share;
            let handles: Vec<_> = others
                .iter_mut()
                .map(|member| {
                    let own = observer.fork();
                    scope.spawn(move || share(member, own))
                })
                .collect();
            let said = first();
            mine.iter_mut()
                .for_each(|member| put(share(member, observer.fork())));
            for handle in handles {
                put(handle.join().unwrap_or_default());
            }
            said
        });
        for member in &mut self.members {
            member.global.show(Arc::default(), 0);
        }
        self.global.take_back(lent);
        (batch, said)
    }
}

/// Hands what was observed of CTAs on, in order. Returns the empty list.
fn finish<T, E>(
    mut done: Vec<T>,
    after: &mut impl FnMut(T) -> Result<(), E>,
) -> Result<Vec<T>, Stopped<E>> {
    done.drain(..).try_for_each(after).map_err(Stopped::Other)?;
    Ok(done)
}

impl Member {
    fn ahead<O: Parallel>(&mut self, run: Run<'_>, cta: u64, own: &mut O) -> Ahead<O::Out> {
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
        let effects = self.global.finish();
        let (out, complete) = own.finish();
        match ran {
            Ok(()) if complete => Ahead::Ended {
                out,
                effects,
                executed: self.runner.executed - before,
            },
            Err(_) if self.runner.given_up => Ahead::GivenUp,
            _ => Ahead::Failed,
        }
    }
}
