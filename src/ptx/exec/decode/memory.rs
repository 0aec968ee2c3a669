//! Loads, stores, atomics, copies.

use super::super::op::{Addr, Op, Rmw, Slot, Where};
use super::{Decoded, Decoder, last_type, missing, unsupported};
use crate::ptx::ast::{Number, Space, Type};
use crate::ptx::flat::{Arg, FlatInst};

impl<'a> Decoder<'a> {
    pub(super) fn memory(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        match inst.opcode {
            "ld" | "ldu" => self.ld(inst),
            "st" => self.st(inst),
            "atom" => self.atom(inst, true),
            "red" => self.atom(inst, false),
            "cp" => self.cp(inst),
            "ldmatrix" | "stmatrix" => self.matrix_access(inst),
            "createpolicy" => {
                let d = self.dest(inst.args.first(), Type::B64)?;
                let a = self.double(0);
                Ok(Op::Mov64 { d, a })
            }
            // Hints.
            _ => Ok(Op::Nop),
        }
    }

    /// Space of an access: what the instruction says, else what the variable it names says.
    fn space(&self, inst: &FlatInst<'a>, arg: Option<&Arg>) -> Where {
        let symbol = match arg {
            Some(Arg::Address {
                symbol: Some(s), ..
            }) => self.flat.symbols.get(*s as usize),
            _ => None,
        };
        let from_symbol = symbol.map(|s| match s.space {
            Space::Shared => Where::Shared,
            Space::Const => Where::Const,
            Space::Param if s.entry_param => Where::Param,
            Space::Param | Space::Local => Where::Local,
            _ => Where::Global,
        });
        let named = inst.modifiers.iter().find_map(|m| {
            Some(match m.split("::").next().unwrap_or(m) {
                "global" => Where::Global,
                "shared" => Where::Shared,
                "local" => Where::Local,
                "const" => Where::Const,
                "param" => Where::Param,
                _ => return None,
            })
        });
        match (named, from_symbol) {
            // `st.param` and `ld.param` also mean the parameters of calls.
            (Some(Where::Param), Some(place)) => place,
            // What a function is called with lies in local memory, by address too.
            (Some(Where::Param), None) if !self.in_entry() || inst.has("param::func") => {
                Where::Local
            }
            (Some(space), _) => space,
            (None, Some(space)) => space,
            (None, None) => Where::Generic,
        }
    }

    pub(super) fn addr(&mut self, arg: Option<&Arg>) -> Decoded<Addr> {
        let Some(Arg::Address {
            base,
            symbol,
            offset,
        }) = arg
        else {
            return Err(missing(arg));
        };
        match (base, symbol) {
            (Some(base), _) => Ok(Addr {
                base: self.slot(Some(&Arg::Reg(*base)), Type::B64)?,
                offset: *offset,
            }),
            (None, Some(symbol)) => {
                let address = self.symbol(*symbol, *offset);
                if let Some(base) = self.frame_of(*symbol) {
                    return Ok(Addr {
                        base: Slot::Double(base),
                        offset: address as i64,
                    });
                }
                Ok(Addr {
                    base: Slot::Double(self.double(address)),
                    offset: 0,
                })
            }
            (None, None) => Ok(Addr {
                base: Slot::Double(self.double(*offset as u64)),
                offset: 0,
            }),
        }
    }

    fn ld(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let ty = half_of(last_type(inst)?);
        let space = self.space(inst, inst.args.get(1));
        let polls = polls(inst);
        if let Some(op) = self.parameter(inst, space, ty)? {
            return Ok(op);
        }
        let addr = self.addr(inst.args.get(1))?;
        let slots = self.slots(inst.args.first(), ty)?;
        let d = self.list(slots)?;
        Ok(Op::Ld {
            space,
            ty: super::ty(ty),
            polls,
            addr,
            d,
        })
    }

    /// A kernel parameter at a known place is a constant.
    fn parameter(&mut self, inst: &FlatInst<'a>, space: Where, ty: Type) -> Decoded<Option<Op>> {
        let (
            Where::Param,
            Some(Arg::Address {
                base: None,
                symbol: Some(s),
                offset,
            }),
        ) = (space, inst.args.get(1))
        else {
            return Ok(None);
        };
        let at = self.symbol(*s, *offset) as usize;
        let Some(bytes) = self.program.params.get(at..at + ty.bytes() as usize) else {
            return Ok(None);
        };
        let mut word = [0; 8];
        for (w, b) in word.iter_mut().zip(bytes) {
            *w = *b;
        }
        let value = u64::from_le_bytes(word);
        if matches!(inst.args.first(), Some(Arg::Vector(_))) {
            return Ok(None);
        }
        Ok(match self.slot(inst.args.first(), ty)? {
            Slot::Word(d) if ty.bytes() == 4 => Some(Op::Mov32 {
                d,
                a: self.word(value as u32),
            }),
            Slot::Half(d) if ty.bytes() <= 2 => {
                let value = super::super::alu::extend(value, super::ty(ty)) as u32 & 0xffff;
                Some(Op::Mov32 {
                    d,
                    a: self.word(value),
                })
            }
            Slot::Double(d) if ty.bytes() == 8 => Some(Op::Mov64 {
                d,
                a: self.double(value),
            }),
            _ => None,
        })
    }

    fn st(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        if inst.has("async") || inst.has("bulk") {
            return Err(unsupported(inst));
        }
        let ty = half_of(last_type(inst)?);
        let space = self.space(inst, inst.args.first());
        let addr = self.addr(inst.args.first())?;
        let slots = self.slots(inst.args.get(1), ty)?;
        let a = self.list(slots)?;
        Ok(Op::St {
            space,
            bytes: ty.bytes() as u8,
            addr,
            a,
        })
    }

    fn atom(&mut self, inst: &FlatInst<'a>, returns: bool) -> Decoded<Op> {
        if inst.has("async") {
            return Err(unsupported(inst));
        }
        let ty = half_of(last_type(inst)?);
        let vector = inst
            .modifiers
            .iter()
            .any(|m| matches!(*m, "v2" | "v4" | "v8" | "b128"));
        let f = rmw(inst).ok_or_else(|| unsupported(inst))?;
        let first = usize::from(returns);
        let space = self.space(inst, inst.args.get(first));
        let result = inst
            .args
            .first()
            .filter(|_| returns && self.results_matter(inst));
        let packed = matches!(ty, Type::F16x2 | Type::Bf16x2);
        if vector {
            let b = self.slots(inst.args.get(first + 1), ty)?;
            let c = match f {
                Rmw::Cas => self.slots(inst.args.get(first + 2), ty)?,
                _ => Vec::new(),
            };
            let d = result.map(|_| self.slots(result, ty)).transpose()?;
            return Ok(Op::AtomVector {
                space,
                f,
                ty: super::ty(ty),
                packed,
                addr: self.addr(inst.args.get(first))?,
                d: d.map(|d| self.list(d)).transpose()?,
                b: self.list(b)?,
                c: self.list(c)?,
            });
        }
        let d = result.map(|_| self.slot(result, ty)).transpose()?;
        let c = match f {
            Rmw::Cas => Some(self.slot(inst.args.get(first + 2), ty)?),
            _ => None,
        };
        Ok(Op::Atom {
            space,
            f,
            ty: super::ty(ty),
            packed,
            addr: self.addr(inst.args.get(first))?,
            d,
            b: self.slot(inst.args.get(first + 1), ty)?,
            c,
        })
    }

    /// Whether anything reads what an `atom` returns. Compilers write `atom` for most updates.
    fn results_matter(&self, inst: &FlatInst<'_>) -> bool {
        let mut matter = false;
        if let Some(result) = inst.args.first() {
            result.registers(&mut |r| matter |= self.read.get(r as usize).copied().unwrap_or(true));
        }
        matter
    }

    fn cp(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        // There is nothing to wait for, since what would copy in bulk is refused; and hints.
        if inst
            .modifiers
            .iter()
            .any(|m| matches!(*m, "commit_group" | "wait_group" | "wait_all" | "prefetch"))
        {
            return Ok(Op::Nop);
        }
        if inst.has("bulk") || inst.has("mbarrier") || inst.has("reduce") {
            return Err(format!(
                "`{}`: the asynchronous machinery of Hopper and later is not emulated",
                inst.text()
            ));
        }
        let Some(Arg::Imm(Number::Int(bytes @ (4 | 8 | 16)))) = inst.args.get(2) else {
            return Err("cp.async copies 4, 8 or 16 bytes".to_owned());
        };
        let (size, ignore) = match inst.args.get(3) {
            None => (None, None),
            Some(arg @ Arg::Not(_)) => (None, Some(self.pred(arg)?)),
            Some(arg @ Arg::Reg(r)) if self.register(*r)?.0 == crate::ptx::flat::Width::Pred => {
                (None, Some(self.pred(arg)?))
            }
            // A cache policy is a hint.
            Some(Arg::Reg(r)) if self.register(*r)?.0 == crate::ptx::flat::Width::W64 => {
                (None, None)
            }
            Some(arg) => (Some(self.w(Some(arg), Type::B32)?), None),
        };
        Ok(Op::CpAsync {
            dst: self.addr(inst.args.first())?,
            src: self.addr(inst.args.get(1))?,
            bytes: *bytes as u8,
            size,
            ignore,
        })
    }

    fn matrix_access(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        if !inst.has("m8n8") || !inst.has("b16") {
            return Err(unsupported(inst));
        }
        let trans = inst.has("trans");
        let (address, registers) = match inst.opcode {
            "ldmatrix" => (inst.args.get(1), inst.args.first()),
            _ => (inst.args.first(), inst.args.get(1)),
        };
        let slots = self.slots(registers, Type::B32)?;
        if !matches!(slots.len(), 1 | 2 | 4) || slots.iter().any(|s| !matches!(s, Slot::Word(_))) {
            return Err(unsupported(inst));
        }
        let list = self.list(slots)?;
        let addr = self.addr(address)?;
        Ok(match inst.opcode {
            "ldmatrix" => Op::Ldmatrix {
                addr,
                trans,
                d: list,
            },
            _ => Op::Stmatrix {
                addr,
                trans,
                a: list,
            },
        })
    }
}

/// What an atomic instruction does.
fn rmw(inst: &FlatInst<'_>) -> Option<Rmw> {
    inst.modifiers.iter().find_map(|m| {
        Some(match *m {
            "add" => Rmw::Add,
            "min" => Rmw::Min,
            "max" => Rmw::Max,
            "and" => Rmw::And,
            "or" => Rmw::Or,
            "xor" => Rmw::Xor,
            "inc" => Rmw::Inc,
            "dec" => Rmw::Dec,
            "exch" => Rmw::Exch,
            "cas" => Rmw::Cas,
            _ => return None,
        })
    })
}

/// 128 bits are two registers of 64, in memory as in the register file.
fn half_of(ty: Type) -> Type {
    match ty {
        Type::B128 => Type::B64,
        ty => ty,
    }
}

/// Loads with which threads wait for each other.
fn polls(inst: &FlatInst<'_>) -> bool {
    inst.modifiers
        .iter()
        .any(|m| matches!(*m, "volatile" | "acquire" | "relaxed" | "mmio"))
}
