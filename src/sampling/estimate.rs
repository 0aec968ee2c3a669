//! One kernel: which parts of it are run, and whether what they say will do.

use super::combine::{self, Measured, Runs};
use super::course::Course;
use super::plan::Shape;
use super::{Plan, Sampler, Settings, Trips};
use crate::config::GpuSpec;
use crate::error::Result;
use crate::occupancy::Occupancy;
use crate::probe::NoProbe;
use crate::simulation::{self, KernelRun, Options, Warm};
use crate::trace::{Command, Kernel, Part, PartIterations, Workload};

/// Of a part that takes more than this share of the whole kernel's work, the whole kernel is run, where that is affordable.
const WORTH: f64 = 0.5;
/// Of what a whole kernel may take, the share that a part may.
const PART: f64 = 0.25;
/// Times the bytes of L2 that a kernel moves when the time in which L2 fills no longer counts.
const SETTLED: f64 = 16.0;
/// Sectors that L2 writes back for one that it gets, from which on what others have left there counts.
const WRITTEN_BACK: f64 = 0.05;
/// Share of the time in which DRAM's buses carry data, from which on it counts.
const DRAM_BUSY: f64 = 0.2;
/// Times the bytes of L2 that a kernel fetches when what others have left there is gone for most of its time.
const TURNS: f64 = 2.0;

impl Sampler<'_> {
    /// The run of `kernel` behind `before`, from parts of it where they say enough.
    ///
    /// # Errors
    /// As a simulation's.
    pub(super) fn estimate(&self, kernel: &Kernel, before: &[&Kernel]) -> Result<KernelRun> {
        let shape = self.shape(kernel, before)?;
        let cuts = |plan: &Plan| {
            Ok(plan.trips != Trips::All || shape.looped() || !self.unsettled(kernel, &shape)?)
        };
        let wide = match self.by_parts(kernel, before, &shape, cuts)? {
            Some(run) if self.will_do(&run) => return Ok(run),
            Some(run) if shape.total_work() > self.settings.patience => {
                return Ok(self.stays_wide(run));
            }
            wide => wide,
        };
        let part = self.measure(kernel, kernel.clone(), before, 0, None)?;
        let mut run = part.run;
        run.provenance.note = wide.map(|run| {
            format!(
                "run as a whole: sampled, the interval was {:.1} % wide",
                100.0 * run.provenance.ci_rel
            )
        });
        Ok(run)
    }

    /// `kernel` behind `before`, as far as sampling needs to know it.
    pub(super) fn shape(&self, kernel: &Kernel, before: &[&Kernel]) -> Result<Shape> {
        let spec = &self.config.spec;
        let occupancy = Occupancy::new(&kernel.header, spec)?;
        let mut held = 0.0;
        for kernel in before {
            held += simulation::traffic(kernel, spec)?;
        }
        Shape::of(kernel, &occupancy, spec, held)
    }

    /// Whether the interval of `run` is as narrow as wanted, or it was stopped.
    pub(super) fn will_do(&self, run: &KernelRun) -> bool {
        run.partial || run.provenance.ci_rel <= self.settings.ci
    }

    /// `run` of a kernel that is too long to be run as a whole.
    pub(super) fn stays_wide(&self, mut run: KernelRun) -> KernelRun {
        run.provenance.note = Some(format!(
            "the interval stayed wider than {:.1} %, and the kernel is too long to be run as a whole",
            100.0 * self.settings.ci
        ));
        run
    }

    /// The parts of a kernel to run, one after the other until an interval is narrow enough: none whose interval cannot
    /// be, and none that takes nearly as long as the kernel, unless the kernel is too long for everything else.
    pub(super) fn plans(&self, shape: &Shape) -> Vec<Plan> {
        let Settings {
            ci,
            budget,
            patience,
        } = self.settings;
        let usual = Plan::new(shape, budget, 0);
        if usual.whole(shape) {
            return Vec::new();
        }
        let total = shape.total_work();
        let worth = (total as f64 * WORTH) as u64;
        let most = worth.min((patience as f64 * PART) as u64).max(budget);
        let mut plans = vec![usual, Plan::new(shape, most, 1)];
        plans.dedup();
        plans.retain(|plan| {
            !plan.whole(shape) && plan.least(shape) <= ci && plan.work(shape) <= worth
        });
        if plans.is_empty() && total > patience {
            plans.push(usual);
        }
        plans
    }

    /// `kernel` from parts of it: the first whose interval is narrow enough, or the last. Nothing where no part is to be
    /// cut, or none that `cuts` agrees to.
    pub(super) fn by_parts(
        &self,
        kernel: &Kernel,
        before: &[&Kernel],
        shape: &Shape,
        cuts: impl Fn(&Plan) -> Result<bool>,
    ) -> Result<Option<KernelRun>> {
        let mut wide = None;
        for plan in self.plans(shape) {
            if !cuts(&plan)? {
                break;
            }
            let run = self.extrapolate(kernel, before, shape, &plan)?;
            if self.will_do(&run) {
                return Ok(Some(run));
            }
            wide = Some(run);
        }
        Ok(wide)
    }

    /// Whether L2 is not yet full when the kernel begins, and fills during a good part of it: then its waves differ.
    fn unsettled(&self, kernel: &Kernel, shape: &Shape) -> Result<bool> {
        let spec = &self.config.spec;
        let l2 = spec.l2.bytes as f64;
        Ok(shape.fills > 0 && simulation::traffic(kernel, spec)? < SETTLED * l2)
    }

    fn extrapolate(
        &self,
        kernel: &Kernel,
        before: &[&Kernel],
        shape: &Shape,
        plan: &Plan,
    ) -> Result<KernelRun> {
        let spec = &self.config.spec;
        let first_cta = shape.ctas - plan.ctas;
        let every = match plan.trips {
            Trips::All => None,
            Trips::Some(_) => Some(sample_interval(plan.instructions(shape), spec)),
        };
        let iterations = match plan.trips {
            Trips::All => PartIterations::All,
            Trips::Some(run) => PartIterations::Some {
                run,
                most: shape.trips,
                wave: shape.wave,
            },
        };
        let cut = |before| {
            let iterations = iterations.clone();
            let part = Part {
                first_cta,
                iterations,
            };
            let part = kernel.part(part, plan.ctas);
            self.measure(kernel, part, before, first_cta, every)
        };
        let part = cut(before)?;
        let begin = match plan.begin {
            0 => None,
            ctas => {
                let first = Part {
                    first_cta: 0,
                    iterations: PartIterations::All,
                };
                Some(self.measure(kernel, kernel.part(first, ctas), before, 0, None)?)
            }
        };
        let alone = before.is_empty() || plan.trips == Trips::All;
        let settled = match !alone && self.settles_later(shape, plan, &part) {
            true => Some(cut(&[])?),
            false => None,
        };
        let runs = Runs {
            part,
            begin,
            settled,
        };
        Ok(combine::whole(kernel, shape, plan, &runs, spec))
    }

    /// Whether a part of a kernel replaces in L2 what others have written there, and the whole goes on for long when that is
    /// done: then the part is slower than what follows. Where DRAM has time to spare, it is not.
    fn settles_later(&self, shape: &Shape, plan: &Plan, part: &Measured) -> bool {
        let l2 = &part.run.counters.l2;
        let dram = &part.run.counters.dram;
        let filled = simulation::filled(&part.run);
        let whole = filled * shape.total() as f64 / plan.instructions(shape).max(1) as f64;
        dram.bus.data as f64 >= DRAM_BUSY * dram.cycles as f64
            && l2.writebacks as f64 >= WRITTEN_BACK * l2.fills as f64
            && whole >= TURNS * self.config.spec.l2.bytes as f64
    }

    /// Simulates `part` of `kernel`, whose first CTA is number `first_cta`, with a sample of how far SMs have come `every`
    /// so many cycles.
    fn measure(
        &self,
        kernel: &Kernel,
        part: Kernel,
        before: &[&Kernel],
        first_cta: u64,
        every: Option<u64>,
    ) -> Result<Measured> {
        let mut warm: Vec<Warm<'_>> = before
            .iter()
            .map(|kernel| Warm {
                kernel,
                ctas: 0..kernel.header.cta_count(),
            })
            .collect();
        warm.push(Warm {
            kernel,
            ctas: 0..first_cta,
        });
        let workload = Workload {
            commands: vec![Command::Launch(Box::new(part))],
            ..Workload::default()
        };
        let options = Options {
            stop: self.stop,
            memory_limit: self.memory_limit,
            warm,
            cta_times: true,
            timeline: every,
            ..Options::default()
        };
        let mut result = simulation::run::<NoProbe>(&workload, &self.config.spec, &options)?;
        let run = result.kernels.remove(0);
        let timeline = result.timeline;
        let mut ends: Vec<u64> = timeline.ctas.iter().map(|cta| cta.span.1).collect();
        ends.sort_unstable();
        let last_start = timeline.ctas.iter().map(|cta| cta.span.0).max();
        let sms = usize::from(self.config.spec.sms);
        let course = Course::new(&timeline.ctas, timeline.samples, sms);
        Ok(Measured {
            run,
            ends,
            last_start: last_start.unwrap_or(0),
            course,
        })
    }
}

/// Samples that a run of one instruction a cycle and SM is cut into.
const SAMPLES: u64 = 500;

/// Cycles between two samples of a run of so many warp instructions.
fn sample_interval(instructions: u64, spec: &GpuSpec) -> u64 {
    (instructions / u64::from(spec.sms.max(1)) / SAMPLES).max(16)
}
