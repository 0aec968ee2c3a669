//! Pointer chases over working sets of any size, and the lap that warms the caches for them.
//!
//! The ring is a keyed permutation of the lines, computed element by element, so that a working set
//! of gigabytes needs no memory. A lap visits the same ring in the same order with many threads: a
//! chase after it finds the caches as after a lap of its own.

use super::builder::{FULL, KernelBuilder, p, r};
use super::params::{Param, Params};
use super::{Entry, Made, WarpGenerator, array, insts, line, per_warp};
use crate::config::GpuSpec;
use crate::error::Result;
use crate::trace::{CtaEncoder, PatternId};

const BYTES: Param = Param::bytes("bytes", 16 << 10, 32, 1 << 36, "working set");
const STRIDE: Param = Param::bytes("stride", 128, 8, 1 << 24, "distance of two elements");
const ORDER: Param = Param::name("order", &["random", "linear"], "order of the ring");
/// With a CTA for every SM the first CTA of each kernel runs on the same one, so that a chase finds the
/// caches of its lap.
const GRID: Param = Param::count(
    "grid",
    1,
    1,
    1 << 16,
    "CTAs, of which all but the first exit",
);
const SMEM: Param = Param::bytes(
    "smem",
    0,
    0,
    1 << 18,
    "shared memory of a CTA, carved out of L1",
);
const CACHE: Param = Param::name("cache", &["all", "l2"], "levels that keep the lines");

pub(super) const RING: Entry = Entry {
    name: "ring",
    doc: "one thread, dependent 64-bit loads along a ring: warm laps, then loads",
    params: &[
        BYTES,
        STRIDE,
        Param::count("loads", 1000, 1, 100_000_000, "loads after the warm laps"),
        Param::count("warm", 0, 0, 100, "laps before them"),
        Param::count("start", 0, 0, 1 << 40, "element to start with"),
        Param::count(
            "threads",
            1,
            1,
            1024,
            "threads; all chase the same addresses",
        ),
        ORDER,
        CACHE,
        GRID,
        SMEM,
    ],
    make: ring,
};

pub(super) const LAP: Entry = Entry {
    name: "lap",
    doc: "one CTA of 1024 threads reads every element of a ring once, in its order",
    params: &[BYTES, STRIDE, ORDER, CACHE, GRID, SMEM],
    make: lap,
};

/// The order of a ring: a permutation of `0..count` by a Feistel network with cycle walking.
#[derive(Clone, Copy)]
struct Order {
    count: u64,
    half_bits: u32,
    random: bool,
}

impl Order {
    fn new(params: &Params) -> Result<Self> {
        let count = params.get("bytes") / params.get("stride");
        if count == 0 {
            return Err(params.fault("bytes", "below the stride"));
        }
        let bits = 64 - (count - 1).max(1).leading_zeros();
        Ok(Order {
            count,
            half_bits: bits.div_ceil(2).max(1),
            random: params.get("order") == 0,
        })
    }

    fn element(&self, position: u64) -> u64 {
        let mut at = position % self.count;
        if !self.random {
            return at;
        }
        loop {
            at = self.permute(at);
            if at < self.count {
                return at;
            }
        }
    }

    fn permute(&self, at: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (at >> self.half_bits, at & mask);
        for round in 1..=4u64 {
            let mixed = (right ^ round << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (left, right) = (right, left ^ mixed >> 32 & mask);
        }
        left << self.half_bits | right
    }
}

/// Loads of an unrolled iteration.
const UNROLL: u64 = 32;

struct Ring {
    order: Order,
    stride: u64,
    loads: u64,
    start: u64,
    threads: u32,
    body: u32,
    pattern: PatternId,
}

impl WarpGenerator for Ring {
    fn warp(&self, cta: u64, warp: u32, out: &mut CtaEncoder) {
        let mask = super::builder::warp_mask(self.threads, warp);
        insts(out, 0..self.body, mask);
        if cta > 0 {
            out.inst(self.body + UNROLL as u32 + 4, mask);
            return;
        }
        for n in 0..self.loads {
            let at = self.body + (n % UNROLL) as u32;
            out.inst(at, mask);
            let address = array(0) + self.order.element(self.start + n) * self.stride;
            out.access_pattern(at, address, self.pattern);
            if n % UNROLL == UNROLL - 1 && n + 1 < self.loads {
                insts(out, at + 1..at + 4, mask);
            }
        }
        let end = self.body + UNROLL as u32 + 3;
        insts(out, end..end + 2, mask);
    }
}

/// Mnemonic of the load.
fn load(code: &KernelBuilder, params: &Params) -> String {
    match params.get("cache") {
        0 => code.global("LDG", 8),
        _ => "LDG.E.64.STRONG.GPU".to_owned(),
    }
}

fn prologue(code: &mut KernelBuilder) -> u32 {
    code.entry();
    let parameter = code.parameter(0);
    code.inst_const("MOV", &[r(2)], &[], parameter);
    code.inst_const("MOV", &[r(3)], &[], parameter + 4);
    code.inst("MOV", &[r(4)], &[]);
    code.here()
}

fn ring(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let order = Order::new(params)?;
    let threads = params.get32("threads");
    let mut code = KernelBuilder::new(gpu.compute_capability);
    let body = prologue(&mut code);
    let text = load(&code, params);
    for _ in 0..UNROLL {
        code.inst(&text, &[r(2)], &[r(2)]);
    }
    code.inst_imm("IADD3", &[r(4)], &[r(4)], 1);
    code.inst("ISETP.NE.AND", &[p(0)], &[r(4)]);
    code.branch(body);
    code.inst("ISETP.NE.AND", &[p(1)], &[r(2)]);
    code.inst("EXIT", &[], &[]);
    let mask = super::builder::first_lanes(u64::from(threads));
    let generator = Ring {
        order,
        stride: params.get("stride"),
        loads: order.count * params.get("warm") + params.get("loads"),
        start: params.get("start"),
        threads,
        body,
        pattern: code.pattern(mask, 8, |_| 0),
    };
    if threads > 32 && !threads.is_multiple_of(32) {
        return Err(params.fault("threads", "at most one warp, or whole warps"));
    }
    Ok(Made {
        name: "ring",
        grid: line(params.get("grid")),
        block: [threads, 1, 1],
        registers: 16,
        smem_bytes: params.get32("smem"),
        code,
        generator: per_warp(threads, generator),
    })
}

struct Lap {
    order: Order,
    stride: u64,
    body: u32,
}

/// Threads of a lap.
const LAP_THREADS: u64 = 1024;
/// Its exit: behind eight loads, each with a barrier, so that no warp leaves the order of the ring.
const LAP_EXIT: u32 = 16;

impl WarpGenerator for Lap {
    fn warp(&self, cta: u64, warp: u32, out: &mut CtaEncoder) {
        insts(out, 0..self.body, FULL);
        if cta > 0 {
            out.inst(self.body + LAP_EXIT, FULL);
            return;
        }
        let mut addresses = [0; 32];
        let mut first = u64::from(warp) * 32;
        let mut slot = 0;
        while first < self.order.count {
            let lanes = (self.order.count - first).min(32);
            for lane in 0..lanes {
                let element = self.order.element(first + lane);
                addresses[lane as usize] = array(0) + element * self.stride;
            }
            out.inst(self.body + slot, super::builder::first_lanes(lanes));
            out.access_list(self.body + slot, &addresses[..lanes as usize]);
            out.inst(self.body + slot + 1, FULL);
            slot = (slot + 2) % LAP_EXIT;
            first += LAP_THREADS;
        }
        out.inst(self.body + LAP_EXIT, FULL);
    }
}

fn lap(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let order = Order::new(params)?;
    let mut code = KernelBuilder::new(gpu.compute_capability);
    let body = prologue(&mut code);
    let text = load(&code, params);
    let barrier = code.barrier_text();
    for n in 0..LAP_EXIT as u16 / 2 {
        code.inst(&text, &[r(8 + 2 * n)], &[r(2)]);
        code.inst(barrier, &[], &[]);
    }
    code.inst("EXIT", &[], &[]);
    let generator = Lap {
        order,
        stride: params.get("stride"),
        body,
    };
    Ok(Made {
        name: "lap",
        grid: line(params.get("grid")),
        block: [LAP_THREADS as u32, 1, 1],
        registers: 32,
        smem_bytes: params.get32("smem"),
        code,
        generator: per_warp(LAP_THREADS as u32, generator),
    })
}
