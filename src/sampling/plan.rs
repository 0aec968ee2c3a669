//! Which part of a kernel is run.

use super::{flow, waves};
use crate::config::GpuSpec;
use crate::error::Result;
use crate::occupancy::Occupancy;
use crate::simulation;
use crate::trace::{CtaEncoder, Kernel, Part, PartIterations, WarpStream};

/// A kernel as far as sampling needs to know it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// CTAs of the grid.
    pub ctas: u64,
    /// CTAs that run at once.
    pub wave: u64,
    /// How many of them on one SM.
    pub holds: u64,
    /// Iterations of the main loop of the CTA that has most.
    pub trips: u64,
    /// Iterations of all CTAs together.
    pub trips_total: u64,
    /// Warp instructions of a CTA outside of the loop.
    pub fixed: u64,
    /// Warp instructions of an iteration, all warps of the CTA together.
    pub each: u64,
    /// Bytes that a CTA asks of L2, each sector counted once.
    pub asked: u64,
    /// CTAs that ask for as much as L2 holds, where nothing that ran before has filled it; otherwise 0.
    pub fills: u64,
}

/// CTAs that are asked for their iterations; of more, as many at equal distances.
const ASKED: u64 = 4096;
/// Warp instructions that are simulated in the time of a byte that passes L2, four for a sector: of 12 kernels from products
/// in FP32 to copies, on five machines, the time of a full run is this sum within a third.
const BYTE_WORK: f64 = 0.125;

impl Shape {
    /// Of `kernel`, before which `held` bytes were asked of L2.
    ///
    /// # Errors
    /// A trace that cannot be read.
    pub fn of(kernel: &Kernel, occupancy: &Occupancy, spec: &GpuSpec, held: f64) -> Result<Self> {
        let ctas = kernel.header.cta_count();
        let (mut most, mut longest, mut sum, mut asked) = (1, 0, 0u128, 0u128);
        for cta in (0..ctas).step_by(ctas.div_ceil(ASKED).max(1) as usize) {
            let trips = kernel.ctas.iterations(cta).max(1);
            if trips > most {
                (most, longest) = (trips, cta);
            }
            sum += u128::from(trips);
            asked += 1;
        }
        let trips_total = (sum * u128::from(ctas) / asked.max(1)) as u64;
        let (fixed, each) = match most {
            1 => (instructions(kernel, ctas / 2)?, 0),
            _ => {
                let one = looped(kernel, longest, 1, most)?;
                let two = looped(kernel, longest, 2, most)?;
                let each = two.saturating_sub(one);
                (one.saturating_sub(each), each)
            }
        };
        let bytes = simulation::traffic(kernel, spec)? / ctas.max(1) as f64;
        let l2 = spec.l2.bytes as f64;
        let fills = match held < l2 {
            true => ((l2 / bytes.max(1.0)).ceil() as u64).clamp(1, ctas),
            false => 0,
        };
        Ok(Shape {
            ctas,
            wave: (u64::from(occupancy.ctas_per_sm) * u64::from(spec.sms)).max(1),
            holds: u64::from(occupancy.ctas_per_sm).max(1),
            trips: most,
            trips_total,
            fixed,
            each,
            asked: bytes as u64,
            fills,
        })
    }

    /// Whether its loops are long enough to be cut.
    pub fn looped(&self) -> bool {
        self.trips >= 2 * RUN_MIN
    }

    /// Warp instructions of the kernel.
    pub fn total(&self) -> u64 {
        let looped = u128::from(self.trips_total) * u128::from(self.each);
        let all = u128::from(self.ctas) * u128::from(self.fixed) + looped;
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    /// What it takes to simulate the kernel: see [`Shape::work`].
    pub fn total_work(&self) -> u64 {
        self.work(self.ctas, self.trips)
    }

    /// What it takes to simulate `ctas` CTAs with `trips` iterations of the longest, as warp instructions of the kind
    /// that asks nothing of memory.
    fn work(&self, ctas: u64, trips: u64) -> u64 {
        let looped = trips as f64 / self.trips as f64;
        let asked = ctas as f64 * self.asked as f64 * looped;
        self.some(ctas, trips) + (asked * BYTE_WORK) as u64
    }

    /// Warp instructions of `ctas` CTAs with `trips` iterations of the longest.
    fn some(&self, ctas: u64, trips: u64) -> u64 {
        let mean = self.trips_total as f64 / (self.ctas as f64 * self.trips as f64);
        let looped = trips as f64 * mean * self.each as f64;
        (ctas as f64 * (self.fixed as f64 + looped)) as u64
    }
}

/// Warp instructions of CTA `cta` with `run` of `most` iterations.
fn looped(kernel: &Kernel, cta: u64, run: u64, most: u64) -> Result<u64> {
    let iterations = PartIterations::Some { run, most, wave: 1 };
    let part = Part {
        first_cta: cta,
        iterations,
    };
    instructions(&kernel.part(part, 1), 0)
}

/// Warp instructions of CTA `cta`.
fn instructions(kernel: &Kernel, cta: u64) -> Result<u64> {
    let mut encoder = CtaEncoder::default();
    if kernel.ctas.generate(cta, &mut encoder) {
        return Ok(encoder.counts().0);
    }
    if let Some(totals) = kernel.totals {
        return Ok(totals.warp_insts / kernel.header.cta_count().max(1));
    }
    let mut streams = vec![WarpStream::default(); kernel.header.warps_per_cta() as usize];
    kernel.ctas.load(cta, &mut streams, &mut encoder)?;
    let mut count = 0;
    for (warp, stream) in (0..).zip(&mut streams) {
        loop {
            while let Some(run) = stream.next_run() {
                count += u64::from(run.length);
            }
            let Some(chunk) = stream.next_chunk() else {
                break;
            };
            kernel.ctas.load_chunk(cta, warp, chunk, stream)?;
        }
    }
    Ok(count)
}

/// How many iterations are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trips {
    /// Those that there are.
    All,
    /// This many of the CTA that has most, and as large a share of the others'.
    Some(u64),
}

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// CTAs, the last of the grid: as many as there are beyond whole waves, and some whole waves.
    pub ctas: u64,
    /// Iterations of each.
    pub trips: Trips,
    /// Of its first CTAs, how many are run too: how a kernel begins while L2 fills, its last ones do not show.
    pub begin: u64,
}

/// Iterations that are run at least: in the second half of them a pipeline of some stages has filled, and enough are left
/// to read a rate off.
const RUN_MIN: u64 = 20;
/// Waves that are run of a kernel that is cut into waves: one to settle, two to compare.
const WAVES: u64 = 3;
/// Waves that say as much as more would, at each attempt.
const WAVES_MAX: [u64; 2] = [12, 36];
/// Whole waves from which on loops stay whole where that is affordable, and waves are cut away.
const LOOPS_WHOLE: u64 = 6;
/// Whole waves that are run of a kernel whose loops are cut: where CTAs of the second end says how long a wave is.
const LOOP_WAVES: u64 = 2;
/// Up to so many whole waves all CTAs keep their place where that is affordable: which SM gets one more at the end decides.
const GRID_WAVES: u64 = 5;
/// From this many waves on, at most a tenth of the CTAs is run.
const MANY_WAVES: u64 = 20;
/// Share of the budget that a kernel of so many waves takes at most to be run as a whole: a tenth of it says enough.
const MANY_WHOLE: f64 = 0.4;
/// Tenths of the CTAs of so many waves that are run at each attempt.
const TENTHS: [u64; 2] = [1, 4];

impl Plan {
    /// For about `budget` of work. The first attempt of a kernel of many waves runs a tenth of its CTAs at most, the
    /// second more.
    pub fn new(shape: &Shape, budget: u64, attempt: usize) -> Self {
        let all = Plan {
            ctas: shape.ctas,
            trips: Trips::All,
            begin: 0,
        };
        let rest = shape.ctas % shape.wave;
        let whole_waves = shape.ctas / shape.wave;
        let little = match whole_waves >= MANY_WAVES {
            true => (budget as f64 * MANY_WHOLE) as u64,
            false => budget,
        };
        if shape.total_work() <= little {
            return all;
        }
        let of_waves = |waves: u64| (waves.min(whole_waves) * shape.wave + rest).min(shape.ctas);
        // The first wave ends, and others follow while L2 fills and a little longer.
        let begin = match shape.fills {
            0 => 0,
            fills => (shape.wave + fills + fills / 2).min(shape.ctas),
        };
        let affordable = budget.saturating_sub(shape.work(begin, shape.trips))
            / shape.work(shape.wave, shape.trips).max(1);
        if shape.looped() && (whole_waves < LOOPS_WHOLE || affordable < WAVES) {
            return Plan::of_loops(shape, budget, of_waves);
        }
        let most = match whole_waves >= MANY_WAVES {
            // The tenth includes the incomplete wave.
            true => ((shape.ctas * TENTHS[attempt.min(1)] / 10).saturating_sub(rest + begin)
                / shape.wave)
                .max(1),
            false => u64::MAX,
        };
        let enough = WAVES_MAX[attempt.min(1)];
        let waves = affordable.clamp(WAVES, enough).min(most);
        // Cutting away a wave or two is not worth an interval.
        if whole_waves <= waves + begin.div_ceil(shape.wave) + 2 {
            return all;
        }
        let ctas = of_waves(waves);
        Plan {
            ctas,
            trips: Trips::All,
            begin: begin.min(ctas),
        }
    }

    /// With loops that are cut: a loop that is long enough says most for its work.
    fn of_loops(shape: &Shape, budget: u64, of_waves: impl Fn(u64) -> u64) -> Self {
        let grid =
            shape.ctas / shape.wave <= GRID_WAVES && shape.work(shape.ctas, RUN_MIN) <= budget;
        let ctas = match grid {
            true => shape.ctas,
            false => of_waves(LOOP_WAVES),
        };
        let one = shape.work(ctas, RUN_MIN) / RUN_MIN;
        let run = (budget / one.max(1)).clamp(RUN_MIN, shape.trips / 2);
        Plan {
            ctas,
            trips: Trips::Some(run),
            begin: 0,
        }
    }

    /// Whether the plan is to run everything.
    pub fn whole(&self, shape: &Shape) -> bool {
        self.ctas == shape.ctas && self.trips == Trips::All
    }

    /// What it takes to simulate: see [`Shape::work`].
    pub fn work(&self, shape: &Shape) -> u64 {
        match self.trips {
            Trips::All => shape.work(self.ctas + self.begin, shape.trips),
            Trips::Some(run) => shape.work(self.ctas, run),
        }
    }

    /// Relative half width that the interval will have at least.
    pub fn least(&self, shape: &Shape) -> f64 {
        match self.trips {
            Trips::All => {
                let share = self.ctas as f64 / shape.ctas as f64;
                let of_waves = waves::least(self.ctas as f64 / shape.wave as f64);
                waves::least_of_whole(share).max((1.0 - share) * of_waves)
            }
            Trips::Some(run) => {
                let share = run as f64 / shape.trips as f64;
                let looped = shape.trips_total as f64 * shape.each as f64;
                let of_loops = looped / (looped + (shape.ctas * shape.fixed) as f64).max(1.0);
                // The CTAs that an SM gets on the average, of which the last one or its place is not known.
                let of_sm = (self.ctas * shape.holds) as f64 / shape.wave as f64;
                let last = flow::places(shape) / of_sm;
                (1.0 - share) * of_loops * flow::unseen(share).hypot(last)
            }
        }
    }

    /// Warp instructions that are run.
    pub fn instructions(&self, shape: &Shape) -> u64 {
        match self.trips {
            Trips::All => shape.some(self.ctas + self.begin, shape.trips),
            Trips::Some(run) => shape.some(self.ctas, run),
        }
    }
}
