//! The time of a wave of CTAs, and of an iteration of their loops, from the times at which CTAs end.

/// A mean with its uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Half width of its confidence interval at 95 %.
    pub half: f64,
}

/// Batches.
const BATCHES: usize = 10;
/// Student's t for nine degrees of freedom at 95 %, both sides.
const T9: f64 = 2.262;

/// The mean of `values`, whose order is that of time, by batch means: neighbours may depend on each other.
pub fn batch_mean(values: &[f64]) -> Mean {
    let count = values.len();
    if count == 0 {
        return Mean::default();
    }
    let value = values.iter().sum::<f64>() / count as f64;
    if count < 2 * BATCHES {
        // Too few for batches: the whole spread.
        let (least, most) = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
        let half = (most - least) / 2.0;
        return Mean { value, half };
    }
    let batch = |b: usize| {
        let part = &values[count * b / BATCHES..count * (b + 1) / BATCHES];
        part.iter().sum::<f64>() / part.len() as f64
    };
    let means: Vec<f64> = (0..BATCHES).map(batch).collect();
    let centre = means.iter().sum::<f64>() / BATCHES as f64;
    let squares: f64 = means.iter().map(|m| (m - centre).powi(2)).sum();
    let error = (squares / (BATCHES * (BATCHES - 1)) as f64).sqrt();
    Mean {
        value,
        half: T9 * error,
    }
}

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
    let step = ((to - from) / BATCHES).max(1);
    let rates: Vec<f64> = (from..to)
        .step_by(step)
        .filter(|at| at + step < ends.len())
        .map(|at| (ends[at + step] - ends[at]) as f64 / step as f64 * wave as f64)
        .collect();
    steady_mean(&rates)
}

/// The same of long CTAs, from the first wave: the time that an SM took for as many CTAs as it holds at once, and until a
/// CTA takes the place of another (`turnover`). SMs that got no further CTA are asked if there are some, because a CTA
/// beside a newer one may be the slower for it.
pub fn first_wave_time(sms: &[SmEnd], holds: u32, turnover: u64) -> Mean {
    let alone = sms.iter().any(|sm| sm.ctas == holds);
    let times: Vec<f64> = sms
        .iter()
        .filter(|sm| sm.ctas >= holds && (sm.ctas == holds || !alone))
        .map(|sm| (sm.held - sm.first + turnover) as f64)
        .collect();
    batch_mean(&times)
}

/// What an SM had done at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmEnd {
    /// CTAs that it ran.
    pub ctas: u32,
    /// When the first of them started.
    pub first: u64,
    /// When as many had ended as it holds at once.
    pub held: u64,
    /// When the last of them ended.
    pub last: u64,
}

/// Relative uncertainty of the difference between two runs of the same CTAs with more and with fewer iterations, from how
/// much it varies between SMs that ran equally many CTAs. CTAs of one SM are not independent (the scheduler prefers
/// some), so an SM counts once.
pub fn difference_error(many: &[SmEnd], few: &[SmEnd]) -> f64 {
    let pairs: Vec<(u32, f64)> = many
        .iter()
        .zip(few)
        .filter(|(m, f)| m.ctas == f.ctas && m.ctas > 0)
        .map(|(m, f)| (m.ctas, m.last as f64 - f.last as f64))
        .collect();
    let mean_of = |ctas: u32| {
        let (sum, count) = pairs
            .iter()
            .filter(|pair| pair.0 == ctas)
            .fold((0.0, 0.0), |(sum, count), pair| (sum + pair.1, count + 1.0));
        sum / count
    };
    let relative: Vec<f64> = pairs
        .iter()
        .map(|&(ctas, difference)| (difference, mean_of(ctas)))
        .filter(|(_, mean)| *mean > 0.0)
        .map(|(difference, mean)| difference / mean)
        .collect();
    match relative.len() {
        0 | 1 => 1.0,
        _ => batch_mean(&relative).half,
    }
}
