//! Winograd's algorithm in one kernel: tiles of 2 x 2 results, of which a CTA has 32 (8 x 16 pixels) for 32 channels.
//!
//! In an iteration a thread transforms a tile of 4 x 4 pixels of one of 8 channels and puts it into shared memory; its
//! filters were transformed by a kernel before. Each of the 16 places of a transformed tile is a product of its own: a
//! warp has two, a lane 8 x 8 sums. These meet in shared memory for the transform back.

mod code;
mod streams;

use super::lines::Loop;
use super::transform::{FUSED_CHANNELS, winograd};
use super::{Geometry, grid};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{Fields, Param};
use crate::kernels::operator::ConvOp;
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, control, moves_arrays, per_warp};
use code::{REGISTERS, Writer};
use streams::{Patterns, Streams};

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
    /// Operands, see [`array`](super::array).
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

impl KernelGenerator for FusedWinograd {
    moves_arrays!();

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
        let parts = [
            writer.setup(),
            writer.prologue(),
            writer.iteration(),
            writer.finish(),
        ];
        let body = Loop::append(&mut code, parts);
        let patterns = Patterns::new(&mut code, &shape, vector);
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
                    code: body,
                    patterns,
                },
            ),
        })
    }
}
