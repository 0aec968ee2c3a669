//! Kernels that look at one cache: strided L1 hits, code of any length, constants over any range.

use super::builder::{FULL, KernelBuilder, p, r};
use super::compute::{Counter, Loop};
use super::fields::{family, names};
use super::{Assembly, Fault, KernelGenerator, WarpGenerator, array, insts, line, per_warp};
use crate::config::GpuSpec;
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

names! {
    /// Type of an element.
    pub enum ElementType {
        /// Four bytes.
        Float = "float",
        /// Eight bytes.
        Double = "double",
    }
}

names! {
    /// Which elements the threads of a CTA read.
    pub enum Pattern {
        /// (thread mod 64) strides apart.
        Stride = "stride",
        /// Tiles of so many columns, in rows 4098 elements apart.
        Block = "block",
    }
}

family! {
    /// One CTA of 1024 threads, 8 loads an iteration that hit L1, strided or as 2-D tiles.
    pub struct Strides {
        /// element
        pub element: ElementType = "dtype" name(ElementType::NAMES),
        /// (thread mod 64) strides apart, or tiles of so many columns in rows 4098 elements apart
        pub pattern: Pattern = "pattern" name(Pattern::NAMES),
        /// stride in elements, or columns
        pub param: u64 = "param" count(1, 0, 4096),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(8, 1, 1_000_000),
    }
}

family! {
    /// A loop of so many bytes of FFMA in 8 chains.
    pub struct CodeLoop {
        /// length of the body
        pub bytes: u64 = "bytes" bytes(4096, 256, 1 << 20),
        /// threads of a CTA
        pub block: u32 = "block" count(32, 1, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(8, 1, 1_000_000),
    }
}

family! {
    /// FFMA with a constant operand, each in the next line of so many bytes of constants.
    pub struct Constants {
        /// range of the constants
        pub bytes: u64 = "bytes" bytes(1024, 64, 1 << 16),
        /// distance of two of them
        pub stride: u64 = "stride" bytes(64, 4, 1 << 16),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(8, 1, 1_000_000),
    }
}

family! {
    /// 16 CTA barriers an iteration.
    pub struct Barriers {
        /// threads of the CTA
        pub block: u32 = "block" count(32, 32, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(8, 1, 1_000_000),
    }
}

/// Offsets in elements of the loads of an iteration.
const OFFSETS: [u64; 8] = [0, 4, 8, 12, 20, 16, 24, 28];
/// Threads of the CTA.
const THREADS: u64 = 1024;
/// Elements of a row.
const PITCH: u64 = 4098;

struct StrideWarps {
    body: u32,
    iterations: u64,
    width: u64,
    /// First element and lane pattern of each warp.
    warps: Vec<(u64, PatternId)>,
}

impl WarpGenerator for StrideWarps {
    fn warp(&self, _cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        insts(out, 0..self.body, FULL);
        let (first, pattern) = self.warps[warp as usize];
        for iteration in 0..self.iterations {
            if out.full() {
                return;
            }
            for (n, offset) in OFFSETS.iter().enumerate() {
                let at = self.body + n as u32;
                out.inst(at, FULL);
                out.access_pattern(at, array(0) + (first + offset) * self.width, pattern);
            }
            let branch = self.body + 8 + 4 + 2;
            insts(out, self.body + 8..branch, FULL);
            let more = iteration + 1 < self.iterations;
            out.inst(branch, if more { FULL } else { 0 });
        }
        out.inst(self.body + 15, FULL);
    }
}

impl Strides {
    /// The first element of thread `thread`.
    fn first_element(&self, thread: u64) -> u64 {
        match self.pattern {
            Pattern::Stride => thread % 64 * self.param,
            Pattern::Block => {
                let (x, y) = (thread % self.param, thread / self.param);
                x % 64 + y % 32 * PITCH + PITCH
            }
        }
    }
}

impl KernelGenerator for Strides {
    fn name(&self) -> &'static str {
        "strides"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        if self.pattern == Pattern::Block && !(1..=THREADS).contains(&self.param) {
            return Err(Fault::field(
                "param",
                self.param,
                "a tile has 1 to 1024 columns",
            ));
        }
        let double = self.element == ElementType::Double;
        let width = if double { 8 } else { 4 };
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        code.thread_number();
        let parameter = code.parameter(0);
        code.inst_const("IMAD.WIDE", &[r(2)], &[r(0), r(3)], parameter);
        code.inst("MOV", &[r(7)], &[]);
        let body = code.here();
        let text = code.global("LDG", width);
        let registers = if double { 2 } else { 1 };
        let data = |n: u16| r(16 + n * registers);
        for n in 0..8 {
            code.inst(&text, &[data(n)], &[r(2)]);
        }
        let text = if double { "DFMA" } else { "FFMA" };
        for n in 0..4 {
            code.inst(text, &[r(8)], &[r(8), data(2 * n), data(2 * n + 1)]);
        }
        code.inst_imm("IADD3", &[r(7)], &[r(7)], 1);
        code.inst("ISETP.NE.AND", &[p(0)], &[r(7)]);
        code.branch(body);
        code.inst("EXIT", &[], &[]);
        let mut warps = Vec::new();
        for warp in 0..THREADS / 32 {
            let base = self.first_element(warp * 32);
            // Offsets may lie before the first lane's; the pattern holds signed ones.
            let offset = |lane| self.first_element(warp * 32 + lane) * width + (1 << 32);
            let pattern = code.pattern(FULL, width, offset);
            warps.push((base, pattern));
        }
        let generator = StrideWarps {
            body,
            iterations: self.iterations,
            width,
            warps,
        };
        Ok(Assembly {
            name: "strides".into(),
            grid: [1, 1, 1],
            block: [THREADS as u32, 1, 1],
            registers: 32,
            smem_bytes: 0,
            code,
            generator: per_warp(THREADS as u32, generator),
        })
    }
}

/// A loop of one warp or more around what `body` appends.
fn looped(
    name: &str,
    iterations: u64,
    block: u32,
    gpu: &GpuSpec,
    append: impl FnOnce(&mut KernelBuilder),
) -> Assembly {
    let mut code = KernelBuilder::new(gpu.compute_capability);
    code.entry();
    let counter = Counter::of(&code);
    counter.set(&mut code);
    code.inst("MOV", &[r(2)], &[]);
    code.inst("MOV", &[r(3)], &[]);
    let prologue = code.here();
    counter.advance(&mut code);
    append(&mut code);
    counter.compare(&mut code);
    code.branch(prologue);
    let body = code.here();
    code.inst("EXIT", &[], &[]);
    let generator = Loop::over(&code, (prologue, body), block, iterations);
    Assembly {
        name: name.into(),
        grid: line(1),
        block: [block, 1, 1],
        registers: 40,
        smem_bytes: 0,
        code,
        generator: per_warp(block, generator),
    }
}

impl KernelGenerator for CodeLoop {
    fn name(&self) -> &'static str {
        "code"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let count = self.bytes / 16;
        Ok(looped("code", self.iterations, self.block, gpu, |code| {
            for n in 0..count {
                let chain = r(16 + 2 * (n % 8) as u16);
                code.inst("FFMA", &[chain], &[chain, r(3)]);
            }
        }))
    }
}

impl KernelGenerator for Constants {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let count = (self.bytes / self.stride).max(1);
        Ok(looped("constant", self.iterations, 32, gpu, |code| {
            for n in 0..count {
                let chain = r(16);
                let offset = 0x400 + n * self.stride;
                code.inst_const("FFMA", &[chain], &[chain], offset as u32);
            }
        }))
    }
}

impl KernelGenerator for Barriers {
    fn name(&self) -> &'static str {
        "barriers"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        Ok(looped(
            "barriers",
            self.iterations,
            self.block,
            gpu,
            |code| {
                let text = code.barrier_text();
                for _ in 0..16 {
                    code.inst(text, &[], &[]);
                }
            },
        ))
    }
}
