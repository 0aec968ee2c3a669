//! Cycles from issue to the issue of a reader, as a compiler counts on them.
//!
//! Fixed latencies are those that ptxas leaves between producer and consumer in its own code. Of variable ones a
//! compiler knows no more than the usual case; for global memory that is a hit in L2, so that as many loads as
//! possible go first.

use crate::isa::opcode::{Raw, decode};
use crate::isa::{MemSpace, OpClass};

/// Of the machine instruction `text` on an architecture of version `sm`.
pub fn of(text: &str, sm: u16) -> u32 {
    let raw = Raw {
        pc: 0,
        text,
        dst: &[],
        src: &[],
        imm: 0,
        addressed: true,
    };
    let inst = decode(&raw, 0);
    match inst.class {
        OpClass::Memory => memory(inst.mem.map(|mem| mem.space)),
        OpClass::SetPredicate => 13,
        OpClass::ImadWide | OpClass::ImadHi | OpClass::Fp16 | OpClass::Fp16Mma => 5,
        OpClass::Mufu | OpClass::Convert | OpClass::BitCount | OpClass::Shuffle => 24,
        OpClass::Vote => 12,
        OpClass::ReadSpecial => 22,
        OpClass::Fp64 => match sm {
            70 | 80 | 90 | 100 => 8,
            _ => 48,
        },
        OpClass::Tensor => match sm {
            ..75 => 10,
            75..80 => 16,
            _ => 24,
        },
        OpClass::Texture | OpClass::Async => 200,
        _ => 4,
    }
}

fn memory(space: Option<MemSpace>) -> u32 {
    match space {
        Some(MemSpace::Shared) => 29,
        Some(MemSpace::Constant) => 26,
        _ => 200,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The distances that a disassembly of sm_80 shows.
    #[test]
    fn latencies_are_those_of_the_class() {
        let all = [
            "FFMA",
            "IMAD.WIDE",
            "ISETP.GE.AND",
            "LDS.128",
            "LDG.E",
            "MUFU.EX2",
            "HMMA.16816.F32",
        ];
        assert_eq!(all.map(|text| of(text, 80)), [4, 5, 13, 29, 200, 24, 24]);
        assert_eq!(["DFMA"; 2].map(|text| of(text, 86)), [48; 2]);
    }
}
