//! Random gather: every thread reads random elements of a span, independent of each other.

use super::builder::{KernelBuilder, p, r, warp_mask};
use super::fields::family;
use super::{
    Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, Width, array, line, per_warp,
};
use crate::config::GpuSpec;
use crate::trace::CtaEncoder;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::ops::Range;

family! {
    /// Independent random loads: 6 instructions a warp, and 4 for each load.
    pub struct Gather {
        /// size of the array
        pub span: u64 = "span" bytes(256 << 20, 4096, 1 << 36),
        /// loads of a thread
        pub loads: u64 = "per" count(8, 1, 100_000),
        /// CTAs
        pub grid: u64 = "grid" count(160, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(256, 1, 1024),
        /// bytes of a load
        pub width: Width = "width" name(Width::NAMES),
        /// of the addresses
        pub seed: u64 = "seed" count(1, 0, u64::MAX),
    }
}

struct GatherWarps {
    threads: u32,
    span: u64,
    width: u64,
    per: u64,
    seed: u64,
    body: u32,
    body_end: u32,
}

/// Instructions of one load: three for the address, and itself.
const STEP: u32 = 4;
/// Loads that the body is unrolled to, each with a destination of its own.
const UNROLL: u32 = 8;

impl WarpGenerator for GatherWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let mask = warp_mask(self.threads, warp);
        // The stream of a warp depends on nothing but its number and the seed.
        let number = cta * u64::from(self.threads.div_ceil(32)) + u64::from(warp);
        // The generator's state is odd: its lowest bits do not count.
        let state = u128::from(self.seed) << 64 | u128::from(number) << 2;
        let mut random = Pcg64Mcg::from_seed(state.to_le_bytes());
        // A multiplicative generator needs a few steps to tell close seeds apart.
        for _ in 0..4 {
            random.random::<u64>();
        }
        for index in 0..self.body {
            out.inst(index, mask);
        }
        let mut addresses = [0; 32];
        let lanes = mask.count_ones() as usize;
        for n in 0..self.per {
            if out.full() {
                return;
            }
            let at = self.body + (n % u64::from(UNROLL)) as u32 * STEP;
            for index in at..at + STEP {
                out.inst(index, mask);
            }
            for address in &mut addresses[..lanes] {
                let element = random.random_range(0..self.span / self.width);
                *address = array(0) + element * self.width;
            }
            out.access_list(at + STEP - 1, &addresses[..lanes]);
        }
        out.inst(self.body_end, mask);
        out.inst(self.body_end + 1, mask);
    }
}

impl KernelGenerator for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let width = self.width.bytes();
        let block = self.block;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        code.thread_number();
        let body = code.here();
        let text = code.global("LDG", width);
        let parameter = code.parameter(0);
        for n in 0..UNROLL as u16 {
            // Linear congruential step, range, address, load; nothing waits for the data.
            code.inst("IMAD", &[r(0)], &[r(0), r(4), r(5)]);
            code.inst("LOP3.LUT", &[r(6)], &[r(0), r(7)]);
            code.inst_const("IMAD.WIDE", &[r(2)], &[r(6), r(4)], parameter);
            code.inst(&text, &[r(8 + n * (width / 4) as u16)], &[r(2)]);
        }
        let body_end = code.here();
        code.inst("FSETP.NEU.AND", &[p(1)], &[r(8)]);
        code.inst("EXIT", &[], &[]);
        let generator = GatherWarps {
            threads: block,
            span: self.span,
            width,
            per: self.loads,
            seed: self.seed,
            body,
            body_end,
        };
        Ok(Assembly {
            name: "gather".into(),
            grid: line(self.grid),
            block: [block, 1, 1],
            registers: 48,
            smem_bytes: 0,
            code,
            generator: per_warp(block, generator),
        })
    }
}
