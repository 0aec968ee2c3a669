//! Blocks that the network and both coders have.

use crate::model::graph::TensorId;
use crate::model::hf::{Builder, square};
use crate::model::vision::enlarge;

/// A convolution of 3 x 3 with bias.
pub fn conv(b: &mut Builder, name: &str, x: TensorId, out: u64, stride: u64) -> TensorId {
    b.conv(name, x, out, square(2, 3, stride, 1), true)
}

/// A convolution of 1 x 1 with bias.
pub fn pointwise(b: &mut Builder, name: &str, x: TensorId, out: u64) -> TensorId {
    b.conv(name, x, out, square(2, 1, 1, 0), true)
}

/// Normalisation, SiLU, convolution.
pub fn normed(b: &mut Builder, index: u64, x: TensorId, out: u64) -> TensorId {
    let x = b.group_norm(&format!("norm{index}"), x);
    let x = b.each(&format!("act{index}"), "Silu", &[x]);
    conv(b, &format!("conv{index}"), x, out, 1)
}

/// Two convolutions, between them what the step is where there are steps, and a sum with `x`.
pub fn residual(b: &mut Builder, x: TensorId, out: u64, time: Option<TensorId>) -> TensorId {
    let mut y = normed(b, 1, x, out);
    if let Some(time) = time {
        let time = b.each("time.act", "Silu", &[time]);
        let time = b.linear("time_emb_proj", time, out, true);
        let batch = b.shape(time)[0];
        let time = b.view("time", time, [batch, out, 1, 1]);
        y = b.each("with_time", "Add", &[y, time]);
    }
    let y = normed(b, 2, y, out);
    let x = match b.shape(x)[1] == out {
        true => x,
        false => pointwise(b, "conv_shortcut", x, out),
    };
    b.each("add", "Add", &[x, y])
}

/// Twice as many places in both dimensions.
pub fn upsample(b: &mut Builder, x: TensorId) -> TensorId {
    b.within("upsample", |b| {
        let channels = b.shape(x)[1];
        let x = enlarge(b, "larger", x, 2);
        conv(b, "conv", x, channels, 1)
    })
}
