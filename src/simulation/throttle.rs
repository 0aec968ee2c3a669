//! Power throttling: the highest core clock at which a kernel's average power is within the limit of the board.
//!
//! Clocks are tried by running the kernel: each run begins with the machine as the kernel found it. Which clock is tried
//! next follows from what was counted, so that the search is the same on any number of threads.

use super::{KernelRun, Options, RunResult, run_at};
use crate::config::GpuSpec;
use crate::engine::Cycle;
use crate::error::{Error, Result};
use crate::gpu::ChipCounters;
use crate::probe::{NoProbe, Probe};
use crate::trace::Workload;
use bincode::{Decode, Encode};

/// Average power, W, of what was counted in so many core cycles at a core clock in kHz.
pub type Watts = Box<dyn Fn(&ChipCounters, Cycle, u32) -> f64 + Send + Sync>;

/// What holds kernels within the limit of their board.
pub struct Governor {
    /// Core clocks, kHz, in ascending order; the last is that of the configuration.
    pub clocks: Vec<u32>,
    /// The limit, W.
    pub limit_w: u32,
    /// How power is found out.
    pub watts: Watts,
}

/// The clock that a kernel settled at.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Power {
    /// Core clock, kHz.
    pub clock_khz: u32,
    /// Average power at that clock, W; above the limit where the lowest clock is too fast.
    pub average_w: f64,
    /// Limit of the board, W.
    pub limit_w: u32,
    /// The clock is lower than that of the configuration.
    pub throttled: bool,
    /// Runs that it took to find the clock.
    pub runs: u32,
}

/// At which clocks the kernels of a run are.
#[derive(Clone, Copy)]
pub(super) enum Clocks<'a> {
    /// At that of the configuration.
    Configured,
    /// At those that a search finds.
    Search(&'a Governor),
    /// At those of the same kernels in an earlier run.
    Known(&'a [KernelRun]),
}

/// What comes after a run of a kernel.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Another one, at [`Search::clock_khz`].
    Again,
    /// Nothing: this is the clock. Whether the last run was the one at that clock.
    Found(Power, bool),
}

/// Clocks that are tried where the power that was counted would be at the limit if the kernel took as many cycles there;
/// from then on the interval is halved.
const AIMED: u32 = 4;

/// The search for a kernel's clock, among those of a governor.
pub struct Search<'a> {
    governor: &'a Governor,
    /// The clock of the present run.
    at: usize,
    /// The highest clock that was found to be within the limit, and its power.
    within: Option<(usize, f64)>,
    /// The lowest one that was found to be above it; beyond the last one in the beginning.
    above: usize,
    runs: u32,
}

impl<'a> Search<'a> {
    /// Begins with the clock of the configuration.
    pub fn new(governor: &'a Governor) -> Self {
        let count = governor.clocks.len();
        assert!(count > 0, "a board has a clock");
        Search {
            governor,
            at: count - 1,
            within: None,
            above: count,
            runs: 0,
        }
    }

    /// The clock of the present run, kHz.
    pub fn clock_khz(&self) -> u32 {
        self.governor.clocks[self.at]
    }

    /// Whether the last run was within the limit.
    pub fn was_within(&self, at_khz: u32) -> bool {
        let within = self.within.map(|(at, _)| self.governor.clocks[at]);
        within == Some(at_khz)
    }

    /// The present run has come to its end, after `cycles` in which `counters` were counted.
    pub fn ran(&mut self, counters: &ChipCounters, cycles: Cycle) -> Next {
        let watts = |at: usize| (self.governor.watts)(counters, cycles, self.governor.clocks[at]);
        let (at, taken) = (self.at, watts(self.at));
        let fits = |watts: f64| watts <= f64::from(self.governor.limit_w);
        self.runs += 1;
        if fits(taken) {
            self.within = Some((at, taken));
        } else {
            self.above = at;
        }
        let first = self.within.map_or(0, |(at, _)| at + 1);
        match self.within {
            Some((found, watts)) if first == self.above => {
                return Next::Found(self.power(found, watts), found == at);
            }
            None if self.above == 0 => return Next::Found(self.power(0, taken), true),
            _ => {}
        }
        let open = self.above - first;
        self.at = first
            + match self.runs < AIMED {
                true => {
                    let open: Vec<usize> = (first..self.above).collect();
                    let below = open.partition_point(|at| fits(watts(*at)));
                    below.saturating_sub(1)
                }
                false => open / 2,
            };
        Next::Again
    }

    /// That of a run which does not come to its end.
    pub fn broken_off(&self, counters: &ChipCounters, cycles: Cycle) -> Power {
        let watts = (self.governor.watts)(counters, cycles, self.clock_khz());
        Power {
            runs: self.runs + 1,
            ..self.power(self.at, watts)
        }
    }

    fn power(&self, at: usize, average_w: f64) -> Power {
        Power {
            clock_khz: self.governor.clocks[at],
            average_w,
            limit_w: self.governor.limit_w,
            throttled: at + 1 < self.governor.clocks.len(),
            runs: self.runs,
        }
    }
}

/// Runs `workload` on `spec`, each kernel at the clock that `governor` allows. What a probe sees is of that clock alone: one
/// that cannot forget what it saw watches a second run, whose clocks are known.
///
/// # Errors
/// As [`super::run`]; what is asked for besides and does not go with clocks that change.
pub fn run<P: Probe + Sync>(
    workload: &Workload,
    spec: &GpuSpec,
    options: &Options,
    governor: &Governor,
) -> Result<RunResult<P>> {
    allowed(options)?;
    if P::default().save().is_some() {
        return run_at::<P>(workload, spec, options, Clocks::Search(governor));
    }
    let found = run_at::<NoProbe>(workload, spec, options, Clocks::Search(governor))?;
    run_at::<P>(workload, spec, options, Clocks::Known(&found.kernels))
}

fn allowed(options: &Options) -> Result<()> {
    let refused = |what: &str| {
        Err(Error::Usage(format!(
            "{what}; leave it out, or set power.throttle=false"
        )))
    };
    if options.checkpoint.is_some() {
        return refused(
            "--checkpoint: a run with power.throttle=true has no checkpoints, since kernels run again to find their clocks",
        );
    }
    if options.timeline.is_some() {
        return refused(
            "--timeline and --over-time: samples over time have one clock, and with power.throttle=true each kernel has its own",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
