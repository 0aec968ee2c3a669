//! Register-file reads of an instruction, and those that the reuse cache saves.

use crate::config::GpuSpec;
use crate::isa::{RegFile, StaticInst};
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
    /// The reads of instruction number `index`, and what it leaves for those after it.
    pub(in crate::sm) fn read(&mut self, inst: &StaticInst, index: u32, banks: u8, op: &mut Op) {
        if inst.mem.is_some() {
            return;
        }
        let reuse_bits = op.control.reuse;
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
