//! Tensors that are made of nothing but shapes: constants, ranges, random numbers, and shapes themselves.

use super::{Call, Fault, Infer, Made, Out, extent, fault};
use crate::model::check::{ELEMENTS_MAX, elements};
use crate::model::graph::{Dtype, Kind, Shape};
use crate::model::onnx::proto::{self, Tensor, VALUES_MAX, Values};
use std::rc::Rc;

/// Type and shape of a tensor of the file.
///
/// # Errors
/// A type that is none, a negative extent, too many elements.
pub fn declared(tensor: &Tensor<'_>) -> Infer<(Dtype, Shape)> {
    let Some(dtype) = proto::dtype(tensor.dtype) else {
        return fault(format!("type number {} is no type", tensor.dtype));
    };
    let shape = tensor
        .dims
        .iter()
        .map(|&n| extent(n))
        .collect::<Infer<Shape>>()?;
    elements(&shape)?;
    Ok((dtype, shape))
}

/// The tensor as a constant.
///
/// # Errors
/// As [`declared`], and damage.
pub fn constant(tensor: &Tensor<'_>) -> Infer<Out> {
    let (dtype, shape) = declared(tensor)?;
    let values = tensor.values(dtype, elements(&shape)?);
    let values = values.map_err(|damage| Fault::from(damage.what))?;
    Ok(Out {
        values: values.map(Rc::new),
        dtype,
        shape,
    })
}

fn known(dtype: Dtype, shape: impl Into<Shape>, values: Values) -> Out {
    Out {
        dtype,
        shape: shape.into(),
        values: Some(Rc::new(values)),
    }
}

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let made = match call.node.op {
        "Constant" => literal(call)?,
        "ConstantOfShape" => of_shape(call)?,
        "Shape" => shape_of(call)?,
        "Size" => {
            let size = elements(&call.arg(0)?.shape)? as i64;
            Made::new(
                Kind::Free,
                vec![known(Dtype::Int64, [], Values::Ints(vec![size]))],
            )
        }
        "Range" => range(call)?,
        "EyeLike" => Made::one(
            Kind::Move,
            stated(call, call.arg(0)?.dtype)?,
            call.arg(0)?.shape.clone(),
        ),
        "RandomNormalLike" | "RandomUniformLike" | "Bernoulli" => {
            let x = call.arg(0)?;
            Made::one(Kind::Elementwise, stated(call, x.dtype)?, x.shape.clone())
        }
        "RandomNormal" | "RandomUniform" => {
            let ints = call.ints("shape").unwrap_or_default();
            let shape = ints.iter().map(|&n| extent(n)).collect::<Infer<Shape>>()?;
            Made::one(Kind::Elementwise, stated(call, Dtype::Float32)?, shape)
        }
        "OneHot" => {
            let indices = call.arg(0)?;
            let depth = match call.values(1)? {
                [depth, ..] => extent(*depth)?,
                [] => return fault("its depth is empty"),
            };
            let mut shape = indices.shape.clone();
            let at = super::axis(call.int("axis", -1), shape.len() + 1)?;
            shape.insert(at, depth);
            Made::one(Kind::Move, call.arg(2)?.dtype, shape)
        }
        _ => return Ok(None),
    };
    Ok(Some(made))
}

/// The type that an attribute states, or another one.
fn stated(call: &Call<'_>, otherwise: Dtype) -> Infer<Dtype> {
    match call.int("dtype", 0) {
        0 => Ok(otherwise),
        number => match proto::dtype(number) {
            Some(dtype) => Ok(dtype),
            None => fault(format!("attribute dtype is {number}, which is no type")),
        },
    }
}

fn literal(call: &Call<'_>) -> Infer {
    let Some(attribute) = call.node.attributes.first() else {
        return fault("a constant without a value");
    };
    let out = match attribute.name {
        "value" => match &attribute.tensor {
            Some(tensor) => constant(tensor)?,
            None => return fault("a constant without a value"),
        },
        "value_int" => known(
            Dtype::Int64,
            [],
            Values::Ints(attribute.int.into_iter().collect()),
        ),
        "value_ints" => known(
            Dtype::Int64,
            [attribute.ints.len() as u64],
            Values::Ints(attribute.ints.clone()),
        ),
        "value_float" => {
            let value = attribute.float.unwrap_or_default();
            known(Dtype::Float32, [], Values::Floats(vec![f64::from(value)]))
        }
        "value_floats" => known(
            Dtype::Float32,
            [attribute.floats.len() as u64],
            Values::Floats(attribute.floats.clone()),
        ),
        "value_string" => Out::new(Dtype::String, []),
        "value_strings" => Out::new(Dtype::String, [attribute.texts as u64]),
        other => {
            return fault(format!(
                "a constant with attribute {other}, which is not read"
            ));
        }
    };
    Ok(Made::new(Kind::Free, vec![out]))
}

fn of_shape(call: &Call<'_>) -> Infer {
    let shape = call
        .values(0)?
        .iter()
        .map(|&n| extent(n))
        .collect::<Infer<Shape>>()?;
    let size = elements(&shape)?;
    let element = match call.attribute("value").and_then(|a| a.tensor.as_ref()) {
        Some(tensor) => constant(tensor)?,
        None => known(Dtype::Float32, [1], Values::Floats(vec![0.0])),
    };
    let repeated = |values: &Values| {
        Some(match values {
            Values::Ints(ints) => Values::Ints(vec![*ints.first()?; size as usize]),
            Values::Floats(floats) => Values::Floats(vec![*floats.first()?; size as usize]),
        })
    };
    let values = match size <= VALUES_MAX {
        true => element.values.as_deref().and_then(repeated),
        false => None,
    };
    let out = Out {
        dtype: element.dtype,
        shape,
        values: values.map(Rc::new),
    };
    Ok(Made::new(Kind::Move, vec![out]))
}

fn shape_of(call: &Call<'_>) -> Infer {
    let shape = &call.arg(0)?.shape;
    let rank = shape.len() as i64;
    let bound = |n: i64| (if n < 0 { n + rank } else { n }).clamp(0, rank) as usize;
    let (start, end) = (bound(call.int("start", 0)), bound(call.int("end", rank)));
    let part = shape.get(start..end).unwrap_or_default();
    let ints = part.iter().map(|&n| n as i64).collect();
    let out = known(Dtype::Int64, [part.len() as u64], Values::Ints(ints));
    Ok(Made::new(Kind::Free, vec![out]))
}

fn range(call: &Call<'_>) -> Infer {
    let dtype = call.same(&[0, 1, 2])?;
    let number = |index: usize| match call.arg(index)?.values.as_deref() {
        Some(Values::Floats(floats)) if !floats.is_empty() => Ok(floats[0]),
        _ => match call.values(index)? {
            [n, ..] => Ok(*n as f64),
            [] => fault("an empty bound"),
        },
    };
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    if step == 0.0 || !step.is_finite() {
        return fault(format!("a step of {step}"));
    }
    let size = ((limit - start) / step).ceil().max(0.0);
    if !(0.0..=ELEMENTS_MAX as f64).contains(&size) {
        return fault(format!("a range of {size} elements"));
    }
    let mut out = Out::new(dtype, [size as u64]);
    if size <= VALUES_MAX as f64 {
        let steps = (0..size as u64).map(|i| start + i as f64 * step);
        out.values = Some(Rc::new(match dtype.is_float() {
            true => Values::Floats(steps.collect()),
            false => Values::Ints(steps.map(|x| x as i64).collect()),
        }));
    }
    Ok(Made::new(Kind::Elementwise, vec![out]))
}
