//! What the warps of an implicit product touch.

use super::{DEPTH, OUT_PITCH, PIXELS, Tile, Touch};
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::conv::lines::{Loop, all, lanes};
use crate::kernels::conv::{Geometry, array};
use crate::kernels::rows::script::Access;
use crate::kernels::{Arrays, WarpGenerator};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Patterns of a warp.
pub(super) struct Patterns {
    together: Vec<PatternId>,
    same: PatternId,
    put_filter: PatternId,
    pixels: PatternId,
    channels: PatternId,
    put_out: PatternId,
}

impl Patterns {
    pub(super) fn new(code: &mut KernelBuilder, tile: &Tile) -> Self {
        let pitch = tile.pitch();
        Patterns {
            together: code.contiguous(4),
            same: code.pattern(FULL, 4, |_| 0),
            put_filter: code.pattern(FULL, 4, |lane| lane % 8 * pitch + lane / 8 * 4),
            pixels: code.pattern(FULL, 16, |lane| lane / 4 * 16),
            channels: code.pattern(FULL, 16, |lane| lane % 4 * 16),
            put_out: code.pattern(FULL, 16, |lane| lane % 4 * OUT_PITCH * 4 + lane / 4 * 16),
        }
    }
}

pub(super) struct Streams {
    pub shape: Geometry,
    pub tile: Tile,
    pub arrays: Arrays,
    pub ctas: [u64; 3],
    pub code: Loop<Touch>,
    pub patterns: Patterns,
}

/// A pixel of the result: its image, its place there, and the place of the image under the filter.
#[derive(Clone, Copy)]
struct Pixel {
    image: u64,
    at: u64,
    under: [i64; 2],
}

/// What a warp has.
struct Place {
    /// Pixels that its lanes load, slot by slot.
    pixels: Vec<[Option<Pixel>; 32]>,
    /// First pixel and channel of the CTA.
    pixel: u64,
    channel: u64,
    group: u64,
    warp: u64,
    /// Tiles of depth.
    tiles: u64,
}

impl Streams {
    fn pixel(&self, number: u64) -> Option<Pixel> {
        let shape = &self.shape;
        (number < shape.pixels()).then(|| {
            let at = number % shape.plane();
            let row_column = [at / shape.result[1], at % shape.result[1]];
            Pixel {
                image: number / shape.plane(),
                at,
                under: shape.under(row_column),
            }
        })
    }

    fn place(&self, cta: u64, warp: u64, tiles: u64) -> Place {
        let [x, y, _] = self.ctas;
        let pixel = cta % x * PIXELS;
        let slots = (0..self.tile.slots()).map(|slot| {
            std::array::from_fn(|lane| {
                let of_tile = self.tile.pixel(slot, warp * 32 + lane as u64);
                self.pixel(pixel + of_tile)
            })
        });
        Place {
            pixels: slots.collect(),
            pixel,
            channel: cta / x % y * self.tile.channels,
            group: cta / x / y,
            warp,
            tiles,
        }
    }

    fn image(&self, place: &Place, tile: u64, load: u64) -> Access {
        let shape = &self.shape;
        let depth = tile * DEPTH + self.tile.row(load, place.warp * 32);
        if depth >= shape.depth() {
            return Access::Off;
        }
        let [rows, columns] = shape.filter;
        let of_filter = [depth / columns % rows, depth % columns];
        let channel = place.group * shape.c + depth / (rows * columns);
        let plane = shape.image[0] * shape.image[1];
        let pixels = &place.pixels[(load % self.tile.slots()) as usize];
        lanes(4, &self.patterns.together, |lane| {
            let pixel = pixels[lane as usize]?;
            let at = shape.pixel(pixel.under, of_filter)?;
            let channel = pixel.image * shape.c * shape.groups + channel;
            Some(self.arrays.at(array::IMAGE) + (channel * plane + at) * 4)
        })
    }

    fn filter(&self, place: &Place, tile: u64, load: u64) -> Access {
        let shape = &self.shape;
        lanes(4, &self.patterns.together, |lane| {
            let number = load * self.tile.threads + place.warp * 32 + lane;
            let (channel, depth) = (place.channel + number / DEPTH, number % DEPTH);
            let depth = tile * DEPTH + depth;
            (channel < shape.k && depth < shape.depth()).then(|| {
                let row = place.group * shape.k + channel;
                self.arrays.at(array::FILTER) + (row * shape.depth() + depth) * 4
            })
        })
    }

    fn result(&self, place: &Place, round: u64, piece: u64) -> Access {
        let shape = &self.shape;
        let (along, channels) = (place.warp % 2, place.warp / 2);
        let channel = channels * 32 + round / 4 * 16 + piece / 2 * 4 + round % 4;
        let channel = place.channel + channel;
        if channel >= shape.k {
            return Access::Off;
        }
        let first = place.pixel + along * 64 + piece % 2 * 32;
        lanes(4, &self.patterns.together, |lane| {
            let pixel = self.pixel(first + lane)?;
            let plane = (pixel.image * shape.groups + place.group) * shape.k + channel;
            Some(self.arrays.at(array::RESULT) + (plane * shape.plane() + pixel.at) * 4)
        })
    }

    fn access(&self, place: &Place, present: u64, touch: Touch) -> Access {
        let (warp, tile, patterns) = (place.warp, &self.tile, &self.patterns);
        let there = |ahead: u64| present + ahead < place.tiles;
        match touch {
            Touch::Offset { tile: ahead, .. }
            | Touch::Image { tile: ahead, .. }
            | Touch::Filter { tile: ahead, .. }
            | Touch::PutImage { tile: ahead, .. }
            | Touch::PutFilter { tile: ahead, .. }
                if !there(ahead) =>
            {
                Access::Off
            }
            Touch::Offset { tile: ahead, row } => {
                let of_warp = tile.row(row * tile.loads / tile.rows, warp * 32);
                let entry = (present + ahead) * DEPTH + of_warp;
                all(self.arrays.at(array::OFFSETS) + entry * 4, patterns.same)
            }
            Touch::Image { tile: ahead, load } => self.image(place, present + ahead, load),
            Touch::Filter { tile: ahead, load } => self.filter(place, present + ahead, load),
            Touch::Result { round, piece } => self.result(place, round, piece),
            shared => self.shared(place, present, shared),
        }
    }

    fn shared(&self, place: &Place, present: u64, touch: Touch) -> Access {
        let (warp, tile, patterns) = (place.warp, &self.tile, &self.patterns);
        let stage = |ahead: u64| (present + ahead) % 2 * tile.stage();
        match touch {
            Touch::PutImage { tile: ahead, load } => {
                let at = (tile.row(load, warp * 32) * PIXELS + tile.pixel(load, warp * 32)) * 4;
                all(stage(ahead) + at, patterns.together[32])
            }
            Touch::PutFilter { tile: ahead, load } => {
                let channel = (load * tile.threads + warp * 32) / DEPTH;
                let at = tile.pixel_bytes() + channel * 4;
                all(stage(ahead) + at, patterns.put_filter)
            }
            Touch::Pixels {
                tile: ahead,
                step,
                group,
            } => {
                let at = step * PIXELS + warp % 2 * 64 + group * 32;
                all(stage(ahead) + at * 4, patterns.pixels)
            }
            Touch::Channels {
                tile: ahead,
                step,
                group,
            } => {
                let at = tile.pixel_bytes() + step * tile.pitch();
                let at = at + (warp / 2 * 32 + group * 16) * 4;
                all(stage(ahead) + at, patterns.channels)
            }
            Touch::PutOut { group } => all(self.out(warp) + group * 128, patterns.put_out),
            Touch::GetOut { piece } => {
                let at = piece / 2 * OUT_PITCH + piece % 2 * 32;
                all(self.out(warp) + at * 4, patterns.together[32])
            }
            _ => unreachable!("memory beyond the SM is looked up before"),
        }
    }

    /// Where a warp's results pass shared memory.
    fn out(&self, warp: u64) -> u64 {
        warp * 4 * OUT_PITCH * 4
    }
}

impl WarpGenerator for Streams {
    fn iterations(&self, _cta: u64) -> u64 {
        self.shape.depth().div_ceil(DEPTH)
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let place = self.place(cta, warp.into(), iterations.end);
        self.code.emit(iterations, out, |present, touch| {
            self.access(&place, present, touch)
        });
    }
}
