//! YOLOv8.

use super::blocks::{bottleneck, conv, pyramid, split_stage};
use super::head::{self, Head};
use super::{Place, Scale, neck};
use crate::model::graph::TensorId;
use crate::model::hf::Builder;

/// The network.
pub fn v8(b: &mut Builder, x: TensorId, scale: Scale) -> Vec<TensorId> {
    let stages = [(64, 0), (128, 3), (256, 6), (512, 6), (1024, 3)];
    let mut x = x;
    let mut maps = Vec::new();
    for (stage, (channels, blocks)) in stages.into_iter().enumerate() {
        let (width, blocks) = (scale.width(channels), scale.depth(blocks));
        x = b.within(format_args!("stage{}", stage + 1), |b| {
            let x = conv(b, "down", x, width, [3, 2]);
            match blocks {
                0 => x,
                _ => split_stage(b, x, width, blocks, |b, x| bottleneck(b, x, true)),
            }
        });
        maps.push(x);
    }
    let width = b.shape(x)[1];
    let p5 = b.within("sppf", |b| pyramid(b, x, width / 2, width));
    let maps = neck(
        b,
        [maps[2], maps[3], p5],
        |b, x, place| {
            let channels = scale.width(match place {
                Place::Up16 | Place::Down16 => 512,
                Place::Up8 => 256,
                Place::Down32 => 1024,
            });
            split_stage(b, x, channels, scale.depth(3), |b, x| {
                bottleneck(b, x, false)
            })
        },
        |b, x, _| {
            let channels = b.shape(x)[1];
            conv(b, "conv", x, channels, [3, 2])
        },
    );
    head::detect(b, maps, Head::Dense)
}
