//! EfficientNet.

use super::blocks::{act, conv, depthwise, mean, squeeze};
use crate::model::graph::TensorId;
use crate::model::hf::Builder;

/// Expansion, channels, blocks, stride of the first block, and edge of the window of each stage.
const STAGES: [[u64; 5]; 7] = [
    [1, 16, 1, 1, 3],
    [6, 24, 2, 2, 3],
    [6, 40, 2, 2, 5],
    [6, 80, 3, 2, 3],
    [6, 112, 3, 1, 5],
    [6, 192, 4, 2, 5],
    [6, 320, 1, 1, 3],
];

fn block(b: &mut Builder, x: TensorId, [expansion, out, stride, kernel]: [u64; 4]) -> TensorId {
    let channels = b.shape(x)[1];
    let mut y = x;
    if expansion != 1 {
        y = conv(b, "expand", y, expansion * channels, [1, 1]);
        y = act(b, "expand", y, "Silu");
    }
    y = depthwise(b, "depthwise", y, [kernel, stride]);
    y = act(b, "depthwise", y, "Silu");
    y = b.within("squeeze", |b| squeeze(b, y, channels / 4, "Silu"));
    y = conv(b, "project", y, out, [1, 1]);
    match stride == 1 && channels == out {
        true => b.each("add", "Add", &[x, y]),
        false => y,
    }
}

/// EfficientNet-B0.
pub fn b0(b: &mut Builder, x: TensorId) -> Vec<TensorId> {
    let x = conv(b, "stem", x, 32, [3, 2]);
    let mut x = act(b, "stem", x, "Silu");
    for (stage, &[expansion, channels, blocks, stride, kernel]) in STAGES.iter().enumerate() {
        for index in 0..blocks {
            let stride = if index == 0 { stride } else { 1 };
            x = b.within(format_args!("stage{stage}.{index}"), |b| {
                block(b, x, [expansion, channels, stride, kernel])
            });
        }
    }
    let x = conv(b, "head", x, 1280, [1, 1]);
    let x = act(b, "head", x, "Silu");
    let x = mean(b, "avgpool", x);
    vec![b.linear("classifier", x, 1000, true)]
}
