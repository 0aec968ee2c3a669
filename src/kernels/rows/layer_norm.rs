//! Layer norm of rows as PyTorch has it.

use super::chains::{DIVIDE, RECIPROCAL, RSQRT, narrow, widen};
use super::program::{Contiguous, Place, RowPlace, RowProgram, Script, SharedPlace, Span, Who};
use super::script::list;
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, EDGE_MAX};
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, line, moves_arrays, per_warp,
};

family! {
    /// (a - mean) / deviation * weight + bias of each row, by vectors of 4: Welford's moments by one CTA of 128 threads a
    /// row, then a second pass. Operands: the rows, weights, biases, the result, means, reciprocal deviations.
    pub struct LayerNorm of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row, a multiple of 4
        pub cols: u64 = "cols" count(1024, 4, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

/// Elements of an access.
pub const VECTOR: u64 = 4;
const WARPS: u32 = 4;
const THREADS: u64 = 32 * WARPS as u64;

/// Registers: r2 thread, r3 index, r4 to r8 addresses, r10 mean, r11 sum of squares, r12 count.
const MOMENTS: [(&str, u16); 3] = [("m", 10), ("q", 11), ("n", 12)];
const DATA: u16 = 16;
const WIDE: u16 = 20;
const WEIGHT: u16 = 24;
const BIAS: u16 = 28;
const WIDE_WEIGHT: u16 = 32;
const WIDE_BIAS: u16 = 36;

/// The names of a reciprocal.
fn reciprocal(of: u16, to: u16) -> [(&'static str, u16); 5] {
    [("y", of), ("z", to), ("t", 40), ("u", 41), ("p", 0)]
}

/// Moments with one more element `x`.
fn append_element(code: &mut KernelBuilder, x: u16) {
    let names = [&MOMENTS[..], &[("x", x), ("d", 42), ("e", 43), ("r", 44)]].concat();
    list(code, "FADD n = n; FADD d = x m", &names);
    list(code, RECIPROCAL, &reciprocal(12, 44));
    list(code, "FFMA m = d r m; FADD e = x m; FFMA q = d e q", &names);
}

/// Moments joined with those of another part, in r13 to r15. Of two empty parts nothing comes.
fn append_join(code: &mut KernelBuilder) {
    let names = [
        &MOMENTS[..],
        &[("b", 13), ("c", 14), ("o", 15), ("d", 42), ("r", 44)],
    ]
    .concat();
    list(
        code,
        "FSETP.GT.AND p0 = n o; BSSY; MOV r45; CS2R r46; BRA p0",
        &names,
    );
    list(code, "FADD r45 = o n; FADD d = b m", &names);
    list(code, RECIPROCAL, &reciprocal(45, 44));
    let join = "FMUL d = d d; FMUL r46 = r n; FADD q = c q; FMUL d = o d; FMUL r = o r; FMUL m = r46 m; \
        FFMA q = r46 d q; MOV n = r45; FFMA m = b r m; BSYNC";
    list(code, join, &names);
}

fn shared(base: u64) -> Place {
    Place::Shared(SharedPlace {
        base,
        lane: 0,
        warp: 0,
    })
}

impl LayerNorm {
    fn row(&self, operand: usize) -> Place {
        Place::Row(RowPlace::rows(operand, self.data.bytes(), self.cols))
    }

    fn weights(&self, operand: usize) -> Place {
        Place::Row(RowPlace::shared(operand, self.data.bytes()))
    }

    fn load(&self, code: &mut KernelBuilder, register: u16) {
        let load = code.global("LDG", VECTOR * self.data.bytes());
        list(code, &format!("{load} d = r4"), &[("d", register)]);
    }

    fn wide(&self, loaded: u16, wide: u16) -> u16 {
        if self.data.bytes() == 4 { loaded } else { wide }
    }

    fn moments(&self, script: &mut Script<'_>) {
        script.once(Who::All, vec![], |code| {
            code.entry();
            let start = "S2R r9; S2R r3; S2R r2; MOV r12; CS2R r10; IMAD r3 = r3 r2; IMAD.WIDE r4 = r9 c0; \
                SHF r8 = r9; LEA r4 = r4 c2; LEA.HI.X r5 = r5 c2; SHF r6 = r6; ISETP.GE.AND p2 = r3 r6; BRA p2";
            list(code, start, &[]);
        });
        // Divisions branch, so that the load of the next vector waits for this one's moments.
        script.each(Span::Vectors(VECTOR), vec![self.row(0)], |code| {
            list(code, "IMAD.WIDE r4 = r3 r4", &[]);
            self.load(code, DATA);
            let wide = self.wide(DATA, WIDE);
            widen(code, self.data, VECTOR as u16, DATA, wide);
            for e in 0..VECTOR as u16 {
                append_element(code, wide + e);
            }
            list(code, "IADD3 r3 = r3; ISETP.NE.AND p0 = r3; BRA p0", &[]);
        });
        script.once(Who::All, vec![], |code| {
            list(code, "BSYNC", &[]);
            for _ in 0..5 {
                list(
                    code,
                    "SHFL.DOWN r15 = r12; SHFL.DOWN r13 = r10; SHFL.DOWN r14 = r11",
                    &[],
                );
                append_join(code);
            }
        });
    }

    /// Half of the warps give their moments to the other half, until one has all.
    fn join_warps(&self, script: &mut Script<'_>) {
        let barrier = script.code.barrier_text();
        let mut half = WARPS / 2;
        while half > 0 {
            let warps = |from, to| Who::Lanes {
                warps: (from, to),
                lanes: 1,
            };
            script.once(Who::All, vec![], |code| {
                list(
                    code,
                    "ISETP.GE.AND p0 = r2; ISETP.LT.AND p0 = r2 p0; BRA p0",
                    &[],
                );
            });
            let three = || (0..3).map(|n| shared(4 * n)).collect();
            script.once(warps(half, 2 * half), three(), |code| {
                list(code, "STS r9 r10; STS r9 r11; STS r9 r12", &[]);
            });
            script.once(Who::All, vec![], |code| {
                list(
                    code,
                    &format!("BSYNC; {barrier}; ISETP.LT.AND p0 = r2; BSSY; BRA p0"),
                    &[],
                );
            });
            script.once(warps(0, half), three(), |code| {
                list(code, "LDS r13 = r9; LDS r14 = r9; LDS r15 = r9", &[]);
                append_join(code);
            });
            script.once(Who::All, vec![], |code| {
                list(code, &format!("BSYNC; {barrier}"), &[]);
            });
            half /= 2;
        }
        script.once(Who::FIRST, vec![shared(0), shared(4)], |code| {
            let names = [
                ("x", 11),
                ("y", 13),
                ("z", 14),
                ("t", 40),
                ("u", 41),
                ("v", 42),
                ("p", 0),
            ];
            list(code, "I2F r13; STS r9 r10", &[]);
            list(code, DIVIDE, &names);
            list(code, "STS r9 r14", &[]);
        });
        script.once(Who::All, vec![shared(0), shared(4)], |code| {
            list(
                code,
                &format!("{barrier}; LDS r10 = r9; LDS r11 = r9; FADD r11 = r11"),
                &[],
            );
            list(code, RSQRT, &[("x", 11), ("z", 11), ("p", 0)]);
            list(code, "ISETP.NE.AND p0; BRA p0; MOV r3 = r2; BRA p2", &[]);
        });
    }

    fn write(&self, script: &mut Script<'_>) {
        let places = vec![self.row(0), self.weights(1), self.weights(2), self.row(3)];
        script.each(Span::Vectors(VECTOR), places, |code| {
            let count = VECTOR as u16;
            list(
                code,
                "IMAD.WIDE r4 = r3 r4; IMAD.WIDE r6 = r3; IMAD.WIDE r8 = r3",
                &[],
            );
            let loads = [(DATA, WIDE), (WEIGHT, WIDE_WEIGHT), (BIAS, WIDE_BIAS)];
            for (loaded, _) in loads {
                self.load(code, loaded);
            }
            for (loaded, wide) in loads {
                widen(code, self.data, count, loaded, self.wide(loaded, wide));
            }
            let [x, g, b] = loads.map(|(loaded, wide)| self.wide(loaded, wide));
            for text in ["FADD x = x r10", "FMUL x = x r11", "FFMA x = g x b"] {
                for e in 0..count {
                    list(code, text, &[("x", x + e), ("g", g + e), ("b", b + e)]);
                }
            }
            narrow(code, self.data, count, x, DATA);
            let store = code.global("STG", VECTOR * self.data.bytes());
            list(
                code,
                &format!("IMAD.WIDE r8 = r3; {store} r8 d"),
                &[("d", DATA)],
            );
            list(code, "IADD3 r3 = r3; ISETP.GE.AND p0 = r3; BRA p0", &[]);
        });
        script.once(Who::All, vec![], |code| {
            list(code, "ISETP.NE.AND p0 = r2", &[]);
        });
        let per_row = |operand| Place::PerRow { operand, bytes: 4 };
        script.once(Who::FIRST, vec![per_row(4), per_row(5)], |code| {
            let store = code.global("STG", 4);
            let text =
                format!("IMAD.WIDE r4 = r8; {store} r4 r10; IMAD.WIDE r6 = r8; {store} r6 r11");
            list(code, &text, &[]);
        });
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
    }
}

impl KernelGenerator for LayerNorm {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "layer_norm_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        if self.data.bytes() == 1 {
            return Err(Fault::field(
                "type",
                self.data.name(),
                "no layer norm for it",
            ));
        }
        if !self.cols.is_multiple_of(VECTOR) {
            return Err(Fault::field("cols", self.cols, "not a multiple of 4"));
        }
        if self.rows > GRID_MAX {
            return Err(Fault::field("rows", self.rows, "too many CTAs"));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let steps = Script::of(&mut code, |script| {
            self.moments(script);
            self.join_warps(script);
            self.write(script);
        });
        let shape = [self.rows, self.cols, THREADS];
        let program = RowProgram::cta_a_row(self.arrays, shape, steps, patterns);
        Ok(Assembly {
            name: format!("vectorized_layer_norm_kernel {}", self.data.name()),
            grid: line(self.rows),
            block: [32, WARPS, 1],
            registers: if gpu.compute_capability < 80 { 40 } else { 32 },
            smem_bytes: WARPS * 4 * 3 / 2,
            code,
            generator: per_warp(THREADS as u32, program),
        })
    }
}
