//! Logic, shifts, and operations on bits.

use super::super::op::{Int, Mixed, Op, Prmt, Shift, Word};
use super::arith::sized;
use super::{Decoded, Decoder, last_type, types, unsupported};
use crate::ptx::ast::{Number, Type};
use crate::ptx::flat::{Arg, FlatInst};

impl<'a> Decoder<'a> {
    pub(super) fn bits(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let ty = last_type(inst)?;
        if ty == Type::Pred {
            return self.predicate_logic(inst);
        }
        let wide = ty.bytes() == 8;
        let signed = super::ty(ty).signed();
        match inst.opcode {
            "and" => self.logic(inst, ty, Int::And),
            "or" => self.logic(inst, ty, Int::Or),
            "xor" => self.logic(inst, ty, Int::Xor),
            "not" => self.logic(inst, ty, Int::Not),
            "cnot" => self.logic(inst, ty, Int::Cnot),
            "brev" => self.logic(inst, ty, Int::Brev),
            "lop3" => self.lop3(inst),
            "shl" | "shr" => self.shift(inst, ty),
            "bfe" if wide => Ok(Op::Bfe64 {
                signed,
                d: self.dest(inst.args.first(), ty)?,
                a: self.x(inst.args.get(1), ty)?,
                b: self.w(inst.args.get(2), Type::B32)?,
                c: self.w(inst.args.get(3), Type::B32)?,
            }),
            "bfi" => {
                let d = self.dest(inst.args.first(), ty)?;
                let a = self.value(inst.args.get(1), ty)?;
                let b = self.value(inst.args.get(2), ty)?;
                let c = self.w(inst.args.get(3), Type::B32)?;
                let e = self.w(inst.args.get(4), Type::B32)?;
                Ok(match wide {
                    true => Op::Bfi64 { d, a, b, c, e },
                    false => Op::Bfi32 { d, a, b, c, e },
                })
            }
            "popc" | "clz" | "bfind" if wide => {
                let shift = inst.has("shiftamt");
                let f = match inst.opcode {
                    "popc" => Mixed::Popc,
                    "clz" => Mixed::Clz,
                    _ if signed => Mixed::BfindS { shift },
                    _ => Mixed::BfindU { shift },
                };
                Ok(Op::Mixed {
                    f,
                    d: self.dest(inst.args.first(), Type::B32)?,
                    a: self.x(inst.args.get(1), ty)?,
                })
            }
            _ => self.word_op(inst),
        }
    }

    fn logic(&mut self, inst: &FlatInst<'a>, ty: Type, f: Int) -> Decoded<Op> {
        let d = self.dest(inst.args.first(), ty)?;
        let a = self.value(inst.args.get(1), ty)?;
        let b = match f {
            Int::Not | Int::Cnot | Int::Brev => a,
            _ => self.value(inst.args.get(2), ty)?,
        };
        Ok(sized(ty, f, [d, a, b, a]))
    }

    fn predicate_logic(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let f = match inst.opcode {
            "and" => Int::And,
            "or" => Int::Or,
            "xor" => Int::Xor,
            "not" => Int::Not,
            _ => return Err(unsupported(inst)),
        };
        let d = self.pred_reg(inst.args.first())?;
        let [Some(first), second] = [inst.args.get(1), inst.args.get(2)] else {
            return Err("an operand is missing".to_owned());
        };
        let a = self.pred(first)?;
        let b = match (f, second) {
            (Int::Not, _) => a,
            (_, Some(second)) => self.pred(second)?,
            _ => return Err("an operand is missing".to_owned()),
        };
        Ok(Op::PredOp { f, d, a, b })
    }

    fn lop3(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let Some(Arg::Imm(Number::Int(table))) = inst.args.get(4) else {
            return Err("the truth table must be a number".to_owned());
        };
        let table = *table as u8;
        let [a, b, c] = self.three(inst)?;
        let Some(with) = inst.args.get(5) else {
            let d = self.dest(inst.args.first(), Type::B32)?;
            let f = Int::Lop3(table);
            return Ok(Op::Int32 { f, d, a, b, c });
        };
        // `lop3.or.b32 d|p, a, b, c, table, q`: p says whether d is not zero, or q.
        let (d, p) = self.pair(inst.args.first())?;
        Ok(Op::Lop3Pred {
            table,
            any: inst.has("or"),
            d,
            p: p.unwrap_or_else(|| self.fresh(0)),
            abc: [a, b, c],
            with: self.pred(with)?,
        })
    }

    fn three(&mut self, inst: &FlatInst<'a>) -> Decoded<[u32; 3]> {
        Ok([
            self.w(inst.args.get(1), Type::B32)?,
            self.w(inst.args.get(2), Type::B32)?,
            self.w(inst.args.get(3), Type::B32)?,
        ])
    }

    fn shift(&mut self, inst: &FlatInst<'a>, ty: Type) -> Decoded<Op> {
        let f = match inst.opcode {
            "shl" => Shift::Left,
            _ if super::ty(ty).signed() => Shift::RightS,
            _ => Shift::RightU,
        };
        let d = self.dest(inst.args.first(), ty)?;
        let a = self.value(inst.args.get(1), ty)?;
        let b = match inst.args.get(2) {
            // The amount may stand in a wider register in old code.
            Some(Arg::Imm(Number::Int(amount))) => {
                let amount = u32::try_from(*amount).unwrap_or(u32::MAX);
                self.word(amount)
            }
            other => self.w(other, Type::B32)?,
        };
        Ok(match ty.bytes() {
            2 => Op::Shift16 { f, d, a, b },
            8 => Op::Shift64 { f, d, a, b },
            _ => Op::Shift32 { f, d, a, b },
        })
    }

    fn word_op(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let all = types(inst);
        let signed_at = |i: usize| all.get(i).is_some_and(|&t| super::ty(t).signed());
        let signed = signed_at(0);
        let clamp = inst.has("clamp");
        let shift = inst.has("shiftamt");
        let (f, arity) = match inst.opcode {
            "popc" => (Word::Popc, 1),
            "clz" => (Word::Clz, 1),
            "bfind" if signed => (Word::BfindS { shift }, 1),
            "bfind" => (Word::BfindU { shift }, 1),
            "bfe" if signed => (Word::BfeS, 3),
            "bfe" => (Word::BfeU, 3),
            "prmt" => (Word::Prmt(prmt_mode(inst)), 3),
            "shf" if inst.has("l") => (Word::FunnelL { clamp }, 3),
            "shf" => (Word::FunnelR { clamp }, 3),
            "dp4a" => (
                Word::Dp4a {
                    a: signed,
                    b: signed_at(1),
                },
                3,
            ),
            "dp2a" => {
                let high = inst.has("hi");
                (
                    Word::Dp2a {
                        a: signed,
                        b: signed_at(1),
                        high,
                    },
                    3,
                )
            }
            "mad24" if inst.has("sat") => return Err(unsupported(inst)),
            "mul24" | "mad24" => {
                let high = inst.has("hi");
                (Word::Mad24 { signed, high }, 3)
            }
            "bmsk" => (Word::Bmsk { clamp }, 2),
            "szext" if signed => (Word::SzextS { clamp }, 2),
            "szext" => (Word::SzextU { clamp }, 2),
            "fns" => (Word::Fns, 3),
            _ => return Err(unsupported(inst)),
        };
        let d = self.dest(inst.args.first(), Type::B32)?;
        let mut abc = [0; 3];
        for (i, slot) in abc.iter_mut().enumerate() {
            let arg = inst.args.get(if i < arity { i + 1 } else { 1 });
            *slot = match arg {
                // `mul24` adds nothing.
                None if inst.opcode == "mul24" => self.word(0),
                arg => self.w(arg, Type::B32)?,
            };
        }
        let [a, b, c] = abc;
        Ok(Op::Word { f, d, a, b, c })
    }

    /// `cvt.pack.sat.s8.s32.b32 d, a, b, c`: two integers to the low end, `c` above them.
    pub(super) fn pack(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let sizes = [("2", 2), ("4", 4), ("8", 8), ("16", 16)];
        let found = inst.modifiers.iter().find_map(|m| {
            let (signed, rest) = match (m.strip_prefix('s'), m.strip_prefix('u')) {
                (Some(rest), _) => (true, rest),
                (_, Some(rest)) => (false, rest),
                _ => return None,
            };
            let (_, bits) = sizes.iter().find(|(name, _)| *name == rest)?;
            Some(Word::Pack {
                bits: *bits,
                signed,
            })
        });
        let above = match inst.args.get(3) {
            None => self.word(0),
            arg => self.w(arg, Type::B32)?,
        };
        Ok(Op::Word {
            f: found
                .filter(|_| inst.has("s32"))
                .ok_or_else(|| unsupported(inst))?,
            d: self.dest(inst.args.first(), Type::B32)?,
            a: self.w(inst.args.get(1), Type::B32)?,
            b: self.w(inst.args.get(2), Type::B32)?,
            c: above,
        })
    }
}

fn prmt_mode(inst: &FlatInst<'_>) -> Prmt {
    let named = [
        ("f4e", Prmt::F4e),
        ("b4e", Prmt::B4e),
        ("rc8", Prmt::Rc8),
        ("ecl", Prmt::Ecl),
        ("ecr", Prmt::Ecr),
        ("rc16", Prmt::Rc16),
    ];
    let found = named.iter().find(|(name, _)| inst.has(name));
    found.map_or(Prmt::Index, |(_, mode)| *mode)
}
