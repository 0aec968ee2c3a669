//! Bandwidth kernels: one element a thread with few CTAs on an SM, and interleaved chunks that defeat
//! L1.

use super::builder::{FULL, KernelBuilder, first_lanes, p, r};
use super::fields::{family, names};
use super::{
    Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, access, array, insts, line, per_warp,
};
use crate::config::GpuSpec;
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

names! {
    /// What is done to each element.
    pub enum Element {
        /// a = s.
        Init = "init",
        /// Reads a.
        Read = "read",
        /// a = s b.
        Scale = "scale",
        /// a = b d + c.
        Triad = "triad",
        /// a = s b + c.
        Add = "add",
    }
}

family! {
    /// Doubles, one element a thread, with at most so many CTAs on an SM.
    pub struct Elementwise {
        /// a = s; a; a = s b; a = b d + c; a = s b + c
        pub kernel: Element = "kernel" name(Element::NAMES),
        /// threads of a CTA
        pub block: u32 = "block" count(256, 1, 1024),
        /// CTAs
        pub ctas: u64 = "ctas" count(1000, 1, GRID_MAX),
        /// most CTAs on an SM, by shared memory; 0: no limit
        pub per_sm: u32 = "per_sm" count(0, 0, 32),
        /// which buffers
        pub place: u64 = "place" count(0, 0, 15),
    }
}

family! {
    /// 1024 threads a CTA read chunk (CTA mod chunks) in 32 steps of 16 KiB; chunks are interleaved.
    pub struct Chunks {
        /// chunks
        pub chunks: u64 = "chunks" count(4, 1, 1 << 24),
        /// steps of a CTA, 16 KiB each
        pub steps: u64 = "steps" count(32, 1, 1024),
        /// first CTAs, which start spread evenly over their steps, as in a long run
        pub resident: u64 = "resident" count(0, 0, GRID_MAX),
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
    }
}

/// Distance of two buffers: 2 GiB and a page, as the allocator places arrays of 2 GiB and two
/// elements.
const BUFFER: u64 = (1 << 31) + (1 << 21);

/// What a thread does with its element.
struct ElementWarps {
    threads: u64,
    place: u64,
    loads: Vec<u32>,
    store: Option<u32>,
    /// Instructions that no lane executes: bounds check, store of a read.
    guarded: Vec<u32>,
    end: u32,
    contiguous: Vec<PatternId>,
}

impl WarpGenerator for ElementWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
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

impl KernelGenerator for Elementwise {
    fn name(&self) -> &'static str {
        "doubles"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let read_only = self.kernel == Element::Read;
        let sources = [0u16, 1, 1, 3, 2][self.kernel as usize];
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
        if !read_only {
            code.inst_const("IMAD.WIDE", &[r(2)], &[r(0), r(7)], parameter);
        }
        match self.kernel {
            Element::Init => code.inst("MOV", &[r(20)], &[]),
            Element::Read => code.inst("DSETP.NEU.AND", &[p(1)], &[r(20)]),
            Element::Scale => code.inst("DMUL", &[r(20)], &[r(20)]),
            Element::Triad => code.inst("DFMA", &[r(20)], &[r(20), r(22), r(24)]),
            Element::Add => code.inst("DFMA", &[r(20)], &[r(20), r(22)]),
        };
        let text = code.global("STG", 8);
        let at = code.inst(&text, &[], &[r(2), r(20)]);
        code.inst("EXIT", &[], &[]);
        let contiguous = code.contiguous(8);
        let block = self.block;
        let generator = ElementWarps {
            threads: u64::from(block),
            place: self.place,
            loads,
            store: (!read_only).then_some(at),
            guarded: if read_only {
                vec![exit, at]
            } else {
                vec![exit]
            },
            end: code.here(),
            contiguous,
        };
        let smem = match self.per_sm {
            0 => 0,
            n => spoiler(gpu, n),
        };
        Ok(Assembly {
            name: Element::NAMES[self.kernel as usize].into(),
            grid: line(self.ctas),
            block: [block, 1, 1],
            registers: 32,
            smem_bytes: smem,
            code,
            generator: per_warp(block, generator),
        })
    }
}

struct ChunkWarps {
    chunks: u64,
    steps: u64,
    resident: u64,
    body: u32,
    end: u32,
    pattern: PatternId,
}

/// Doubles of one run, two of which are a step.
const RUN: u64 = 1024;
/// Steps whose loads a thread has in flight, as compiled.
const CHUNK_WINDOW: u64 = 6;

impl ChunkWarps {
    /// The steps that CTA `cta` still has to do: in a long run CTAs start one after the other, so that
    /// those which are resident at any time are spread evenly over their chunks. The first ones start
    /// like that.
    fn left(&self, cta: u64) -> u64 {
        if cta < self.resident {
            (self.steps * (cta + 1)).div_ceil(self.resident)
        } else {
            self.steps
        }
    }

    fn load(&self, out: &mut CtaEncoder, index: u32, first: u64, step: u64) {
        for half in 0..2 {
            let index = index + half as u32;
            let element = first + (2 * step * self.chunks + half) * RUN;
            out.inst(index, FULL);
            out.access_pattern(index, array(0) + element * 8, self.pattern);
        }
    }
}

impl WarpGenerator for ChunkWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        insts(out, 0..self.body, FULL);
        let first = cta % self.chunks * 2 * RUN + u64::from(warp) * 32;
        let start = self.steps - self.left(cta);
        for step in start..self.steps.min(start + CHUNK_WINDOW) {
            let slot = (step - start) as u32;
            self.load(out, self.body + 2 * slot, first, step);
        }
        let turns = self.body + 2 * CHUNK_WINDOW as u32;
        for step in start..self.steps {
            if out.full() {
                return;
            }
            let turn = turns + 3 * ((step - start) % CHUNK_WINDOW) as u32;
            out.inst(turn, FULL);
            if step + CHUNK_WINDOW < self.steps {
                self.load(out, turn + 1, first, step + CHUNK_WINDOW);
            }
        }
        insts(out, self.end - 2..self.end, FULL);
    }
}

impl KernelGenerator for Chunks {
    fn name(&self) -> &'static str {
        "chunks"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        code.thread_number();
        let parameter = code.parameter(0);
        code.inst_const("IMAD.WIDE", &[r(2)], &[r(0), r(3)], parameter);
        let body = code.here();
        let text = code.global("LDG", 8);
        let data = |n: u64| r(8 + 2 * n as u16);
        for n in 0..2 * CHUNK_WINDOW {
            code.inst(&text, &[data(n)], &[r(2)]);
        }
        for n in 0..CHUNK_WINDOW {
            let pair = [data(2 * n), data(2 * n + 1)];
            code.inst("DFMA", &[r(6)], &[r(6), pair[0], pair[1]]);
            for to in pair {
                code.inst(&text, &[to], &[r(2)]);
            }
        }
        code.inst("DSETP.NEU.AND", &[p(1)], &[r(6)]);
        code.inst("EXIT", &[], &[]);
        let pattern = code.pattern(FULL, 8, |lane| lane * 8);
        let generator = ChunkWarps {
            chunks: self.chunks,
            steps: self.steps,
            resident: self.resident,
            body,
            end: code.here(),
            pattern,
        };
        Ok(Assembly {
            name: "chunks".into(),
            grid: line(self.grid),
            block: [1024.min(gpu.sm.threads_per_cta_max), 1, 1],
            // As published: one CTA on an SM.
            registers: 48,
            smem_bytes: 0,
            code,
            generator: per_warp(1024.min(gpu.sm.threads_per_cta_max), generator),
        })
    }
}
