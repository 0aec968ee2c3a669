//! The time of a wave of CTAs from the times at which CTAs end.

/// A mean with its uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Half width of its confidence interval at 95 %.
    pub half: f64,
}

/// Places at which the rate of a run of less than two waves is read off.
const PLACES: usize = 10;
/// How much the difference of two halves is widened to an interval: two values say little about their spread.
const HALVES: f64 = 1.5;
/// Relative half width that no interval of a time in steady state is narrower than.
const LEAST: f64 = 0.01;

/// The mean of `values`, whose order is that of time, with an interval from the difference of its halves. What varies from
/// one value to the next evens out, for a throughput that was higher now is lower afterwards; what drifts does not.
fn steady_mean(values: &[f64]) -> Mean {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let (first, second) = values.split_at(values.len() / 2);
    let value = mean(values);
    let half = (mean(first) - mean(second)).abs() / 2.0 * HALVES;
    Mean {
        value,
        half: half.max(LEAST * value),
    }
}

/// Cycles between a wave of `wave` CTAs and the next, when the wave is full. `ends` are in order.
///
/// The CTA that ends `wave` places later took the place of one that ended now, so the time between the two is that of a
/// wave, whether CTAs end together or evenly spread. The first waves, which begin on an empty chip, and the last, beside
/// which nothing new starts, are left out when there are enough.
pub fn wave_time(ends: &[u64], wave: usize) -> Option<Mean> {
    let whole = ends.len() / wave;
    if whole < 2 {
        return None;
    }
    let (settle, drain) = match whole {
        0..3 => (0, 0),
        3 => (1, 0),
        4..7 => (1, 1),
        _ => (2, 1),
    };
    let from = settle * wave;
    let to = (whole - 1 - drain) * wave;
    let times: Vec<f64> = (from..to)
        .map(|at| (ends[at + wave] - ends[at]) as f64)
        .collect();
    Some(steady_mean(&times))
}

/// The same of CTAs without a loop that could be cut, from less than two waves: the rate at which they end in the middle
/// of the run.
pub fn spread_time(ends: &[u64], wave: usize) -> Mean {
    let (from, to) = (ends.len() / 5, ends.len() * 4 / 5);
    let step = ((to - from) / PLACES).max(1);
    let rates: Vec<f64> = (from..to)
        .step_by(step)
        .filter(|at| at + step < ends.len())
        .map(|at| (ends[at + step] - ends[at]) as f64 / step as f64 * wave as f64)
        .collect();
    steady_mean(&rates)
}
