//! MobileNets.

use super::blocks::{act, conv, depthwise, mean};
use crate::model::graph::TensorId;
use crate::model::hf::Builder;

/// Channels and stride of the blocks of the first network, behind 32 channels.
const BLOCKS: [(u64, u64); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// The features of the first MobileNet: those of the last block of 512 channels, and of the last of all.
pub fn features(b: &mut Builder, x: TensorId, function: &str) -> [TensorId; 2] {
    let x = conv(b, "conv0", x, 32, [3, 2]);
    let mut x = act(b, "conv0", x, function);
    let mut middle = x;
    for (index, &(channels, stride)) in BLOCKS.iter().enumerate() {
        x = b.within(format_args!("block{}", index + 1), |b| {
            let x = depthwise(b, "depthwise", x, [3, stride]);
            let x = act(b, "depthwise", x, function);
            let x = conv(b, "pointwise", x, channels, [1, 1]);
            act(b, "pointwise", x, function)
        });
        if channels == 512 {
            middle = x;
        }
    }
    [middle, x]
}

/// MobileNet v1.
pub fn v1(b: &mut Builder, x: TensorId) -> Vec<TensorId> {
    let [_, x] = features(b, x, "Relu");
    let x = mean(b, "avgpool", x);
    vec![b.linear("fc", x, 1000, true)]
}

/// Expansion, channels, blocks, and stride of the first block of each stage of the second network.
const STAGES: [[u64; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// A block that is wide inside, and a sum where its ends are alike.
fn inverted(b: &mut Builder, x: TensorId, expansion: u64, out: u64, stride: u64) -> TensorId {
    let channels = b.shape(x)[1];
    let mut y = x;
    if expansion != 1 {
        y = conv(b, "expand", y, expansion * channels, [1, 1]);
        y = act(b, "expand", y, "Clip");
    }
    y = depthwise(b, "depthwise", y, [3, stride]);
    y = act(b, "depthwise", y, "Clip");
    y = conv(b, "project", y, out, [1, 1]);
    match stride == 1 && channels == out {
        true => b.each("add", "Add", &[x, y]),
        false => y,
    }
}

/// MobileNet v2.
pub fn v2(b: &mut Builder, x: TensorId) -> Vec<TensorId> {
    let x = conv(b, "conv0", x, 32, [3, 2]);
    let mut x = act(b, "conv0", x, "Clip");
    for (stage, &[expansion, channels, blocks, stride]) in STAGES.iter().enumerate() {
        for index in 0..blocks {
            let stride = if index == 0 { stride } else { 1 };
            x = b.within(format_args!("stage{stage}.{index}"), |b| {
                inverted(b, x, expansion, channels, stride)
            });
        }
    }
    let x = conv(b, "conv1", x, 1280, [1, 1]);
    let x = act(b, "conv1", x, "Clip");
    let x = mean(b, "avgpool", x);
    vec![b.linear("classifier", x, 1000, true)]
}
