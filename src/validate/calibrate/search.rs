//! The search for the point of a lattice at which residuals are least: along the axes, with steps that are halved. Where that
//! does not help, a jump: slopes are known from the steps that were tried, and they say where a straight machine would be
//! best (Gauss and Newton). Quantities that make up for each other lie in valleys across the axes, which no step alone leaves.

use crate::error::Result;

/// Steps of the first round.
const FIRST: i32 = 16;

/// Least distance over which a slope is taken: times are whole cycles.
const REACH: i32 = 4;

/// Residuals up to this count as squares, larger ones as they are: a fit is for the many rows, not for the few that the
/// model gets wrong for another reason. Logarithms of ratios.
const USUAL_ERROR: f64 = 0.1;

/// What residuals cost.
fn cost(residuals: &[f64]) -> f64 {
    let of = |off: &f64| (1.0 + (off / USUAL_ERROR).powi(2)).sqrt() - 1.0;
    residuals.iter().map(of).sum::<f64>() / residuals.len().max(1) as f64
}

/// The best point.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its coordinates.
    pub at: Vec<i32>,
    /// Whether the cost ever changed along an axis.
    pub has_effect: Vec<bool>,
}

/// The state of a search.
struct Search<'a, F> {
    axes: &'a [[i32; 2]],
    residuals: F,
    at: Vec<i32>,
    here: Vec<f64>,
    has_effect: Vec<bool>,
}

/// The point of `axes` (first and last coordinate of each, 0 between them) at which `residuals` (logarithms of ratios) are
/// least, as far as can be seen from 0 on. Points are asked for again.
///
/// # Errors
/// Those of `residuals`.
pub fn search<F: FnMut(&[i32]) -> Result<Vec<f64>>>(
    axes: &[[i32; 2]],
    mut residuals: F,
) -> Result<Found> {
    let at = vec![0; axes.len()];
    let here = residuals(&at)?;
    let mut search = Search {
        axes,
        residuals,
        at,
        here,
        has_effect: vec![false; axes.len()],
    };
    let mut step = FIRST;
    while step > 0 {
        loop {
            let mut moved = false;
            for axis in 0..axes.len() {
                moved |= search.along(axis, step)?;
            }
            if !moved && !search.jump(step.max(REACH))? {
                break;
            }
        }
        step /= 2;
    }
    Ok(Found {
        at: search.at,
        has_effect: search.has_effect,
    })
}

impl<F: FnMut(&[i32]) -> Result<Vec<f64>>> Search<'_, F> {
    /// The point that is `step` further along `axis`, or at its end.
    fn beside(&self, axis: usize, step: i32) -> Vec<i32> {
        let [low, high] = self.axes[axis];
        let mut to = self.at.clone();
        to[axis] = (to[axis] + step).clamp(low, high);
        to
    }

    /// Goes along `axis` as long as it pays.
    fn along(&mut self, axis: usize, step: i32) -> Result<bool> {
        for step in [step, -step] {
            let mut moved = false;
            loop {
                let to = self.beside(axis, step);
                if to == self.at {
                    break;
                }
                let there = (self.residuals)(&to)?;
                self.has_effect[axis] |= there != self.here;
                if !self.took(to, there) {
                    break;
                }
                moved = true;
            }
            if moved {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes to where the slopes over `reach` on both sides say that the cost is least, if it is less there.
    fn jump(&mut self, reach: i32) -> Result<bool> {
        let mut slopes = Vec::with_capacity(self.axes.len());
        for axis in 0..self.axes.len() {
            let [up, down] = [reach, -reach].map(|step| self.beside(axis, step));
            let far = f64::from((up[axis] - down[axis]).max(1));
            let (up, down) = ((self.residuals)(&up)?, (self.residuals)(&down)?);
            slopes.push(
                up.iter()
                    .zip(down)
                    .map(|(up, down)| (up - down) / far)
                    .collect(),
            );
        }
        let way = solved(&slopes, &self.here);
        let ends = self.at.iter().zip(way).zip(self.axes);
        let to: Vec<i32> = ends
            .map(|((&at, way), [low, high])| (at + way.round() as i32).clamp(*low, *high))
            .collect();
        if to == self.at {
            return Ok(false);
        }
        let there = (self.residuals)(&to)?;
        Ok(self.took(to, there))
    }

    fn took(&mut self, to: Vec<i32>, there: Vec<f64>) -> bool {
        let better = cost(&there) < cost(&self.here);
        if better {
            (self.at, self.here) = (to, there);
        }
        better
    }
}

/// The way along each axis to where residuals that change by their `slopes` cost least: normal equations, each residual with
/// the weight that its cost gives it.
fn solved(slopes: &[Vec<f64>], residuals: &[f64]) -> Vec<f64> {
    let weights = residuals
        .iter()
        .map(|r| 1.0 / (1.0 + (r / USUAL_ERROR).powi(2)).sqrt());
    let weights: Vec<f64> = weights.collect();
    let product = |a: &[f64], b: &[f64]| -> f64 {
        let terms = a.iter().zip(b).zip(&weights);
        terms.map(|((a, b), w)| a * b * w).sum()
    };
    let count = slopes.len();
    let mut rows: Vec<Vec<f64>> = slopes
        .iter()
        .map(|own| {
            let left = slopes.iter().map(|other| product(own, other));
            left.chain([-product(own, residuals)]).collect()
        })
        .collect();
    // An axis without effect, or one that another says everything of, stays.
    let least = 1e-9
        * (0..count)
            .map(|n| rows[n][n])
            .fold(f64::MIN_POSITIVE, f64::max);
    let mut way = vec![0.0; count];
    let mut pivots: Vec<usize> = Vec::new();
    for axis in 0..count {
        if rows[axis][axis] <= least {
            continue;
        }
        pivots.push(axis);
        let pivot = rows[axis].clone();
        for (_, row) in rows
            .iter_mut()
            .enumerate()
            .filter(|(other, _)| *other != axis)
        {
            let share = row[axis] / pivot[axis];
            row.iter_mut()
                .zip(&pivot)
                .for_each(|(value, p)| *value -= share * p);
        }
    }
    for axis in pivots {
        way[axis] = (rows[axis][count] / rows[axis][axis]).clamp(-1e6, 1e6);
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXES: &[[i32; 2]] = &[[-100, 30], [-30, 50]];

    /// Twice too long is as wrong as half; a row that is far off does not count as its square.
    #[test]
    fn a_cost_grows_as_squares_and_then_no_faster_than_the_error() {
        let of = |ratio: f64| cost(&[ratio.ln()]);
        assert_eq!(of(1.0), 0.0);
        assert!((of(2.0) - of(0.5)).abs() < 1e-12);
        assert!((of(1.02) / of(1.01) - 4.0).abs() < 0.2);
        assert!(of(4.0) < 2.2 * of(2.0));
        assert!((cost(&[0.0, 2f64.ln()]) - of(2.0) / 2.0).abs() < 1e-12);
    }

    /// A narrow valley that is no diagonal.
    #[test]
    fn the_bottom_of_a_valley_is_found_with_few_points() {
        for bottom in [[-37, 21], [25, -28], [0, 0], [-99, 49], [-60, -13]] {
            let mut asked = std::collections::BTreeSet::new();
            let found = search(AXES, |at| {
                asked.insert(at.to_vec());
                let [x, y] = [0, 1].map(|n| f64::from(at[n] - bottom[n]) / 200.0);
                Ok(vec![x + 0.3 * y + 0.1 * x * y, 0.05 * (x - y), 0.01 * y])
            });
            let found = found.unwrap();
            assert_eq!(found.at, bottom);
            assert_eq!(found.has_effect, [true, true]);
            assert!(asked.len() < 50, "{}", asked.len());
        }
    }

    #[test]
    fn what_lies_outside_ends_at_the_bound_and_what_has_no_effect_stays() {
        let found = search(AXES, |at| Ok(vec![f64::from(at[0] - 1000) / 1e4])).unwrap();
        assert_eq!(found.at, [30, 0]);
        assert_eq!(found.has_effect, [true, false]);
    }

    /// Of two axes that say the same, the first one moves.
    #[test]
    fn equations_without_a_single_answer_have_one_all_the_same() {
        let slopes = [vec![1.0, 2.0], vec![2.0, 4.0], vec![0.0, 0.0]];
        let way = solved(&slopes, &[0.03, 0.06]);
        assert!(
            (way[0] + 0.03).abs() < 1e-9 && way[1..] == [0.0, 0.0],
            "{way:?}"
        );
    }

    #[test]
    fn an_error_ends_it() {
        let mut left = 5;
        let found = search(AXES, |at| {
            left -= 1;
            match left {
                0 => Err(crate::error::Error::Run("over".into())),
                _ => Ok(vec![f64::from(at[0])]),
            }
        });
        assert!(found.is_err() && left == 0);
    }
}
