//! Kernels that look at one cache: strided L1 hits, code of any length, constants over any range.

use super::builder::{FULL, KernelBuilder, p, r};
use super::compute::{Counter, Loop};
use super::params::{Param, Params};
use super::{BLOCK, Entry, Made, WarpGenerator, array, insts, line, per_warp};
use crate::config::GpuSpec;
use crate::error::Result;
use crate::trace::{CtaEncoder, PatternId};

const ITERS: Param = Param::count("iters", 8, 1, 1_000_000, "iterations of the loop");

pub(super) const STRIDES: Entry = Entry {
    name: "strides",
    doc: "one CTA of 1024 threads, 8 loads an iteration that hit L1, strided or as 2-D tiles",
    params: &[
        Param::name("dtype", &["float", "double"], "element"),
        Param::name(
            "pattern",
            &["stride", "block"],
            "(thread mod 64) strides apart, or tiles of so many columns in rows 4098 elements apart",
        ),
        Param::count("param", 1, 0, 4096, "stride in elements, or columns"),
        ITERS,
    ],
    make: strides,
};

pub(super) const CODE: Entry = Entry {
    name: "code",
    doc: "a loop of so many bytes of FFMA in 8 chains",
    params: &[
        Param::bytes("bytes", 4096, 256, 1 << 20, "length of the body"),
        BLOCK,
        ITERS,
    ],
    make: code_loop,
};

pub(super) const CONSTANT: Entry = Entry {
    name: "constant",
    doc: "FFMA with a constant operand, each in the next line of so many bytes of constants",
    params: &[
        Param::bytes("bytes", 1024, 64, 1 << 16, "range of the constants"),
        Param::bytes("stride", 64, 4, 1 << 16, "distance of two of them"),
        ITERS,
    ],
    make: constant,
};

pub(super) const BARRIERS: Entry = Entry {
    name: "barriers",
    doc: "16 CTA barriers an iteration",
    params: &[
        Param::count("block", 32, 32, 1024, "threads of the CTA"),
        ITERS,
    ],
    make: |params, gpu| {
        Ok(looped(
            "barriers",
            params,
            params.get32("block"),
            gpu,
            |code| {
                let text = code.barrier_text();
                for _ in 0..16 {
                    code.inst(text, &[], &[]);
                }
            },
        ))
    },
};

/// Offsets in elements of the loads of an iteration.
const OFFSETS: [u64; 8] = [0, 4, 8, 12, 20, 16, 24, 28];
/// Threads of the CTA.
const THREADS: u64 = 1024;
/// Elements of a row.
const PITCH: u64 = 4098;

struct Strides {
    body: u32,
    iterations: u64,
    width: u64,
    /// First element and lane pattern of each warp.
    warps: Vec<(u64, PatternId)>,
}

impl WarpGenerator for Strides {
    fn warp(&self, _cta: u64, warp: u32, out: &mut CtaEncoder) {
        insts(out, 0..self.body, FULL);
        let (first, pattern) = self.warps[warp as usize];
        for iteration in 0..self.iterations {
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

/// The first element of thread `thread`.
fn first_element(params: &Params, thread: u64) -> u64 {
    let param = params.get("param");
    match params.get("pattern") {
        0 => thread % 64 * param,
        _ => {
            let (x, y) = (thread % param, thread / param);
            x % 64 + y % 32 * PITCH + PITCH
        }
    }
}

fn strides(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    if params.get("pattern") == 1 && !(1..=THREADS).contains(&params.get("param")) {
        return Err(params.fault("param", "a tile has 1 to 1024 columns"));
    }
    let width = 4 << params.get("dtype");
    let double = width == 8;
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
        let base = first_element(params, warp * 32);
        // Offsets may lie before the first lane's; the pattern holds signed ones.
        let offset = |lane| first_element(params, warp * 32 + lane) * width + (1 << 32);
        let pattern = code.pattern(FULL, width, offset);
        warps.push((base, pattern));
    }
    let generator = Strides {
        body,
        iterations: params.get("iters"),
        width,
        warps,
    };
    Ok(Made {
        name: "strides",
        grid: [1, 1, 1],
        block: [THREADS as u32, 1, 1],
        registers: 32,
        smem_bytes: 0,
        code,
        generator: per_warp(THREADS as u32, generator),
    })
}

/// A loop of one warp or more around what `body` appends.
fn looped(
    name: &'static str,
    params: &Params,
    block: u32,
    gpu: &GpuSpec,
    append: impl FnOnce(&mut KernelBuilder),
) -> Made {
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
    let generator = Loop::over(&code, (prologue, body), block, params.get("iters"));
    Made {
        name,
        grid: line(1),
        block: [block, 1, 1],
        registers: 40,
        smem_bytes: 0,
        code,
        generator: per_warp(block, generator),
    }
}

fn code_loop(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let count = params.get("bytes") / 16;
    Ok(looped("code", params, params.get32("block"), gpu, |code| {
        for n in 0..count {
            let chain = r(16 + 2 * (n % 8) as u16);
            code.inst("FFMA", &[chain], &[chain, r(3)]);
        }
    }))
}

fn constant(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let count = (params.get("bytes") / params.get("stride")).max(1);
    Ok(looped("constant", params, 32, gpu, |code| {
        for n in 0..count {
            let chain = r(16);
            let offset = 0x400 + n * params.get("stride");
            code.inst_const("FFMA", &[chain], &[chain], offset as u32);
        }
    }))
}
