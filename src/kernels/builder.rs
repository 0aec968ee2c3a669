//! Assembles the static side of a generated kernel: code table, mnemonics, lane patterns.
//!
//! Instructions go through the same opcode table as imported ones, so that a generated kernel and
//! its exported trace mean the same. Unlike a trace, a generated kernel also names predicates.

use crate::isa::RegFile;
use crate::isa::opcode::{Operand, Raw, decode};
use crate::trace::{Code, PatternId, PatternTable};

/// All lanes.
pub const FULL: u32 = u32::MAX;

/// General register `number`.
pub const fn r(number: u16) -> Operand {
    Operand::r(number)
}

/// Uniform register `number`.
pub const fn ur(number: u16) -> Operand {
    Operand {
        file: RegFile::Uniform,
        number,
    }
}

/// Predicate register `number`.
pub const fn p(number: u16) -> Operand {
    Operand {
        file: RegFile::Predicate,
        number,
    }
}

/// The suffix of a memory mnemonic for accesses of `width` bytes per lane; empty for four, the default.
pub fn size_suffix(width: u64) -> &'static str {
    match width {
        1 => ".U8",
        2 => ".U16",
        8 => ".64",
        16 => ".128",
        _ => "",
    }
}

/// The mask of the first `lanes` lanes.
pub fn first_lanes(lanes: u64) -> u32 {
    match lanes {
        0 => 0,
        1..32 => (1 << lanes) - 1,
        _ => FULL,
    }
}

/// Lane `2 r + h` holds half `h` of row `r`: the mask of the first rows and halves (1 or 2).
pub fn pair_mask(rows: u64, halves: u64) -> u32 {
    let both = first_lanes(2 * rows);
    if halves == 2 {
        both
    } else {
        both & 0x5555_5555
    }
}

/// Lanes 0 to 15 lie in one row, 16 to 31 in another: the mask of the first rows (1 or 2), each
/// with so many columns.
pub fn two_row_mask(rows: u64, columns: u64) -> u32 {
    let row = first_lanes(columns);
    if rows == 2 { row | row << 16 } else { row }
}

/// The mask of warp `warp` of a CTA of `threads` threads.
pub fn warp_mask(threads: u32, warp: u32) -> u32 {
    first_lanes(u64::from(threads.saturating_sub(warp * 32)))
}

/// A kernel's static side under construction.
#[derive(Debug)]
pub struct KernelBuilder {
    sm_version: u16,
    code: Code,
    patterns: PatternTable,
    /// Instructions that were left out.
    skipped: u32,
}

impl KernelBuilder {
    /// A builder for SASS of version `sm_version` (70, 75, 80, ...).
    pub fn new(sm_version: u16) -> Self {
        KernelBuilder {
            sm_version,
            code: Code::default(),
            patterns: PatternTable::default(),
            skipped: 0,
        }
    }

    /// SASS version.
    pub fn sm_version(&self) -> u16 {
        self.sm_version
    }

    /// The index that the next instruction gets.
    pub fn here(&self) -> u32 {
        self.code.insts.len() as u32
    }

    /// Whether instruction `index` has addresses.
    pub fn accesses_memory(&self, index: u32) -> bool {
        crate::trace::stream::has_access(&self.code.insts[index as usize], FULL)
    }

    /// Appends an instruction and returns its index.
    pub fn inst(&mut self, text: &str, dst: &[Operand], src: &[Operand]) -> u32 {
        self.inst_imm(text, dst, src, 0)
    }

    /// The same with an immediate.
    pub fn inst_imm(&mut self, text: &str, dst: &[Operand], src: &[Operand], imm: u64) -> u32 {
        let index = self.here();
        let raw = Raw {
            pc: (index + self.skipped) * 16,
            text,
            dst,
            src,
            imm,
            addressed: true,
        };
        let mnemonic = self.mnemonic(text);
        self.code.insts.push(decode(&raw, mnemonic));
        index
    }

    /// Appends an instruction with an operand from constant bank 0 at `offset`.
    pub fn inst_const(&mut self, text: &str, dst: &[Operand], src: &[Operand], offset: u32) -> u32 {
        let index = self.inst(text, dst, src);
        self.code.insts[index as usize].constant = Some(offset);
        index
    }

    /// Leaves room for instructions that no warp executes, such as the slow path of a division: what comes before jumps
    /// over them.
    pub fn skip(&mut self, instructions: u32) {
        self.skipped += instructions;
    }

    /// A branch back to instruction `target`, guarded by `P0`.
    pub fn branch(&mut self, target: u32) -> u32 {
        let to = self.code.insts[target as usize].pc;
        self.inst_imm("BRA", &[], &[p(0)], to.into())
    }

    /// The start of every kernel: the stack pointer, which no kernel here uses.
    pub fn entry(&mut self) -> u32 {
        let text = if self.sm_version >= 90 { "LDC" } else { "MOV" };
        self.inst_const(text, &[r(1)], &[], 0x28)
    }

    /// Byte offset of kernel parameter number `index` (8 bytes each) in constant bank 0.
    pub fn parameter(&self, index: u32) -> u32 {
        let base = match self.sm_version {
            100.. => 0x380,
            90.. => 0x210,
            _ => 0x160,
        };
        base + 8 * index
    }

    /// Mnemonic of a global load (`LDG`) or store (`STG`) of `width` bytes a lane.
    pub fn global(&self, base: &str, width: u64) -> String {
        let size = size_suffix(width);
        // sm_70 and sm_75 spell the default scope out.
        let scope = if self.sm_version < 80 { ".SYS" } else { "" };
        format!("{base}.E{size}{scope}")
    }

    /// Mnemonic of a 16-byte load from shared memory.
    pub fn shared_load_128(&self) -> &'static str {
        match self.sm_version {
            80.. => "LDS.128",
            _ => "LDS.U.128",
        }
    }

    /// Mnemonic of a barrier of all warps of the CTA.
    pub fn barrier_text(&self) -> &'static str {
        match self.sm_version {
            80.. => "BAR.SYNC.DEFER_BLOCKING",
            _ => "BAR.SYNC",
        }
    }

    /// Global thread number into `R0`: block and thread number, multiply-add. Returns the index of the first.
    pub fn thread_number(&mut self) -> u32 {
        let first = self.inst("S2R", &[r(0)], &[]);
        self.inst("S2R", &[r(3)], &[]);
        self.inst_const("IMAD", &[r(0)], &[r(0), r(3)], 0);
        first
    }

    /// The number of the pattern whose lane `l` (of `mask`) is at `offset(l)`.
    pub fn pattern(&mut self, mask: u32, width: u64, offset: impl Fn(u64) -> u64) -> PatternId {
        let lanes = (0..32u64).filter(|lane| mask >> lane & 1 != 0);
        let addresses: Vec<u64> = lanes.map(offset).collect();
        self.patterns
            .intern(mask, width as u8, &addresses)
            .expect("a generated kernel has few patterns with small offsets")
    }

    /// The patterns of a contiguous access of `width` bytes a lane, by number of active lanes.
    pub fn contiguous(&mut self, width: u64) -> Vec<PatternId> {
        (0..=32)
            .map(|lanes| match first_lanes(lanes) {
                0 => 0,
                mask => self.pattern(mask, width, |lane| lane * width),
            })
            .collect()
    }

    /// The instructions so far.
    pub(super) fn code_mut(&mut self) -> &mut Code {
        &mut self.code
    }

    /// The finished code table.
    pub fn finish(mut self) -> Code {
        self.code.patterns = self.patterns.into_patterns();
        self.code
    }

    fn mnemonic(&mut self, text: &str) -> u16 {
        let known = self.code.mnemonics.iter().position(|m| m == text);
        known.unwrap_or_else(|| {
            self.code.mnemonics.push(text.to_owned());
            self.code.mnemonics.len() - 1
        }) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::OpClass;

    #[test]
    fn instructions_follow_each_other_by_16_bytes() {
        let mut b = KernelBuilder::new(70);
        b.entry();
        let ffma = b.inst("FFMA", &[r(4)], &[r(4), r(5), r(6)]);
        let again = b.inst("FFMA", &[r(4)], &[r(4), r(5), r(6)]);
        let code = b.finish();
        assert_eq!(code.insts[ffma as usize].class, OpClass::Fp32);
        assert_eq!(code.insts[again as usize].pc, 32);
        assert_eq!(code.mnemonics.len(), 2);
    }

    #[test]
    fn masks_of_partial_warps() {
        assert_eq!(warp_mask(48, 0), FULL);
        assert_eq!(warp_mask(48, 1), 0xffff);
        assert_eq!(warp_mask(48, 2), 0);
    }
}
