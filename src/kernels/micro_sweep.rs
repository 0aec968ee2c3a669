//! Repeated sweeps of one buffer that every CTA reads: bandwidth of L1 and of lines that SMs share.

use super::builder::{FULL, KernelBuilder, p, r};
use super::fields::{family, names};
use super::{
    Assembly, Fault, GRID_MAX, KernelGenerator, Level, WarpGenerator, Width, array, insts, line,
    per_warp,
};
use crate::config::GpuSpec;
use crate::isa::opcode::Operand;
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

names! {
    /// What computes a load's address.
    pub enum Indexing {
        /// The address is advanced.
        Plain = "none",
        /// The index modulo the size; each word loaded is summed.
        Modulo = "modulo",
    }
}

family! {
    /// Every CTA reads the same buffer round and round, 32 loads unrolled.
    pub struct Sweep {
        /// size of the buffer
        pub bytes: u64 = "bytes" bytes(64 << 10, 128, 1 << 34),
        /// bytes that a CTA reads
        pub total: u64 = "total" bytes(64 << 10, 128, 1 << 34),
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(256, 1, 1024),
        /// bytes of a load
        pub width: Width = "width" name(Width::NAMES),
        /// levels that keep the lines
        pub level: Level = "cache" name(Level::NAMES),
        /// loads of an iteration before its first use of one
        pub window: u64 = "window" count(16, 1, UNROLL),
        /// what computes a load's address; with modulo, each word loaded is summed
        pub index: Indexing = "index" name(Indexing::NAMES),
    }
}

/// Loads of an unrolled iteration of a sweep.
const UNROLL: u64 = 32;

struct SweepWarps {
    threads: u64,
    width: u64,
    bytes: u64,
    total: u64,
    body: u32,
    /// Of each instruction of an iteration, the number of its load.
    loads: Vec<Option<u64>>,
    end: u32,
    pattern: PatternId,
}

impl WarpGenerator for SweepWarps {
    fn warp(&self, _cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        insts(out, 0..self.body, FULL);
        let step = self.threads * self.width;
        let first = u64::from(warp) * 32 * self.width;
        let branch = self.end - 2;
        let trips = (self.total / step).div_ceil(UNROLL).max(1);
        for trip in 0..trips {
            if out.full() {
                return;
            }
            for (index, load) in (self.body..branch).zip(&self.loads) {
                out.inst(index, FULL);
                if let Some(load) = load {
                    let at = first + (trip * UNROLL + load) * step;
                    let place = at % self.bytes.max(32 * self.width);
                    out.access_pattern(index, array(0) + place, self.pattern);
                }
            }
            out.inst(branch, if trip + 1 < trips { FULL } else { 0 });
        }
        insts(out, branch + 1..self.end, FULL);
    }
}

/// What an iteration of a sweep consists of.
struct Iteration<'a> {
    text: &'a str,
    width: u64,
    /// Loads before the first use of one.
    window: u64,
    /// Doubles are summed.
    dadd: bool,
    /// Each load computes its address modulo the size, and each of its words is summed.
    modulo: bool,
}

impl Iteration<'_> {
    fn data(&self, n: u64) -> Operand {
        r(16 + ((n % (self.window + 1)) * self.width / 4) as u16)
    }

    fn load(&self, code: &mut KernelBuilder, n: u64, loads: &mut Vec<Option<u64>>) {
        if self.modulo {
            code.inst_imm("IADD3", &[r(10)], &[r(0)], n);
            code.inst_imm("SHF.R.S32.HI", &[r(11)], &[r(10)], 31);
            code.inst("LEA.HI", &[r(11)], &[r(11), r(10)]);
            code.inst("LOP3.LUT", &[r(11)], &[r(11)]);
            // Compilers spread additions over both pipes.
            let add = if n.is_multiple_of(2) {
                "IMAD.IADD"
            } else {
                "IADD3"
            };
            code.inst(add, &[r(10)], &[r(10), r(11)]);
            code.inst("IMAD.WIDE", &[r(2)], &[r(10), r(3)]);
            loads.extend([None; 6]);
        }
        code.inst(self.text, &[self.data(n)], &[r(2)]);
        loads.push(Some(n));
    }

    fn sum(&self, code: &mut KernelBuilder, n: u64, loads: &mut Vec<Option<u64>>) {
        let data = self.data(n);
        match self.width {
            _ if self.modulo => {
                for word in 0..(self.width / 4) as u16 {
                    let (sum, word) = (r(12 + word), r(data.number + word));
                    code.inst("FADD", &[sum], &[sum, word]);
                    loads.push(None);
                }
                return;
            }
            8 if self.dadd => code.inst("DADD", &[r(8)], &[r(8), data]),
            // Two streams, multiplied and added: one FFMA for two loads; a NOP stands for the other.
            _ if n % 2 == 1 => code.inst("FFMA", &[r(8)], &[r(8), self.data(n - 1), data]),
            _ => code.inst("NOP", &[], &[]),
        };
        loads.push(None);
    }

    /// Appends it: as compilers do, some loads first, then each next one when the sum of an earlier
    /// one frees its registers. Returns which instruction is which load.
    fn append(&self, code: &mut KernelBuilder) -> Vec<Option<u64>> {
        let mut loads = Vec::new();
        for n in 0..self.window {
            self.load(code, n, &mut loads);
        }
        for n in 0..UNROLL {
            self.sum(code, n, &mut loads);
            if n + self.window < UNROLL {
                self.load(code, n + self.window, &mut loads);
            }
        }
        loads
    }
}

impl KernelGenerator for Sweep {
    fn name(&self) -> &'static str {
        "sweep"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let width = self.width.bytes();
        let block = self.block;
        if !block.is_multiple_of(32) {
            return Err(Fault::field("block", block, "not a multiple of 32"));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        code.thread_number();
        let parameter = code.parameter(0);
        code.inst_const("IMAD.WIDE", &[r(2)], &[r(0), r(3)], parameter);
        code.inst("MOV", &[r(7)], &[]);
        let body = code.here();
        let text = match self.level {
            Level::All => code.global("LDG", width),
            Level::L2 => [
                "LDG.E.STRONG.GPU",
                "LDG.E.64.STRONG.GPU",
                "LDG.E.128.STRONG.GPU",
            ][self.width as usize]
                .to_owned(),
        };
        let window = self.window;
        let iteration = Iteration {
            text: &text,
            width,
            window,
            dadd: !gpu.sm.pipes.fp64_shared,
            modulo: self.index == Indexing::Modulo,
        };
        let mut loads = iteration.append(&mut code);
        code.inst_imm("IADD3", &[r(7)], &[r(7)], 1);
        code.inst("ISETP.NE.AND", &[p(0)], &[r(7)]);
        loads.extend([None; 2]);
        code.branch(body);
        code.inst("EXIT", &[], &[]);
        let pattern = code.pattern(FULL, width, |lane| lane * width);
        let generator = SweepWarps {
            threads: u64::from(block),
            width,
            bytes: self.bytes,
            total: self.total,
            body,
            loads,
            end: code.here(),
            pattern,
        };
        Ok(Assembly {
            name: "sweep".into(),
            grid: line(self.grid),
            block: [block, 1, 1],
            registers: (16 + (window + 1) as u16 * (width / 4) as u16).next_multiple_of(8),
            smem_bytes: 0,
            code,
            generator: per_warp(block, generator),
        })
    }
}
