//! The coders between images and latents of an eighth of their edges.

use super::blocks::{conv, normed, pointwise, residual, upsample};
use crate::model::graph::{TensorId, Window};
use crate::model::hf::{Builder, square, whole};
use crate::model::vision::{as_image, as_tokens};

/// Places of an image along an edge for one of the latents.
pub const FACTOR: u64 = 8;
/// Channels of latents.
pub const LATENT: u64 = 4;
/// Channels from the image on.
const CHANNELS: [u64; 4] = [128, 256, 512, 512];

/// Attention of one head between all places.
fn attend(b: &mut Builder, x: TensorId) -> TensorId {
    let shape = b.shape(x);
    let (width, places) = (shape[1], [shape[2], shape[3]]);
    let y = b.group_norm("group_norm", x);
    let y = as_tokens(b, "tokens", y);
    let operands = ["to_q", "to_k", "to_v"].map(|name| b.linear(name, y, width, true));
    let y = b.attention("attention", &operands, whole(1, width));
    let y = b.linear("to_out", y, width, true);
    let y = as_image(b, "map", y, places);
    b.each("add", "Add", &[x, y])
}

fn middle(b: &mut Builder, x: TensorId) -> TensorId {
    let channels = b.shape(x)[1];
    let x = b.within("mid.resnets.0", |b| residual(b, x, channels, None));
    let x = b.within("mid.attention", |b| attend(b, x));
    b.within("mid.resnets.1", |b| residual(b, x, channels, None))
}

/// Images of the latents `x`.
pub fn decode(b: &mut Builder, x: TensorId) -> TensorId {
    let x = pointwise(b, "post_quant_conv", x, LATENT);
    b.within("decoder", |b| {
        let x = conv(b, "conv_in", x, CHANNELS[3], 1);
        let mut x = middle(b, x);
        for (level, &channels) in CHANNELS.iter().rev().enumerate() {
            x = b.within(format_args!("up.{level}"), |b| {
                for index in 0..3 {
                    x = b.within(format_args!("resnets.{index}"), |b| {
                        residual(b, x, channels, None)
                    });
                }
                match level {
                    3 => x,
                    _ => upsample(b, x),
                }
            });
        }
        normed(b, 0, x, 3)
    })
}

/// Means and variances of latents of images.
pub fn encode(b: &mut Builder, batch: u64, [height, width]: [u64; 2]) -> TensorId {
    let x = b.input("images", b.dtype, vec![batch, 3, height, width]);
    let x = b.within("encoder", |b| {
        let mut x = conv(b, "conv_in", x, CHANNELS[0], 1);
        for (level, &channels) in CHANNELS.iter().enumerate() {
            x = b.within(format_args!("down.{level}"), |b| {
                for index in 0..2 {
                    x = b.within(format_args!("resnets.{index}"), |b| {
                        residual(b, x, channels, None)
                    });
                }
                match level {
                    3 => x,
                    _ => {
                        // Padded behind only.
                        let window = Window {
                            pads: vec![0, 0, 1, 1],
                            ..square(2, 3, 2, 0)
                        };
                        b.conv("downsample", x, channels, window, true)
                    }
                }
            });
        }
        let x = middle(b, x);
        normed(b, 0, x, 2 * LATENT)
    });
    pointwise(b, "quant_conv", x, 2 * LATENT)
}
