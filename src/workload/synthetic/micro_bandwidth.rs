//! Bandwidth kernels: one element a thread with few CTAs on an SM, repeated sweeps of one buffer, and
//! interleaved chunks that defeat L1.

use super::builder::{FULL, KernelBuilder, first_lanes, p, r};
use super::params::{Param, Params};
use super::{Entry, GRID, GRID_MAX, Made, WarpGenerator, access, array, insts, line, per_warp};
use crate::config::GpuSpec;
use crate::error::Result;
use crate::trace::{CtaEncoder, PatternId};

const BLOCK: Param = Param::count("block", 256, 1, 1024, "threads of a CTA");

pub(super) const ELEMENTWISE: Entry = Entry {
    name: "elementwise",
    doc: "doubles, one element a thread, with at most so many CTAs on an SM",
    params: &[
        Param::name(
            "kernel",
            &["init", "read", "scale", "triad", "add"],
            "a = s; a; a = s b; a = b d + c; a = s b + c",
        ),
        BLOCK,
        Param::count("ctas", 1000, 1, GRID_MAX, "CTAs"),
        Param::count(
            "per_sm",
            0,
            0,
            32,
            "most CTAs on an SM, by shared memory; 0: no limit",
        ),
        Param::count("place", 0, 0, 15, "which buffers"),
    ],
    make: elementwise,
};

pub(super) const SWEEP: Entry = Entry {
    name: "sweep",
    doc: "every CTA reads the same buffer round and round, 16 loads unrolled",
    params: &[
        Param::bytes("bytes", 64 << 10, 128, 1 << 34, "size of the buffer"),
        Param::bytes("total", 64 << 10, 128, 1 << 34, "bytes that a CTA reads"),
        GRID,
        BLOCK,
        Param::name("width", &["4", "8", "16"], "bytes of a load"),
        Param::name("cache", &["all", "l2"], "levels that keep the lines"),
    ],
    make: sweep,
};

pub(super) const CHUNKS: Entry = Entry {
    name: "chunks",
    doc: "1024 threads a CTA read chunk (CTA mod chunks) in 32 steps of 16 KiB; chunks are interleaved",
    params: &[
        Param::count("chunks", 4, 1, 1 << 24, "chunks"),
        Param::count("steps", 32, 1, 1024, "steps of a CTA, 16 KiB each"),
        Param::count("start", 0, 0, 1024, "step to start with"),
        GRID,
    ],
    make: chunks,
};

/// Distance of two buffers: 2 GiB and a page, as the allocator places arrays of 2 GiB and two
/// elements.
const BUFFER: u64 = (1 << 31) + (1 << 21);

/// What a thread does with its element.
struct Elements {
    threads: u64,
    place: u64,
    loads: Vec<u32>,
    store: Option<u32>,
    /// Instructions that no lane executes: bounds check, store of a read.
    guarded: Vec<u32>,
    end: u32,
    contiguous: Vec<PatternId>,
}

impl WarpGenerator for Elements {
    fn warp(&self, cta: u64, warp: u32, out: &mut CtaEncoder) {
        let lanes = (self.threads - u64::from(warp) * 32).min(32);
        let mask = first_lanes(lanes);
        let first = (cta * self.threads + u64::from(warp) * 32) * 8;
        let pattern = self.contiguous[lanes as usize];
        let of = |n: u64| array(0) + (self.place * 4 + n) * BUFFER + first;
        for index in 0..self.end {
            if let Some(n) = self.loads.iter().position(|&load| load == index) {
                access(out, index, mask, of(n as u64 + 1), pattern);
            } else if self.store == Some(index) {
                access(out, index, mask, of(0), pattern);
            } else {
                let skipped = self.guarded.contains(&index);
                out.inst(index, if skipped { 0 } else { mask });
            }
        }
    }
}

/// Shared memory of a CTA so that `per_sm` CTAs fit an SM and no more, in the smallest carve-out.
fn spoiler(gpu: &GpuSpec, per_sm: u32) -> u32 {
    let reserved = gpu.smem.reserved_per_cta_bytes;
    let largest = gpu.l1.carveouts_kib.last().copied().unwrap_or(0) * 1024;
    let unit = gpu.smem.alloc_unit_bytes.max(1);
    // More than the share that one CTA more would leave to each.
    let share = largest / (per_sm + 1) + 1;
    share
        .next_multiple_of(unit)
        .saturating_sub(reserved)
        .min(gpu.smem.per_cta_bytes_max)
}

fn elementwise(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let mut code = KernelBuilder::new(gpu.compute_capability);
    let kernel = params.get("kernel");
    let sources = [0u16, 1, 1, 3, 2][kernel as usize];
    code.entry();
    code.thread_number();
    let limit = code.parameter(3);
    code.inst_const("ISETP.GE.U32.AND", &[p(0)], &[r(0)], limit);
    let exit = code.inst("EXIT", &[], &[p(0)]);
    code.inst("MOV", &[r(7)], &[]);
    let mut loads = Vec::new();
    for source in 0..sources {
        let parameter = code.parameter(u32::from(source));
        code.inst_const("IMAD.WIDE", &[r(10 + 2 * source)], &[r(0), r(7)], parameter);
    }
    let text = code.global("LDG", 8);
    for source in 0..sources {
        loads.push(code.inst(&text, &[r(20 + 2 * source)], &[r(10 + 2 * source)]));
    }
    let parameter = code.parameter(4);
    if kernel != 1 {
        code.inst_const("IMAD.WIDE", &[r(2)], &[r(0), r(7)], parameter);
    }
    match kernel {
        0 => code.inst("MOV", &[r(20)], &[]),
        1 => code.inst("DSETP.NEU.AND", &[p(1)], &[r(20)]),
        2 => code.inst("DMUL", &[r(20)], &[r(20)]),
        3 => code.inst("DFMA", &[r(20)], &[r(20), r(22), r(24)]),
        _ => code.inst("DFMA", &[r(20)], &[r(20), r(22)]),
    };
    let text = code.global("STG", 8);
    let at = code.inst(&text, &[], &[r(2), r(20)]);
    code.inst("EXIT", &[], &[]);
    let contiguous = code.contiguous(8);
    let block = params.get32("block");
    let generator = Elements {
        threads: u64::from(block),
        place: params.get("place"),
        loads,
        store: (kernel != 1).then_some(at),
        guarded: if kernel == 1 {
            vec![exit, at]
        } else {
            vec![exit]
        },
        end: code.here(),
        contiguous,
    };
    let smem = match params.get32("per_sm") {
        0 => 0,
        n => spoiler(gpu, n),
    };
    Ok(Made {
        name: ["init", "read", "scale", "triad", "add"][kernel as usize],
        grid: line(params.get("ctas")),
        block: [block, 1, 1],
        registers: 32,
        smem_bytes: smem,
        code,
        generator: per_warp(block, generator),
    })
}

/// Loads of an unrolled iteration of a sweep.
const UNROLL: u64 = 16;

struct Sweep {
    threads: u64,
    width: u64,
    bytes: u64,
    total: u64,
    body: u32,
    end: u32,
    pattern: PatternId,
}

impl WarpGenerator for Sweep {
    fn warp(&self, _cta: u64, warp: u32, out: &mut CtaEncoder) {
        insts(out, 0..self.body, FULL);
        let step = self.threads * self.width;
        let first = u64::from(warp) * 32 * self.width;
        let adds = self.body + UNROLL as u32;
        let branch = adds + UNROLL as u32 + 2;
        let loads = (self.total / step).max(1).next_multiple_of(UNROLL);
        for n in 0..loads {
            let at = self.body + (n % UNROLL) as u32;
            out.inst(at, FULL);
            let place = (first + n * step) % self.bytes.max(32 * self.width);
            out.access_pattern(at, array(0) + place, self.pattern);
            if n % UNROLL == UNROLL - 1 {
                insts(out, adds..branch, FULL);
                out.inst(branch, if n + 1 < loads { FULL } else { 0 });
            }
        }
        insts(out, branch + 1..self.end, FULL);
    }
}

fn sweep(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let width = 4u64 << params.get("width");
    let block = params.get32("block");
    if !block.is_multiple_of(32) {
        return Err(params.fault("block", "not a multiple of 32"));
    }
    let mut code = KernelBuilder::new(gpu.compute_capability);
    code.entry();
    code.thread_number();
    let parameter = code.parameter(0);
    code.inst_const("IMAD.WIDE", &[r(2)], &[r(0), r(3)], parameter);
    code.inst("MOV", &[r(7)], &[]);
    let body = code.here();
    let text = match params.get("cache") {
        0 => code.global("LDG", width),
        _ => [
            "LDG.E.STRONG.GPU",
            "LDG.E.64.STRONG.GPU",
            "LDG.E.128.STRONG.GPU",
        ][params.get("width") as usize]
            .to_owned(),
    };
    let registers = (width / 4) as u16;
    let data = |n: u64| r(16 + n as u16 * registers);
    for n in 0..UNROLL {
        code.inst(&text, &[data(n)], &[r(2)]);
    }
    for n in 0..UNROLL {
        match width {
            8 if !gpu.sm.pipes.fp64_shared => {
                code.inst("DADD", &[r(8 + 2 * (n % 2) as u16)], &[r(8), data(n)])
            }
            // Two streams, multiplied and added: one FFMA for two loads; a MOV stands for the other.
            _ if n % 2 == 0 => code.inst("FFMA", &[r(8)], &[r(8), data(n), data(n + 1)]),
            _ => code.inst("NOP", &[], &[]),
        };
    }
    code.inst_imm("IADD3", &[r(7)], &[r(7)], 1);
    code.inst("ISETP.NE.AND", &[p(0)], &[r(7)]);
    code.branch(body);
    code.inst("EXIT", &[], &[]);
    let pattern = code.pattern(FULL, width, |lane| lane * width);
    let generator = Sweep {
        threads: u64::from(block),
        width,
        bytes: params.get("bytes"),
        total: params.get("total"),
        body,
        end: code.here(),
        pattern,
    };
    Ok(Made {
        name: "sweep",
        grid: line(params.get("grid")),
        block: [block, 1, 1],
        registers: (16 + UNROLL as u16 * registers).next_multiple_of(8),
        smem_bytes: 0,
        code,
        generator: per_warp(block, generator),
    })
}

struct Chunks {
    chunks: u64,
    steps: u64,
    start: u64,
    body: u32,
    end: u32,
    pattern: PatternId,
}

/// Doubles of one run, steps through a chunk, and loads that are unrolled.
const RUN: u64 = 1024;
const STEPS: u64 = 32;
const CHUNK_UNROLL: u64 = 16;

/// The step at which a CTA begins: in a grid of many waves CTAs drift apart, so that those which read
/// the same chunk are anywhere in it.
fn phase(cta: u64) -> u64 {
    let mixed = (cta + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 59
}

impl WarpGenerator for Chunks {
    fn warp(&self, cta: u64, warp: u32, out: &mut CtaEncoder) {
        insts(out, 0..self.body, FULL);
        let first = cta % self.chunks * 2 * RUN + u64::from(warp) * 32;
        let loads = 2 * self.steps;
        let start = self.start + phase(cta);
        for n in 0..loads {
            let slot = (n % CHUNK_UNROLL) as u32;
            let at = self.body + slot;
            out.inst(at, FULL);
            let step = (start + n / 2) % STEPS;
            let element = first + step * self.chunks * 2 * RUN + n % 2 * RUN;
            out.access_pattern(at, array(0) + element * 8, self.pattern);
            if slot as u64 == CHUNK_UNROLL - 1 || n + 1 == loads {
                let adds = self.body + CHUNK_UNROLL as u32;
                insts(out, adds..adds + (slot + 1).div_ceil(2), FULL);
            }
        }
        insts(out, self.end - 2..self.end, FULL);
    }
}

fn chunks(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let mut code = KernelBuilder::new(gpu.compute_capability);
    code.entry();
    code.thread_number();
    let parameter = code.parameter(0);
    code.inst_const("IMAD.WIDE", &[r(2)], &[r(0), r(3)], parameter);
    let body = code.here();
    let text = code.global("LDG", 8);
    let data = |n: u64| r(12 + 2 * n as u16);
    for n in 0..CHUNK_UNROLL {
        code.inst(&text, &[data(n)], &[r(2)]);
    }
    for n in 0..CHUNK_UNROLL / 2 {
        code.inst("DFMA", &[r(8)], &[r(8), data(2 * n), data(2 * n + 1)]);
    }
    code.inst("DSETP.NEU.AND", &[p(1)], &[r(8)]);
    code.inst("EXIT", &[], &[]);
    let pattern = code.pattern(FULL, 8, |lane| lane * 8);
    let generator = Chunks {
        chunks: params.get("chunks"),
        steps: params.get("steps"),
        start: params.get("start"),
        body,
        end: code.here(),
        pattern,
    };
    Ok(Made {
        name: "chunks",
        grid: line(params.get("grid")),
        block: [1024.min(gpu.sm.threads_per_cta_max), 1, 1],
        // As compiled: one CTA on an SM.
        registers: 48,
        smem_bytes: 0,
        code,
        generator: per_warp(1024.min(gpu.sm.threads_per_cta_max), generator),
    })
}
