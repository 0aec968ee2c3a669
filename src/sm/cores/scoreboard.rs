//! When a warp may issue its next instruction, and what it waits for until then.

use super::warp::{Hold, Local, PENDING, Warp, raw};
use crate::probe::Probe;
use crate::sm::memory::miss_port::Stage;
use crate::sm::program::{Op, OpKind, Pipe, Program, flag};
use crate::sm::{Cx, SUB_CORES, Sm};
use crate::stats::Label;

impl<S: Stage> Sm<S> {
    /// Decides when a warp may issue its next instruction, seen at `now`, and files it.
    #[inline(always)]
    pub(in crate::sm) fn evaluate<P: Probe>(
        &mut self,
        k: usize,
        slot: usize,
        now: Local,
        cx: &Cx<P>,
    ) {
        let index = (slot / SUB_CORES) as u8;
        let program = &cx.programs[usize::from(self.cores.warps[slot].program)].program;
        let (ready, why) = self.readiness(k, slot, program);
        let warp = &mut self.cores.warps[slot];
        warp.why = why;
        let sub = &mut self.cores.subs[k];
        if ready >= PENDING {
            sub.blocked |= 1 << index;
            return;
        }
        warp.ready_at = ready.max(now);
        // From the step at `now - 1` this is a wake-up like any other; the wheel's slot of `now` is
        // still ahead.
        if ready > now {
            let woken = sub.wake_at(index, now - 1, ready);
            sub.next = sub.next.min(woken);
        } else {
            sub.ready |= 1 << index;
            sub.next = sub.next.min(now);
        }
    }

    /// Files a blocked warp anew after something it may wait for happened at `now`.
    pub(in crate::sm) fn rewake<P: Probe>(&mut self, slot: usize, now: Local, cx: &Cx<P>) {
        let (k, index) = (slot % SUB_CORES, slot / SUB_CORES);
        if self.cores.subs[k].blocked >> index & 1 == 1 {
            self.cores.subs[k].blocked &= !(1 << index);
            self.evaluate(k, slot, now.max(1), cx);
        }
    }

    #[inline(always)]
    fn readiness(&self, k: usize, slot: usize, program: &Program) -> (Local, Label) {
        let warp = &self.cores.warps[slot];
        if warp.hold != Hold::None {
            let why = match warp.hold {
                Hold::Barrier => Label::Barrier,
                Hold::Membar => Label::Membar,
                _ => Label::LongScoreboard,
            };
            return (PENDING, why);
        }
        let op = &program.ops[warp.op as usize];
        let (mut ready, mut why) = (warp.floor, warp.floor_why);
        let raw_ready = match op.flags & flag::CONTROL {
            0 => self.scoreboard(k, slot, op, program),
            _ => waited_scoreboards(warp, op.control.wait_mask),
        };
        if raw_ready >> 2 > ready {
            ready = raw_ready >> 2;
            why = [
                Label::Wait,
                Label::ShortScoreboard,
                Label::LongScoreboard,
                Label::ImcMiss,
            ][(raw_ready & 3) as usize];
        }
        if op.flags & flag::CONSTANT != 0 && warp.constant_at > ready {
            (ready, why) = (warp.constant_at, Label::ImcMiss);
        }
        if warp.fetched_at > ready {
            (ready, why) = (warp.fetched_at, Label::NoInstruction);
        }
        (ready, why)
    }

    /// Ready time (raw) of all registers that `op` reads or writes.
    #[inline(always)]
    fn scoreboard(&self, k: usize, slot: usize, op: &Op, program: &Program) -> u32 {
        let regs = self.cores.regs.row(slot);
        let (cross, same) = program.checks(op).split_at(usize::from(op.cross));
        let mut latest = 0;
        for &register in same {
            latest = latest.max(regs[usize::from(register)]);
        }
        for &register in cross {
            latest = latest.max(later(regs[usize::from(register)], program.cross_extra));
        }
        if op.flags & flag::GUARDED != 0 {
            let predicate = program.first_predicate;
            for &register in same.iter().filter(|r| **r >= predicate) {
                latest = latest.max(later(regs[usize::from(register)], program.guard_extra));
            }
        }
        if self.cores.warps[slot].queued > 0
            && op.dsts > 0
            && self.overwrites_queued(k, slot, program)
        {
            latest = latest.max(raw(PENDING, crate::sm::program::source::SHORT as u8));
        }
        latest
    }

    /// Write after read: a queued memory instruction of the warp has not read an operand yet that
    /// `op` overwrites.
    fn overwrites_queued(&self, k: usize, slot: usize, program: &Program) -> bool {
        let index = self.cores.warps[slot].op as usize;
        let writes = program.signatures[index].1;
        self.cores.subs[k].queue.iter().any(|entry| {
            usize::from(entry.warp) == slot
                && program.signatures[entry.op as usize].0 & writes != 0
                && program.overlap(entry.op as usize, index)
        })
    }
}

/// Ready time (raw) `extra` cycles after `at`. A time that is not known stays so: with the extra cycles on top it
/// would pass for a small number.
#[inline(always)]
fn later(at: u32, extra: Local) -> u32 {
    at + ((u32::from(at >> 2 < PENDING) * extra) << 2)
}

fn waited_scoreboards(warp: &Warp, mask: u8) -> u32 {
    let mut latest = 0;
    for barrier in 0..6 {
        if mask >> barrier & 1 == 1 {
            let value = match warp.sb_pending[barrier] {
                0 => warp.sb_ready[barrier],
                _ => warp.sb_ready[barrier] & 3 | PENDING << 2,
            };
            latest = latest.max(value);
        }
    }
    latest
}

/// The label of a slot lost because the pipe of `op` was busy.
pub(in crate::sm) fn throttle(op: &Op) -> Label {
    match (op.pipe, op.kind) {
        (Pipe::None, _) => Label::DispatchStall,
        (Pipe::Lsu, OpKind::Memory) if op.source == crate::sm::program::source::LONG as u8 => {
            Label::LgThrottle
        }
        (Pipe::Lsu, _) => Label::MioThrottle,
        _ => Label::MathPipeThrottle,
    }
}
