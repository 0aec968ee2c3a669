//! A convolution as a product on tensor cores: numbers of 16 bits, channels of a pixel side by side.
//!
//! As in [`implicit`](super::implicit) rows are pixels and columns channels of the result; the depth is places of the
//! filter times channels, which are filled up to vectors of 8. A warp has 64 pixels and 32 channels. From Ampere on
//! cp.async brings tiles two iterations ahead, before that registers hold the next one.

mod code;
mod finish;
mod streams;

use super::lines::Loop;
use super::{Geometry, grid, join};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{Fields, Param};
use crate::kernels::operator::{ConvOp, DataType, Sums};
use crate::kernels::work::tensor_rate;
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, control, moves_arrays, per_warp};
use code::Writer;
use streams::{Patterns, Streams};

/// Pixels of a tile; bytes of a row of it in shared memory, its depth in elements.
const PIXELS: u64 = 128;
const ROW: u64 = 64;
const DEPTH: u64 = 32;
/// Elements of a vector, and vectors of a row.
pub const VECTOR: u64 = 8;
const CHUNKS: u64 = DEPTH / VECTOR;
/// Pixels and channels of a warp.
const PART: [u64; 2] = [64, 32];
/// Rows of a block of results; such blocks leave one after the other.
const BLOCK: u64 = 16;
/// Bytes from one row to the next on the way out: what lanes write does not conflict. Rows are pixels of a block.
const OUT_PITCH: u64 = PART[1] * 2 + 16;
/// The same where rows are channels: all pixels of a warp.
const PLANE_PITCH: u64 = PART[0] * 2 + 16;

/// The kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorImplicit {
    /// The convolution: F16 or BF16; its layout does not matter here.
    pub op: ConvOp,
    /// Channels of a tile: 32, 64 or 128.
    pub channels: u64,
    /// Results leave as planes of a channel.
    pub planes: bool,
    /// Operands, see [`array`](super::array).
    pub arrays: Arrays,
}

impl TensorImplicit {
    /// Fields as text has them.
    pub(in crate::kernels) const FIELDS: &'static [Param] = &join::<{ ConvOp::FIELDS.len() + 2 }>(
        ConvOp::FIELDS,
        &[
            Param::count("tile", 64, 32, 128, "channels of a tile"),
            Param::count("planes", 0, 0, 1, "results leave as planes of a channel: 1").quiet(),
        ],
    );

    /// With `values` of these fields.
    pub(in crate::kernels) fn of(arrays: Arrays, values: &[u64]) -> Self {
        TensorImplicit {
            op: ConvOp::of(values),
            channels: values[ConvOp::FIELDS.len()],
            planes: values[ConvOp::FIELDS.len() + 1] == 1,
            arrays,
        }
    }

    fn check(&self, gpu: &GpuSpec) -> Result<Geometry, Fault> {
        let shape = Geometry::new(&self.op)?;
        if ![32, 64, 128].contains(&self.channels) {
            return Err(Fault::field("tile", self.channels, "allowed: 32, 64, 128"));
        }
        let halves = matches!(self.op.data, DataType::F16 | DataType::Bf16);
        if !halves || tensor_rate(self.op.data, self.op.sums, gpu) == 0 {
            let what = format!("this kernel multiplies 16-bit floats that {} has", gpu.name);
            return Err(Fault::field("type", self.op.data.name(), what));
        }
        if self.op.sums == Sums::Narrow && self.op.data != DataType::F16 {
            let what = "16-bit sums are those of products of f16";
            return Err(Fault::field("acc", "f16", what));
        }
        if shape.groups > 1 {
            let what = "this kernel has one group";
            return Err(Fault::field("groups", self.op.groups, what));
        }
        Ok(shape)
    }
}

impl Fields for TensorImplicit {
    fn fields(&self) -> Vec<(Param, u64)> {
        let values = self.op.fields().into_iter().map(|(_, value)| value);
        let values = values.chain([self.channels, self.planes.into()]);
        Self::FIELDS.iter().copied().zip(values).collect()
    }
}

/// What a memory instruction touches. Tiles are counted from the present one.
#[derive(Clone, Copy, Debug)]
enum Touch {
    /// The offset of a thread's vectors.
    Offset {
        tile: u64,
    },
    /// Vectors of pixels (edge 0) and of filters, by number of the load.
    Load {
        tile: u64,
        edge: usize,
        load: u64,
    },
    /// The same on their way to shared memory.
    Put {
        tile: u64,
        edge: usize,
        load: u64,
    },
    /// Fragments.
    Read {
        tile: u64,
        edge: usize,
        step: u64,
        read: u64,
    },
    /// Results to shared memory, back, and to the result.
    PutOut {
        piece: u64,
        half: u64,
    },
    GetOut {
        half: u64,
    },
    Result {
        block: u64,
        half: u64,
    },
    /// The same by single results, all of a warp before the first leaves; `access` counts vectors of a plane's pixels.
    PutPlane {
        block: u64,
        piece: u64,
        half: u64,
        right: u64,
    },
    GetPlane {
        access: u64,
    },
    Plane {
        access: u64,
    },
}

/// Numbers that follow from tile and GPU.
#[derive(Clone, Copy, Debug)]
struct Plan {
    channels: u64,
    threads: u64,
    version: u16,
    bfloat: bool,
    /// Sums have 16 bits.
    narrow: bool,
    stages: u64,
    /// Pixels of a vector, where results leave as planes.
    run: Option<u64>,
}

impl Plan {
    fn new(kernel: &TensorImplicit, shape: &Geometry, gpu: &GpuSpec) -> Self {
        let version = gpu.compute_capability;
        // Vectors lie in one plane, and begin where their size says.
        let run = 1 << shape.plane().trailing_zeros().min(3);
        Plan {
            channels: kernel.channels,
            threads: 2 * kernel.channels,
            version,
            bfloat: kernel.op.data == DataType::Bf16,
            narrow: kernel.op.sums == Sums::Narrow,
            run: kernel.planes.then_some(run),
            stages: if version >= 80 { 3 } else { 2 },
        }
    }

    /// Whether cp.async brings tiles.
    fn asynchronous(&self) -> bool {
        self.version >= 80
    }

    /// Vectors that a thread loads of either operand.
    fn loads(&self, edge: usize) -> u64 {
        [PIXELS, self.channels][edge] * CHUNKS / self.threads
    }

    /// Bytes of a step's depth: 4 elements on Volta, 8 on Turing, 16 from Ampere on.
    fn step_bytes(&self) -> u64 {
        match self.version {
            ..75 => 8,
            75..80 => 16,
            _ => 32,
        }
    }

    fn steps(&self) -> u64 {
        ROW / self.step_bytes()
    }

    /// Reads of a step's fragments, and registers of each.
    fn reads(&self, edge: usize) -> (u64, u16) {
        match self.version {
            // 16 rows of 8 bytes.
            ..75 => (PART[edge] / 16, 2),
            // Four matrices of 8 rows of 16 bytes.
            _ => (PART[edge] * self.step_bytes() / 512, 4),
        }
    }

    fn stage(&self) -> u64 {
        (PIXELS + self.channels) * ROW
    }

    fn shared_bytes(&self) -> u64 {
        (self.stages * self.stage()).max(self.threads / 32 * self.out_bytes())
    }

    /// Shared memory of a warp's results on the way out.
    fn out_bytes(&self) -> u64 {
        match self.run {
            None => BLOCK * OUT_PITCH,
            Some(_) => PART[1] * PLANE_PITCH,
        }
    }

    /// Vectors that a lane stores, where results leave as planes.
    fn plane_accesses(&self) -> u64 {
        self.run.map_or(0, |run| PART[0] * PART[1] / run / 32)
    }
}

impl KernelGenerator for TensorImplicit {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "conv_tensor_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let shape = self.check(gpu)?;
        let plan = Plan::new(self, &shape, gpu);
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let writer = Writer::new(plan, &code);
        let parts = [
            writer.setup(),
            writer.prologue(),
            writer.iteration(),
            writer.finish(),
        ];
        let registers = writer.registers();
        let body = Loop::append(&mut code, parts);
        let patterns = Patterns::new(&mut code, &plan);
        control::annotate(code.code_mut(), gpu);
        let ctas = [
            shape.pixels().div_ceil(PIXELS),
            shape.k.div_ceil(self.channels),
            1,
        ];
        let threads = plan.threads as u32;
        let generator = Streams {
            shape,
            plan,
            arrays: self.arrays,
            ctas,
            code: body,
            patterns,
        };
        Ok(Assembly {
            name: format!(
                "sm{}_fprop_implicit_gemm_{}{}_{}_tilesize128x{}x{DEPTH}_stage{}",
                gpu.compute_capability,
                self.op.data.name(),
                if plan.narrow { "_acc16" } else { "" },
                if self.planes { "nhwc2nchw" } else { "nhwc" },
                self.channels,
                plan.stages
            ),
            grid: grid(ctas)?,
            block: [threads, 1, 1],
            registers,
            smem_bytes: plan.shared_bytes() as u32,
            code,
            generator: per_warp(threads, generator),
        })
    }
}
