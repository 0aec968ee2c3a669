//! Layer norm of rows that no vectors of 4 can be read from, as PyTorch has it: moments, then a pass that writes.
//!
//! `RowwiseMomentsCUDAKernel` (512 threads a row) and `LayerNormForwardCUDAKernel` (256 threads a row): one element at a
//! time, Welford's update with a division and a 64-bit count, joins by shuffles of five words.

use super::chains::{DIVIDE, RSQRT, narrow, widen};
use super::program::{Place, RowPlace, Script, SharedPlace, Span, Who};
use super::script::list;
use super::vllm::{Made, check};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, EDGE_MAX};
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays};

family! {
    /// Means and reciprocal deviations of rows. Operands: the rows and (numbers 4 and 5) means and reciprocal deviations.
    pub struct RowMoments of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(1023, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

family! {
    /// (a - mean) * reciprocal deviation * weight + bias. Operands: the rows, weights, biases, the result, means,
    /// reciprocal deviations.
    pub struct NormalizeRows of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(1023, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

/// Threads of the first kernel (`kCUDABlockReduceNumThreads`) and of the second (`kCUDANumThreads`).
const MOMENT_THREADS: u64 = 512;
const WRITE_THREADS: u64 = 256;
/// Bytes of moments in shared memory: mean, sum of squares, count in 64 bits, count as FP32; padded to 8.
const MOMENTS_BYTES: u64 = 24;

/// Registers: r2 thread, r3 and r4 index, r6 address, r10 mean, r11 sum of squares, r12 and r13 count, r14 count in
/// FP32; another's moments in r16 to r20.
const TEMPORARIES: [(&str, u16); 4] = [("t", 40), ("u", 41), ("v", 42), ("p", 0)];

/// r26 = x / y.
fn divide(code: &mut KernelBuilder, x: u16, y: u16) {
    let names = [&TEMPORARIES[..], &[("x", x), ("y", y), ("z", 26)]].concat();
    list(code, DIVIDE, &names);
}

/// Moments joined with another's, unless one of them is empty.
fn join(code: &mut KernelBuilder) {
    let start = "FSETP.NEU.AND p1 = r14; BSSY; BRA p1; FSETP.NEU.AND p1 = r20; BRA p1; FADD r24 = r16 r10; FADD r25 = r14 r20";
    list(code, start, &[]);
    divide(code, 20, 25);
    let end = "FFMA r10 = r24 r26 r10; FADD r11 = r11 r17; FMUL r27 = r24 r24; FMUL r27 = r27 r14; FFMA r11 = r27 r26 r11; \
        MOV r12; MOV r13; MOV r14 = r25; BSYNC";
    list(code, end, &[]);
}

fn join_lanes(code: &mut KernelBuilder) {
    for _ in 0..5 {
        for word in 0..5 {
            let names = [("a", 10 + word), ("b", 16 + word)];
            list(code, "SHFL.DOWN b = a", &names);
        }
        join(code);
    }
}

fn moments_at(offset: u64, lane: u64, warp: u64) -> Place {
    Place::Shared(SharedPlace {
        base: offset,
        lane,
        warp,
    })
}

impl RowMoments {
    fn steps(&self, script: &mut Script<'_>) {
        let (bytes, data) = (self.data.bytes(), self.data);
        script.once(Who::All, vec![], |code| {
            let start = "S2R r2; MOV r3; CS2R r10; CS2R r12; MOV r14; ISETP.GE.U32.AND p0 = r2; ISETP.GE.AND.EX p0 = r3 p0; \
                S2R r5; BSSY; BRA p0; IMAD.WIDE.U32 r6 = r5 r2; IMAD r7 = r5 r7";
            list(code, start, &[]);
        });
        let row = Place::Row(RowPlace::rows(0, bytes, self.cols));
        script.each(Span::Singles(self.cols), vec![row], |code| {
            let load = code.global("LDG", bytes);
            let address = "IADD3 r8 = r6 r2; IADD3.X r9 = r7 r3; LEA r8 = r8 c0; LEA.HI.X r9 = r9 c0";
            list(code, &format!("{address}; {load} r28 = r8"), &[]);
            widen(code, data, 1, 28, 28);
            let text = "IADD3 r12 = r12; IADD3.X r13 = r13; I2F.S64 r14 = r12; FADD r24 = r28 r10";
            list(code, text, &[]);
            divide(code, 24, 14);
            let text = "FADD r10 = r10 r26; FADD r25 = r28 r10; FFMA r11 = r24 r25 r11; IADD3 r2 = r2; IADD3.X r3 = r3; \
                ISETP.GE.U32.AND p0 = r2; ISETP.GE.AND.EX p0 = r3 p0; BRA p0";
            list(code, text, &[]);
        });
        let barrier = script.code.barrier_text();
        script.once(Who::All, vec![], |code| {
            list(code, "BSYNC", &[]);
            join_lanes(code);
            list(
                code,
                &format!("{barrier}; LOP3.LUT r5 = r2; ISETP.NE.AND p0 = r5; BRA p0"),
                &[],
            );
        });
        let places = [0, 8, 16].map(|offset| moments_at(offset, 0, MOMENTS_BYTES));
        script.once(Who::LEADERS, places.to_vec(), |code| {
            list(code, "STS.64 r9 r10; STS.64 r9 r12; STS r9 r14", &[]);
        });
        script.once(Who::All, vec![], |code| {
            let text = format!(
                "BSYNC; {barrier}; CS2R r10; CS2R r12; MOV r14; ISETP.GE.AND p0 = r2; BRA p0"
            );
            list(code, &text, &[]);
        });
        let lanes = |lanes| Who::Lanes {
            warps: (0, 1),
            lanes,
        };
        let places = [0, 8, 16].map(|offset| moments_at(offset, MOMENTS_BYTES, 0));
        script.once(lanes(MOMENT_THREADS / 32), places.to_vec(), |code| {
            list(code, "LDS.64 r10 = r9; LDS.64 r12 = r9; LDS r14 = r9", &[]);
        });
        script.once(lanes(32), vec![], join_lanes);
        let results = [4, 5].map(|operand| Place::PerRow { operand, bytes: 4 });
        script.once(Who::FIRST, results.to_vec(), |code| {
            let store = code.global("STG", 4);
            list(code, &format!("IMAD.WIDE r6 = r5 c1; {store} r6 r10"), &[]);
            divide(code, 11, 14);
            list(code, "FADD r26 = r26", &[]);
            list(code, RSQRT, &[("x", 26), ("z", 26), ("p", 0)]);
            list(code, &format!("IMAD.WIDE r6 = r5 c2; {store} r6 r26"), &[]);
        });
    }
}

impl NormalizeRows {
    fn steps(&self, script: &mut Script<'_>) {
        let (bytes, data) = (self.data.bytes(), self.data);
        script.once(Who::All, vec![], |code| {
            let start = "S2R r2; MOV r3; ISETP.GE.U32.AND p0 = r2; ISETP.GE.AND.EX p0 = r3 p0; S2R r5; BRA p0; \
                IMAD.WIDE.U32 r6 = r5 r2; IMAD r7 = r5 r7; IMAD.WIDE r20 = r5 c4; IMAD.WIDE r22 = r5 c5";
            list(code, start, &[]);
        });
        let per_row = |operand| Place::PerRow { operand, bytes: 4 };
        let places = vec![
            Place::Row(RowPlace::shared(1, bytes)),
            Place::Row(RowPlace::shared(2, bytes)),
            Place::Row(RowPlace::rows(0, bytes, self.cols)),
            per_row(4),
            per_row(5),
            Place::Row(RowPlace::rows(3, bytes, self.cols)),
        ];
        script.each(Span::Singles(self.cols), places, |code| {
            let (load, store) = (code.global("LDG", bytes), code.global("STG", bytes));
            let statistic = code.global("LDG", 4);
            let of_column = "ISETP.NE.AND p1; LEA r8 = r2 c1; LEA.HI.X r9 = r2 r3 c1";
            for to in [12, 13] {
                list(code, &format!("{of_column}; {load} d = r8"), &[("d", to)]);
            }
            let of_row = "IADD3 r10 = r6 r2; IADD3.X r11 = r7 r3; LEA r8 = r10 c0; LEA.HI.X r9 = r10 r11 c0";
            list(code, &format!("{of_row}; {load} r14 = r8"), &[]);
            list(code, &format!("{statistic} r15 = r20; {statistic} r16 = r22"), &[]);
            for value in [12, 13, 14] {
                widen(code, data, 1, value, value);
            }
            list(code, "FADD r14 = r14 r15; FMUL r14 = r14 r16; FFMA r14 = r14 r12 r13", &[]);
            narrow(code, data, 1, 14, 14);
            let text = format!(
                "LEA r8 = r10 c3; LEA.HI.X r9 = r10 r11 c3; {store} r8 r14; IADD3 r2 = r2; IADD3.X r3 = r3; \
                 ISETP.GE.U32.AND p0 = r2; ISETP.GE.AND.EX p0 = r3 p0; BRA p0"
            );
            list(code, &text, &[]);
        });
    }
}

impl KernelGenerator for RowMoments {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "row_moments_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        check(self.rows, self.data)?;
        let made = Made {
            name: format!("RowwiseMomentsCUDAKernel {}", self.data.name()),
            arrays: self.arrays,
            rows: self.rows,
            cols: self.cols,
            threads: MOMENT_THREADS,
            registers: 48,
            smem_bytes: 32 * MOMENTS_BYTES as u32,
        };
        Ok(made.assemble(gpu, |script| self.steps(script)))
    }
}

impl KernelGenerator for NormalizeRows {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "normalize_rows_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        check(self.rows, self.data)?;
        let made = Made {
            name: format!("LayerNormForwardCUDAKernel {}", self.data.name()),
            arrays: self.arrays,
            rows: self.rows,
            cols: self.cols,
            threads: WRITE_THREADS,
            registers: 24,
            smem_bytes: 0,
        };
        Ok(made.assemble(gpu, |script| self.steps(script)))
    }
}
