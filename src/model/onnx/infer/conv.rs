//! Convolutions and poolings.

use super::arrange::INDEX;
use super::{Arg, Call, Infer, Made, Out, extent, fault, volume};
use crate::model::check::show;
use crate::model::graph::{Dtype, Kind, Product, Shape, Window};

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let made = match call.node.op {
        "Conv" => {
            let dtype = call.same(&[0, 1, 2])?;
            convolution(call, 0, 1, dtype)?
        }
        "ConvInteger" => convolution(call, 0, 1, Dtype::Int32)?,
        "ConvTranspose" => transposed(call)?,
        "DeformConv" => {
            let dtype = call.arg(0)?.dtype;
            convolution(call, 0, 1, dtype)?
        }
        "MaxPool" | "AveragePool" | "LpPool" => pool(call)?,
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => global_pool(call.arg(0)?)?,
        "MaxUnpool" => unpool(call)?,
        "Col2Im" => col2im(call)?,
        _ => return Ok(None),
    };
    Ok(Some(made))
}

/// Most channels of a block that ONNX Runtime fills up.
const BLOCK_MAX: u64 = 64;

/// Positive integers of an attribute, all 1 where it is absent.
fn steps(call: &Call<'_>, name: &str, rank: usize) -> Infer<Vec<u64>> {
    let Some(ints) = call.ints(name) else {
        return Ok(vec![1; rank]);
    };
    if ints.len() != rank || ints.iter().any(|n| !(1..=1 << 32).contains(n)) {
        return fault(format!(
            "attribute {name} is {ints:?}, expected {rank} positive numbers"
        ));
    }
    Ok(ints.iter().map(|&n| n as u64).collect())
}

/// The window that the attributes of `call` describe, over `space`.
fn window(call: &Call<'_>, kernel: Vec<u64>, space: &[u64]) -> Infer<Window> {
    let rank = space.len();
    if kernel.len() != rank || kernel.contains(&0) || kernel.iter().any(|&n| n > 1 << 32) {
        return fault(format!(
            "a window of {} over {}",
            show(&kernel),
            show(space)
        ));
    }
    let strides = steps(call, "strides", rank)?;
    let dilations = steps(call, "dilations", rank)?;
    let reach = |i: usize| dilations[i].saturating_mul(kernel[i] - 1).saturating_add(1);
    let automatic = call.text("auto_pad").unwrap_or("NOTSET");
    let pads = match automatic {
        "SAME_UPPER" | "SAME_LOWER" => {
            let total = |i: usize| {
                let last = (space[i].div_ceil(strides[i]).max(1) - 1).saturating_mul(strides[i]);
                last.saturating_add(reach(i)).saturating_sub(space[i]) as i64
            };
            let less = (0..rank).map(|i| total(i) / 2);
            let more = (0..rank).map(|i| total(i) - total(i) / 2);
            match automatic {
                "SAME_UPPER" => less.chain(more).collect(),
                _ => more.chain(less).collect(),
            }
        }
        "VALID" => vec![0; 2 * rank],
        "NOTSET" | "" => match call.ints("pads") {
            None => vec![0; 2 * rank],
            Some(pads) if pads.len() == 2 * rank && pads.iter().all(|n| n.abs() < 1 << 32) => {
                pads.to_vec()
            }
            Some(pads) => {
                return fault(format!(
                    "attribute pads is {pads:?}, expected {} numbers",
                    2 * rank
                ));
            }
        },
        other => return fault(format!("attribute auto_pad is {other}")),
    };
    Ok(Window {
        kernel,
        strides,
        dilations,
        pads,
        groups: 1,
        transposed: false,
    })
}

impl Window {
    /// Places that the window takes over `space`.
    fn places(&self, space: &[u64], round_up: bool) -> Infer<Shape> {
        let rank = space.len();
        (0..rank)
            .map(|i| {
                let reach = self.dilations[i] as i128 * (self.kernel[i] as i128 - 1) + 1;
                let (before, after) = (self.pads[i] as i128, self.pads[i + rank] as i128);
                let room = space[i] as i128 + before + after - reach;
                if room < 0 {
                    return fault(format!(
                        "a window of {} does not fit into {}",
                        show(&self.kernel),
                        show(space)
                    ));
                }
                let stride = self.strides[i] as i128;
                let mut places = room / stride + 1;
                // Rounded up, but no window begins in the padding behind.
                if round_up && room % stride != 0 && places * stride < space[i] as i128 + before {
                    places += 1;
                }
                Ok(places as u64)
            })
            .collect()
    }
}

/// Groups of channels, which must divide them.
fn groups(call: &Call<'_>, channels: u64) -> Infer<u64> {
    match call.int("group", 1) {
        n if n >= 1 && channels.is_multiple_of(n as u64) => Ok(n as u64),
        n => fault(format!("{channels} channels in {n} groups")),
    }
}

fn images(arg: &Arg) -> Infer<(u64, u64, &[u64])> {
    match &arg.shape[..] {
        [n, c, space @ ..] if !space.is_empty() => Ok((*n, *c, space)),
        other => fault(format!(
            "its input is {}, expected images and channels first",
            show(other)
        )),
    }
}

/// Whether the operator has channels last.
fn is_channels_last(call: &Call<'_>) -> bool {
    call.int("channels_last", 0) != 0 || call.node.op.starts_with("Nhwc")
}

/// Images with their channels second, where the operator has them last.
pub fn channels_second(call: &Call<'_>, x: &Arg) -> Arg {
    let mut x = x.clone();
    if is_channels_last(call) && x.shape.len() > 2 {
        x.shape[1..].rotate_right(1);
    }
    x
}

/// A shape with its channels second, as the operator has it.
pub fn channels_back(call: &Call<'_>, mut shape: Shape) -> Shape {
    if is_channels_last(call) && shape.len() > 2 {
        shape[1..].rotate_left(1);
    }
    shape
}

/// A convolution of input `x` with weights of input `w`.
pub fn convolution(call: &Call<'_>, x: usize, w: usize, result: Dtype) -> Infer {
    let (x, w) = (&channels_second(call, call.arg(x)?), call.arg(w)?);
    let (n, c, space) = images(x)?;
    let (out, depth, kernel) = images(w)?;
    // ONNX Runtime fills blocks of channels up; they are counted as the weights have them.
    let wanted = depth.saturating_mul(call.int("group", 1).max(1) as u64);
    let room = c..c.saturating_add(BLOCK_MAX);
    let filled = call.node.domain == "com.microsoft.nchwc" && room.contains(&wanted);
    let c = if filled { wanted } else { c };
    let groups = groups(call, c)?;
    if depth.checked_mul(groups) != Some(c) || out % groups != 0 {
        return fault(format!(
            "weights {} do not fit to input {} in {groups} group(s)",
            show(&w.shape),
            show(&x.shape)
        ));
    }
    let mut window = window(call, kernel.to_vec(), space)?;
    window.groups = groups;
    let places = window.places(space, false)?;
    let product = Product {
        op: "conv",
        m: volume(&[n, volume(&places)?])?,
        n: out / groups,
        k: volume(&w.shape[1..])?,
        batch: groups,
        dtype: x.dtype,
    };
    let mut shape = vec![n, out];
    shape.extend(places);
    let shape = channels_back(call, shape);
    Ok(Made::one(Kind::Conv(window), result, shape).with(vec![product]))
}

fn transposed(call: &Call<'_>) -> Infer {
    let dtype = call.same(&[0, 1, 2])?;
    let (x, w) = (call.arg(0)?, call.arg(1)?);
    let (n, c, space) = images(x)?;
    let (depth, out, kernel) = images(w)?;
    let groups = groups(call, c)?;
    if depth != c {
        return fault(format!(
            "weights {} do not fit to input {}",
            show(&w.shape),
            show(&x.shape)
        ));
    }
    let mut window = window(call, kernel.to_vec(), space)?;
    (window.groups, window.transposed) = (groups, true);
    let rank = space.len();
    let more = call.ints("output_padding").unwrap_or_default();
    let automatic = matches!(call.text("auto_pad"), Some("SAME_UPPER" | "SAME_LOWER"));
    let mut shape = vec![n, volume(&[out, groups])?];
    for i in 0..rank {
        let stride = window.strides[i] as i128;
        let reach = window.dilations[i] as i128 * (window.kernel[i] as i128 - 1) + 1;
        let more = i128::from(more.get(i).copied().unwrap_or(0));
        let pads = window.pads[i] as i128 + window.pads[i + rank] as i128;
        let size = match call.ints("output_shape") {
            Some(sizes) if sizes.len() >= rank => i128::from(sizes[sizes.len() - rank + i]),
            _ if automatic => space[i] as i128 * stride,
            _ => stride * (space[i] as i128 - 1) + more + reach - pads,
        };
        match u64::try_from(size) {
            Ok(size) => shape.push(size),
            Err(_) => return fault(format!("an output with an extent of {size}")),
        }
    }
    let product = Product {
        op: "conv_transpose",
        m: volume(&[n, volume(space)?])?,
        n: volume(&w.shape[1..])?,
        k: c / groups,
        batch: groups,
        dtype: x.dtype,
    };
    Ok(Made::one(Kind::Conv(window), dtype, shape).with(vec![product]))
}

/// A pooling of input 0.
pub fn pool(call: &Call<'_>) -> Infer {
    let x = &channels_second(call, call.arg(0)?);
    let (n, c, space) = images(x)?;
    let Some(kernel) = call.ints("kernel_shape") else {
        return fault("attribute kernel_shape is missing");
    };
    let kernel = kernel.iter().map(|&n| extent(n)).collect::<Infer<_>>()?;
    let window = window(call, kernel, space)?;
    let same = matches!(call.text("auto_pad"), Some("SAME_UPPER" | "SAME_LOWER"));
    let round_up = call.int("ceil_mode", 0) != 0 && !same;
    let mut shape = vec![n, c];
    shape.extend(window.places(space, round_up)?);
    let shape = channels_back(call, shape);
    let indices = Out::new(INDEX, shape.clone());
    Ok(Made::new(
        Kind::Pool(window),
        vec![Out::new(x.dtype, shape), indices],
    ))
}

/// Pooling over whole images.
pub fn global_pool(x: &Arg) -> Infer {
    let (n, c, space) = images(x)?;
    let mut shape = vec![n, c];
    shape.extend(space.iter().map(|_| 1));
    Ok(Made::one(Kind::Reduce, x.dtype, shape))
}

fn unpool(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    if call.get(2).is_some() {
        let shape: Shape = call
            .values(2)?
            .iter()
            .map(|&n| extent(n))
            .collect::<Infer<_>>()?;
        return Ok(Made::one(Kind::Lookup, x.dtype, shape));
    }
    let (n, c, space) = images(x)?;
    let kernel = steps(call, "kernel_shape", space.len())?;
    let window = window(call, kernel, space)?;
    let mut shape = vec![n, c];
    for i in 0..space.len() {
        let pads = window.pads[i] + window.pads[i + space.len()];
        let size = (space[i] as i128 - 1) * window.strides[i] as i128 + window.kernel[i] as i128;
        match u64::try_from(size - i128::from(pads)) {
            Ok(size) => shape.push(size),
            Err(_) => return fault(format!("an output with an extent of {size}")),
        }
    }
    Ok(Made::one(Kind::Lookup, x.dtype, shape))
}

fn col2im(call: &Call<'_>) -> Infer {
    let x = call.ranked(0, 3)?;
    let space: Shape = call
        .values(1)?
        .iter()
        .map(|&n| extent(n))
        .collect::<Infer<_>>()?;
    let block: Shape = call
        .values(2)?
        .iter()
        .map(|&n| extent(n))
        .collect::<Infer<_>>()?;
    let size = volume(&block)?;
    if size == 0 || x.shape[1] % size != 0 {
        return fault(format!("{} rows in blocks of {size}", x.shape[1]));
    }
    let mut shape = vec![x.shape[0], x.shape[1] / size];
    shape.extend(space);
    Ok(Made::one(Kind::Lookup, x.dtype, shape))
}
