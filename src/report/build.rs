//! From a run's counters to the report.

use super::counters::{BusLabels, DramCounters, IssueSlots};
use super::derive::{
    DramRates, FetchRates, L1Rates, L2Rates, LsuRates, NocRates, SmRates, Window, microseconds,
    percent, pipe_percent, ratio,
};
use super::schema::*;
use super::{features, host, metrics, validity};
use crate::config::{GpuSpec, Resolved};
use crate::probe::{Observed, Probe, Sections};
use crate::simulation::{KernelRun, RunResult, Stopped};
use crate::trace::Workload;

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
            time_us: microseconds(result.cycles, &config.spec),
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
            research: research(config, result),
            validity: validity::validity(workload, result, &config.spec),
            simulation: simulation(workload, &totals, result.wall_s, threads),
            kernels,
            totals,
        }
    }
}

/// The sections of the run's probe.
fn research<P: Probe>(config: &Resolved, result: &RunResult<P>) -> Sections {
    let mut sections = Sections::new();
    let run = Observed {
        spec: &config.spec,
        counters: &result.counters,
    };
    result.probe.sections(&run, &mut sections);
    sections
}

fn simulation(workload: &Workload, totals: &Totals, wall_s: f64, threads: usize) -> Simulation {
    let per_s = |count: u64| {
        if wall_s > 0.0 {
            count as f64 / wall_s
        } else {
            0.0
        }
    };
    Simulation {
        import_s: workload.import.seconds,
        text_bytes: workload.import.text_bytes,
        wall_s,
        threads,
        warp_instructions_per_s: per_s(totals.warp_instructions),
        cycles_per_s: per_s(totals.cycles),
        peak_rss_bytes: host::peak_rss_bytes(),
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
    let cycles = run.end - run.start;
    let window = Window {
        cycles: counted_cycles(run, spec),
        spec,
        counters: &run.counters,
    };
    let c = &run.counters;
    let busy = window.slice_busy_cycles();
    Kernel {
        index,
        name: run.header.name.clone(),
        layer: run.layer.map(|l| workload.layers[l.index()].clone()),
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
        occupancy: occupancy(run, spec),
        overlapped: run.overlapped,
        partial: run.partial,
        counted_cycles: window.cycles,
        total_slots: window.slots(),
        issue: IssueSlots(c.sm.issue),
        sm: SmSection {
            counters: c.sm.sm,
            sm_cycles: cycles_of(c.sm.sm.active_cycles, window.sm_cycles()),
            rates: SmRates::of(&window),
        },
        pipes: pipes(&window),
        fetch: FetchSection {
            counters: c.sm.fetch,
            rates: FetchRates::of(&window),
        },
        lsu: LsuSection {
            counters: c.sm.lsu,
            rates: LsuRates::of(&window),
        },
        l1: L1Section {
            counters: c.sm.l1,
            rates: L1Rates::of(&window),
        },
        noc: NocSection {
            counters: c.noc,
            rates: NocRates::of(&window),
        },
        l2: L2Section {
            counters: c.l2,
            slice_cycles: cycles_of(busy, window.slice_cycles()),
            rates: L2Rates::of(&window),
        },
        dram: DramSection {
            counters: DramCounters::from(&c.dram),
            bus: BusLabels::from(&c.dram.bus),
            rates: DramRates::of(&window),
        },
        metrics: metrics::metrics(&window),
        provenance: Provenance {
            kind: ProvenanceKind::Full,
            ci_rel: 0.0,
            partial: run.partial,
        },
    }
}

fn cycles_of(busy: u64, all: u64) -> Cycles {
    debug_assert!(busy <= all, "{busy} busy cycles of {all}");
    Cycles {
        busy,
        idle: all.saturating_sub(busy),
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

fn pipes(w: &Window) -> Pipes {
    let sm = &w.counters.sm.sm;
    let intervals = &w.spec.sm.pipes;
    let with = |instructions: u64, utilisation_percent: Option<f64>| Pipe {
        instructions,
        utilisation_percent,
    };
    let at = |instructions: u64, interval: u8| {
        with(instructions, Some(pipe_percent(instructions, interval, w)))
    };
    let held = |instructions: u64, cycles: u64| {
        with(
            instructions,
            Some(percent(cycles.min(w.slots()), w.slots())),
        )
    };
    Pipes {
        fma: held(sm.pipe_fma, sm.fma_busy_cycles),
        alu: at(sm.pipe_alu, intervals.alu_interval),
        fp16: match u64::from(intervals.fp16_mma_interval) {
            0 => at(sm.pipe_fp16, intervals.fp16_interval),
            mma => {
                let first = u64::from(intervals.fp16_interval);
                let cycles = sm.pipe_fp16 * first * mma / (first + mma);
                held(sm.pipe_fp16, cycles)
            }
        },
        fp64: at(sm.pipe_fp64, intervals.fp64_interval),
        xu: with(sm.pipe_xu, None),
        tensor: held(sm.pipe_tensor, sm.tensor_busy_cycles),
        uniform: at(sm.pipe_uniform, intervals.uniform_interval),
        branch: at(sm.pipe_branch, intervals.branch_interval),
        lsu: with(sm.pipe_lsu, None),
        none: with(sm.pipe_none, None),
    }
}
