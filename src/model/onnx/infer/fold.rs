//! Values of small tensors that shapes are computed from: what a runtime would fold before it runs the model.

use super::{Call, Made, arrange};
use crate::model::check::elements;
use crate::model::graph::Dtype;
use crate::model::onnx::proto::{VALUES_MAX, Values};
use std::rc::Rc;

/// Adds the values of the outputs of `made` that can be computed.
pub fn fold(call: &Call<'_>, made: &mut Made) {
    let small = |shape: &[u64]| elements(shape).is_ok_and(|n| n <= VALUES_MAX);
    if made.outputs.is_empty() || !made.outputs.iter().all(|out| small(&out.shape)) {
        return;
    }
    if call.node.op == "Split" {
        return fold_split(call, made);
    }
    let out = &mut made.outputs[0];
    if out.values.is_none() {
        out.values = value(call, &out.shape, out.dtype).map(Rc::new);
    }
}

fn values<'c>(call: &'c Call<'_>, index: usize) -> Option<&'c Values> {
    call.get(index)?.values.as_deref()
}

fn value(call: &Call<'_>, shape: &[u64], dtype: Dtype) -> Option<Values> {
    let op = call.node.op;
    Some(match op {
        "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Dropout" => {
            values(call, 0)?.clone()
        }
        "Cast" => cast(values(call, 0)?, dtype),
        "Concat" if shape.len() == 1 => concat(call)?,
        "Gather" => gather(call)?,
        "Slice" if shape.len() == 1 => slice(call)?,
        "Expand" => spread(values(call, 0)?, &call.get(0)?.shape, shape)?,
        "Where" => choose(call, shape)?,
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => reduce(call, shape)?,
        "Transpose" if shape.len() < 2 => values(call, 0)?.clone(),
        _ if call.inputs.len() == 1 => unary(op, values(call, 0)?)?,
        _ if call.inputs.len() == 2 => binary(call, shape)?,
        _ => return None,
    })
}

fn cast(from: &Values, to: Dtype) -> Values {
    match (from, to) {
        (Values::Ints(ints), Dtype::Bool) => {
            Values::Ints(ints.iter().map(|&n| i64::from(n != 0)).collect())
        }
        (Values::Floats(floats), Dtype::Bool) => {
            Values::Ints(floats.iter().map(|&x| i64::from(x != 0.0)).collect())
        }
        (Values::Ints(ints), to) if to.is_float() => {
            Values::Floats(ints.iter().map(|&n| n as f64).collect())
        }
        (Values::Floats(floats), to) if !to.is_float() => {
            Values::Ints(floats.iter().map(|&x| x as i64).collect())
        }
        (same, _) => same.clone(),
    }
}

fn concat(call: &Call<'_>) -> Option<Values> {
    let mut ints = Vec::new();
    for index in 0..call.inputs.len() {
        match values(call, index)? {
            Values::Ints(more) => ints.extend(more),
            Values::Floats(_) => return None,
        }
    }
    Some(Values::Ints(ints))
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

fn gather(call: &Call<'_>) -> Option<Values> {
    let x = call.get(0)?;
    let rows = *x.shape.first()? as i64;
    if call.int("axis", 0) != 0 && call.int("axis", 0) != -(x.shape.len() as i64) {
        return None;
    }
    let width: usize = x.shape[1..].iter().product::<u64>() as usize;
    let Values::Ints(indices) = values(call, 1)? else {
        return None;
    };
    let row = |i: &i64| {
        let i = if *i < 0 { i + rows } else { *i };
        (0..rows).contains(&i).then_some(i as usize)
    };
    let picked: Vec<usize> = indices.iter().map(row).collect::<Option<_>>()?;
    let all = picked
        .iter()
        .flat_map(|&row| row * width..(row + 1) * width);
    pick(values(call, 0)?, all)
}

fn slice(call: &Call<'_>) -> Option<Values> {
    let x = call.get(0)?;
    let slices = arrange::slices(call, &x.shape).ok()?;
    let [(0, start, step, length)] = slices[..] else {
        return None;
    };
    let places = (0..length as i64).map(|i| (start + i * step) as usize);
    pick(values(call, 0)?, places)
}

fn fold_split(call: &Call<'_>, made: &mut Made) {
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

fn spread(from: &Values, shape: &[u64], to: &[u64]) -> Option<Values> {
    pick(from, places(shape, to)?.into_iter())
}

/// An input as integers in the shape of the output.
fn ints(call: &Call<'_>, index: usize, shape: &[u64]) -> Option<Vec<i64>> {
    match spread(values(call, index)?, &call.get(index)?.shape, shape)? {
        Values::Ints(ints) => Some(ints),
        Values::Floats(_) => None,
    }
}

fn floats(call: &Call<'_>, index: usize, shape: &[u64]) -> Option<Vec<f64>> {
    match spread(values(call, index)?, &call.get(index)?.shape, shape)? {
        Values::Floats(floats) => Some(floats),
        Values::Ints(_) => None,
    }
}

fn choose(call: &Call<'_>, shape: &[u64]) -> Option<Values> {
    let which = ints(call, 0, shape)?;
    let (yes, no) = (ints(call, 1, shape)?, ints(call, 2, shape)?);
    let chosen = (0..which.len()).map(|i| if which[i] != 0 { yes[i] } else { no[i] });
    Some(Values::Ints(chosen.collect()))
}

fn reduce(call: &Call<'_>, shape: &[u64]) -> Option<Values> {
    let Values::Ints(all) = values(call, 0)? else {
        return None;
    };
    if shape.iter().any(|&n| n != 1) {
        return None;
    }
    let result = match call.node.op {
        "ReduceProd" => all.iter().try_fold(1i64, |a, &b| a.checked_mul(b)),
        "ReduceSum" => all.iter().try_fold(0i64, |a, &b| a.checked_add(b)),
        "ReduceMax" => all.iter().copied().max(),
        _ => all.iter().copied().min(),
    };
    Some(Values::Ints(vec![result?]))
}

fn unary(op: &str, from: &Values) -> Option<Values> {
    Some(match from {
        Values::Ints(ints) => {
            let each =
                |f: fn(i64) -> Option<i64>| ints.iter().map(|&n| f(n)).collect::<Option<_>>();
            Values::Ints(match op {
                "Neg" => each(i64::checked_neg),
                "Abs" => each(i64::checked_abs),
                "Not" => each(|n| Some(i64::from(n == 0))),
                _ => None,
            }?)
        }
        Values::Floats(floats) => {
            let f: fn(f64) -> f64 = match op {
                "Neg" => |x| -x,
                "Abs" => f64::abs,
                "Floor" => f64::floor,
                "Ceil" => f64::ceil,
                "Round" => f64::round_ties_even,
                "Sqrt" => f64::sqrt,
                _ => return None,
            };
            Values::Floats(floats.iter().map(|&x| f(x)).collect())
        }
    })
}

fn binary(call: &Call<'_>, shape: &[u64]) -> Option<Values> {
    let op = call.node.op;
    if let Some(Values::Floats(_)) = values(call, 0) {
        let (a, b) = (floats(call, 0, shape)?, floats(call, 1, shape)?);
        let f: fn(f64, f64) -> f64 = match op {
            "Add" => |a, b| a + b,
            "Sub" => |a, b| a - b,
            "Mul" => |a, b| a * b,
            "Div" => |a, b| a / b,
            "Pow" => f64::powf,
            "Min" => f64::min,
            "Max" => f64::max,
            _ => return None,
        };
        return Some(Values::Floats(
            a.iter().zip(&b).map(|(&a, &b)| f(a, b)).collect(),
        ));
    }
    let (a, b) = (ints(call, 0, shape)?, ints(call, 1, shape)?);
    let f: fn(i64, i64) -> Option<i64> = match op {
        "Add" => i64::checked_add,
        "Sub" => i64::checked_sub,
        "Mul" => i64::checked_mul,
        // Rounds toward zero, as the operator does.
        "Div" => i64::checked_div,
        "Mod" => |a, b| {
            (b != 0).then(|| {
                a.checked_rem(b).map(|r| {
                    if r != 0 && (r < 0) != (b < 0) {
                        r + b
                    } else {
                        r
                    }
                })
            })?
        },
        "Min" => |a, b| Some(a.min(b)),
        "Max" => |a, b| Some(a.max(b)),
        "Pow" => |a, b| a.checked_pow(u32::try_from(b).ok()?),
        "Equal" => |a, b| Some(i64::from(a == b)),
        "Less" => |a, b| Some(i64::from(a < b)),
        "LessOrEqual" => |a, b| Some(i64::from(a <= b)),
        "Greater" => |a, b| Some(i64::from(a > b)),
        "GreaterOrEqual" => |a, b| Some(i64::from(a >= b)),
        "And" => |a, b| Some(i64::from(a != 0 && b != 0)),
        "Or" => |a, b| Some(i64::from(a != 0 || b != 0)),
        "Xor" => |a, b| Some(i64::from((a != 0) != (b != 0))),
        _ => return None,
    };
    let all: Option<Vec<i64>> = a.iter().zip(&b).map(|(&a, &b)| f(a, b)).collect();
    all.map(Values::Ints)
}
