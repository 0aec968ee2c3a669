//! Residual networks of images.

use super::blocks::{self, mean};
use crate::model::graph::{TensorId, Window};
use crate::model::hf::{Builder, square};

/// How deep a network is, and what kind of blocks it has.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Blocks of each of the four stages.
    blocks: [u64; 4],
    /// Blocks of three convolutions, the middle one narrow, instead of two.
    bottleneck: bool,
    /// Groups of the middle one, and channels of a group in the first stage.
    groups: [u64; 2],
    /// Each channel of a block's result is scaled by what all of them are.
    squeezed: bool,
    /// How convolutions are normalised.
    norm: Norm,
    /// How maps become smaller.
    form: Form,
}

/// What stands behind a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Norm {
    /// Scale and bias are learnt.
    Learnt,
    /// They are constants, as where a detector keeps what another network has learnt.
    Frozen,
}

/// How maps become smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// By one window of 7 x 7 at the beginning, and by strides beside the blocks.
    Original,
    /// "vd": by three windows of 3 x 3 at the beginning, and by means beside the blocks. What goes past the first block of
    /// a stage is always projected.
    Mean,
}

const fn depth(blocks: [u64; 4], bottleneck: bool) -> Depth {
    Depth {
        blocks,
        bottleneck,
        groups: [1, 64],
        squeezed: false,
        norm: Norm::Learnt,
        form: Form::Original,
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
/// ResNeXt of 50 layers, 32 groups of 4 channels.
pub const RESNEXT50_32X4: Depth = RESNET50.grouped(32, 4);
/// ResNeXt of 101 layers, 32 groups of 4 channels.
pub const RESNEXT101_32X4: Depth = RESNET101.grouped(32, 4);
/// ResNeXt of 101 layers, 32 groups of 8 channels.
pub const RESNEXT101_32X8: Depth = RESNET101.grouped(32, 8);
/// ResNeXt of 101 layers, 64 groups of 4 channels.
pub const RESNEXT101_64X4: Depth = RESNET101.grouped(64, 4);
/// The first of these three with channels that are scaled.
pub const SE_RESNEXT101_32X4: Depth = Depth {
    squeezed: true,
    ..RESNEXT101_32X4
};

/// Channels of a block's result for one of what its scales are made of.
const SQUEEZE: u64 = 16;

impl Depth {
    /// The same with middle convolutions in groups of `channels` (in the first stage).
    const fn grouped(self, groups: u64, channels: u64) -> Self {
        Depth {
            groups: [groups, channels],
            ..self
        }
    }

    /// The same with scales and biases that are not learnt.
    pub const fn frozen(self) -> Self {
        Depth {
            norm: Norm::Frozen,
            ..self
        }
    }

    /// The same as detectors have it.
    pub const fn with_means(self) -> Self {
        Depth {
            form: Form::Mean,
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
        self.normed(b, name, x, out, blocks::centred(window, 1))
    }

    /// The same with a window of any kind.
    fn normed(
        self,
        b: &mut Builder,
        name: &str,
        x: TensorId,
        out: u64,
        window: Window,
    ) -> TensorId {
        match self.norm {
            Norm::Learnt => blocks::normed(b, name, x, out, window),
            Norm::Frozen => {
                let x = b.conv(name, x, out, window, false);
                b.frozen_norm(&format!("{name}.bn"), x)
            }
        }
    }

    /// What goes past a block, with `out` channels and as small as what goes through it.
    fn past(self, b: &mut Builder, x: TensorId, out: u64, [index, stride]: [u64; 2]) -> TensorId {
        match self.form {
            Form::Original if stride == 1 && b.shape(x)[1] == out => x,
            Form::Original => self.conv(b, "downsample", x, out, [1, stride]),
            Form::Mean if index > 0 => x,
            Form::Mean => {
                let x = match stride {
                    1 => x,
                    _ => b.pool("downsample.pool", "AveragePool", x, square(2, 2, stride, 0)),
                };
                self.conv(b, "downsample", x, out, [1, 1])
            }
        }
    }

    /// The block of number `index` in its stage.
    fn block(self, b: &mut Builder, x: TensorId, width: u64, index: u64) -> TensorId {
        let stride = if width > 64 && index == 0 { 2 } else { 1 };
        let out = if self.bottleneck { 4 * width } else { width };
        let inside = match self.bottleneck {
            true => {
                let [groups, channels] = self.groups;
                let narrow = width / 64 * channels * groups;
                let y = self.conv(b, "conv1", x, narrow, [1, 1]);
                let y = b.each("relu1", "Relu", &[y]);
                let window = blocks::centred([3, stride], groups);
                let y = self.normed(b, "conv2", y, narrow, window);
                let y = b.each("relu2", "Relu", &[y]);
                let y = self.conv(b, "conv3", y, out, [1, 1]);
                match self.squeezed {
                    true => b.within("squeeze", |b| blocks::squeeze(b, y, out / SQUEEZE, "Relu")),
                    false => y,
                }
            }
            false => {
                let y = self.conv(b, "conv1", x, width, [3, stride]);
                let y = b.each("relu1", "Relu", &[y]);
                self.conv(b, "conv2", y, out, [3, 1])
            }
        };
        let other = self.past(b, x, out, [index, stride]);
        let sum = b.each("add", "Add", &[inside, other]);
        b.each("relu", "Relu", &[sum])
    }

    /// Half of the image in both dimensions, 64 channels.
    fn stem(self, b: &mut Builder, mut x: TensorId) -> TensorId {
        if self.form == Form::Original {
            x = self.conv(b, "conv1", x, 64, [7, 2]);
            return b.each("relu", "Relu", &[x]);
        }
        for (index, (out, stride)) in [(32, 2), (32, 1), (64, 1)].into_iter().enumerate() {
            let name = format!("conv1.{index}");
            x = self.conv(b, &name, x, out, [3, stride]);
            x = blocks::act(b, &name, x, "Relu");
        }
        x
    }

    /// What comes out of each of the four stages.
    pub fn features(self, b: &mut Builder, x: TensorId) -> [TensorId; 4] {
        let mut x = self.stem(b, x);
        x = b.pool("maxpool", "MaxPool", x, square(2, 3, 2, 1));
        [0, 1, 2, 3].map(|stage| {
            for index in 0..self.blocks[stage] {
                x = b.within(format_args!("layer{}.{index}", stage + 1), |b| {
                    self.block(b, x, 64 << stage, index)
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
