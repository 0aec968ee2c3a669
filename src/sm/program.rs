//! A kernel's code as the SM executes it: [`Op`]s with pipes, latencies and register lists resolved
//! for one GPU. Built once per launch; the hot loop sees nothing else of the code.

use super::cores::regfile::{ReuseCache, bank_reads, inferred_reuse};
use super::latency::{self, Timing};
use super::memory::banks::Banks;
use super::memory::coalesce::PatternSet;
use crate::config::{DependencePolicy, GpuSpec};
use crate::isa::opcode::{BARRIER_ARRIVE_ONLY, prefetch_hint};
use crate::isa::{
    Control, MemKind, MemOp, MemSpace, OpClass, PrefetchHint, RegFile, RegRange, StaticInst,
};
pub use crate::stats::Pipe;
use crate::trace::Code;
use crate::trace::stream::has_access;
use std::ops::Deref;

/// How many registers of each file an instruction can name.
const GENERAL: u16 = 256;
const UNIFORM: u16 = 64;
const PREDICATES: u16 = 8;
/// All registers that an instruction can name in one row: general, uniform, predicates, uniform predicates. This is
/// the number of the first uniform one.
const FIRST_UNIFORM: u16 = GENERAL;
/// Number of the first predicate register.
const FIRST_PREDICATE: u16 = FIRST_UNIFORM + UNIFORM;
const FIRST_UNIFORM_PREDICATE: u16 = FIRST_PREDICATE + PREDICATES;
/// Stands for the predicate between a compare and a branch, which traces without predicate registers
/// do not name.
const IMPLIED_PREDICATE: u16 = FIRST_UNIFORM_PREDICATE + PREDICATES;
/// Registers of a warp in the scoreboard at most.
pub const REGS: usize = IMPLIED_PREDICATE as usize + 1;

/// What issue must do beyond taking a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OpKind {
    /// Fixed latency: the destination is ready `latency` after issue.
    Fixed,
    /// Goes to the memory queue with an access record (when its mask is not empty).
    Memory,
    /// Warp shuffle: through the memory queue, no addresses.
    Shuffle,
    /// Constant load.
    ConstLoad,
    /// Branch, call or return: the warp's next instruction may lie elsewhere.
    Branch,
    /// Arrival at a CTA barrier, and waiting there until it opens.
    Barrier,
    /// Arrival at a CTA barrier without waiting there.
    BarrierArrive,
    /// Memory fence: the warp waits until its loads have their data and its stores are acknowledged.
    Membar,
    /// Waits for cp.async groups.
    DepBar,
    /// Closes a cp.async group.
    CpAsyncCommit,
    /// Puts the warp to sleep.
    Sleep,
    /// As `Fixed`, but its work is not modelled, and counted as such.
    Unmodelled,
}

/// Flags of an [`Op`].
pub mod flag {
    /// The instruction lies in another instruction-cache line than its predecessor in the table.
    pub const NEW_LINE: u8 = 1;
    /// The instruction before it in the table is not the one before it in memory, so it was reached by a jump.
    pub const JUMPED_TO: u8 = 2;
    /// Reads the implied (or a named) predicate as a guard: the longer predicate latency holds.
    pub const GUARDED: u8 = 4;
    /// Reads register-file ports.
    pub const READS_PORTS: u8 = 8;
    /// The FP64 pipe is one for the SM.
    pub const SM_WIDE: u8 = 16;
    /// Has a constant-bank operand.
    pub const CONSTANT: u8 = 32;
    /// Has control bits, which replace the scoreboard.
    pub const CONTROL: u8 = 64;
    /// A taken path may follow: branches, calls, returns.
    pub const BRANCH: u8 = 128;
}

/// Why a dependent waits, stored with a register's ready time.
pub mod source {
    /// Fixed-latency pipe.
    pub const FIXED: u32 = 0;
    /// Memory-I/O, transcendental: short scoreboard.
    pub const SHORT: u32 = 1;
    /// L1TEX: long scoreboard.
    pub const LONG: u32 = 2;
    /// Constant cache.
    pub const CONSTANT: u32 = 3;
}

/// One instruction, ready to issue.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Byte offset in the kernel.
    pub pc: u32,
    /// First entry of the register list.
    pub regs: u32,
    /// Instruction-cache line (kernel-relative).
    pub line: u32,
    /// Cycles from its issue to the issue of an instruction that needs its result.
    pub latency: u16,
    /// Constant-cache line (kernel-relative), with [`flag::CONSTANT`].
    pub const_line: u16,
    /// Index into [`Program::mems`].
    pub mem: u16,
    /// How many registers of its list must be ready before it issues. Those that another pipe
    /// writes come first.
    pub checks: u8,
    /// How many of them another pipe writes: they take `Program::cross_extra` longer.
    pub cross: u8,
    /// How many registers it writes; they end the list.
    pub dsts: u8,
    /// Cycles that the pipe is held.
    pub interval: u8,
    /// The pipe to which it issues.
    pub pipe: Pipe,
    /// What issue must do beyond taking the pipe.
    pub kind: OpKind,
    /// Bits of [`flag`].
    pub flags: u8,
    /// What a dependent waits for, one of [`source`].
    pub source: u8,
    /// Operands read from register banks 0 and 1.
    pub bank_reads: [u8; 2],
    /// The same when the reuse cache supplies the operands that earlier instructions left in it.
    pub reuse_reads: [u8; 2],
    /// It supplies them if the warp has issued at least this many instructions in a row before it, without another
    /// warp or a jump in between; 0 = it never does.
    pub reuse_back: u8,
    /// The compiler's control bits, or bits that demand nothing.
    pub control: Control,
    /// Depends on the kind: the number of the barrier, the scope of the fence, or how many cp.async groups may stay
    /// open.
    pub number: u8,
}

const _: () = assert!(size_of::<Op>() <= 52);

/// A memory operation of a lowered kernel.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The operation.
    pub op: MemOp,
    /// What L2 fetches beyond the data of a load; nothing where the GPU ignores the instruction's hint.
    pub prefetch: PrefetchHint,
}

impl Deref for Memory {
    type Target = MemOp;

    #[inline(always)]
    fn deref(&self) -> &MemOp {
        &self.op
    }
}

/// A lowered kernel.
#[derive(Clone, Debug)]
pub struct Program {
    /// One for each instruction of the code table.
    pub ops: Vec<Op>,
    /// Register lists of all instructions, one after the other, in scoreboard numbers: places among the registers
    /// that the kernel uses.
    pub regs: Vec<u16>,
    /// Registers that the kernel uses: the width of a warp's row of the scoreboard.
    pub width: usize,
    /// Scoreboard number of the first predicate; uniform predicates and the implied one come after it.
    pub first_predicate: u16,
    /// Memory operations, to which [`Op::mem`] points.
    pub mems: Vec<Memory>,
    /// Which registers each instruction checks and which it writes, as bits modulo 64: disjoint
    /// signatures mean disjoint registers.
    pub signatures: Vec<(u64, u64)>,
    /// The lane patterns of the kernel with their lines and bank passes, worked out once.
    pub patterns: PatternSet,
    /// Instruction-cache lines of the kernel.
    pub lines: u32,
    /// Constant-cache lines of the kernel.
    pub const_lines: u32,
    /// Cycles by which a predicate is later for a branch or guard than for other readers.
    pub guard_extra: u32,
    /// Cycles by which a result is later for an instruction on another pipe.
    pub cross_extra: u32,
}

/// Constant-cache line of the kernel parameters, for loads whose address the trace does not have.
const PARAMETER_OFFSET: u32 = 0x160;

impl Program {
    /// Whether `op` loads through L1.
    #[inline(always)]
    pub fn loads(&self, op: &Op) -> bool {
        op.kind == OpKind::Memory && {
            let mem = &self.mems[usize::from(op.mem)];
            matches!(mem.kind, MemKind::Load | MemKind::CpAsync) && mem.space != MemSpace::Shared
        }
    }

    /// Lowers `code` for `spec`.
    pub fn new(code: &Code, spec: &GpuSpec) -> Self {
        let mut program = Program {
            ops: Vec::with_capacity(code.insts.len()),
            regs: Vec::new(),
            width: 0,
            first_predicate: 0,
            mems: Vec::new(),
            signatures: Vec::new(),
            patterns: PatternSet::new(&code.patterns, Banks::new(&spec.smem)),
            lines: 0,
            const_lines: 1,
            guard_extra: u32::from(latency::guard_extra(spec)),
            cross_extra: u32::from(spec.sm.latency.cross_pipe_extra),
        };
        let mut writers = [Pipe::None; REGS];
        let mut reuse = ReuseCache::default();
        for (index, inst) in code.insts.iter().enumerate() {
            let before = index.checked_sub(1).map(|i| &code.insts[i]);
            let mnemonic = code.mnemonics.get(usize::from(inst.mnemonic));
            let timing = latency::timing(inst, mnemonic.map_or("", |m| m.as_str()), spec);
            if let Some(op) = inst.mem {
                let prefetch = mnemonic.map_or(PrefetchHint::None, |m| prefetch_hint(m));
                let honoured = prefetch.bytes() <= spec.l2.prefetch_hint_bytes;
                program.mems.push(Memory {
                    op,
                    prefetch: if honoured {
                        prefetch
                    } else {
                        PrefetchHint::None
                    },
                });
            }
            let mut op = program.lower(inst, before, timing, spec, &mut writers);
            let flags = match inst.control {
                Some(_) => (op.flags & flag::CONTROL != 0).then_some(op.control.reuse),
                None => (spec.sm.regfile.infer_reuse).then(|| inferred_reuse(&code.insts, index)),
            };
            if let Some(flags) = flags.filter(|_| spec.sm.regfile.reuse_cache) {
                if op.flags & flag::JUMPED_TO != 0 {
                    reuse = ReuseCache::default();
                }
                let banks = spec.sm.regfile.banks;
                reuse.read(inst, (index as u32, flags), banks, &mut op);
            }
            program.lines = program.lines.max(op.line + 1);
            program.ops.push(op);
        }
        program.number_registers();
        let bits = |list: &[u16]| list.iter().fold(0, |all, r| all | 1u64 << (r % 64));
        let sign = |op| (bits(program.checks(op)), bits(program.dsts(op)));
        program.signatures = program.ops.iter().map(sign).collect();
        program
    }

    /// Numbers the registers anew, in the same order but without gaps, so that a warp's row of the scoreboard takes
    /// few lines of the host's caches.
    fn number_registers(&mut self) {
        let mut used = [false; REGS];
        for &register in &self.regs {
            used[usize::from(register)] = true;
        }
        let mut numbers = [0; REGS];
        let mut next = 0;
        for (register, number) in numbers.iter_mut().enumerate() {
            if register == usize::from(FIRST_PREDICATE) {
                self.first_predicate = next;
            }
            *number = next;
            next += u16::from(used[register]);
        }
        self.width = usize::from(next);
        for register in &mut self.regs {
            *register = numbers[usize::from(*register)];
        }
    }

    fn lower(
        &mut self,
        inst: &StaticInst,
        before: Option<&StaticInst>,
        timing: Timing,
        spec: &GpuSpec,
        writers: &mut [Pipe; REGS],
    ) -> Op {
        let kind = kind_of(inst, spec);
        let line = inst.pc / spec.fetch.line_bytes;
        let mut flags = 0;
        let mut set = |on: bool, bit: u8| flags |= if on { bit } else { 0 };
        set(
            before.is_none_or(|b| b.pc / spec.fetch.line_bytes != line),
            flag::NEW_LINE,
        );
        set(before.is_none_or(|b| !follows(b, inst)), flag::JUMPED_TO);
        set(
            matches!(inst.class, OpClass::Branch | OpClass::Exit),
            flag::GUARDED,
        );
        set(inst.class == OpClass::Branch, flag::BRANCH);
        set(
            timing.pipe == Pipe::Fp64 && spec.sm.pipes.fp64_shared,
            flag::SM_WIDE,
        );
        let constant = inst
            .constant
            .or((kind == OpKind::ConstLoad).then_some(PARAMETER_OFFSET));
        set(constant.is_some(), flag::CONSTANT);
        let control = inst
            .control
            .filter(|_| spec.sm.dependence == DependencePolicy::Auto);
        set(control.is_some(), flag::CONTROL);
        let bank_reads = bank_reads(inst, spec);
        set(
            bank_reads != [0, 0] && spec.sm.regfile.conflicts,
            flag::READS_PORTS,
        );
        let const_line = constant.unwrap_or(0) / spec.const_cache.line_bytes;
        self.const_lines = self.const_lines.max(const_line + 1);
        let (regs, checks, cross, dsts) = self.registers(inst, timing.pipe, writers);
        Op {
            pc: inst.pc,
            regs,
            line,
            latency: timing.latency,
            const_line: const_line.min(u32::from(u16::MAX)) as u16,
            mem: self.mems.len().saturating_sub(1) as u16,
            checks,
            cross,
            dsts,
            interval: timing.interval,
            pipe: timing.pipe,
            kind,
            flags,
            source: timing.source as u8,
            bank_reads,
            reuse_reads: bank_reads,
            reuse_back: 0,
            control: control.unwrap_or(NO_CONTROL),
            number: match inst.class {
                OpClass::Barrier => inst.imm as u8,
                _ => inst.imm.min(255) as u8,
            },
        }
    }

    /// Builds the register list: sources from the other pipe, other sources, destinations.
    fn registers(
        &mut self,
        inst: &StaticInst,
        pipe: Pipe,
        writers: &mut [Pipe; REGS],
    ) -> (u32, u8, u8, u8) {
        let start = self.regs.len();
        let mut sources: Vec<u16> = inst.src.iter().flat_map(|r| numbers(*r)).collect();
        let mut dsts: Vec<u16> = inst.dst.iter().flat_map(|r| numbers(*r)).collect();
        let names_predicates = |list: &[RegRange]| {
            list.iter().any(|r| {
                r.count > 0 && matches!(r.file, RegFile::Predicate | RegFile::UniformPredicate)
            })
        };
        match inst.class {
            OpClass::SetPredicate if !names_predicates(&inst.dst) => dsts.push(IMPLIED_PREDICATE),
            OpClass::Branch | OpClass::Exit if !names_predicates(&inst.src) => {
                sources.push(IMPLIED_PREDICATE);
            }
            _ => {}
        }
        sources.sort_unstable();
        sources.dedup();
        let crosses = |r: &u16| {
            matches!(
                (writers[usize::from(*r)], pipe),
                (Pipe::Fma, Pipe::Alu)
                    | (Pipe::Alu, Pipe::Fma)
                    | (Pipe::Fp16, Pipe::Fp16Mma)
                    | (Pipe::Fp16Mma, Pipe::Fp16)
            )
        };
        let (crossing, same): (Vec<u16>, Vec<u16>) = sources.iter().partition(|r| crosses(r));
        let only_written = dsts.iter().filter(|d| !sources.contains(d));
        let checked: Vec<u16> = crossing
            .iter()
            .chain(&same)
            .chain(only_written)
            .copied()
            .collect();
        for &register in &dsts {
            writers[usize::from(register)] = pipe;
        }
        self.regs.extend(&checked);
        // Destinations that are also sources were checked as sources: write list apart.
        self.regs.extend(&dsts);
        (
            start as u32,
            checked.len() as u8,
            crossing.len() as u8,
            dsts.len() as u8,
        )
    }

    /// The registers that `op` checks.
    #[inline(always)]
    pub fn checks(&self, op: &Op) -> &[u16] {
        &self.regs[op.regs as usize..][..usize::from(op.checks)]
    }

    /// Whether instruction `writer` writes a register that instruction `reader` checks.
    #[cold]
    pub fn overlap(&self, reader: usize, writer: usize) -> bool {
        let reads = self.checks(&self.ops[reader]);
        self.dsts(&self.ops[writer])
            .iter()
            .any(|d| reads.contains(d))
    }

    /// The registers that `op` writes.
    #[inline(always)]
    pub fn dsts(&self, op: &Op) -> &[u16] {
        &self.regs[op.regs as usize + usize::from(op.checks)..][..usize::from(op.dsts)]
    }
}

const NO_CONTROL: Control = Control {
    stall: 1,
    yield_: false,
    write_barrier: 7,
    read_barrier: 7,
    wait_mask: 0,
    reuse: 0,
};

/// Whether `inst` comes straight after `before`: instructions are 16 bytes (8 before Volta).
fn follows(before: &StaticInst, inst: &StaticInst) -> bool {
    inst.pc > before.pc && inst.pc - before.pc <= 16
}

fn kind_of(inst: &StaticInst, spec: &GpuSpec) -> OpKind {
    match inst.class {
        _ if !spec.sm.tensor.models(inst) => OpKind::Unmodelled,
        OpClass::Memory if has_access(inst, u32::MAX) => OpKind::Memory,
        OpClass::Memory if inst.mem.is_some_and(|m| m.space == MemSpace::Constant) => {
            OpKind::ConstLoad
        }
        OpClass::Shuffle => OpKind::Shuffle,
        OpClass::Branch => OpKind::Branch,
        OpClass::Barrier if inst.imm & BARRIER_ARRIVE_ONLY != 0 => OpKind::BarrierArrive,
        OpClass::Barrier => OpKind::Barrier,
        OpClass::Membar => OpKind::Membar,
        OpClass::DepBar => OpKind::DepBar,
        OpClass::Sleep => OpKind::Sleep,
        OpClass::CpAsyncCommit => OpKind::CpAsyncCommit,
        _ => OpKind::Fixed,
    }
}

/// Numbers of a register range.
fn numbers(range: RegRange) -> impl Iterator<Item = u16> {
    let (base, size) = match range.file {
        RegFile::General => (0, GENERAL),
        RegFile::Uniform => (FIRST_UNIFORM, UNIFORM),
        RegFile::Predicate => (FIRST_PREDICATE, PREDICATES),
        RegFile::UniformPredicate => (FIRST_UNIFORM_PREDICATE, PREDICATES),
    };
    let first = u16::from(range.first).min(size - 1);
    (first..(first + u16::from(range.count)).min(size)).map(move |r| base + r)
}
