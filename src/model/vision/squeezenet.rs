//! SqueezeNet.

use super::blocks::{act, mean};
use crate::model::graph::TensorId;
use crate::model::hf::{Builder, square};

/// A convolution with bias and ReLU.
fn conv(b: &mut Builder, name: &str, x: TensorId, out: u64, kernel: u64) -> TensorId {
    let x = b.conv(name, x, out, square(2, kernel, 1, kernel / 2), true);
    act(b, name, x, "Relu")
}

/// Few channels between many.
fn fire(b: &mut Builder, x: TensorId, [few, many]: [u64; 2]) -> TensorId {
    let x = conv(b, "squeeze", x, few, 1);
    let parts = [
        conv(b, "expand1x1", x, many, 1),
        conv(b, "expand3x3", x, many, 3),
    ];
    b.concat("concat", &parts, 1)
}

/// SqueezeNet 1.1.
pub fn squeezenet(b: &mut Builder, x: TensorId) -> Vec<TensorId> {
    let x = b.conv("conv1", x, 64, square(2, 3, 2, 0), true);
    let mut x = act(b, "conv1", x, "Relu");
    let stages: [&[[u64; 2]]; 3] = [
        &[[16, 64], [16, 64]],
        &[[32, 128], [32, 128]],
        &[[48, 192], [48, 192], [64, 256], [64, 256]],
    ];
    for (stage, fires) in stages.iter().enumerate() {
        // Windows that hang over the edge count, too.
        let behind = (b.shape(x)[2] + 1) % 2;
        let mut window = square(2, 3, 2, 0);
        window.pads[2..].fill(behind as i64);
        x = b.pool(&format!("pool{stage}"), "MaxPool", x, window);
        for (index, widths) in fires.iter().enumerate() {
            x = b.within(format_args!("fire{stage}.{index}"), |b| fire(b, x, *widths));
        }
    }
    let x = conv(b, "classifier", x, 1000, 1);
    vec![mean(b, "avgpool", x)]
}
