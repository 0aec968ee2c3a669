//! From the run of a part to the whole kernel.

use super::course::{Course, Rate, Steady};
use super::fluid::Fluid;
use super::plan::{Plan, Shape, Trips};
use super::waves::{Mean, spread_time, wave_time};
use crate::config::GpuSpec;
use crate::simulation::{KernelRun, Provenance, ProvenanceKind};
use crate::stats::{ChipCounters, LEVEL, Label};
use crate::trace::Kernel;

/// Half width of the interval by which the end of a kernel moves with the order in which warps happen to be picked,
/// iterations: measured on runs whose numbers of iterations differ by one.
const JITTER: f64 = 0.5;
/// How much the difference between the early and the late rate of a loop is widened to an interval.
const DRIFT: f64 = 0.75;
/// Relative half width that no interval of the time of an iteration is narrower than.
const LOOP_LEAST: f64 = 0.02;

/// What a run of a part left.
pub struct Measured {
    /// The run.
    pub run: KernelRun,
    /// When its CTAs ended, in order of time.
    pub ends: Vec<u64>,
    /// How far SMs had come at what time, when loops were cut.
    pub course: Course,
}

/// The whole kernel from its part's run.
pub fn whole(
    kernel: &Kernel,
    shape: &Shape,
    plan: &Plan,
    part: &Measured,
    spec: &GpuSpec,
) -> KernelRun {
    let run = &part.run;
    let work = work_ratio(kernel, shape, plan);
    let cycles = (run.end - run.start) as f64;
    // Cycles by which the kernel is longer than the part: all of them, and those of longer loops alone.
    // Waves of the part's kind that hold the work that was left out.
    let waves = (work - 1.0) * plan.ctas as f64 / shape.wave as f64;
    let (longer, of_loops) = match plan.trips {
        Trips::All => {
            let wave = wave_of(shape, part);
            let (value, half) = (waves * wave.value, waves * wave.half);
            (Mean { value, half }, 0.0)
        }
        Trips::Some(trips) => flow(kernel, shape, plan, part, (trips, waves)),
    };
    let total = (cycles + longer.value).max(1.0);
    let time = (total - of_loops) / cycles.max(1.0);
    let mut counters = extrapolated(shape, part, work, (time, of_loops));
    let cycles = total.round() as u64;
    close(&mut counters, cycles, spec);
    let simulated = plan.instructions(shape) as f64 / shape.total().max(1) as f64;
    KernelRun {
        header: kernel.header.clone(),
        layer: kernel.layer,
        reason: kernel.reason.clone(),
        end: run.start + cycles,
        warp_instructions: counters.sm.sm.warp_instructions,
        thread_instructions: counters.sm.sm.thread_instructions,
        counters,
        provenance: Provenance {
            kind: ProvenanceKind::Sampled,
            simulated_fraction: simulated.min(1.0),
            ci_rel: longer.half / total,
            note: None,
        },
        ..run.clone()
    }
}

/// Cycles by which the whole kernel is longer than a part with `trips` iterations, beside which `waves` were left out; and
/// how many of them are of iterations that were not run. The part's own CTAs go once more through a model of its grid, with
/// the rates that were seen.
fn flow(
    kernel: &Kernel,
    shape: &Shape,
    plan: &Plan,
    part: &Measured,
    (trips, waves): (u64, f64),
) -> (Mean, f64) {
    let share = trips as f64 / shape.trips as f64;
    let first = shape.ctas - plan.ctas;
    let whole = |cta: u64| kernel.ctas.iterations(cta).max(1) as f64;
    let cut = |cta: u64| (whole(cta) * share).max(1.0);
    // Up to some waves it matters which SM gets how many CTAs, and the part shows it. Beyond, whoever is free gets the next.
    let as_seen = first == 0;
    let from = |first: u64, fluid: &Fluid, trips: &dyn Fn(u64) -> f64| {
        let mut next = first;
        let mut begun = vec![0; fluid.speeds.len()];
        fluid.makespan(|sm| {
            if as_seen {
                begun[sm] += 1;
                return part.course.started(sm, begun[sm] - 1).map(trips);
            }
            next += 1;
            (next <= shape.ctas).then(|| trips(next - 1))
        })
    };
    let holds = part.run.occupancy.ctas_per_sm;
    let measured = part.course.rates(holds);
    if measured.iter().all(Option::is_none) {
        // In so short a run nothing was steady: an interval that nobody takes for an estimate.
        let cycles = (part.run.end - part.run.start) as f64;
        let value = cycles * (shape.ctas as f64 / plan.ctas as f64 / share - 1.0);
        return (Mean { value, half: value }, 0.0);
    }
    let each = shape.each.max(1) as f64;
    let rates = |of: fn(&Rate) -> f64| filled(&measured, of).map(|rate| rate / each).collect();
    let mut fluid = Fluid {
        speeds: part.course.speeds(),
        rates: rates(|rate| rate.value),
        skew: 1.0,
        overhead: 0.0,
    };
    let took = part.ends.last().map_or(0, |end| end - part.run.start) as f64;
    if let Some(issued) = part.course.issued_at_first_end(holds) {
        let share = (cut(first) * each + shape.fixed as f64) / issued;
        fluid.skew = skew_of(share, fluid.rates.len());
    }
    fluid.overhead = overhead_of(&mut fluid, took, |fluid| from(first, fluid, &cut));
    let of_part = from(first, &fluid, &cut);
    let own = from(first, &fluid, &whole) - of_part;
    let full_rate = fluid.rates.last().copied().unwrap_or(1.0);
    // Waves that were left out: as long as the part's, and longer by their loops.
    let mean_trips = shape.trips_total as f64 / shape.ctas as f64;
    let round = mean_trips * (1.0 - share) * f64::from(holds) / full_rate;
    let (waves, wave) = match first {
        0 => (0.0, Mean::default()),
        _ => (waves, wave_of(shape, part)),
    };
    let with = |of: fn(&Rate) -> f64| {
        let rates: Vec<f64> = rates(of);
        let fluid = Fluid {
            rates,
            ..fluid.clone()
        };
        let longer = from(first, &fluid, &whole) - from(first, &fluid, &cut);
        longer + waves * round * full_rate / fluid.rates.last().copied().unwrap_or(1.0)
    };
    let drift = (with(|rate| rate.early) - with(|rate| rate.late)).abs() * DRIFT;
    let jitter = JITTER * f64::from(holds) / full_rate;
    let of_loops = own + waves * round;
    let half = drift
        .max(of_loops * LOOP_LEAST)
        .hypot(jitter)
        .hypot(waves * wave.half);
    let value = of_loops + waves * wave.value;
    (Mean { value, half }, of_loops)
}

/// The rate for each number of CTAs: where none was seen, as for the nearest number above that was seen, less in
/// proportion at most; or that of the nearest below.
fn filled(measured: &[Option<Rate>], of: fn(&Rate) -> f64) -> impl Iterator<Item = f64> {
    (0..measured.len()).map(move |at| {
        let seen = |at: usize| measured[at].map(|rate| (at, of(&rate)));
        let above = (at..measured.len()).find_map(seen);
        let below = (0..=at).rev().find_map(seen);
        match (below, above) {
            (Some((a, rate)), Some((b, more))) if b > a => {
                rate + (more - rate) * (at - a) as f64 / (b - a) as f64
            }
            (Some((_, rate)), _) => rate,
            // Half way between a machine that one CTA fills and one that it fills in proportion.
            (None, Some((b, rate))) => rate * (1.0 + (at + 1) as f64 / (b + 1) as f64) / 2.0,
            (None, None) => 1.0,
        }
    })
}

/// The time beside its loop that makes the CTAs of the part end when they did.
fn overhead_of(fluid: &mut Fluid, took: f64, of_part: impl Fn(&Fluid) -> f64) -> f64 {
    let (mut least, mut most) = (0.0, took);
    for _ in 0..24 {
        fluid.overhead = (least + most) / 2.0;
        match of_part(fluid) < took {
            true => least = fluid.overhead,
            false => most = fluid.overhead,
        }
    }
    (least + most) / 2.0
}

/// The ratio of shares with which the oldest of `ctas` gets `share` of the whole.
fn skew_of(share: f64, ctas: usize) -> f64 {
    let oldest = |skew: f64| 1.0 / (0..ctas).map(|rank| skew.powi(rank as i32)).sum::<f64>();
    let (mut least, mut most) = (0.05, 1.0);
    for _ in 0..30 {
        let middle = (least + most) / 2.0;
        match oldest(middle) > share {
            true => least = middle,
            false => most = middle,
        }
    }
    (least + most) / 2.0
}

/// Cycles of a wave that was left out.
fn wave_of(shape: &Shape, part: &Measured) -> Mean {
    let wave = shape.wave as usize;
    wave_time(&part.ends, wave).unwrap_or_else(|| spread_time(&part.ends, wave))
}

/// The counters of the whole kernel: the part's, `time` times as long or with `work` times the work, and for the cycles
/// and instructions that longer loops add to that, what counted in the middle of the loops.
fn extrapolated(
    shape: &Shape,
    part: &Measured,
    work: f64,
    (time, longer): (f64, f64),
) -> ChipCounters {
    let counters = &part.run.counters;
    let issued = |counters: &ChipCounters| counters.sm.sm.warp_instructions as f64;
    let left_out = (shape.total() as f64 - issued(counters) * work).max(0.0);
    let Steady { cycles, gained } = part.course.steady(shape.each).unwrap_or_else(|| {
        // No time without starts and ends: the whole part stands for its loops.
        let cycles = (part.run.end - part.run.start) as f64;
        let gained = *counters;
        Steady { cycles, gained }
    });
    let instructions = issued(&gained);
    let per_cycle = longer / cycles.max(1.0);
    let per_instruction = match longer > 0.0 {
        true => left_out / instructions.max(1.0),
        false => 0.0,
    };
    counters.blend(&gained, &mut |unit, all, steady| {
        let more = |by: f64, share: f64| (all as f64 * by + steady as f64 * share).round() as u64;
        match unit {
            LEVEL => all,
            _ if is_time(unit) => more(time, per_cycle),
            _ => more(work, per_instruction),
        }
    })
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
