//! Comparisons, selections, conversions, moves.

use super::super::numeric::Small;
use super::super::op::{Bool, Cmp, Int, Op, Pred, Slot, Ty};
use super::arith::number_of;
use super::{Decoded, Decoder, last_type, missing, mode, types, unsupported, window_of};
use crate::ptx::ast::{Space, Type};
use crate::ptx::flat::{Arg, FlatInst, Special};

impl<'a> Decoder<'a> {
    pub(super) fn conversion(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        match inst.opcode {
            "setp" => self.setp(inst),
            "set" => self.set(inst),
            "selp" => self.selp(inst),
            "slct" => self.slct(inst),
            "cvt" => self.cvt(inst),
            "cvta" => self.cvta(inst),
            "isspacep" => Ok(Op::Isspacep {
                d: self.pred_reg(inst.args.first())?,
                a: self.x(inst.args.get(1), Type::B64)?,
                base: window_of(inst).unwrap_or(0),
            }),
            _ => self.mov(inst),
        }
    }

    /// The predicate and operator that a comparison is combined with.
    fn combination(&mut self, inst: &FlatInst<'a>) -> Decoded<Option<(Bool, Pred)>> {
        let operator = inst.modifiers.iter().find_map(|m| match *m {
            "and" => Some(Bool::And),
            "or" => Some(Bool::Or),
            "xor" => Some(Bool::Xor),
            _ => None,
        });
        match (operator, inst.args.get(3)) {
            (Some(operator), Some(arg)) => Ok(Some((operator, self.pred(arg)?))),
            _ => Ok(None),
        }
    }

    fn setp(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let ty = last_type(inst)?;
        let cmp = comparison(inst, ty)?;
        let (d, e) = match inst.args.first() {
            Some(Arg::Pair(a, b)) => {
                let d = self.pred_reg(Some(&a.map_or(Arg::Sink, Arg::Reg)))?;
                let e = b.map(|b| self.pred_reg(Some(&Arg::Reg(b)))).transpose()?;
                (d, e)
            }
            other => (self.pred_reg(other)?, None),
        };
        let a = self.value(inst.args.get(1), ty)?;
        let b = self.value(inst.args.get(2), ty)?;
        let with = self.combination(inst)?;
        if let Some(small) = packed(ty) {
            return Ok(Op::SetpPacked {
                cmp,
                small,
                d,
                e,
                a,
                b,
                with,
            });
        }
        let ftz = inst.has("ftz");
        Ok(Op::Setp {
            cmp,
            ty: super::ty(ty),
            ftz,
            d,
            e,
            a,
            b,
            with,
        })
    }

    fn set(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let all = types(inst);
        let [to, from] = all.as_slice() else {
            return Err(unsupported(inst));
        };
        let ones = match to {
            Type::F32 => 1f32.to_bits(),
            Type::F16 | Type::F16x2 => 0x3c00,
            Type::Bf16 | Type::Bf16x2 => 0x3f80,
            Type::U16 | Type::S16 => 0xffff,
            _ => u32::MAX,
        };
        if let Some(small) = packed(*from) {
            return Ok(Op::SetPacked {
                cmp: comparison(inst, *from)?,
                small,
                ones: ones as u16,
                d: self.dest(inst.args.first(), *to)?,
                a: self.value(inst.args.get(1), *from)?,
                b: self.value(inst.args.get(2), *from)?,
                with: self.combination(inst)?,
            });
        }
        Ok(Op::Set {
            cmp: comparison(inst, *from)?,
            ty: super::ty(*from),
            ftz: inst.has("ftz"),
            ones,
            d: self.dest(inst.args.first(), *to)?,
            a: self.value(inst.args.get(1), *from)?,
            b: self.value(inst.args.get(2), *from)?,
            with: self.combination(inst)?,
        })
    }

    fn selp(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let ty = last_type(inst)?;
        let d = self.dest(inst.args.first(), ty)?;
        let a = self.value(inst.args.get(1), ty)?;
        let b = self.value(inst.args.get(2), ty)?;
        let p = match inst.args.get(3) {
            Some(arg) => self.pred(arg)?,
            None => return Err(missing(None)),
        };
        Ok(match ty.bytes() {
            8 => Op::Sel64 { d, a, b, p },
            _ => Op::Sel32 { d, a, b, p },
        })
    }

    fn slct(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let all = types(inst);
        let [ty, by] = all.as_slice() else {
            return Err(unsupported(inst));
        };
        Ok(Op::Slct {
            wide: ty.bytes() == 8,
            float: *by == Type::F32,
            d: self.dest(inst.args.first(), *ty)?,
            a: self.value(inst.args.get(1), *ty)?,
            b: self.value(inst.args.get(2), *ty)?,
            c: self.w(inst.args.get(3), *by)?,
        })
    }

    fn cvt(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        if inst.has("pack") {
            return self.pack(inst);
        }
        // Stochastic rounding, scaled formats.
        let scaled = inst.modifiers.iter().any(|m| m.starts_with("scaled"));
        if inst.has("rs") || scaled {
            return Err(unsupported(inst));
        }
        let all: Vec<(Ty, Type, bool)> = inst
            .modifiers
            .iter()
            .filter_map(|m| conversion_type(m))
            .collect();
        let [(to, to_type, two), (from, from_type, from_two), ..] = all.as_slice() else {
            return Err(unsupported(inst));
        };
        let (m, relu) = (mode(inst), inst.has("relu"));
        if let (Ty::Small(small), true, Ty::F32, false) = (*to, *two, *from, *from_two) {
            return Ok(Op::CvtPack {
                to: small,
                m,
                relu,
                d: self.dest(inst.args.first(), *to_type)?,
                a: self.w(inst.args.get(1), Type::F32)?,
                b: self.w(inst.args.get(2), Type::F32)?,
            });
        }
        if let (Ty::Small(to), true, Ty::Small(from), true) = (*to, *two, *from, *from_two) {
            return Ok(Op::CvtTwo {
                from,
                to,
                m,
                relu,
                d: self.dest(inst.args.first(), *to_type)?,
                a: self.w(inst.args.get(1), *from_type)?,
            });
        }
        if *two || *from_two {
            return Err(unsupported(inst));
        }
        let rounds = |m: &&str| matches!(*m, "rni" | "rzi" | "rmi" | "rpi");
        let integral = inst.modifiers.iter().any(rounds);
        let d = self.slot(inst.args.first(), *to_type)?;
        let a = self.slot(inst.args.get(1), *from_type)?;
        Ok(Op::Cvt {
            from: *from,
            to: *to,
            m,
            integral,
            relu,
            d,
            a,
        })
    }

    fn cvta(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let ty = last_type(inst)?;
        let base = window_of(inst).ok_or_else(|| unsupported(inst))?;
        let wide = ty.bytes() == 8;
        if !wide && base != 0 {
            return Err("generic addresses of 32 bits are not supported".to_owned());
        }
        Ok(Op::Cvta {
            wide,
            base,
            to: inst.has("to"),
            d: self.dest(inst.args.first(), ty)?,
            a: self.value(inst.args.get(1), ty)?,
        })
    }

    /// `mov.b128`: registers of 128 bits are pairs by now.
    fn mov_pairs(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let d = self.slots(inst.args.first(), Type::B64)?;
        let a = self.slots(inst.args.get(1), Type::B64)?;
        if d.len() != 2 || a.len() != 2 {
            return Err(unsupported(inst));
        }
        let (d, a) = (self.list(d)?, self.list(a)?);
        Ok(Op::MovList { d, a })
    }

    fn mov(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let ty = last_type(inst)?;
        if ty == Type::Pred {
            let d = self.pred_reg(inst.args.first())?;
            return match inst.args.get(1) {
                Some(arg) => Ok(Op::MovPred {
                    d,
                    a: self.pred(arg)?,
                }),
                None => Err(missing(None)),
            };
        }
        if ty == Type::B128 {
            return self.mov_pairs(inst);
        }
        if let Some(high) = inst.args.get(1).and_then(clock) {
            let d = self.slot(inst.args.first(), ty)?;
            return Ok(Op::Clock { d, high });
        }
        match (inst.args.first(), inst.args.get(1)) {
            (Some(Arg::Vector(_)), source) => {
                let part = part_type(inst.args.first(), ty);
                let slots = self.slots(inst.args.first(), part)?;
                let a = self.slot(source, ty)?;
                Ok(Op::Unpack {
                    parts: self.list(slots)?,
                    a: resized(a, ty),
                })
            }
            (d, Some(Arg::Vector(_))) => {
                let part = part_type(inst.args.get(1), ty);
                let slots = self.slots(inst.args.get(1), part)?;
                let d = self.slot(d, ty)?;
                Ok(Op::Pack {
                    parts: self.list(slots)?,
                    d: resized(d, ty),
                })
            }
            (d, Some(Arg::Symbol(symbol, offset)))
                if ty.bytes() == 8 && self.frame_of(*symbol).is_some() =>
            {
                let offset = self.symbol(*symbol, *offset);
                let base = self.frame_of(*symbol).unwrap_or(0);
                let b = self.double(offset);
                Ok(Op::Int64 {
                    f: Int::Add,
                    d: self.dest(d, ty)?,
                    a: base,
                    b,
                    c: base,
                })
            }
            (_, Some(Arg::Symbol(symbol, _))) => {
                let a = self.value(inst.args.get(1), ty)?;
                let d = self.dest(inst.args.first(), ty)?;
                // A parameter's address is one of parameter memory, which has a window.
                let param = self.flat.symbols.get(*symbol as usize);
                if param.is_some_and(|s| s.space == Space::Reg) {
                    return Err(missing(inst.args.get(1)));
                }
                Ok(move_of(ty, d, a))
            }
            _ => {
                let a = self.value(inst.args.get(1), ty)?;
                let d = self.dest(inst.args.first(), ty)?;
                Ok(move_of(ty, d, a))
            }
        }
    }
}

/// Whether a clock is read, and if so, its upper half.
fn clock(arg: &Arg) -> Option<bool> {
    match arg {
        Arg::Special(Special::Clock | Special::Clock64) => Some(false),
        Arg::Special(Special::GlobalTimer | Special::GlobalTimerLo) => Some(false),
        Arg::Special(Special::ClockHi | Special::GlobalTimerHi) => Some(true),
        _ => None,
    }
}

fn move_of(ty: Type, d: u32, a: u32) -> Op {
    match ty.bytes() {
        8 => Op::Mov64 { d, a },
        _ => Op::Mov32 { d, a },
    }
}

/// The register that is packed or unpacked has the width of the instruction's type.
fn resized(slot: Slot, ty: Type) -> Slot {
    match ty.bytes() {
        2 => Slot::Half(number_of(slot)),
        4 => Slot::Word(number_of(slot)),
        _ => slot,
    }
}

/// Type of the parts of a vector of type `ty`.
fn part_type(arg: Option<&Arg>, ty: Type) -> Type {
    let count = match arg {
        Some(Arg::Vector(parts)) => parts.len() as u32,
        _ => 1,
    };
    match ty.bytes() / count.max(1) {
        4 => Type::B32,
        2 => Type::B16,
        _ => Type::B8,
    }
}

fn packed(ty: Type) -> Option<Small> {
    match ty {
        Type::F16x2 => Some(Small::F16),
        Type::Bf16x2 => Some(Small::Bf16),
        _ => None,
    }
}

fn comparison(inst: &FlatInst<'_>, ty: Type) -> Decoded<Cmp> {
    let unsigned = !super::ty(ty).float();
    for modifier in &inst.modifiers {
        return Ok(match *modifier {
            "eq" => Cmp::Eq,
            "ne" => Cmp::Ne,
            "lt" => Cmp::Lt,
            "le" => Cmp::Le,
            "gt" => Cmp::Gt,
            "ge" => Cmp::Ge,
            "lo" if unsigned => Cmp::Lt,
            "ls" if unsigned => Cmp::Le,
            "hi" if unsigned => Cmp::Gt,
            "hs" if unsigned => Cmp::Ge,
            "equ" => Cmp::Equ,
            "neu" => Cmp::Neu,
            "ltu" => Cmp::Ltu,
            "leu" => Cmp::Leu,
            "gtu" => Cmp::Gtu,
            "geu" => Cmp::Geu,
            "num" => Cmp::Num,
            "nan" => Cmp::Nan,
            _ => continue,
        });
    }
    Err(unsupported(inst))
}

/// Type of a conversion with the type of its register, and whether it is two values.
fn conversion_type(modifier: &str) -> Option<(Ty, Type, bool)> {
    Some(match modifier {
        "f16x2" => (Ty::Small(Small::F16), Type::B32, true),
        "bf16x2" => (Ty::Small(Small::Bf16), Type::B32, true),
        "tf32" => (Ty::Small(Small::Tf32), Type::B32, false),
        "e4m3x2" => (Ty::Small(Small::E4m3), Type::B16, true),
        "e5m2x2" => (Ty::Small(Small::E5m2), Type::B16, true),
        "e3m2x2" => (Ty::Small(Small::E3m2), Type::B16, true),
        "e2m3x2" => (Ty::Small(Small::E2m3), Type::B16, true),
        "e2m1x2" => (Ty::Small(Small::E2m1), Type::B8, true),
        "ue8m0x2" => (Ty::Small(Small::Ue8m0), Type::B16, true),
        other => {
            let found = Type::of(other)?;
            (super::ty(found), found, false)
        }
    })
}
