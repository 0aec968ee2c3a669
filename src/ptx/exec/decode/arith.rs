//! Arithmetic and bit operations.

use super::super::numeric::Small;
use super::super::op::{Carry, Flt, Half, Int, Op, Slot};
use super::{Decoded, Decoder, last_type, mode, types, unsupported};
use crate::ptx::ast::Type;
use crate::ptx::flat::FlatInst;

impl<'a> Decoder<'a> {
    pub(super) fn arithmetic(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        if inst.opcode == "testp" {
            return self.testp(inst);
        }
        // `add.f32x2` has a type that no variable has.
        if inst.has("f32x2") {
            return self.paired(inst);
        }
        if inst.has("u16x2") || inst.has("s16x2") {
            return self.halves(inst);
        }
        let ty = last_type(inst)?;
        if inst.has("relu") && super::ty(ty).signed() {
            return self.halves(inst);
        }
        match ty {
            Type::F32 | Type::F64 | Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2 => {
                self.floating(inst, ty)
            }
            _ => self.integer(inst, ty),
        }
    }

    fn floating(&mut self, inst: &FlatInst<'a>, ty: Type) -> Decoded<Op> {
        let f = float_op(inst)?;
        let mut m = mode(inst);
        if inst
            .modifiers
            .iter()
            .any(|m| matches!(*m, "rn" | "rz" | "rm" | "rp"))
        {
            // The rounding that stands first is the operation's.
        } else if matches!(f, Flt::Div | Flt::Rcp | Flt::Sqrt) {
            m.round = Default::default();
        }
        if let [Type::F32, small @ (Type::F16 | Type::Bf16)] = *types(inst) {
            return self.mixed_precision(inst, f, m, small);
        }
        let f = of_three(f, ty, inst.args.len());
        let arity = arity(f);
        if inst.args.len() > arity + 1 {
            return Err(unsupported(inst));
        }
        let d = self.dest(inst.args.first(), ty)?;
        let mut abc = [0; 3];
        for (i, slot) in abc.iter_mut().enumerate() {
            let arg = inst.args.get(if i < arity { i + 1 } else { 1 });
            *slot = self.value(arg, ty)?;
        }
        let [a, b, c] = abc;
        Ok(match ty {
            Type::F32 => Op::F32 { f, m, d, a, b, c },
            Type::F64 => Op::F64 { f, m, d, a, b, c },
            _ => {
                let half = matches!(ty, Type::F16 | Type::F16x2);
                let small = if half { Small::F16 } else { Small::Bf16 };
                let packed = matches!(ty, Type::F16x2 | Type::Bf16x2);
                Op::F16 {
                    f,
                    m,
                    small,
                    packed,
                    d,
                    a,
                    b,
                    c,
                }
            }
        })
    }

    /// `add.f32.f16` and the like: the first operands are of the smaller format.
    fn mixed_precision(
        &mut self,
        inst: &FlatInst<'a>,
        f: Flt,
        m: super::Mode,
        small: Type,
    ) -> Decoded<Op> {
        let [b, c] = match f {
            Flt::Add | Flt::Sub => [Type::F32, Type::F32],
            Flt::Fma => [small, Type::F32],
            _ => return Err(unsupported(inst)),
        };
        let last = inst.args.get(if f == Flt::Fma { 3 } else { 2 });
        Ok(Op::F32Mixed {
            f,
            m,
            small: match small {
                Type::F16 => Small::F16,
                _ => Small::Bf16,
            },
            d: self.dest(inst.args.first(), Type::F32)?,
            a: self.w(inst.args.get(1), small)?,
            b: self.w(inst.args.get(2), b)?,
            c: self.w(last, c)?,
        })
    }

    fn paired(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let f = float_op(inst)?;
        let arity = arity(f);
        let d = self.dest(inst.args.first(), Type::B64)?;
        let mut abc = [0; 3];
        for (i, slot) in abc.iter_mut().enumerate() {
            let arg = inst.args.get(if i < arity { i + 1 } else { 1 });
            *slot = self.x(arg, Type::B64)?;
        }
        let [a, b, c] = abc;
        Ok(Op::F32x2 {
            f,
            m: mode(inst),
            d,
            a,
            b,
            c,
        })
    }

    fn testp(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let class = [
            "finite",
            "infinite",
            "number",
            "notanumber",
            "normal",
            "subnormal",
        ]
        .iter()
        .position(|c| inst.has(c))
        .ok_or_else(|| unsupported(inst))?;
        let ty = last_type(inst)?;
        Ok(Op::TestP {
            d: self.pred_reg(inst.args.first())?,
            a: self.slot(inst.args.get(1), ty)?,
            class: class as u8,
        })
    }

    fn integer(&mut self, inst: &FlatInst<'a>, ty: Type) -> Decoded<Op> {
        if inst.has("cc") || matches!(inst.opcode, "addc" | "subc" | "madc") {
            return self.carrying(inst, ty);
        }
        if inst.has("wide") {
            return self.wide(inst, ty);
        }
        let signed = super::ty(ty).signed();
        let f = integer_op(inst, signed)?;
        let unary = matches!(f, Int::Abs | Int::Neg);
        let ternary = matches!(
            f,
            Int::Mad | Int::MadSat | Int::MadHiS | Int::MadHiU | Int::SadS | Int::SadU
        );
        let operands = match (unary, ternary) {
            (true, _) => 1,
            (_, true) => 3,
            _ => 2,
        };
        if inst.args.len() > operands + 1 {
            return Err(unsupported(inst));
        }
        let d = self.dest(inst.args.first(), ty)?;
        let a = self.value(inst.args.get(1), ty)?;
        let b = if unary {
            a
        } else {
            self.value(inst.args.get(2), ty)?
        };
        let c = if ternary {
            self.value(inst.args.get(3), ty)?
        } else {
            a
        };
        Ok(sized(ty, f, [d, a, b, c]))
    }

    fn wide(&mut self, inst: &FlatInst<'a>, ty: Type) -> Decoded<Op> {
        let signed = super::ty(ty).signed();
        let mad = inst.opcode == "mad";
        let (a, b) = (self.w(inst.args.get(1), ty)?, self.w(inst.args.get(2), ty)?);
        if ty.bytes() == 2 {
            let d = self.dest(inst.args.first(), Type::B32)?;
            let c = match mad {
                true => self.w(inst.args.get(3), Type::B32)?,
                false => self.word(0),
            };
            return Ok(Op::Wide16 { signed, d, a, b, c });
        }
        let d = self.dest(inst.args.first(), Type::B64)?;
        match mad {
            true => {
                let c = self.x(inst.args.get(3), Type::B64)?;
                Ok(Op::MadWide { signed, d, a, b, c })
            }
            false => Ok(Op::Wide { signed, d, a, b }),
        }
    }

    fn carrying(&mut self, inst: &FlatInst<'a>, ty: Type) -> Decoded<Op> {
        let mul = matches!(inst.opcode, "mad" | "madc").then(|| match inst.has("hi") {
            true => Half::High,
            false => Half::Low,
        });
        let f = Carry {
            sub: matches!(inst.opcode, "sub" | "subc"),
            mul,
            signed: super::ty(ty).signed(),
            takes: matches!(inst.opcode, "addc" | "subc" | "madc"),
            sets: inst.has("cc"),
        };
        let d = self.dest(inst.args.first(), ty)?;
        let a = self.value(inst.args.get(1), ty)?;
        let b = self.value(inst.args.get(2), ty)?;
        let c = match mul {
            Some(_) => self.value(inst.args.get(3), ty)?,
            None => a,
        };
        Ok(match ty.bytes() {
            8 => Op::Carry64 { f, d, a, b, c },
            _ => Op::Carry32 { f, d, a, b, c },
        })
    }
}

/// An integer operation of the width of `ty`.
pub(super) fn sized(ty: Type, f: Int, [d, a, b, c]: [u32; 4]) -> Op {
    match ty.bytes() {
        1 | 2 => Op::Int16 { f, d, a, b, c },
        8 => Op::Int64 { f, d, a, b, c },
        _ => Op::Int32 { f, d, a, b, c },
    }
}

/// Minimum and maximum of floats may have three operands.
fn of_three(f: Flt, ty: Type, args: usize) -> Flt {
    match f {
        _ if args != 4 || ty != Type::F32 => f,
        Flt::Min => Flt::Min3,
        Flt::Max => Flt::Max3,
        Flt::MinNan => Flt::Min3Nan,
        Flt::MaxNan => Flt::Max3Nan,
        _ => f,
    }
}

fn arity(f: Flt) -> usize {
    match f {
        Flt::Fma | Flt::FmaRelu => 3,
        Flt::Min3 | Flt::Max3 | Flt::Min3Nan | Flt::Max3Nan => 3,
        Flt::Add | Flt::Sub | Flt::Mul | Flt::Div | Flt::Copysign => 2,
        Flt::Min | Flt::Max | Flt::MinNan | Flt::MaxNan => 2,
        Flt::MinSigned | Flt::MaxSigned | Flt::MinNanSigned | Flt::MaxNanSigned => 2,
        _ => 1,
    }
}

fn float_op(inst: &FlatInst<'_>) -> Decoded<Flt> {
    let magnitudes = inst.has("xorsign");
    let clamps = inst.has("abs") && inst.opcode != "abs" && !magnitudes;
    if inst.has("oob") || clamps {
        return Err(unsupported(inst));
    }
    let nan = inst.has("NaN");
    Ok(match inst.opcode {
        "add" => Flt::Add,
        "sub" => Flt::Sub,
        "mul" => Flt::Mul,
        "fma" | "mad" if inst.has("relu") => Flt::FmaRelu,
        "fma" | "mad" => Flt::Fma,
        "div" => Flt::Div,
        "min" if magnitudes && nan => Flt::MinNanSigned,
        "min" if magnitudes => Flt::MinSigned,
        "max" if magnitudes && nan => Flt::MaxNanSigned,
        "max" if magnitudes => Flt::MaxSigned,
        "min" if nan => Flt::MinNan,
        "min" => Flt::Min,
        "max" if nan => Flt::MaxNan,
        "max" => Flt::Max,
        "abs" => Flt::Abs,
        "neg" => Flt::Neg,
        "rcp" => Flt::Rcp,
        "sqrt" => Flt::Sqrt,
        "rsqrt" => Flt::Rsqrt,
        "sin" => Flt::Sin,
        "cos" => Flt::Cos,
        "lg2" => Flt::Lg2,
        "ex2" => Flt::Ex2,
        "tanh" => Flt::Tanh,
        "copysign" => Flt::Copysign,
        _ => return Err(unsupported(inst)),
    })
}

fn integer_op(inst: &FlatInst<'_>, signed: bool) -> Decoded<Int> {
    let (sat, hi) = (inst.has("sat"), inst.has("hi"));
    Ok(match (inst.opcode, signed) {
        ("add", _) if sat => Int::AddSat,
        ("add", _) => Int::Add,
        ("sub", _) if sat => Int::SubSat,
        ("sub", _) => Int::Sub,
        ("mul", true) if hi => Int::MulHiS,
        ("mul", false) if hi => Int::MulHiU,
        ("mul", _) => Int::Mul,
        ("mad", _) if hi && sat => Int::MadSat,
        ("mad", true) if hi => Int::MadHiS,
        ("mad", false) if hi => Int::MadHiU,
        ("mad", _) => Int::Mad,
        ("div", true) => Int::DivS,
        ("div", false) => Int::DivU,
        ("rem", true) => Int::RemS,
        ("rem", false) => Int::RemU,
        ("min", true) => Int::MinS,
        ("min", false) => Int::MinU,
        ("max", true) => Int::MaxS,
        ("max", false) => Int::MaxU,
        ("abs", _) => Int::Abs,
        ("neg", _) => Int::Neg,
        ("sad", true) => Int::SadS,
        ("sad", false) => Int::SadU,
        _ => return Err(unsupported(inst)),
    })
}

/// The register that a slot names, whatever its width.
pub(super) fn number_of(slot: Slot) -> u32 {
    match slot {
        Slot::Half(r) | Slot::Word(r) | Slot::Double(r) => r,
    }
}
