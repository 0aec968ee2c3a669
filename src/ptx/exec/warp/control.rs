//! Branches, calls, barriers.

use super::super::fault::{LaneFault, Ran};
use super::super::observe::Observer;
use super::super::op::{Op, Pred, Vote};
use super::super::program::{Inst, NOWHERE, Program};
use super::super::regs::{FULL, LANES};
use super::super::stack::{Entry, State, join};
use super::{Cx, Next, POLLS_MAX, Warp, collective};

impl Warp {
    pub(super) fn control<O: Observer>(
        &mut self,
        index: usize,
        pc: u32,
        inst: &Inst,
        mask: u32,
        exec: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<Next> {
        if let Some(members) = collective::members(&inst.op) {
            return self.collective(index, pc, inst, mask, exec, members, cx);
        }
        cx.observer.step(self.number, pc, exec);
        if exec == 0 {
            self.set_pc(index, pc + 1);
            return Ok(Next::Stack);
        }
        match inst.op {
            Op::Bra { target } => {
                let meet = cx.program.reconverge[pc as usize];
                self.fragments[index].diverge(target, meet, exec);
                if target <= pc && self.polls > POLLS_MAX {
                    let running = self.fragments[index].stack.last().map_or(0, |e| e.mask);
                    self.unblock(index, running);
                }
            }
            Op::Brx { index: r, targets } => {
                self.indexed_branch(index, pc, (r, targets), mask, exec, cx.program)?;
            }
            Op::Call { function } => {
                self.set_pc(index, pc + 1);
                let fragment = &mut self.fragments[index];
                let frame = fragment.stack.last().map_or(0, |e| e.frame) + 1;
                fragment.stack.push(Entry {
                    pc: function,
                    meet: NOWHERE,
                    mask: exec,
                    frame,
                });
            }
            Op::CallSite { site } => return self.call_site(index, pc, site, exec, cx),
            Op::Ret | Op::Exit => {
                self.set_pc(index, pc + 1);
                let frame = self.fragments[index].stack.last().map_or(0, |e| e.frame);
                let ends = frame == 0 || inst.op == Op::Exit;
                if !self.calls.is_empty() {
                    self.leave(exec, (!ends).then_some(frame), cx.program);
                }
                if ends {
                    self.alive &= !exec;
                    self.fragments[index].retire(exec, 0);
                } else {
                    self.fragments[index].retire(exec, frame);
                }
            }
            Op::Bar {
                number,
                threads,
                arrive,
                red,
            } => {
                return self.barrier(index, pc, (number, threads, arrive, red), mask, exec, cx);
            }
            _ => {}
        }
        Ok(Next::Stack)
    }

    /// A branch to the entry of list `targets` that register `r` names, for the lanes that agree with the first one.
    fn indexed_branch(
        &mut self,
        index: usize,
        pc: u32,
        (r, targets): (u32, u32),
        mask: u32,
        exec: u32,
        program: &Program,
    ) -> Ran<()> {
        let list = &program.targets[targets as usize];
        let lane = exec.trailing_zeros() as usize;
        let choice = self.regs.w.get(r);
        let Some(&target) = list.get(choice[lane] as usize) else {
            return Err(Box::new(LaneFault::new(
                lane,
                format!(
                    "branch to entry {} of a list of {}",
                    choice[lane],
                    list.len()
                ),
                "the index must be below the length of the target list",
            )));
        };
        // One target a time: the other lanes come back to this instruction.
        let same = (0..LANES).fold(0, |m, l| m | u32::from(choice[l] == choice[lane]) << l) & exec;
        if same == mask {
            self.set_pc(index, target);
            return Ok(());
        }
        let meet = program.reconverge[pc as usize];
        let fragment = &mut self.fragments[index];
        fragment.diverge(target, meet, same);
        for entry in fragment.stack.iter_mut().rev().take(2) {
            if entry.pc == pc + 1 && entry.mask == mask & !same {
                entry.pc = pc;
            }
        }
        Ok(())
    }

    #[allow(clippy::type_complexity)]
    fn barrier<O: Observer>(
        &mut self,
        index: usize,
        pc: u32,
        (number, threads, arrive, red): (u32, Option<u32>, bool, Option<(Vote, u32, Pred)>),
        mask: u32,
        exec: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<Next> {
        let lane = exec.trailing_zeros() as usize;
        let which = self.regs.w.get(number)[lane];
        let expected = threads.map(|t| self.regs.w.get(t)[lane]);
        let Some(barrier) = cx.barriers.get_mut(which) else {
            return Err(Box::new(LaneFault::new(
                lane,
                format!("barrier number {which}"),
                "barriers are numbered 0 to 15",
            )));
        };
        barrier.arrived += exec.count_ones();
        barrier.expected = expected;
        if let Some((_, _, p)) = red {
            let truths = self.regs.pred(p) & exec;
            barrier.truths += truths.count_ones();
        }
        self.set_pc(index, pc + 1);
        if arrive {
            return Ok(Next::Stack);
        }
        if let Some(rest) = self.fragments[index].split(exec) {
            self.fragments.push(rest);
        }
        let _ = mask;
        self.fragments[index].state = State::Barrier(which);
        self.turn = index + 1;
        Ok(Next::Yield)
    }

    /// Lets fragments go that wait at barrier `number`, which `truths` of `arrived` voted for.
    pub fn release(&mut self, number: u32, truths: u32, arrived: u32, program: &Program) {
        for fragment in &mut self.fragments {
            if fragment.state != State::Barrier(number) {
                continue;
            }
            fragment.state = State::Ready;
            let Some(top) = fragment.stack.last() else {
                continue;
            };
            let inst = program.insts.get(top.pc.wrapping_sub(1) as usize);
            if let Some(Inst {
                op:
                    Op::Bar {
                        red: Some((vote, d, _)),
                        ..
                    },
                ..
            }) = inst
            {
                let all = if truths == arrived { FULL } else { 0 };
                let any = if truths > 0 { FULL } else { 0 };
                match vote {
                    Vote::All | Vote::Uni => self.regs.put_pred(*d, top.mask, all),
                    Vote::Any => self.regs.put_pred(*d, top.mask, any),
                    Vote::Ballot => self.regs.w.put(*d, top.mask, &[truths; LANES]),
                }
            }
        }
        join(&mut self.fragments);
        self.polls = 0;
        // Arrived lanes may stand right where their paths meet.
        for fragment in &mut self.fragments {
            fragment.settle();
        }
    }
}
