//! Kernels without device memory traffic: empty, FFMA chains, barriers.

use super::builder::{KernelBuilder, p, r, ur, warp_mask};
use super::fields::family;
use super::{Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, insts, line, per_warp};
use crate::config::GpuSpec;
use crate::trace::CtaEncoder;
use std::ops::Range;

family! {
    /// A kernel that returns at once: 2 instructions a warp.
    pub struct Empty {
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(128, 1, 1024),
    }
}

family! {
    /// One dependent FFMA chain a thread, in the shape of a measured kernel on sm_90: 8 instructions, and 132 (128 FFMA) an
    /// iteration.
    pub struct FfmaChain {
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(128, 1, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(10, 1, 10_000_000),
    }
}

family! {
    /// Independent FFMA chains: 6 instructions and 2 a chain, and 123 (120 FFMA) an iteration.
    pub struct FfmaChains {
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(128, 1, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(10, 1, 10_000_000),
        /// chains of a thread
        pub chains: u64 = "ilp" count(4, 1, 24),
    }
}

family! {
    /// CTA barriers in a loop: 3 instructions, and 4 (one BAR) an iteration.
    pub struct BarrierLoop {
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(128, 1, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(10, 1, 10_000_000),
    }
}

/// A prologue, a loop whose last branch falls through, an epilogue.
pub(super) struct Loop {
    pub(super) threads: u32,
    /// Ends of prologue, body and epilogue in the code table.
    pub(super) prologue: u32,
    pub(super) body: u32,
    pub(super) end: u32,
    pub(super) iterations: u64,
    /// The early exit that nobody takes, when there is one.
    pub(super) untaken_exit: Option<u32>,
}

impl Loop {
    /// Warps of `threads` threads that run instructions `prologue..body` of `code`, which is complete,
    /// so many times.
    pub(super) fn over(
        code: &KernelBuilder,
        (prologue, body): (u32, u32),
        threads: u32,
        iterations: u64,
    ) -> Self {
        Loop {
            threads,
            prologue,
            body,
            end: code.here(),
            iterations,
            untaken_exit: None,
        }
    }

    fn straight(threads: u32, end: u32) -> Self {
        Loop {
            threads,
            prologue: end,
            body: end,
            end,
            iterations: 0,
            untaken_exit: None,
        }
    }
}

impl WarpGenerator for Loop {
    fn warp(&self, _cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let mask = warp_mask(self.threads, warp);
        for index in 0..self.prologue {
            let taken = self.untaken_exit != Some(index);
            out.inst(index, if taken { mask } else { 0 });
        }
        for iteration in 0..self.iterations {
            if out.full() {
                return;
            }
            insts(out, self.prologue..self.body - 1, mask);
            // A branch that is not taken has no active lanes, as tracers record it.
            let taken = iteration + 1 < self.iterations;
            out.inst(self.body - 1, if taken { mask } else { 0 });
        }
        insts(out, self.body..self.end, mask);
    }
}

/// A kernel of `ctas` CTAs whose warps all run `generator`.
pub(super) fn assembly(
    name: &str,
    ctas: u64,
    code: KernelBuilder,
    registers: u16,
    generator: Loop,
) -> Assembly {
    let block = generator.threads;
    Assembly {
        name: name.into(),
        grid: line(ctas),
        block: [block, 1, 1],
        registers,
        smem_bytes: 0,
        code,
        generator: per_warp(block, generator),
    }
}

/// Counter of a loop: on the uniform datapath where there is one.
pub(super) struct Counter {
    uniform: bool,
}

impl Counter {
    pub(super) fn of(code: &KernelBuilder) -> Self {
        Counter {
            uniform: code.sm_version() >= 75,
        }
    }

    pub(super) fn set(&self, code: &mut KernelBuilder) {
        match self.uniform {
            true => code.inst("UMOV", &[ur(4)], &[]),
            false => code.inst("MOV", &[r(5)], &[]),
        };
    }

    pub(super) fn advance(&self, code: &mut KernelBuilder) {
        match self.uniform {
            true => code.inst_imm("UIADD3", &[ur(4)], &[ur(4)], 1),
            false => code.inst_imm("IADD3", &[r(5)], &[r(5)], 1),
        };
    }

    pub(super) fn compare(&self, code: &mut KernelBuilder) {
        let counter = if self.uniform { ur(4) } else { r(5) };
        code.inst("ISETP.LE.AND", &[p(0)], &[r(2), counter]);
    }
}

impl KernelGenerator for Empty {
    fn name(&self) -> &'static str {
        "empty"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        code.inst("EXIT", &[], &[]);
        let generator = Loop::straight(self.block, 2);
        Ok(assembly("empty", self.grid, code, 16, generator))
    }
}

impl KernelGenerator for FfmaChain {
    fn name(&self) -> &'static str {
        "ffma"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        // The shape of a measured kernel on sm_90: its loop counter and comparison sit behind the first
        // FFMAs, so that only the branch itself interrupts the chain.
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let load = if code.sm_version() >= 90 {
            "LDC"
        } else {
            "MOV"
        };
        let zero = if matches!(code.sm_version(), 80 | 90) {
            "HFMA2.MMA"
        } else {
            "MOV"
        };
        code.entry();
        let trips = code.parameter(0);
        code.inst_const(load, &[r(2)], &[], trips);
        code.inst("ISETP.GE.AND", &[p(0)], &[r(2)]);
        let exit = code.inst("EXIT", &[], &[p(0)]);
        code.inst(zero, &[r(3)], &[]);
        let counter = Counter::of(&code);
        counter.set(&mut code);
        let prologue = code.here();
        code.inst_imm("MOV", &[r(0)], &[], 0x3fff_ff07);
        counter.advance(&mut code);
        code.inst("FFMA", &[r(3)], &[r(3), r(0)]);
        counter.compare(&mut code);
        for _ in 1..128 {
            code.inst("FFMA", &[r(3)], &[r(3), r(0)]);
        }
        code.branch(prologue);
        let body = code.here();
        code.inst("FSETP.NEU.AND", &[p(1)], &[r(3)]);
        code.inst("EXIT", &[], &[]);
        let generator = Loop {
            untaken_exit: Some(exit),
            ..Loop::over(&code, (prologue, body), self.block, self.iterations)
        };
        Ok(assembly("ffma", self.grid, code, 24, generator))
    }
}

impl KernelGenerator for FfmaChains {
    fn name(&self) -> &'static str {
        "ffma_ilp"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        // Register `R4 + i` of each chain is multiplied with a register of the other bank, so that no
        // operand read conflicts even without the reuse cache.
        let chains = self.chains as u16;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        let counter = Counter::of(&code);
        counter.set(&mut code);
        code.inst("MOV", &[r(2)], &[]);
        code.inst("MOV", &[r(3)], &[]);
        let chain = |i: u16| r(8 + i % chains);
        for i in 0..chains {
            code.inst("MOV", &[chain(i)], &[]);
        }
        let prologue = code.here();
        counter.advance(&mut code);
        for i in 0..120 {
            let other = r(2 + (1 + i % chains) % 2);
            code.inst("FFMA", &[chain(i)], &[chain(i), other]);
            if i == 60 {
                counter.compare(&mut code);
            }
        }
        code.branch(prologue);
        let body = code.here();
        for i in 0..chains {
            code.inst("FADD", &[r(6)], &[r(6), chain(i)]);
        }
        code.inst("FSETP.NEU.AND", &[p(1)], &[r(6)]);
        code.inst("EXIT", &[], &[]);
        let generator = Loop::over(&code, (prologue, body), self.block, self.iterations);
        Ok(assembly("ffma_ilp", self.grid, code, 40, generator))
    }
}

impl KernelGenerator for BarrierLoop {
    fn name(&self) -> &'static str {
        "barrier"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        let counter = Counter::of(&code);
        counter.set(&mut code);
        let prologue = code.here();
        let barrier = code.barrier_text();
        code.inst(barrier, &[], &[]);
        counter.advance(&mut code);
        counter.compare(&mut code);
        code.branch(prologue);
        let body = code.here();
        code.inst("EXIT", &[], &[]);
        let generator = Loop::over(&code, (prologue, body), self.block, self.iterations);
        Ok(assembly("barrier", self.grid, code, 16, generator))
    }
}
