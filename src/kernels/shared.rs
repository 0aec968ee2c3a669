//! Shared-memory bank conflicts, and atomics.

use super::builder::{KernelBuilder, p, r, size_suffix, warp_mask};
use super::fields::{family, names};
use super::{
    Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, Width, access, array, insts, line,
    per_warp,
};
use crate::config::GpuSpec;
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

names! {
    /// What is done to shared memory.
    pub enum SharedAccess {
        /// Loads.
        Load = "load",
        /// Stores.
        Store = "store",
    }
}

names! {
    /// Whether each load waits for the one before.
    pub enum Chain {
        /// It does.
        On = "on",
        /// Loads are independent.
        Off = "off",
    }
}

family! {
    /// Shared-memory accesses with n-way bank conflicts, 16 an iteration.
    pub struct SharedAccesses {
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(32, 1, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(16, 1, 1_000_000),
        /// lanes of a phase that meet in a bank
        pub ways: u64 = "ways" count(1, 1, 32),
        /// bytes of an access
        pub width: Width = "width" name(Width::NAMES),
        /// what is done
        pub access: SharedAccess = "op" name(SharedAccess::NAMES),
        /// whether each load waits for the one before
        pub chain: Chain = "chain" name(Chain::NAMES),
    }
}

names! {
    /// Where the words of an atomic lie.
    pub enum Spread {
        /// One for all threads.
        Same = "same",
        /// Four bytes apart.
        Lane = "lane",
        /// Each in a line of its own.
        Line = "line",
    }
}

names! {
    /// Memory that an atomic updates.
    pub enum AtomicSpace {
        /// Device memory, at L2.
        Global = "global",
        /// Shared memory.
        Shared = "shared",
    }
}

names! {
    /// What an atomic does.
    pub enum AtomicOp {
        /// Addition.
        Add = "add",
        /// Compare and swap.
        Cas = "cas",
    }
}

names! {
    /// Whether the old value comes back.
    pub enum Returned {
        /// Nobody reads it.
        Off = "off",
        /// The next atomic waits for it.
        On = "on",
    }
}

family! {
    /// Atomic operations, 16 an iteration.
    pub struct Atomics {
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(32, 1, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(16, 1, 1_000_000),
        /// one for all threads, one for each, or each in a line of its own
        pub address: Spread = "address" name(Spread::NAMES),
        /// where
        pub space: AtomicSpace = "space" name(AtomicSpace::NAMES),
        /// operation
        pub op: AtomicOp = "op" name(AtomicOp::NAMES),
        /// whether the old value is returned (and waited for)
        pub returned: Returned = "result" name(Returned::NAMES),
    }
}

/// Accesses of an iteration.
const UNROLL: u32 = 16;

/// A loop of 16 accesses of one pattern.
struct Repeat {
    threads: u32,
    iterations: u64,
    body: u32,
    end: u32,
    /// Address of the first thread, and the distance of two warps and two CTAs.
    base: u64,
    warp_stride: u64,
    cta_stride: u64,
    /// Pattern of a full warp and of the last one.
    patterns: [PatternId; 2],
}

impl WarpGenerator for Repeat {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let mask = warp_mask(self.threads, warp);
        let partial = mask != u32::MAX;
        let pattern = self.patterns[usize::from(partial)];
        let base = self.base + u64::from(warp) * self.warp_stride + cta * self.cta_stride;
        insts(out, 0..self.body, mask);
        for iteration in 0..self.iterations {
            if out.full() {
                return;
            }
            for index in self.body..self.body + UNROLL {
                access(out, index, mask, base, pattern);
            }
            let branch = self.body + UNROLL + 2;
            insts(out, self.body + UNROLL..branch, mask);
            let more = iteration + 1 < self.iterations;
            out.inst(branch, if more { mask } else { 0 });
        }
        insts(out, self.body + UNROLL + 3..self.end, mask);
    }
}

/// Prologue, 16 times `access`, loop control, end.
fn assemble(code: &mut KernelBuilder, access: impl Fn(&mut KernelBuilder, u16)) -> (u32, u32) {
    code.entry();
    code.thread_number();
    code.inst("LEA", &[r(2)], &[r(0)]);
    code.inst("MOV", &[r(7)], &[]);
    let body = code.here();
    for n in 0..UNROLL as u16 {
        access(code, n);
    }
    code.inst_imm("IADD3", &[r(7)], &[r(7)], 1);
    code.inst("ISETP.NE.AND", &[p(0)], &[r(7)]);
    code.branch(body);
    code.inst("EXIT", &[], &[]);
    (body, code.here())
}

/// The offset of `lane` when `ways` lanes of each phase meet in a bank. A phase is the 32, 16 or 8
/// lanes whose data fill all banks once.
fn conflicting(lane: u64, width: u64, ways: u64, row_bytes: u64) -> u64 {
    let phase_lanes = row_bytes / width;
    let (phase, lane) = (lane / phase_lanes, lane % phase_lanes);
    (phase * ways + lane % ways) * row_bytes + lane / ways * width
}

impl KernelGenerator for SharedAccesses {
    fn name(&self) -> &'static str {
        "smem"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let (ways, width) = (self.ways, self.width.bytes());
        let row_bytes = u64::from(gpu.smem.banks) * u64::from(gpu.smem.bank_bytes);
        let most = (row_bytes / width).min(32);
        if ways > most {
            let what = format!("at most {most}, the lanes of a phase, with width={width}");
            return Err(Fault::field("ways", ways, what));
        }
        let size = size_suffix(width);
        let (store, chain) = (self.access == SharedAccess::Store, self.chain == Chain::On);
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let (body, end) = assemble(&mut code, |code, n| {
            let data = 8 + n % 4 * 4;
            match (store, chain) {
                (true, _) => code.inst(&format!("STS{size}"), &[], &[r(2), r(data)]),
                (false, true) => code.inst(&format!("LDS{size}"), &[r(2)], &[r(2)]),
                (false, false) => code.inst(&format!("LDS{size}"), &[r(data)], &[r(2)]),
            };
        });
        let block = self.block;
        let partial = warp_mask(block, block.div_ceil(32) - 1);
        let patterns = [u32::MAX, partial]
            .map(|m| code.pattern(m, width, |l| conflicting(l, width, ways, row_bytes)));
        let generator = Repeat {
            threads: block,
            iterations: self.iterations,
            body,
            end,
            base: 0,
            warp_stride: 0,
            cta_stride: 0,
            patterns,
        };
        let bytes = conflicting(31, width, ways, row_bytes) + row_bytes;
        Ok(Assembly {
            name: "smem".into(),
            grid: line(self.grid),
            block: [block, 1, 1],
            registers: 32,
            smem_bytes: bytes.next_multiple_of(row_bytes) as u32,
            code,
            generator: per_warp(block, generator),
        })
    }
}

/// Mnemonic of `atomics`.
fn atomic_text(atomics: &Atomics) -> &'static str {
    let returns = atomics.returned == Returned::On;
    match (atomics.space, atomics.op, returns) {
        (AtomicSpace::Global, AtomicOp::Add, false) => "RED.E.ADD.STRONG.GPU",
        (AtomicSpace::Global, AtomicOp::Add, true) => "ATOMG.E.ADD.STRONG.GPU",
        (AtomicSpace::Global, AtomicOp::Cas, _) => "ATOMG.E.CAS.STRONG.GPU",
        (AtomicSpace::Shared, AtomicOp::Add, _) => "ATOMS.ADD",
        (AtomicSpace::Shared, AtomicOp::Cas, _) => "ATOMS.CAS",
    }
}

impl KernelGenerator for Atomics {
    fn name(&self) -> &'static str {
        "atomics"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let text = atomic_text(self);
        let reduction = text.starts_with("RED");
        let cas = self.op == AtomicOp::Cas;
        let waits = self.returned == Returned::On;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let (body, end) = assemble(&mut code, |code, n| {
            // The result that is waited for is the next operand.
            let old = if waits { r(8) } else { r(10 + n % 8) };
            let sources = [r(2), r(8), r(9)];
            let sources = if cas { &sources[..] } else { &sources[..2] };
            match reduction {
                true => code.inst(text, &[], sources),
                false => code.inst(text, &[old], sources),
            };
        });
        let block = self.block;
        let each = [0, 4, 128][self.address as usize];
        let global = self.space == AtomicSpace::Global;
        let partial = warp_mask(block, block.div_ceil(32) - 1);
        let patterns = [u32::MAX, partial].map(|mask| code.pattern(mask, 4, |lane| lane * each));
        let cta_bytes = u64::from(block) * each;
        let generator = Repeat {
            threads: block,
            iterations: self.iterations,
            body,
            end,
            base: if global { array(0) } else { 0 },
            warp_stride: 32 * each,
            cta_stride: if global { cta_bytes } else { 0 },
            patterns,
        };
        Ok(Assembly {
            name: "atomics".into(),
            grid: line(self.grid),
            block: [block, 1, 1],
            registers: 32,
            smem_bytes: if global { 0 } else { cta_bytes.max(4) as u32 },
            code,
            generator: per_warp(block, generator),
        })
    }
}
