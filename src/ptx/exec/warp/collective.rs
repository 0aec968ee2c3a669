//! Operations of several lanes: shuffle, vote, match, redux, elect, warp barrier.
//!
//! Those that name their members wait until all of them that still live have arrived.

use super::super::fault::Ran;
use super::super::float::one32;
use super::super::observe::Observer;
use super::super::op::{Int, Mode, Op, Shfl, Slot, Vote};
use super::super::program::Inst;
use super::super::regs::{FULL, LANES, Lanes, Regs};
use super::super::stack::{State, join};
use super::{Cx, Next, Warp, lanes};

/// The word with the member mask of a collective operation.
pub fn members(op: &Op) -> Option<u32> {
    Some(match *op {
        Op::Shfl { members, .. }
        | Op::Vote { members, .. }
        | Op::Match { members, .. }
        | Op::Redux { members, .. }
        | Op::ReduxFloat { members, .. }
        | Op::Elect { members, .. }
        | Op::WarpSync { members } => members,
        _ => return None,
    })
}

impl Warp {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn collective<O: Observer>(
        &mut self,
        index: usize,
        pc: u32,
        inst: &Inst,
        mask: u32,
        exec: u32,
        members: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<Next> {
        if exec == 0 {
            cx.observer.step(self.number, pc, 0);
            self.set_pc(index, pc + 1);
            return Ok(Next::Stack);
        }
        // `u32::MAX` as register: an old form without members, for whoever is there.
        let named = match members {
            u32::MAX => 0,
            r => self.regs.w.get(r)[exec.trailing_zeros() as usize],
        };
        // Lanes that name others are groups of their own; nearly always there is one.
        let groups = match members == u32::MAX || exec & !named == 0 {
            true => Vec::new(),
            false => self.groups(members, exec),
        };
        let all = groups.iter().fold(named, |all, (named, _)| all | named);
        if all & self.alive & !mask == 0 {
            cx.observer.step(self.number, pc, exec);
            if groups.is_empty() {
                collect(&mut self.regs, &inst.op, exec);
            }
            for (_, group) in groups {
                collect(&mut self.regs, &inst.op, group);
            }
            self.set_pc(index, pc + 1);
            return Ok(Next::Stack);
        }
        // Some group has to wait: each goes its own way. Who only passes by goes with the first.
        let first = groups.first().map_or(exec, |(_, group)| *group);
        self.wait_for(
            index,
            pc,
            inst,
            mask & (!exec | first),
            named & self.alive,
            cx,
        )
    }

    /// Others of `wanted` are still to come: waits, and lets them run.
    fn wait_for<O: Observer>(
        &mut self,
        index: usize,
        pc: u32,
        inst: &Inst,
        mask: u32,
        wanted: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<Next> {
        if let Some(rest) = self.fragments[index].split(mask) {
            self.fragments.push(rest);
        }
        self.fragments[index].state = State::Lanes;
        let here = |f: &super::Fragment| {
            let top = f.stack.last().filter(|e| e.pc == pc);
            let waits = f.state == State::Lanes;
            // Lanes that name others wait for those, at the same instruction or not.
            top.map_or(0, |e| {
                if waits && e.mask & wanted != 0 {
                    e.mask
                } else {
                    0
                }
            })
        };
        let arrived = self.fragments.iter().fold(0, |all, f| all | here(f));
        if wanted & !arrived != 0 {
            return Ok(Next::Yield);
        }
        let exec = match inst.guard {
            None => arrived,
            Some(p) => arrived & self.regs.pred(p),
        };
        cx.observer.step(self.number, pc, exec);
        collect(&mut self.regs, &inst.op, exec);
        for fragment in &mut self.fragments {
            if here(fragment) != 0 {
                fragment.state = State::Ready;
                if let Some(top) = fragment.stack.last_mut() {
                    top.pc = pc + 1;
                }
            }
        }
        join(&mut self.fragments);
        for fragment in &mut self.fragments {
            fragment.settle();
        }
        Ok(Next::Yield)
    }
}

impl Warp {
    /// The lanes of `exec` by the member masks that they name, first lane first: mask and lanes.
    fn groups(&self, members: u32, exec: u32) -> Vec<(u32, u32)> {
        let named = self.regs.w.get(members);
        let mut groups = Vec::new();
        let mut left = exec;
        while left != 0 {
            let mask = named[left.trailing_zeros() as usize];
            let same = lanes(left).fold(0, |m, l| m | u32::from(named[l] == mask) << l);
            groups.push((mask, same));
            left &= !same;
        }
        groups
    }
}

fn collect(regs: &mut Regs, op: &Op, mask: u32) {
    match *op {
        Op::Shfl {
            f, d, p, a, b, c, ..
        } => shuffle(regs, f, d, p, [a, b, c], mask),
        Op::Vote { f, d, a, .. } => {
            let votes = regs.pred(a) & mask;
            let truth = |yes: bool| if yes { FULL } else { 0 };
            match f {
                Vote::Ballot => regs.w.put(d, mask, &[votes; LANES]),
                Vote::All => regs.put_pred(d, mask, truth(votes == mask)),
                Vote::Any => regs.put_pred(d, mask, truth(votes != 0)),
                Vote::Uni => regs.put_pred(d, mask, truth(votes == mask || votes == 0)),
            }
        }
        Op::Match { all, d, p, a, .. } => matched(regs, all, d, p, a, mask),
        Op::Redux { f, d, a, .. } => {
            let x = *regs.w.get(a);
            let mut values = lanes(mask).map(|l| x[l]);
            let first = values.next().unwrap_or(0);
            let out = values.fold(first, |s, v| reduce(f, s, v));
            regs.w.put(d, mask, &[out; LANES]);
        }
        Op::ReduxFloat { f, abs, d, a, .. } => {
            let clear = if abs { 0x7fff_ffff } else { FULL };
            let x = regs.w.get(a).map(|v| v & clear);
            let mut values = lanes(mask).map(|l| x[l]);
            let first = values.next().unwrap_or(0);
            let out = values.fold(first, |s, v| one32(f, Mode::default(), [s, v, 0]));
            regs.w.put(d, mask, &[out; LANES]);
        }
        Op::Elect { d, p, .. } => {
            let leader = mask.trailing_zeros();
            regs.w.put(d, mask, &[leader; LANES]);
            regs.put_pred(p, mask, 1 << leader);
        }
        _ => {}
    }
}

fn reduce(f: Int, s: u32, v: u32) -> u32 {
    match f {
        Int::Add => s.wrapping_add(v),
        Int::MinS => (s as i32).min(v as i32) as u32,
        Int::MaxS => (s as i32).max(v as i32) as u32,
        Int::MinU => s.min(v),
        Int::MaxU => s.max(v),
        Int::And => s & v,
        Int::Or => s | v,
        _ => s ^ v,
    }
}

/// Lanes read from lanes that do not take part read their own value.
fn shuffle(regs: &mut Regs, f: Shfl, d: u32, p: Option<u32>, [a, b, c]: [u32; 3], mask: u32) {
    let (x, by, limits) = (regs.w.get(a), regs.w.get(b), regs.w.get(c));
    let mut out: Lanes<u32> = [0; LANES];
    let mut inside = 0u32;
    for lane in 0..LANES as u32 {
        let i = lane as usize;
        let clamp = limits[i] & 31;
        let segment = limits[i] >> 8 & 31;
        let highest = lane & segment | clamp & !segment;
        let lowest = lane & segment;
        let by = by[i] & 31;
        let (from, ok) = match f {
            Shfl::Up => (
                lane.wrapping_sub(by),
                lane as i32 - by as i32 >= highest as i32,
            ),
            Shfl::Down => (lane + by, lane + by <= highest),
            Shfl::Bfly => (lane ^ by, lane ^ by <= highest),
            Shfl::Idx => {
                let from = lowest | by & !segment;
                (from, from <= highest)
            }
        };
        let from = if ok { from } else { lane };
        out[i] = x[(from & 31) as usize];
        inside |= u32::from(ok) << lane;
    }
    regs.w.put(d, mask, &out);
    if let Some(p) = p {
        regs.put_pred(p, mask, inside);
    }
}

fn matched(regs: &mut Regs, all: bool, d: u32, p: Option<u32>, a: Slot, mask: u32) {
    let mut out: Lanes<u32> = [0; LANES];
    for lane in lanes(mask) {
        let own = regs.lane(a, lane);
        out[lane] = lanes(mask).fold(0, |m, l| m | u32::from(regs.lane(a, l) == own) << l);
    }
    if all {
        let same = lanes(mask).all(|l| out[l] == mask);
        out = [if same { mask } else { 0 }; LANES];
        if let Some(p) = p {
            regs.put_pred(p, mask, if same { FULL } else { 0 });
        }
    }
    regs.w.put(d, mask, &out);
}
