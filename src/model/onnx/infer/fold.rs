//! Values of small tensors that shapes are computed from: what a runtime would fold before it runs the model.

use super::places::{concat, fold_split, gather, slice, spread, tile, transpose};
use super::{Call, Made};
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
        let found = value(call, &out.shape, out.dtype);
        out.values = found.map(|values| Rc::new(rounded(values, out.dtype)));
    }
}

/// 32-bit floats as a runtime has them: shapes are often computed through a quotient and rounded down.
fn rounded(values: Values, dtype: Dtype) -> Values {
    match (values, dtype) {
        (Values::Floats(floats), Dtype::Float32) => {
            Values::Floats(floats.iter().map(|&x| f64::from(x as f32)).collect())
        }
        (values, _) => values,
    }
}

/// Values of an input, where they are known.
pub fn values<'c>(call: &'c Call<'_>, index: usize) -> Option<&'c Values> {
    call.get(index)?.values.as_deref()
}

fn value(call: &Call<'_>, shape: &[u64], dtype: Dtype) -> Option<Values> {
    let op = call.node.op;
    Some(match op {
        "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Dropout" => {
            values(call, 0)?.clone()
        }
        "Cast" => cast(values(call, 0)?, dtype),
        "Concat" => concat(call, shape)?,
        "Gather" => gather(call)?,
        "Slice" => slice(call, shape)?,
        "Expand" => spread(values(call, 0)?, &call.get(0)?.shape, shape)?,
        "Where" => choose(call, shape)?,
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => reduce(call, shape)?,
        "Transpose" => transpose(call, shape)?,
        "Tile" => tile(call, shape)?,
        // The first operator sets have bounds as attributes.
        "Clip" if call.opset >= 11 => clip(call)?,
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
    let each = 0..which.len();
    Some(match values(call, 1)? {
        Values::Ints(_) => {
            let (yes, no) = (ints(call, 1, shape)?, ints(call, 2, shape)?);
            let chosen = each.map(|i| if which[i] != 0 { yes[i] } else { no[i] });
            Values::Ints(chosen.collect())
        }
        Values::Floats(_) => {
            let (yes, no) = (floats(call, 1, shape)?, floats(call, 2, shape)?);
            let chosen = each.map(|i| if which[i] != 0 { yes[i] } else { no[i] });
            Values::Floats(chosen.collect())
        }
    })
}

/// Elements within bounds, of which each may be absent.
fn clip(call: &Call<'_>) -> Option<Values> {
    let bound = |index: usize| match call.get(index) {
        None => Some(None),
        Some(_) => values(call, index).map(Some),
    };
    let (least, most) = (bound(1)?, bound(2)?);
    Some(match values(call, 0)? {
        Values::Ints(ints) => {
            let bound = |values: Option<&Values>, open| match values {
                Some(Values::Ints(ints)) => ints.first().copied(),
                _ => Some(open),
            };
            let (least, most) = (bound(least, i64::MIN)?, bound(most, i64::MAX)?);
            Values::Ints(ints.iter().map(|&n| n.max(least).min(most)).collect())
        }
        Values::Floats(floats) => {
            let bound = |values: Option<&Values>, open| match values {
                Some(Values::Floats(floats)) => floats.first().copied(),
                _ => Some(open),
            };
            let open = f64::INFINITY;
            let (least, most) = (bound(least, -open)?, bound(most, open)?);
            Values::Floats(floats.iter().map(|&x| x.max(least).min(most)).collect())
        }
    })
}

fn reduce(call: &Call<'_>, shape: &[u64]) -> Option<Values> {
    if shape.iter().any(|&n| n != 1) {
        return None;
    }
    let all = match values(call, 0)? {
        Values::Ints(ints) => ints,
        Values::Floats(floats) => {
            let all = floats.iter().copied();
            let result = match call.node.op {
                "ReduceProd" => all.product(),
                "ReduceSum" => all.sum(),
                "ReduceMax" => all.reduce(f64::max)?,
                _ => all.reduce(f64::min)?,
            };
            return Some(Values::Floats(vec![result]));
        }
    };
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
                "Exp" => f64::exp,
                "Log" => f64::ln,
                "Reciprocal" => f64::recip,
                _ => return None,
            };
            Values::Floats(floats.iter().map(|&x| f(x)).collect())
        }
    })
}

fn compare(op: &str, a: &[f64], b: &[f64]) -> Option<Values> {
    let f: fn(f64, f64) -> bool = match op {
        "Equal" => |a, b| a == b,
        "Less" => |a, b| a < b,
        "LessOrEqual" => |a, b| a <= b,
        "Greater" => |a, b| a > b,
        "GreaterOrEqual" => |a, b| a >= b,
        _ => return None,
    };
    let all = a.iter().zip(b).map(|(&a, &b)| i64::from(f(a, b)));
    Some(Values::Ints(all.collect()))
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
            _ => return compare(op, &a, &b),
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
