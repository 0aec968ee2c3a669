//! Local memory as register spills use it: store a row of words, load it again.

use super::builder::{KernelBuilder, p, r, size_suffix, warp_mask};
use super::fields::family;
use super::{
    Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, Width, access, insts, line, per_warp,
};
use crate::config::GpuSpec;
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Instructions before the loop.
const PROLOGUE: u32 = 1;
/// Registers that words are spilled from and loaded to, in turn.
const REGISTERS: u16 = 32;

family! {
    /// Register spills: stores to local memory and as many loads, an iteration.
    pub struct Spills {
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(32, 1, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(4, 1, 1_000_000),
        /// registers that a thread spills, of `width` bytes
        pub words: u32 = "words" count(16, 1, 256),
        /// bytes of an access
        pub width: Width = "width" name(Width::NAMES),
    }
}

struct SpillWarps {
    threads: u32,
    iterations: u64,
    words: u32,
    width: u64,
    /// Pattern of a full warp and of the last one: all threads at the same place of their own memory.
    patterns: [PatternId; 2],
}

impl WarpGenerator for SpillWarps {
    fn warp(&self, _: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let mask = warp_mask(self.threads, warp);
        let pattern = self.patterns[usize::from(mask != u32::MAX)];
        let control = PROLOGUE + 2 * self.words;
        insts(out, 0..PROLOGUE, mask);
        for iteration in 0..self.iterations {
            if out.full() {
                return;
            }
            for index in 0..2 * self.words {
                let at = u64::from(index % self.words) * self.width;
                access(out, PROLOGUE + index, mask, at, pattern);
            }
            insts(out, control..control + 2, mask);
            let more = iteration + 1 < self.iterations;
            out.inst(control + 2, if more { mask } else { 0 });
        }
        insts(out, control + 3..control + 4, mask);
    }
}

impl KernelGenerator for Spills {
    fn name(&self) -> &'static str {
        "local"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let width = self.width.bytes();
        let threads = self.block;
        let words = self.words;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        let masks = [u32::MAX, warp_mask(threads, threads.div_ceil(32) - 1)];
        let patterns = masks.map(|mask| code.pattern(mask, width, |_| 0));
        let size = size_suffix(width);
        let step = (width / 4) as u16;
        let register = |word: u32| r(8 + word as u16 * step % REGISTERS);
        for word in 0..words {
            code.inst(&format!("STL{size}"), &[], &[r(1), register(word)]);
        }
        for word in 0..words {
            code.inst(&format!("LDL{size}"), &[register(word)], &[r(1)]);
        }
        code.inst_imm("IADD3", &[r(7)], &[r(7)], 1);
        code.inst("ISETP.NE.AND", &[p(0)], &[r(7)]);
        code.branch(PROLOGUE);
        code.inst("EXIT", &[], &[]);
        let generator = SpillWarps {
            threads,
            iterations: self.iterations,
            words,
            width,
            patterns,
        };
        Ok(Assembly {
            name: "local".into(),
            grid: line(self.grid),
            block: [threads, 1, 1],
            registers: 8 + REGISTERS,
            smem_bytes: 0,
            code,
            generator: per_warp(threads, generator),
        })
    }
}
