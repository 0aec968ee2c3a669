//! Residual networks of images.

use super::graph::{Graph, Kind, TensorId};
use super::hf::{Builder, square};
use crate::model::graph::Dtype;

/// How deep a network is.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Its name.
    pub name: &'static str,
    /// Blocks of each of the four stages.
    blocks: [u64; 4],
    /// Blocks of three convolutions, the middle one narrow, instead of two.
    bottleneck: bool,
}

/// The networks of the paper.
pub const DEPTHS: &[Depth] = &[
    Depth {
        name: "resnet18",
        blocks: [2, 2, 2, 2],
        bottleneck: false,
    },
    Depth {
        name: "resnet34",
        blocks: [3, 4, 6, 3],
        bottleneck: false,
    },
    Depth {
        name: "resnet50",
        blocks: [3, 4, 6, 3],
        bottleneck: true,
    },
    Depth {
        name: "resnet101",
        blocks: [3, 4, 23, 3],
        bottleneck: true,
    },
    Depth {
        name: "resnet152",
        blocks: [3, 8, 36, 3],
        bottleneck: true,
    },
];

/// A convolution without bias, and its normalisation.
fn conv(b: &mut Builder, name: &str, x: TensorId, out: u64, kernel: u64, stride: u64) -> TensorId {
    let window = square(2, kernel, stride, kernel / 2);
    let x = b.conv(name, x, out, window, false);
    b.batch_norm(&format!("{name}.bn"), x)
}

fn block(b: &mut Builder, x: TensorId, width: u64, stride: u64, bottleneck: bool) -> TensorId {
    let out = if bottleneck { 4 * width } else { width };
    let inside = match bottleneck {
        true => {
            let y = conv(b, "conv1", x, width, 1, 1);
            let y = b.each("relu1", "Relu", &[y]);
            let y = conv(b, "conv2", y, width, 3, stride);
            let y = b.each("relu2", "Relu", &[y]);
            conv(b, "conv3", y, out, 1, 1)
        }
        false => {
            let y = conv(b, "conv1", x, width, 3, stride);
            let y = b.each("relu1", "Relu", &[y]);
            conv(b, "conv2", y, out, 3, 1)
        }
    };
    let other = match stride != 1 || b.shape(x)[1] != out {
        true => conv(b, "downsample", x, out, 1, stride),
        false => x,
    };
    let sum = b.each("add", "Add", &[inside, other]);
    b.each("relu", "Relu", &[sum])
}

/// The network on `batch` images of 224 x 224.
pub fn build(depth: Depth, batch: u64) -> Graph {
    let mut b = Builder::new(depth.name, Dtype::Float32);
    let x = b.input("input", Dtype::Float32, vec![batch, 3, 224, 224]);
    let x = conv(&mut b, "conv1", x, 64, 7, 2);
    let x = b.each("relu", "Relu", &[x]);
    let window = square(2, 3, 2, 1);
    let mut x = b.reduce(
        "maxpool",
        "MaxPool",
        Kind::Pool(window),
        x,
        [batch, 64, 56, 56],
    );
    for (stage, &blocks) in depth.blocks.iter().enumerate() {
        for index in 0..blocks {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            x = b.within(format_args!("layer{}.{index}", stage + 1), |b| {
                block(b, x, 64 << stage, stride, depth.bottleneck)
            });
        }
    }
    let channels = b.shape(x)[1];
    let x = b.reduce(
        "avgpool",
        "GlobalAveragePool",
        Kind::Reduce,
        x,
        [batch, channels],
    );
    let logits = b.linear("fc", x, 1000, true);
    b.finish(&[logits])
}
