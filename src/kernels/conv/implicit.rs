//! A convolution as a product without its left matrix: FP32, planes of one channel.
//!
//! Rows are pixels of the result, columns its channels, the depth is channels of the input times places of the filter. A
//! thread loads the same pixels all the time: where each depth lies from there comes from a table that a kernel wrote
//! before, and bits that it keeps for its pixels say which places of the filter are in the padding. Registers hold the
//! next tile while the present one is multiplied.

use super::lines::{Line, Piece, all, lanes, plain, plains, touching, weave};
use super::{Geometry, array, grid, join};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::fields::{Fields, Param};
use crate::kernels::operator::{ConvOp, DataType, ImageLayout};
use crate::kernels::rows::script::Access;
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, WarpGenerator, control, per_warp};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Pixels of a tile, and its depth.
const PIXELS: u64 = 128;
const DEPTH: u64 = 8;
/// Floats of a row of pixels, or of channels, beyond the tile's own: transposing stores then do not conflict.
const PADDING: u64 = 4;
/// Floats from one channel to the next on the way out: 8 lanes write all banks.
const OUT_PITCH: u64 = 72;

/// The kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Implicit {
    /// The convolution: FP32, NCHW.
    pub op: ConvOp,
    /// Channels of a tile: 32, 64 or 128.
    pub channels: u64,
    /// Operands, see [`array`].
    pub arrays: Arrays,
}

impl Implicit {
    /// Fields as text has them.
    pub(in crate::kernels) const FIELDS: &'static [Param] = &join::<{ ConvOp::FIELDS.len() + 1 }>(
        ConvOp::FIELDS,
        &[Param::count("tile", 64, 32, 128, "channels of a tile")],
    );

    /// With `values` of these fields.
    pub(in crate::kernels) fn of(arrays: Arrays, values: &[u64]) -> Self {
        Implicit {
            op: ConvOp::of(values),
            channels: values[ConvOp::FIELDS.len()],
            arrays,
        }
    }

    /// CTAs: tiles of pixels, of channels, groups.
    pub fn ctas(&self, shape: &Geometry) -> [u64; 3] {
        [
            shape.pixels().div_ceil(PIXELS),
            shape.k.div_ceil(self.channels),
            shape.groups,
        ]
    }
}

impl Fields for Implicit {
    fn fields(&self) -> Vec<(Param, u64)> {
        let values = self.op.fields().into_iter().map(|(_, value)| value);
        let values = values.chain([self.channels]);
        Self::FIELDS.iter().copied().zip(values).collect()
    }
}

/// What a memory instruction touches. Tiles are counted from the present one.
#[derive(Clone, Copy, Debug)]
enum Touch {
    /// The offset of row `row` of a thread's rows of depth.
    Offset {
        tile: u64,
        row: u64,
    },
    /// Pixels and filters, by number of the load.
    Image {
        tile: u64,
        load: u64,
    },
    Filter {
        tile: u64,
        load: u64,
    },
    /// The same on their way to shared memory.
    PutImage {
        tile: u64,
        load: u64,
    },
    PutFilter {
        tile: u64,
        load: u64,
    },
    /// Fragments.
    Pixels {
        tile: u64,
        step: u64,
        group: u64,
    },
    Channels {
        tile: u64,
        step: u64,
        group: u64,
    },
    /// Results to shared memory, back, and to the result.
    PutOut {
        group: u64,
    },
    GetOut {
        piece: u64,
    },
    Result {
        round: u64,
        piece: u64,
    },
}

/// Numbers that follow from the tile.
#[derive(Clone, Copy, Debug)]
struct Tile {
    channels: u64,
    threads: u64,
    /// Loads of pixels by a thread, and rows of depth among them.
    loads: u64,
    rows: u64,
}

/// Loads of filters by a thread.
const FILTER_LOADS: u64 = 4;
/// Results of a thread along pixels and along channels.
const EDGE: u64 = 8;

impl Tile {
    fn new(channels: u64) -> Self {
        let threads = 2 * channels;
        let loads = PIXELS * DEPTH / threads;
        Tile {
            channels,
            threads,
            loads,
            rows: loads.min(DEPTH * PIXELS / threads.max(PIXELS)),
        }
    }

    /// Bytes of the pixels of a stage, of a row of its filters, and of all.
    fn pixel_bytes(&self) -> u64 {
        DEPTH * PIXELS * 4
    }

    fn pitch(&self) -> u64 {
        (self.channels + PADDING) * 4
    }

    fn stage(&self) -> u64 {
        self.pixel_bytes() + DEPTH * self.pitch()
    }

    fn shared_bytes(&self) -> u64 {
        (2 * self.stage()).max(self.threads / 32 * 4 * OUT_PITCH * 4)
    }

    /// Row of depth of load `load` by `thread`.
    fn row(&self, load: u64, thread: u64) -> u64 {
        (load * self.threads + thread) / PIXELS
    }

    /// Pixel of the tile.
    fn pixel(&self, load: u64, thread: u64) -> u64 {
        (load * self.threads + thread) % PIXELS
    }

    /// Pixels that a thread keeps addresses of.
    fn slots(&self) -> u64 {
        (PIXELS / self.threads).max(1)
    }
}

/// Numbers of registers.
struct Registers {
    image: u16,
    mask: u16,
    filter: u16,
    table: u16,
    put: [u16; 2],
    get: [u16; 2],
    counter: u16,
    address: u16,
    pixels: u16,
    filters: u16,
    /// First of pixels and of channels in either half.
    halves: [[u16; 2]; 2],
    sums: u16,
    end: u16,
}

impl Registers {
    fn new(tile: &Tile) -> Self {
        let mut next = 2;
        let mut take = |count: u64, aligned: u16| {
            let first = u16::next_multiple_of(next, aligned);
            next = first + count as u16;
            first
        };
        let image = take(2 * tile.slots(), 2);
        let (filter, table, address) = (take(2, 2), take(2, 2), take(2, 2));
        let mask = take(tile.slots(), 1);
        let (put, get) = ([take(1, 1), take(1, 1)], [take(1, 1), take(1, 1)]);
        let counter = take(1, 1);
        let (pixels, filters) = (take(tile.loads, 1), take(FILTER_LOADS, 1));
        let halves = [(); 2].map(|()| [take(EDGE, 4), take(EDGE, 4)]);
        let sums = take(EDGE * EDGE, 4);
        Registers {
            image,
            mask,
            filter,
            table,
            put,
            get,
            counter,
            address,
            pixels,
            filters,
            halves,
            sums,
            end: sums + (EDGE * EDGE) as u16,
        }
    }

    /// Of a result: its bank is never that of the pixel, so that a multiply-add reads each bank once.
    fn sum(&self, channel: u64, pixel: u64) -> u16 {
        self.sums + (channel * EDGE + (pixel ^ 1)) as u16
    }
}

/// Makes the code.
struct Writer {
    tile: Tile,
    r: Registers,
    load: String,
    store: String,
    shared_load: &'static str,
    barrier: &'static str,
}

impl Writer {
    fn setup(&self) -> Vec<Line<Touch>> {
        let r = &self.r;
        let mut code: Vec<_> = plains("MOV r1 = c0; S2R r0; S2R r0; S2R r0").collect();
        for slot in 0..self.tile.slots() as u16 {
            // Pixel number to image, row and column: two divisions; the place under the filter; the bits of the padding.
            let (image, mask) = (r.image + 2 * slot, r.mask + slot);
            code.extend(plains(&format!(
                "IMAD.HI r{mask} = r0 c1; SHF.R.U32.HI r{mask} = r{mask}; IMAD r1 = r{mask} r0 c1
                 IMAD.HI r{image} = r1 c2; SHF.R.U32.HI r{image} = r{image}; IMAD r1 = r{image} r1 c2
                 IMAD r1 = r1 c3; IMAD r{image} = r{image} c3; IMAD r1 = r{image} r1 c4
                 IMAD.WIDE r{image} = r1 r0 c5"
            )));
            for _ in 0..6 {
                code.extend(plains(&format!(
                    "ISETP.GE.AND p1 = r1; ISETP.LT.AND p2 = r1 p1; SEL r0 = r1 p2; LOP3.LUT r{mask} = r{mask} r0"
                )));
            }
        }
        for place in r.put.iter().chain(&r.get) {
            code.extend(plains(&format!(
                "SHF.R.U32.HI r{place} = r0; LOP3.LUT r{place} = r0 r{place}; LEA r{place} = r0 r{place}"
            )));
        }
        let (filter, table, counter) = (r.filter, r.table, r.counter);
        code.extend(plains(&format!(
            "IMAD r1 = r0 c6; IMAD.WIDE r{filter} = r1 r0 c6; IMAD.WIDE r{table} = r0 c7; MOV r{counter} = c8"
        )));
        for sum in (r.sums..r.end).step_by(2) {
            code.push(plain(format!("CS2R r{sum}")));
        }
        code
    }

    /// Offsets of the depth of a tile, into the registers that its pixels come to.
    fn offsets(&self, tile: u64) -> Vec<Line<Touch>> {
        let each = self.tile.loads / self.tile.rows;
        let rows = 0..self.tile.rows;
        rows.map(|row| {
            let to = self.r.pixels + (row * each) as u16;
            let text = format!("{} r{to} = r{}", self.load, self.r.table);
            touching(text, Touch::Offset { tile, row })
        })
        .collect()
    }

    /// A tile's pixels and filters.
    fn loads(&self, tile: u64) -> Vec<Line<Touch>> {
        let (r, load_text) = (&self.r, &self.load);
        let each = self.tile.loads / self.tile.rows;
        let address = r.address;
        let mut code = Vec::new();
        for load in (0..self.tile.loads).rev() {
            let slot = (load % self.tile.slots()) as u16;
            let offset = r.pixels + (load / each * each) as u16;
            let (image, mask, to) = (r.image + 2 * slot, r.mask + slot, r.pixels + load as u16);
            code.push(plain(format!("LOP3.LUT p1 = r{mask} r{offset}")));
            code.push(plain(format!("IMAD.WIDE r{address} = r{offset} r{image}")));
            let text = format!("{load_text} r{to} = r{address} p1");
            code.push(touching(text, Touch::Image { tile, load }));
        }
        for load in 0..FILTER_LOADS {
            let to = r.filters + load as u16;
            let text = format!("{load_text} r{to} = r{} p2", r.filter);
            code.push(touching(text, Touch::Filter { tile, load }));
        }
        let filter = r.filter;
        code.extend(plains(&format!(
            "IADD3 r{filter} = r{filter}; IADD3.X r{0} = r{0}; ISETP.GE.AND p2 = r{1}",
            filter + 1,
            r.counter
        )));
        code
    }

    /// From registers to shared memory.
    fn puts(&self, tile: u64) -> Vec<Line<Touch>> {
        let r = &self.r;
        let pixels = (0..self.tile.loads).map(|load| {
            let text = format!("STS r{} r{}", r.put[0], r.pixels + load as u16);
            touching(text, Touch::PutImage { tile, load })
        });
        let filters = (0..FILTER_LOADS).map(|load| {
            let text = format!("STS r{} r{}", r.put[1], r.filters + load as u16);
            touching(text, Touch::PutFilter { tile, load })
        });
        pixels.chain(filters).collect()
    }

    fn reads(&self, tile: u64, step: u64) -> Vec<Line<Touch>> {
        let half = self.r.halves[step as usize % 2];
        let mut code = Vec::new();
        for group in 0..2 {
            let [pixels, channels] = [0, 1].map(|edge| {
                let to = half[edge] + 4 * group as u16;
                format!("{} r{to} = r{}", self.shared_load, self.r.get[edge])
            });
            code.push(touching(pixels, Touch::Pixels { tile, step, group }));
            code.push(touching(channels, Touch::Channels { tile, step, group }));
        }
        code
    }

    /// Channel by channel, forth and back over the pixels.
    fn math(&self, step: u64) -> Vec<Line<Touch>> {
        let [pixels, channels] = self.r.halves[step as usize % 2];
        let mut code = Vec::new();
        for channel in 0..EDGE {
            for at in 0..EDGE {
                let pixel = if channel % 2 == 0 { at } else { EDGE - 1 - at };
                let sum = self.r.sum(channel, pixel);
                let (a, b) = (channels + channel as u16, pixels + pixel as u16);
                code.push(plain(format!("FFMA r{sum} = r{a} r{b} r{sum}")));
            }
        }
        code
    }

    fn prologue(&self) -> Vec<Line<Touch>> {
        let mut code = self.offsets(0);
        code.extend(self.loads(0));
        code.extend(self.puts(0));
        code.extend(self.offsets(1));
        code.push(plain(self.barrier));
        code.extend(self.reads(0, 0));
        code
    }

    fn iteration(&self) -> Vec<Line<Touch>> {
        let r = &self.r;
        let mut code: Vec<_> = plains(&format!(
            "IADD3 r{0} = r{0}; ISETP.NE.AND p0 = r{0}",
            r.counter
        ))
        .collect();
        let mut loads = self.loads(1).into_iter();
        // A third of the iteration brings the next tile, the rest of it waits for that.
        let each = loads.len().div_ceil(3);
        for step in 0..DEPTH {
            let mut side = Vec::new();
            if step + 1 < DEPTH {
                side.extend(self.reads(0, step + 1));
                side.extend(loads.by_ref().take(each));
            } else {
                code.push(plain(self.barrier));
                side.extend(self.reads(1, 0));
                side.extend(self.offsets(2));
                for place in r.put.iter().chain(&r.get) {
                    side.push(plain(format!("LOP3.LUT r{place} = r{place}")));
                }
                side.push(plain(format!("IADD3 r{0} = r{0}", r.table)));
            }
            if step + 2 == DEPTH {
                side.extend(self.puts(1));
            }
            code.extend(weave(self.math(step), side));
        }
        code
    }

    fn finish(&self) -> Vec<Line<Touch>> {
        let r = &self.r;
        let (to, free) = (r.address, r.halves[0][0]);
        let mut code = vec![plain(self.barrier)];
        code.extend(plains(&format!(
            "IMAD r0 = r0 c9; IMAD.WIDE r{to} = r0 c10; ISETP.GE.AND p1 = r0"
        )));
        for round in 0..EDGE {
            for pixel in 0..EDGE {
                let sum = r.sum(round, pixel);
                code.extend(plains(&format!(
                    "FMUL r{sum} = r{sum} c11; FMNMX r{sum} = r{sum}"
                )));
            }
            for group in 0..2 {
                let from = r.sums + (round * EDGE + 4 * group) as u16;
                let text = format!("STS.128 r{} r{from}", r.put[0]);
                code.push(touching(text, Touch::PutOut { group }));
            }
            for piece in 0..EDGE {
                let text = format!("LDS r{} = r{}", free + piece as u16, r.get[0]);
                code.push(touching(text, Touch::GetOut { piece }));
            }
            for piece in 0..EDGE {
                code.extend(plains(&format!(
                    "ISETP.LT.AND p2 = r0 p1; IMAD.WIDE r{to} = r0 r{to}"
                )));
                let text = format!("{} r{to} r{} p2", self.store, free + piece as u16);
                code.push(touching(text, Touch::Result { round, piece }));
            }
        }
        code.push(plain("EXIT"));
        code
    }
}

/// Patterns of a warp.
struct Patterns {
    together: Vec<PatternId>,
    same: PatternId,
    put_filter: PatternId,
    pixels: PatternId,
    channels: PatternId,
    put_out: PatternId,
}

struct Streams {
    shape: Geometry,
    tile: Tile,
    arrays: Arrays,
    ctas: [u64; 3],
    setup: Piece<Touch>,
    prologue: Piece<Touch>,
    iteration: Piece<Touch>,
    branch: u32,
    finish: Piece<Touch>,
    patterns: Patterns,
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
        let stage = |ahead: u64| (present + ahead) % 2 * tile.stage();
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
            Touch::Result { round, piece } => self.result(place, round, piece),
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
        let (first, last) = (iterations.start, iterations.end);
        let place = self.place(cta, warp.into(), last);
        self.setup.emit(out, |_| Access::Off);
        self.prologue
            .emit(out, |touch| self.access(&place, first, touch));
        out.iterations(iterations, self.iteration.len() + 1, |present, out| {
            self.iteration
                .emit(out, |touch| self.access(&place, present, touch));
            let more = present + 1 < last;
            out.inst(self.branch, if more { FULL } else { 0 });
        });
        self.finish
            .emit(out, |touch| self.access(&place, last, touch));
    }
}

impl KernelGenerator for Implicit {
    fn name(&self) -> &'static str {
        "conv_implicit_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let shape = Geometry::new(&self.op)?;
        if ![32, 64, 128].contains(&self.channels) {
            return Err(Fault::field("tile", self.channels, "allowed: 32, 64, 128"));
        }
        if self.op.data != DataType::F32 {
            let what = "this kernel multiplies 32-bit floats";
            return Err(Fault::field("type", self.op.data.name(), what));
        }
        if self.op.layout != ImageLayout::Nchw {
            return Err(Fault::field("layout", "nhwc", "this kernel reads nchw"));
        }
        let ctas = self.ctas(&shape);
        let tile = Tile::new(self.channels);
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let writer = Writer {
            r: Registers::new(&tile),
            tile,
            load: code.global("LDG", 4),
            store: code.global("STG", 4),
            shared_load: code.shared_load_128(),
            barrier: code.barrier_text(),
        };
        let setup = Piece::append(&mut code, writer.setup());
        let prologue = Piece::append(&mut code, writer.prologue());
        let iteration = Piece::append(&mut code, writer.iteration());
        let branch = code.branch(iteration.first());
        let finish = Piece::append(&mut code, writer.finish());
        let pitch = tile.pitch();
        let patterns = Patterns {
            together: code.contiguous(4),
            same: code.pattern(FULL, 4, |_| 0),
            put_filter: code.pattern(FULL, 4, |lane| lane % 8 * pitch + lane / 8 * 4),
            pixels: code.pattern(FULL, 16, |lane| lane / 4 * 16),
            channels: code.pattern(FULL, 16, |lane| lane % 4 * 16),
            put_out: code.pattern(FULL, 16, |lane| lane % 4 * OUT_PITCH * 4 + lane / 4 * 16),
        };
        control::annotate(code.code_mut(), gpu);
        let threads = tile.threads as u32;
        Ok(Assembly {
            name: format!(
                "sm{}_scudnn_128x{}_relu_nn",
                gpu.compute_capability, self.channels
            ),
            grid: grid(ctas)?,
            block: [threads, 1, 1],
            registers: (writer.r.end + 2).next_multiple_of(4),
            smem_bytes: tile.shared_bytes() as u32,
            code,
            generator: per_warp(
                threads,
                Streams {
                    shape,
                    tile,
                    arrays: self.arrays,
                    ctas,
                    setup,
                    prologue,
                    iteration,
                    branch,
                    finish,
                    patterns,
                },
            ),
        })
    }
}
