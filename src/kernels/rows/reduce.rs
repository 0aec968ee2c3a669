//! Sums and maxima of rows, as PyTorch's `reduce_kernel` has them; and rows of a table.

use super::combine::{Combine, butterfly, shuffled};
use super::program::{Contiguous, Place, RowPlace, RowProgram, Script, Span, Who};
use super::script::list;
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{family, names};
use crate::kernels::operator::{DataType, EDGE_MAX};
use crate::kernels::rows::chains::{narrow, widen};
use crate::kernels::{Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, line, per_warp};

names! {
    /// What is made of a row.
    pub enum Reduction {
        /// The sum.
        Sum = "sum",
        /// The greatest.
        Max = "max",
    }
}

family! {
    /// One number of each row. Operands: the rows, the numbers.
    pub struct Reduce of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(1024, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// what is made of a row
        pub reduction: Reduction = "of" name(Reduction::NAMES),
    }
}

family! {
    /// Rows of a table by index (`vectorized_gather_kernel`): a CTA an index. Operands: the table, indices, the result.
    pub struct GatherRows of arrays: Arrays {
        /// indices
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(1024, 1, EDGE_MAX),
        /// rows of the table
        pub table: u64 = "table" count(32_000, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

/// Threads of a CTA.
const THREADS: u64 = 512;

impl Reduce {
    /// Elements of an access.
    fn vector(&self) -> u64 {
        if self.cols.is_multiple_of(4) { 4 } else { 1 }
    }

    /// Whether a row is for all warps of a CTA: where each thread of one warp had 256 elements or more, or there are fewer
    /// rows than warps.
    fn by_cta(&self) -> bool {
        self.cols.div_ceil(32) >= 256 || self.rows < THREADS / 32
    }

    fn steps(&self, script: &mut Script<'_>) {
        let (bytes, vector) = (self.data.bytes(), self.vector());
        let how = match self.reduction {
            Reduction::Sum => Combine::Sum,
            Reduction::Max => Combine::Max,
        };
        script.once(Who::All, vec![], |code| {
            code.entry();
            let start = "S2R r2; S2R r3; S2R r8; IMAD r3 = r3 r8; IMAD.HI.U32 r9 = r3 c5; SHF r9 = r9; IADD3 r10 = r9; \
                IMAD r10 = r10 r3; IMAD r4 = r10 c6; ISETP.GE.AND p0 = r3; IADD3 r4 = r4 c0; IADD3.X r5 = r5 c0; \
                MOV r12; MOV r13; MOV r14; MOV r15; ISETP.GE.AND p0 = r2; BRA p0";
            list(code, start, &[]);
        });
        let row = Place::Row(RowPlace::rows(0, bytes, self.cols));
        script.each(Span::Vectors(vector), vec![row], |code| {
            let load = code.global("LDG", bytes * vector);
            list(
                code,
                &format!("IMAD.WIDE.U32 r6 = r2 r4; {load} r16 = r6"),
                &[],
            );
            let wide = if bytes == 4 { 16 } else { 24 };
            widen(code, self.data, vector as u16, 16, wide);
            for e in 0..vector as u16 {
                list(
                    code,
                    how.text(),
                    &[("a", 12 + e), ("b", wide + e), ("p", 1)],
                );
            }
            list(code, "IADD3 r2 = r2; ISETP.GE.U32.AND p0 = r2; BRA p0", &[]);
        });
        script.once(Who::All, vec![], |code| {
            for e in 1..4 {
                list(code, how.text(), &[("a", 12), ("b", 12 + e), ("p", 1)]);
            }
            if !self.by_cta() {
                butterfly(code, how, 32, 12, 20);
            }
        });
        if self.by_cta() {
            shuffled(script, how, THREADS, [12, 12, 20]);
        }
        let result = Place::PerRow { operand: 1, bytes };
        script.once(Who::FIRST, vec![result], |code| {
            narrow(code, self.data, 1, 12, 12);
            let store = code.global("STG", bytes);
            list(
                code,
                &format!("IADD3 r4 = r4 c1; IADD3.X r5 = r5 c1; {store} r4 r12"),
                &[],
            );
        });
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
    }
}

impl KernelGenerator for Reduce {
    fn name(&self) -> &'static str {
        "reduce_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let warps = THREADS / 32;
        let ctas = if self.by_cta() {
            self.rows
        } else {
            self.rows.div_ceil(warps)
        };
        if ctas > GRID_MAX || self.data.bytes() == 1 {
            return Err(Fault::field(
                "rows",
                self.rows,
                "no reduction of so many rows or of bytes",
            ));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let mut script = Script {
            code: &mut code,
            steps: Vec::new(),
        };
        self.steps(&mut script);
        let steps = script.steps;
        let shape = [
            self.rows,
            self.cols,
            if self.by_cta() { THREADS } else { 32 },
        ];
        let mut program = RowProgram::cta_a_row(self.arrays, shape, steps, patterns);
        let block = match self.by_cta() {
            true => [THREADS as u32, 1, 1],
            false => {
                program.cta_warp_rows = warps as u32;
                [32, warps as u32, 1]
            }
        };
        Ok(Assembly {
            name: format!("reduce_kernel<512, {}> {}", self.vector(), self.data.name()),
            grid: line(ctas),
            block,
            registers: 32,
            smem_bytes: if self.by_cta() { 4 * THREADS as u32 } else { 0 },
            code,
            generator: per_warp(THREADS as u32, program),
        })
    }
}

impl KernelGenerator for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let bytes = self.data.bytes();
        // As wide as rows allow.
        let wide = [16u64, 8, 4, 2, 1]
            .into_iter()
            .find(|&n| n >= bytes && (self.cols * bytes).is_multiple_of(n));
        let vector = wide.unwrap_or(bytes) / bytes;
        if self.rows > GRID_MAX {
            return Err(Fault::field("rows", self.rows, "too many CTAs"));
        }
        let threads = self.cols.div_ceil(vector).next_multiple_of(32).min(256);
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let mut script = Script {
            code: &mut code,
            steps: Vec::new(),
        };
        let index = Place::PerRow {
            operand: 1,
            bytes: 8,
        };
        script.once(Who::All, vec![index], |code| {
            code.entry();
            let load = code.global("LDG", 8);
            list(code, &format!("S2R r3; MOV r4; IMAD.WIDE.U32 r4 = r3 c1; {load} r4 = r4; S2R r2; ISETP.GE.AND p0 = r4"), &[]);
            list(code, "SEL r6 = r4 p0; IADD3 r6 = r6; IMAD.WIDE.U32 r8 = r6 c0; IMAD r9 = r7 r9", &[]);
        });
        let table = RowPlace {
            table: self.table,
            ..RowPlace::rows(0, bytes, self.cols)
        };
        let result = RowPlace::rows(2, bytes, self.cols);
        script.each(Span::Vectors(vector), vec![Place::Row(table), Place::Row(result)], |code| {
            let (load, store) = (code.global("LDG", vector * bytes), code.global("STG", vector * bytes));
            let text = "IADD3 r10 = r2 r8; IADD3.X r11 = r9; IMAD.WIDE.U32 r12 = r3 c2";
            list(code, &format!("{text}; {load} r16 = r10; {store} r12 r16; IADD3 r2 = r2; ISETP.GE.AND p0 = r2; BRA p0"), &[]);
        });
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
        let shape = [self.rows, self.cols, threads];
        let program = RowProgram::cta_a_row(self.arrays, shape, script.steps, patterns);
        Ok(Assembly {
            name: format!("vectorized_gather_kernel<{}>", vector * bytes),
            grid: line(self.rows),
            block: [threads as u32, 1, 1],
            registers: 24,
            smem_bytes: 0,
            code,
            generator: per_warp(threads as u32, program),
        })
    }
}
