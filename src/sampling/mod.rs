//! Kernels of which only a part is simulated, and the rest extrapolated.
//!
//! A part is cut out of a kernel in two ways ([`plan`]): CTAs, of which the last some waves are run, after the accesses
//! of the others have been left in L2; and iterations of the main loop of each CTA, of which some are run. The time of
//! a wave of CTAs comes from the times at which CTAs end ([`waves`]), the time of an iteration from the rate at which SMs
//! issue in the middle of their loops ([`course`]), and the whole from both, each with a confidence interval. When the
//! interval is wider than wanted, a larger part is run, in the end the whole kernel.
//!
//! Nothing is assumed about a kernel but that its CTAs, and the iterations of its loop, are alike.

mod alone;
mod combine;
mod course;
mod flow;
mod fluid;
mod memo;
mod plan;
mod throttle;
mod waves;

#[cfg(test)]
mod tests;

pub use memo::Memo;
pub use plan::{Plan, Trips};

use crate::config::{GpuSpec, Resolved};
use crate::error::{Error, Result};
use crate::occupancy::Occupancy;
use crate::power;
use crate::probe::NoProbe;
use crate::simulation::{
    self, KernelRun, Options, Provenance, ProvenanceKind, RunResult, Stopped, Timeline, Warm,
};
use crate::stats::{ChipCounters, Label, UnitCounters};
use crate::trace::{Command, Kernel, Part, PartIterations, Workload};
use combine::Measured;
use course::Course;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// How a kernel is sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The widest relative half width of the confidence interval (95 %) that is extrapolated with.
    pub ci: f64,
    /// Warp instructions to simulate for a kernel: with fewer it is run as a whole, with more a part is cut out that has
    /// about so many.
    pub budget: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            ci: 0.02,
            budget: 6_000_000,
        }
    }
}

/// Warp instructions of a kernel up to which it is rather run as a whole than extrapolated with too wide an interval.
const WHOLE_MAX: u64 = 60_000_000;
/// By how much the budget grows when the interval is too wide.
const GROWTH: u64 = 4;
/// Times the bytes of L2 that a kernel moves when the time in which L2 fills no longer counts.
const SETTLED: f64 = 16.0;
/// Kernels whose accesses are looked at before a kernel is run: more than L2 remembers, unless they are tiny.
const BEFORE: usize = 6;
/// Times that it grows.
const ATTEMPTS: u32 = 2;

/// Estimates the kernels of `workload`, one after the other, as the result of a run.
///
/// # Errors
/// As a simulation's; a workload whose kernels do more than follow each other.
pub fn run(
    config: &Resolved,
    workload: &Workload,
    options: &Options,
    settings: Settings,
    memo: &Memo,
) -> Result<RunResult<NoProbe>> {
    let begun = Instant::now();
    follow_each_other(workload)?;
    let sampler = Sampler {
        config,
        settings,
        stop: options.stop,
        memory_limit: options.memory_limit,
        memo,
        progress: options.progress,
    };
    let kernels: Vec<&Kernel> = wanted(workload, options).collect();
    let runs = sampler.run_all(&kernels, options.threads)?;
    let gap = u64::from(config.spec.launch.stream_gap);
    Ok(in_a_row(runs, gap, begun))
}

/// Refuses what sampling does not follow: kernels are estimated one behind the other, each behind what the kernels
/// before it have left in L2.
fn follow_each_other(workload: &Workload) -> Result<()> {
    let refuse = |what: &str| {
        let source = &workload.source;
        let what = format!("{source}: {what}, which sampling does not follow; use --fidelity full");
        Err(Error::Usage(what))
    };
    let copies = |command: &Command| matches!(command, Command::MemcpyHtoD { .. });
    if workload.commands.iter().any(copies) {
        return refuse("host copies leave their data in L2");
    }
    let mut streams = workload.launches().map(|kernel| kernel.header.stream);
    let first = streams.next();
    if streams.any(|stream| Some(stream) != first) {
        return refuse("kernels of several streams share the chip");
    }
    Ok(())
}

/// The launches of `workload` that `options` ask for.
fn wanted<'a>(workload: &'a Workload, options: &Options) -> impl Iterator<Item = &'a Kernel> {
    let regex = options.kernel.clone();
    let asked = move |name: &str| regex.as_ref().is_none_or(|r| r.is_match(name));
    workload.launches().filter(move |k| asked(&k.header.name))
}

/// `runs` one after the other, `gap` cycles apart. A part that was stopped says nothing of its kernel and is left out.
fn in_a_row(mut runs: Vec<KernelRun>, gap: u64, begun: Instant) -> RunResult<NoProbe> {
    let partial = runs.iter().any(|run| run.partial);
    runs.retain(|run| !run.partial);
    let mut start = 0;
    let mut counters = ChipCounters::default();
    for run in &mut runs {
        (run.start, run.end) = (start, start + (run.end - run.start));
        start = run.end + gap;
        counters += &run.counters;
    }
    RunResult {
        cycles: runs.last().map_or(0, |run| run.end),
        stopped: partial.then_some(Stopped::Interrupted),
        kernels: runs,
        wall_s: begun.elapsed().as_secs_f64(),
        quanta: 0,
        timeline: Timeline::default(),
        memcpys: 0,
        counters,
        units: UnitCounters::default(),
        translation: None,
        probe: NoProbe::default(),
    }
}

/// The bounds of the kernels of `workload`, one after the other, as the result of a run. Nothing is simulated: no counter
/// counts, and every issue slot is one without a warp.
///
/// # Errors
/// A kernel that was launched for no operator, of which nobody knows how much it has to do.
pub fn rooflines(
    config: &Resolved,
    workload: &Workload,
    options: &Options,
) -> Result<RunResult<NoProbe>> {
    let begun = Instant::now();
    let bounds = wanted(workload, options).map(|kernel| roofline(kernel, &config.spec));
    Ok(in_a_row(bounds.collect::<Result<_>>()?, 0, begun))
}

/// The bound of `kernel` in the form of a run.
fn roofline(kernel: &Kernel, spec: &GpuSpec) -> Result<KernelRun> {
    let seconds = kernel.roofline_s.ok_or_else(|| {
        let name = &kernel.header.name;
        Error::Usage(format!(
            "--fidelity roofline: {name} was launched for no operator, so its work is not known; use full or sampled"
        ))
    })?;
    let cycles = (seconds * f64::from(spec.core_clock_khz) * 1e3).ceil() as u64;
    let mut counters = ChipCounters::default();
    let slots = cycles * u64::from(spec.sm.sub_cores) * u64::from(spec.sms);
    counters.sm.issue.set(Label::NoWarp, slots);
    Ok(KernelRun {
        header: kernel.header.clone(),
        layer: kernel.layer,
        reason: kernel.reason.clone(),
        start: 0,
        end: cycles,
        warp_instructions: 0,
        thread_instructions: 0,
        occupancy: Occupancy::new(&kernel.header, spec)?,
        counters,
        overlapped: false,
        partial: false,
        unknown: Vec::new(),
        control_bits: false,
        provenance: Provenance {
            kind: ProvenanceKind::Roofline,
            simulated_fraction: 0.0,
            ci_rel: 0.0,
            note: None,
        },
        power: None,
    })
}

/// Samples kernels on one machine.
pub struct Sampler<'a> {
    /// The machine.
    pub config: &'a Resolved,
    /// How.
    pub settings: Settings,
    /// Set from outside to end every simulation with what there is.
    pub stop: Option<&'a AtomicBool>,
    /// Most memory of one simulated machine, bytes; by default half of the host's.
    pub memory_limit: Option<u64>,
    /// Estimates that were made before.
    pub memo: &'a Memo,
    /// Kernels done, for a progress display.
    pub progress: Option<&'a AtomicU64>,
}

impl Sampler<'_> {
    /// The run of `kernel` behind `before`, the kernels that ran last, the most recent at the end. Their accesses are in
    /// L2 when it begins.
    ///
    /// # Errors
    /// As a simulation's.
    pub fn run(&self, kernel: &Kernel, before: &[&Kernel]) -> Result<KernelRun> {
        let contents = memo::contents(&[before, &[kernel]].concat())?;
        self.run_as(
            &memo::key(self.config, &self.settings, &contents),
            kernel,
            before,
        )
    }

    /// The same under the key that it is remembered by, at the clock that the power of the board allows.
    fn run_as(&self, key: &str, kernel: &Kernel, before: &[&Kernel]) -> Result<KernelRun> {
        match power::governor(&self.config.spec) {
            None => self.remembered(key, kernel, before),
            Some(governor) => throttle::settled(self, &governor, key, kernel, before),
        }
    }

    /// The same at the clock of the configuration.
    fn remembered(&self, key: &str, kernel: &Kernel, before: &[&Kernel]) -> Result<KernelRun> {
        let spec = &self.config.spec;
        self.memo
            .get_or_run(key, kernel, spec, || self.estimate(kernel, before))
    }

    /// The runs of `kernels`, each behind those before it, on `jobs` threads. A run that is the same as one before it is
    /// made once, and says so.
    ///
    /// # Errors
    /// The first fault in the order of the kernels.
    pub fn run_all(&self, kernels: &[&Kernel], jobs: usize) -> Result<Vec<KernelRun>> {
        let from = |at: usize| at.saturating_sub(BEFORE);
        let contents = memo::contents(kernels)?;
        let key = |at| memo::key(self.config, &self.settings, &contents[from(at)..=at]);
        let keys: Vec<String> = (0..kernels.len()).map(key).collect();
        let mut first = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            first.entry(key).or_insert(at);
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
        let pool = pool.map_err(|e| Error::Run(format!("threads: {e}")))?;
        let one = |at: &usize| {
            let run = self.run_as(&keys[*at], kernels[*at], &kernels[from(*at)..*at]);
            if let Some(done) = self.progress {
                done.fetch_add(1, Ordering::Relaxed);
            }
            run
        };
        let mut distinct: Vec<usize> = first.values().copied().collect();
        distinct.sort_unstable();
        let runs: Vec<Result<KernelRun>> = pool.install(|| distinct.par_iter().map(one).collect());
        let mut made = BTreeMap::new();
        for (&at, run) in distinct.iter().zip(runs) {
            made.insert(at, run?);
        }
        let run_of = |at: usize| {
            let first = first[&keys[at]];
            let mut run = made[&first].clone();
            if first != at {
                run.header = kernels[at].header.clone();
                run.layer = kernels[at].layer;
                run.reason = kernels[at].reason.clone();
                run.provenance.kind = ProvenanceKind::Memo;
            }
            run
        };
        Ok((0..kernels.len()).map(run_of).collect())
    }

    fn estimate(&self, kernel: &Kernel, before: &[&Kernel]) -> Result<KernelRun> {
        let spec = &self.config.spec;
        let occupancy = Occupancy::new(&kernel.header, spec)?;
        let shape = plan::Shape::of(kernel, &occupancy, spec)?;
        let cuts = |plan: &Plan| Ok(plan.trips != Trips::All || !self.unsettled(kernel, before)?);
        let wide = match self.by_parts(kernel, before, &shape, cuts)? {
            Some(run) if self.will_do(&run) => return Ok(run),
            Some(run) if shape.total() > WHOLE_MAX => return Ok(self.stays_wide(run)),
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

    /// Whether the interval of `run` is as narrow as wanted, or it was stopped.
    fn will_do(&self, run: &KernelRun) -> bool {
        run.partial || run.provenance.ci_rel <= self.settings.ci
    }

    /// `run` of a kernel that is too long to be run as a whole.
    fn stays_wide(&self, mut run: KernelRun) -> KernelRun {
        run.provenance.note = Some(format!(
            "the interval stayed wider than {:.1} %, and the kernel is too long to be run as a whole",
            100.0 * self.settings.ci
        ));
        run
    }

    /// `kernel` from parts of it: the first whose interval is narrow enough, or the last. Nothing where no part is to be
    /// cut, or none that `cuts` agrees to.
    fn by_parts(
        &self,
        kernel: &Kernel,
        before: &[&Kernel],
        shape: &plan::Shape,
        cuts: impl Fn(&Plan) -> Result<bool>,
    ) -> Result<Option<KernelRun>> {
        let mut budget = self.settings.budget;
        let mut wide = None;
        for attempt in 0..ATTEMPTS {
            let plan = Plan::new(shape, budget, attempt);
            if plan.whole(shape) || !cuts(&plan)? {
                break;
            }
            let run = self.extrapolate(kernel, before, shape, &plan)?;
            if self.will_do(&run) {
                return Ok(Some(run));
            }
            // The interval of loops shrinks with the root of what is run: where that is not enough, more is run in vain.
            // That of waves is wide where waves differ, and more of them say how.
            let in_vain = matches!(plan.trips, Trips::Some(_))
                && run.provenance.ci_rel > self.settings.ci * (GROWTH as f64).sqrt();
            wide = Some(run);
            if in_vain {
                break;
            }
            budget = budget.saturating_mul(GROWTH);
        }
        Ok(wide)
    }

    /// Whether L2 is not yet full when the kernel begins, and fills during a good part of it: then its waves differ.
    fn unsettled(&self, kernel: &Kernel, before: &[&Kernel]) -> Result<bool> {
        let spec = &self.config.spec;
        let l2 = spec.l2.bytes as f64;
        let mut held = 0.0;
        for kernel in before {
            held += simulation::traffic(kernel, spec)?;
        }
        Ok(held < l2 && simulation::traffic(kernel, spec)? < SETTLED * l2)
    }

    fn extrapolate(
        &self,
        kernel: &Kernel,
        before: &[&Kernel],
        shape: &plan::Shape,
        plan: &Plan,
    ) -> Result<KernelRun> {
        let spec = &self.config.spec;
        let first_cta = shape.ctas - plan.ctas;
        let every = match plan.trips {
            Trips::All => None,
            Trips::Some(_) => Some(sample_interval(plan.instructions(shape), spec)),
        };
        let cut = |iterations| {
            let part = Part {
                first_cta,
                iterations,
            };
            self.measure(
                kernel,
                kernel.part(part, plan.ctas),
                before,
                first_cta,
                every,
            )
        };
        let part = match plan.trips {
            Trips::All => cut(PartIterations::All)?,
            Trips::Some(run) => cut(PartIterations::Some {
                run,
                most: shape.trips,
                wave: shape.wave,
            })?,
        };
        Ok(combine::whole(kernel, shape, plan, &part, spec))
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
        let sms = usize::from(self.config.spec.sms);
        let course = Course::new(&timeline.ctas, timeline.samples, sms);
        Ok(Measured { run, ends, course })
    }
}

/// Samples that a run of one instruction a cycle and SM is cut into.
const SAMPLES: u64 = 500;

/// Cycles between two samples of a run of so many warp instructions.
fn sample_interval(instructions: u64, spec: &GpuSpec) -> u64 {
    (instructions / u64::from(spec.sms.max(1)) / SAMPLES).max(16)
}
