//! Softmax, normalisation, reductions and searches along dimensions.

use super::arrange::INDEX;
use super::{Arg, Call, Infer, Made, Out, axis, extent, fault};
use crate::model::check::show;
use crate::model::graph::{Dtype, Kind, Shape};

/// Why transforms have no kernels.
const NO_FOURIER: &str = "the kernel library has no Fourier transform";

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let op = call.node.op;
    let made = match op {
        "Softmax" | "LogSoftmax" | "Hardmax" => {
            let x = call.arg(0)?;
            Made::one(Kind::Softmax, x.dtype, x.shape.clone())
        }
        "BatchNormalization" => batch_norm(call)?,
        "LayerNormalization" => {
            // Scale and bias may be 32-bit floats beside 16-bit activations.
            layer_norm(call, call.int("axis", -1))?
        }
        "SimplifiedLayerNormalization" => layer_norm(call, call.int("axis", -1))?,
        "RMSNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "LRN"
        | "LpNormalization"
        | "MeanVarianceNormalization" => {
            let x = call.arg(0)?;
            Made::one(Kind::Norm, x.dtype, x.shape.clone())
        }
        "ArgMax" | "ArgMin" => {
            let x = call.arg(0)?;
            let shape = reduced(call, x, Some(vec![call.int("axis", 0)]))?;
            Made::one(Kind::Reduce, INDEX, shape)
        }
        "TopK" => top_k(call)?,
        "Hamming" | "HannWindow" | "HammingWindow" | "BlackmanWindow" => {
            let n = match call.values(0)? {
                [n, ..] => extent(*n)?,
                [] => return fault("its size is empty"),
            };
            Made::one(Kind::Elementwise, Dtype::Float32, [n])
        }
        "DFT" => dft(call)?,
        "STFT" => short_time(call)?,
        _ if op.starts_with("Reduce") => {
            let x = call.arg(0)?;
            let axes = call.ints_of(1, "axes")?.filter(|axes| !axes.is_empty());
            if axes.is_none() && call.int("noop_with_empty_axes", 0) != 0 {
                return Ok(Some(Made::one(Kind::Elementwise, x.dtype, x.shape.clone())));
            }
            Made::one(Kind::Reduce, x.dtype, reduced(call, x, axes)?)
        }
        _ => return Ok(None),
    };
    Ok(Some(made))
}

fn reduced(call: &Call<'_>, x: &Arg, axes: Option<Vec<i64>>) -> Infer<Shape> {
    let rank = x.shape.len();
    let mut gone = vec![axes.is_none(); rank];
    for n in axes.unwrap_or_default() {
        gone[axis(n, rank)?] = true;
    }
    let keep = call.int("keepdims", 1) != 0;
    let pairs = x.shape.iter().zip(gone);
    Ok(match keep {
        true => pairs.map(|(&n, gone)| if gone { 1 } else { n }).collect(),
        false => pairs.filter(|(_, gone)| !gone).map(|(&n, _)| n).collect(),
    })
}

fn batch_norm(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    let channels = x.shape.get(1).copied().unwrap_or(1);
    for index in 1..5 {
        let other = call.arg(index)?;
        if other.shape != [channels] {
            return fault(format!(
                "{} has another number of channels than the input, which has {channels}",
                call.node.inputs[index]
            ));
        }
    }
    let statistics = Out::new(x.dtype, [channels]);
    let mut outputs = vec![Out::new(x.dtype, x.shape.clone())];
    outputs.extend(std::iter::repeat_n(statistics, 4));
    Ok(Made::new(Kind::Norm, outputs))
}

fn layer_norm(call: &Call<'_>, from: i64) -> Infer {
    let x = call.arg(0)?;
    let at = axis(from, x.shape.len())?;
    let mut statistics = x.shape.clone();
    statistics[at..].fill(1);
    let statistic = Out::new(Dtype::Float32, statistics);
    Ok(Made::new(
        Kind::Norm,
        vec![
            Out::new(x.dtype, x.shape.clone()),
            statistic.clone(),
            statistic,
        ],
    ))
}

fn top_k(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    let at = axis(call.int("axis", -1), x.shape.len())?;
    let k = match call.ints_of(1, "k")? {
        Some(ints) if !ints.is_empty() => extent(ints[0])?,
        _ => call.positive("k")?,
    };
    if k > x.shape[at] {
        return fault(format!("the {k} greatest of {}", x.shape[at]));
    }
    let mut shape = x.shape.clone();
    shape[at] = k;
    let outputs = vec![Out::new(x.dtype, shape.clone()), Out::new(INDEX, shape)];
    let of = x.shape[at];
    Ok(Made::new(Kind::Select { of, chosen: k }, outputs))
}

fn dft(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    let mut shape = x.shape.clone();
    let Some(last) = shape.last_mut() else {
        return fault("its input is a scalar");
    };
    *last = 2;
    let rank = shape.len();
    let at = match call.get(2) {
        Some(_) => axis(call.values(2)?.first().copied().unwrap_or(-2), rank)?,
        None => axis(call.int("axis", if call.opset < 20 { 1 } else { -2 }), rank)?,
    };
    if call.get(1).is_some()
        && let Some(&n) = call.values(1)?.first()
    {
        shape[at] = extent(n)?;
    }
    if call.int("onesided", 0) != 0 {
        shape[at] = shape[at] / 2 + 1;
    }
    Ok(Made::one(
        Kind::Unsupported(NO_FOURIER.into()),
        x.dtype,
        shape,
    ))
}

/// Fourier transforms of pieces of a signal.
fn short_time(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    // Some exporters leave the last dimension away: a signal of real numbers.
    let (&[batch, length] | &[batch, length, _]) = &x.shape[..] else {
        return fault(format!("a signal of {}", show(&x.shape)));
    };
    let step = match call.values(1)?.first() {
        Some(&n) if n > 0 => n as u64,
        other => return fault(format!("a step of {other:?}")),
    };
    let size = match (call.get(3), call.get(2)) {
        (Some(_), _) => match call.values(3)? {
            [n, ..] => extent(*n)?,
            [] => return fault("its frame_length is empty"),
        },
        (None, Some(window)) => super::volume(&window.shape)?,
        (None, None) => return fault("neither a window nor a frame_length is given"),
    };
    let Some(room) = length.checked_sub(size) else {
        return fault(format!("pieces of {size} of a signal of {length}"));
    };
    let bins = match call.int("onesided", 1) {
        0 => size,
        _ => size / 2 + 1,
    };
    let shape = [batch, room / step + 1, bins, 2];
    Ok(Made::one(
        Kind::Unsupported(NO_FOURIER.into()),
        x.dtype,
        shape,
    ))
}
