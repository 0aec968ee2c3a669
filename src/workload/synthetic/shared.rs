//! Shared-memory bank conflicts, and atomics.

use super::builder::{KernelBuilder, p, r, warp_mask};
use super::params::{Param, Params};
use super::{BLOCK, Entry, GRID, Made, WarpGenerator, access, array, insts, line, per_warp};
use crate::config::GpuSpec;
use crate::error::Result;
use crate::trace::{CtaEncoder, PatternId};

const ITERS: Param = Param::count("iters", 16, 1, 1_000_000, "iterations of the loop");

pub(super) const SMEM: Entry = Entry {
    name: "smem",
    doc: "shared-memory accesses with n-way bank conflicts, 16 an iteration",
    params: &[
        GRID,
        BLOCK,
        ITERS,
        Param::count("ways", 1, 1, 32, "lanes of a phase that meet in a bank"),
        Param::name("width", &["4", "8", "16"], "bytes of an access"),
        Param::name("op", &["load", "store"], "what is done"),
        Param::name(
            "chain",
            &["on", "off"],
            "whether each load waits for the one before",
        ),
    ],
    make: smem,
};

pub(super) const ATOMICS: Entry = Entry {
    name: "atomics",
    doc: "atomic additions, 16 an iteration",
    params: &[
        GRID,
        BLOCK,
        ITERS,
        Param::name(
            "address",
            &["same", "lane", "line"],
            "one for all threads, one for each, or each in a line of its own",
        ),
        Param::name("space", &["global", "shared"], "where"),
        Param::name("op", &["add", "cas"], "operation"),
        Param::name(
            "result",
            &["off", "on"],
            "whether the old value is returned (and waited for)",
        ),
    ],
    make: atomics,
};

const UNROLL: u32 = 16;

/// A loop of 16 accesses of one pattern.
struct Repeat {
    threads: u32,
    iterations: u64,
    body: u32,
    end: u32,
    /// Address of the first thread, and the distance of two warps and two CTAs.
    base: u64,
    warp_stride: u64,
    cta_stride: u64,
    /// Pattern of a full warp and of the last one.
    patterns: [PatternId; 2],
}

impl WarpGenerator for Repeat {
    fn warp(&self, cta: u64, warp: u32, out: &mut CtaEncoder) {
        let mask = warp_mask(self.threads, warp);
        let partial = mask != u32::MAX;
        let pattern = self.patterns[usize::from(partial)];
        let base = self.base + u64::from(warp) * self.warp_stride + cta * self.cta_stride;
        insts(out, 0..self.body, mask);
        for iteration in 0..self.iterations {
            for index in self.body..self.body + UNROLL {
                access(out, index, mask, base, pattern);
            }
            let branch = self.body + UNROLL + 2;
            insts(out, self.body + UNROLL..branch, mask);
            let more = iteration + 1 < self.iterations;
            out.inst(branch, if more { mask } else { 0 });
        }
        insts(out, self.body + UNROLL + 3..self.end, mask);
    }
}

/// Prologue, 16 times `access`, loop control, end.
fn assemble(code: &mut KernelBuilder, access: impl Fn(&mut KernelBuilder, u16)) -> (u32, u32) {
    code.entry();
    code.thread_number();
    code.inst("LEA", &[r(2)], &[r(0)]);
    code.inst("MOV", &[r(7)], &[]);
    let body = code.here();
    for n in 0..UNROLL as u16 {
        access(code, n);
    }
    code.inst_imm("IADD3", &[r(7)], &[r(7)], 1);
    code.inst("ISETP.NE.AND", &[p(0)], &[r(7)]);
    code.branch(body);
    code.inst("EXIT", &[], &[]);
    (body, code.here())
}

/// The offset of `lane` when `ways` lanes of each phase meet in a bank. A phase is the 32, 16 or 8
/// lanes whose data fill all banks once.
fn conflicting(lane: u64, width: u64, ways: u64, row_bytes: u64) -> u64 {
    let phase_lanes = row_bytes / width;
    let (phase, lane) = (lane / phase_lanes, lane % phase_lanes);
    (phase * ways + lane % ways) * row_bytes + lane / ways * width
}

fn smem(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let (ways, width) = (params.get("ways"), 4u64 << params.get("width"));
    let row_bytes = u64::from(gpu.smem.banks) * u64::from(gpu.smem.bank_bytes);
    let most = (row_bytes / width).min(32);
    if ways > most {
        let what = format!("at most {most}, the lanes of a phase, with width={width}");
        return Err(params.fault("ways", what));
    }
    let size = ["", ".64", ".128"][params.get("width") as usize];
    let (store, chain) = (params.get("op") == 1, params.get("chain") == 0);
    let mut code = KernelBuilder::new(gpu.compute_capability);
    let (body, end) = assemble(&mut code, |code, n| {
        let data = 8 + n % 4 * 4;
        match (store, chain) {
            (true, _) => code.inst(&format!("STS{size}"), &[], &[r(2), r(data)]),
            (false, true) => code.inst(&format!("LDS{size}"), &[r(2)], &[r(2)]),
            (false, false) => code.inst(&format!("LDS{size}"), &[r(data)], &[r(2)]),
        };
    });
    let block = params.get32("block");
    let partial = warp_mask(block, block.div_ceil(32) - 1);
    let patterns = [u32::MAX, partial]
        .map(|m| code.pattern(m, width, |l| conflicting(l, width, ways, row_bytes)));
    let generator = Repeat {
        threads: block,
        iterations: params.get("iters"),
        body,
        end,
        base: 0,
        warp_stride: 0,
        cta_stride: 0,
        patterns,
    };
    let bytes = conflicting(31, width, ways, row_bytes) + row_bytes;
    Ok(Made {
        name: "smem",
        grid: line(params.get("grid")),
        block: [block, 1, 1],
        registers: 32,
        smem_bytes: bytes.next_multiple_of(row_bytes) as u32,
        code,
        generator: per_warp(block, generator),
    })
}

/// Mnemonic of the atomic of `params`.
fn atomic_text(params: &Params) -> &'static str {
    let returns = params.get("result") == 1;
    match (params.get("space"), params.get("op"), returns) {
        (0, 0, false) => "RED.E.ADD.STRONG.GPU",
        (0, 0, true) => "ATOMG.E.ADD.STRONG.GPU",
        (0, _, _) => "ATOMG.E.CAS.STRONG.GPU",
        (_, 0, _) => "ATOMS.ADD",
        _ => "ATOMS.CAS",
    }
}

fn atomics(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let text = atomic_text(params);
    let reduction = text.starts_with("RED");
    let cas = params.get("op") == 1;
    let waits = params.get("result") == 1;
    let mut code = KernelBuilder::new(gpu.compute_capability);
    let (body, end) = assemble(&mut code, |code, n| {
        // The result that is waited for is the next operand.
        let old = if waits { r(8) } else { r(10 + n % 8) };
        let sources = [r(2), r(8), r(9)];
        let sources = if cas { &sources[..] } else { &sources[..2] };
        match reduction {
            true => code.inst(text, &[], sources),
            false => code.inst(text, &[old], sources),
        };
    });
    let block = params.get32("block");
    let each = [0, 4, 128][params.get("address") as usize];
    let global = params.get("space") == 0;
    let partial = warp_mask(block, block.div_ceil(32) - 1);
    let patterns = [u32::MAX, partial].map(|mask| code.pattern(mask, 4, |lane| lane * each));
    let cta_bytes = u64::from(block) * each;
    let generator = Repeat {
        threads: block,
        iterations: params.get("iters"),
        body,
        end,
        base: if global { array(0) } else { 0 },
        warp_stride: 32 * each,
        cta_stride: if global { cta_bytes } else { 0 },
        patterns,
    };
    Ok(Made {
        name: "atomics",
        grid: line(params.get("grid")),
        block: [block, 1, 1],
        registers: 32,
        smem_bytes: if global { 0 } else { cta_bytes.max(4) as u32 },
        code,
        generator: per_warp(block, generator),
    })
}
