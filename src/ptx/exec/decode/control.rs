//! Branches and calls.

use super::super::op::Op;
use super::{Decoded, Decoder, last_type, missing, unsupported};
use crate::ptx::ast::Type;
use crate::ptx::flat::{Arg, FlatInst};

impl<'a> Decoder<'a> {
    pub(super) fn control(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        match inst.opcode {
            "bra" => match inst.args.first() {
                Some(Arg::Label(target)) => Ok(Op::Bra { target: *target }),
                Some(Arg::Unknown(name)) => Err(format!("there is no label `{name}`")),
                other => Err(missing(other)),
            },
            "brx" => match inst.args.get(1) {
                Some(Arg::Labels(list)) => {
                    self.program.targets.push(list.clone());
                    Ok(Op::Brx {
                        index: self.w(inst.args.first(), Type::B32)?,
                        targets: self.program.targets.len() as u32 - 1,
                    })
                }
                other => Err(missing(other)),
            },
            "call" => self.call(inst),
            "ret" => Ok(Op::Ret),
            "exit" => Ok(Op::Exit),
            "trap" => Ok(Op::Trap),
            "brkpt" => Ok(Op::Nop),
            _ => Err(unsupported(inst)),
        }
    }
    /// Addresses in other CTAs of the cluster, of which there are none.
    pub(super) fn cluster(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        if inst.opcode == "getctarank" {
            let d = self.dest(inst.args.first(), Type::B32)?;
            let a = self.word(0);
            return Ok(Op::Mov32 { d, a });
        }
        let ty = last_type(inst)?;
        Ok(Op::Mapa {
            wide: ty.bytes() == 8,
            d: self.dest(inst.args.first(), ty)?,
            a: self.value(inst.args.get(1), ty)?,
            rank: self.w(inst.args.get(2), Type::B32)?,
        })
    }
}
