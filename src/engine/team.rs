//! A team of threads that runs the same phases together.
//!
//! Shards are independent within a phase, so which thread runs which shard cannot change a result;
//! threads take shards from a shared counter to balance load.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

/// A reusable barrier that spins for a while and then sleeps, and a work counter per phase.
pub struct Team {
    threads: usize,
    arrived: AtomicUsize,
    generation: AtomicUsize,
    sleepers: Mutex<()>,
    wake: Condvar,
    broken: AtomicBool,
}

/// Set while a thread runs its shards; breaks the barrier when the thread panics, so that the
/// others stop instead of waiting for ever.
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

/// Spins before a waiting thread gives its processor away.
const SPINS: u32 = 4000;

impl Team {
    /// A team of `threads` (at least one).
    pub fn new(threads: usize) -> Self {
        Team {
            threads: threads.max(1),
            arrived: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
            sleepers: Mutex::new(()),
            wake: Condvar::new(),
            broken: AtomicBool::new(false),
        }
    }

    /// Threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Joins the team for the life of the guard.
    pub fn join(&self) -> Member<'_> {
        Member(self)
    }

    /// Waits until every thread is here. The last to arrive runs `serial` alone before the others go
    /// on.
    pub fn barrier(&self, serial: impl FnOnce()) {
        let generation = self.generation.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            serial();
            self.arrived.store(0, Ordering::Relaxed);
            let guard = self.sleepers.lock().unwrap_or_else(|e| e.into_inner());
            self.generation.fetch_add(1, Ordering::Release);
            drop(guard);
            self.wake.notify_all();
            return;
        }
        for _ in 0..SPINS {
            if self.generation.load(Ordering::Acquire) != generation {
                return self.check();
            }
            std::hint::spin_loop();
        }
        let mut guard = self.sleepers.lock().unwrap_or_else(|e| e.into_inner());
        while self.generation.load(Ordering::Acquire) == generation {
            guard = self.wake.wait(guard).unwrap_or_else(|e| e.into_inner());
        }
        drop(guard);
        self.check();
    }

    fn check(&self) {
        assert!(
            !self.broken.load(Ordering::SeqCst),
            "another thread of the team failed"
        );
    }
}
