//! The time of a wave of CTAs from the times at which CTAs end.

/// A mean with its uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Half width of its confidence interval at 95 %.
    pub half: f64,
}

/// Pieces of the time that was seen whose means are compared.
const BATCHES: usize = 4;
/// Share of the distance between the least and the greatest of these means that the interval is wide on each side. Of 14
/// parts of streaming kernels, softmax, layer norms and products (2.9 to 12 waves) later waves were off by 0.05 to 0.35 of
/// it, and by 0.6 where next to two waves had been seen.
const RANGE: f64 = 0.3;
/// Relative half width that no interval of a time in steady state is narrower than.
const LEAST: f64 = 0.015;
/// Waves that have to follow each other for a time of one: with less, nothing says whether it is steady.
const SEEN_MIN: f64 = 0.5;
/// Relative half width where less was seen.
const UNSEEN: f64 = 0.25;

/// Relative half width that no interval of a kernel is narrower than, of which half of the CTAs or less are run: of 28 kernels
/// on 13 GPUs that were sampled so, 25 were off by less. Waves go on parting for longer than a part is.
const WHOLE: f64 = 0.019;

/// Relative half width that the interval of a kernel has at least, of whose CTAs `share` are run.
pub fn least_of_whole(share: f64) -> f64 {
    WHOLE * (2.0 * (1.0 - share)).min(1.0)
}

/// Relative half width that the time of a wave will have at least, when `waves` are run.
pub fn least(waves: f64) -> f64 {
    // The first to end, and the last, behind which none begins.
    match waves - 2.0 >= SEEN_MIN {
        true => LEAST,
        false => UNSEEN,
    }
}

/// The steady value of `values`, whose order is that of time: the mean of their later half, for a kernel that begins with
/// all CTAs in step takes some waves until they have parted; where that goes one way all the time, the mean of the last
/// batch. The interval comes from means of batches, which differ as far as waves still drift.
fn steady_mean(values: &[f64]) -> Mean {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let batches: Vec<f64> = values
        .chunks(values.len().div_ceil(BATCHES).max(1))
        .map(mean)
        .collect();
    let drifts = batches.is_sorted() || batches.iter().rev().is_sorted();
    let value = match batches.last() {
        Some(last) if drifts => *last,
        _ => mean(&values[values.len() / 2..]),
    };
    let range = |of: &[f64]| {
        let least = of.iter().copied().fold(f64::INFINITY, f64::min);
        of.iter().copied().fold(0.0, f64::max) - least
    };
    // What the first batch shows is past, as far as the others agree.
    let spread = range(&batches[1.min(batches.len() - 1)..]).max(range(&batches) / 2.0);
    Mean {
        value,
        half: (spread * RANGE).max(LEAST * value),
    }
}

/// Cycles between a wave of `wave` CTAs and the next, when the wave is full. `ends` are in order, and `last_start` is when
/// the last CTA began: from then on nothing takes the place of what ends.
///
/// The CTA that ends `wave` places later took the place of one that ended now, so the time between the two is that of a
/// wave, whether CTAs end together or evenly spread.
pub fn wave_time(ends: &[u64], wave: usize, last_start: u64) -> Mean {
    let full = ends.partition_point(|end| *end <= last_start);
    let pairs = |of: &[u64]| -> Vec<f64> {
        let later = of.iter().skip(wave);
        later.zip(of).map(|(to, from)| (to - from) as f64).collect()
    };
    let seen = pairs(&ends[..full]);
    if seen.len() as f64 >= SEEN_MIN * wave as f64 {
        return steady_mean(&seen);
    }
    let value = match pairs(ends) {
        all if all.is_empty() => spread_time(ends, wave),
        all => all.iter().sum::<f64>() / all.len() as f64,
    };
    Mean {
        value,
        half: UNSEEN * value,
    }
}

/// The same from the ends of a wave at most: the rate at which CTAs end in the middle of the run.
fn spread_time(ends: &[u64], wave: usize) -> f64 {
    let (from, to) = (ends.len() / 5, ends.len() * 4 / 5);
    let count = to - from;
    match ends.get(to) {
        Some(end) if count > 0 => (end - ends[from]) as f64 / count as f64 * wave as f64,
        _ => ends.last().map_or(0.0, |end| *end as f64) * wave as f64,
    }
}
