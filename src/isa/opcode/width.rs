//! How many registers each operand of an instruction spans.

use super::memory::width_bytes;
use super::tensor;
use super::{Mnemonic, Raw};
use crate::isa::{OpClass, RegFile};

/// Register counts of the general operands by position; later positions repeat the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    dst: u8,
    src: [u8; 4],
    uniform: u8,
}

impl Widths {
    const fn all(dst: u8, src: u8) -> Self {
        Widths {
            dst,
            src: [src; 4],
            uniform: 1,
        }
    }

    /// The widths for an instruction of class `class`.
    pub fn of(name: &Mnemonic<'_>, class: OpClass, raw: &Raw<'_>) -> Self {
        match class {
            OpClass::Fp64 => Widths::all(2, 2),
            OpClass::ImadWide => wide_multiply(raw),
            OpClass::Convert => conversion(name),
            OpClass::ReadClock => Widths::all(if name.has("32") { 1 } else { 2 }, 1),
            OpClass::Tensor => matrix(name),
            OpClass::Memory => memory(name, raw),
            OpClass::CacheControl => Widths::all(1, address(name)),
            OpClass::Branch => Widths::all(1, 2),
            _ if matches!(name.base, "FADD2" | "FMUL2" | "FFMA2") => Widths::all(2, 2),
            _ if name.base == "LEPC" || name.base == "QSPC" => Widths::all(2, 2),
            _ if name.has("64") || name.has("U64") && name.base == "MATCH" => Widths {
                uniform: 2,
                ..Widths::all(2, 2)
            },
            _ => Widths::all(1, 1),
        }
    }

    /// Registers of destination `position`; only the first is ever wide.
    pub fn dst(&self, position: usize, file: RegFile) -> u8 {
        match file {
            RegFile::General if position == 0 => self.dst,
            RegFile::Uniform if position == 0 => self.uniform.max(1),
            _ => 1,
        }
    }

    /// Registers of the general source at `position`.
    pub fn src(&self, position: usize, file: RegFile) -> u8 {
        match file {
            RegFile::General => self.src[position.min(3)],
            _ => 1,
        }
    }
}

/// 32 × 32 + 64: the addend is a pair. With fewer than three registers listed the others are
/// constants, and which one is missing cannot be told.
fn wide_multiply(raw: &Raw<'_>) -> Widths {
    let general = raw.src.iter().filter(|s| s.file == RegFile::General);
    let addend = if general.count() >= 3 { 2 } else { 1 };
    Widths {
        dst: 2,
        src: [1, 1, addend, 1],
        uniform: 2,
    }
}

/// `F2F.<to>.<from>`, `I2F.<to>.<from>`, `F2I.<to>.<from>`; either type may be left out when it is
/// the default, so that a lone 64-bit type belongs to the side that can have it.
fn conversion(name: &Mnemonic<'_>) -> Widths {
    let is_type = |m: &&str| {
        let digits = m.trim_start_matches(['F', 'S', 'U', 'B']);
        digits.len() < m.len() && matches!(digits, "8" | "16" | "32" | "64")
    };
    let mut types = name.modifiers().filter(is_type);
    let (first, second) = (types.next(), types.next());
    let wide = |t: Option<&str>| {
        if t.is_some_and(|t| t.ends_with("64")) {
            2
        } else {
            1
        }
    };
    let float = |t: Option<&str>| t.is_some_and(|t| t.starts_with('F'));
    match (name.base, second) {
        ("FRND", None) => Widths::all(wide(first), wide(first)),
        ("F2I", None) if float(first) => Widths::all(1, wide(first)),
        ("I2F", None) if !float(first) => Widths::all(1, wide(first)),
        _ => Widths::all(wide(first), wide(second)),
    }
}

fn matrix(name: &Mnemonic<'_>) -> Widths {
    match tensor::operation(name) {
        Some(op) => {
            let f = tensor::fragments(&op);
            Widths {
                dst: f.c,
                // The fourth source is the sparsity metadata.
                src: [f.a, f.b, f.c, 1],
                uniform: 1,
            }
        }
        None => Widths::all(1, 1),
    }
}

/// Registers of a general address base.
fn address(name: &Mnemonic<'_>) -> u8 {
    let device = matches!(
        name.base,
        "LD" | "LDG" | "ST" | "STG" | "ATOM" | "ATOMG" | "RED" | "REDG" | "LDU" | "CCTL"
    );
    if device && name.has("E") && !name.has("U32") && !name.has("U") {
        2
    } else {
        1
    }
}

fn memory(name: &Mnemonic<'_>, raw: &Raw<'_>) -> Widths {
    let bytes = width_bytes(name);
    let mut data = bytes.div_ceil(4);
    if name.has("256") {
        data = 8;
    }
    let base = address(name);
    let general = raw
        .src
        .iter()
        .filter(|s| s.file == RegFile::General)
        .count();
    let stores = matches!(
        name.base,
        "ST" | "STG" | "STL" | "STS" | "STSM" | "STSCUL" | "RED" | "REDG"
    );
    let src = match name.base {
        // Shared destination, then global source.
        "LDGSTS" => [1, if name.has("E") { 2 } else { 1 }, 1, 1],
        // With one general source the address is uniform, and what is listed is the data.
        _ if stores && general == 1 => [data, 1, 1, 1],
        _ => [base, data, data, 1],
    };
    Widths {
        dst: data,
        src,
        uniform: data,
    }
}
