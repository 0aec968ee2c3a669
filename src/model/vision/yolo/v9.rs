//! YOLOv9, without the auxiliary branch of training.

use super::super::blocks::{channels, enlarge};
use super::blocks::{conv, pyramid};
use super::elan::{Widths, double_down, elan, mean_down, small_elan};
use super::head::{self, Head};
use super::{Place, neck};
use crate::model::graph::TensorId;
use crate::model::hf::{Builder, square};

/// A size.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Channels of the first convolution, half of those of the second.
    stem: u64,
    /// Widths of the four stages.
    stages: [Widths; 4],
    /// Widths of the two maps on the way to larger ones, and of the last.
    neck: [Widths; 3],
    /// Channels behind the convolutions that lead to 1/16 and 1/32.
    down: [u64; 2],
    /// Blocks in a row.
    count: u64,
    /// The kinds of stages and steps.
    kind: Kind,
}

/// What a size has besides its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The first stage has plain convolutions.
    Small,
    /// The first stage is as the others.
    Medium,
    /// Steps to smaller maps have two branches.
    Large,
}

const fn size(
    stem: u64,
    stages: [Widths; 4],
    neck: [Widths; 3],
    down: [u64; 2],
    count: u64,
    kind: Kind,
) -> Size {
    Size {
        stem,
        stages,
        neck,
        down,
        count,
        kind,
    }
}

/// Tiny.
pub const T: Size = size(
    16,
    [[32, 32, 16], [64, 64, 32], [96, 96, 48], [128, 128, 64]],
    [[96, 96, 48], [64, 64, 32], [128, 128, 64]],
    [48, 64],
    3,
    Kind::Small,
);
/// Small.
pub const S: Size = size(
    32,
    [
        [64, 64, 32],
        [128, 128, 64],
        [192, 192, 96],
        [256, 256, 128],
    ],
    [[192, 192, 96], [128, 128, 64], [256, 256, 128]],
    [96, 128],
    3,
    Kind::Small,
);
/// Medium.
pub const M: Size = size(
    32,
    [
        [128, 128, 64],
        [240, 240, 120],
        [360, 360, 180],
        [480, 480, 240],
    ],
    [[360, 360, 180], [240, 240, 120], [480, 480, 240]],
    // 180, as a multiple of 8.
    [184, 240],
    1,
    Kind::Medium,
);
/// Compact.
pub const C: Size = size(
    64,
    [
        [256, 128, 64],
        [512, 256, 128],
        [512, 512, 256],
        [512, 512, 256],
    ],
    [[512, 512, 256], [256, 256, 128], [512, 512, 256]],
    [256, 512],
    1,
    Kind::Large,
);

/// The largest.
const E: Size = size(
    64,
    [
        [256, 128, 64],
        [512, 256, 128],
        [1024, 512, 256],
        [1024, 512, 256],
    ],
    [[512, 512, 256], [256, 256, 128], [512, 1024, 512]],
    [256, 512],
    2,
    Kind::Large,
);

/// Half the places in both dimensions, in front of a stage of `out` channels.
fn step(b: &mut Builder, x: TensorId, out: u64, kind: Kind) -> TensorId {
    b.within("down", |b| match kind {
        Kind::Large => {
            let channels = b.shape(x)[1];
            double_down(b, x, channels)
        }
        _ => mean_down(b, x, out),
    })
}

/// Maps of 1/2 to 1/32 of the image, each with what `join` adds to it.
fn backbone(
    b: &mut Builder,
    x: TensorId,
    size: Size,
    join: impl Fn(&mut Builder, usize, TensorId) -> TensorId,
) -> [TensorId; 5] {
    let x = conv(b, "stem1", x, size.stem, [3, 2]);
    let first = join(b, 0, x);
    let mut x = conv(b, "stem2", first, 2 * size.stem, [3, 2]);
    let [p2, p3, p4, p5] = [0, 1, 2, 3].map(|index| {
        let widths = size.stages[index];
        x = b.within(format_args!("stage{}", index + 2), |b| {
            if index > 0 {
                x = step(b, x, widths[0], size.kind);
            }
            let x = join(b, index + 1, x);
            match index == 0 && size.kind == Kind::Small {
                true => small_elan(b, x, widths),
                false => elan(b, x, widths, size.count),
            }
        });
        x
    });
    [first, p2, p3, p4, p5]
}

/// The network in all sizes but the largest.
pub fn v9(b: &mut Builder, x: TensorId, size: Size) -> Vec<TensorId> {
    let [.., p3, p4, p5] = backbone(b, x, size, |_, _, x| x);
    finish(b, [p3, p4, p5], size)
}

/// The largest size: the backbone twice, the second one with what the first has found added to each of its maps.
pub fn v9e(b: &mut Builder, x: TensorId) -> Vec<TensorId> {
    let found = b.within("first", |b| backbone(b, x, E, |_, _, x| x));
    let parts = split(b, &found);
    let [.., p3, p4, p5] = b.within("second", |b| {
        backbone(b, x, E, |b, at, x| fuse(b, at, x, &parts))
    });
    finish(b, [p3, p4, p5], E)
}

/// Pyramid, neck and head.
fn finish(b: &mut Builder, [p3, p4, p5]: [TensorId; 3], size: Size) -> Vec<TensorId> {
    let width = size.stages[3][0].min(512);
    let p5 = b.within("spp", |b| pyramid(b, p5, width / 2, width));
    let maps = neck(
        b,
        [p3, p4, p5],
        |b, x, place| {
            let widths = match place {
                Place::Up16 | Place::Down16 => size.neck[0],
                Place::Up8 => size.neck[1],
                Place::Down32 => size.neck[2],
            };
            elan(b, x, widths, size.count)
        },
        |b, x, place| {
            let out = size.down[usize::from(place == Place::Down32)];
            match size.kind {
                Kind::Large => double_down(b, x, out),
                _ => mean_down(b, x, out),
            }
        },
    );
    head::detect(b, maps, Head::Dense)
}

/// What each map of the first backbone has for the maps of the second: one convolution, of whose channels each gets
/// some.
fn split(b: &mut Builder, found: &[TensorId]) -> Vec<Vec<TensorId>> {
    let shares = [64, 128, 256, 512, 1024];
    let found = found.iter().enumerate();
    let parts = found.map(|(index, &map)| {
        b.within(format_args!("link{index}"), |b| {
            let shares = &shares[..=index];
            let all = b.conv("conv", map, shares.iter().sum(), square(2, 1, 1, 0), true);
            let part = |(to, &count): (usize, &u64)| channels(b, &format!("part{to}"), all, count);
            shares.iter().enumerate().map(part).collect()
        })
    });
    parts.collect()
}

/// `x`, the map `at` of the second backbone, and what all maps of the first have for it, enlarged.
fn fuse(b: &mut Builder, at: usize, x: TensorId, parts: &[Vec<TensorId>]) -> TensorId {
    let mut sum = Vec::new();
    for (from, parts) in parts.iter().enumerate().skip(at) {
        sum.push(match from - at {
            0 => parts[at],
            steps => enlarge(b, &format!("fuse{at}.from{from}"), parts[at], 1 << steps),
        });
    }
    sum.push(x);
    b.each(&format!("fuse{at}"), "Sum", &sum)
}
