//! The issue slot of a sub-core: wake, pick, issue, and what the warp waits for next.

use super::scoreboard::throttle;
use super::warp::{Hold, Local, PENDING, raw};
use crate::probe::{Probe, WarpInst};
use crate::sm::memory::miss_port::Stage;
use crate::sm::program::{Op, OpKind, Pipe, flag};
use crate::sm::{Cx, SUB_CORES, Sm};
use crate::stats::Label;

impl<S: Stage> Sm<S> {
    /// One cycle of sub-core `k`.
    #[inline(always)]
    pub(in crate::sm) fn step<P: Probe>(&mut self, k: usize, now: Local, cx: &mut Cx<P>) {
        let woken = self.cores.subs[k].woken(now);
        if woken != 0 {
            self.wake(k, woken, now);
        }
        let sub = &mut self.cores.subs[k];
        if sub.issue_free > now {
            sub.next = if sub.ready != 0 {
                sub.issue_free
            } else {
                PENDING
            };
            sub.next = sub.next.min(sub.next_wake(now));
            return;
        }
        let held = match S::COMPONENTS {
            true => self.cores.locality.held(k, now),
            false => 0,
        };
        let sub = &mut self.cores.subs[k];
        let mut candidates = sub.ready;
        while candidates != 0 {
            let index = sub.scheduler.pick(candidates);
            let slot = usize::from(index) * SUB_CORES + k;
            let warp = &self.cores.warps[slot];
            let program = &cx.programs[usize::from(warp.program)].program;
            let op = &program.ops[warp.op as usize];
            if sub.pipe_free[op.pipe as usize] > now {
                candidates &= !sub.class[op.pipe as usize];
                continue;
            }
            if held != 0 && held >> index & 1 == 1 && program.loads(op) {
                candidates &= !(1 << index);
                continue;
            }
            self.issue(k, slot, *op, now, cx);
            break;
        }
        self.plan(k, now);
    }

    /// Moves woken warps to the ready set; those that the wheel woke early go back.
    #[inline(always)]
    fn wake(&mut self, k: usize, woken: u16, now: Local) {
        let mut left = woken;
        while left != 0 {
            let index = left.trailing_zeros() as u8;
            left &= left - 1;
            let at = self.cores.warps[usize::from(index) * SUB_CORES + k].ready_at;
            if at > now {
                self.cores.subs[k].wake_at(index, now, at);
            } else {
                self.cores.subs[k].ready |= 1 << index;
            }
        }
    }

    /// When sub-core `k` must look again after `now`.
    #[inline(always)]
    fn plan(&mut self, k: usize, now: Local) {
        let sub = &mut self.cores.subs[k];
        let mut next = sub.next_wake(now);
        let mut waiting = sub.ready;
        for pipe in 0..Pipe::COUNT {
            if waiting == 0 {
                break;
            }
            if waiting & sub.class[pipe] != 0 {
                next = next.min(sub.pipe_free[pipe].max(sub.issue_free).max(now + 1));
                waiting &= !sub.class[pipe];
            }
        }
        sub.next = next;
    }

    #[inline(always)]
    fn issue<P: Probe>(&mut self, k: usize, slot: usize, op: Op, now: Local, cx: &mut Cx<P>) {
        self.account(k, slot, &op, now, cx);
        let index = (slot / SUB_CORES) as u8;
        let sub = &mut self.cores.subs[k];
        let in_a_row = match sub.scheduler.issued(index) {
            true => sub.streak,
            false => 0,
        };
        sub.streak = in_a_row.saturating_add(1);
        sub.ready &= !(1 << index);
        sub.class[op.pipe as usize] &= !(1 << index);
        if op.pipe != Pipe::None {
            sub.pipe_free[op.pipe as usize] = now + Local::from(op.interval);
            if op.flags & flag::SM_WIDE != 0 {
                self.hold_sm_wide(op.pipe, now + Local::from(op.interval));
            }
        }
        let mut latency = Local::from(op.latency);
        if op.flags & flag::READS_PORTS != 0 {
            let ports = cx.spec.sm.regfile.read_ports;
            let mut reads = op.bank_reads;
            if op.reuse_back != 0 && in_a_row >= op.reuse_back {
                let saved = reads[0] + reads[1] - op.reuse_reads[0] - op.reuse_reads[1];
                self.cores.counters.regfile_reuse_hits += u64::from(saved);
                reads = op.reuse_reads;
            }
            let late = self.cores.subs[k].read_operands(now, reads, ports);
            if late > 0 {
                latency += late;
                self.cores.subs[k].issue_free = now + 1 + late;
                self.cores.counters.regfile_conflict_cycles += u64::from(late);
            }
        }
        let warp = &mut self.cores.warps[slot];
        warp.floor = now + 1;
        warp.floor_why = Label::Wait;
        if op.flags & flag::CONTROL != 0 {
            // Yield: not in the next cycle, even when no other warp is ready.
            let least = 1 + Local::from(op.control.yield_);
            warp.floor = now + Local::from(op.control.stall).max(least);
        }
        match op.kind {
            OpKind::Fixed => self.write_registers(slot, &op, raw(now + latency, op.source), cx),
            _ => self.issue_special(k, slot, &op, now, cx),
        }
        self.advance(k, slot, &op, now, cx);
    }

    #[cold]
    fn hold_sm_wide(&mut self, pipe: Pipe, until: Local) {
        for sub in &mut self.cores.subs {
            sub.pipe_free[pipe as usize] = until;
        }
    }

    /// Counts the instruction, and labels the slots since the last issue with what this warp waited
    /// for.
    #[inline(always)]
    fn account<P: Probe>(&mut self, k: usize, slot: usize, op: &Op, now: Local, cx: &mut Cx<P>) {
        let warp = &self.cores.warps[slot];
        let counts = usize::from(warp.program);
        if self.cores.per_program.len() <= counts {
            self.cores.per_program.resize(counts + 1, (0, 0));
        }
        let lanes = u64::from(warp.lanes);
        self.cores.per_program[counts].0 += 1;
        self.cores.per_program[counts].1 += lanes;
        self.cores.counters.warp_instructions += 1;
        self.cores.counters.thread_instructions += lanes;
        self.cores.counters.pipes.add(op.pipe, 1);
        match op.pipe {
            Pipe::Tensor => self.cores.counters.tensor_busy_cycles += u64::from(op.interval),
            Pipe::Fma => self.cores.counters.fma_busy_cycles += u64::from(op.interval),
            _ => {}
        }
        let inst = WarpInst {
            sm: self.id,
            warp: slot as u8,
            program: warp.program,
            place: warp.op,
            pc: op.pc,
            mask: warp.mask,
        };
        cx.probe.warp_issued(self.cycle(now), &inst);
        let from = self.cores.subs[k].accounted;
        if now > from {
            let ready = warp.ready_at.clamp(from, now);
            let why = warp.why;
            if ready > from {
                self.lose(&inst, (why, ready - from), now, cx);
            }
            if now > ready {
                self.lose(&inst, (throttle(op), now - ready), now, cx);
            }
        }
        self.cores.issue.add(Label::Issued, 1);
        self.cores.subs[k].accounted = now + 1;
    }

    /// Labels `slots` issue slots that were lost before `inst` issued at `now`.
    #[inline(always)]
    fn lose<P: Probe>(
        &mut self,
        inst: &WarpInst,
        (label, slots): (Label, Local),
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let slots = u64::from(slots);
        self.cores.issue.add(label, slots);
        cx.probe.slots_lost(self.cycle(now), inst, (label, slots));
    }

    #[inline(always)]
    pub(in crate::sm) fn write_registers<P: Probe>(
        &mut self,
        slot: usize,
        op: &Op,
        value: u32,
        cx: &Cx<P>,
    ) {
        let program = &cx.programs[usize::from(self.cores.warps[slot].program)].program;
        let regs = self.cores.regs.row_mut(slot);
        for &register in program.dsts(op) {
            regs[usize::from(register)] = value;
        }
    }

    /// Everything that is not a fixed-latency instruction.
    fn issue_special<P: Probe>(
        &mut self,
        k: usize,
        slot: usize,
        op: &Op,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        match op.kind {
            OpKind::Memory if self.cores.warps[slot].mask == 0 => {}
            OpKind::Memory | OpKind::Shuffle => self.enqueue(k, slot, op, now, cx),
            OpKind::ConstLoad => {
                let value = raw(now + Local::from(op.latency), op.source);
                self.write_registers(slot, op, value, cx);
                self.known_completion(slot, op, now + Local::from(op.latency));
            }
            OpKind::Barrier => self.arrive(slot, op.number, true, now, cx),
            OpKind::BarrierArrive => self.arrive(slot, op.number, false, now, cx),
            OpKind::Membar => self.fence(slot, op, now, cx),
            OpKind::CpAsyncCommit => self.async_side.groups[slot].commit(),
            OpKind::DepBar => {
                let warp = &mut self.cores.warps[slot];
                match self.async_side.groups[slot].ready(op.number) {
                    Some(ready) => warp.floor = warp.floor.max(ready),
                    None => {
                        warp.hold = Hold::Groups;
                        warp.held_by = op.number;
                    }
                }
                warp.floor_why = Label::LongScoreboard;
            }
            OpKind::Sleep => {
                let warp = &mut self.cores.warps[slot];
                warp.floor = warp.floor.max(now + Local::from(op.latency));
                warp.floor_why = Label::Sleeping;
            }
            OpKind::Branch | OpKind::Fixed | OpKind::Unmodelled => {
                let unmodelled = op.kind == OpKind::Unmodelled;
                self.cores.counters.unmodelled_instructions += u64::from(unmodelled);
                let value = raw(now + Local::from(op.latency), op.source);
                self.write_registers(slot, op, value, cx);
            }
        }
    }

    /// Control bits: scoreboards of an operation whose completion is known at issue.
    fn known_completion(&mut self, slot: usize, op: &Op, at: Local) {
        if op.flags & flag::CONTROL != 0 {
            for barrier in [op.control.write_barrier, op.control.read_barrier] {
                if let Some(ready) = self.cores.warps[slot]
                    .sb_ready
                    .get_mut(usize::from(barrier))
                {
                    *ready = (*ready).max(raw(at, op.source));
                }
            }
        }
    }

    fn fence<P: Probe>(&mut self, slot: usize, op: &Op, now: Local, cx: &Cx<P>) {
        let warp = &mut self.cores.warps[slot];
        warp.floor_why = Label::Membar;
        warp.held_by = op.number;
        if warp.pending == 0 && warp.stores == 0 && warp.queued == 0 {
            warp.floor = warp.memory_done.max(now) + fence_cycles(op.number, cx);
        } else {
            warp.hold = Hold::Membar;
        }
    }

    /// A memory event of the warp happened: ends holds whose condition is now met.
    pub(in crate::sm) fn check_hold<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) {
        let warp = &mut self.cores.warps[slot];
        match warp.hold {
            Hold::Membar if warp.pending == 0 && warp.stores == 0 && warp.queued == 0 => {
                warp.hold = Hold::None;
                warp.floor = warp.memory_done.max(now) + fence_cycles(warp.held_by, cx);
            }
            Hold::Groups => {
                if let Some(ready) = self.async_side.groups[slot].ready(warp.held_by) {
                    warp.hold = Hold::None;
                    warp.floor = ready.max(now);
                }
            }
            Hold::Drain => {
                self.drained(slot, now);
                return;
            }
            _ => {}
        }
        self.rewake(slot, now, cx);
    }
}

fn fence_cycles<P>(scope: u8, cx: &Cx<P>) -> Local {
    let l = &cx.spec.sm.latency;
    Local::from(match scope {
        0 => l.membar_cta,
        1 => l.membar_gpu,
        _ => l.membar_sys,
    })
}
