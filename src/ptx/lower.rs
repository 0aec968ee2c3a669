//! PTX to what a machine issues: SASS-like instructions with allocated registers.
//!
//! Deliberately simple. Parameters become constant-bank operands, copies and address conversions
//! vanish, dead code goes, chains that one machine instruction does are fused (`mul.wide` and a
//! 64-bit addition, shift and add, three-way additions and logic, predicate logic), and what the
//! machine has no instruction for becomes the usual sequence. There is no scheduling, no unrolling,
//! no uniform datapath: `validation/ptx_lowering.md` says how far the mix is from that of ptxas.

pub mod alloc;
pub(in crate::ptx) mod emit;
mod expand;
pub(in crate::ptx) mod join;
pub mod operands;
pub mod ptxas;
mod texts;
pub mod values;

use super::exec::program::Program;
use super::flat::Flat;
use crate::isa::opcode::{Raw, decode};
use crate::isa::{OpClass, RegFile, RegRange, StaticInst};
use crate::trace::Code;
use std::collections::HashMap;

/// An operand of a lowered instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// So many words of the registers that hold virtual register `0`.
    Value(u32, u8),
    /// The predicate that holds a virtual register.
    Pred(u32),
}

/// A lowered instruction before registers are allocated.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// SASS mnemonic.
    pub text: String,
    /// Written.
    pub dst: Vec<Operand>,
    /// Read; the address base first.
    pub src: Vec<Operand>,
    /// Constant-bank operand.
    pub constant: Option<u32>,
    /// Immediate.
    pub imm: u64,
    /// PTX instruction that it comes from.
    pub pc: u32,
}

/// The lowered instructions of one PTX instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First.
    pub start: u32,
    /// How many.
    pub count: u32,
    /// Bytes between the accesses of several memory instructions of the span.
    pub access_step: u32,
    /// Bytes by which the access begins before that of the PTX instruction.
    pub access_back: u32,
}

/// A lowered kernel.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Code table; the patterns come with recording.
    pub code: Code,
    /// For each PTX instruction what became of it.
    pub spans: Vec<Span>,
    /// Line of the PTX file that each instruction of the table comes from; 0 for none.
    pub lines: Vec<u32>,
    /// Registers a thread, from liveness.
    pub registers: u16,
}

/// Lowers a kernel for SASS of version `sm` (70, 80, 90, ...).
pub fn lower(flat: &Flat<'_>, program: &Program, sm: u16) -> Machine {
    let values = values::Values::of(flat, sm);
    let (list, spans) = emit::emit(flat, &values, sm);
    let allocation = alloc::allocate(flat, program, &list, &spans);
    let mut code = Code::default();
    let mut mnemonics: HashMap<String, u16> = HashMap::new();
    for (i, lowered) in list.iter().enumerate() {
        let number = *mnemonics.entry(lowered.text.clone()).or_insert_with(|| {
            code.mnemonics.push(lowered.text.clone());
            (code.mnemonics.len() - 1) as u16
        });
        code.insts
            .push(machine_inst(i as u32, lowered, number, &allocation));
    }
    let line = |lowered: &Lowered| flat.insts.get(lowered.pc as usize).map_or(0, |i| i.line);
    Machine {
        lines: list.iter().map(line).collect(),
        code,
        spans,
        registers: allocation.registers,
    }
}

fn machine_inst(
    index: u32,
    lowered: &Lowered,
    mnemonic: u16,
    allocation: &alloc::Allocation,
) -> StaticInst {
    let raw = Raw {
        pc: 16 * index,
        text: &lowered.text,
        dst: &[],
        src: &[],
        imm: lowered.imm,
        addressed: true,
    };
    let mut inst = decode(&raw, mnemonic);
    fill(&mut inst.dst, &lowered.dst, allocation);
    fill(&mut inst.src, &lowered.src, allocation);
    inst.constant = lowered.constant;
    if let Some(mem) = &mut inst.mem {
        mem.uniform_address = lowered.constant.is_some() && inst.class == OpClass::Memory;
    }
    inst
}

/// Puts the registers of `operands` into `slots`, as far as there is room.
fn fill(slots: &mut [RegRange], operands: &[Operand], allocation: &alloc::Allocation) {
    let mut slots = slots.iter_mut();
    let mut last: Option<&mut RegRange> = None;
    for operand in operands {
        let Some(range) = allocation.range(*operand) else {
            continue;
        };
        // Neighbours become one range.
        if let Some(before) = last.as_deref_mut()
            && before.file == RegFile::General
            && range.file == RegFile::General
            && before.first.checked_add(before.count) == Some(range.first)
        {
            before.count += range.count;
            continue;
        }
        let Some(slot) = slots.next() else {
            return;
        };
        *slot = range;
        last = Some(slot);
    }
}
