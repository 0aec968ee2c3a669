//! Calls: most only jump, since their parameters lie where the callee looks for them (see the flat
//! form). Calls of recursive functions, calls through pointers and parameters in registers copy.

use super::super::op::{Op, Slot};
use super::super::program::{CallSite, Callee, Frame, Place, Target};
use super::{Decoded, Decoder, last_type, unsupported};
use crate::ptx::ast::{Number, Space, Type};
use crate::ptx::flat::{Arg, FlatInst};

/// Local memory for the frames of recursive functions, bytes a thread.
const STACK_BYTES: u64 = 32 << 10;

impl<'a> Decoder<'a> {
    /// Gives every recursive function a base register, and describes all functions to calls.
    pub(super) fn frames(&mut self) {
        let flat = self.flat;
        for function in &flat.functions {
            let base = function.recursive.then(|| self.fresh(2));
            self.frames.push(base);
        }
        let grows = |i: &FlatInst<'_>| matches!(i.opcode, "alloca" | "stacksave");
        if self.frames.iter().any(Option::is_some) || flat.insts.iter().any(grows) {
            // Not among the constants that others share: calls change it.
            let top = self.fresh(2);
            let start = flat.local_bytes.next_multiple_of(16);
            self.program.doubles.push((top, start));
            self.program.stack = Some(top);
            self.program.local_bytes = (start + STACK_BYTES) as usize;
        }
        for (number, function) in flat.functions.iter().enumerate() {
            let frame = self
                .frames
                .get(number)
                .copied()
                .flatten()
                .map(|base| Frame {
                    base,
                    start: function.local.0,
                    bytes: (function.local.1 - function.local.0).next_multiple_of(16),
                    files: function.files,
                });
            let places = |decoder: &mut Self, args: &[Arg]| -> Vec<Place> {
                let place = |arg| decoder.place(arg).unwrap_or(Place::Sink);
                args.iter().map(place).collect()
            };
            let callee = Callee {
                name: function.name.clone(),
                start: function.start,
                params: places(self, &function.params),
                returns: places(self, &function.returns),
                frame,
            };
            self.program.callees.push(callee);
        }
    }

    /// The base register of the frame that a variable lies in.
    pub(super) fn frame_of(&self, symbol: u32) -> Option<u32> {
        let symbol = self.flat.symbols.get(symbol as usize)?;
        let framed = symbol.space == Space::Local || symbol.space == Space::Param;
        if !framed || symbol.entry_param {
            return None;
        }
        *self.frames.get(symbol.owner as usize)?
    }

    /// Refuses variables whose address is not known before the call.
    pub(super) fn outside_frames(&self, symbol: u32) -> Decoded<()> {
        match self.frame_of(symbol) {
            None => Ok(()),
            Some(_) => Err("a local variable of a recursive function in this place".to_owned()),
        }
    }

    /// `alloca`, and what keeps and brings back the top of the stack.
    pub(super) fn stack(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let ty = last_type(inst)?;
        let Some(top) = self.program.stack.filter(|_| ty.bytes() == 8) else {
            return Err(unsupported(inst));
        };
        Ok(match inst.opcode {
            "stacksave" => Op::Mov64 {
                d: self.dest(inst.args.first(), ty)?,
                a: top,
            },
            "stackrestore" => Op::Mov64 {
                d: top,
                a: self.x(inst.args.first(), ty)?,
            },
            _ => Op::Alloca {
                d: self.dest(inst.args.first(), ty)?,
                bytes: self.x(inst.args.get(1), ty)?,
                align: match inst.args.get(2) {
                    Some(Arg::Imm(Number::Int(align @ 1..=4096))) => *align as u32,
                    // clang writes 0 where it does not care.
                    None | Some(Arg::Imm(Number::Int(0))) => 8,
                    _ => return Err("an alignment of 1 to 4096 is expected".to_owned()),
                },
            },
        })
    }

    fn place(&mut self, arg: &Arg) -> Decoded<Place> {
        Ok(match arg {
            Arg::Sink => Place::Sink,
            Arg::Symbol(symbol, added) => {
                let base = self.frame_of(*symbol);
                let offset = self.symbol(*symbol, *added);
                let bytes = self
                    .flat
                    .symbols
                    .get(*symbol as usize)
                    .map_or(0, |s| s.bytes);
                Place::Local {
                    base,
                    offset,
                    bytes,
                }
            }
            // A literal is as wide as any parameter.
            Arg::Imm(_) => Place::Register(Slot::Double(self.x(Some(arg), Type::B64)?)),
            other => Place::Register(self.slot(Some(other), Type::B32)?),
        })
    }

    pub(super) fn call(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let callee = inst
            .args
            .iter()
            .enumerate()
            .find_map(|(at, arg)| match arg {
                Arg::Function(_) | Arg::Reg(_) => Some((at, arg)),
                _ => None,
            });
        let Some((at, callee)) = callee else {
            let unknown = inst.args.iter().find_map(|arg| match arg {
                Arg::Unknown(name) => Some(format!("there is no function `{name}`")),
                _ => None,
            });
            return Err(unknown.unwrap_or_else(|| unsupported(inst)));
        };
        let target = match callee {
            Arg::Function(number) => Target::Function(*number),
            pointer => Target::Pointer(self.x(Some(pointer), Type::B64)?),
        };
        if let Target::Function(number) = target
            && let Some(op) = self.plain_call(inst, number)?
        {
            return Ok(op);
        }
        let (mut params, mut returns) = (Vec::new(), Vec::new());
        for (position, arg) in inst.args.iter().enumerate() {
            let Arg::Params(list) = arg else {
                continue;
            };
            let places: Decoded<Vec<Place>> = list.iter().map(|p| self.place(p)).collect();
            match position < at {
                true => returns = places?,
                false => params = places?,
            }
        }
        self.program.sites.push(CallSite {
            target,
            params,
            returns,
        });
        Ok(Op::CallSite {
            site: self.program.sites.len() as u32 - 1,
        })
    }

    /// A call that only jumps, or none at all.
    fn plain_call(&mut self, inst: &FlatInst<'a>, number: u32) -> Decoded<Option<Op>> {
        let Some(function) = self.flat.functions.get(number as usize) else {
            return Err(unsupported(inst));
        };
        let Some(start) = function.start else {
            return match function.name.as_str() {
                "vprintf" => Ok(Some(Op::Nop)),
                "__assertfail" => Ok(Some(Op::Trap)),
                name => Err(format!("function `{name}` has no body in this file")),
            };
        };
        let in_memory = |arg: &Arg| match arg {
            Arg::Params(list) => list.iter().all(|p| matches!(p, Arg::Symbol(..))),
            _ => true,
        };
        let plain = !function.recursive && inst.args.iter().all(in_memory);
        Ok(plain.then_some(Op::Call { function: start }))
    }
}
