//! A team of threads that runs the same phases together.
//!
//! Shards are independent within a phase, so which thread runs which shard cannot change a result;
//! threads take shards from a shared counter to balance load.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

/// A barrier that the same threads use again and again. A waiting thread spins for a while and then sleeps.
pub struct Team {
    threads: usize,
    /// Threads that wait at the barrier now.
    arrived: AtomicUsize,
    /// How often the barrier has opened. A waiting thread goes on when this number changes.
    generation: AtomicUsize,
    /// Threads that sleep because spinning took too long.
    sleepers: Mutex<usize>,
    wake: Condvar,
    broken: AtomicBool,
    spins: u32,
}

/// Held by each thread of a team while it works. If the thread panics, dropping this guard breaks the barrier, so
/// that the other threads stop too instead of waiting for ever.
pub struct Member<'a>(&'a Team);

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::SeqCst);
            self.0.generation.fetch_add(1, Ordering::SeqCst);
            self.0.wake.notify_all();
        }
    }
}

/// How the tasks of one phase are dealt to the threads of a team. Each thread has a share of its own, the same one
/// in every phase, so that the state behind its tasks stays in its processor's cache. A thread that has finished its
/// share takes tasks from the shares of the others.
pub struct Deal {
    tasks: usize,
    /// The next task of each share that nobody has taken.
    next: Vec<AtomicUsize>,
}

impl Deal {
    /// `tasks` tasks for `threads` threads.
    pub fn new(tasks: usize, threads: usize) -> Self {
        Deal {
            tasks,
            next: (0..threads.max(1)).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Makes all tasks open again, for the next phase. To be called by one thread, while no other works.
    pub fn reset(&self) {
        for (share, next) in self.next.iter().enumerate() {
            next.store(self.start(share), Ordering::Relaxed);
        }
    }

    fn start(&self, share: usize) -> usize {
        share * self.tasks / self.next.len()
    }

    /// Runs open tasks on thread `thread` until there are none.
    pub fn work(&self, thread: usize, mut run: impl FnMut(usize)) {
        let shares = self.next.len();
        for share in (thread..thread + shares).map(|s| s % shares) {
            let end = self.start(share + 1);
            loop {
                let task = self.next[share].fetch_add(1, Ordering::Relaxed);
                if task >= end {
                    break;
                }
                run(task);
            }
        }
    }
}

/// How often a waiting thread looks at the barrier before it sleeps, when there is a processor for each thread.
const SPINS: u32 = 4000;

impl Team {
    /// A team of `threads` (at least one).
    pub fn new(threads: usize) -> Self {
        Team {
            threads: threads.max(1),
            arrived: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
            broken: AtomicBool::new(false),
            spins: match std::thread::available_parallelism() {
                // A thread that spins keeps the one that it waits for from running.
                Ok(processors) if processors.get() < threads => 0,
                _ => SPINS,
            },
        }
    }

    /// How many threads have to meet at the barrier.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Joins the team for the life of the guard.
    pub fn join(&self) -> Member<'_> {
        Member(self)
    }

    /// Waits until every thread of the team has called this. The last one to arrive runs `serial` while all
    /// others wait; then all go on.
    pub fn barrier(&self, serial: impl FnOnce()) {
        let generation = self.generation.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            serial();
            self.arrived.store(0, Ordering::Relaxed);
            let sleepers = self.sleepers.lock().unwrap_or_else(|e| e.into_inner());
            self.generation.fetch_add(1, Ordering::Release);
            let anybody = *sleepers > 0;
            drop(sleepers);
            // Waking is a system call even when no thread sleeps.
            if anybody {
                self.wake.notify_all();
            }
            return;
        }
        for _ in 0..self.spins {
            if self.generation.load(Ordering::Acquire) != generation {
                return self.check();
            }
            std::hint::spin_loop();
        }
        let mut sleepers = self.sleepers.lock().unwrap_or_else(|e| e.into_inner());
        *sleepers += 1;
        while self.generation.load(Ordering::Acquire) == generation {
            sleepers = self.wake.wait(sleepers).unwrap_or_else(|e| e.into_inner());
        }
        *sleepers -= 1;
        drop(sleepers);
        self.check();
    }

    fn check(&self) {
        assert!(
            !self.broken.load(Ordering::SeqCst),
            "another thread of the team failed"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_whoever_comes() {
        for (tasks, threads) in [(0, 3), (1, 4), (80, 1), (80, 3), (7, 16)] {
            let deal = Deal::new(tasks, threads);
            for _ in 0..2 {
                deal.reset();
                let mut seen = vec![0; tasks];
                deal.work(threads / 2, |t| seen[t] += 1);
                deal.work(0, |t| seen[t] += 1);
                assert!(seen.iter().all(|n| *n == 1));
            }
        }
    }

    #[test]
    fn the_last_to_arrive_works_alone() {
        let team = Team::new(3);
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 1..200 {
                        team.barrier(|| {
                            count.fetch_add(1, Ordering::SeqCst);
                        });
                        assert_eq!(count.load(Ordering::SeqCst), round);
                        team.barrier(|| {});
                    }
                });
            }
        });
    }
}
