//! What the warps of the fused kernel touch.

use super::{
    AREA, CHANNEL_BYTES, DEPTH, OUT, OUT_CHANNELS, OUT_PITCH, STAGE_BYTES, THREADS, TILES, Touch,
};
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::conv::lines::{Loop, all, lanes};
use crate::kernels::conv::transform::FUSED_CHANNELS;
use crate::kernels::conv::{Geometry, array};
use crate::kernels::rows::script::Access;
use crate::kernels::{Arrays, WarpGenerator};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Patterns of a warp.
pub(super) struct Patterns {
    together: Vec<PatternId>,
    vectors: Vec<PatternId>,
    /// A number of all tiles of an area inside the image.
    area: PatternId,
    results: Vec<PatternId>,
    tiles: PatternId,
    filters: PatternId,
    put_out: PatternId,
}

impl Patterns {
    /// Patterns of shared memory: a lane has a place (half a warp each), 4 x 4 lanes of which have chunks of tiles and of
    /// channels.
    pub(super) fn new(code: &mut KernelBuilder, shape: &Geometry, vector: u64) -> Self {
        let of_place = TILES * 4;
        let columns = AREA[1] / OUT;
        let row = OUT * shape.image[1] * 4;
        Patterns {
            together: code.contiguous(4),
            vectors: code.contiguous(16),
            area: code.pattern(FULL, 4, |l| l / columns * row + l % columns * OUT * 4),
            results: code.contiguous(4 * vector),
            tiles: code.pattern(FULL, 16, |l| l / 16 * of_place + l % 16 / 4 * 16),
            filters: code.pattern(FULL, 16, |l| l / 16 * of_place + l % 4 * 16),
            put_out: code.pattern(FULL, 16, |l| {
                let channel = l / 16 * OUT_CHANNELS + l % 4 * 4;
                (channel * OUT_PITCH + l % 16 / 4 * 4) * 4
            }),
        }
    }
}

pub(super) struct Streams {
    pub shape: Geometry,
    pub arrays: Arrays,
    pub ctas: [u64; 3],
    pub vector: u64,
    pub code: Loop<Touch>,
    pub patterns: Patterns,
}

/// What a CTA has: image, block of channels, first row and column of results.
#[derive(Clone, Copy)]
struct Place {
    image: u64,
    block: u64,
    first: [u64; 2],
    warp: u64,
    /// Iterations.
    trips: u64,
}

/// First row and column of tile `tile` of a CTA.
fn tile_at(place: &Place, tile: u64) -> [u64; 2] {
    let columns = AREA[1] / OUT;
    [
        place.first[0] + tile / columns * OUT,
        place.first[1] + tile % columns * OUT,
    ]
}

impl Streams {
    fn place(&self, cta: u64, warp: u64, trips: u64) -> Place {
        let [x, y, _] = self.ctas;
        let blocks = self.shape.k.div_ceil(FUSED_CHANNELS);
        Place {
            image: cta % x / blocks,
            block: cta % x % blocks,
            first: [cta / x % y * AREA[0], cta / x / y * AREA[1]],
            warp,
            trips,
        }
    }

    fn image(&self, place: &Place, trip: u64, number: u64) -> Access {
        let shape = &self.shape;
        let channel = trip * DEPTH + place.warp;
        if trip >= place.trips || channel >= shape.c {
            return Access::Off;
        }
        let plane = (place.image * shape.c + channel) * shape.image[0] * shape.image[1];
        let corner = |tile: u64| {
            let under = shape.under(tile_at(place, tile));
            shape.pixel(under, [number / 4, number % 4])
        };
        if let (Some(at), Some(_)) = (corner(0), corner(TILES - 1)) {
            let base = self.arrays.at(array::IMAGE) + (plane + at) * 4;
            return all(base, self.patterns.area);
        }
        lanes(4, &self.patterns.together, |lane| {
            let at = corner(lane)?;
            Some(self.arrays.at(array::IMAGE) + (plane + at) * 4)
        })
    }

    fn filter(&self, place: &Place, trip: u64, load: u64) -> Access {
        // 128 threads have a channel.
        let vector = load * u64::from(THREADS) + place.warp * 32;
        let channel = trip * DEPTH + vector / 128;
        if trip >= place.trips || channel >= self.shape.c {
            return Access::Off;
        }
        let row = place.block * self.shape.c + channel;
        let at = row * CHANNEL_BYTES + vector % 128 * 16;
        all(
            self.arrays.at(array::FILTERS) + at,
            self.patterns.vectors[32],
        )
    }

    fn result(&self, place: &Place, (round, of_thread, number): (u64, u64, u64)) -> Access {
        let shape = &self.shape;
        // A warp has all tiles of a channel.
        let in_round = of_thread * 8 + place.warp;
        let channel = place.block * FUSED_CHANNELS + round * OUT_CHANNELS + in_round;
        if channel >= shape.k {
            return Access::Off;
        }
        let plane = (place.image * shape.k + channel) * shape.plane();
        lanes(4 * self.vector, &self.patterns.results, |lane| {
            let [row, column] = tile_at(place, lane);
            let (row, column) = (row + number / OUT, column + number % OUT);
            let inside = row < shape.result[0] && column < shape.result[1];
            let at = plane + row * shape.result[1] + column;
            inside.then(|| self.arrays.at(array::RESULT) + at * 4)
        })
    }

    fn access(&self, place: &Place, present: u64, touch: Touch) -> Access {
        let (warp, patterns) = (place.warp, &self.patterns);
        match touch {
            Touch::Image { ahead, number } => self.image(place, present + ahead, number),
            Touch::Filter { ahead, load } => self.filter(place, present + ahead, load),
            Touch::PutImage(number) => {
                let at = warp * CHANNEL_BYTES + number * TILES * 4;
                all(at, patterns.together[32])
            }
            Touch::PutFilter(load) => {
                let vector = load * u64::from(THREADS) + warp * 32;
                all(STAGE_BYTES + vector * 16, patterns.vectors[32])
            }
            Touch::Tiles { step, group } => {
                let at = step * CHANNEL_BYTES + warp * 2 * TILES * 4 + group * 64;
                all(at, patterns.tiles)
            }
            Touch::Filters { step, group } => {
                let at = step * CHANNEL_BYTES + warp * 2 * FUSED_CHANNELS * 4 + group * 64;
                all(STAGE_BYTES + at, patterns.filters)
            }
            Touch::PutOut { channel, half } => {
                let at = warp * 2 * OUT_CHANNELS + channel;
                all((at * OUT_PITCH + half * 16) * 4, patterns.put_out)
            }
            Touch::GetOut { tile, number } => {
                let at = number * OUT_CHANNELS + tile * 8 + warp;
                all(at * OUT_PITCH * 4, patterns.together[32])
            }
            Touch::Result {
                round,
                tile,
                number,
            } => self.result(place, (round, tile, number)),
        }
    }
}

impl WarpGenerator for Streams {
    fn iterations(&self, _cta: u64) -> u64 {
        self.shape.c.div_ceil(DEPTH)
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let place = self.place(cta, warp.into(), iterations.end);
        self.code.emit(iterations, out, |present, touch| {
            self.access(&place, present, touch)
        });
    }
}
