//! How much longer a kernel is whose loops were cut, and of which waves were left out: from the rates that were seen in its
//! part, through the model of the grid.

use super::combine::{Measured, wave_of};
use super::course::Rate;
use super::fluid::Fluid;
use super::plan::{Plan, Shape};
use super::waves::Mean;
use crate::trace::Kernel;

/// Half width of the interval by which the end of a kernel moves with the order in which warps happen to be picked,
/// iterations: measured on runs whose numbers of iterations differ by one.
const JITTER: f64 = 0.5;
/// How much the difference between the early and the late rate of a loop is widened to an interval.
const DRIFT: f64 = 0.75;
/// Relative half width of the interval of the time of an iteration, where next to none of a loop is run.
const UNSEEN: f64 = 0.06;
/// Relative half width that no interval of the time of iterations is narrower than, of whose loop `share` is run. Caches
/// and rows of DRAM change along a loop, and CTAs part from each other: of 12 products whose full runs are known, on seven
/// machines, estimates with a sixth of the loop were off by 2 to 4 % where the last SM had as many CTAs, with a third by 1
/// to 6, with half by 0.1 to 1.
pub fn unseen(share: f64) -> f64 {
    UNSEEN * (1.0 - share)
}

/// CTAs by which an SM may end with more or fewer than in the part. Of a grid that runs at once every SM has its own from
/// the beginning. Of more, one that holds one gets the next when it is done, in the part as in the whole; of several, one
/// may be done just before or behind those of another SM.
pub fn places(shape: &Shape) -> f64 {
    match shape.holds {
        0 | 1 => 0.0,
        _ if shape.ctas <= shape.wave => 0.0,
        _ => 1.0,
    }
}

/// A kernel and the part of it that was run, with a share of its iterations.
pub struct Flow<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Its shape.
    pub shape: &'a Shape,
    /// What was run.
    pub plan: &'a Plan,
    /// What that left.
    pub part: &'a Measured,
    /// Iterations that were run, of each that there is.
    pub share: f64,
}

impl Flow<'_> {
    /// Cycles by which the whole kernel is longer than its part, beside which `waves` were left out; and how many of them are
    /// of iterations that were not run.
    pub fn longer(&self, waves: f64) -> (Mean, f64) {
        let holds = self.part.run.occupancy.ctas_per_sm;
        let measured = self.part.course.rates(holds);
        let each = self.shape.each.max(1) as f64;
        if measured.iter().all(Option::is_none) {
            // In so short a run nothing was steady: an interval that nobody takes for an estimate.
            let cycles = (self.part.run.end - self.part.run.start) as f64;
            let value =
                cycles * (self.shape.ctas as f64 / self.plan.ctas as f64 / self.share - 1.0);
            return (Mean { value, half: value }, 0.0);
        }
        let rates = |of: fn(&Rate) -> f64| filled(&measured, of).map(|rate| rate / each).collect();
        let fluid = self.calibrated(rates(|rate| rate.value));
        // Waves that were left out: as long as the part's, and longer by their loops.
        let mean_trips = self.shape.trips_total as f64 / self.shape.ctas as f64;
        let iterations = waves * mean_trips * (1.0 - self.share) * f64::from(holds);
        let at_rates = |fluid: &Fluid| {
            let full_rate = fluid.rates.last().copied().unwrap_or(1.0);
            self.makespan(fluid, 1.0) - self.makespan(fluid, self.share) + iterations / full_rate
        };
        // SMs differ for good, or were only ahead or behind for as long as the part took: half way, either way.
        let all_alike = Fluid {
            speeds: vec![1.0; fluid.speeds.len()],
            ..fluid.clone()
        };
        let (differ, alike) = (at_rates(&fluid), at_rates(&all_alike));
        let of_loops = (differ + alike) / 2.0;
        let with = |rates| {
            at_rates(&Fluid {
                rates,
                ..fluid.clone()
            })
        };
        let drift = with(rates(|rate| rate.early)) - with(rates(|rate| rate.late));
        let jitter = JITTER * f64::from(holds) / fluid.rates.last().copied().unwrap_or(1.0);
        let wave = match waves > 0.0 {
            true => wave_of(self.shape, self.part),
            false => Mean::default(),
        };
        let full_rate = fluid.rates.last().copied().unwrap_or(1.0);
        let last = places(self.shape) * mean_trips * (1.0 - self.share) / full_rate;
        let half = (drift.abs() * DRIFT).max(of_loops * unseen(self.share));
        let half = half
            .hypot((differ - alike) / 2.0)
            .hypot(jitter)
            .hypot(last)
            .hypot(waves * wave.half);
        let value = of_loops + waves * wave.value;
        (Mean { value, half }, of_loops)
    }

    /// The model with these rates in which the part ends when it did.
    fn calibrated(&self, rates: Vec<f64>) -> Fluid {
        let mut fluid = Fluid {
            speeds: self.part.course.speeds(),
            rates,
            skew: 1.0,
            overhead: 0.0,
        };
        let holds = self.part.run.occupancy.ctas_per_sm;
        if let Some(issued) = self.part.course.issued_at_first_end(holds) {
            let of_first = self.trips(self.first(), self.share) * self.shape.each as f64;
            fluid.skew = skew_of(
                (of_first + self.shape.fixed as f64) / issued,
                fluid.rates.len(),
            );
        }
        let took = self
            .part
            .ends
            .last()
            .map_or(0, |end| end - self.part.run.start) as f64;
        fluid.overhead = overhead_of(&mut fluid, took, |fluid| self.makespan(fluid, self.share));
        fluid
    }

    /// The first CTA of the part.
    fn first(&self) -> u64 {
        self.shape.ctas - self.plan.ctas
    }

    /// Iterations of `cta` when `share` of them are run.
    fn trips(&self, cta: u64, share: f64) -> f64 {
        (self.kernel.ctas.iterations(cta).max(1) as f64 * share).max(1.0)
    }

    /// Cycles that the part's CTAs take with `share` of their iterations. Where nothing was left out there are few waves, and
    /// it matters which SM gets how many CTAs: as many as it got in the part. Beyond, whoever is free gets the next.
    fn makespan(&self, fluid: &Fluid, share: f64) -> f64 {
        let mut next = self.first();
        let as_seen = next == 0;
        let mut begun = vec![0; fluid.speeds.len()];
        fluid.makespan(|sm| {
            if as_seen {
                begun[sm] += 1;
                let cta = self.part.course.started(sm, begun[sm] - 1)?;
                return Some(self.trips(cta, share));
            }
            next += 1;
            (next <= self.shape.ctas).then(|| self.trips(next - 1, share))
        })
    }
}

/// The rate for each number of CTAs: where none was seen, as for the nearest number above that was seen, less in
/// proportion at most; or that of the nearest below. Without one of its CTAs an SM keeps at least the share of the others:
/// what was seen of an SM whose last CTA waits for its stores is no rate of loops.
fn filled(measured: &[Option<Rate>], of: fn(&Rate) -> f64) -> impl Iterator<Item = f64> {
    let rates = (0..measured.len()).map(move |at| {
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
    });
    let mut rates: Vec<f64> = rates.collect();
    for at in (1..rates.len()).rev() {
        let share = rates[at] * at as f64 / (at + 1) as f64;
        rates[at - 1] = rates[at - 1].max(share);
    }
    rates.into_iter()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(value: f64) -> Option<Rate> {
        Some(Rate {
            value,
            early: value,
            late: value,
        })
    }

    fn rates(measured: &[Option<Rate>]) -> Vec<f64> {
        filled(measured, |rate| rate.value).collect()
    }

    /// An SM whose last CTA only waits issues nothing; half of what two CTAs issue is the least that one does.
    #[test]
    fn fewer_ctas_keep_at_least_their_share() {
        assert_eq!(rates(&[rate(0.01), rate(2.0)]), [1.0, 2.0]);
        assert_eq!(rates(&[rate(1.3), rate(2.0)]), [1.3, 2.0]);
        assert_eq!(rates(&[rate(3.0), rate(2.0)]), [3.0, 2.0]);
        assert_eq!(
            rates(&[None, rate(1.0), rate(0.2), rate(4.0)]),
            [1.0, 2.0, 3.0, 4.0]
        );
    }
}
