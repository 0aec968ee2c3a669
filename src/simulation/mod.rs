//! The host side of a run: commands in program order, kernels on the chip, threads, and what stops a
//! run.

use crate::config::GpuSpec;
use crate::engine::{Cycle, Team};
use crate::error::Result;
use crate::gpu::{BuildStage, ChipCounters, ChipStage, Gpu, OrdinaryStage, TlbStats, UnitCounters};
use crate::ids::LayerId;
use crate::occupancy::Occupancy;
use crate::probe::{Instruments, Probe};
use crate::trace::{Kernel, KernelHeader, Workload};
use bincode::{Decode, Encode};
pub use checkpoint::Checkpoint;
use host::{Host, Throttle};
use regex::Regex;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;
use throttle::{Clocks, Power};
pub use timeline::{CtaSpan, Sample, Timeline};
pub use warm::{filled, replaces, traffic};

mod checkpoint;
mod host;
mod memory;
pub mod throttle;
mod timeline;
mod warm;

/// How to run.
pub struct Options<'a> {
    /// Threads, at least one.
    pub threads: usize,
    /// Stop after this many core cycles.
    pub max_cycles: Option<Cycle>,
    /// Visit every cycle.
    pub no_skip: bool,
    /// Only kernels whose name matches.
    pub kernel: Option<Regex>,
    /// Set from outside to stop the run with what there is.
    pub stop: Option<&'a AtomicBool>,
    /// CTAs done, for a progress display.
    pub progress: Option<&'a AtomicU64>,
    /// Record a timeline with samples this many cycles apart.
    pub timeline: Option<Cycle>,
    /// Most memory that the machine may take, bytes; by default half of the host's.
    pub memory_limit: Option<u64>,
    /// CTAs whose accesses are in L2 when the run begins, kernel after kernel, as if they had been run before.
    pub warm: Vec<Warm<'a>>,
    /// Record when CTAs start and end, and nothing else of a timeline.
    pub cta_times: bool,
    /// The instruments that are on.
    pub instruments: Instruments,
    /// Cycles without progress after which the run is declared stuck.
    pub watchdog_cycles: Cycle,
    /// Keep the state between kernels, and go on from it.
    pub checkpoint: Option<Checkpoint>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            threads: 1,
            max_cycles: None,
            no_skip: false,
            kernel: None,
            stop: None,
            progress: None,
            timeline: None,
            memory_limit: None,
            warm: Vec::new(),
            cta_times: false,
            instruments: Instruments::default(),
            watchdog_cycles: 4_000_000,
            checkpoint: None,
        }
    }
}

/// CTAs of a kernel.
#[derive(Clone)]
pub struct Warm<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Which.
    pub ctas: Range<u64>,
}

/// Why a run ended before its workload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// `--max-cycles`.
    MaxCycles,
    /// Interrupted by the user.
    Interrupted,
}

/// One kernel's run.
#[derive(Clone, Debug, Encode, Decode)]
pub struct KernelRun {
    /// Launch.
    pub header: KernelHeader,
    /// The layer of the workload that it belongs to.
    pub layer: Option<LayerId>,
    /// Why it was chosen for its operator.
    pub reason: Option<Arc<str>>,
    /// Start, as a profiler sees it.
    pub start: Cycle,
    /// End.
    pub end: Cycle,
    /// Warp instructions of this kernel.
    pub warp_instructions: u64,
    /// Thread instructions of this kernel.
    pub thread_instructions: u64,
    /// Occupancy.
    pub occupancy: Occupancy,
    /// Counters from start to end; with overlapping kernels those of all that ran meanwhile.
    pub counters: ChipCounters,
    /// Another kernel ran at the same time.
    pub overlapped: bool,
    /// It did not end.
    pub partial: bool,
    /// Mnemonics that the opcode table does not know, with dynamic counts.
    pub unknown: Vec<(String, u64)>,
    /// The code has control bits.
    pub control_bits: bool,
    /// How much of it was simulated.
    pub provenance: Provenance,
    /// The clock that it settled at; nothing where clocks stay where the configuration has them.
    pub power: Option<Power>,
}

/// Where a kernel's numbers come from.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Provenance {
    /// How they were made.
    pub kind: ProvenanceKind,
    /// Warp instructions simulated, of those that it has.
    pub simulated_fraction: f64,
    /// Relative half width of the confidence interval of its cycles; 0 when nothing is estimated.
    pub ci_rel: f64,
    /// What else should be known, in a sentence.
    pub note: Option<String>,
}

impl Provenance {
    /// Every cycle was simulated.
    pub const FULL: Provenance = Provenance {
        kind: ProvenanceKind::Full,
        simulated_fraction: 1.0,
        ci_rel: 0.0,
        note: None,
    };
}

/// How numbers were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ProvenanceKind {
    /// Every cycle was simulated.
    Full,
    /// Taken from a run of the same kernel on the same machine in the same state.
    Memo,
    /// Part of it was simulated, and the rest extrapolated.
    Sampled,
    /// A bound from peak rates; nothing was simulated.
    Roofline,
}

impl ProvenanceKind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            ProvenanceKind::Full => "full",
            ProvenanceKind::Memo => "memo",
            ProvenanceKind::Sampled => "sampled",
            ProvenanceKind::Roofline => "roofline",
        }
    }
}

/// What a run left.
pub struct RunResult<P> {
    /// Kernels in order of start.
    pub kernels: Vec<KernelRun>,
    /// Core cycles of the whole run.
    pub cycles: Cycle,
    /// Why it ended early, if it did.
    pub stopped: Option<Stopped>,
    /// Wall time of the simulation proper, seconds, that of the processes before this one among it.
    pub wall_s: f64,
    /// Cycles visited quantum by quantum, for rates.
    pub quanta: u64,
    /// What was recorded for the timeline.
    pub timeline: Timeline,
    /// Host copies.
    pub memcpys: u64,
    /// Counters of the whole run.
    pub counters: ChipCounters,
    /// The same of each unit; none where the run was put together from others.
    pub units: UnitCounters,
    /// Counters of address translation over the whole run, where there is one.
    pub translation: Option<TlbStats>,
    /// What was observed.
    pub probe: P,
}

/// Runs `workload` on `spec`.
///
/// # Errors
/// A machine that does not fit the host's memory, a kernel that does not fit the machine, a trace that cannot be
/// read, a machine that makes no progress, a checkpoint that cannot be written or is not one of this run.
pub fn run<P: Probe + Sync>(
    workload: &Workload,
    spec: &GpuSpec,
    options: &Options,
) -> Result<RunResult<P>> {
    run_at(workload, spec, options, Clocks::Configured)
}

/// The same with kernels at `clocks`.
fn run_at<P: Probe + Sync>(
    workload: &Workload,
    spec: &GpuSpec,
    options: &Options,
    clocks: Clocks,
) -> Result<RunResult<P>> {
    memory::check(workload, spec, options.memory_limit)?;
    // What no product has costs nothing where a machine has none of it. A probe costs more than the room for components, so
    // there one way is compiled.
    if P::WATCHES {
        return run_on::<P, BuildStage>(workload, spec, options, clocks);
    }
    match spec.has_sm_components() {
        true => run_on::<P, BuildStage>(workload, spec, options, clocks),
        false => run_on::<P, OrdinaryStage>(workload, spec, options, clocks),
    }
}

/// As [`run_at`], on a machine whose SMs have the components that `S` says.
fn run_on<P: Probe + Sync, S: ChipStage>(
    workload: &Workload,
    spec: &GpuSpec,
    options: &Options,
    clocks: Clocks,
) -> Result<RunResult<P>> {
    let begun = Instant::now();
    let gpu = Gpu::<P, S>::new(spec, options.threads);
    gpu.begin_probes(&options.instruments);
    for before in &options.warm {
        warm::warm(&gpu, before.kernel, before.ctas.clone(), spec)?;
    }
    let programs = RwLock::new(Vec::new());
    let mut host = Host::new(workload, spec, options);
    host.throttle = Throttle::new(clocks);
    host.resume(&gpu)?;
    let index = AtomicU64::new(host.last_quantum);
    let host = Mutex::new(host);
    let team = Team::new(options.threads);
    let over = AtomicBool::new(false);
    let work = |thread: usize| {
        let _member = team.join();
        loop {
            team.barrier(|| {
                gpu.begin_phase_a();
                let mut host = host.lock().unwrap_or_else(|e| e.into_inner());
                let mut programs = programs.write().unwrap_or_else(|e| e.into_inner());
                match host.between(&gpu, &mut programs, index.load(Ordering::Relaxed)) {
                    Some(next) => index.store(next, Ordering::Relaxed),
                    None => over.store(true, Ordering::Relaxed),
                }
            });
            if over.load(Ordering::Relaxed) {
                return;
            }
            let programs = programs.read().unwrap_or_else(|e| e.into_inner());
            gpu.phase_a(
                thread,
                index.load(Ordering::Relaxed),
                &programs,
                options.no_skip,
            );
            drop(programs);
            team.barrier(|| gpu.begin_phase_b());
            gpu.phase_b(thread);
        }
    };
    let work = &work;
    std::thread::scope(|scope| {
        for thread in 1..team.threads() {
            scope.spawn(move || work(thread));
        }
        work(0);
    });
    let mut host = host.into_inner().unwrap_or_else(|e| e.into_inner());
    host.broken_off(&gpu);
    if let Some(error) = host.error {
        return Err(error);
    }
    Ok(result(host, gpu, begun))
}

/// What the run leaves.
fn result<P: Probe + Sync, S: ChipStage>(
    host: Host,
    gpu: Gpu<P, S>,
    begun: Instant,
) -> RunResult<P> {
    RunResult {
        cycles: host.kernels.iter().map(|k| k.end).max().unwrap_or(0),
        kernels: host.kernels,
        stopped: host.stopped,
        wall_s: host.earlier_s + begun.elapsed().as_secs_f64(),
        quanta: host.quanta,
        timeline: host.timeline,
        memcpys: host.memcpys,
        counters: gpu.counters(host.ended_at, false),
        units: gpu.unit_counters(host.ended_at, false),
        translation: gpu.translated(),
        probe: gpu.into_probe(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::NoProbe;

    /// The two ways in which an SM is compiled (one and the same without research features) are the same machine, as long
    /// as it has no component that no product has.
    #[test]
    fn room_for_components_changes_nothing() {
        let spec = crate::config::load("v100", &["gpu.sms=4".into(), "gpu.gpcs=2".into()]);
        let spec = spec.unwrap().spec;
        for input in [
            "synth:sgemm?m=128&n=128&k=64",
            "synth:gather?grid=8&block=128&per=8&span=1MiB",
        ] {
            let workload = crate::kernels::synth::parse(input, &spec).unwrap();
            let options = Options::default();
            let clocks = Clocks::Configured;
            let without =
                run_on::<NoProbe, OrdinaryStage>(&workload, &spec, &options, clocks).unwrap();
            let with = run_on::<NoProbe, BuildStage>(&workload, &spec, &options, clocks).unwrap();
            assert!(!spec.has_sm_components() && without.cycles > 0);
            assert_eq!(without.cycles, with.cycles, "{input}");
            assert_eq!(without.counters, with.counters, "{input}");
        }
    }

    /// A gap on a data bus that is open when one kernel ends and another one begins may get another label in the second:
    /// neither has it twice, or less than nothing of it.
    #[test]
    fn labels_of_the_data_bus_close_in_every_kernel() {
        let spec = crate::config::load("v100", &[]).unwrap().spec;
        let parse = |input| crate::kernels::synth::parse(input, &spec).unwrap();
        let mut workload = parse("synth:copy?bytes=8MiB");
        for _ in 0..2 {
            let next = parse("synth:copy?bytes=1MiB");
            workload.commands.extend(next.commands);
        }
        let run = run::<NoProbe>(&workload, &spec, &Options::default()).unwrap();
        for kernel in &run.kernels {
            let dram = &kernel.counters.dram;
            let bus = dram.bus;
            assert_eq!(bus.total(), dram.cycles);
            assert!(bus.values().iter().all(|label| *label <= bus.total()));
        }
    }
}
