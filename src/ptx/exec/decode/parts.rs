//! Packed 16-bit and video instructions.

use super::super::op::{Cmp, Op, Parts, PartsOp};
use super::{Decoded, Decoder, unsupported};
use crate::ptx::ast::Type;
use crate::ptx::flat::FlatInst;

impl<'a> Decoder<'a> {
    /// `add.s16x2`, `max.s32.relu` and the like: signedness stands in the type.
    pub(super) fn halves(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let op = match inst.opcode {
            "add" => PartsOp::Add,
            "sub" => PartsOp::Sub,
            "min" => PartsOp::Min,
            "max" => PartsOp::Max,
            _ => return Err(unsupported(inst)),
        };
        let bits = match inst.has("u16x2") || inst.has("s16x2") {
            true => 16,
            false if inst.has("s32") => 32,
            false => return Err(unsupported(inst)),
        };
        let signed = !inst.has("u16x2");
        let f = Parts {
            op,
            bits,
            a_signed: signed,
            b_signed: signed,
            d_signed: signed,
            sat: inst.has("sat"),
            relu: inst.has("relu"),
            sum: false,
        };
        let d = self.dest(inst.args.first(), Type::B32)?;
        let a = self.w(inst.args.get(1), Type::B32)?;
        let b = self.w(inst.args.get(2), Type::B32)?;
        match inst.args.len() {
            3 => Ok(Op::Parts { f, d, a, b, c: a }),
            _ => Err(unsupported(inst)),
        }
    }

    /// `vadd`, `vadd2`, `vadd4` and their relatives, on whole operands.
    pub(super) fn video(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let name = inst.opcode.get(1..).unwrap_or("");
        let (name, bits) = match (name.strip_suffix('2'), name.strip_suffix('4')) {
            (Some(name), _) => (name, 16),
            (_, Some(name)) => (name, 8),
            _ => (name, 32),
        };
        let op = match name {
            "add" => PartsOp::Add,
            "sub" => PartsOp::Sub,
            "avrg" => PartsOp::Average,
            "absdiff" => PartsOp::Difference,
            "min" => PartsOp::Min,
            "max" => PartsOp::Max,
            "set" => PartsOp::Set(comparison(inst)?),
            _ => return Err(unsupported(inst)),
        };
        let types: Vec<bool> = inst
            .modifiers
            .iter()
            .filter(|m| matches!(**m, "u32" | "s32"))
            .map(|m| *m == "s32")
            .collect();
        let (d_signed, a_signed, b_signed) = match (op, types.as_slice()) {
            (PartsOp::Set(_), [a, b]) => (false, *a, *b),
            (_, [d, a, b]) => (*d, *a, *b),
            // `vset2` names its destination too.
            _ => return Err(unsupported(inst)),
        };
        let merges = inst.args.len() > 3;
        let sum = inst.has("add");
        let third = ["min", "max", "b0", "h0"].iter().any(|m| inst.has(m));
        if third || bits == 32 && merges && !sum || bits != 32 && !merges {
            return Err(unsupported(inst));
        }
        let a = self.w(inst.args.get(1), Type::B32)?;
        Ok(Op::Parts {
            f: Parts {
                op,
                bits,
                a_signed,
                b_signed,
                d_signed,
                sat: inst.has("sat"),
                relu: false,
                sum,
            },
            d: self.dest(inst.args.first(), Type::B32)?,
            a,
            b: self.w(inst.args.get(2), Type::B32)?,
            c: match merges {
                true => self.w(inst.args.get(3), Type::B32)?,
                false => a,
            },
        })
    }
}

fn comparison(inst: &FlatInst<'_>) -> Decoded<Cmp> {
    let named = [
        ("eq", Cmp::Eq),
        ("ne", Cmp::Ne),
        ("lt", Cmp::Lt),
        ("le", Cmp::Le),
        ("gt", Cmp::Gt),
        ("ge", Cmp::Ge),
    ];
    let found = named.iter().find(|(name, _)| inst.has(name));
    found.map(|(_, cmp)| *cmp).ok_or_else(|| unsupported(inst))
}
