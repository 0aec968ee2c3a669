//! From a run's counters to the report.

use super::derive::{Window, microseconds, ratio};
use super::schema::*;
use super::sections::Sections;
use super::{features, host, metrics, translation, validity};
use crate::config::{GpuSpec, Resolved};
use crate::probe::{self, Observed, Probe};
use crate::simulation::throttle::Power;
use crate::simulation::{KernelRun, RunResult, Stopped};
use crate::trace::Workload;
use std::borrow::Cow;

impl Report {
    /// Of a run.
    pub fn new<P: Probe>(
        config: &Resolved,
        workload: &Workload,
        result: &RunResult<P>,
        threads: usize,
    ) -> Self {
        let kernels: Vec<Kernel> = result
            .kernels
            .iter()
            .enumerate()
            .map(|(index, run)| kernel(index, run, workload, &config.spec))
            .collect();
        let totals = Totals {
            cycles: result.cycles,
            time_us: time_us(result, &config.spec),
            warp_instructions: kernels.iter().map(|k| k.warp_instructions).sum(),
            thread_instructions: kernels.iter().map(|k| k.thread_instructions).sum(),
            kernels: kernels.len(),
        };
        Report {
            schema_version: SCHEMA_VERSION,
            tool: Tool {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                features: features(),
            },
            status: match result.stopped {
                None if validity::unmodelled_work(workload, result, &config.spec) => {
                    Status::UnmodelledWork
                }
                None => Status::Complete,
                Some(Stopped::Interrupted) => Status::Interrupted,
                Some(Stopped::MaxCycles) => Status::MaxCycles,
            },
            config: Config {
                hash: config.hash.clone(),
                keys: config.echo.clone(),
            },
            workload: WorkloadInfo {
                source: workload.source.clone(),
                hash: workload.hash.clone(),
                memcpys: result.memcpys,
            },
            layers: Vec::new(),
            model: None,
            research: research(config, result),
            validity: validity::validity(workload, result, config),
            simulation: simulation(workload, &totals, result.wall_s, threads),
            kernels,
            totals,
        }
    }
}

impl Report {
    /// The sums of a model, whose kernels stand in the report once for all their launches.
    pub(crate) fn set_totals(&mut self, totals: Totals) {
        let simulation = &mut self.simulation;
        simulation.warp_instructions_per_s = per_s(totals.warp_instructions, simulation.wall_s);
        simulation.cycles_per_s = per_s(totals.cycles, simulation.wall_s);
        self.totals = totals;
    }
}

/// The time of the run. Where kernels have clocks of their own, what is between two of them is at that of the one before.
fn time_us<P>(result: &RunResult<P>, spec: &GpuSpec) -> f64 {
    if result.kernels.iter().all(|run| run.power.is_none()) {
        return microseconds(result.cycles, spec);
    }
    let mut ends: Vec<&KernelRun> = result.kernels.iter().collect();
    ends.sort_by_key(|run| run.end);
    let (mut at, mut time, mut clock) = (0, 0.0, Cow::Borrowed(spec));
    for run in ends {
        let start = run.start.max(at);
        time += microseconds(start - at, &clock);
        clock = clocked(run, spec);
        time += microseconds(run.end.max(at) - start, &clock);
        at = run.end.max(at);
    }
    time
}

/// The machine at the clock of `run`.
fn clocked<'a>(run: &KernelRun, spec: &'a GpuSpec) -> Cow<'a, GpuSpec> {
    match &run.power {
        Some(power) if power.throttled => Cow::Owned(spec.at_clock(power.clock_khz)),
        _ => Cow::Borrowed(spec),
    }
}

/// The sections of the run's probe.
fn research<P: Probe>(config: &Resolved, result: &RunResult<P>) -> probe::Sections {
    let mut sections = probe::Sections::new();
    let run = Observed {
        spec: &config.spec,
        counters: &result.counters,
    };
    result.probe.sections(&run, &mut sections);
    if let Some(stats) = &result.translation {
        let tlb = translation::Tlb::new(*stats, &config.spec.tlb);
        sections.insert(translation::SECTION, serde_json::json!({ "tlb": tlb }));
    }
    sections
}

fn simulation(workload: &Workload, totals: &Totals, wall_s: f64, threads: usize) -> Simulation {
    Simulation {
        import_s: workload.import.seconds,
        text_bytes: workload.import.text_bytes,
        wall_s,
        threads,
        warp_instructions_per_s: per_s(totals.warp_instructions, wall_s),
        cycles_per_s: per_s(totals.cycles, wall_s),
        peak_rss_bytes: host::peak_rss_bytes(),
    }
}

fn per_s(count: u64, wall_s: f64) -> f64 {
    if wall_s > 0.0 {
        count as f64 / wall_s
    } else {
        0.0
    }
}

/// The cycles that a kernel's counters cover. Alone on the chip a kernel has its own counters; with
/// others they run from one quantum to another.
fn counted_cycles(run: &KernelRun, spec: &GpuSpec) -> u64 {
    let slots = run.counters.sm.issue.total();
    let counted = slots / (u64::from(spec.sm.sub_cores) * u64::from(spec.sms));
    debug_assert!(
        run.overlapped || counted == run.end - run.start,
        "kernel {} has {slots} issue slots in {} cycles",
        run.header.name,
        run.end - run.start,
    );
    counted
}

fn kernel(index: usize, run: &KernelRun, workload: &Workload, spec: &GpuSpec) -> Kernel {
    let spec = &*clocked(run, spec);
    let cycles = run.end - run.start;
    let window = Window {
        cycles: counted_cycles(run, spec),
        spec,
        counters: &run.counters,
    };
    Kernel {
        index,
        name: run.header.name.clone(),
        layer: run.layer.map(|l| workload.layers[l.index()].clone()),
        reason: run.reason.as_deref().map(str::to_owned),
        grid: run.header.grid,
        block: run.header.block,
        cluster: run.header.cluster,
        stream: run.header.stream,
        registers: run.header.registers_per_thread,
        smem_bytes: run.header.smem_bytes,
        start_cycle: run.start,
        cycles,
        time_us: microseconds(cycles, spec),
        warp_instructions: run.warp_instructions,
        thread_instructions: run.thread_instructions,
        ipc: ratio(run.warp_instructions, cycles),
        power: run.power.as_ref().map(power),
        occupancy: occupancy(run, spec),
        overlapped: run.overlapped,
        partial: run.partial,
        counted_cycles: window.cycles,
        total_slots: window.slots(),
        sections: Sections::of(&window),
        metrics: metrics::metrics(&window),
        provenance: Provenance {
            kind: run.provenance.kind.name(),
            simulated_fraction: run.provenance.simulated_fraction,
            ci_rel: run.provenance.ci_rel,
            partial: run.partial,
            note: run.provenance.note.clone(),
        },
    }
}

fn power(of: &Power) -> PowerInfo {
    PowerInfo {
        limit_w: of.limit_w,
        average_w: of.average_w,
        clock_khz: of.clock_khz,
        throttled: of.throttled,
        above_limit: of.average_w > f64::from(of.limit_w),
        runs: of.runs,
    }
}

fn occupancy(run: &KernelRun, spec: &GpuSpec) -> OccupancyInfo {
    let slots = u64::from(spec.sm.warps_max);
    let fit = u64::from(run.occupancy.ctas_per_sm) * u64::from(run.occupancy.warps);
    let sm = &run.counters.sm.sm;
    OccupancyInfo {
        theoretical: ratio(fit, slots),
        achieved: ratio(sm.warp_cycles, sm.active_cycles * slots),
        ctas_per_sm: run.occupancy.ctas_per_sm,
        warps_per_cta: run.occupancy.warps,
        limit: run.occupancy.limit.name(),
        carveout_bytes: run.occupancy.carveout_bytes,
    }
}
