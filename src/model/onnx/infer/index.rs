//! Gathers, scatters, and results whose size depends on what is in them.

use super::arrange::INDEX;
use super::{Arg, Call, Infer, Made, Out, axis, extent, fault, volume};
use crate::model::check::show;
use crate::model::graph::{Dtype, Kind, Shape};
use crate::model::onnx::proto::Values;
use std::rc::Rc;

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let made = match call.node.op {
        "Gather" => {
            let (x, indices) = (call.arg(0)?, call.arg(1)?);
            let at = axis(call.int("axis", 0), x.shape.len())?;
            let mut shape = x.shape[..at].to_vec();
            shape.extend(&indices.shape);
            shape.extend(&x.shape[at + 1..]);
            Made::one(Kind::Lookup, x.dtype, shape)
        }
        "GatherElements" => Made::one(Kind::Lookup, call.arg(0)?.dtype, call.arg(1)?.shape.clone()),
        "GatherND" => gather_nd(call)?,
        "ScatterND" | "ScatterElements" | "Scatter" | "TensorScatter" => {
            call.arg(2)?;
            let x = call.arg(0)?;
            Made::one(Kind::Lookup, x.dtype, x.shape.clone())
        }
        "NonZero" => non_zero(call.arg(0)?)?,
        "Compress" => compress(call)?,
        "NonMaxSuppression" => suppression(call)?,
        "Unique" => {
            let x = call.arg(0)?;
            let n = volume(&x.shape)?;
            let out = |dtype| Out::new(dtype, [n]);
            assumed(
                Kind::Unsupported("the kernel library has no search for distinct elements".into()),
                "Unique: every element is taken as distinct",
                vec![out(x.dtype), out(INDEX), out(INDEX), out(INDEX)],
            )
        }
        "RoiAlign" | "MaxRoiPool" => regions(call)?,
        "GridSample" => {
            let (x, grid) = (call.arg(0)?, call.arg(1)?);
            if x.shape.len() < 3 || grid.shape.len() != x.shape.len() {
                return fault(format!(
                    "images {} and grid {} do not fit together",
                    show(&x.shape),
                    show(&grid.shape)
                ));
            }
            let mut shape = x.shape[..2].to_vec();
            shape.extend(&grid.shape[1..grid.shape.len() - 1]);
            Made::one(Kind::Lookup, x.dtype, shape)
        }
        _ => return Ok(None),
    };
    Ok(Some(made))
}

fn assumed(kind: Kind, note: &str, outputs: Vec<Out>) -> Made {
    Made {
        note: Some(note.into()),
        ..Made::new(kind, outputs)
    }
}

fn gather_nd(call: &Call<'_>) -> Infer {
    let (x, indices) = (call.arg(0)?, call.arg(1)?);
    let batch = call.int("batch_dims", 0).max(0) as usize;
    let Some((&depth, places)) = indices.shape.split_last() else {
        return fault("its indices are a scalar");
    };
    let taken = usize::try_from(depth)
        .ok()
        .and_then(|n| n.checked_add(batch));
    let Some(rest) = taken.and_then(|n| x.shape.get(n..)) else {
        return fault(format!(
            "indices {} are deeper than {}",
            show(&indices.shape),
            show(&x.shape)
        ));
    };
    let mut shape = places.to_vec();
    shape.extend(rest);
    Ok(Made::one(Kind::Lookup, x.dtype, shape))
}

fn non_zero(x: &Arg) -> Infer {
    if let (1, Some(Values::Ints(ints))) = (x.shape.len(), x.values.as_deref()) {
        let found = (0..ints.len()).filter(|&i| ints[i] != 0);
        let found: Vec<i64> = found.map(|i| i as i64).collect();
        let mut out = Out::new(INDEX, [1, found.len() as u64]);
        out.values = Some(Rc::new(Values::Ints(found)));
        return Ok(Made::new(Kind::Free, vec![out]));
    }
    let n = volume(&x.shape)?;
    let out = Out::new(INDEX, [x.shape.len() as u64, n]);
    Ok(assumed(
        Kind::Lookup,
        "NonZero: every element is taken as not zero",
        vec![out],
    ))
}

fn compress(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    let shape: Shape = match call.attribute("axis") {
        Some(_) => {
            let at = axis(call.int("axis", 0), x.shape.len())?;
            let mut shape = x.shape.clone();
            shape[at] = shape[at].min(volume(&call.arg(1)?.shape)?);
            shape
        }
        None => vec![volume(&x.shape)?],
    };
    Ok(assumed(
        Kind::Lookup,
        "Compress: every element is taken as kept",
        vec![Out::new(x.dtype, shape)],
    ))
}

fn suppression(call: &Call<'_>) -> Infer {
    let (boxes, scores) = (call.ranked(0, 3)?, call.ranked(1, 3)?);
    let most = match call.get(2) {
        Some(_) => call.values(2)?.first().map_or(Ok(0), |&n| extent(n))?,
        None => 0,
    };
    let each = most.min(boxes.shape[1]);
    let n = volume(&[scores.shape[0], scores.shape[1], each])?;
    Ok(assumed(
        Kind::Unsupported("the kernel library has no suppression of boxes".into()),
        "NonMaxSuppression: as many boxes as may be kept are taken as kept",
        vec![Out::new(INDEX, [n, 3])],
    ))
}

fn regions(call: &Call<'_>) -> Infer {
    let (x, boxes) = (call.ranked(0, 4)?, call.ranked(1, 2)?);
    let (height, width) = match call.ints("pooled_shape") {
        Some(&[height, width]) => (extent(height)?, extent(width)?),
        Some(_) => return fault("attribute pooled_shape should have two extents"),
        None => (
            call.count("output_height")?.unwrap_or(1),
            call.count("output_width")?.unwrap_or(1),
        ),
    };
    let shape = vec![boxes.shape[0], x.shape[1], height, width];
    let dtype: Dtype = x.dtype;
    Ok(Made::one(Kind::Lookup, dtype, shape))
}
