//! What a run records for its timeline, in bounded memory.

use crate::engine::Cycle;
use crate::gpu::{ChipCounters, UnitCounts};
use bincode::{Decode, Encode};

/// Samples kept; of more, every other one is dropped and the interval doubles.
const SAMPLES_MAX: usize = 32_768;
/// CTAs kept.
const CTAS_MAX: usize = 1_000_000;

/// One sample of the timeline.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Sample {
    /// Cycle.
    pub at: Cycle,
    /// Counters so far.
    pub counters: ChipCounters,
    /// What each unit has done so far.
    pub units: UnitCounts,
    /// Resident warps.
    pub warps: u32,
}

/// A CTA's life, for the timeline.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct CtaSpan {
    /// Kernel, as an index into the run's kernels.
    pub kernel: usize,
    /// CTA number.
    pub cta: u64,
    /// SM.
    pub sm: u16,
    /// First and last cycle.
    pub span: (Cycle, Cycle),
}

/// Samples and CTAs of a run.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Timeline {
    /// Cycles between samples; none are taken without.
    interval: Option<Cycle>,
    cta_times: bool,
    next: Cycle,
    /// Samples in order of time.
    pub samples: Vec<Sample>,
    /// CTAs in order of their end.
    pub ctas: Vec<CtaSpan>,
    /// CTAs that ended after so many had been recorded that no more were.
    pub ctas_left_out: u64,
}

impl Timeline {
    /// A recorder that samples every `interval` cycles, if any, and records the times of CTAs with that or by
    /// itself.
    pub fn new(interval: Option<Cycle>, cta_times: bool) -> Self {
        Timeline {
            interval,
            cta_times: cta_times || interval.is_some(),
            ..Timeline::default()
        }
    }

    /// Whether the times of CTAs are recorded.
    pub fn wanted(&self) -> bool {
        self.cta_times
    }

    /// Takes a sample at `at` if one is due: the chip's counters, and those of its units.
    pub fn sample(
        &mut self,
        at: Cycle,
        warps: u32,
        counters: impl FnOnce() -> (ChipCounters, UnitCounts),
    ) {
        let Some(interval) = self.interval else {
            return;
        };
        if at < self.next {
            return;
        }
        self.next = at + interval;
        let (counters, units) = counters();
        self.samples.push(Sample {
            at,
            counters,
            units,
            warps,
        });
        if self.samples.len() == SAMPLES_MAX {
            let mut odd = true;
            self.samples.retain(|_| {
                odd = !odd;
                !odd
            });
            self.interval = Some(interval * 2);
        }
    }

    /// Notes a CTA that ended.
    pub fn cta(&mut self, span: CtaSpan) {
        if self.ctas.len() < CTAS_MAX {
            self.ctas.push(span);
        } else {
            self.ctas_left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_few_samples_over_its_whole_length() {
        let mut timeline = Timeline::new(Some(10), false);
        let end = 100 * 10 * SAMPLES_MAX as Cycle;
        for at in (0..end).step_by(10) {
            timeline.sample(at, 1, Default::default);
        }
        let samples = &timeline.samples;
        assert!((SAMPLES_MAX / 2..SAMPLES_MAX).contains(&samples.len()));
        assert_eq!(samples[0].at, 0);
        assert!(end - samples[samples.len() - 1].at <= end / (SAMPLES_MAX as Cycle / 2));
        assert!(samples.is_sorted_by(|a, b| a.at < b.at));
    }

    #[test]
    fn nothing_is_sampled_unasked_and_ctas_are_bounded() {
        let mut timeline = Timeline::new(None, false);
        timeline.sample(0, 0, || unreachable!("no timeline was asked for"));
        assert!(!timeline.wanted());
        let span = CtaSpan {
            kernel: 0,
            cta: 0,
            sm: 0,
            span: (0, 1),
        };
        (0..CTAS_MAX + 3).for_each(|_| timeline.cta(span));
        assert_eq!((timeline.ctas.len(), timeline.ctas_left_out), (CTAS_MAX, 3));
    }
}
