//! The host side of throttling: kernels that run again from the state that they found.
//!
//! What shares the chip shares its clock: the search is for all kernels between two moments at which nothing runs.

use super::{Host, Launched};
use crate::config::GpuSpec;
use crate::engine::{ClockRatio, Cycle, State};
use crate::error::Result;
use crate::gpu::{ChipCounters, ChipStage, Gpu};
use crate::probe::Probe;
use crate::simulation::checkpoint::Held;
use crate::simulation::throttle::{Clocks, Next, Search};

/// The state of chip and host between two kernels.
struct Moment {
    state: Held,
    /// The clock of DRAM, which is no part of the state: the configuration has it where clocks stay.
    dram_clock: ClockRatio,
    /// The quantum that is next.
    next: u64,
}

/// Kernels that are on the chip together, from the moment before they were launched.
struct Together<'a> {
    /// The first of them, in order of start.
    first: usize,
    /// Counters at its start.
    before: ChipCounters,
    begin: Moment,
    search: Search<'a>,
    /// Behind the run at the highest clock that was within the limit.
    within: Option<Moment>,
}

/// Clocks of kernels, and those that are being looked for.
pub(in crate::simulation) struct Throttle<'a> {
    clocks: Clocks<'a>,
    together: Option<Together<'a>>,
    /// The clock that comes, kHz, and the core cycle from which on it holds.
    due: Option<(u32, Cycle)>,
    /// The machine is back at an earlier moment: the quantum that is next there.
    again: Option<u64>,
}

impl<'a> Throttle<'a> {
    pub(in crate::simulation) fn new(clocks: Clocks<'a>) -> Self {
        Throttle {
            clocks,
            together: None,
            due: None,
            again: None,
        }
    }

    /// The chip goes on at `begin`; what was skipped on the way there held nothing.
    pub(super) fn goes_on<P: Probe + Sync, S: ChipStage>(&mut self, gpu: &Gpu<P, S>, begin: Cycle) {
        if let Some((clock, from)) = self.due.take_if(|(_, from)| begin >= *from) {
            gpu.set_core_clock(clock, from);
        }
    }
}

impl<'a> Host<'a> {
    /// Launches kernels and retires them before quantum number `next`. The quantum to go on with: that one, or an earlier one
    /// where kernels run again.
    ///
    /// # Errors
    /// A kernel that does not fit the machine; a state that cannot be kept.
    pub(super) fn turn<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
        programs: &mut Vec<Launched>,
        mut next: u64,
    ) -> Result<u64> {
        self.launch_and_retire(gpu, programs, next * gpu.quantum())?;
        while let Some(again) = self.throttle.again.take() {
            next = again;
            self.ended_at = next * gpu.quantum();
            self.launch_and_retire(gpu, programs, self.ended_at)?;
        }
        Ok(next)
    }

    /// A kernel starts at `start`, behind `counters`, on a chip on which no other one is. From the next quantum on it has its
    /// clock.
    pub(super) fn starts_alone<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
        start: Cycle,
        counters: &ChipCounters,
    ) {
        let clock = match (self.throttle.clocks, &mut self.throttle.together) {
            (Clocks::Known(kernels), _) => {
                let known = kernels.get(self.kernels.len());
                let power = known.and_then(|kernel| kernel.power.as_ref());
                power.map_or(self.spec.core_clock_khz, |power| power.clock_khz)
            }
            (Clocks::Search(_), Some(together)) => {
                together.before = *counters;
                together.search.clock_khz()
            }
            _ => return,
        };
        self.throttle.due = Some((clock, start.next_multiple_of(gpu.quantum())));
    }

    /// Before kernels are launched on a chip on which none is: what is needed to go back here is kept.
    ///
    /// # Errors
    /// A probe that cannot be kept.
    pub(super) fn before_launch<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
        at: Cycle,
    ) -> Result<()> {
        let Clocks::Search(governor) = self.throttle.clocks else {
            return Ok(());
        };
        let more = self.next_command < self.commands.len();
        if more && self.running.is_empty() && self.throttle.together.is_none() {
            self.throttle.together = Some(Together {
                first: self.kernels.len(),
                before: ChipCounters::default(),
                begin: self.moment(gpu, at)?,
                search: Search::new(governor),
                within: None,
            });
        }
        Ok(())
    }

    /// After kernels have ended: where none is left, their clock is looked at. True when the machine went back: to run them
    /// again, or to the end of an earlier run of them.
    ///
    /// # Errors
    /// A probe that cannot be kept.
    pub(super) fn after_kernels<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
        at: Cycle,
    ) -> Result<bool> {
        if !self.running.is_empty() {
            return Ok(false);
        }
        if let Clocks::Known(kernels) = self.throttle.clocks {
            for (run, known) in self.kernels.iter_mut().zip(kernels) {
                run.power.clone_from(&known.power);
            }
        }
        let Some(mut together) = self.throttle.together.take() else {
            return Ok(false);
        };
        let (counters, cycles) = self.counted(&together, gpu);
        let clock = together.search.clock_khz();
        match together.search.ran(&counters, cycles) {
            Next::Again => {
                if together.search.was_within(clock) {
                    together.within = Some(self.moment(gpu, at)?);
                }
                self.go_back(gpu, &together.begin)?;
                self.throttle.together = Some(together);
                Ok(true)
            }
            Next::Found(power, last) => {
                if !last && let Some(within) = &together.within {
                    self.go_back(gpu, within)?;
                }
                for run in &mut self.kernels[together.first..] {
                    run.power = Some(power.clone());
                }
                Ok(!last)
            }
        }
    }

    /// Kernels that did not come to their end have the clock that they were at.
    pub(in crate::simulation) fn broken_off<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
    ) {
        let Some(together) = self.throttle.together.take() else {
            return;
        };
        let (counters, cycles) = self.counted(&together, gpu);
        let power = together.search.broken_off(&counters, cycles);
        for run in &mut self.kernels[together.first..] {
            run.power = Some(power.clone());
        }
    }

    /// What was counted while `together` ran, and in how many cycles.
    fn counted<P: Probe + Sync, S: ChipStage>(
        &self,
        together: &Together,
        gpu: &Gpu<P, S>,
    ) -> (ChipCounters, Cycle) {
        let end = self.kernels[together.first..].iter().map(|k| k.end).max();
        let counters = gpu.counters(end.unwrap_or(0), true).since(&together.before);
        (counters, cycles_of(&counters, self.spec))
    }

    fn moment<P: Probe + Sync, S: ChipStage>(&self, gpu: &Gpu<P, S>, at: Cycle) -> Result<Moment> {
        let state = Held::of(|to| {
            self.save(to)?;
            gpu.save(to)
        })?;
        Ok(Moment {
            state,
            dram_clock: gpu.dram_clock(),
            next: at / gpu.quantum(),
        })
    }

    fn go_back<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
        to: &Moment,
    ) -> Result<()> {
        to.state.back(|from| {
            self.load(from)?;
            gpu.load(from)
        })?;
        gpu.set_dram_clock(to.dram_clock);
        self.throttle.due = None;
        self.throttle.again = Some(to.next);
        Ok(())
    }
}

/// Core cycles in which `counters` were counted.
fn cycles_of(counters: &ChipCounters, spec: &GpuSpec) -> Cycle {
    let lanes = u64::from(spec.sm.sub_cores) * u64::from(spec.sms);
    counters.sm.issue.total() / lanes
}
