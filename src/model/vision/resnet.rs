//! Residual networks of images.

use super::blocks::{self, mean};
use crate::model::graph::TensorId;
use crate::model::hf::{Builder, square};

/// How deep a network is, and what kind of blocks it has.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Blocks of each of the four stages.
    blocks: [u64; 4],
    /// Blocks of three convolutions, the middle one narrow, instead of two.
    bottleneck: bool,
    /// How convolutions are normalised.
    norm: Norm,
}

/// What stands behind a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Norm {
    /// Scale and bias are learnt.
    Learnt,
    /// They are constants, as where a detector keeps what another network has learnt.
    Frozen,
}

const fn depth(blocks: [u64; 4], bottleneck: bool) -> Depth {
    Depth {
        blocks,
        bottleneck,
        norm: Norm::Learnt,
    }
}

/// 18 layers.
pub const RESNET18: Depth = depth([2, 2, 2, 2], false);
/// 34 layers.
pub const RESNET34: Depth = depth([3, 4, 6, 3], false);
/// 50 layers.
pub const RESNET50: Depth = depth([3, 4, 6, 3], true);
/// 101 layers.
pub const RESNET101: Depth = depth([3, 4, 23, 3], true);
/// 152 layers.
pub const RESNET152: Depth = depth([3, 8, 36, 3], true);

impl Depth {
    /// The same with scales and biases that are not learnt.
    pub const fn frozen(self) -> Self {
        Depth {
            norm: Norm::Frozen,
            ..self
        }
    }

    /// A convolution without bias, and its normalisation.
    fn conv(
        self,
        b: &mut Builder,
        name: &str,
        x: TensorId,
        out: u64,
        window: [u64; 2],
    ) -> TensorId {
        match self.norm {
            Norm::Learnt => blocks::conv(b, name, x, out, window),
            Norm::Frozen => {
                let x = b.conv(name, x, out, blocks::centred(window, 1), false);
                b.frozen_norm(&format!("{name}.bn"), x)
            }
        }
    }

    fn block(self, b: &mut Builder, x: TensorId, width: u64, stride: u64) -> TensorId {
        let out = if self.bottleneck { 4 * width } else { width };
        let inside = match self.bottleneck {
            true => {
                let y = self.conv(b, "conv1", x, width, [1, 1]);
                let y = b.each("relu1", "Relu", &[y]);
                let y = self.conv(b, "conv2", y, width, [3, stride]);
                let y = b.each("relu2", "Relu", &[y]);
                self.conv(b, "conv3", y, out, [1, 1])
            }
            false => {
                let y = self.conv(b, "conv1", x, width, [3, stride]);
                let y = b.each("relu1", "Relu", &[y]);
                self.conv(b, "conv2", y, out, [3, 1])
            }
        };
        let other = match stride != 1 || b.shape(x)[1] != out {
            true => self.conv(b, "downsample", x, out, [1, stride]),
            false => x,
        };
        let sum = b.each("add", "Add", &[inside, other]);
        b.each("relu", "Relu", &[sum])
    }

    /// What comes out of each of the four stages.
    pub fn features(self, b: &mut Builder, mut x: TensorId) -> [TensorId; 4] {
        x = self.conv(b, "conv1", x, 64, [7, 2]);
        x = b.each("relu", "Relu", &[x]);
        x = b.pool("maxpool", "MaxPool", x, square(2, 3, 2, 1));
        [0, 1, 2, 3].map(|stage| {
            for index in 0..self.blocks[stage] {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                x = b.within(format_args!("layer{}.{index}", stage + 1), |b| {
                    self.block(b, x, 64 << stage, stride)
                });
            }
            x
        })
    }
}

/// The network as a classifier.
pub fn classify(b: &mut Builder, x: TensorId, depth: Depth) -> Vec<TensorId> {
    let [.., x] = depth.features(b, x);
    let x = mean(b, "avgpool", x);
    vec![b.linear("fc", x, 1000, true)]
}
