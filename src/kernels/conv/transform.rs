//! Winograd's transforms of images, filters and products, each thread a tile of one channel in registers.
//!
//! Tiles of 4 x 4 results (from 6 x 6 pixels) make 36 matrices of channels times tiles for a batch of products. The same
//! tile of all images lies side by side there: that is why libraries fill images up to a multiple of 16, as their grids
//! tell. Tiles of 2 x 2 need 16 products, for which the fused kernel transforms images and products itself.

use super::lines::{Line, Piece, lanes, plain, plains, touching};
use super::{Geometry, array, grid, join};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{Field, Fields, Param, names};
use crate::kernels::operator::{ConvOp, DataType, ImageLayout};
use crate::kernels::rows::script::Access;
use crate::kernels::{
    Arrays, Assembly, Fault, KernelGenerator, WarpGenerator, control, moves_arrays, per_warp,
};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

names! {
    /// What is transformed.
    pub enum Stage {
        /// Images, in tiles of 6 x 6 pixels.
        Images = "images",
        /// Filters, to 6 x 6.
        Filters = "filters",
        /// Products, to 4 x 4 results.
        Products = "products",
        /// Filters, to 4 x 4, for the fused kernel.
        FusedFilters = "fused_filters",
    }
}

/// Threads of a CTA.
const THREADS: u64 = 256;
/// Channels of the result that the fused kernel has together.
pub(super) const FUSED_CHANNELS: u64 = 32;
/// Images that tiles are counted in.
const IMAGES: u64 = 16;
/// Edges of a tile of results and of the image under it, in the non-fused form.
const OUT: u64 = 4;
const IN: u64 = 6;

/// The kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    /// The convolution: FP32, NCHW, 3 x 3 in steps of one.
    pub op: ConvOp,
    /// What is transformed.
    pub stage: Stage,
    /// Operands, see [`array`].
    pub arrays: Arrays,
}

impl Transform {
    /// Fields as text has them.
    pub(in crate::kernels) const FIELDS: &'static [Param] = &join::<{ ConvOp::FIELDS.len() + 1 }>(
        ConvOp::FIELDS,
        &[Param::name("stage", Stage::NAMES, "what is transformed")],
    );

    /// With `values` of these fields.
    pub(in crate::kernels) fn of(arrays: Arrays, values: &[u64]) -> Self {
        Transform {
            op: ConvOp::of(values),
            stage: Stage::from_value(values[ConvOp::FIELDS.len()]),
            arrays,
        }
    }
}

impl Fields for Transform {
    fn fields(&self) -> Vec<(Param, u64)> {
        let values = self.op.fields().into_iter().map(|(_, value)| value);
        let values = values.chain([self.stage.value()]);
        Self::FIELDS.iter().copied().zip(values).collect()
    }
}

/// The sizes of a convolution that Winograd's algorithm computes.
///
/// # Errors
/// Anything but 3 x 3 filters in steps of one, FP32, NCHW, one group.
pub(super) fn winograd(op: &ConvOp) -> Result<Geometry, Fault> {
    let shape = Geometry::new(op)?;
    if shape.filter != [3, 3] {
        return Err(Fault::field("r", op.r, "Winograd's filters are 3 x 3"));
    }
    if shape.stride != [1, 1] {
        let what = "Winograd's tiles need steps of one";
        return Err(Fault::field("stride", op.stride, what));
    }
    if shape.groups != 1 {
        let what = "Winograd's products have one group";
        return Err(Fault::field("groups", op.groups, what));
    }
    if op.data != DataType::F32 || op.layout != ImageLayout::Nchw {
        let what = "Winograd's kernels have 32-bit floats in nchw";
        return Err(Fault::field("type", op.data.name(), what));
    }
    Ok(shape)
}

/// Columns of each of the 36 right matrices of `shape`: tiles of all images.
pub fn tiles(shape: &Geometry) -> u64 {
    let [rows, columns] = shape.result.map(|edge| edge.div_ceil(OUT));
    shape.n.next_multiple_of(IMAGES) * rows * columns
}

/// A linear map of a few numbers: instructions from registers `x` to registers `y`, with `a`, `b`, ... for what is
/// between.
struct Map {
    inputs: u64,
    outputs: u64,
    text: &'static str,
}

/// B^T of F(4, 3).
const IMAGES_4: Map = Map {
    inputs: 6,
    outputs: 6,
    text: "FFMA a = x2 x4; FFMA b = x1 x3; FADD c = x4 x2; FADD d = x3 x1
        FFMA y0 = x0 x2; FFMA y5 = x1 x3; FADD y1 = a b; FADD y2 = a b; FFMA y3 = d c; FFMA y4 = d c
        FFMA y0 = x4 y0; FFMA y5 = x5 y5",
};
/// G of F(4, 3).
const FILTERS_4: Map = Map {
    inputs: 3,
    outputs: 6,
    text: "FADD a = x0 x2; FMUL b = x0; FMUL y0 = x0; FMUL a = a; FFMA b = x2 b
        FFMA y1 = x1 a; FFMA y2 = x1 a; FFMA y3 = x1 b; FFMA y4 = x1 b; MOV y5 = x2",
};
/// A^T of F(4, 3).
const PRODUCTS_4: Map = Map {
    inputs: 6,
    outputs: 4,
    text: "FADD a = x1 x2; FADD b = x1 x2; FADD c = x3 x4; FADD d = x3 x4
        FADD y0 = x0 a; FFMA y1 = d b; FFMA y2 = c a; FFMA y3 = d b; FADD y0 = y0 c; FADD y3 = y3 x5",
};
/// G of F(2, 3).
const FILTERS_2: Map = Map {
    inputs: 3,
    outputs: 4,
    text: "FADD a = x0 x2; FMUL b = x1; MOV y0 = x0; MOV y3 = x2; FFMA y1 = a b; FFMA y2 = a b",
};

/// First registers of a tile as it comes, and between the two passes of its transform; of what a map has between.
const FIRST: u16 = 24;
const BETWEEN: u16 = 60;
const TEMPORARIES: u16 = 96;
/// Registers of a thread.
const REGISTERS: u16 = 104;

impl Map {
    /// Instructions from registers `from` to `to`, each so far from the next.
    fn lines<T>(&self, (from, from_step): (u16, u16), (to, to_step): (u16, u16)) -> Vec<Line<T>> {
        let register = |word: &str| {
            let digit = word[1..].parse::<u16>();
            match (&word[..1], digit) {
                ("x", Ok(n)) => format!("r{}", from + n * from_step),
                ("y", Ok(n)) => format!("r{}", to + n * to_step),
                (letter, Err(_)) if word.len() == 1 && letter != "=" => {
                    format!("r{}", TEMPORARIES + u16::from(word.as_bytes()[0] - b'a'))
                }
                _ => word.to_owned(),
            }
        };
        let lines = self.text.split(['\n', ';']).map(str::trim);
        lines
            .map(|line| {
                let (mnemonic, operands) = line.split_once(' ').expect("a map has operands");
                let operands = operands.split(' ').map(register).collect::<Vec<_>>();
                plain(format!("{mnemonic} {}", operands.join(" ")))
            })
            .collect()
    }

    /// A square, columns first, then rows. Results lie where the square was, row by row.
    fn square<T>(&self) -> Vec<Line<T>> {
        let (inputs, outputs) = (self.inputs as u16, self.outputs as u16);
        let mut code = Vec::new();
        for column in 0..inputs {
            code.extend(self.lines((FIRST + column, inputs), (BETWEEN + column, inputs)));
        }
        for row in 0..outputs {
            code.extend(self.lines((BETWEEN + row * inputs, 1), (FIRST + row * outputs, 1)));
        }
        code
    }
}

/// A load or a store, by the number of the value.
#[derive(Clone, Copy, Debug)]
enum Touch {
    Load(u64),
    Store(u64),
}

struct Streams {
    stage: Stage,
    shape: Geometry,
    arrays: Arrays,
    /// Floats of a store.
    vector: u64,
    body: Piece<Touch>,
    /// Patterns of loads and of stores side by side.
    loads: Vec<PatternId>,
    stores: Vec<PatternId>,
}

/// Threads that have something to do.
fn threads(stage: Stage, shape: &Geometry) -> u64 {
    match stage {
        Stage::Images => shape.c * tiles(shape),
        Stage::Filters => shape.k * shape.c,
        Stage::Products => shape.k * tiles(shape),
        Stage::FusedFilters => shape.k.next_multiple_of(FUSED_CHANNELS) * shape.c,
    }
}

impl Streams {
    /// Channel, image and first result of a tile, for thread `at` of images or products.
    fn tile(&self, at: u64) -> (u64, u64, [u64; 2]) {
        let tiles = tiles(&self.shape);
        let (channel, tile) = (at / tiles, at % tiles);
        let [rows, columns] = self.shape.result.map(|edge| edge.div_ceil(OUT));
        let images = tiles / (rows * columns);
        let (of_image, image) = (tile / images, tile % images);
        let first = [of_image / columns * OUT, of_image % columns * OUT];
        (channel, image, first)
    }

    /// Channel of the result and of the input, for thread `at` of filters.
    fn channels(&self, at: u64) -> (u64, u64) {
        let c = self.shape.c;
        match self.stage {
            Stage::FusedFilters => {
                let (block, of_block) = (at / FUSED_CHANNELS, at % FUSED_CHANNELS);
                (block / c * FUSED_CHANNELS + of_block, block % c)
            }
            _ => (at / c, at % c),
        }
    }

    fn load(&self, at: u64, number: u64) -> Option<u64> {
        let shape = &self.shape;
        let matrix = threads(self.stage, shape);
        match self.stage {
            Stage::Images => {
                let (channel, image, first) = self.tile(at);
                let place = shape.pixel(shape.under(first), [number / IN, number % IN])?;
                let plane = shape.image[0] * shape.image[1];
                let address = ((image * shape.c + channel) * plane + place) * 4;
                (image < shape.n).then(|| self.arrays.at(array::IMAGE) + address)
            }
            Stage::Products => {
                let (_, image, _) = self.tile(at);
                let address = (number * matrix + at) * 4;
                (image < shape.n).then(|| self.arrays.at(array::PRODUCTS) + address)
            }
            Stage::Filters | Stage::FusedFilters => {
                let (k, c) = self.channels(at);
                let address = ((k * shape.c + c) * 9 + number) * 4;
                (k < shape.k).then(|| self.arrays.at(array::FILTER) + address)
            }
        }
    }

    fn store(&self, at: u64, number: u64) -> Option<u64> {
        let shape = &self.shape;
        let matrix = threads(self.stage, shape);
        match self.stage {
            Stage::Images => Some(self.arrays.at(array::IMAGES) + (number * matrix + at) * 4),
            Stage::Filters => Some(self.arrays.at(array::FILTERS) + (number * matrix + at) * 4),
            Stage::FusedFilters => {
                let (block, of_block) = (at / FUSED_CHANNELS, at % FUSED_CHANNELS);
                let address = ((block * 16 + number) * FUSED_CHANNELS + of_block) * 4;
                Some(self.arrays.at(array::FILTERS) + address)
            }
            Stage::Products => {
                let (channel, image, first) = self.tile(at);
                let number = number * self.vector;
                let [row, column] = [first[0] + number / OUT, first[1] + number % OUT];
                let inside = row < shape.result[0] && column < shape.result[1];
                let plane = (image * shape.k + channel) * shape.plane();
                let address = (plane + row * shape.result[1] + column) * 4;
                (inside && image < shape.n).then(|| self.arrays.at(array::RESULT) + address)
            }
        }
    }
}

impl WarpGenerator for Streams {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let first = cta * THREADS + u64::from(warp) * 32;
        let count = threads(self.stage, &self.shape);
        let there = |lane: u64| (first + lane < count).then_some(first + lane);
        self.body.emit(out, |touch| -> Access {
            match touch {
                Touch::Load(number) => {
                    lanes(4, &self.loads, |lane| self.load(there(lane)?, number))
                }
                Touch::Store(number) => lanes(4 * self.vector, &self.stores, |lane| {
                    self.store(there(lane)?, number)
                }),
            }
        });
    }
}

/// Numbers of threads to channel, tile and image, by multiplication with reciprocals; the address of the tile.
const PLACE: &str = "MOV r1 = c0; S2R r0; S2R r2; IMAD r0 = r2 r0 c0; ISETP.GE.AND p0 = r0 c1
    IMAD.HI.U32 r2 = r0 c2; SHF.R.U32.HI r2 = r2 c2; IMAD r3 = r2 r0 c3
    IMAD.HI.U32 r4 = r3 c4; SHF.R.U32.HI r4 = r4 c4; IMAD r3 = r4 r3 c5
    IMAD.HI.U32 r5 = r3 c6; SHF.R.U32.HI r5 = r5 c6; IMAD r3 = r5 r3 c7
    IMAD r6 = r4 r2 c8; IMAD r6 = r5 r6 c9; LEA r6 = r3 r6; MOV r7 = c10; IMAD.WIDE r8 = r6 r7 c10";

/// The code of a stage, whose results leave `vector` at a time.
fn write(stage: Stage, vector: u64, code: &KernelBuilder) -> Vec<Line<Touch>> {
    let (map, loads) = match stage {
        Stage::Images => (IMAGES_4, IN * IN),
        Stage::Filters => (FILTERS_4, 9),
        Stage::Products => (PRODUCTS_4, IN * IN),
        Stage::FusedFilters => (FILTERS_2, 9),
    };
    let mut lines: Vec<_> = plains(PLACE).collect();
    let edge = map.inputs;
    if stage == Stage::Images {
        for row in 0..edge {
            lines.extend(plains(&format!(
                "IADD3 r{0} = r5; ISETP.LT.U32.AND p1 = r{0} p0",
                10 + row
            )));
        }
    }
    let load = code.global("LDG", 4);
    for number in 0..loads {
        let address = match stage {
            // A row's address, then immediates; whether a pixel is inside is tested one by one.
            Stage::Images => {
                if number % edge == 0 {
                    lines.push(plain("IMAD.WIDE r16 = r7 r8"));
                }
                lines.push(plain("ISETP.LT.U32.AND p2 = r3 p1"));
                16
            }
            // Matrices lie further apart than an immediate reaches.
            Stage::Products => {
                lines.extend(plains("IADD3 r8 = r8; IADD3.X r9 = r9"));
                8
            }
            Stage::Filters | Stage::FusedFilters => 8,
        };
        let to = FIRST + number as u16;
        let text = format!("{load} r{to} = r{address} p2");
        lines.push(touching(text, Touch::Load(number)));
    }
    lines.extend(map.square());
    lines.extend(plains("MOV r7 = c11; IMAD.WIDE r20 = r6 r7"));
    let store = code.global("STG", 4 * vector);
    for number in 0..map.outputs * map.outputs / vector {
        let value = FIRST + (number * vector) as u16;
        if stage == Stage::Products {
            for sum in value..value + vector as u16 {
                lines.push(plain(format!("FMUL r{sum} = r{sum} c12")));
            }
            lines.push(plain("ISETP.LT.AND p2 = r5 p1"));
        } else {
            lines.extend(plains("IADD3 r20 = r20; IADD3.X r21 = r21"));
        }
        let text = format!("{store} r20 r{value} p2");
        lines.push(touching(text, Touch::Store(number)));
    }
    lines.push(plain("EXIT"));
    lines
}

impl KernelGenerator for Transform {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "winograd_transform_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let shape = winograd(&self.op)?;
        let whole_rows = shape.result[1].is_multiple_of(OUT);
        let vector = match self.stage {
            Stage::Products if whole_rows => OUT,
            _ => 1,
        };
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let lines = write(self.stage, vector, &code);
        let body = Piece::append(&mut code, lines);
        let (loads, stores) = (code.contiguous(4), code.contiguous(4 * vector));
        control::annotate(code.code_mut(), gpu);
        let name = match self.stage {
            Stage::Images => "winogradForwardData4x4",
            Stage::Filters => "winogradForwardFilter4x4",
            Stage::Products => "winogradForwardOutput4x4",
            Stage::FusedFilters => "generateWinogradTilesKernel",
        };
        Ok(Assembly {
            name: name.into(),
            grid: grid([threads(self.stage, &shape).div_ceil(THREADS), 1, 1])?,
            block: [THREADS as u32, 1, 1],
            registers: REGISTERS,
            smem_bytes: 0,
            code,
            generator: per_warp(
                THREADS as u32,
                Streams {
                    stage: self.stage,
                    shape,
                    arrays: self.arrays,
                    vector,
                    body,
                    loads,
                    stores,
                },
            ),
        })
    }
}
