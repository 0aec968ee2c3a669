//! Pointer chases over working sets of any size, and the lap that warms the caches for them.
//!
//! The ring is a keyed permutation of the lines, computed element by element, so that a working set
//! of gigabytes needs no memory. A lap visits the same ring in the same order with many threads: a
//! chase after it finds the caches as after a lap of its own.

use super::builder::{FULL, KernelBuilder, p, r};
use super::fields::family;
use super::{
    Assembly, Fault, KernelGenerator, Level, RingOrder, WarpGenerator, array, insts, line, per_warp,
};
use crate::config::GpuSpec;
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

family! {
    /// One thread, dependent 64-bit loads along a ring: warm laps, then loads.
    ///
    /// With a CTA for every SM the first CTA of each kernel runs on the same one, so that a chase finds the caches of its lap.
    pub struct Ring {
        /// working set
        pub bytes: u64 = "bytes" bytes(16 << 10, 32, 1 << 36),
        /// distance of two elements
        pub stride: u64 = "stride" bytes(128, 8, 1 << 24),
        /// loads after the warm laps
        pub loads: u64 = "loads" count(1000, 1, 100_000_000),
        /// laps before them
        pub warm: u64 = "warm" count(0, 0, 100),
        /// element to start with
        pub start: u64 = "start" count(0, 0, 1 << 40),
        /// threads; all chase the same addresses
        pub threads: u32 = "threads" count(1, 1, 1024),
        /// order of the ring
        pub order: RingOrder = "order" name(RingOrder::NAMES),
        /// levels that keep the lines
        pub level: Level = "cache" name(Level::NAMES),
        /// CTAs, of which all but the first exit
        pub grid: u64 = "grid" count(1, 1, 1 << 16),
        /// shared memory of a CTA, carved out of L1
        pub smem_bytes: u32 = "smem" bytes(0, 0, 1 << 18),
    }
}

family! {
    /// One CTA of 1024 threads reads every element of a ring once, in its order.
    pub struct Lap {
        /// working set
        pub bytes: u64 = "bytes" bytes(16 << 10, 32, 1 << 36),
        /// distance of two elements
        pub stride: u64 = "stride" bytes(128, 8, 1 << 24),
        /// order of the ring
        pub order: RingOrder = "order" name(RingOrder::NAMES),
        /// levels that keep the lines
        pub level: Level = "cache" name(Level::NAMES),
        /// CTAs, of which all but the first exit
        pub grid: u64 = "grid" count(1, 1, 1 << 16),
        /// shared memory of a CTA, carved out of L1
        pub smem_bytes: u32 = "smem" bytes(0, 0, 1 << 18),
    }
}

/// The order of a ring: a permutation of `0..count` by a Feistel network with cycle walking.
#[derive(Clone, Copy)]
struct Order {
    count: u64,
    half_bits: u32,
    random: bool,
}

impl Order {
    fn new(bytes: u64, stride: u64, order: RingOrder) -> Result<Self, Fault> {
        let count = bytes / stride;
        if count == 0 {
            return Err(Fault::field("bytes", bytes, "below the stride"));
        }
        let bits = 64 - (count - 1).max(1).leading_zeros();
        Ok(Order {
            count,
            half_bits: bits.div_ceil(2).max(1),
            random: order == RingOrder::Random,
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

struct RingWarps {
    order: Order,
    stride: u64,
    loads: u64,
    start: u64,
    threads: u32,
    body: u32,
    pattern: PatternId,
}

impl WarpGenerator for RingWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let mask = super::builder::warp_mask(self.threads, warp);
        insts(out, 0..self.body, mask);
        if cta > 0 {
            out.inst(self.body + UNROLL as u32 + 4, mask);
            return;
        }
        for n in 0..self.loads {
            if out.full() {
                return;
            }
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
fn load(code: &KernelBuilder, level: Level) -> String {
    match level {
        Level::All => code.global("LDG", 8),
        Level::L2 => "LDG.E.64.STRONG.GPU".to_owned(),
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

impl KernelGenerator for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let order = Order::new(self.bytes, self.stride, self.order)?;
        let threads = self.threads;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let body = prologue(&mut code);
        let text = load(&code, self.level);
        for _ in 0..UNROLL {
            code.inst(&text, &[r(2)], &[r(2)]);
        }
        code.inst_imm("IADD3", &[r(4)], &[r(4)], 1);
        code.inst("ISETP.NE.AND", &[p(0)], &[r(4)]);
        code.branch(body);
        code.inst("ISETP.NE.AND", &[p(1)], &[r(2)]);
        code.inst("EXIT", &[], &[]);
        let mask = super::builder::first_lanes(u64::from(threads));
        let generator = RingWarps {
            order,
            stride: self.stride,
            loads: order.count * self.warm + self.loads,
            start: self.start,
            threads,
            body,
            pattern: code.pattern(mask, 8, |_| 0),
        };
        if threads > 32 && !threads.is_multiple_of(32) {
            return Err(Fault::field(
                "threads",
                threads,
                "at most one warp, or whole warps",
            ));
        }
        Ok(Assembly {
            name: "ring".into(),
            grid: line(self.grid),
            block: [threads, 1, 1],
            registers: 16,
            smem_bytes: self.smem_bytes,
            code,
            generator: per_warp(threads, generator),
        })
    }
}

struct LapWarps {
    order: Order,
    stride: u64,
    body: u32,
}

/// Threads of a lap.
const LAP_THREADS: u64 = 1024;
/// Its exit: behind eight loads, each with a barrier, so that no warp leaves the order of the ring.
const LAP_EXIT: u32 = 16;

impl WarpGenerator for LapWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        insts(out, 0..self.body, FULL);
        if cta > 0 {
            out.inst(self.body + LAP_EXIT, FULL);
            return;
        }
        let mut addresses = [0; 32];
        let mut first = u64::from(warp) * 32;
        let mut slot = 0;
        while first < self.order.count {
            if out.full() {
                return;
            }
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

impl KernelGenerator for Lap {
    fn name(&self) -> &'static str {
        "lap"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let order = Order::new(self.bytes, self.stride, self.order)?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let body = prologue(&mut code);
        let text = load(&code, self.level);
        let barrier = code.barrier_text();
        for n in 0..LAP_EXIT as u16 / 2 {
            code.inst(&text, &[r(8 + 2 * n)], &[r(2)]);
            code.inst(barrier, &[], &[]);
        }
        code.inst("EXIT", &[], &[]);
        let generator = LapWarps {
            order,
            stride: self.stride,
            body,
        };
        Ok(Assembly {
            name: "lap".into(),
            grid: line(self.grid),
            block: [LAP_THREADS as u32, 1, 1],
            registers: 32,
            smem_bytes: self.smem_bytes,
            code,
            generator: per_warp(LAP_THREADS as u32, generator),
        })
    }
}
