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
mod estimate;
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
    KernelRun, Options, Provenance, ProvenanceKind, RunResult, Stopped, Timeline,
};
use crate::stats::{ChipCounters, Label, UnitCounters};
use crate::trace::{Command, Kernel, Workload};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// How a kernel is sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The widest relative half width of the confidence interval (95 %) that is extrapolated with.
    pub ci: f64,
    /// Work to simulate for a kernel, warp instructions and four for each sector that they ask of L2: with less it is run
    /// as a whole, with more a part is cut out that has about so much.
    pub budget: u64,
    /// Work up to which a larger part, or the whole kernel, is rather run than extrapolated with too wide an interval.
    pub patience: u64,
}

impl Settings {
    /// For a kernel whose time is worth half a minute of simulation, where a part says too little.
    pub fn patient() -> Self {
        Settings {
            budget: 40_000_000,
            patience: 300_000_000,
            ..Settings::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            ci: 0.02,
            budget: 12_000_000,
            patience: 32_000_000,
        }
    }
}

/// Kernels whose accesses are looked at before a kernel is run: more than L2 remembers, unless they are tiny.
const BEFORE: usize = 6;

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
}
