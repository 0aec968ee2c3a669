//! From the run of a part to the whole kernel.

use super::course::{Course, Steady};
use super::flow::Flow;
use super::plan::{Plan, Shape, Trips};
use super::waves::{Mean, least_of_whole, wave_time};
use crate::config::GpuSpec;
use crate::simulation::{self, KernelRun, Provenance, ProvenanceKind};
use crate::stats::{ChipCounters, LEVEL, Label};
use crate::trace::Kernel;

/// What a run of a part left.
pub struct Measured {
    /// The run.
    pub run: KernelRun,
    /// When its CTAs ended, in order of time.
    pub ends: Vec<u64>,
    /// When the last of them began.
    pub last_start: u64,
    /// How far SMs had come at what time, when loops were cut.
    pub course: Course,
}

/// What was run of a kernel.
pub struct Runs {
    /// The part.
    pub part: Measured,
    /// Its first CTAs, where L2 fills meanwhile.
    pub begin: Option<Measured>,
    /// The part on an L2 without what others have left there, where the kernel itself replaces that only later.
    pub settled: Option<Measured>,
}

impl Runs {
    /// The run that later iterations of loops are like.
    fn later(&self) -> &Measured {
        self.settled.as_ref().unwrap_or(&self.part)
    }

    /// Cycles by which the whole kernel is longer than what its settled run says, for what others have left in L2: as many
    /// for a sector that is replaced as in the part. Of that no more is left than L2 holds, and perhaps nothing.
    fn left_by_others(&self, shape: &Shape, plan: &Plan, spec: &GpuSpec) -> Mean {
        let Some(settled) = &self.settled else {
            return Mean::default();
        };
        let cycles = |of: &Measured| (of.run.end - of.run.start) as f64;
        let more = cycles(&self.part) - cycles(settled);
        let filled = simulation::filled(&self.part.run).max(1.0);
        let most = plan.instructions(shape) as f64 / shape.total().max(1) as f64;
        let turns = (spec.l2.bytes as f64 / filled).min(1.0 / most.max(f64::MIN_POSITIVE));
        let half = more * (turns - 1.0).max(0.0) / 2.0;
        Mean {
            value: half,
            half: half.abs(),
        }
    }
}

/// The whole kernel from what was run of it.
pub fn whole(
    kernel: &Kernel,
    shape: &Shape,
    plan: &Plan,
    runs: &Runs,
    spec: &GpuSpec,
) -> KernelRun {
    let Runs { part, begin, .. } = runs;
    let run = &part.run;
    let work = work_ratio(kernel, shape, plan);
    let cycles = (run.end - run.start) as f64;
    // Cycles by which the kernel is longer than the part: all of them, and those of longer loops alone.
    // Waves of the part's kind that hold the work that was left out.
    let waves = (work - 1.0) * plan.ctas as f64 / shape.wave as f64;
    let (longer, of_loops) = match plan.trips {
        Trips::All => {
            let wave = wave_of(shape, part);
            let start = begin.as_ref().map_or(Mean::default(), |begin| {
                later(begin, part, shape.wave as usize, wave)
            });
            let value = waves * wave.value + start.value;
            let half = (waves * wave.half).hypot(start.half);
            let share = plan.ctas as f64 / shape.ctas as f64;
            let half = half.max((cycles + value) * least_of_whole(share));
            (Mean { value, half }, 0.0)
        }
        Trips::Some(trips) => {
            let share = trips as f64 / shape.trips as f64;
            let flow = Flow {
                kernel,
                shape,
                plan,
                part: runs.later(),
                share,
            };
            let (longer, of_loops) = flow.longer(waves);
            let others = runs.left_by_others(shape, plan, spec);
            let value = longer.value + others.value;
            let half = longer.half.hypot(others.half);
            (Mean { value, half }, of_loops)
        }
    };
    let total = (cycles + longer.value).max(1.0);
    let time = (total - of_loops) / cycles.max(1.0);
    let mut counters = extrapolated(shape, runs, work, (time, of_loops));
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

/// Cycles of a wave that was left out.
pub fn wave_of(shape: &Shape, part: &Measured) -> Mean {
    wave_time(&part.ends, shape.wave as usize, part.last_start)
}

/// Cycles by which CTAs that begin as the kernel does, on an L2 that fills, are behind those of the part when as many have
/// ended and others take their places. They are as far behind as they were half a wave before, or still drift, and a wave
/// takes `wave` in the end.
fn later(begin: &Measured, part: &Measured, wave: usize, in_the_end: Mean) -> Mean {
    let full = |of: &Measured| of.ends.partition_point(|end| *end <= of.last_start);
    let full = full(begin).min(full(part));
    let behind = |from: usize, to: usize| {
        let pairs = begin.ends[from..to].iter().zip(&part.ends[from..to]);
        pairs
            .map(|(begin, part)| *begin as f64 - *part as f64)
            .sum::<f64>()
            / (to - from).max(1) as f64
    };
    let (middle, first) = (full.saturating_sub(wave / 2), full.saturating_sub(wave));
    let value = behind(middle, full);
    let drift = (value - behind(first, middle)).abs() * 2.0;
    Mean {
        value,
        half: drift.max(in_the_end.half),
    }
}

/// The counters of the whole kernel: the part's, `time` times as long or with `work` times the work, and for the cycles
/// and instructions that longer loops add to that, what counted in the middle of the loops.
fn extrapolated(shape: &Shape, runs: &Runs, work: f64, (time, longer): (f64, f64)) -> ChipCounters {
    let counters = &runs.part.run.counters;
    let issued = |counters: &ChipCounters| counters.sm.sm.warp_instructions as f64;
    let left_out = (shape.total() as f64 - issued(counters) * work).max(0.0);
    let Steady { cycles, gained } = runs.later().course.steady(shape.each).unwrap_or_else(|| {
        // No time without starts and ends: the whole part stands for its loops.
        let cycles = (runs.part.run.end - runs.part.run.start) as f64;
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
