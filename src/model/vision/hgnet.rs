//! The backbone HGNetv2.

use super::blocks::{act, conv, depthwise, normed};
use crate::model::graph::{TensorId, Window};
use crate::model::hf::{Builder, square};

/// A stage.
#[derive(Clone, Copy, Debug)]
struct Stage {
    /// Channels of the convolutions inside a block.
    inner: u64,
    /// Channels behind it.
    out: u64,
    /// Edge of the windows.
    kernel: u64,
    /// Convolutions are of places, then of each channel for itself.
    light: bool,
    /// Blocks.
    blocks: u64,
}

const fn stage(inner: u64, out: u64, kernel: u64, light: bool, blocks: u64) -> Stage {
    Stage {
        inner,
        out,
        kernel,
        light,
        blocks,
    }
}

/// A size.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    stem: u64,
    stages: [Stage; 4],
}

/// L.
pub const LARGE: Size = Size {
    stem: 48,
    stages: [
        stage(48, 128, 3, false, 1),
        stage(96, 512, 3, false, 1),
        stage(192, 1024, 5, true, 3),
        stage(384, 2048, 5, true, 1),
    ],
};
/// X.
pub const EXTRA: Size = Size {
    stem: 64,
    stages: [
        stage(64, 128, 3, false, 1),
        stage(128, 512, 3, false, 2),
        stage(256, 1024, 5, true, 5),
        stage(512, 2048, 5, true, 2),
    ],
};

/// A convolution with its normalisation and ReLU.
fn relu(b: &mut Builder, name: &str, x: TensorId, out: u64, window: [u64; 2]) -> TensorId {
    let x = conv(b, name, x, out, window);
    act(b, name, x, "Relu")
}

fn stem(b: &mut Builder, x: TensorId, out: u64) -> TensorId {
    // A row and a column behind the image keep its size.
    let pair = || Window {
        pads: vec![0, 0, 1, 1],
        ..square(2, 2, 1, 0)
    };
    let x = relu(b, "stem1", x, 32, [3, 2]);
    let y = normed(b, "stem2a", x, 16, pair());
    let y = act(b, "stem2a", y, "Relu");
    let y = normed(b, "stem2b", y, 32, pair());
    let y = act(b, "stem2b", y, "Relu");
    let x = b.pool("pool", "MaxPool", x, pair());
    let x = b.concat("concat", &[x, y], 1);
    let x = relu(b, "stem3", x, 32, [3, 2]);
    relu(b, "stem4", x, out, [1, 1])
}

/// Six convolutions in a row, what each of them makes side by side, and a sum with `x` where `adds`.
fn block(b: &mut Builder, x: TensorId, stage: Stage, adds: bool) -> TensorId {
    let mut parts = vec![x];
    for index in 0..6 {
        let name = format!("m.{index}");
        let x = parts[index];
        parts.push(match stage.light {
            false => relu(b, &name, x, stage.inner, [stage.kernel, 1]),
            true => {
                let x = conv(b, &format!("{name}.places"), x, stage.inner, [1, 1]);
                let name = format!("{name}.channels");
                let x = depthwise(b, &name, x, [stage.kernel, 1]);
                act(b, &name, x, "Relu")
            }
        });
    }
    let all = b.concat("concat", &parts, 1);
    let y = relu(b, "squeeze", all, stage.out / 2, [1, 1]);
    let y = relu(b, "excite", y, stage.out, [1, 1]);
    match adds {
        true => b.each("add", "Add", &[x, y]),
        false => y,
    }
}

/// Maps of 1/8, 1/16 and 1/32 of the image.
pub fn features(b: &mut Builder, x: TensorId, size: Size) -> [TensorId; 3] {
    let mut x = b.within("stem", |b| stem(b, x, size.stem));
    let maps = [0, 1, 2, 3].map(|index| {
        let stage = size.stages[index];
        b.within(format_args!("stage{}", index + 1), |b| {
            if index > 0 {
                x = depthwise(b, "down", x, [3, 2]);
            }
            for block_index in 0..stage.blocks {
                x = b.within(block_index, |b| block(b, x, stage, block_index > 0));
            }
        });
        x
    });
    [maps[1], maps[2], maps[3]]
}
