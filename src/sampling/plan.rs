//! Which part of a kernel is run.

use crate::config::GpuSpec;
use crate::error::Result;
use crate::occupancy::Occupancy;
use crate::trace::{CtaEncoder, Kernel, Part, PartIterations, WarpStream};

/// A kernel as far as sampling needs to know it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// CTAs of the grid.
    pub ctas: u64,
    /// CTAs that run at once.
    pub wave: u64,
    /// Iterations of the main loop of the CTA that has most.
    pub trips: u64,
    /// Iterations of all CTAs together.
    pub trips_total: u64,
    /// Warp instructions of a CTA outside of the loop.
    pub fixed: u64,
    /// Warp instructions of an iteration, all warps of the CTA together.
    pub each: u64,
}

/// CTAs that are asked for their iterations; of more, as many at equal distances.
const ASKED: u64 = 4096;

impl Shape {
    /// Of `kernel`.
    ///
    /// # Errors
    /// A trace that cannot be read.
    pub fn of(kernel: &Kernel, occupancy: &Occupancy, spec: &GpuSpec) -> Result<Self> {
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
        Ok(Shape {
            ctas,
            wave: (u64::from(occupancy.ctas_per_sm) * u64::from(spec.sms)).max(1),
            trips: most,
            trips_total,
            fixed,
            each,
        })
    }

    /// Warp instructions of the kernel.
    pub fn total(&self) -> u64 {
        let looped = u128::from(self.trips_total) * u128::from(self.each);
        let all = u128::from(self.ctas) * u128::from(self.fixed) + looped;
        u64::try_from(all).unwrap_or(u64::MAX)
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
}

/// Iterations that are run at least: in the second half of them a pipeline of some stages has filled, and enough are left
/// to read a rate off.
const RUN_MIN: u64 = 20;
/// Waves that are run of a kernel without a loop that could be cut: one to settle, two to compare.
const WAVES: u64 = 3;
/// Whole waves that are run of a kernel whose loops are cut: where CTAs of the second end says how long a wave is.
const LOOP_WAVES: u64 = 2;
/// From this many waves on, at most a tenth of the CTAs is run.
const MANY_WAVES: u64 = 20;

impl Plan {
    /// For about `budget` warp instructions. The first attempt of a kernel of many waves runs a tenth of its CTAs at
    /// most, later ones more.
    pub fn new(shape: &Shape, budget: u64, attempt: u32) -> Self {
        let all = Plan {
            ctas: shape.ctas,
            trips: Trips::All,
        };
        if shape.total() <= budget {
            return all;
        }
        let rest = shape.ctas % shape.wave;
        let whole_waves = shape.ctas / shape.wave;
        let of_waves = |waves: u64| (waves.min(whole_waves) * shape.wave + rest).min(shape.ctas);
        // A loop that is long enough is cut first: it says most for its instructions.
        if shape.trips >= 2 * RUN_MIN {
            let ctas = of_waves(LOOP_WAVES);
            let affordable = budget * RUN_MIN / shape.some(ctas, RUN_MIN).max(1);
            let run = affordable.clamp(RUN_MIN, shape.trips / 2);
            return Plan {
                ctas,
                trips: Trips::Some(run),
            };
        }
        let wave = shape.some(shape.wave, shape.trips).max(1);
        let affordable = (budget / wave).max(WAVES);
        let most = match whole_waves >= MANY_WAVES {
            // The tenth includes the incomplete wave.
            true => ((shape.ctas * (1 + u64::from(attempt)) / 10).saturating_sub(rest)
                / shape.wave)
                .max(1),
            false => u64::MAX,
        };
        let waves = affordable.min(most);
        // Cutting away a wave or two is not worth an interval.
        if whole_waves <= waves + 2 {
            return all;
        }
        Plan {
            ctas: of_waves(waves),
            trips: Trips::All,
        }
    }

    /// Whether the plan is to run everything.
    pub fn whole(&self, shape: &Shape) -> bool {
        self.ctas == shape.ctas && self.trips == Trips::All
    }

    /// Warp instructions that are run.
    pub fn instructions(&self, shape: &Shape) -> u64 {
        match self.trips {
            Trips::All => shape.some(self.ctas, shape.trips),
            Trips::Some(run) => shape.some(self.ctas, run),
        }
    }
}
