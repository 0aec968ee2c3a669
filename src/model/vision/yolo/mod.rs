//! YOLO, versions 8 to 10, with 80 classes.

mod blocks;
mod elan;
mod head;
mod v10;
mod v8;
mod v9;

pub use blocks::{conv, repeated};
pub use v8::v8;
pub use v9::{C as V9C, M as V9M, S as V9S, T as V9T, v9, v9e};
pub use v10::v10;

use super::blocks::enlarge;
use crate::model::graph::TensorId;
use crate::model::hf::Builder;

/// How a definition is scaled.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Thirds of the blocks in a row that the definition has.
    thirds: u64,
    /// Quarters of its channels.
    quarters: u64,
    /// Most channels of the definition, before they are scaled.
    most: u64,
    /// Stages of version 10 that have the cheaper blocks, in the order in which it gives them these.
    cheap: usize,
    /// The cheaper blocks have large windows.
    large: bool,
}

const fn scale(thirds: u64, quarters: u64, most: u64, cheap: usize) -> Scale {
    Scale {
        thirds,
        quarters,
        most,
        cheap,
        large: quarters <= 2,
    }
}

/// Nano.
pub const N: Scale = scale(1, 1, 1024, 1);
/// Small.
pub const S: Scale = scale(1, 2, 1024, 2);
/// Medium.
pub const M: Scale = scale(2, 3, 768, 3);
/// Balanced, of version 10 alone.
pub const B: Scale = scale(2, 4, 512, 4);
/// Large.
pub const L: Scale = scale(3, 4, 512, 4);
/// Extra large.
pub const X: Scale = scale(3, 5, 512, 5);

impl Scale {
    /// Channels where the definition has `channels`.
    fn width(self, channels: u64) -> u64 {
        (channels.min(self.most) * self.quarters).div_ceil(32) * 8
    }

    /// Blocks where the definition has `blocks`, a multiple of three.
    fn depth(self, blocks: u64) -> u64 {
        blocks * self.thirds / 3
    }
}

/// A place of the neck: maps of 1/16, on the way up 1/8, on the way down 1/16, 1/32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Up16,
    Up8,
    Down16,
    Down32,
}

/// Maps of 1/8, 1/16 and 1/32 of the image, each with what all of them have found: from small to large and back.
fn neck(
    b: &mut Builder,
    [p3, p4, p5]: [TensorId; 3],
    block: impl Fn(&mut Builder, TensorId, Place) -> TensorId,
    down: impl Fn(&mut Builder, TensorId, Place) -> TensorId,
) -> [TensorId; 3] {
    b.within("neck", |b| {
        let join = |b: &mut Builder, name: &str, parts: [TensorId; 2], place| {
            b.within(name, |b| {
                let x = match place {
                    Place::Up16 | Place::Up8 => enlarge(b, "larger", parts[0], 2),
                    _ => b.within("down", |b| down(b, parts[0], place)),
                };
                let x = b.concat("both", &[x, parts[1]], 1);
                block(b, x, place)
            })
        };
        let up4 = join(b, "up16", [p5, p4], Place::Up16);
        let n3 = join(b, "up8", [up4, p3], Place::Up8);
        let n4 = join(b, "down16", [n3, up4], Place::Down16);
        let n5 = join(b, "down32", [n4, p5], Place::Down32);
        [n3, n4, n5]
    })
}
