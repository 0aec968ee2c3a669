//! Statistics of pairs of simulated and measured numbers.

use super::Pair;
use serde::Serialize;

/// How near the numbers of a metric are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Pairs.
    pub n: usize,
    /// Pairs whose measured number is 0, which have no relative error.
    pub zeros: usize,
    /// Mean absolute relative error; null without one.
    pub mape: Option<f64>,
    /// Mean relative error with its sign.
    pub bias: Option<f64>,
    /// Median absolute relative error.
    pub median: Option<f64>,
    /// Root of the mean squared difference, in the metric's unit.
    pub rmse: f64,
    /// Pearson's correlation of the numbers; null with fewer than two pairs, or where one side is constant.
    pub pearson: Option<f64>,
    /// Spearman's correlation of their ranks.
    pub spearman: Option<f64>,
    /// Pairs whose error is far from the others.
    pub outliers: usize,
}

/// Errors of fewer pairs have no outliers.
const OUTLIERS_FROM: usize = 5;
/// Errors within this share are never outliers.
const NEAR: f64 = 0.2;

impl Stats {
    /// Of `pairs`, whose outliers are marked.
    pub fn of(pairs: &mut [Pair]) -> Self {
        let errors: Vec<f64> = pairs.iter().filter_map(|p| p.error).collect();
        let sizes = sorted(errors.iter().map(|e| e.abs()).collect());
        let some = |value: f64| (!errors.is_empty()).then_some(value);
        mark(pairs, &errors);
        let x: Vec<f64> = pairs.iter().map(|p| p.measured).collect();
        let y: Vec<f64> = pairs.iter().map(|p| p.simulated).collect();
        let squares = pairs
            .iter()
            .map(|p| (p.simulated - p.measured).powi(2))
            .collect::<Vec<_>>();
        Stats {
            n: pairs.len(),
            zeros: pairs.len() - errors.len(),
            mape: some(mean(&sizes)),
            bias: some(mean(&errors)),
            median: some(quantile(&sizes, 0.5)),
            rmse: mean(&squares).sqrt(),
            pearson: pearson(&x, &y),
            spearman: pearson(&ranks(&x), &ranks(&y)),
            outliers: pairs.iter().filter(|p| p.outlier).count(),
        }
    }
}

/// Marks errors beyond one and a half times the range of the middle half.
fn mark(pairs: &mut [Pair], errors: &[f64]) {
    if errors.len() < OUTLIERS_FROM {
        return;
    }
    let errors = sorted(errors.to_vec());
    let (low, high) = (quantile(&errors, 0.25), quantile(&errors, 0.75));
    let fence = 1.5 * (high - low);
    for pair in pairs {
        pair.outlier = pair
            .error
            .is_some_and(|e| e.abs() > NEAR && (e < low - fence || e > high + fence));
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// Of `sorted`, between the neighbours; 0 of nothing.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = at * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let (mx, my) = (mean(x), mean(y));
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| f(x - mx, y - my)).sum()
    };
    let scale = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    (x.len() > 1 && scale > 0.0).then(|| sum(&|x, y| x * y) / scale)
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let first = order.iter().position(|at| *at == equal[0]).unwrap_or(0);
        let rank = first as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|at| ranks[*at] = rank);
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(numbers: &[(f64, f64)]) -> Vec<Pair> {
        let pair = |(index, &(simulated, measured)): (usize, &(f64, f64))| Pair {
            kernel: "k".into(),
            index,
            simulated,
            measured,
            error: (measured != 0.0).then(|| (simulated - measured) / measured),
            outlier: false,
        };
        numbers.iter().enumerate().map(pair).collect()
    }

    #[test]
    fn statistics_are_those_of_hand_calculation() {
        let stats = Stats::of(&mut pairs(&[
            (11.0, 10.0),
            (18.0, 20.0),
            (36.0, 30.0),
            (1.0, 0.0),
        ]));
        let near = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() < 1e-12;
        assert_eq!((stats.n, stats.zeros), (4, 1));
        assert!(
            near(stats.mape, 0.4 / 3.0) && near(stats.bias, 0.2 / 3.0) && near(stats.median, 0.1)
        );
        assert!((stats.rmse - (42.0f64 / 4.0).sqrt()).abs() < 1e-12);
        assert!(near(stats.spearman, 1.0));
        // By hand: deviations of 0, 10, 20, 30 and of 1, 11, 18, 36.
        let expected = 560.0 / (500.0f64 * 653.0).sqrt();
        assert!(near(stats.pearson, expected), "{:?}", stats.pearson);
        assert_eq!(Stats::of(&mut pairs(&[(1.0, 1.0)])).pearson, None);
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 9.0]), [2.5, 1.0, 2.5, 4.0]);
    }

    #[test]
    fn what_is_far_from_the_others_is_marked() {
        let mut all = pairs(&[
            (10.0, 10.0),
            (10.1, 10.0),
            (9.9, 10.0),
            (10.2, 10.0),
            (30.0, 10.0),
            (10.5, 10.0),
        ]);
        assert_eq!(Stats::of(&mut all).outliers, 1);
        assert!(all[4].outlier);
    }
}
