//! The same elements in other places or under another shape.

use super::{Arg, Call, Infer, Made, Out, axis, extent, fault, volume};
use crate::model::check::{broadcast, elements, show};
use crate::model::graph::{Dtype, Kind, Shape};
use crate::model::onnx::proto::Values;

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let op = call.node.op;
    if op == "Concat" {
        return concat(call).map(Some);
    }
    if op == "Split" {
        return split(call).map(Some);
    }
    type Rule = fn(&Call<'_>, &Arg) -> Infer<Shape>;
    let (kind, rule): (Kind, Rule) = match op {
        "Identity" | "StopGradient" => (Kind::Free, |_, x| Ok(x.shape.clone())),
        "Reshape" => (Kind::Free, reshape),
        "Flatten" => (Kind::Free, flatten),
        "Squeeze" => (Kind::Free, squeeze),
        "Unsqueeze" => (Kind::Free, unsqueeze),
        "Transpose" => (Kind::Move, transpose),
        "Slice" => (Kind::Move, slice),
        "Expand" => (Kind::Move, expand),
        "Tile" => (Kind::Move, tile),
        "Pad" => (Kind::Move, pad),
        "DepthToSpace" => (Kind::Move, depth_to_space),
        "SpaceToDepth" => (Kind::Move, space_to_depth),
        "Resize" | "Upsample" => (Kind::Move, resize),
        "ReverseSequence" => (Kind::Move, |_, x| Ok(x.shape.clone())),
        "CenterCropPad" => (Kind::Move, crop),
        _ => return Ok(None),
    };
    let x = call.arg(0)?;
    Ok(Some(Made::one(kind, x.dtype, rule(call, x)?)))
}

fn reshape(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let Some(target) = call.ints_of(1, "shape")? else {
        return fault("no shape is given");
    };
    let keep_zero = call.int("allowzero", 0) != 0;
    let total = volume(&x.shape)?;
    let mut shape = Shape::new();
    let mut open = None;
    for (i, &n) in target.iter().enumerate() {
        shape.push(match n {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if !keep_zero => match x.shape.get(i) {
                Some(&n) => n,
                None => return fault(format!("extent {i} is to be kept, but there is none")),
            },
            n => extent(n)?,
        });
    }
    let rest = volume(&shape)?;
    if let Some(open) = open {
        if rest == 0 || total % rest != 0 {
            return fault(format!(
                "{total} elements do not fill a shape of {target:?}"
            ));
        }
        shape[open] = total / rest;
    }
    match volume(&shape)? == total {
        true => Ok(shape),
        false => fault(format!(
            "{} has {total} elements, the new shape {} another number",
            show(&x.shape),
            show(&shape)
        )),
    }
}

fn flatten(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let rank = x.shape.len();
    let at = match call.int("axis", 1) {
        n if n == rank as i64 => rank,
        n => axis(n, rank)?,
    };
    Ok(vec![volume(&x.shape[..at])?, volume(&x.shape[at..])?])
}

fn squeeze(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let rank = x.shape.len();
    let Some(axes) = call.ints_of(1, "axes")? else {
        return Ok(x.shape.iter().copied().filter(|&n| n != 1).collect());
    };
    let mut gone = vec![false; rank];
    for &n in &axes {
        let at = axis(n, rank)?;
        if x.shape[at] != 1 {
            return fault(format!("extent {at} of {} is not 1", show(&x.shape)));
        }
        gone[at] = true;
    }
    let kept = x.shape.iter().zip(gone).filter(|(_, gone)| !gone);
    Ok(kept.map(|(&n, _)| n).collect())
}

fn unsqueeze(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let Some(axes) = call.ints_of(1, "axes")? else {
        return fault("no dimensions are given");
    };
    let rank = x.shape.len() + axes.len();
    let mut new = vec![false; rank];
    for &n in &axes {
        if std::mem::replace(&mut new[axis(n, rank)?], true) {
            return fault(format!("dimension {n} is given twice"));
        }
    }
    let mut old = x.shape.iter();
    Ok(new
        .into_iter()
        .map(|new| if new { 1 } else { *old.next().unwrap_or(&1) })
        .collect())
}

fn transpose(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let rank = x.shape.len();
    let Some(order) = call.ints("perm") else {
        return Ok(x.shape.iter().rev().copied().collect());
    };
    let mut seen = vec![false; rank];
    let mut shape = Shape::new();
    for &n in order {
        let at = axis(n, rank)?;
        if std::mem::replace(&mut seen[at], true) {
            return fault(format!("dimension {n} is given twice"));
        }
        shape.push(x.shape[at]);
    }
    match shape.len() == rank {
        true => Ok(shape),
        false => fault(format!("{} dimensions of {rank} are ordered", shape.len())),
    }
}

/// Start, end, dimension and step of each slice.
pub fn slices(call: &Call<'_>, shape: &[u64]) -> Infer<Vec<(usize, i64, i64, u64)>> {
    let missing = "starts or ends are missing";
    let (Some(starts), Some(ends)) = (call.ints_of(1, "starts")?, call.ints_of(2, "ends")?) else {
        return fault(missing);
    };
    let axes = call.ints_of(3, "axes")?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.ints_of(4, "steps")?;
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return fault("starts, ends, axes and steps differ in number");
    }
    let mut found = Vec::new();
    for i in 0..starts.len() {
        let at = axis(axes[i], shape.len())?;
        let n = shape[at] as i64;
        let step = steps[i];
        let from_end = |x: i64| if x < 0 { x.saturating_add(n) } else { x };
        let (start, end) = (from_end(starts[i]), from_end(ends[i]));
        let (start, length) = match step {
            0 => return fault("a step of 0"),
            1.. => {
                let (start, end) = (start.clamp(0, n), end.clamp(0, n));
                (start, (end - start).max(0) as u64)
            }
            _ => {
                let (start, end) = (start.clamp(-1, n - 1), end.clamp(-1, n - 1));
                (start, (start - end).max(0) as u64)
            }
        };
        found.push((at, start, step, length.div_ceil(step.unsigned_abs())));
    }
    Ok(found)
}

fn slice(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let mut shape = x.shape.clone();
    for (at, _, _, length) in slices(call, &x.shape)? {
        shape[at] = length;
    }
    Ok(shape)
}

fn expand(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let target: Shape = call
        .values(1)?
        .iter()
        .map(|&n| extent(n))
        .collect::<Infer<_>>()?;
    match broadcast(&x.shape, &target) {
        Some(shape) => Ok(shape),
        None => fault(format!(
            "{} cannot be expanded to {}",
            show(&x.shape),
            show(&target)
        )),
    }
}

/// An extent times a factor, if it is one.
fn times(n: u64, factor: i64) -> Infer<u64> {
    match n.checked_mul(extent(factor)?) {
        Some(n) => Ok(n),
        None => fault(format!("extent {n} times {factor}")),
    }
}

fn tile(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let repeats = call.values(1)?;
    if repeats.len() != x.shape.len() {
        return fault("as many repeats as dimensions are expected");
    }
    let pairs = x.shape.iter().zip(repeats);
    pairs.map(|(&n, &factor)| times(n, factor)).collect()
}

fn pad(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let rank = x.shape.len();
    let Some(pads) = call
        .ints_of(1, "pads")?
        .or(call.ints("paddings").map(<[i64]>::to_vec))
    else {
        return fault("pads are missing");
    };
    let axes = match call.get(3) {
        Some(_) => call.values(3)?.to_vec(),
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return fault(format!("{} pads for {} dimensions", pads.len(), axes.len()));
    }
    let mut shape = x.shape.clone();
    for (i, &n) in axes.iter().enumerate() {
        let at = axis(n, rank)?;
        let sum = (shape[at] as i64)
            .checked_add(pads[i])
            .and_then(|sum| sum.checked_add(pads[i + axes.len()]));
        shape[at] = extent(sum.unwrap_or(-1))?;
    }
    Ok(shape)
}

fn images(call: &Call<'_>) -> Infer<([u64; 4], u64)> {
    let x = call.ranked(0, 4)?;
    let block = call.positive("blocksize")?;
    match block.checked_mul(block) {
        Some(_) => Ok(([x.shape[0], x.shape[1], x.shape[2], x.shape[3]], block)),
        None => fault("attribute blocksize is too large"),
    }
}

fn depth_to_space(call: &Call<'_>, _: &Arg) -> Infer<Shape> {
    let ([n, c, h, w], block) = images(call)?;
    if c % (block * block) != 0 {
        return fault(format!("{c} channels in blocks of {block}x{block}"));
    }
    let factor = block as i64;
    Ok(vec![
        n,
        c / (block * block),
        times(h, factor)?,
        times(w, factor)?,
    ])
}

fn space_to_depth(call: &Call<'_>, _: &Arg) -> Infer<Shape> {
    let ([n, c, h, w], block) = images(call)?;
    if h % block != 0 || w % block != 0 {
        return fault(format!("{h}x{w} in blocks of {block}x{block}"));
    }
    Ok(vec![
        n,
        times(c, (block * block) as i64)?,
        h / block,
        w / block,
    ])
}

fn resize(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    // Upsample and the first Resize have the scales second, later ones behind the region of interest.
    let scales_at = match call.opset < 11 || call.node.op == "Upsample" {
        true => 1,
        false => 2,
    };
    let rank = x.shape.len();
    let axes: Vec<usize> = match call.ints("axes") {
        Some(axes) => axes.iter().map(|&n| axis(n, rank)).collect::<Infer<_>>()?,
        None => (0..rank).collect(),
    };
    let mut shape = x.shape.clone();
    if call.get(3).is_some() {
        let sizes = call.values(3)?;
        if sizes.len() != axes.len() {
            return fault("as many sizes as dimensions are expected");
        }
        for (&at, &n) in axes.iter().zip(sizes) {
            shape[at] = extent(n)?;
        }
        return Ok(shape);
    }
    let attribute = call.attribute("scales").map(|a| a.floats.clone());
    let scales = match call.get(scales_at).and_then(|arg| arg.values.as_deref()) {
        Some(Values::Floats(floats)) => floats.clone(),
        _ => match attribute {
            Some(floats) => floats,
            None => {
                return fault(
                    "its scales are not known before a run; fold the constants of the model",
                );
            }
        },
    };
    if scales.len() != axes.len() {
        return fault("as many scales as dimensions are expected");
    }
    for (&at, scale) in axes.iter().zip(scales) {
        let n = (shape[at] as f64 * scale).floor();
        if !(0.0..=1e15).contains(&n) {
            return fault(format!("an extent of {n}"));
        }
        shape[at] = n as u64;
    }
    Ok(shape)
}

fn crop(call: &Call<'_>, x: &Arg) -> Infer<Shape> {
    let sizes = call.values(1)?;
    let axes = match call.ints("axes") {
        Some(axes) => axes.to_vec(),
        None => (0..x.shape.len() as i64).collect(),
    };
    if sizes.len() != axes.len() {
        return fault("as many sizes as dimensions are expected");
    }
    let mut shape = x.shape.clone();
    for (&n, &size) in axes.iter().zip(sizes) {
        shape[axis(n, x.shape.len())?] = extent(size)?;
    }
    Ok(shape)
}

fn concat(call: &Call<'_>) -> Infer {
    let all: Vec<usize> = (0..call.inputs.len().max(1)).collect();
    let dtype = call.same(&all)?;
    let mut shape = call.arg(0)?.shape.clone();
    let at = axis(call.int("axis", 1), shape.len())?;
    for &index in &all[1..] {
        let other = &call.arg(index)?.shape;
        let fits =
            other.len() == shape.len() && (0..shape.len()).all(|i| i == at || other[i] == shape[i]);
        if !fits {
            return fault(format!(
                "{} and {} cannot be joined along dimension {at}",
                show(&shape),
                show(other)
            ));
        }
        shape[at] = shape[at].saturating_add(other[at]);
    }
    elements(&shape)?;
    Ok(Made::one(Kind::Move, dtype, shape))
}

fn split(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    let at = axis(call.int("axis", 0), x.shape.len())?;
    let n = x.shape[at];
    let parts: Vec<u64> = match call.ints_of(1, "split")? {
        Some(parts) => parts.iter().map(|&n| extent(n)).collect::<Infer<_>>()?,
        None => {
            let count = call.count("num_outputs")?.unwrap_or(call.outputs() as u64);
            if count == 0 || count > 1 << 16 {
                return fault(format!("a split into {count} parts"));
            }
            let size = n.div_ceil(count);
            (0..count)
                .map(|i| size.min(n.saturating_sub(i * size)))
                .collect()
        }
    };
    let sum = parts.iter().fold(0u64, |sum, &n| sum.saturating_add(n));
    if sum != n {
        return fault(format!("parts of {sum} together, of an extent of {n}"));
    }
    let outputs = parts.into_iter().map(|part| {
        let mut shape = x.shape.clone();
        shape[at] = part;
        Out::new(x.dtype, shape)
    });
    Ok(Made::new(Kind::Move, outputs.collect()))
}

/// The type of indices.
pub const INDEX: Dtype = Dtype::Int64;
