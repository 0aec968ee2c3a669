//! A warp: the instruction loop and control flow.

mod access;
mod atomic;
mod call;
mod cells;
mod collective;
mod control;
mod copy;
mod execute;
mod group;
mod matrices;
mod store;

use super::cta::Barriers;
use super::fault::{Fault, LaneFault};
use super::memory::Global;
use super::observe::Observer;
use super::op::{Op, Slot};
use super::program::Program;
use super::regs::{FULL, LANES, Regs};
use super::shared::Shared;
use super::stack::{Entry, Fragment, State};

/// What the warps of a CTA share while one of them runs.
pub struct Cx<'a, O> {
    /// The kernel.
    pub program: &'a Program,
    /// Global memory.
    pub global: &'a mut Global,
    /// Shared memory.
    pub shared: &'a mut Shared,
    /// Who watches.
    pub observer: &'a mut O,
    /// Barriers.
    pub barriers: &'a mut Barriers,
    /// Number of this CTA.
    pub cta: [u32; 3],
    /// Threads of a CTA.
    pub block: [u32; 3],
}

/// Polls of memory after which a path that others wait for is taken to spin.
const POLLS_MAX: u32 = 8;

/// Instructions that one of several fragments runs in a row.
const TURN: u64 = 64;

/// A warp.
#[derive(Clone, Debug, Default)]
pub struct Warp {
    /// Registers.
    pub regs: Regs,
    /// Paths.
    pub fragments: Vec<Fragment>,
    /// Lanes that have not exited.
    pub alive: u32,
    /// Local memory, thread by thread.
    pub local: Vec<u8>,
    /// Number within the CTA.
    pub number: u32,
    /// Instructions executed.
    pub executed: u64,
    polls: u32,
    // Address that the last polling load of some lane read.
    polled: u64,
    turn: usize,
    // What calls that copy their parameters have to bring back, lane by lane.
    calls: Vec<Vec<call::Activation>>,
}

/// What the loop does after a control instruction.
enum Next {
    /// Look at the stack again.
    Stack,
    /// This fragment waits or is gone.
    Yield,
}

impl Warp {
    /// Prepares the warp for `lanes` of a CTA; constants and special registers are not filled in.
    pub fn start(&mut self, program: &Program, number: u32, lanes: u32) {
        let [p, w, x] = program.files;
        self.regs.p.clear();
        self.regs.p.resize(p, 0);
        self.regs.w.reset(w);
        self.regs.x.reset(x);
        self.regs.carry = 0;
        self.fragments.clear();
        self.fragments.push(Fragment::new(lanes));
        self.alive = lanes;
        self.local.clear();
        self.local.resize(program.local_bytes * LANES, 0);
        self.number = number;
        self.executed = 0;
        self.polls = 0;
        self.polled = 0;
        self.turn = 0;
        self.calls.clear();
        for &(r, value) in &program.words {
            self.regs.w.0[r as usize] = [value; LANES];
        }
        for &(r, value) in &program.doubles {
            self.regs.x.0[r as usize] = [value; LANES];
        }
        for &(r, value) in &program.truths {
            self.regs.p[r as usize] = if value { FULL } else { 0 };
        }
    }

    /// Whether all lanes have exited.
    pub fn done(&self) -> bool {
        self.fragments.is_empty()
    }

    /// Whether some lane can run.
    pub fn ready(&self) -> bool {
        self.fragments.iter().any(|f| f.state == State::Ready)
    }

    /// Runs until nothing is ready or `budget` instructions are done.
    ///
    /// # Errors
    /// The first fault.
    pub fn run<O: Observer>(&mut self, cx: &mut Cx<'_, O>, budget: u64) -> Result<(), Box<Fault>> {
        let end = self.executed + budget;
        while self.executed < end {
            let count = self.fragments.len();
            let from = self.turn;
            let ready = (0..count)
                .map(|i| (from + i) % count)
                .find(|&i| self.fragments[i].state == State::Ready);
            let Some(index) = ready else {
                return Ok(());
            };
            let quantum = if count > 1 { TURN } else { end - self.executed };
            self.run_fragment(index, self.executed + quantum, cx)?;
            self.turn = index + 1;
        }
        Ok(())
    }

    fn run_fragment<O: Observer>(
        &mut self,
        index: usize,
        until: u64,
        cx: &mut Cx<'_, O>,
    ) -> Result<(), Box<Fault>> {
        let program = cx.program;
        loop {
            let Some(&top) = self.fragments.get(index).and_then(|f| f.stack.last()) else {
                self.fragments.remove(index);
                return Ok(());
            };
            let Entry {
                mut pc, meet, mask, ..
            } = top;
            loop {
                if pc == meet || self.executed >= until {
                    self.set_pc(index, pc);
                    self.fragments[index].settle();
                    break;
                }
                let inst = &program.insts[pc as usize];
                let exec = match inst.guard {
                    None => mask,
                    Some(p) => mask & self.regs.pred(p),
                };
                self.executed += 1;
                if let Op::Bra { target } = inst.op
                    && (exec == mask || exec == 0)
                {
                    cx.observer.step(self.number, pc, exec);
                    let back = exec != 0 && target <= pc;
                    pc = if exec == 0 { pc + 1 } else { target };
                    if back && self.polls > POLLS_MAX {
                        self.set_pc(index, pc);
                        self.unblock(index, mask);
                        break;
                    }
                    continue;
                }
                if is_control(&inst.op) {
                    self.set_pc(index, pc);
                    match self.control(index, pc, inst, mask, exec, cx) {
                        Ok(Next::Stack) => break,
                        Ok(Next::Yield) => return Ok(()),
                        Err(fault) => return Err(self.placed(*fault, pc, cx)),
                    }
                }
                cx.observer.step(self.number, pc, exec);
                if exec != 0
                    && let Err(fault) = self.execute(pc, &inst.op, exec, cx)
                {
                    return Err(self.placed(*fault, pc, cx));
                }
                pc += 1;
            }
            if self.executed >= until {
                return Ok(());
            }
        }
    }

    fn set_pc(&mut self, index: usize, pc: u32) {
        if let Some(top) = self.fragments[index].stack.last_mut() {
            top.pc = pc;
        }
    }

    /// Lets lanes that wait for `spinning` ones go on by themselves.
    fn unblock(&mut self, index: usize, spinning: u32) {
        self.polls = 0;
        if let Some(rest) = self.fragments[index].split(spinning) {
            self.fragments.push(rest);
        }
    }

    fn placed<O>(&self, fault: LaneFault, pc: u32, cx: &Cx<'_, O>) -> Box<Fault> {
        let thread = u64::from(self.number) * LANES as u64 + u64::from(fault.lane);
        let [bx, by, _] = cx.block.map(u64::from);
        let inst = cx.program.insts.get(pc as usize);
        Box::new(Fault {
            what: fault.what,
            line: inst.map_or(0, |i| i.line),
            inst: cx
                .program
                .texts
                .get(pc as usize)
                .cloned()
                .unwrap_or_default(),
            cta: cx.cta,
            thread: [
                (thread % bx.max(1)) as u32,
                (thread / bx.max(1) % by.max(1)) as u32,
                (thread / (bx * by).max(1)) as u32,
            ],
            remedy: fault.remedy.to_owned(),
        })
    }
}

fn bits_of(slot: Slot) -> u32 {
    match slot {
        Slot::Half(_) => 16,
        Slot::Word(_) => 32,
        Slot::Double(_) => 64,
    }
}

/// The lanes of a mask.
fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |lane| mask >> lane & 1 != 0)
}

fn is_control(op: &Op) -> bool {
    matches!(
        op,
        Op::Bra { .. }
            | Op::Brx { .. }
            | Op::Call { .. }
            | Op::CallSite { .. }
            | Op::Ret
            | Op::Exit
            | Op::Bar { .. }
            | Op::Shfl { .. }
            | Op::Vote { .. }
            | Op::Match { .. }
            | Op::Redux { .. }
            | Op::ReduxFloat { .. }
            | Op::Elect { .. }
            | Op::WarpSync { .. }
    )
}
