//! Sums and maxima of rows, as PyTorch's `reduce_kernel` has them; and rows of a table.

use super::combine::{BROADCAST, Combine, butterfly, shuffled};
use super::program::{Contiguous, Place, RowPlace, RowProgram, Script, Span, Who};
use super::script::list;
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{family, names};
use crate::kernels::operator::{DataType, EDGE_MAX};
use crate::kernels::rows::chains::{narrow, widen};
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, line, moves_arrays, per_warp,
};

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
    /// One number of each row. Operands: the rows, the numbers; where CTAs share a row also what each makes of its part,
    /// and a counter for each row: the CTA that finds the others done joins the parts.
    pub struct Reduce of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(1024, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// what is made of a row
        pub reduction: Reduction = "of" name(Reduction::NAMES),
        /// CTAs that share a row
        pub parts: u64 = "parts" count(1, 1, 65_535).quiet(),
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
        self.parts > 1 || self.cols.div_ceil(32) >= 256 || self.rows < THREADS / 32
    }

    /// Elements of a row that a CTA has: of parts, whole vectors of all threads, every so manieth one.
    fn of_part(&self) -> u64 {
        match self.parts {
            1 => self.cols,
            parts => self.cols.div_ceil(self.round() * parts) * self.round(),
        }
    }

    /// Elements of one vector of all threads of a CTA.
    fn round(&self) -> u64 {
        THREADS * self.vector()
    }

    /// PyTorch's rule (`setReduceConfig`): rows that leave SMs idle and threads with 256 elements or more are shared, so
    /// that the SMs are full but no thread has less than 16 elements, nor more than 256.
    pub(in crate::kernels) fn shared(self, gpu: &GpuSpec) -> Self {
        let of_thread = self.cols.div_ceil(THREADS);
        let threads = u64::from(gpu.sm.warps_max) * 32;
        let full = u64::from(gpu.sms) * (threads / THREADS);
        let ctas = match self.by_cta() {
            true => self.rows,
            false => self.rows.div_ceil(THREADS / 32),
        };
        if of_thread < 256 || ctas > full {
            return self;
        }
        let parts = full.div_ceil(ctas).min(of_thread.div_ceil(16));
        Reduce {
            parts: parts.max(of_thread.div_ceil(256)),
            ..self
        }
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
        let mut row = RowPlace::rows(0, bytes, self.cols);
        if self.parts > 1 {
            row.shared_by = self.parts;
            row.part = self.round();
            row.groups = Some((self.round(), self.round() * self.parts));
            row.limit = self.cols;
        }
        script.each(Span::Vectors(vector), vec![Place::Row(row)], |code| {
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
        match self.parts {
            1 => self.store(script),
            _ => {
                self.hand_over(script);
                script.last(|script| self.join(script, how));
            }
        }
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
    }
}

impl Reduce {
    fn store(&self, script: &mut Script<'_>) {
        let bytes = self.data.bytes();
        let result = RowPlace {
            shared_by: self.parts,
            ..RowPlace::rows(1, bytes, 1)
        };
        script.once(Who::FIRST, vec![Place::Row(result)], |code| {
            narrow(code, self.data, 1, 12, 12);
            let store = code.global("STG", bytes);
            list(
                code,
                &format!("IADD3 r4 = r4 c1; IADD3.X r5 = r5 c1; {store} r4 r12"),
                &[],
            );
        });
    }

    /// What a CTA made of its part goes to memory; then it counts itself, and all its threads hear what was counted.
    fn hand_over(&self, script: &mut Script<'_>) {
        let barrier = script.code.barrier_text();
        let staged = Place::PerRow {
            operand: 2,
            bytes: 4,
        };
        let counter = RowPlace {
            shared_by: self.parts,
            ..RowPlace::rows(3, 4, 1)
        };
        script.once(Who::FIRST, vec![staged], |code| {
            let store = code.global("STG", 4);
            list(code, &format!("IMAD.WIDE r6 = r3 c2; {store} r6 r12"), &[]);
        });
        script.once(Who::All, vec![], |code| {
            list(
                code,
                &format!("MEMBAR.SC.GPU; {barrier}; ISETP.NE.AND p0 = r2; BRA p0"),
                &[],
            );
        });
        script.once(Who::FIRST, vec![Place::Row(counter), BROADCAST], |code| {
            let text = "MOV r16; IMAD.WIDE r6 = r10 c3; ATOMG.E.ADD.STRONG.GPU r17 = r6 r16; ISETP.EQ.AND p1 = r17; \
                SEL r17 = p1; STS r9 r17";
            list(code, text, &[]);
        });
        script.once(Who::All, vec![BROADCAST], |code| {
            list(
                code,
                &format!("BSYNC; {barrier}; LDS r17 = r9; ISETP.EQ.AND p0 = r17; BRA p0"),
                &[],
            );
        });
    }

    /// The parts of a row become its number. Which CTA is last is chance on silicon; here it is the one with the highest
    /// number.
    fn join(&self, script: &mut Script<'_>, how: Combine) {
        script.once(Who::All, vec![], |code| {
            list(
                code,
                "MEMBAR.SC.GPU; MOV r12; ISETP.GE.U32.AND p0 = r2; BRA p0",
                &[],
            );
        });
        let parts = RowPlace {
            shared_by: self.parts,
            ..RowPlace::rows(2, 4, self.parts)
        };
        let parts = vec![Place::Row(parts)];
        script.each(Span::Singles(self.parts), parts, |code| {
            let load = code.global("LDG", 4);
            list(
                code,
                &format!("IMAD.WIDE.U32 r6 = r2; {load} r16 = r6"),
                &[],
            );
            list(code, how.text(), &[("a", 12), ("b", 16), ("p", 1)]);
            list(code, "IADD3 r2 = r2; ISETP.GE.U32.AND p0 = r2; BRA p0", &[]);
        });
        shuffled(script, how, THREADS, [12, 12, 20]);
        self.store(script);
    }
}

impl KernelGenerator for Reduce {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "reduce_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let warps = THREADS / 32;
        let ctas = match self.by_cta() {
            true => self.rows.saturating_mul(self.parts),
            false => self.rows.div_ceil(warps),
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
        let steps = Script::of(&mut code, |script| self.steps(script));
        let shape = [
            self.rows * self.parts,
            self.of_part(),
            if self.by_cta() { THREADS } else { 32 },
        ];
        let mut program = RowProgram::cta_a_row(self.arrays, shape, steps, patterns);
        program.parts = self.parts;
        let block = match self.by_cta() {
            true => [THREADS as u32, 1, 1],
            false => {
                program.cta_warp_rows = warps as u32;
                [32, warps as u32, 1]
            }
        };
        Ok(Assembly {
            name: format!("reduce_kernel<512, {}> {}", self.vector(), self.data.name()),
            grid: match self.parts {
                1 => line(ctas),
                parts => [self.rows as u32, parts as u32, 1],
            },
            block,
            registers: 32,
            smem_bytes: if self.by_cta() { 4 * THREADS as u32 } else { 0 },
            code,
            generator: per_warp(THREADS as u32, program),
        })
    }
}

impl KernelGenerator for GatherRows {
    moves_arrays!();

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
        let index = Place::PerRow {
            operand: 1,
            bytes: 8,
        };
        let table = RowPlace {
            table: self.table,
            ..RowPlace::rows(0, bytes, self.cols)
        };
        let result = RowPlace::rows(2, bytes, self.cols);
        let steps = Script::of(&mut code, |script| {
            script.once(Who::All, vec![index], |code| {
            code.entry();
            let load = code.global("LDG", 8);
            list(code, &format!("S2R r3; MOV r4; IMAD.WIDE.U32 r4 = r3 c1; {load} r4 = r4; S2R r2; ISETP.GE.AND p0 = r4"), &[]);
            list(code, "SEL r6 = r4 p0; IADD3 r6 = r6; IMAD.WIDE.U32 r8 = r6 c0; IMAD r9 = r7 r9", &[]);
        });
            script.each(Span::Vectors(vector), vec![Place::Row(table), Place::Row(result)], |code| {
            let (load, store) = (code.global("LDG", vector * bytes), code.global("STG", vector * bytes));
            let text = "IADD3 r10 = r2 r8; IADD3.X r11 = r9; IMAD.WIDE.U32 r12 = r3 c2";
            list(code, &format!("{text}; {load} r16 = r10; {store} r12 r16; IADD3 r2 = r2; ISETP.GE.AND p0 = r2; BRA p0"), &[]);
        });
            script.once(Who::All, vec![], |code| {
                list(code, "EXIT", &[]);
            });
        });
        let shape = [self.rows, self.cols, threads];
        let program = RowProgram::cta_a_row(self.arrays, shape, steps, patterns);
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
