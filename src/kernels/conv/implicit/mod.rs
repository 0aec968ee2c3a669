//! A convolution as a product without its left matrix: FP32, planes of one channel.
//!
//! Rows are pixels of the result, columns its channels, the depth is channels of the input times places of the filter. A
//! thread loads the same pixels all the time: where each depth lies from there comes from a table that a kernel wrote
//! before, and bits that it keeps for its pixels say which places of the filter are in the padding. Registers hold the
//! next tile while the present one is multiplied.

mod code;
mod streams;

use super::lines::Loop;
use super::{Geometry, grid, join};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{Fields, Param};
use crate::kernels::operator::{ConvOp, DataType, ImageLayout};
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, control, moves_arrays, per_warp};
use code::Writer;
use streams::{Patterns, Streams};

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
    /// Operands, see [`array`](super::array).
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

impl KernelGenerator for Implicit {
    moves_arrays!();

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
        let parts = [
            writer.setup(),
            writer.prologue(),
            writer.iteration(),
            writer.finish(),
        ];
        let body = Loop::append(&mut code, parts);
        let patterns = Patterns::new(&mut code, &tile);
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
                    code: body,
                    patterns,
                },
            ),
        })
    }
}
