//! Pointer chase: one thread follows a random ring through a working set, one load at a time.

use super::builder::{KernelBuilder, p, r};
use super::fields::family;
use super::{Assembly, Fault, KernelGenerator, Level, RingOrder, WarpGenerator, array, per_warp};
use crate::config::GpuSpec;
use crate::trace::{CtaEncoder, PatternId};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::ops::Range;
use std::sync::Arc;

/// Loads of an unrolled loop iteration.
const UNROLL: u64 = 64;

family! {
    /// One thread, dependent loads along a random ring. Cycles an iteration are the latency of a load; the difference of two
    /// runs is free of launch and warm-up.
    pub struct Chase {
        /// working set
        pub bytes: u64 = "bytes" bytes(16 << 10, 32, 1 << 32),
        /// distance of two elements
        pub stride: u64 = "stride" bytes(128, 4, 1 << 24),
        /// loads after the warm-up
        pub iterations: u64 = "iters" count(1000, 1, 100_000_000),
        /// laps before them
        pub warmup: u64 = "warmup" count(1, 0, 1000),
        /// levels that keep the lines
        pub level: Level = "cache" name(Level::NAMES),
        /// order of the ring
        pub order: RingOrder = "order" name(RingOrder::NAMES),
        /// of the ring
        pub seed: u64 = "seed" count(1, 0, u64::MAX),
    }
}

struct ChaseWarps {
    /// Elements in the order of the ring.
    ring: Arc<[u32]>,
    stride: u64,
    loads: u64,
    body: u32,
    pattern: PatternId,
}

impl WarpGenerator for ChaseWarps {
    fn warp(&self, _cta: u64, _warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        for index in 0..self.body {
            out.inst(index, 1);
        }
        let mut ring = self.ring.iter().cycle();
        for n in 0..self.loads {
            if out.full() {
                return;
            }
            let at = self.body + (n % UNROLL) as u32;
            out.inst(at, 1);
            let element = ring.next().expect("the ring is not empty");
            let address = array(0) + u64::from(*element) * self.stride;
            out.access_pattern(at, address, self.pattern);
            if n % UNROLL == UNROLL - 1 && n + 1 < self.loads {
                for index in at + 1..=at + 3 {
                    out.inst(index, 1);
                }
            }
        }
        let end = self.body + UNROLL as u32 + 3;
        out.inst(end, 1);
        out.inst(end + 1, 1);
    }
}

/// A random ring: a shuffled order, visited again and again.
fn ring(elements: u64, order: RingOrder, seed: u64) -> Arc<[u32]> {
    let mut ring: Vec<u32> = (0..elements as u32).collect();
    if order == RingOrder::Random {
        // The generator's state is odd: its lowest bits do not count.
        let seed = u128::from(seed) << 2;
        let mut random = Pcg64Mcg::from_seed(seed.to_le_bytes());
        for last in (1..ring.len()).rev() {
            let other = random.random_range(0..=last);
            ring.swap(last, other);
        }
    }
    ring.into()
}

impl KernelGenerator for Chase {
    fn name(&self) -> &'static str {
        "pchase"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let (bytes, stride) = (self.bytes, self.stride);
        if stride % 4 != 0 {
            return Err(Fault::field("stride", stride, "not a multiple of 4"));
        }
        let elements = bytes / stride;
        if elements == 0 {
            return Err(Fault::field(
                "bytes",
                bytes,
                format!("below stride={stride}"),
            ));
        }
        // The ring is kept in memory, four bytes an element.
        if elements > 1 << 26 {
            return Err(Fault::field(
                "bytes",
                bytes,
                "more than 2^26 elements; raise stride",
            ));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        let parameter = code.parameter(0);
        code.inst_const("MOV", &[r(2)], &[], parameter);
        code.inst_const("MOV", &[r(3)], &[], parameter + 4);
        code.inst("MOV", &[r(4)], &[]);
        let body = code.here();
        let load = match self.level {
            Level::All => code.global("LDG", 4),
            Level::L2 => "LDG.E.STRONG.GPU".to_owned(),
        };
        for _ in 0..UNROLL {
            // The loaded value is the low half of the next address.
            code.inst(&load, &[r(2)], &[r(2)]);
        }
        code.inst_imm("IADD3", &[r(4)], &[r(4)], 1);
        code.inst("ISETP.NE.AND", &[p(0)], &[r(4)]);
        code.branch(body);
        code.inst("ISETP.NE.AND", &[p(1)], &[r(2)]);
        code.inst("EXIT", &[], &[]);
        let generator = ChaseWarps {
            ring: ring(elements, self.order, self.seed),
            stride,
            loads: elements * self.warmup + self.iterations,
            body,
            pattern: code.pattern(1, 4, |_| 0),
        };
        Ok(Assembly {
            name: "pchase".into(),
            grid: [1, 1, 1],
            block: [1, 1, 1],
            registers: 16,
            smem_bytes: 0,
            code,
            generator: per_warp(1, generator),
        })
    }
}
