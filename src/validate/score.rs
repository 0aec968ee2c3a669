//! How far predictions are from measurements.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

/// Statistics of relative errors.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Rows.
    pub n: usize,
    /// Mean of |error|, percent.
    pub mape: f64,
    /// Its confidence interval (95 %, bootstrap), percent.
    pub mape_ci95: [f64; 2],
    /// Median of |error|, percent.
    pub median: f64,
    /// 90th percentile of |error|, percent.
    pub p90: f64,
    /// Mean error with its sign, percent.
    pub bias: f64,
    /// Kendall's tau-b between predictions and measurements; absent with fewer than two rows or where all are alike.
    pub tau: Option<f64>,
    /// Mean of |error| of the roofline bound, percent.
    pub roofline_mape: f64,
}

/// A prediction with its truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Predicted.
    pub predicted: f64,
    /// Measured.
    pub truth: f64,
    /// Bound.
    pub roofline: f64,
}

/// Samples of the bootstrap.
const SAMPLES: usize = 1000;
/// Seed of the bootstrap: results are the same from run to run.
const SEED: u64 = 1;
/// Kendall's tau compares all pairs of so many rows; of more, of as many at equal distances.
const TAU_ROWS: usize = 2000;

impl Score {
    /// Of some rows.
    pub fn of(pairs: &[Pair]) -> Self {
        if pairs.is_empty() {
            return Score::default();
        }
        let relative = |predicted: f64, truth: f64| 100.0 * (predicted / truth - 1.0);
        let errors: Vec<f64> = pairs
            .iter()
            .map(|p| relative(p.predicted, p.truth))
            .collect();
        let mut sizes: Vec<f64> = errors.iter().map(|e| e.abs()).collect();
        let mape = mean(&sizes);
        let mape_ci95 = bootstrap(&sizes);
        sizes.sort_by(f64::total_cmp);
        let rooflines: Vec<f64> = pairs
            .iter()
            .map(|p| relative(p.roofline, p.truth).abs())
            .collect();
        Score {
            n: pairs.len(),
            mape,
            mape_ci95,
            median: quantile(&sizes, 0.5),
            p90: quantile(&sizes, 0.9),
            bias: mean(&errors),
            tau: tau(pairs),
            roofline_mape: mean(&rooflines),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Of `sorted`, between the neighbours.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

fn bootstrap(values: &[f64]) -> [f64; 2] {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut means: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let sum: f64 = (0..values.len())
                .map(|_| values[random.random_range(0..values.len())])
                .sum();
            sum / values.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    [quantile(&means, 0.025), quantile(&means, 0.975)]
}

/// Kendall's tau-b.
fn tau(pairs: &[Pair]) -> Option<f64> {
    let step = pairs.len().div_ceil(TAU_ROWS).max(1);
    let rows: Vec<&Pair> = pairs.iter().step_by(step).collect();
    let (mut agree, mut ties_a, mut ties_b, mut all) = (0i64, 0i64, 0i64, 0i64);
    for (at, a) in rows.iter().enumerate() {
        for b in &rows[..at] {
            let of = |x: f64, y: f64| x.partial_cmp(&y).map_or(0, |o| o as i64);
            let (p, t) = (of(a.predicted, b.predicted), of(a.truth, b.truth));
            agree += p * t;
            ties_a += i64::from(p == 0);
            ties_b += i64::from(t == 0);
            all += 1;
        }
    }
    let scale = ((all - ties_a) as f64 * (all - ties_b) as f64).sqrt();
    (scale > 0.0).then(|| agree as f64 / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(predicted: f64, truth: f64) -> Pair {
        Pair {
            predicted,
            truth,
            roofline: truth / 2.0,
        }
    }

    #[test]
    fn a_score_is_that_of_hand_calculation() {
        let pairs = [pair(11.0, 10.0), pair(18.0, 20.0), pair(39.0, 30.0)];
        let score = Score::of(&pairs);
        assert!((score.mape - 50.0 / 3.0).abs() < 1e-9);
        assert!((score.median - 10.0).abs() < 1e-9);
        assert!((score.p90 - 26.0).abs() < 1e-9);
        assert!((score.bias - 10.0).abs() < 1e-9);
        assert_eq!(score.tau, Some(1.0));
        assert!((score.roofline_mape - 50.0).abs() < 1e-9);
        assert!(score.mape_ci95[0] > 9.99 && score.mape_ci95[1] < 30.01);
        assert_eq!(Score::of(&pairs), score, "the same every time");
    }

    #[test]
    fn order_is_what_tau_measures() {
        let reversed = [pair(3.0, 1.0), pair(2.0, 2.0), pair(1.0, 3.0)];
        assert_eq!(tau(&reversed), Some(-1.0));
        assert_eq!(tau(&reversed[..1]), None);
        assert_eq!(tau(&[pair(1.0, 1.0), pair(1.0, 2.0)]), None);
    }
}
