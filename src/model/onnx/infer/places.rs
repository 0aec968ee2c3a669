//! Values of tensors whose elements are those of others in other places.

use super::fold::values;
use super::{Call, Made, arrange, axis};
use crate::model::check::elements;
use crate::model::onnx::proto::{VALUES_MAX, Values};
use std::rc::Rc;

/// Rows of as many extents, unless there are more than values are kept of: an empty tensor may have very many.
fn rows(shape: &[u64]) -> Option<usize> {
    let rows = elements(shape).ok().filter(|&n| n <= VALUES_MAX)?;
    Some(rows as usize)
}

/// Parts side by side: for all that stands in front of the dimension, what each part has there.
pub fn concat(call: &Call<'_>, shape: &[u64]) -> Option<Values> {
    let at = axis(call.int("axis", 1), shape.len()).ok()?;
    let outer = rows(&shape[..at])?;
    let (mut ints, mut floats) = (Vec::new(), Vec::new());
    for row in 0..outer {
        for index in 0..call.inputs.len() {
            let width = call.get(index)?.shape[at..].iter().product::<u64>() as usize;
            let part = row * width..(row + 1) * width;
            match values(call, index)? {
                Values::Ints(more) => ints.extend(more.get(part)?),
                Values::Floats(more) => floats.extend(more.get(part)?),
            }
        }
    }
    Some(match floats.is_empty() {
        true => Values::Ints(ints),
        false => Values::Floats(floats),
    })
}

/// `picked` elements of `from`.
fn pick(from: &Values, picked: impl Iterator<Item = usize>) -> Option<Values> {
    Some(match from {
        Values::Ints(ints) => Values::Ints(
            picked
                .map(|i| ints.get(i).copied())
                .collect::<Option<_>>()?,
        ),
        Values::Floats(floats) => Values::Floats(
            picked
                .map(|i| floats.get(i).copied())
                .collect::<Option<_>>()?,
        ),
    })
}

/// Elements of an input, by the indices of another.
pub fn gather(call: &Call<'_>) -> Option<Values> {
    let x = call.get(0)?;
    let at = axis(call.int("axis", 0), x.shape.len()).ok()?;
    let outer = 0..rows(&x.shape[..at])?;
    let rows = x.shape[at] as i64;
    let width = x.shape[at + 1..].iter().product::<u64>() as usize;
    let Values::Ints(indices) = values(call, 1)? else {
        return None;
    };
    let row = |i: &i64| {
        let i = if *i < 0 { i + rows } else { *i };
        (0..rows).contains(&i).then_some(i as usize)
    };
    let picked: Vec<usize> = indices.iter().map(row).collect::<Option<_>>()?;
    let all = outer.flat_map(|outer| {
        let rows = picked.iter().map(move |row| outer * rows as usize + row);
        rows.flat_map(|row| row * width..(row + 1) * width)
    });
    pick(values(call, 0)?, all)
}

/// How far apart the elements of each dimension of `shape` lie.
fn strides(shape: &[u64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at] as i64;
    }
    strides
}

/// Elements of `from` for a result of `shape`: in each dimension its number maps to a distance from `start`.
fn walk(
    from: &Values,
    shape: &[u64],
    start: i64,
    distance: impl Fn(usize, i64) -> i64,
) -> Option<Values> {
    let count: u64 = shape.iter().product();
    let place = |index: u64| {
        let (mut rest, mut place): (u64, i64) = (index, start);
        for at in (0..shape.len()).rev() {
            place = distance(at, (rest % shape[at]) as i64).saturating_add(place);
            rest /= shape[at];
        }
        usize::try_from(place).unwrap_or(usize::MAX)
    };
    pick(from, (0..count).map(place))
}

/// Every so many elements between two.
pub fn slice(call: &Call<'_>, shape: &[u64]) -> Option<Values> {
    let from = &call.get(0)?.shape;
    let mut steps = strides(from);
    let mut start = 0;
    for (at, first, step, _) in arrange::slices(call, from).ok()? {
        start = first.saturating_mul(steps[at]).saturating_add(start);
        steps[at] = steps[at].saturating_mul(step);
    }
    walk(values(call, 0)?, shape, start, |at, n| {
        n.saturating_mul(steps[at])
    })
}

/// The elements in another order of dimensions.
pub fn transpose(call: &Call<'_>, shape: &[u64]) -> Option<Values> {
    let from = strides(&call.get(0)?.shape);
    let order: Vec<usize> = match call.ints("perm") {
        Some(order) => order
            .iter()
            .map(|&n| axis(n, from.len()).ok())
            .collect::<Option<_>>()?,
        None => (0..from.len()).rev().collect(),
    };
    walk(values(call, 0)?, shape, 0, |at, n| n * from[order[at]])
}

/// The elements several times.
pub fn tile(call: &Call<'_>, shape: &[u64]) -> Option<Values> {
    let from = &call.get(0)?.shape;
    let steps = strides(from);
    let around = |at: usize, n: i64| n % from[at] as i64 * steps[at];
    walk(values(call, 0)?, shape, 0, around)
}

/// Gives the parts of a vector their values.
pub fn fold_split(call: &Call<'_>, made: &mut Made) {
    let mut start = 0;
    for out in &mut made.outputs {
        let &[n] = &out.shape[..] else { return };
        let end = start + n as usize;
        let picked = values(call, 0).and_then(|all| pick(all, start..end));
        out.values = picked.map(Rc::new);
        start = end;
    }
}

/// Where each element of a tensor of `to` lies in one of `from` that is broadcast.
fn places(from: &[u64], to: &[u64]) -> Option<Vec<usize>> {
    let count: u64 = to.iter().product();
    let skip = to.len().checked_sub(from.len())?;
    let place = |index: u64| {
        let (mut rest, mut place, mut stride) = (index, 0, 1);
        for at in (0..to.len()).rev() {
            let digit = rest % to[at];
            rest /= to[at];
            if at >= skip {
                let n = from[at - skip];
                place += if n == 1 { 0 } else { digit * stride };
                stride *= n;
            }
        }
        place as usize
    };
    Some((0..count).map(place).collect())
}

/// The elements of a tensor of `shape`, broadcast.
pub fn spread(from: &Values, shape: &[u64], to: &[u64]) -> Option<Values> {
    pick(from, places(shape, to)?.into_iter())
}
