//! Images from planes of a channel to channels side by side, and back: transposed in tiles through shared memory.

use super::grid;
use super::lines::{Line, Piece, all, lanes, plain, plains, touching};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::fields::family;
use crate::kernels::rows::script::Access;
use crate::kernels::{
    Arrays, Assembly, Fault, KernelGenerator, WarpGenerator, control, moves_arrays, per_warp,
};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

family! {
    /// Matrices one behind the other, each transposed. Operands: what is read, what is written.
    pub struct Relayout of arrays: Arrays {
        /// matrices
        pub batch: u64 = "batch" count(32, 1, 65_535),
        /// rows of what is read
        pub rows: u64 = "rows" count(64, 1, 1 << 32),
        /// its columns
        pub cols: u64 = "cols" count(3136, 1, 1 << 32),
        /// elements from one of its rows to the next; 0: as many as columns
        pub from_pitch: u64 = "from_pitch" count(0, 0, 1 << 32),
        /// the same of what is written, whose rows are filled up with zeros; 0: as many as rows
        pub to_pitch: u64 = "to_pitch" count(0, 0, 1 << 32),
        /// bytes of an element, 2 or 4
        pub bytes: u64 = "bytes" count(2, 2, 4),
    }
}

/// Edge of a tile, and rows of it that a warp has.
const TILE: u64 = 32;
const ROWS: u64 = 4;
/// Threads of a CTA.
const THREADS: u32 = 256;
/// Bytes of a row of a tile in shared memory: one word more than the row, so that columns do not conflict.
const PITCH: u64 = (TILE + 1) * 4;

#[derive(Clone, Copy, Debug)]
enum Touch {
    Load(u64),
    Put(u64),
    Get(u64),
    Store(u64),
}

struct Streams {
    kernel: Relayout,
    ctas: [u64; 3],
    body: Piece<Touch>,
    together: Vec<PatternId>,
    row: PatternId,
    column: PatternId,
}

impl Relayout {
    fn pitches(&self) -> [u64; 2] {
        let or = |given: u64, usual: u64| if given == 0 { usual } else { given };
        [or(self.from_pitch, self.cols), or(self.to_pitch, self.rows)]
    }

    fn lines(&self, code: &KernelBuilder) -> Vec<Line<Touch>> {
        let (load, store) = match self.bytes {
            2 => ("LDG.E.U16".to_owned(), "STG.E.U16".to_owned()),
            _ => (code.global("LDG", 4), code.global("STG", 4)),
        };
        let mut lines: Vec<_> = plains(
            "MOV r1 = c0; S2R r0; S2R r2; S2R r3; S2R r4; LEA r5 = r2 r0; LEA r6 = r3 r0
             IMAD r7 = r4 r6 c1; IMAD r7 = r7 r5 c2; MOV r8 = c3; IMAD.WIDE r10 = r7 r8
             ISETP.LT.AND p1 = r5; IMAD r9 = r0 r0",
        )
        .collect();
        for number in 0..ROWS {
            lines.extend(plains(
                "ISETP.LT.AND p2 = r6 p1; IADD3 r10 = r10; IADD3.X r11 = r11",
            ));
            let text = format!("{load} r{} = r10 p2", 16 + number);
            lines.push(touching(text, Touch::Load(number)));
        }
        for number in 0..ROWS {
            let text = format!("STS r9 r{}", 16 + number);
            lines.push(touching(text, Touch::Put(number)));
        }
        lines.push(plain(code.barrier_text()));
        lines.extend(plains(
            "IMAD r7 = r4 r5 c4; IMAD r7 = r7 r6 c5; IMAD.WIDE r12 = r7 r8",
        ));
        for number in 0..ROWS {
            let text = format!("LDS r{} = r9", 16 + number);
            lines.push(touching(text, Touch::Get(number)));
        }
        for number in 0..ROWS {
            lines.extend(plains(
                "ISETP.LT.AND p2 = r5 p1; IADD3 r12 = r12; IADD3.X r13 = r13",
            ));
            let text = format!("{store} r12 r{} p2", 16 + number);
            lines.push(touching(text, Touch::Store(number)));
        }
        lines.push(plain("EXIT"));
        lines
    }
}

impl Streams {
    fn access(&self, cta: u64, warp: u64, touch: Touch) -> Access {
        let (kernel, [x, y, _]) = (&self.kernel, self.ctas);
        let (column, row, matrix) = (cta % x * TILE, cta / x % y * TILE, cta / x / y);
        let [from, to] = kernel.pitches();
        let size = kernel.bytes;
        match touch {
            Touch::Load(number) => {
                let row = row + warp * ROWS + number;
                let first = kernel.arrays.at(0) + ((matrix * kernel.rows + row) * from) * size;
                lanes(size, &self.together, |lane| {
                    let inside = row < kernel.rows && column + lane < kernel.cols;
                    inside.then(|| first + (column + lane) * size)
                })
            }
            Touch::Put(number) => all((warp * ROWS + number) * PITCH, self.row),
            Touch::Get(number) => all((warp * ROWS + number) * 4, self.column),
            Touch::Store(number) => {
                let column = column + warp * ROWS + number;
                let first = kernel.arrays.at(1) + ((matrix * kernel.cols + column) * to) * size;
                lanes(size, &self.together, |lane| {
                    let inside = column < kernel.cols && row + lane < to;
                    inside.then(|| first + (row + lane) * size)
                })
            }
        }
    }
}

impl WarpGenerator for Streams {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        self.body
            .emit(out, |touch| self.access(cta, warp.into(), touch));
    }
}

impl KernelGenerator for Relayout {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "relayout_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        if self.bytes == 3 {
            return Err(Fault::field("bytes", self.bytes, "allowed: 2, 4"));
        }
        let [from, to] = self.pitches();
        if from < self.cols || to < self.rows {
            let what = "pitches are at least the rows and columns";
            return Err(Fault::field("to_pitch", to, what));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let lines = self.lines(&code);
        let body = Piece::append(&mut code, lines);
        let together = code.contiguous(self.bytes);
        let row = code.pattern(FULL, 4, |lane| lane * 4);
        let column = code.pattern(FULL, 4, |lane| lane * PITCH);
        control::annotate(code.code_mut(), gpu);
        let ctas = [self.cols.div_ceil(TILE), to.div_ceil(TILE), self.batch];
        Ok(Assembly {
            name: "nchwToNhwcKernel".into(),
            grid: grid(ctas)?,
            block: [THREADS, 1, 1],
            registers: 24,
            smem_bytes: (TILE * PITCH) as u32,
            code,
            generator: per_warp(
                THREADS,
                Streams {
                    kernel: self.clone(),
                    ctas,
                    body,
                    together,
                    row,
                    column,
                },
            ),
        })
    }
}
