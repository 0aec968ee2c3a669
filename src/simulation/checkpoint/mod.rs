//! A run of several kernels that can go on where another process left it.
//!
//! State is kept where no kernel is on the chip and the next one has not been launched: nothing is in flight between
//! SMs and L2 then, and what still is (written-back lines on their way to DRAM, refreshes, rows that are open) is part
//! of the state. A run that goes on from there is the same run: it gives the same report, at any number of threads.

mod file;
mod held;

pub(super) use file::{Decoder, Encoder};
pub(super) use held::Held;

use super::Options;
use crate::engine::state::{Loaded, Saved};
use crate::error::Result;
use crate::hash::ContentHash;
use crate::trace::Workload;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Unless another interval is asked for, a run spends at most one part in so many on its checkpoints.
const SHARE: u32 = 20;
/// And this is the least time between two of them.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Where a run keeps its state, and when.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The file. When it is there, the run goes on from it.
    pub file: PathBuf,
    /// Version of the machine's behaviour.
    pub model: u32,
    /// Hash of the machine's configuration.
    pub machine: String,
    /// Least time between two writes; 0 for a write between any two kernels. By default the 19 parts of 20 that are
    /// not spent on writing, and at least a second.
    pub every: Option<Duration>,
    /// Ends the run, as if it had been interrupted, at the boundary of this number, from 1; the state is written there.
    /// For work in slices.
    pub stop_at: Option<u64>,
}

/// What a run does about its checkpoint.
pub(super) struct Keeper<'a> {
    checkpoint: &'a Checkpoint,
    run: ContentHash,
    begun: Instant,
    written: Instant,
    interval: Duration,
    boundaries: u64,
}

impl<'a> Keeper<'a> {
    /// For a run of `workload` with `options`.
    pub(super) fn new(checkpoint: &'a Checkpoint, workload: &Workload, options: &Options) -> Self {
        let now = Instant::now();
        Keeper {
            checkpoint,
            run: identity(checkpoint, workload, options),
            begun: now,
            written: now,
            interval: checkpoint.every.unwrap_or(INTERVAL_MIN),
            boundaries: 0,
        }
    }

    /// Since this process began with the run.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Between two kernels: writes the state that `body` gives, if it is time to. Returns whether the run is to end
    /// here.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn boundary(&mut self, body: impl FnOnce(&mut Encoder) -> Saved) -> Result<bool> {
        self.boundaries += 1;
        let stop = self.checkpoint.stop_at == Some(self.boundaries);
        if stop || self.written.elapsed() >= self.interval {
            let begun = Instant::now();
            file::write(self.checkpoint, self.run, body)?;
            self.written = Instant::now();
            let share = (self.written - begun) * (SHARE - 1);
            self.interval = self.checkpoint.every.unwrap_or(share.max(INTERVAL_MIN));
        }
        Ok(stop)
    }

    /// Hands the state that is kept to `body`; whether there was any.
    ///
    /// # Errors
    /// A file that is no checkpoint of this run, or a damaged one.
    pub(super) fn resume(&self, body: impl FnOnce(&mut Decoder) -> Loaded) -> Result<bool> {
        file::read(self.checkpoint, self.run, body)
    }
}

/// The hash of everything that a report depends on. Threads are not among it.
fn identity(checkpoint: &Checkpoint, workload: &Workload, options: &Options) -> ContentHash {
    let mut hash = ContentHash::default();
    hash.bytes(checkpoint.machine.as_bytes());
    hash.bytes(workload.hash.as_bytes());
    hash.bytes(workload.source.as_bytes());
    let kernel = options.kernel.as_ref().map_or("", |k| k.as_str());
    hash.bytes(kernel.as_bytes());
    for number in [options.max_cycles, options.timeline] {
        hash.word(u64::from(number.is_some()));
        hash.word(number.unwrap_or(0));
    }
    hash.word(u64::from(options.kernel.is_some()));
    hash.word(u64::from(options.cta_times));
    hash.word(u64::from(options.no_skip));
    hash.word(options.watchdog_cycles);
    hash
}
