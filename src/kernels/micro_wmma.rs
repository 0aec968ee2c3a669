//! Volta's `wmma` of 16 x 16 x 16, step by step, in a loop as large as the compiler makes it.

use super::builder::{KernelBuilder, r};
use super::compute::{Counter, Loop, assembly};
use super::fields::{family, names};
use super::{Assembly, Fault, GRID_MAX, KernelGenerator};
use crate::config::GpuSpec;

names! {
    /// Type of the accumulators.
    pub enum Accumulators {
        /// FP32.
        F32 = "f32",
        /// FP16.
        F16 = "f16",
    }
}

family! {
    /// Loop of wmma 16x16x16 as Volta issues them: 16 HMMA.884 each with FP32 accumulators, 8 with FP16.
    pub struct Wmma {
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(32, 1, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(4, 0, 1_000_000),
        /// wmma of an iteration
        pub unroll: u64 = "unroll" count(64, 1, 4096),
        /// type of the accumulators
        pub accumulators: Accumulators = "type" name(Accumulators::NAMES),
    }
}

/// First registers of the four k-slices of both fragments.
const FRAGMENT_A: [u16; 4] = [12, 14, 16, 18];
const FRAGMENT_B: [u16; 4] = [4, 6, 8, 10];
/// Accumulator pairs in the order of the steps.
const STEPS_F32: &[(&str, u16)] = &[
    ("HMMA.884.F32.F32.STEP0", 24),
    ("HMMA.884.F32.F32.STEP1", 26),
    ("HMMA.884.F32.F32.STEP2", 20),
    ("HMMA.884.F32.F32.STEP3", 22),
];
const STEPS_F16: &[(&str, u16)] = &[
    ("HMMA.884.F16.F16.STEP0", 20),
    ("HMMA.884.F16.F16.STEP1", 22),
];

impl KernelGenerator for Wmma {
    fn name(&self) -> &'static str {
        "wmma"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let steps = match self.accumulators {
            Accumulators::F32 => STEPS_F32,
            Accumulators::F16 => STEPS_F16,
        };
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        let counter = Counter::of(&code);
        counter.set(&mut code);
        let prologue = code.here();
        let mut issued = 0;
        for _ in 0..self.unroll {
            for (a, b) in FRAGMENT_A.into_iter().zip(FRAGMENT_B) {
                for &(text, accumulator) in steps {
                    code.inst(text, &[r(accumulator)], &[r(a), r(b), r(accumulator)]);
                    // Between the first steps, as ptxas places them.
                    match issued {
                        1 => counter.advance(&mut code),
                        2 => counter.compare(&mut code),
                        _ => {}
                    }
                    issued += 1;
                }
            }
        }
        code.branch(prologue);
        let body = code.here();
        code.inst("EXIT", &[], &[]);
        let generator = Loop::over(&code, (prologue, body), self.block, self.iterations);
        Ok(assembly("wmma", self.grid, code, 32, generator))
    }
}
