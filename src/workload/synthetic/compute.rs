//! Kernels without device memory traffic: empty, FFMA chains, barriers.

use super::builder::{KernelBuilder, p, r, ur, warp_mask};
use super::params::{Param, Params};
use super::{Entry, GRID, Made, WarpGenerator, insts, line, per_warp};
use crate::config::GpuSpec;
use crate::error::Result;
use crate::trace::CtaEncoder;

const BLOCK: Param = Param::count("block", 128, 1, 1024, "threads of a CTA");
const ITERS: Param = Param::count("iters", 10, 1, 10_000_000, "iterations of the loop");

pub(super) const EMPTY: Entry = Entry {
    name: "empty",
    doc: "a kernel that returns at once: 2 instructions a warp",
    params: &[GRID, BLOCK],
    make: |params, gpu| {
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        code.inst("EXIT", &[], &[]);
        let block = params.get32("block");
        let generator = Loop::straight(block, 2);
        Ok(made("empty", params, code, 16, generator))
    },
};

pub(super) const FFMA: Entry = Entry {
    name: "ffma",
    doc: "one dependent FFMA chain a thread: 8 instructions, and 132 (128 FFMA) an iteration",
    params: &[GRID, BLOCK, ITERS],
    make: ffma,
};

pub(super) const FFMA_ILP: Entry = Entry {
    name: "ffma_ilp",
    doc: "independent FFMA chains: 6 instructions and 2 a chain, and 123 (120 FFMA) an iteration",
    params: &[
        GRID,
        BLOCK,
        ITERS,
        Param::count("ilp", 4, 1, 24, "chains of a thread"),
    ],
    make: ffma_ilp,
};

pub(super) const BARRIER: Entry = Entry {
    name: "barrier",
    doc: "CTA barriers in a loop: 3 instructions, and 4 (one BAR) an iteration",
    params: &[GRID, BLOCK, ITERS],
    make: barrier,
};

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
    fn warp(&self, _cta: u64, warp: u32, out: &mut CtaEncoder) {
        let mask = warp_mask(self.threads, warp);
        for index in 0..self.prologue {
            let taken = self.untaken_exit != Some(index);
            out.inst(index, if taken { mask } else { 0 });
        }
        for iteration in 0..self.iterations {
            insts(out, self.prologue..self.body - 1, mask);
            // A branch that is not taken has no active lanes, as tracers record it.
            let taken = iteration + 1 < self.iterations;
            out.inst(self.body - 1, if taken { mask } else { 0 });
        }
        insts(out, self.body..self.end, mask);
    }
}

/// A kernel of `params`' grid and block whose warps all run `generator`.
pub(super) fn made(
    name: &'static str,
    params: &Params,
    code: KernelBuilder,
    registers: u16,
    generator: Loop,
) -> Made {
    let block = params.get32("block");
    Made {
        name,
        grid: line(params.get("grid")),
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

/// The shape of a measured kernel on sm_90: its loop counter and comparison sit behind the first
/// FFMAs, so that only the branch itself interrupts the chain.
fn ffma(params: &Params, gpu: &GpuSpec) -> Result<Made> {
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
        ..Loop::over(
            &code,
            (prologue, body),
            params.get32("block"),
            params.get("iters"),
        )
    };
    Ok(made("ffma", params, code, 24, generator))
}

/// Register `R4 + i` of each chain is multiplied with a register of the other bank, so that no
/// operand read conflicts even without the reuse cache.
fn ffma_ilp(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let chains = params.get("ilp") as u16;
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
    let generator = Loop::over(
        &code,
        (prologue, body),
        params.get32("block"),
        params.get("iters"),
    );
    Ok(made("ffma_ilp", params, code, 40, generator))
}

fn barrier(params: &Params, gpu: &GpuSpec) -> Result<Made> {
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
    let generator = Loop::over(
        &code,
        (prologue, body),
        params.get32("block"),
        params.get("iters"),
    );
    Ok(made("barrier", params, code, 16, generator))
}
