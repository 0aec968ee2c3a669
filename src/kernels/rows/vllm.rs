//! Kernels of vLLM: a CTA a token, elements one by one unless said otherwise.

use super::chains::{chain, narrow, widen};
use super::combine::{BROADCAST, Combine, shuffled};
use super::program::{Contiguous, Place, RowPlace, RowProgram, Script, Span, Who};
use super::script::list;
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, EDGE_MAX, Function};
use crate::kernels::rows::chains::{DIVIDE, RSQRT};
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, line, moves_arrays, per_warp,
};

family! {
    /// a / root mean square * weight of each row (`rms_norm_kernel`); or of the sum of a row and a residual, which is kept
    /// in the residual's place (`fused_add_rms_norm_kernel`, in place). Operands: the rows, weights, the result or the
    /// residual.
    pub struct RmsNorm of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(4096, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// a residual is added first: 1
        pub add: u64 = "add" count(0, 0, 1),
        /// elements of an access
        pub vector: u64 = "vector" count(1, 1, 8),
        /// threads of a CTA
        pub block: u64 = "block" count(1024, 1, 1024),
    }
}

family! {
    /// silu(a) * b, a and b the halves of each row (`act_and_mul_kernel`). Operands: the rows, the result.
    pub struct SiluAndMul of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row of the result
        pub cols: u64 = "cols" count(4096, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

pub(in crate::kernels) fn check(rows: u64, data: DataType) -> Result<(), Fault> {
    if data.bytes() == 1 {
        return Err(Fault::field("type", data.name(), "no kernel for it"));
    }
    match rows > GRID_MAX {
        true => Err(Fault::field("rows", rows, "too many CTAs")),
        false => Ok(()),
    }
}

/// What `assemble` makes of a program of one CTA a row.
pub(in crate::kernels) struct Made {
    pub name: String,
    pub arrays: Arrays,
    pub rows: u64,
    pub cols: u64,
    pub threads: u64,
    pub registers: u16,
    pub smem_bytes: u32,
}

impl Made {
    pub fn assemble(self, gpu: &GpuSpec, steps: impl FnOnce(&mut Script<'_>)) -> Assembly {
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let steps = Script::of(&mut code, |script| {
            script.once(Who::All, vec![], |code| {
                code.entry();
            });
            steps(script);
            script.once(Who::All, vec![], |code| {
                list(code, "EXIT", &[]);
            });
        });
        let shape = [self.rows, self.cols, self.threads];
        let program = RowProgram::cta_a_row(self.arrays, shape, steps, patterns);
        Assembly {
            name: self.name,
            grid: line(self.rows),
            block: [self.threads as u32, 1, 1],
            registers: self.registers,
            smem_bytes: self.smem_bytes,
            code,
            generator: per_warp(self.threads as u32, program),
        }
    }
}

/// Registers: r2 thread, r3 index, r4 to r9 addresses, r10 sum, then row's factor; data from r16, in FP32 from r24.
const DATA: u16 = 16;
const WIDE: u16 = 24;
const OTHER: u16 = 32;
const WIDE_OTHER: u16 = 40;

/// The end of a loop's body.
const AGAIN: &str = "IADD3 r3 = r3; ISETP.GE.AND p0 = r3; BRA p0";

impl RmsNorm {
    fn row(&self, operand: usize) -> Place {
        Place::Row(RowPlace::rows(operand, self.data.bytes(), self.cols))
    }

    fn wide(&self, loaded: u16, wide: u16) -> u16 {
        if self.data.bytes() == 4 { loaded } else { wide }
    }

    fn bytes(&self) -> u64 {
        self.vector * self.data.bytes()
    }

    /// Squares of the row, or of its sum with the residual, which goes to memory and to `DATA`.
    fn squares(&self, script: &mut Script<'_>) {
        let (count, data) = (self.vector as u16, self.data);
        let places = match self.add {
            1 => vec![self.row(0), self.row(2), self.row(2)],
            _ => vec![self.row(0)],
        };
        script.each(Span::Vectors(self.vector), places, |code| {
            let load = code.global("LDG", self.bytes());
            let address = "IMAD r4 = r8; IADD3 r5 = r4 r3; LEA.HI.X.SX32 r6 = r3; LEA r4 = r5; LEA.HI.X r5 = r5 r6";
            list(code, &format!("{address}; {load} d = r4"), &[("d", DATA)]);
            let wide = self.wide(DATA, WIDE);
            if self.add == 1 {
                list(code, &format!("LEA r6 = r5; {load} o = r6"), &[("o", OTHER)]);
            }
            widen(code, data, count, DATA, wide);
            if self.add == 1 {
                let other = self.wide(OTHER, WIDE_OTHER);
                widen(code, data, count, OTHER, other);
                for e in 0..count {
                    list(code, "FADD x = x y", &[("x", wide + e), ("y", other + e)]);
                }
                narrow(code, data, count, wide, DATA);
                let store = code.global("STG", self.bytes());
                list(code, &format!("{store} r6 d"), &[("d", DATA)]);
            }
            for e in 0..count {
                list(code, "FFMA s = x x s", &[("x", wide + e), ("s", 10)]);
            }
            list(code, AGAIN, &[]);
        });
    }

    /// The first thread makes of the sum the factor, and gives it to all.
    fn factor(&self, script: &mut Script<'_>) {
        let barrier = script.code.barrier_text();
        script.once(Who::FIRST, vec![BROADCAST], |code| {
            let names = [
                ("x", 10),
                ("y", 12),
                ("z", 11),
                ("t", 13),
                ("u", 14),
                ("v", 15),
                ("p", 0),
            ];
            list(code, "I2F r12", &[]);
            list(code, DIVIDE, &names);
            list(code, "FADD r11 = r11", &[]);
            list(code, RSQRT, &[("x", 11), ("z", 10), ("p", 0)]);
            list(code, "STS r9 r10", &[]);
        });
        script.once(Who::All, vec![BROADCAST], |code| {
            list(
                code,
                &format!("BSYNC; {barrier}; LDS r10 = r9; MOV r3 = r2"),
                &[],
            );
        });
    }

    fn write(&self, script: &mut Script<'_>) {
        let (count, data) = (self.vector as u16, self.data);
        let weights = Place::Row(RowPlace::shared(1, data.bytes()));
        let (from, to) = if self.add == 1 { (2, 0) } else { (0, 2) };
        let places = vec![self.row(from), weights, self.row(to)];
        script.each(Span::Vectors(self.vector), places, |code| {
            let load = code.global("LDG", self.bytes());
            let address = "IADD3 r4 = r3; LEA.HI.X.SX32 r5 = r3; LEA r6 = r4; LEA.HI.X r7 = r4 r5";
            list(code, &format!("{address}; {load} d = r6"), &[("d", DATA)]);
            list(
                code,
                &format!("IMAD.WIDE r8 = r3; {load} o = r8"),
                &[("o", OTHER)],
            );
            let wide = self.wide(DATA, WIDE);
            widen(code, data, count, DATA, wide);
            for e in 0..count {
                list(code, "FMUL x = x r10", &[("x", wide + e)]);
            }
            // Rounded before it is multiplied by the weight.
            narrow(code, data, count, wide, DATA);
            let (text, packed) = match data {
                DataType::F16 => ("HMUL2 x = x y", count.div_ceil(2)),
                DataType::Bf16 => ("HFMA2.BF16_V2 x = x y", count.div_ceil(2)),
                _ => ("FMUL x = x y", count),
            };
            for e in 0..packed {
                list(code, text, &[("x", DATA + e), ("y", OTHER + e)]);
            }
            let store = code.global("STG", self.bytes());
            list(
                code,
                &format!("IMAD.WIDE.U32 r8 = r4; {store} r8 d"),
                &[("d", DATA)],
            );
            list(code, AGAIN, &[]);
        });
    }
}

impl KernelGenerator for RmsNorm {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "rms_norm_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        check(self.rows, self.data)?;
        if self.bytes() > 16
            || !self.vector.is_power_of_two()
            || !self.cols.is_multiple_of(self.vector)
        {
            let what =
                "vectors of 1, 2, 4 or 8 elements, 16 bytes at most, a whole number of them a row";
            return Err(Fault::field("vector", self.vector, what));
        }
        let form = if self.add == 1 {
            "fused_add_rms_norm_kernel"
        } else {
            "rms_norm_kernel"
        };
        let made = Made {
            name: format!("{form}<{}> {}", self.vector, self.data.name()),
            arrays: self.arrays,
            rows: self.rows,
            cols: self.cols,
            threads: self.block,
            registers: if self.vector == 1 { 16 } else { 32 },
            smem_bytes: 144,
        };
        Ok(made.assemble(gpu, |script| {
            script.once(Who::All, vec![], |code| {
                let start =
                    "S2R r2; MOV r10; ISETP.GE.AND p2 = r2; BSSY; BRA p2; S2R r8; MOV r3 = r2";
                list(code, start, &[]);
            });
            self.squares(script);
            shuffled(script, Combine::Sum, self.block, [10, 10, 12]);
            self.factor(script);
            self.write(script);
        }))
    }
}

impl KernelGenerator for SiluAndMul {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "silu_and_mul_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        check(self.rows, self.data)?;
        let bytes = self.data.bytes();
        let made = Made {
            name: format!("act_and_mul_kernel silu {}", self.data.name()),
            arrays: self.arrays,
            rows: self.rows,
            cols: self.cols,
            threads: self.cols.min(1024),
            registers: 24,
            smem_bytes: 0,
        };
        let half = |offset| RowPlace {
            offset,
            ..RowPlace::rows(0, bytes, 2 * self.cols)
        };
        let result = RowPlace::rows(1, bytes, self.cols);
        let places = vec![
            Place::Row(half(0)),
            Place::Row(half(self.cols)),
            Place::Row(result),
        ];
        Ok(made.assemble(gpu, |script| {
            script.once(Who::All, vec![], |code| {
                let start = "S2R r2; MOV r4; SHF r4 = r4; ISETP.GE.U32.AND p0 = r2; ISETP.GE.AND.EX p0 = r4 p0; S2R r3; \
                    MOV r5; IMAD r6 = r3; IMAD.WIDE.U32 r8 = r3; IMAD.IADD r6 = r6 r9; SHF.L.U64.HI r7 = r8 r6";
                list(code, start, &[]);
            });
            script.each(Span::Singles(self.cols), places, |code| self.silu_body(code));
        }))
    }
}

impl SiluAndMul {
    fn silu_body(&self, code: &mut KernelBuilder) {
        let (load, store) = (
            code.global("LDG", self.data.bytes()),
            code.global("STG", self.data.bytes()),
        );
        let half = self.data.bytes() == 2;
        let wide = if half { WIDE } else { DATA };
        let addresses =
            "LEA r10 = r8 r2; IMAD.X r11 = r5 r7; LEA r12 = r10 c1; LEA.HI.X r13 = r10 r11 c1";
        list(
            code,
            &format!("{addresses}; {load} d = r12"),
            &[("d", DATA)],
        );
        let second = "MOV r11; LEA r14 = r11 r12; LEA.HI.X r15 = r11 r13; MOV k; MOV r3";
        list(
            code,
            &format!("{second}; {load} o = r14"),
            &[("o", OTHER), ("k", 48)],
        );
        widen(code, self.data, 1, DATA, wide);
        let names = vec![
            ("x", wide),
            ("z", WIDE_OTHER),
            ("t", 41),
            ("u", 42),
            ("v", 43),
            ("s", 44),
            ("k", 48),
            ("p", 0),
        ];
        chain(Function::Silu).append(code, &[names]);
        narrow(code, self.data, 1, WIDE_OTHER, WIDE_OTHER);
        let product = if half {
            "HMUL2 x = x y"
        } else {
            "FMUL x = x y"
        };
        list(
            code,
            &format!("IADD3 r11 = r2 r8; {product}"),
            &[("x", WIDE_OTHER), ("y", OTHER)],
        );
        let end = "IMAD.X r10 = r5 r6; LEA r10 = r11 c0; LEA.HI.X r11 = r11 r10 c0; IADD3 r2 = r2";
        let again = "IMAD.X r5 = r5; ISETP.GE.U32.AND p0 = r2; ISETP.GE.AND.EX p0 = r5 p0; BRA p0";
        list(
            code,
            &format!("{end}; {store} r10 x; {again}"),
            &[("x", WIDE_OTHER)],
        );
    }
}
