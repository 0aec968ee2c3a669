//! The table that an implicit product reads: where each depth lies from a pixel, and its place in the filter.

use super::lines::{Piece, lanes, plains, touching};
use super::{Geometry, array, grid};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{Fields, Param};
use crate::kernels::operator::ConvOp;
use crate::kernels::rows::script::Access;
use crate::kernels::{
    Arrays, Assembly, Fault, KernelGenerator, WarpGenerator, control, moves_arrays, per_warp,
};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Threads of a CTA: one an entry.
const THREADS: u64 = 128;
/// Bytes of an entry.
const ENTRY: u64 = 4;

/// The kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Offsets {
    /// The convolution.
    pub op: ConvOp,
    /// Operands, see [`array`].
    pub arrays: Arrays,
}

impl Offsets {
    /// Fields as text has them.
    pub(in crate::kernels) const FIELDS: &'static [Param] = ConvOp::FIELDS;

    /// With `values` of these fields.
    pub(in crate::kernels) fn of(arrays: Arrays, values: &[u64]) -> Self {
        Offsets {
            op: ConvOp::of(values),
            arrays,
        }
    }
}

impl Fields for Offsets {
    fn fields(&self) -> Vec<(Param, u64)> {
        self.op.fields()
    }
}

struct Streams {
    entries: u64,
    arrays: Arrays,
    body: Piece<()>,
    together: Vec<PatternId>,
}

impl WarpGenerator for Streams {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let first = cta * THREADS + u64::from(warp) * 32;
        self.body.emit(out, |()| -> Access {
            lanes(ENTRY, &self.together, |lane| {
                let entry = first + lane;
                let address = self.arrays.at(array::OFFSETS) + entry * ENTRY;
                (entry < self.entries).then_some(address)
            })
        });
    }
}

impl KernelGenerator for Offsets {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "conv_offsets_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let shape = Geometry::new(&self.op)?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        // Two divisions, by the places of the filter and by its columns: without a reciprocal at hand each is about
        // twenty instructions.
        let division =
            "I2F.U32.RP r4 = r5; MUFU.RCP r4 = r4; IADD3 r4 = r4; F2I.FTZ.U32.TRUNC.NTZ r6 = r4
             IADD3 r7 = r6; IMAD r7 = r7 r5; IMAD.HI.U32 r6 = r6 r7 r6; IMAD.HI.U32 r6 = r6 r2
             IADD3 r7 = r6; IMAD r2 = r5 r7 r2; ISETP.GE.U32.AND p0 = r2 r5; IADD3 r2 = r2 r5 p0
             IADD3 r6 = r6 p0; ISETP.GE.U32.AND p1 = r2 r5; IADD3 r6 = r6 p1; SEL r6 = r6 p2";
        let mut lines: Vec<_> = plains(
            "MOV r1 = c0; S2R r2; S2R r3; IMAD r2 = r3 r2 c0; ISETP.GE.AND p3 = r2 c1; MOV r5 = c2",
        )
        .collect();
        lines.extend(plains(division));
        lines.extend(plains("MOV r5 = c3; MOV r8 = r6"));
        lines.extend(plains(division));
        lines.extend(plains(
            "IMAD r9 = r8 c4; IMAD r9 = r6 r9 c5; IMAD r9 = r2 r9 c6; LEA r9 = r9 r6; MOV r10 = c7
             IMAD.WIDE r10 = r2 r10",
        ));
        let store = format!("{} r10 r9 p3", code.global("STG", ENTRY));
        lines.push(touching(store, ()));
        lines.extend(plains("EXIT"));
        let body = Piece::append(&mut code, lines);
        let together = code.contiguous(ENTRY);
        control::annotate(code.code_mut(), gpu);
        Ok(Assembly {
            name: "computeOffsetsKernel".into(),
            grid: grid([shape.depth().div_ceil(THREADS), 1, 1])?,
            block: [THREADS as u32, 1, 1],
            registers: 16,
            smem_bytes: 0,
            code,
            generator: per_warp(
                THREADS as u32,
                Streams {
                    entries: shape.depth().next_multiple_of(8),
                    arrays: self.arrays,
                    body,
                    together,
                },
            ),
        })
    }
}
