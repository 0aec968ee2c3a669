//! A convolution whose channels are on their own, as PyTorch's own kernel has it: one thread a result, filters and
//! pixels straight from memory.

use super::lines::{Line, Loop, lanes, plain, plains, touching};
use super::{Geometry, array, grid};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{Fields, Param};
use crate::kernels::operator::{ConvOp, DataType, ImageLayout};
use crate::kernels::rows::script::Access;
use crate::kernels::{
    Arrays, Assembly, Fault, KernelGenerator, WarpGenerator, control, moves_arrays, per_warp,
};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Threads of a CTA.
const THREADS: u64 = 1024;
/// Registers: two values of each place of a row of the filter on their way.
const FIRST: u16 = 16;
/// Places of a row whose loads are in flight together.
const TOGETHER: u64 = 8;

/// The kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Depthwise {
    /// The convolution: as many groups as channels, NCHW.
    pub op: ConvOp,
    /// Operands, see [`array`].
    pub arrays: Arrays,
}

impl Depthwise {
    /// Fields as text has them.
    pub(in crate::kernels) const FIELDS: &'static [Param] = ConvOp::FIELDS;

    /// With `values` of these fields.
    pub(in crate::kernels) fn of(arrays: Arrays, values: &[u64]) -> Self {
        Depthwise {
            op: ConvOp::of(values),
            arrays,
        }
    }
}

impl Fields for Depthwise {
    fn fields(&self) -> Vec<(Param, u64)> {
        self.op.fields()
    }
}

#[derive(Clone, Copy, Debug)]
enum Touch {
    /// By column of the filter.
    Image(u64),
    Filter(u64),
    Result,
}

struct Streams {
    shape: Geometry,
    element: u64,
    arrays: Arrays,
    code: Loop<Touch>,
    together: Vec<PatternId>,
}

impl Streams {
    fn access(&self, first: u64, row: u64, touch: Touch) -> Access {
        let (shape, size) = (&self.shape, self.element);
        let count = shape.pixels() * shape.k * shape.groups;
        lanes(size, &self.together, |lane| {
            let result = first + lane;
            if result >= count {
                return None;
            }
            let (plane, at) = (result / shape.plane(), result % shape.plane());
            let channels = shape.k * shape.groups;
            let (image, channel) = (plane / channels, plane % channels);
            let under = shape.under([at / shape.result[1], at % shape.result[1]]);
            Some(match touch {
                Touch::Image(column) => {
                    let at = shape.pixel(under, [row, column])?;
                    let plane = image * shape.groups + channel / shape.k;
                    let plane = plane * shape.image[0] * shape.image[1];
                    self.arrays.at(array::IMAGE) + (plane + at) * size
                }
                Touch::Filter(column) => {
                    shape.pixel(under, [row, column])?;
                    let place = (channel * shape.filter[0] + row) * shape.filter[1] + column;
                    self.arrays.at(array::FILTER) + place * size
                }
                Touch::Result => self.arrays.at(array::RESULT) + result * size,
            })
        })
    }
}

impl WarpGenerator for Streams {
    fn iterations(&self, _cta: u64) -> u64 {
        self.shape.filter[0]
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let first = cta * THREADS + u64::from(warp) * 32;
        self.code
            .emit(iterations, out, |row, touch| self.access(first, row, touch));
    }
}

/// A division of 32-bit numbers by one that is no constant: `r4 = r2 / r5`, the rest in `r2`.
const DIVISION: &str = "I2F.U32.RP r4 = r5; MUFU.RCP r4 = r4; IADD3 r4 = r4; F2I.FTZ.U32.TRUNC.NTZ r6 = r4
    IADD3 r7 = r6; IMAD r7 = r7 r5; IMAD.HI.U32 r6 = r6 r7 r6; IMAD.HI.U32 r4 = r6 r2
    IADD3 r7 = r4; IMAD r2 = r5 r7 r2; ISETP.GE.U32.AND p1 = r2 r5; IADD3 r2 = r2 r5 p1; IADD3 r4 = r4 p1
    ISETP.GE.U32.AND p2 = r2 r5; IADD3 r4 = r4 p2; IADD3 r2 = r2 r5 p2";

fn setup() -> Vec<Line<Touch>> {
    let mut code: Vec<_> =
        plains("MOV r1 = c0; S2R r2; S2R r3; IMAD r2 = r3 r2 c0; ISETP.GE.AND p3 = r2 c1")
            .collect();
    // Column, row, channel and image; then the place under the filter.
    for parameter in 2..5 {
        code.push(plain(format!("MOV r5 = c{parameter}")));
        code.extend(plains(DIVISION));
        code.push(plain("MOV r2 = r4"));
    }
    code.extend(plains(
        "IMAD r8 = r2 c5; IMAD r9 = r4 c5; IADD3 r8 = r8 c6; IADD3 r9 = r9 c6; IMAD r10 = r4 r2 c7
         IMAD r10 = r10 r8 c7; IADD3 r10 = r10 r9; IMAD r12 = r4 c8; MOV r14 = r3; MOV r15 = c9",
    ));
    code
}

impl Depthwise {
    /// Columns of the filter, as many at once as there are registers for.
    fn row(&self, code: &KernelBuilder) -> Vec<Line<Touch>> {
        let element = self.op.data.bytes();
        let load = match element {
            4 => code.global("LDG", 4),
            _ => "LDG.E.U16".to_owned(),
        };
        let mut lines: Vec<_> = plains(
            "IADD3 r14 = r14; ISETP.NE.AND p0 = r14; IADD3 r8 = r8; ISETP.LT.U32.AND p1 = r8 c1",
        )
        .collect();
        for first in (0..self.op.s).step_by(TOGETHER as usize) {
            let columns = first..(first + TOGETHER).min(self.op.s);
            for column in columns.clone() {
                let [image, filter] = [0, 1].map(|of| FIRST + 2 * (column - first) as u16 + of);
                lines.extend(plains(
                    "IADD3 r11 = r9; ISETP.LT.U32.AND p2 = r11 p1; IADD3 r3 = r10 r11; IMAD.WIDE r4 = r3 r15",
                ));
                let text = format!("{load} r{image} = r4 p2");
                lines.push(touching(text, Touch::Image(column)));
                lines.extend(plains("IMAD.WIDE r6 = r12 r15"));
                let text = format!("{load} r{filter} = r6 p2");
                lines.push(touching(text, Touch::Filter(column)));
            }
            for column in columns {
                let [image, filter] = [0, 1].map(|of| FIRST + 2 * (column - first) as u16 + of);
                if element == 2 {
                    lines.extend(plains(&format!(
                        "HADD2.F32 r{image} = r{image}; HADD2.F32 r{filter} = r{filter}"
                    )));
                }
                lines.push(plain(format!("FFMA r13 = r{image} r{filter} r13 p2")));
            }
        }
        lines.extend(plains("IADD3 r10 = r10 c7; IADD3 r12 = r12"));
        lines
    }

    fn finish(&self, code: &KernelBuilder) -> Vec<Line<Touch>> {
        let mut lines: Vec<_> = plains("MOV r2 = c10; IMAD.WIDE r4 = r2 r15").collect();
        let store = match self.op.data.bytes() {
            4 => code.global("STG", 4),
            _ => {
                lines.extend(plains("F2F.F16.F32 r13 = r13"));
                "STG.E.U16".to_owned()
            }
        };
        lines.push(touching(format!("{store} r4 r13 p3"), Touch::Result));
        lines.push(plain("EXIT"));
        lines
    }
}

impl KernelGenerator for Depthwise {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "conv_depthwise_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let shape = Geometry::new(&self.op)?;
        if shape.c != 1 {
            let what = "every channel of the input has a group of its own";
            return Err(Fault::field("groups", self.op.groups, what));
        }
        let known = matches!(self.op.data, DataType::F32 | DataType::F16 | DataType::Bf16);
        if !known || self.op.layout != ImageLayout::Nchw {
            let what = "this kernel has floats of 32 or 16 bits in nchw";
            return Err(Fault::field("type", self.op.data.name(), what));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let parts = [setup(), Vec::new(), self.row(&code), self.finish(&code)];
        let body = Loop::append(&mut code, parts);
        let element = self.op.data.bytes();
        let together = code.contiguous(element);
        control::annotate(code.code_mut(), gpu);
        let results = shape.pixels() * shape.k * shape.groups;
        Ok(Assembly {
            name: "conv_depthwise2d_forward_kernel".into(),
            grid: grid([results.div_ceil(THREADS), 1, 1])?,
            block: [THREADS as u32, 1, 1],
            registers: 32,
            smem_bytes: 0,
            code,
            generator: per_warp(
                THREADS as u32,
                Streams {
                    shape,
                    element,
                    arrays: self.arrays,
                    code: body,
                    together,
                },
            ),
        })
    }
}
