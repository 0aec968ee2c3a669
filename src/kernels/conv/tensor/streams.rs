//! What the warps of a product on tensor cores touch.

use super::code::PIECE;
use super::{BLOCK, CHUNKS, DEPTH, OUT_PITCH, PART, PIXELS, PLANE_PITCH, Plan, ROW, Touch, VECTOR};
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::conv::lines::{Loop, all, lanes};
use crate::kernels::conv::{Geometry, array};
use crate::kernels::rows::script::Access;
use crate::kernels::{Arrays, WarpGenerator};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Bytes of a vector.
const CHUNK: u64 = 16;

/// Where a chunk of a row lies: 8 chunks at the same place of 8 rows fill all banks.
fn swizzled(row: u64, chunk: u64) -> u64 {
    row * ROW + (chunk ^ (row / 2 % CHUNKS)) * CHUNK
}

/// Patterns of a warp; rows count from one that is a multiple of 16.
pub(super) struct Patterns {
    together: Vec<PatternId>,
    put: PatternId,
    /// By edge and chunk, with the half of it on Volta.
    reads: [Vec<PatternId>; 2],
    offsets: PatternId,
    put_out: PatternId,
    get_out: PatternId,
    /// Vectors of planes: stored by single results, read and stored by number of lanes.
    put_plane: PatternId,
    get_plane: PatternId,
    planes: Vec<PatternId>,
}

/// Row and chunk (of the step's) that a lane reads.
fn fragment(plan: &Plan, edge: usize, lane: u64) -> (u64, u64) {
    match (plan.version, edge) {
        (..75, _) => {
            let (quad, high, i) = (lane / 4 % 4, lane / 16, lane % 4);
            let quad = if edge == 0 { quad % 2 } else { quad / 2 };
            (high * 8 + quad * 4 + i, 0)
        }
        (..80, _) => (lane, 0),
        (_, 0) => (lane % 16, lane / 16),
        _ => (lane % 8 + lane / 16 * 8, lane / 8 % 2),
    }
}

impl Patterns {
    pub(super) fn new(code: &mut KernelBuilder, plan: &Plan) -> Self {
        let width = if plan.version < 75 { 8 } else { CHUNK };
        // Lanes of a row of pixels; rows of 64 results take two accesses.
        let run = plan.run.unwrap_or(VECTOR);
        let of_row = (PART[0] / run).min(32);
        let reads = [0, 1].map(|edge| {
            let steps = 0..plan.steps();
            let all = steps.map(|step| {
                let byte = step * plan.step_bytes();
                code.pattern(FULL, width, |lane| {
                    let (row, chunk) = fragment(plan, edge, lane);
                    swizzled(row, byte / CHUNK + chunk) + byte % CHUNK
                })
            });
            all.collect()
        });
        Patterns {
            together: code.contiguous(CHUNK),
            put: code.pattern(FULL, CHUNK, |l| swizzled(l / CHUNKS, l % CHUNKS)),
            reads,
            offsets: code.pattern(FULL, 4, |l| l % CHUNKS * 4),
            put_out: code.pattern(FULL, 4, |l| l / 4 * OUT_PITCH + l % 4 * 4),
            get_out: code.pattern(FULL, CHUNK, |l| l / 4 * OUT_PITCH + l % 4 * CHUNK),
            put_plane: code.pattern(FULL, 2, |l| l % 4 * 2 * PLANE_PITCH + l / 4 * 2),
            get_plane: code.pattern(FULL, run * 2, |l| {
                l / of_row * PLANE_PITCH + l % of_row * run * 2
            }),
            planes: code.contiguous(run * 2),
        }
    }
}

pub(super) struct Streams {
    pub shape: Geometry,
    pub plan: Plan,
    pub arrays: Arrays,
    pub ctas: [u64; 3],
    pub code: Loop<Touch>,
    pub patterns: Patterns,
}

/// What a warp has: first pixel and channel of its CTA, tiles of depth.
struct Place {
    pixel: u64,
    channel: u64,
    warp: u64,
    tiles: u64,
}

impl Streams {
    /// Channels of the image as they lie in memory.
    fn channels(&self) -> u64 {
        self.shape.c.next_multiple_of(VECTOR)
    }

    /// Elements of a filter.
    fn depth(&self) -> u64 {
        self.shape.filter[0] * self.shape.filter[1] * self.channels()
    }

    fn load(&self, place: &Place, tile: u64, edge: usize, load: u64) -> Access {
        let (shape, plan) = (&self.shape, &self.plan);
        let (first, image) = (
            load * plan.threads + place.warp * 32,
            self.arrays.at(array::IMAGE),
        );
        lanes(CHUNK, &self.patterns.together, |lane| {
            let (row, chunk) = ((first + lane) / CHUNKS, (first + lane) % CHUNKS);
            let depth = tile * DEPTH + chunk * VECTOR;
            if depth >= self.depth() {
                return None;
            }
            if edge == 1 {
                let channel = place.channel + row;
                let at = channel * self.depth() + depth;
                return (channel < shape.k).then(|| self.arrays.at(array::FILTER) + at * 2);
            }
            let pixel = place.pixel + row;
            let (of_image, at) = (pixel / shape.plane(), pixel % shape.plane());
            let (of_filter, channel) = (depth / self.channels(), depth % self.channels());
            let of_filter = [of_filter / shape.filter[1], of_filter % shape.filter[1]];
            let under = shape.under([at / shape.result[1], at % shape.result[1]]);
            let at = shape.pixel(under, of_filter)?;
            let number = of_image * shape.image[0] * shape.image[1] + at;
            let inside = of_image < shape.n;
            inside.then(|| image + (number * self.channels() + channel) * 2)
        })
    }

    fn result(&self, place: &Place, block: u64, half: u64) -> Access {
        let shape = &self.shape;
        let pitch = shape.k.next_multiple_of(VECTOR);
        let along = [place.warp % 2, place.warp / 2];
        let first = place.pixel + along[0] * PART[0] + block * BLOCK + half * 8;
        let channel = place.channel + along[1] * PART[1];
        lanes(CHUNK, &self.patterns.together, |lane| {
            let (pixel, channel) = (first + lane / 4, channel + lane % 4 * VECTOR);
            let inside = pixel < shape.pixels() && channel < shape.k;
            inside.then(|| self.arrays.at(array::RESULT) + (pixel * pitch + channel) * 2)
        })
    }

    /// Row (of the warp's channels) and pixel of vector `access` of a lane.
    fn plane_place(run: u64, access: u64, lane: u64) -> (u64, u64) {
        let number = access * 32 + lane;
        let of_row = PART[0] / run;
        (number / of_row, number % of_row * run)
    }

    fn plane(&self, place: &Place, access: u64) -> Access {
        let (shape, run) = (&self.shape, self.plan.run.unwrap_or(VECTOR));
        let along = [place.warp % 2, place.warp / 2];
        let first = place.pixel + along[0] * PART[0];
        let channel = place.channel + along[1] * PART[1];
        lanes(run * 2, &self.patterns.planes, |lane| {
            let (row, pixel) = Self::plane_place(run, access, lane);
            let (pixel, channel) = (first + pixel, channel + row);
            let (of_image, at) = (pixel / shape.plane(), pixel % shape.plane());
            let number = (of_image * shape.k + channel) * shape.plane() + at;
            let inside = pixel < shape.pixels() && channel < shape.k;
            inside.then(|| self.arrays.at(array::RESULT) + number * 2)
        })
    }

    fn access(&self, place: &Place, present: u64, touch: Touch) -> Access {
        let (plan, patterns, warp) = (&self.plan, &self.patterns, place.warp);
        let edge_at = |edge: usize| if edge == 1 { PIXELS * ROW } else { 0 };
        let stage = |ahead: u64| (present + ahead) % plan.stages * plan.stage();
        let out = warp * plan.out_bytes();
        match touch {
            Touch::Offset { tile } | Touch::Load { tile, .. } | Touch::Put { tile, .. }
                if present + tile >= place.tiles =>
            {
                Access::Off
            }
            Touch::Offset { tile } => {
                let entry = (present + tile) * CHUNKS;
                all(self.arrays.at(array::OFFSETS) + entry * 4, patterns.offsets)
            }
            Touch::Load { tile, edge, load } => self.load(place, present + tile, edge, load),
            Touch::Put { tile, edge, load } => {
                let row = (load * plan.threads + warp * 32) / CHUNKS;
                all(stage(tile) + edge_at(edge) + row * ROW, patterns.put)
            }
            Touch::Read {
                tile,
                edge,
                step,
                read,
            } => {
                let along = [warp % 2, warp / 2][edge];
                let rows = PART[edge] / plan.reads(edge).0;
                let row = along * PART[edge] + read * rows;
                let at = edge_at(edge) + row * ROW;
                all(stage(tile) + at, patterns.reads[edge][step as usize])
            }
            Touch::PutOut { piece, half } => {
                all(out + half * 8 * OUT_PITCH + piece * CHUNK, patterns.put_out)
            }
            Touch::GetOut { half } => all(out + half * 8 * OUT_PITCH, patterns.get_out),
            Touch::Result { block, half } => self.result(place, block, half),
            Touch::PutPlane {
                block,
                piece,
                half,
                right,
            } => {
                let row = piece * PIECE + right;
                let pixel = block * BLOCK + half * 8;
                all(out + row * PLANE_PITCH + pixel * 2, patterns.put_plane)
            }
            Touch::GetPlane { access } => {
                let (row, pixel) = Self::plane_place(plan.run.unwrap_or(VECTOR), access, 0);
                all(out + row * PLANE_PITCH + pixel * 2, patterns.get_plane)
            }
            Touch::Plane { access } => self.plane(place, access),
        }
    }
}

impl WarpGenerator for Streams {
    fn iterations(&self, _cta: u64) -> u64 {
        self.depth().div_ceil(DEPTH)
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let place = Place {
            pixel: cta % self.ctas[0] * PIXELS,
            channel: cta / self.ctas[0] * self.plan.channels,
            warp: warp.into(),
            tiles: iterations.end,
        };
        self.code.emit(iterations, out, |present, touch| {
            self.access(&place, present, touch)
        });
    }
}
