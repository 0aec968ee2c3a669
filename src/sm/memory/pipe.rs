//! The pipe that the sub-cores share: one memory instruction after the other.

use super::{NO_FLIGHT, Progress, Space, Stuck, l1_sector};
use crate::isa::MemKind;
use crate::mem::LINE_BYTES;
use crate::mem::l1::ReservationFail;
use crate::probe::{MemoryInst, Probe};
use crate::sm::cores::subcore::SubCore;
use crate::sm::cores::warp::{Local, PENDING, Queued, raw};
use crate::sm::memory::miss_port::Stage;
use crate::sm::program::{Memory, Op, OpKind, Pipe, flag};
use crate::sm::{Cx, SUB_CORES, Sm};

impl<S: Stage> Sm<S> {
    /// One cycle of the memory path: requests that the miss port held go on, then the shared pipe.
    pub(in crate::sm) fn memory_pipe<P: Probe>(&mut self, now: Local, cx: &mut Cx<P>) {
        if self.memory.lsu.port.holds() {
            let at = self.cycle(now);
            self.memory.lsu.port.resume(at, &mut self.memory.requests);
        }
        if !self.retry_aside(now, cx) {
            self.shared_pipe(now, cx);
        }
        self.memory.lsu.plan_aside();
        self.plan_port();
    }

    /// One visit of the shared pipe: takes the next instruction, or goes on with a stuck one.
    fn shared_pipe<P: Probe>(&mut self, now: Local, cx: &mut Cx<P>) {
        let k = match self.memory.lsu.stuck {
            Some(k) => k,
            None => {
                let from = self.memory.lsu.last + 1;
                let ready = |s: &SubCore| s.queue.front().is_some_and(|q| q.ready <= now);
                match (from..from + SUB_CORES).find(|k| ready(&self.cores.subs[k % SUB_CORES])) {
                    Some(k) if self.memory.lsu.free <= now => k % SUB_CORES,
                    _ => return self.memory.lsu.plan(&self.cores.subs),
                }
            }
        };
        let mut entry = self.cores.subs[k]
            .queue
            .pop_front()
            .expect("a head was found");
        if self.memory.lsu.stuck.is_none() {
            self.observe_entry(&entry, now, cx);
        }
        let progress = match entry.space {
            Space::Global | Space::Local => self.global_access(&mut entry, now, cx),
            _ => self.shared_access(&entry, now, cx),
        };
        if let Some(since) = self
            .memory
            .lsu
            .stuck
            .take()
            .map(|_| self.memory.lsu.stuck_since)
        {
            self.count_stall(now - since);
        }
        match progress {
            Progress::Done(hold) => {
                self.memory.lsu.free = now + hold;
                self.memory.lsu.last = k;
                self.left_queue(k, entry, now, cx);
                self.memory.lsu.plan(&self.cores.subs);
            }
            Progress::Stuck(_, until) if self.memory.lsu.has_room_aside() => {
                self.step_aside(k, entry, until, now);
            }
            Progress::Stuck(on, until) => {
                self.cores.subs[k].queue.push_front(entry);
                self.memory.lsu.stuck = Some(k);
                self.memory.lsu.stuck_on = on;
                self.memory.lsu.stuck_since = now;
                self.memory.lsu.next = until.max(now + 1);
            }
        }
    }

    #[inline(always)]
    fn observe_entry<P: Probe>(&self, entry: &Queued, now: Local, cx: &mut Cx<P>) {
        let program = &cx.programs[usize::from(entry.program)].program;
        let op = &program.ops[entry.op as usize];
        // Looked up without a check that would stay in a build that observes nothing.
        let mem = program.mems.get(usize::from(op.mem));
        let lines = match entry.space {
            Space::Global | Space::Local => entry.lines.as_slice(),
            Space::Shared | Space::Shuffle => &[],
        };
        let inst = MemoryInst {
            sm: self.id,
            warp: entry.warp,
            program: entry.program,
            cta: self.cta_of(entry.warp),
            place: entry.op,
            pc: op.pc,
            op: mem
                .filter(|_| entry.space != Space::Shuffle)
                .map(|mem| &mem.op),
            space: entry.space,
            lines,
            passes: entry.passes,
            least_passes: entry.least_passes,
        };
        cx.probe.memory_entered(self.epoch + u64::from(now), &inst);
    }

    /// The CTA of warp slot `warp`, for observers; as `mems` above.
    #[inline(always)]
    fn cta_of(&self, warp: u8) -> u64 {
        let warp = self.cores.warps.get(usize::from(warp));
        let cta = warp.and_then(|w| self.ctas.table.get(usize::from(w.cta)));
        cta.map_or(0, |cta| cta.number)
    }

    pub(in crate::sm) fn count_stall(&mut self, cycles: Local) {
        let stats = &mut self.memory.l1.stats;
        let counter = match self.memory.lsu.stuck_on {
            Stuck::Reservation(ReservationFail::MshrEntries) => &mut stats.fail_mshr_entries_cycles,
            Stuck::Reservation(ReservationFail::MshrMerges) => &mut stats.fail_mshr_merges_cycles,
            Stuck::Reservation(ReservationFail::LineAlloc) => &mut stats.fail_line_alloc_cycles,
            Stuck::Reservation(ReservationFail::MissQueue) => &mut stats.fail_miss_queue_cycles,
            Stuck::StoreCredit => &mut self.memory.lsu.stats.store_credit_stall_cycles,
        };
        *counter += u64::from(cycles);
    }

    /// The head left the queue of sub-core `k`: its slot and its source operands are free.
    pub(in crate::sm) fn left_queue<P: Probe>(
        &mut self,
        k: usize,
        entry: Box<Queued>,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        self.queue_has_room(k, now);
        self.left_pipe(k, entry, now, cx);
    }

    /// Sub-core `k` may issue memory instructions again.
    #[inline(always)]
    pub(super) fn queue_has_room(&mut self, k: usize, now: Local) {
        let sub = &mut self.cores.subs[k];
        if sub.pipe_free[Pipe::Lsu as usize] == PENDING {
            sub.pipe_free[Pipe::Lsu as usize] = now;
            sub.next = sub.next.min(now);
        }
    }

    /// `entry`, which is in no queue any more, is done with the pipe.
    #[inline(always)]
    pub(super) fn left_pipe<P: Probe>(
        &mut self,
        k: usize,
        entry: Box<Queued>,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let slot = usize::from(entry.warp);
        let program = &cx.programs[usize::from(entry.program)].program;
        let op = program.ops[entry.op as usize];
        self.cores.subs[k].spare.push(entry);
        let store = op.kind == OpKind::Memory
            && matches!(program.mems[usize::from(op.mem)].kind, MemKind::Store);
        let read = if store {
            cx.spec.lsu.store_read_cycles
        } else {
            cx.spec.lsu.load_read_cycles
        };
        let read_at = now + Local::from(read).saturating_sub(self.memory.lsu.frontend);
        let warp = &mut self.cores.warps[slot];
        warp.queued -= 1;
        if op.flags & flag::CONTROL != 0 {
            let barrier = usize::from(op.control.read_barrier);
            if let Some(pending) = warp.sb_pending.get_mut(barrier) {
                *pending -= 1;
                let ready = &mut warp.sb_ready[barrier];
                *ready = (*ready).max(raw(read_at, op.source));
            }
        }
        self.check_hold(slot, now, cx);
    }

    /// Shared memory and shuffles: the completion is known.
    fn shared_access<P: Probe>(&mut self, entry: &Queued, now: Local, cx: &mut Cx<P>) -> Progress {
        let launched = &cx.programs[usize::from(entry.program)];
        let op = launched.program.ops[entry.op as usize];
        let smem = &cx.spec.smem;
        let slot = usize::from(entry.warp);
        let passes = Local::from(entry.passes);
        let interval = Local::from(cx.spec.lsu.issue_interval);
        if entry.space == Space::Shuffle {
            self.memory.lsu.stats.shuffle_instructions += 1;
            let done = now + Local::from(op.latency).saturating_sub(self.memory.lsu.frontend);
            self.complete(slot, &op, done, now, u32::MAX, cx);
            return Progress::Done(interval);
        }
        let mem = launched.program.mems[usize::from(op.mem)];
        let atomic = matches!(mem.kind, MemKind::Atomic | MemKind::Reduction);
        let turn = match atomic {
            true => smem.pass_interval.max(smem.atomic_serial),
            false => smem.pass_interval,
        };
        let hold = interval.max(passes * Local::from(turn));
        let extra = passes - Local::from(entry.least_passes);
        self.memory.lsu.stats.shared_instructions += 1;
        self.memory.lsu.stats.shared_passes += u64::from(passes);
        self.memory.lsu.stats.shared_conflict_passes += u64::from(extra);
        let wide = Local::from(entry.least_passes).saturating_sub(2);
        let latency = match mem.kind {
            _ if atomic => {
                let cas = if mem.cas { smem.cas_extra } else { 0 };
                Local::from(smem.atomic_latency)
                    + extra * Local::from(smem.atomic_serial)
                    + Local::from(cas)
            }
            MemKind::Store | MemKind::StoreMatrix => hold + self.memory.lsu.frontend,
            _ => Local::from(smem.load_latency) + extra * Local::from(smem.conflict_latency) + wide,
        };
        let done = now + latency.saturating_sub(self.memory.lsu.frontend);
        self.complete(slot, &op, done, now, u32::MAX, cx);
        Progress::Done(hold)
    }

    /// Global memory: every line through L1 or straight to L2.
    #[inline(always)]
    pub(super) fn global_access<P: Probe>(
        &mut self,
        entry: &mut Queued,
        now: Local,
        cx: &mut Cx<P>,
    ) -> Progress {
        let launched = &cx.programs[usize::from(entry.program)];
        let op = launched.program.ops[entry.op as usize];
        let mem = launched.program.mems[usize::from(op.mem)];
        let l1 = &cx.spec.l1;
        let lines = entry.lines.as_slice().len();
        if entry.next_line == 0 && self.memory.lsu.stuck.is_none() {
            self.memory.lsu.stats.global_instructions += 1;
            self.memory.lsu.stats.line_requests += lines as u64;
            let sectors = entry.lines.as_slice().iter().map(|l| l.sectors.count());
            self.memory.lsu.stats.sector_requests += u64::from(sectors.sum::<u32>());
            if lines > 4 {
                entry
                    .lines
                    .as_slice()
                    .iter()
                    .for_each(|l| self.memory.l1.warm(l.line));
            }
        }
        while usize::from(entry.next_line) < lines {
            let number = Local::from(entry.next_line);
            let at = now + number / Local::from(l1.tags_per_cycle);
            let result = match mem.kind {
                MemKind::Store | MemKind::Reduction | MemKind::StoreMatrix => {
                    self.store_line(entry, &mem, at, cx)
                }
                MemKind::Atomic => {
                    self.atomic_line(entry, &op, at, cx);
                    Ok(())
                }
                _ => self.load_line(entry, &mem, at, cx),
            };
            if let Err((stuck, until)) = result {
                return Progress::Stuck(stuck, until);
            }
            entry.next_line += 1;
        }
        let sectors: u32 = entry
            .lines
            .as_slice()
            .iter()
            .map(|l| l.sectors.count())
            .sum();
        let tag_cycles = (lines as u32).div_ceil(u32::from(l1.tags_per_cycle));
        // Loads read words out of the banks that shared memory has; anything else moves sectors.
        let bytes = match mem.kind {
            MemKind::Load => u32::from(entry.passes) * LINE_BYTES as u32,
            _ => sectors * l1_sector(cx),
        };
        let data_cycles = bytes.div_ceil(u32::from(l1.bytes_per_cycle));
        let hold = Local::from(cx.spec.lsu.issue_interval)
            .max(tag_cycles)
            .max(data_cycles);
        self.finish_access(
            entry,
            &op,
            &mem,
            now + tag_cycles.max(data_cycles) - 1,
            now,
            cx,
        );
        Progress::Done(hold)
    }

    /// All lines were looked up; `last` is the cycle of the last one.
    #[inline(always)]
    pub(in crate::sm) fn finish_access<P: Probe>(
        &mut self,
        entry: &Queued,
        op: &Op,
        mem: &Memory,
        last: Local,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let slot = usize::from(entry.warp);
        if S::COMPONENTS && self.memory.prefetcher.learns() {
            self.prefetch(entry, op, mem, last, cx);
        }
        let l1 = &cx.spec.l1;
        let latency = match mem.kind {
            MemKind::CpAsync => Local::from(l1.cp_async_latency),
            MemKind::Load => Local::from(l1.hit_latency) + return_extra(entry, cx),
            _ => self.memory.lsu.frontend,
        };
        let hit_done = last + latency.saturating_sub(self.memory.lsu.frontend);
        if entry.flight == NO_FLIGHT {
            let group = match mem.kind {
                MemKind::CpAsync => self.async_side.groups[slot].join(),
                _ => u32::MAX,
            };
            self.complete(slot, op, hit_done, now, group, cx);
        } else {
            self.cores.subs[slot % SUB_CORES]
                .scheduler
                .missed((slot / SUB_CORES) as u8);
            let flight = &mut self.memory.lsu.flights[entry.flight as usize];
            flight.done = flight.done.max(hit_done);
            flight.left -= 1;
            if flight.left == 0 {
                self.land(entry.flight, now, cx);
            }
        }
    }
}

/// Later lines of a register write: a warp's data come 128 bytes a time.
fn return_extra<P>(entry: &Queued, cx: &Cx<P>) -> Local {
    Local::from(match entry.least_passes {
        1 => 0,
        2 => cx.spec.lsu.return_extra_64,
        _ => cx.spec.lsu.return_extra_128,
    })
}
