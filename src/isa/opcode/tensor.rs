//! Shape and type of matrix instructions, and the registers of their fragments.

use super::Mnemonic;
use crate::isa::{TensorOp, TensorType};

/// Registers of the four fragments of a matrix instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragments {
    /// First input.
    pub a: u8,
    /// Second input.
    pub b: u8,
    /// Accumulator in and out.
    pub c: u8,
}

/// The operation of a synchronous matrix instruction; `None` for any other mnemonic.
pub fn operation(name: &Mnemonic<'_>) -> Option<TensorOp> {
    let default = match name.base {
        "HMMA" => TensorType::F16,
        "IMMA" => TensorType::I8,
        "BMMA" => TensorType::B1,
        "DMMA" => TensorType::F64,
        "QMMA" => TensorType::F8,
        "OMMA" => TensorType::I4,
        _ => return None,
    };
    let (m, n, k) = name.modifiers().find_map(shape).unwrap_or(match name.base {
        "DMMA" => (8, 8, 4),
        _ => (16, 8, 16),
    });
    let input = name.modifiers().find_map(element).unwrap_or(default);
    let half_accumulate = matches!(name.base, "HMMA" | "QMMA" | "OMMA") && !name.has("F32");
    // A Volta step with half-precision accumulators does twice the rows of one with single
    // precision: a 16 × 16 × 16 tile takes 8 steps, not 16.
    let m = if (m, n, k) == (8, 8, 4) && name.base == "HMMA" && half_accumulate {
        16
    } else {
        m
    };
    Some(TensorOp {
        m,
        n,
        k,
        input,
        wide_accumulate: !half_accumulate,
        sparse: name.has("SP"),
    })
}

/// `m`, `n`, `k` from the digits of a shape modifier: `884`, `16816`, `88128`. All have n = 8.
fn shape(modifier: &str) -> Option<(u16, u16, u16)> {
    if modifier.len() < 3 || !modifier.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (m, rest) = match modifier.strip_prefix("16") {
        Some(rest) => (16, rest),
        None => (8, modifier.strip_prefix('8')?),
    };
    let k = rest.strip_prefix('8')?.parse().ok()?;
    matches!(k, 4 | 8 | 16 | 32 | 64 | 128 | 256).then_some((m, 8, k))
}

fn element(modifier: &str) -> Option<TensorType> {
    Some(match modifier {
        "BF16" => TensorType::Bf16,
        "TF32" => TensorType::Tf32,
        "S8" | "U8" => TensorType::I8,
        "S4" | "U4" => TensorType::I4,
        "E4M3" | "E5M2" => TensorType::F8,
        _ => return None,
    })
}

fn bits(input: TensorType) -> u32 {
    match input {
        TensorType::F64 => 64,
        TensorType::Tf32 => 32,
        TensorType::F16 | TensorType::Bf16 => 16,
        TensorType::F8 | TensorType::I8 => 8,
        TensorType::I4 => 4,
        TensorType::B1 => 1,
    }
}

/// Registers of each fragment: elements × bits over 32 lanes of 32 bits.
pub fn fragments(op: &TensorOp) -> Fragments {
    // One Volta step reads and writes a register pair of each operand.
    if op.k == 4 && op.n == 8 && matches!(op.input, TensorType::F16) {
        return Fragments { a: 2, b: 2, c: 2 };
    }
    let registers = |rows: u16, columns: u16, bits: u32| {
        (u32::from(rows) * u32::from(columns) * bits / 1024).clamp(1, 16) as u8
    };
    let input = bits(op.input);
    let accumulator = match (op.input, op.wide_accumulate) {
        (TensorType::F64, _) => 64,
        (_, true) => 32,
        (_, false) => 16,
    };
    let a = registers(op.m, op.k, input);
    Fragments {
        a: if op.sparse { (a / 2).max(1) } else { a },
        b: registers(op.k, op.n, input),
        c: registers(op.m, op.n, accumulator),
    }
}
