//! YOLOv10, with the head that needs no search for boxes that overlap.

use super::blocks::{
    bottleneck, compact, conv, partial_attention, pyramid, separate_down, split_stage,
};
use super::head::{self, Head};
use super::{Place, Scale, neck};
use crate::model::graph::TensorId;
use crate::model::hf::Builder;

/// Blocks in a row, those of the cheaper kind where this size has them at `rank`.
fn stage(
    b: &mut Builder,
    x: TensorId,
    [out, count]: [u64; 2],
    scale: Scale,
    rank: Option<usize>,
    adds: bool,
) -> TensorId {
    let cheap = rank.is_some_and(|rank| rank < scale.cheap);
    split_stage(b, x, out, count, |b, x| match cheap {
        true => compact(b, x, scale.large),
        false => bottleneck(b, x, adds),
    })
}

/// The network.
pub fn v10(b: &mut Builder, x: TensorId, scale: Scale) -> Vec<TensorId> {
    // The order in which stages get the cheaper blocks starts with the last map of the neck.
    let stages = [
        (64, 0, None),
        (128, 3, None),
        (256, 6, None),
        (512, 6, Some(4)),
        (1024, 3, Some(1)),
    ];
    let mut x = x;
    let mut maps = Vec::new();
    for (index, (channels, blocks, rank)) in stages.into_iter().enumerate() {
        let (width, blocks) = (scale.width(channels), scale.depth(blocks));
        x = b.within(format_args!("stage{}", index + 1), |b| {
            let x = match index {
                0..=2 => conv(b, "down", x, width, [3, 2]),
                _ => b.within("down", |b| separate_down(b, x, width)),
            };
            match blocks {
                0 => x,
                _ => stage(b, x, [width, blocks], scale, rank, true),
            }
        });
        maps.push(x);
    }
    let width = b.shape(x)[1];
    let p5 = b.within("sppf", |b| pyramid(b, x, width / 2, width));
    let p5 = b.within("psa", |b| partial_attention(b, p5));
    let maps = neck(
        b,
        [maps[2], maps[3], p5],
        |b, x, place| {
            let (channels, rank) = match place {
                Place::Up16 => (512, Some(3)),
                Place::Up8 => (256, None),
                Place::Down16 => (512, Some(2)),
                Place::Down32 => (1024, Some(0)),
            };
            let size = [scale.width(channels), scale.depth(3)];
            stage(b, x, size, scale, rank, false)
        },
        |b, x, place| {
            let channels = b.shape(x)[1];
            match place {
                Place::Down32 => separate_down(b, x, channels),
                _ => conv(b, "conv", x, channels, [3, 2]),
            }
        },
    );
    head::detect(b, maps, Head::Separate)
}
