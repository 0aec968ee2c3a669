//! Winograd's algorithm in one kernel: tiles of 2 x 2 results, of which a CTA has 32 (8 x 16 pixels) for 32 channels.
//!
//! In an iteration a thread transforms a tile of 4 x 4 pixels of one of 8 channels and puts it into shared memory; its
//! filters were transformed by a kernel before. Each of the 16 places of a transformed tile is a product of its own: a
//! warp has two, a lane 8 x 8 sums. These meet in shared memory for the transform back.

use super::lines::{Line, Piece, all, lanes, plain, plains, touching, weave};
use super::transform::{FUSED_CHANNELS, winograd};
use super::{Geometry, array, grid};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::fields::{Fields, Param};
use crate::kernels::operator::ConvOp;
use crate::kernels::rows::script::Access;
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, WarpGenerator, control, per_warp};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Threads of a CTA.
const THREADS: u32 = 256;
/// Channels of an iteration: one a warp.
const DEPTH: u64 = 8;
/// Rows and columns of results of a CTA, and of a tile.
const AREA: [u64; 2] = [8, 16];
const OUT: u64 = 2;
/// Tiles of a CTA; numbers of a transformed tile.
const TILES: u64 = 32;
const PLACES: u64 = 16;
/// Bytes of a channel's tiles (or filters) in shared memory, and of all channels.
const CHANNEL_BYTES: u64 = PLACES * TILES * 4;
const STAGE_BYTES: u64 = DEPTH * CHANNEL_BYTES;
/// Loads of filters by a thread, 16 bytes each.
const FILTER_LOADS: u64 = 4;
/// Results of a lane along tiles and along channels.
const EDGE: u64 = 8;
/// On the way out: channels at a time, and floats from one to the next.
const OUT_CHANNELS: u64 = 16;
const OUT_PITCH: u64 = 36;

/// The kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct FusedWinograd {
    /// The convolution: FP32, NCHW, 3 x 3 in steps of one.
    pub op: ConvOp,
    /// Operands, see [`array`].
    pub arrays: Arrays,
}

impl FusedWinograd {
    /// Fields as text has them.
    pub(in crate::kernels) const FIELDS: &'static [Param] = ConvOp::FIELDS;

    /// With `values` of these fields.
    pub(in crate::kernels) fn of(arrays: Arrays, values: &[u64]) -> Self {
        FusedWinograd {
            op: ConvOp::of(values),
            arrays,
        }
    }

    /// CTAs: images and blocks of channels, rows, columns.
    pub fn ctas(shape: &Geometry) -> [u64; 3] {
        [
            shape.n * shape.k.div_ceil(FUSED_CHANNELS),
            shape.result[0].div_ceil(AREA[0]),
            shape.result[1].div_ceil(AREA[1]),
        ]
    }
}

impl Fields for FusedWinograd {
    fn fields(&self) -> Vec<(Param, u64)> {
        self.op.fields()
    }
}

/// What a memory instruction touches. Tiles of channels are counted from the present one.
#[derive(Clone, Copy, Debug)]
enum Touch {
    /// A pixel of a thread's tile.
    Image {
        ahead: u64,
        number: u64,
    },
    /// Filters by number of the load.
    Filter {
        ahead: u64,
        load: u64,
    },
    /// The same to shared memory.
    PutImage(u64),
    PutFilter(u64),
    /// Fragments of a channel.
    Tiles {
        step: u64,
        group: u64,
    },
    Filters {
        step: u64,
        group: u64,
    },
    /// Sums to shared memory, by channel of a lane and half of its tiles.
    PutOut {
        channel: u64,
        half: u64,
    },
    /// A number of a tile, by which of the thread's tiles.
    GetOut {
        tile: u64,
        number: u64,
    },
    /// Results `number` of it.
    Result {
        round: u64,
        tile: u64,
        number: u64,
    },
}

/// Registers: addresses, a tile and filters on their way, fragments of two steps, sums.
const IMAGE: u16 = 2;
const FILTER: u16 = 4;
const PUT: u16 = 6;
const GET: u16 = 7;
const COUNTER: u16 = 8;
const INSIDE: u16 = 9;
const TILE: u16 = 12;
const NEXT_FILTERS: u16 = 28;
const FRAGMENTS: u16 = 44;
const SUMS: u16 = FRAGMENTS + 2 * 2 * EDGE as u16 - 16;
const REGISTERS: u16 = 126;

/// Registers of the tiles' and the filters' fragments of a step.
fn fragments(step: u64) -> [u16; 2] {
    match step % 2 {
        0 => [FRAGMENTS, FRAGMENTS + 8],
        // The filters' staging is free once they are in shared memory, until late in the iteration.
        _ => [NEXT_FILTERS, NEXT_FILTERS + 8],
    }
}

/// Of a result: its bank is never that of the tile.
fn sum(channel: u64, tile: u64) -> u16 {
    SUMS + (channel * EDGE + (tile ^ 1)) as u16
}

/// Makes the code.
struct Writer {
    load: String,
    load_filter: String,
    store: String,
    shared_load: &'static str,
    barrier: &'static str,
    /// Results of a store.
    vector: u64,
}

impl Writer {
    fn setup(&self) -> Vec<Line<Touch>> {
        let mut code: Vec<_> = plains(
            "MOV r1 = c0; S2R r0; S2R r10; S2R r10; S2R r11; IMAD.HI.U32 r3 = r10 c1; IMAD r10 = r3 r10 c1",
        )
        .collect();
        code.extend(plains(&format!(
            "SHF.R.U32.HI r{PUT} = r0; LOP3.LUT r{GET} = r0; LEA r{PUT} = r0 r{PUT}; LEA r{GET} = r0 r{GET}
             LEA r11 = r11 r0; IADD3 r11 = r11 c2; LEA r10 = r10 r0; IADD3 r10 = r10 c2
             IMAD r3 = r3 c3; IMAD r3 = r11 r3 c4; IADD3 r3 = r3 r10; MOV r1 = c5; IMAD.WIDE r{IMAGE} = r3 r1
             IMAD r1 = r0 c6; MOV r0 = c7; IMAD.WIDE r{FILTER} = r1 r0; MOV r{COUNTER} = c8"
        )));
        // Which of the 4 rows and 4 columns are inside, one bit each.
        for _ in 0..8 {
            code.extend(plains(&format!(
                "ISETP.LT.U32.AND p1 = r10; SEL r1 = r0 p1; LOP3.LUT r{INSIDE} = r{INSIDE} r1"
            )));
        }
        for sum in (SUMS..SUMS + (EDGE * EDGE) as u16).step_by(2) {
            code.push(plain(format!("CS2R r{sum}")));
        }
        code
    }

    /// The next tile of pixels, row by row.
    fn image(&self, ahead: u64) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        for number in 0..PLACES {
            if number % 4 == 0 {
                code.push(plain(format!("IMAD.WIDE r10 = r0 r{IMAGE}")));
            }
            code.push(plain(format!("LOP3.LUT p1 = r{INSIDE}")));
            let to = TILE + number as u16;
            let text = format!("{} r{to} = r10 p1", self.load);
            code.push(touching(text, Touch::Image { ahead, number }));
        }
        code.push(plain(format!("IADD3 r{IMAGE} = r{IMAGE}")));
        code.push(plain(format!("IADD3.X r{0} = r{0}", IMAGE + 1)));
        code
    }

    fn filters(&self, ahead: u64) -> Vec<Line<Touch>> {
        let mut code: Vec<_> = (0..FILTER_LOADS)
            .map(|load| {
                let to = NEXT_FILTERS + 4 * load as u16;
                let text = format!("{} r{to} = r{FILTER} p2", self.load_filter);
                touching(text, Touch::Filter { ahead, load })
            })
            .collect();
        code.push(plain(format!("IADD3 r{FILTER} = r{FILTER}")));
        code.push(plain(format!("IADD3.X r{0} = r{0}", FILTER + 1)));
        code
    }

    /// The transform of a tile in place: B^T of F(2, 3) from both sides.
    fn transform(&self) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        for (step, across) in [(4, 1), (1, 4)] {
            for line in 0..4 {
                let x = |n: u16| TILE + line * across + n * step;
                // x1 + x2 is (x2 - x1) + 2 x1: no register is needed beside these.
                code.extend(plains(&format!(
                    "FADD r{0} = r{0} r{2}; FADD r{3} = r{1} r{3}; FADD r{2} = r{2} r{1}; FFMA r{1} = r{1} r{2}",
                    x(0),
                    x(1),
                    x(2),
                    x(3)
                )));
            }
        }
        code
    }

    fn puts(&self) -> Vec<Line<Touch>> {
        let image = (0..PLACES).map(|number| {
            let text = format!("STS r{PUT} r{}", TILE + number as u16);
            touching(text, Touch::PutImage(number))
        });
        let filters = (0..FILTER_LOADS).map(|load| {
            let text = format!("STS.128 r{PUT} r{}", NEXT_FILTERS + 4 * load as u16);
            touching(text, Touch::PutFilter(load))
        });
        image.chain(filters).collect()
    }

    fn reads(&self, step: u64) -> Vec<Line<Touch>> {
        let [tiles, filters] = fragments(step);
        let mut code = Vec::new();
        for group in 0..2 {
            let read =
                |to: u16| format!("{} r{} = r{GET}", self.shared_load, to + 4 * group as u16);
            code.push(touching(read(tiles), Touch::Tiles { step, group }));
            code.push(touching(read(filters), Touch::Filters { step, group }));
        }
        code
    }

    fn math(&self, step: u64) -> Vec<Line<Touch>> {
        let [tiles, filters] = fragments(step);
        let mut code = Vec::new();
        for channel in 0..EDGE {
            for at in 0..EDGE {
                let tile = if channel % 2 == 0 { at } else { EDGE - 1 - at };
                let sum = sum(channel, tile);
                let (a, b) = (filters + channel as u16, tiles + tile as u16);
                code.push(plain(format!("FFMA r{sum} = r{a} r{b} r{sum}")));
            }
        }
        code
    }

    fn prologue(&self) -> Vec<Line<Touch>> {
        let mut code = self.filters(0);
        code.extend(self.image(0));
        code
    }

    /// Tiles and filters are there in registers; when they are in shared memory, the next pixels come while the
    /// present ones are multiplied, and filters in the last step.
    fn iteration(&self) -> Vec<Line<Touch>> {
        let mut code = self.transform();
        code.push(plain(self.barrier));
        code.extend(self.puts());
        code.push(plain(self.barrier));
        code.extend(self.reads(0));
        code.extend(plains(&format!(
            "IADD3 r{COUNTER} = r{COUNTER}; ISETP.NE.AND p0 = r{COUNTER}; ISETP.GE.AND p2 = r{COUNTER}"
        )));
        let mut image = self.image(1).into_iter();
        let each = image.len().div_ceil(DEPTH as usize - 2);
        for step in 0..DEPTH {
            let mut side: Vec<_> = image.by_ref().take(each).collect();
            if step + 1 < DEPTH {
                side.extend(self.reads(step + 1));
            }
            code.extend(weave(self.math(step), side));
            if step + 1 == DEPTH {
                code.extend(self.filters(1));
            }
        }
        code
    }

    /// Half of the channels at a time through shared memory; of each half a thread has two tiles.
    fn finish(&self) -> Vec<Line<Touch>> {
        let mut code: Vec<_> =
            plains("IMAD r0 = r0 c9; IMAD.WIDE r4 = r0 c10; ISETP.GE.AND p1 = r0").collect();
        for round in 0..2 {
            code.push(plain(self.barrier));
            for channel in 0..4 {
                for half in 0..2 {
                    let from = SUMS + ((round * 4 + channel) * EDGE + 4 * half) as u16;
                    let text = format!("STS.128 r{PUT} r{from}");
                    code.push(touching(text, Touch::PutOut { channel, half }));
                }
            }
            code.push(plain(self.barrier));
            for tile in 0..2 {
                for number in 0..PLACES {
                    let text = format!("LDS r{} = r{GET}", TILE + number as u16);
                    code.push(touching(text, Touch::GetOut { tile, number }));
                }
                code.extend(self.results(round, tile));
            }
        }
        code.push(plain("EXIT"));
        code
    }

    /// A^T of F(2, 3) from both sides, scaling and activation, stores.
    fn results(&self, round: u64, tile: u64) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        for (step, across, lines) in [(4, 1, 4), (1, 4, 2)] {
            for line in 0..lines {
                let x = |n: u16| TILE + line * across + n * step;
                code.extend(plains(&format!(
                    "FADD r{0} = r{0} r{1}; FADD r{1} = r{1} r{2}; FADD r{0} = r{0} r{2}; FADD r{1} = r{1} r{3}",
                    x(0),
                    x(1),
                    x(2),
                    x(3)
                )));
            }
        }
        for number in 0..OUT * OUT {
            let value = TILE + (number / OUT * 4 + number % OUT) as u16;
            code.extend(plains(&format!(
                "FMUL r{value} = r{value} c11; FMNMX r{value} = r{value}"
            )));
        }
        for number in (0..OUT * OUT).step_by(self.vector as usize) {
            let value = TILE + (number / OUT * 4 + number % OUT) as u16;
            code.extend(plains("ISETP.LT.AND p2 = r10 p1; IMAD.WIDE r4 = r0 r4"));
            let text = format!("{} r4 r{value} p2", self.store);
            code.push(touching(
                text,
                Touch::Result {
                    round,
                    tile,
                    number,
                },
            ));
        }
        code
    }
}

/// Patterns of a warp.
struct Patterns {
    together: Vec<PatternId>,
    vectors: Vec<PatternId>,
    /// A number of all tiles of an area inside the image.
    area: PatternId,
    results: Vec<PatternId>,
    tiles: PatternId,
    filters: PatternId,
    put_out: PatternId,
}

struct Streams {
    shape: Geometry,
    arrays: Arrays,
    ctas: [u64; 3],
    vector: u64,
    setup: Piece<Touch>,
    prologue: Piece<Touch>,
    iteration: Piece<Touch>,
    branch: u32,
    finish: Piece<Touch>,
    patterns: Patterns,
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

/// Patterns of shared memory: a lane has a place (half a warp each), 4 x 4 lanes of which have chunks of tiles and of
/// channels.
fn patterns(code: &mut KernelBuilder, shape: &Geometry, vector: u64) -> Patterns {
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

impl KernelGenerator for FusedWinograd {
    fn name(&self) -> &'static str {
        "winograd_fused_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let shape = winograd(&self.op)?;
        let vector = if shape.result[1].is_multiple_of(OUT) {
            OUT
        } else {
            1
        };
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let writer = Writer {
            load: code.global("LDG", 4),
            load_filter: code.global("LDG", 16),
            store: code.global("STG", 4 * vector),
            shared_load: code.shared_load_128(),
            barrier: code.barrier_text(),
            vector,
        };
        let setup = Piece::append(&mut code, writer.setup());
        let prologue = Piece::append(&mut code, writer.prologue());
        let iteration = Piece::append(&mut code, writer.iteration());
        let branch = code.branch(iteration.first());
        let finish = Piece::append(&mut code, writer.finish());
        let patterns = patterns(&mut code, &shape, vector);
        control::annotate(code.code_mut(), gpu);
        let ctas = Self::ctas(&shape);
        let shared = (2 * STAGE_BYTES).max(PLACES * OUT_CHANNELS * OUT_PITCH * 4);
        Ok(Assembly {
            name: format!(
                "sm{}_scudnn_winograd_128x128_ldg1_ldg4_relu_tile148t_nt",
                gpu.compute_capability
            ),
            grid: grid(ctas)?,
            block: [THREADS, 1, 1],
            registers: REGISTERS,
            smem_bytes: shared as u32,
            code,
            generator: per_warp(
                THREADS,
                Streams {
                    shape,
                    arrays: self.arrays,
                    ctas,
                    vector,
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
