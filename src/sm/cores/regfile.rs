//! Register-file reads of an instruction, and those that the reuse cache saves.

use crate::config::GpuSpec;
use crate::isa::{OpClass, RegFile, RegRange, StaticInst};
use crate::sm::program::Op;

/// The register-file reuse cache of a sub-core, followed along straight-line code: one entry for each
/// bank and operand slot, filled by an operand with its `.reuse` bit set, gone at the next read of
/// that bank and slot without it (Huerta et al., MICRO'25, 5.3).
#[derive(Default)]
pub(in crate::sm) struct ReuseCache {
    /// Register and the instruction that left it, by bank and operand slot.
    entries: [[Option<(u8, u32)>; 3]; 2],
}

impl ReuseCache {
    /// The reads of instruction number `index`, and what it leaves for those after it: the operands of
    /// `reuse_bits`.
    pub(in crate::sm) fn read(
        &mut self,
        inst: &StaticInst,
        (index, reuse_bits): (u32, u8),
        banks: u8,
        op: &mut Op,
    ) {
        if inst.mem.is_some() {
            return;
        }
        for (slot, range) in inst.src.iter().take(3).enumerate() {
            if range.count != 1 || range.file != RegFile::General {
                continue;
            }
            let bank = usize::from(range.first % banks);
            let entry = &mut self.entries[bank][slot];
            if let Some((_, left_by)) = entry.filter(|(register, _)| *register == range.first) {
                let back = (index - left_by).min(255) as u8;
                op.reuse_reads[bank] = op.reuse_reads[bank].saturating_sub(1);
                op.reuse_back = op.reuse_back.max(back);
            }
            *entry = (reuse_bits >> slot & 1 == 1).then_some((range.first, index));
        }
    }
}

/// Accesses to memory that an operand is kept over, at most.
const KEPT_OVER: usize = 2;

/// The operands of instruction `at` of `code` that a compiler would keep in the reuse cache, as bits: those that the
/// next arithmetic instruction reads in the same position, if it does not wait for the result of this one. In 161
/// files of disassembled kernels (sm_70 to sm_120) that finds 80 % of the flags that ptxas has set; 71 % of what it
/// finds ptxas has set too.
pub(in crate::sm) fn inferred_reuse(code: &[StaticInst], at: usize) -> u8 {
    let arithmetic = |inst: &StaticInst| {
        matches!(
            inst.class,
            OpClass::Fp32
                | OpClass::Fp32Alu
                | OpClass::Fp16
                | OpClass::Fp16Mma
                | OpClass::Imad
                | OpClass::ImadWide
                | OpClass::IntAlu
                | OpClass::SetPredicate
                | OpClass::Tensor
        )
    };
    let one = &code[at];
    let behind = code[at + 1..].iter().take(KEPT_OVER + 1);
    let Some(next) = behind
        .into_iter()
        .find(|inst| inst.class != OpClass::Memory)
    else {
        return 0;
    };
    let overlap = |a: &RegRange, b: &RegRange| {
        let end = |range: &RegRange| u16::from(range.first) + u16::from(range.count);
        a.file == b.file
            && a.count > 0
            && b.count > 0
            && u16::from(a.first) < end(b)
            && u16::from(b.first) < end(a)
    };
    let waits = next
        .src
        .iter()
        .any(|read| one.dst.iter().any(|d| overlap(d, read)));
    if !arithmetic(one) || !arithmetic(next) || waits {
        return 0;
    }
    let kept = |slot: &usize| {
        let operand = one.src[*slot];
        let general = operand.file == RegFile::General && operand.count == 1;
        let overwritten = one.dst.iter().any(|d| overlap(d, &operand));
        general && operand == next.src[*slot] && !overwritten
    };
    (0..3).filter(kept).fold(0, |bits, slot| bits | 1 << slot)
}

/// Register-file reads by bank. A wide operand reads one register a port each.
pub(in crate::sm) fn bank_reads(inst: &StaticInst, spec: &GpuSpec) -> [u8; 2] {
    let mut reads = [0u8; 2];
    if inst.mem.is_some() {
        // Memory operands are read through the leftover ports, after issue.
        return reads;
    }
    for range in inst
        .src
        .iter()
        .filter(|r| r.count > 0 && r.file == RegFile::General)
    {
        for register in range.first..=range.first.saturating_add(range.count - 1) {
            reads[usize::from(register % spec.sm.regfile.banks)] += 1;
        }
    }
    reads
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::opcode::{Operand, Raw, decode};

    fn inst(text: &str, dst: u16, src: &[u16]) -> StaticInst {
        let src: Vec<Operand> = src.iter().map(|&n| Operand::r(n)).collect();
        let raw = Raw {
            pc: 0,
            text,
            dst: &[Operand::r(dst)],
            src: &src,
            imm: 0,
            addressed: text.starts_with("LDS"),
        };
        decode(&raw, 0)
    }

    /// Kept: an operand that the next one reads in the same position. Not kept: in another position, overwritten,
    /// or where the next one waits for the result and so for a while.
    #[test]
    fn reuse_is_inferred_as_compilers_flag_it() {
        let first = inst("FFMA", 8, &[20, 6, 8]);
        let pairs = [
            (inst("FFMA", 9, &[20, 7, 9]), 0b001),
            (inst("FFMA", 9, &[20, 6, 9]), 0b011),
            (inst("FFMA", 9, &[6, 20, 9]), 0),
            (inst("FFMA", 9, &[7, 6, 8]), 0),
            (inst("FFMA", 9, &[20, 6, 8]), 0),
            (inst("BRA", 255, &[20]), 0),
        ];
        for (next, kept) in &pairs {
            assert_eq!(inferred_reuse(&[first.clone(), next.clone()], 0), *kept);
        }
        let load = inst("LDS", 30, &[31]);
        let behind = |loads: usize| {
            let mut code = vec![first.clone()];
            code.extend(vec![load.clone(); loads]);
            code.push(pairs[0].0.clone());
            code
        };
        let (two, three) = (behind(2), behind(3));
        assert_eq!(inferred_reuse(&two, 0), 0b001);
        assert_eq!(inferred_reuse(&three, 0), 0);
        assert_eq!(inferred_reuse(&two[..1], 0), 0);
    }
}
