//! Branches and calls.

use super::super::op::Op;
use super::{Decoded, Decoder, missing, unsupported};
use crate::ptx::ast::Type;
use crate::ptx::flat::{Arg, FlatInst};

impl<'a> Decoder<'a> {
    pub(super) fn control(&mut self, pc: u32, inst: &FlatInst<'a>) -> Decoded<Op> {
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
            "call" => self.call(pc, inst),
            "ret" => Ok(Op::Ret),
            "exit" => Ok(Op::Exit),
            "trap" => Ok(Op::Trap),
            "brkpt" => Ok(Op::Nop),
            _ => Err(unsupported(inst)),
        }
    }

    /// Parameters lie where the callee looks for them (see the flat form), so a call only jumps.
    fn call(&mut self, pc: u32, inst: &FlatInst<'a>) -> Decoded<Op> {
        let callee = inst.args.iter().find_map(|arg| match arg {
            Arg::Function(number) => Some(*number),
            _ => None,
        });
        let Some(number) = callee else {
            let unknown = inst.args.iter().find_map(|arg| match arg {
                Arg::Unknown(name) => Some(format!("there is no function `{name}`")),
                _ => None,
            });
            return Err(unknown.unwrap_or_else(|| "indirect calls are not emulated".to_owned()));
        };
        let Some(function) = self.flat.functions.get(number as usize) else {
            return Err(unsupported(inst));
        };
        if function.name == "vprintf" {
            return Ok(Op::Nop);
        }
        let Some(start) = function.start else {
            return Err(format!(
                "function `{}` has no body in this file",
                function.name
            ));
        };
        if self
            .recursive
            .get(number as usize)
            .copied()
            .unwrap_or(false)
        {
            return Err(format!(
                "`{}` calls itself, which is not emulated",
                function.name
            ));
        }
        let in_memory = |arg: &Arg| match arg {
            Arg::Params(list) => list.iter().all(|p| matches!(p, Arg::Symbol(..))),
            _ => true,
        };
        if !inst.args.iter().all(in_memory) {
            return Err(format!("line {}: call with parameters in registers", pc));
        }
        Ok(Op::Call { function: start })
    }
}
