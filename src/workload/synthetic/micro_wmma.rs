//! Volta's `wmma` of 16 x 16 x 16, step by step, in a loop as large as the compiler makes it.

use super::builder::{KernelBuilder, r};
use super::compute::{Counter, Loop, made};
use super::params::{Param, Params};
use super::{BLOCK, Entry, GRID, Made};
use crate::config::GpuSpec;
use crate::error::Result;

pub(super) const WMMA: Entry = Entry {
    name: "wmma",
    doc: "loop of wmma 16x16x16 as Volta issues them: 16 HMMA.884 each with f32, 8 with f16",
    params: &[
        GRID,
        BLOCK,
        Param::count("iters", 4, 0, 1_000_000, "iterations of the loop"),
        Param::count("unroll", 64, 1, 4096, "wmma of an iteration"),
        Param::name("type", &["f32", "f16"], "type of the accumulators"),
    ],
    make,
};

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

fn make(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let steps = match params.get("type") {
        0 => STEPS_F32,
        _ => STEPS_F16,
    };
    let mut code = KernelBuilder::new(gpu.compute_capability);
    code.entry();
    let counter = Counter::of(&code);
    counter.set(&mut code);
    let prologue = code.here();
    let mut issued = 0;
    for _ in 0..params.get("unroll") {
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
    let generator = Loop::over(
        &code,
        (prologue, body),
        params.get32("block"),
        params.get("iters"),
    );
    Ok(made("wmma", params, code, 32, generator))
}
