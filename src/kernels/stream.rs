//! Streaming kernels over contiguous arrays: `c = a + b`, copy, scale, triad, read, init.

use super::builder::{KernelBuilder, first_lanes, p, r};
use super::fields::family;
use super::{
    Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, Width, access, array, insts, line,
    per_warp,
};
use crate::config::GpuSpec;
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// What is done for each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOp {
    /// c = a + b.
    Add,
    /// c = a.
    Copy,
    /// c = s * a.
    Scale,
    /// c = a + s * b.
    Triad,
    /// Sums a; the store is never executed.
    Read,
    /// c = s.
    Init,
}

impl StreamOp {
    fn shape(self) -> Shape {
        let (loads, text, stores) = match self {
            StreamOp::Add => (2, "FADD", true),
            StreamOp::Copy => (1, "", true),
            StreamOp::Scale => (1, "FMUL", true),
            StreamOp::Triad => (2, "FFMA", true),
            StreamOp::Read => (1, "FADD", false),
            StreamOp::Init => (0, "", true),
        };
        Shape {
            loads,
            text,
            stores,
        }
    }
}

family! {
    /// One pass over contiguous arrays.
    pub struct Stream of operation: StreamOp {
        /// size of each array
        pub bytes: u64 = "bytes" bytes(64 << 20, 4, 1 << 36),
        /// threads of a CTA
        pub block: u32 = "block" count(256, 32, 1024),
        /// elements of a thread, one block apart
        pub elements: u64 = "elements" count(1, 1, 8),
        /// bytes of an element
        pub width: Width = "width" name(Width::NAMES),
    }
}

/// The same, as the code has it.
#[derive(Clone, Copy)]
struct Shape {
    /// Arrays read.
    loads: u16,
    /// Instruction for each 4 bytes; empty for none.
    text: &'static str,
    /// Whether the result is stored.
    stores: bool,
}

struct StreamWarps {
    threads: u64,
    count: u64,
    width: u64,
    elements: u64,
    /// The exit of lanes beyond the end.
    exit: u32,
    /// Loads as (instruction, array), then the arithmetic's end, stores, the end of all.
    loads: Vec<(u32, u64)>,
    stores: Vec<u32>,
    guarded_store: Option<u32>,
    end: u32,
    contiguous: Vec<PatternId>,
}

impl StreamWarps {
    /// First element and active lanes of element `k` of a warp.
    fn lanes(&self, cta: u64, warp: u32, k: u64) -> (u64, u64) {
        let first = (cta * self.elements + k) * self.threads + u64::from(warp) * 32;
        let in_warp = (self.threads - u64::from(warp) * 32).min(32);
        (first, self.count.saturating_sub(first).min(in_warp))
    }

    fn access(&self, out: &mut CtaEncoder, index: u32, place: (u64, u64), of: u64) {
        let (first, lanes) = place;
        let base = array(of) + first * self.width;
        let pattern = self.contiguous[lanes as usize];
        access(out, index, first_lanes(lanes), base, pattern);
    }
}

impl WarpGenerator for StreamWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let full = first_lanes((self.threads - u64::from(warp) * 32).min(32));
        let (_, lanes) = self.lanes(cta, warp, 0);
        let mask = first_lanes(lanes);
        insts(out, 0..self.exit, full);
        out.inst(self.exit, full & !mask);
        if mask == 0 {
            return;
        }
        // Memory instructions are at known places; all others run under the warp's mask.
        let arrays = (self.loads.len() as u64 / self.elements).max(1);
        let mut index = self.exit + 1;
        for (n, &(load, of)) in self.loads.iter().enumerate() {
            insts(out, index..load, mask);
            let k = n as u64 / arrays;
            self.access(out, load, self.lanes(cta, warp, k), of);
            index = load + 1;
        }
        for (k, &store) in self.stores.iter().enumerate() {
            insts(out, index..store, mask);
            self.access(out, store, self.lanes(cta, warp, k as u64), 2);
            index = store + 1;
        }
        if let Some(store) = self.guarded_store {
            insts(out, index..store, mask);
            out.inst(store, 0);
            index = store + 1;
        }
        insts(out, index..self.end, mask);
    }
}

impl KernelGenerator for Stream {
    fn name(&self) -> &'static str {
        match self.operation {
            StreamOp::Add => "stream",
            StreamOp::Copy => "copy",
            StreamOp::Scale => "scale",
            StreamOp::Triad => "triad",
            StreamOp::Read => "read",
            StreamOp::Init => "init",
        }
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        // Registers: R0 thread number, R2, R4, R6 addresses of a, b, c, data from R8 on.
        let (shape, width) = (self.operation.shape(), self.width.bytes());
        let (bytes, block, elements) = (self.bytes, self.block, self.elements);
        if bytes % width != 0 {
            return Err(Fault::field(
                "bytes",
                bytes,
                format!("not a multiple of width={width}"),
            ));
        }
        let count = bytes / width;
        let ctas = count.div_ceil(u64::from(block) * elements);
        if ctas > GRID_MAX {
            return Err(Fault::field(
                "bytes",
                bytes,
                "too many CTAs; raise block or elements",
            ));
        }
        let words = (width / 4) as u16;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        code.thread_number();
        let limit = code.parameter(3);
        code.inst_const("ISETP.GE.AND", &[p(0)], &[r(0)], limit);
        let exit = code.inst("EXIT", &[], &[p(0)]);
        code.inst("MOV", &[r(7)], &[]);
        for source in 0..shape.loads {
            let parameter = code.parameter(u32::from(source));
            code.inst_const("IMAD.WIDE", &[r(2 + 2 * source)], &[r(0), r(7)], parameter);
        }
        let data = |k: u64, source: u16| 8 + (k as u16 * shape.loads.max(1) + source) * words;
        let load = code.global("LDG", width);
        let mut loads = Vec::new();
        for k in 0..elements {
            for source in 0..shape.loads {
                let at = code.inst(&load, &[r(data(k, source))], &[r(2 + 2 * source)]);
                loads.push((at, u64::from(source)));
            }
        }
        let end_of_loads = Tail {
            shape,
            words,
            elements,
            data: &data,
        };
        let (stores, guarded_store) = end_of_loads.append(&mut code, width);
        code.inst("EXIT", &[], &[]);
        let contiguous = code.contiguous(width);
        let registers = (data(elements, 0) + 8).next_multiple_of(8).min(255);
        let generator = StreamWarps {
            threads: u64::from(block),
            count,
            width,
            elements,
            exit,
            loads,
            stores,
            guarded_store,
            end: code.here(),
            contiguous,
        };
        Ok(Assembly {
            name: self.name().into(),
            grid: line(ctas),
            block: [block, 1, 1],
            registers,
            smem_bytes: 0,
            code,
            generator: per_warp(block, generator),
        })
    }
}

/// What follows the loads: arithmetic and stores.
struct Tail<'a> {
    shape: Shape,
    words: u16,
    elements: u64,
    data: &'a dyn Fn(u64, u16) -> u16,
}

impl Tail<'_> {
    fn append(&self, code: &mut KernelBuilder, width: u64) -> (Vec<u32>, Option<u32>) {
        let store = code.global("STG", width);
        if !self.shape.stores {
            self.arithmetic(code);
            code.inst("FSETP.NEU.AND", &[p(1)], &[r(6)]);
            // Keeps the sum alive without traffic.
            let guarded = code.inst(&code.global("STG", 4), &[], &[r(2), r(6)]);
            return (Vec::new(), Some(guarded));
        }
        let parameter = code.parameter(2);
        code.inst_const("IMAD.WIDE", &[r(6)], &[r(0), r(7)], parameter);
        self.arithmetic(code);
        let stores = (0..self.elements)
            .map(|k| code.inst(&store, &[], &[r(6), r((self.data)(k, 0))]))
            .collect();
        (stores, None)
    }

    fn arithmetic(&self, code: &mut KernelBuilder) {
        if self.shape.text.is_empty() {
            return;
        }
        for k in 0..self.elements {
            for word in 0..self.words {
                let a = r((self.data)(k, 0) + word);
                let b = r((self.data)(k, 1) + word);
                match (self.shape.stores, self.shape.loads) {
                    (false, _) => code.inst(self.shape.text, &[r(6)], &[r(6), a]),
                    (true, 2) => code.inst(self.shape.text, &[a], &[a, b]),
                    (true, _) => code.inst(self.shape.text, &[a], &[a]),
                };
            }
        }
    }
}
