//! From the runs of a part to the whole kernel.

use super::plan::{Plan, Shape, Trips};
use super::waves::{SmEnd, difference_error, first_wave_time, spread_time, wave_time};
use crate::config::GpuSpec;
use crate::simulation::{KernelRun, Provenance, ProvenanceKind};
use crate::stats::{ChipCounters, LEVEL, Label};
use crate::trace::Kernel;

/// Relative half width that no interval of the time of an iteration is narrower than: a loop is not quite steady after some
/// iterations.
const LOOP_LEAST: f64 = 0.015;

/// What a run of a part left.
pub struct Measured {
    /// The run.
    pub run: KernelRun,
    /// When its CTAs ended, in order of time.
    pub ends: Vec<u64>,
    /// What each SM had done.
    pub sms: Vec<SmEnd>,
}

/// A part's run, stretched to all CTAs of the kernel.
#[derive(Clone, Copy)]
struct Stretched {
    cycles: f64,
    /// Half width of the interval of `cycles`.
    half: f64,
    /// Cycles of all CTAs for one of the part.
    time: f64,
}

/// The whole kernel from `long`, and from `short` when its loops were cut as well.
pub fn whole(
    kernel: &Kernel,
    shape: &Shape,
    plan: &Plan,
    long: &Measured,
    short: Option<&Measured>,
    spec: &GpuSpec,
) -> KernelRun {
    let work = work_ratio(kernel, shape, plan);
    let of_long = stretch(shape, plan, long, work, spec);
    // Iterations beyond those of the longer run, in units of the difference between the two.
    let (beyond, of_short) = match (plan.trips, short) {
        (Trips::Two { few, many }, Some(short)) => {
            let beyond = (shape.trips - many) as f64 / (many - few) as f64;
            (beyond, stretch(shape, plan, short, work, spec))
        }
        _ => (0.0, of_long),
    };
    let slope = of_long.cycles - of_short.cycles;
    let cycles = of_long.cycles + slope * beyond;
    let loop_half = match short {
        Some(short) => {
            difference_error(&long.sms, &short.sms).max(LOOP_LEAST) * slope.abs() * beyond
        }
        None => 0.0,
    };
    let scale = cycles / of_long.cycles.max(1.0);
    let half = (loop_half.powi(2) + (of_long.half * scale).powi(2)).sqrt();
    let cycles = cycles.max(1.0).round() as u64;
    let beyond_of = |a: f64, b: f64| (a + (a - b) * beyond).max(0.0).round() as u64;
    let short_counters = short.map_or(&long.run.counters, |short| &short.run.counters);
    let mut counters = long
        .run
        .counters
        .blend(short_counters, &mut |unit, a, b| match unit {
            LEVEL => a,
            _ if is_time(unit) => beyond_of(a as f64 * of_long.time, b as f64 * of_short.time),
            _ => beyond_of(a as f64 * work, b as f64 * work),
        });
    close(&mut counters, cycles, spec);
    let simulated = plan.instructions(shape) as f64 / shape.total().max(1) as f64;
    let run = &long.run;
    KernelRun {
        header: kernel.header.clone(),
        layer: kernel.layer,
        reason: kernel.reason.clone(),
        end: run.start + cycles,
        warp_instructions: counters.sm.sm.warp_instructions,
        thread_instructions: counters.sm.sm.thread_instructions,
        counters,
        partial: run.partial || short.is_some_and(|short| short.run.partial),
        provenance: Provenance {
            kind: ProvenanceKind::Sampled,
            simulated_fraction: simulated.min(1.0),
            ci_rel: half / cycles as f64,
            note: None,
        },
        ..run.clone()
    }
}

/// Work of all CTAs for that of the part's, by iterations.
fn work_ratio(kernel: &Kernel, shape: &Shape, plan: &Plan) -> f64 {
    if plan.ctas == shape.ctas {
        return 1.0;
    }
    let first = shape.ctas - plan.ctas;
    let step = plan.ctas.div_ceil(4096).max(1);
    let (mut sum, mut asked) = (0u128, 0u128);
    for cta in (first..shape.ctas).step_by(step as usize) {
        sum += u128::from(kernel.ctas.iterations(cta).max(1));
        asked += 1;
    }
    let mean_part = sum as f64 / asked.max(1) as f64;
    let mean_all = shape.trips_total as f64 / shape.ctas as f64;
    let (fixed, each) = (shape.fixed as f64, shape.each as f64);
    let share = (fixed + each * mean_all) / (fixed + each * mean_part).max(1.0);
    shape.ctas as f64 / plan.ctas as f64 * share
}

/// All CTAs from those of the part: the part's time, and that of the waves that were left out.
fn stretch(shape: &Shape, plan: &Plan, part: &Measured, work: f64, spec: &GpuSpec) -> Stretched {
    let cycles = (part.run.end - part.run.start) as f64;
    if plan.ctas == shape.ctas {
        return Stretched {
            cycles,
            half: 0.0,
            time: 1.0,
        };
    }
    let holds = part.run.occupancy.ctas_per_sm;
    let wave = match (wave_time(&part.ends, shape.wave as usize), plan.trips) {
        (Some(wave), _) => wave,
        (None, Trips::All) => spread_time(&part.ends, shape.wave as usize),
        (None, Trips::Two { .. }) => {
            let turnover = u64::from(spec.launch.cta_end) + u64::from(spec.launch.cta_start);
            first_wave_time(&part.sms, holds, turnover)
        }
    };
    // Waves of the part's kind that hold the work that was left out.
    let left_out = (work - 1.0) * plan.ctas as f64 / shape.wave as f64;
    let whole = cycles + wave.value * left_out;
    Stretched {
        cycles: whole,
        half: wave.half * left_out,
        time: whole / cycles.max(1.0),
    }
}

/// Whether a counter of this unit goes on with time rather than with work.
fn is_time(unit: &str) -> bool {
    matches!(unit, "cycles" | "CK" | "issue slots" | "warp-cycles")
}

/// Makes the issue slots add up to `cycles`: instructions take the slots that they take, and what rounding has taken
/// from the other labels or added to them is the largest one's.
fn close(counters: &mut ChipCounters, cycles: u64, spec: &GpuSpec) {
    let slots = cycles * u64::from(spec.sm.sub_cores) * u64::from(spec.sms);
    let issued = counters.sm.sm.warp_instructions.min(slots);
    let issue = &mut counters.sm.issue;
    issue.set(Label::Issued, issued);
    let lost = || Label::ALL.iter().filter(|label| **label != Label::Issued);
    while issue.total() != slots {
        let Some(&largest) = lost().max_by_key(|label| issue.get(**label)) else {
            return;
        };
        let others = issue.total() - issue.get(largest);
        if others <= slots {
            issue.set(largest, slots - others);
            return;
        }
        // Even without it there are too many: the next largest gives.
        issue.set(largest, 0);
    }
}
