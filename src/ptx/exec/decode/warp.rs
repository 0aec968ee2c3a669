//! Operations of several lanes, and barriers.

use super::super::op::{Flt, Int, Op, Shfl, Vote};
use super::{Decoded, Decoder, last_type, missing, unsupported};
use crate::ptx::ast::Type;
use crate::ptx::flat::{Arg, FlatInst};

impl<'a> Decoder<'a> {
    /// Member mask of a `.sync` form; `u32::MAX` for the old forms without one.
    fn members(&mut self, inst: &FlatInst<'a>, at: usize) -> Decoded<u32> {
        match inst.has("sync") {
            true => self.w(inst.args.get(at), Type::B32),
            false => Ok(u32::MAX),
        }
    }

    pub(super) fn collective(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        match inst.opcode {
            "shfl" => self.shfl(inst),
            "vote" => self.vote(inst),
            "match" => self.matching(inst),
            "redux" => self.redux(inst),
            "activemask" => Ok(Op::Activemask {
                d: self.dest(inst.args.first(), Type::B32)?,
            }),
            "elect" => {
                let members = self.members(inst, 1)?;
                let (d, p) = self.pair(inst.args.first())?;
                let p = p.unwrap_or_else(|| self.fresh(0));
                Ok(Op::Elect { d, p, members })
            }
            _ => self.barrier(inst),
        }
    }

    /// `d|p` or `d`.
    pub(super) fn pair(&mut self, arg: Option<&Arg>) -> Decoded<(u32, Option<u32>)> {
        match arg {
            Some(Arg::Pair(a, b)) => {
                let d = self.dest(Some(&a.map_or(Arg::Sink, Arg::Reg)), Type::B32)?;
                let p = b.map(|b| self.pred_reg(Some(&Arg::Reg(b)))).transpose()?;
                Ok((d, p))
            }
            other => Ok((self.dest(other, Type::B32)?, None)),
        }
    }

    fn shfl(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let f = inst.modifiers.iter().find_map(|m| {
            Some(match *m {
                "up" => Shfl::Up,
                "down" => Shfl::Down,
                "bfly" => Shfl::Bfly,
                "idx" => Shfl::Idx,
                _ => return None,
            })
        });
        let (d, p) = self.pair(inst.args.first())?;
        Ok(Op::Shfl {
            f: f.ok_or_else(|| unsupported(inst))?,
            d,
            p,
            a: self.w(inst.args.get(1), Type::B32)?,
            b: self.w(inst.args.get(2), Type::B32)?,
            c: self.w(inst.args.get(3), Type::B32)?,
            members: self.members(inst, 4)?,
        })
    }

    fn vote(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let f = vote_kind(inst).ok_or_else(|| unsupported(inst))?;
        let d = match f {
            Vote::Ballot => self.dest(inst.args.first(), Type::B32)?,
            _ => self.pred_reg(inst.args.first())?,
        };
        let a = match inst.args.get(1) {
            Some(arg) => self.pred(arg)?,
            None => return Err(missing(None)),
        };
        Ok(Op::Vote {
            f,
            d,
            a,
            members: self.members(inst, 2)?,
        })
    }

    fn matching(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let ty = last_type(inst)?;
        let (d, p) = self.pair(inst.args.first())?;
        Ok(Op::Match {
            all: inst.has("all"),
            d,
            p,
            a: self.slot(inst.args.get(1), ty)?,
            members: self.members(inst, 2)?,
        })
    }

    fn redux(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let ty = last_type(inst)?;
        let signed = super::ty(ty).signed();
        let named = |name: &str| inst.has(name);
        let d = self.dest(inst.args.first(), Type::B32)?;
        let a = self.w(inst.args.get(1), ty)?;
        let members = self.members(inst, 2)?;
        if ty == Type::F32 {
            let f = match (named("min"), named("NaN")) {
                (true, false) => Flt::Min,
                (true, true) => Flt::MinNan,
                (false, false) => Flt::Max,
                (false, true) => Flt::MaxNan,
            };
            return Ok(Op::ReduxFloat {
                f,
                abs: named("abs"),
                d,
                a,
                members,
            });
        }
        let f = match () {
            () if named("add") => Int::Add,
            () if named("min") && signed => Int::MinS,
            () if named("min") => Int::MinU,
            () if named("max") && signed => Int::MaxS,
            () if named("max") => Int::MaxU,
            () if named("and") => Int::And,
            () if named("or") => Int::Or,
            () if named("xor") => Int::Xor,
            () => return Err(unsupported(inst)),
        };
        Ok(Op::Redux { f, d, a, members })
    }

    fn barrier(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        if inst.has("cluster") {
            // A cluster of one CTA: everybody is there already.
            return Ok(Op::Nop);
        }
        if inst.has("warp") {
            return Ok(Op::WarpSync {
                members: self.w(inst.args.first(), Type::B32)?,
            });
        }
        if inst.has("red") {
            return self.reducing_barrier(inst);
        }
        let arrive = inst.has("arrive");
        if !arrive && !inst.has("sync") {
            return Err(unsupported(inst));
        }
        let number = match inst.args.first() {
            Some(arg) => self.w(Some(arg), Type::B32)?,
            None => self.word(0),
        };
        let threads = match inst.args.get(1) {
            Some(arg) => Some(self.w(Some(arg), Type::B32)?),
            None => None,
        };
        Ok(Op::Bar {
            number,
            threads,
            arrive,
            red: None,
        })
    }

    fn reducing_barrier(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let vote = if inst.has("popc") {
            Vote::Ballot
        } else if inst.has("and") {
            Vote::All
        } else {
            Vote::Any
        };
        let d = match vote {
            Vote::Ballot => self.dest(inst.args.first(), Type::B32)?,
            _ => self.pred_reg(inst.args.first())?,
        };
        let number = self.w(inst.args.get(1), Type::B32)?;
        let last = inst.args.len().saturating_sub(1);
        let threads = match last {
            3 => Some(self.w(inst.args.get(2), Type::B32)?),
            _ => None,
        };
        let p = match inst.args.get(last) {
            Some(arg) => self.pred(arg)?,
            None => return Err(missing(None)),
        };
        Ok(Op::Bar {
            number,
            threads,
            arrive: false,
            red: Some((vote, d, p)),
        })
    }
}

fn vote_kind(inst: &FlatInst<'_>) -> Option<Vote> {
    inst.modifiers.iter().find_map(|m| {
        Some(match *m {
            "all" => Vote::All,
            "any" => Vote::Any,
            "uni" => Vote::Uni,
            "ballot" => Vote::Ballot,
            _ => return None,
        })
    })
}
