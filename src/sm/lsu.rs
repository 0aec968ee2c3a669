//! The memory path of an SM: local queues, address generation, the shared pipe, L1, and replies.
//!
//! A memory instruction waits in its sub-core's queue until address generation is done, then enters
//! the pipe that all sub-cores share, one at a time. A hit or a bank conflict has a known completion
//! from there on; a miss leaves a *flight* that replies complete.

use super::coalesce::{Lines, Passes, atomic_weight, bank_passes, coalesce, is_atomic};
use super::program::{Op, OpKind, Pipe, flag};
use super::subcore::SubCore;
use super::warp::{Hold, Local, PENDING, Queued, raw};
use super::{Cx, SUB_CORES, Sm};
use crate::config::GpuSpec;
use crate::ids::SmId;
use crate::isa::{CacheOp, MemKind, MemOp, MemSpace};
use crate::mem::l1::ReservationFail;
use crate::mem::{Reply, Request, RequestKind};
use crate::probe::Probe;
use crate::stats::LsuStats;
use crate::trace::Addresses;

/// Where an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Space {
    /// Global, local and resolved generic.
    Global,
    /// Shared memory.
    Shared,
    /// Shuffle: the shared-memory data path without an access.
    Shuffle,
}

/// A memory instruction that waits for replies.
#[derive(Clone, Copy, Debug)]
struct Flight {
    warp: u8,
    program: u8,
    op: u32,
    left: u16,
    done: Local,
    group: u32,
}

const NO_FLIGHT: u32 = u32::MAX;
/// Marks the tag of a read that bypasses L1: the rest is a flight number.
const BYPASS: u32 = 1 << 31;

/// The part of an SM that its sub-cores share for memory.
#[derive(Clone, Debug)]
pub struct Lsu {
    /// Next cycle at which the pipe may have work.
    pub next: Local,
    /// Counters.
    pub stats: LsuStats,
    free: Local,
    last: usize,
    /// Sub-core whose head instruction is stuck in the pipe.
    stuck: Option<usize>,
    stuck_since: Local,
    stuck_on: Stuck,
    flights: Vec<Flight>,
    free_flights: Vec<u32>,
    port_free: Local,
    bypass_left: u16,
    store_credits: u16,
    store_credits_max: u16,
    frontend: Local,
    queue_entries: usize,
}

/// What the head of the pipe waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stuck {
    Reservation(ReservationFail),
    StoreCredit,
}

/// How far the pipe came with its head instruction.
enum Progress {
    /// Done; the pipe is held this long.
    Done(Local),
    /// Stuck until an event, or until the given cycle.
    Stuck(Stuck, Local),
}

impl Lsu {
    /// An idle path.
    pub fn new(spec: &GpuSpec) -> Self {
        Lsu {
            next: PENDING,
            stats: LsuStats::default(),
            free: 0,
            last: SUB_CORES - 1,
            stuck: None,
            stuck_since: 0,
            stuck_on: Stuck::StoreCredit,
            flights: Vec::new(),
            free_flights: Vec::new(),
            port_free: 0,
            bypass_left: spec.l1.mshrs,
            store_credits: spec.lsu.store_credits,
            store_credits_max: spec.lsu.store_credits,
            frontend: Local::from(spec.lsu.frontend_cycles),
            queue_entries: usize::from(spec.lsu.queue_entries),
        }
    }

    /// Nothing waits and no reply is expected.
    pub fn idle(&self) -> bool {
        self.next == PENDING
            && self.flights.len() == self.free_flights.len()
            && self.store_credits == self.store_credits_max
    }

    /// All times move back by `by`; only while idle.
    pub fn rebase(&mut self, by: Local) {
        self.free = self.free.saturating_sub(by);
        self.port_free = self.port_free.saturating_sub(by);
    }

    /// For the wait-for graph.
    pub fn describe(&self, sm: SmId, lines: usize, out: &mut Vec<String>) {
        let flights = self.flights.len() - self.free_flights.len();
        if flights > 0 || self.stuck.is_some() {
            out.push(format!(
                "SM {}: {flights} instructions wait for replies, {lines} lines in flight, {} of {} \
                 store credits left, head of the pipe waits for {}",
                sm.0,
                self.store_credits,
                self.store_credits_max,
                match self.stuck {
                    Some(_) => format!("{:?}", self.stuck_on),
                    None => "nothing".into(),
                }
            ));
        }
    }

    fn take_flight(&mut self, flight: Flight) -> u32 {
        match self.free_flights.pop() {
            Some(id) => {
                self.flights[id as usize] = flight;
                id
            }
            None => {
                self.flights.push(flight);
                self.flights.len() as u32 - 1
            }
        }
    }

    /// When the pipe must look at the queues again.
    fn plan(&mut self, subs: &[SubCore; SUB_CORES]) {
        let heads = subs
            .iter()
            .filter_map(|s| s.queue.front())
            .map(|q| q.ready)
            .min();
        self.next = heads.map_or(PENDING, |ready| ready.max(self.free));
    }
}

fn new_entry() -> Box<Queued> {
    Box::new(Queued {
        ready: 0,
        warp: 0,
        program: 0,
        next_line: 0,
        misses: 0,
        passes: 1,
        least_passes: 1,
        op: 0,
        flight: NO_FLIGHT,
        space: Space::Global,
        atomic_weight: [1; 64],
        lines: Lines::default(),
    })
}

impl Sm {
    /// Puts a memory instruction or shuffle that issues at `now` into its sub-core's queue.
    pub(super) fn enqueue<P: Probe>(
        &mut self,
        k: usize,
        slot: usize,
        op: &Op,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let mut entry = self.subs[k].spare.pop().unwrap_or_else(new_entry);
        let warp = &mut self.warps[slot];
        entry.warp = slot as u8;
        entry.program = warp.program;
        entry.op = warp.op;
        entry.next_line = 0;
        entry.misses = 0;
        entry.flight = NO_FLIGHT;
        (entry.passes, entry.least_passes) = (1, 1);
        warp.queued += 1;
        warp.pending += 1;
        let mut uniform = false;
        if op.kind == OpKind::Shuffle {
            entry.space = Space::Shuffle;
        } else {
            let mem = cx.programs[usize::from(warp.program)].program.mems[usize::from(op.mem)];
            uniform = mem.uniform_address;
            self.addresses(slot, &mem, &mut entry, cx);
        }
        self.begin_wait(slot, op, cx);
        let interval = if uniform {
            cx.spec.lsu.agu_interval_uniform
        } else {
            cx.spec.lsu.agu_interval
        };
        let sub = &mut self.subs[k];
        entry.ready = (now + self.lsu.frontend).max(sub.agu_free);
        sub.agu_free = entry.ready + Local::from(interval);
        self.lsu.next = match self.lsu.stuck {
            Some(_) => self.lsu.next,
            None => self.lsu.next.min(entry.ready.max(self.lsu.free)),
        };
        sub.queue.push_back(entry);
        if sub.queue.len() >= self.lsu.queue_entries {
            sub.pipe_free[Pipe::Lsu as usize] = PENDING;
        }
    }

    /// Marks what the instruction will deliver as pending.
    fn begin_wait<P: Probe>(&mut self, slot: usize, op: &Op, cx: &Cx<P>) {
        if op.flags & flag::CONTROL != 0 {
            let warp = &mut self.warps[slot];
            for barrier in [op.control.write_barrier, op.control.read_barrier] {
                if let Some(pending) = warp.sb_pending.get_mut(usize::from(barrier)) {
                    *pending += 1;
                    let ready = &mut warp.sb_ready[usize::from(barrier)];
                    *ready = *ready & !3 | u32::from(op.source);
                }
            }
        } else {
            self.write_registers(slot, op, raw(PENDING, op.source), cx);
        }
    }

    /// Decodes the next access of the warp's stream into `entry`.
    fn addresses<P: Probe>(&mut self, slot: usize, mem: &MemOp, entry: &mut Queued, cx: &Cx<P>) {
        let warp = &self.warps[slot];
        let launched = &cx.programs[usize::from(warp.program)];
        let mut list = [0u64; 32];
        let access = self.streams[slot].next_access(warp.op, warp.mask, &mut list);
        let header = &launched.kernel.header;
        let (mut base, mut count) = (list[0], usize::from(warp.mask.count_ones() as u8));
        let pattern = match access {
            Addresses::Pattern { base: at, pattern } => {
                base = at;
                Some(pattern)
            }
            Addresses::List { count: lanes } => {
                count = usize::from(lanes);
                None
            }
        };
        entry.space = match mem.space {
            MemSpace::Shared => Space::Shared,
            MemSpace::Generic if in_window(base, header.shared_base) => Space::Shared,
            _ => Space::Global,
        };
        let width = u64::from(mem.width_bytes);
        let atomic = is_atomic(mem);
        let patterns = &launched.program.patterns;
        if let Some(pattern) = pattern {
            let info = patterns.info(pattern);
            let passes = if atomic {
                info.atomic_passes
            } else {
                info.passes
            };
            match entry.space {
                Space::Global if !atomic => {
                    if patterns.lines_at(pattern, base, &mut entry.lines) {
                        return;
                    }
                }
                Space::Shared if base % 4 == 0 => return set_passes(entry, passes),
                _ => {}
            }
            let offsets = &launched.kernel.code.patterns[pattern as usize].offsets;
            count = offsets.len().min(32);
            for (address, &offset) in list.iter_mut().zip(offsets) {
                *address = base.wrapping_add_signed(i64::from(offset));
            }
        }
        let lanes = &list[..count];
        if entry.space == Space::Shared {
            let banks = u64::from(cx.spec.smem.banks);
            set_passes(entry, bank_passes(lanes, warp.mask, width, banks, atomic));
            return;
        }
        coalesce(lanes, width, &mut entry.lines);
        if atomic {
            for (weight, line) in entry.atomic_weight.iter_mut().zip(entry.lines.as_slice()) {
                *weight = atomic_weight(lanes, line.line);
            }
        }
    }

    /// One visit of the shared pipe: takes the next instruction, or goes on with a stuck one.
    pub(super) fn memory_pipe<P: Probe>(&mut self, now: Local, cx: &mut Cx<P>) {
        let k = match self.lsu.stuck {
            Some(k) => k,
            None => {
                let from = self.lsu.last + 1;
                let ready = |s: &SubCore| s.queue.front().is_some_and(|q| q.ready <= now);
                match (from..from + SUB_CORES).find(|k| ready(&self.subs[k % SUB_CORES])) {
                    Some(k) if self.lsu.free <= now => k % SUB_CORES,
                    _ => return self.lsu.plan(&self.subs),
                }
            }
        };
        let mut entry = self.subs[k].queue.pop_front().expect("a head was found");
        let progress = match entry.space {
            Space::Global => self.global_access(&mut entry, now, cx),
            _ => self.shared_access(&entry, now, cx),
        };
        if let Some(since) = self.lsu.stuck.take().map(|_| self.lsu.stuck_since) {
            self.count_stall(now - since);
        }
        match progress {
            Progress::Done(hold) => {
                self.lsu.free = now + hold;
                self.lsu.last = k;
                self.left_queue(k, entry, now, cx);
                self.lsu.plan(&self.subs);
            }
            Progress::Stuck(on, until) => {
                self.subs[k].queue.push_front(entry);
                self.lsu.stuck = Some(k);
                self.lsu.stuck_on = on;
                self.lsu.stuck_since = now;
                self.lsu.next = until.max(now + 1);
            }
        }
    }

    fn count_stall(&mut self, cycles: Local) {
        let stats = &mut self.l1.stats;
        let counter = match self.lsu.stuck_on {
            Stuck::Reservation(ReservationFail::MshrEntries) => &mut stats.fail_mshr_entries_cycles,
            Stuck::Reservation(ReservationFail::MshrMerges) => &mut stats.fail_mshr_merges_cycles,
            Stuck::Reservation(ReservationFail::LineAlloc) => &mut stats.fail_line_alloc_cycles,
            Stuck::Reservation(ReservationFail::MissQueue) => &mut stats.fail_miss_queue_cycles,
            Stuck::StoreCredit => &mut self.lsu.stats.store_credit_stall_cycles,
        };
        *counter += u64::from(cycles);
    }

    /// The head left the queue of sub-core `k`: its slot and its source operands are free.
    fn left_queue<P: Probe>(&mut self, k: usize, entry: Box<Queued>, now: Local, cx: &mut Cx<P>) {
        let slot = usize::from(entry.warp);
        let program = &cx.programs[usize::from(entry.program)].program;
        let op = program.ops[entry.op as usize];
        let sub = &mut self.subs[k];
        if sub.pipe_free[Pipe::Lsu as usize] == PENDING {
            sub.pipe_free[Pipe::Lsu as usize] = now;
            sub.next = sub.next.min(now);
        }
        sub.spare.push(entry);
        let store = op.kind == OpKind::Memory
            && matches!(program.mems[usize::from(op.mem)].kind, MemKind::Store);
        let read = if store {
            cx.spec.lsu.store_read_cycles
        } else {
            cx.spec.lsu.load_read_cycles
        };
        let read_at = now + Local::from(read).saturating_sub(self.lsu.frontend);
        let warp = &mut self.warps[slot];
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
        let hold = interval.max(passes * Local::from(smem.pass_interval));
        if entry.space == Space::Shuffle {
            self.lsu.stats.shuffle_instructions += 1;
            let done = now + Local::from(op.latency).saturating_sub(self.lsu.frontend);
            self.complete(slot, &op, done, now, u32::MAX, cx);
            return Progress::Done(interval);
        }
        let mem = launched.program.mems[usize::from(op.mem)];
        let extra = passes - Local::from(entry.least_passes);
        self.lsu.stats.shared_instructions += 1;
        self.lsu.stats.shared_passes += u64::from(passes);
        self.lsu.stats.shared_conflict_passes += u64::from(extra);
        let wide = Local::from(entry.least_passes).saturating_sub(2);
        let latency = match mem.kind {
            MemKind::Atomic | MemKind::Reduction => {
                Local::from(smem.atomic_latency) + extra * Local::from(smem.atomic_serial)
            }
            MemKind::Store | MemKind::StoreMatrix => hold + self.lsu.frontend,
            _ => Local::from(smem.load_latency) + extra * Local::from(smem.conflict_latency) + wide,
        };
        let done = now + latency.saturating_sub(self.lsu.frontend);
        self.complete(slot, &op, done, now, u32::MAX, cx);
        Progress::Done(hold)
    }

    /// Global memory: every line through L1 or straight to L2.
    fn global_access<P: Probe>(
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
        if entry.next_line == 0 && self.lsu.stuck.is_none() {
            self.lsu.stats.global_instructions += 1;
            self.lsu.stats.line_requests += lines as u64;
            let sectors = entry
                .lines
                .as_slice()
                .iter()
                .map(|l| l.sectors.count_ones());
            self.lsu.stats.sector_requests += u64::from(sectors.sum::<u32>());
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
            .map(|l| l.sectors.count_ones())
            .sum();
        let tag_cycles = (lines as u32).div_ceil(u32::from(l1.tags_per_cycle));
        let data_cycles = (sectors * l1_sector(cx)).div_ceil(u32::from(l1.bytes_per_cycle));
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
    fn finish_access<P: Probe>(
        &mut self,
        entry: &Queued,
        op: &Op,
        mem: &MemOp,
        last: Local,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let slot = usize::from(entry.warp);
        let l1 = &cx.spec.l1;
        let latency = match mem.kind {
            MemKind::CpAsync => Local::from(l1.cp_async_latency),
            MemKind::Load => Local::from(l1.hit_latency) + return_extra(mem, cx),
            _ => self.lsu.frontend,
        };
        let hit_done = last + latency.saturating_sub(self.lsu.frontend);
        if entry.flight == NO_FLIGHT {
            let group = match mem.kind {
                MemKind::CpAsync => self.warps[slot].groups.join(),
                _ => u32::MAX,
            };
            self.complete(slot, op, hit_done, now, group, cx);
        } else {
            let flight = &mut self.lsu.flights[entry.flight as usize];
            flight.done = flight.done.max(hit_done);
            flight.left -= 1;
            if flight.left == 0 {
                self.land(entry.flight, now, cx);
            }
        }
    }

    /// The flight of an access, made at its first miss. Counts one for the access itself, which
    /// [`Sm::finish_access`] takes back.
    fn flight_of(&mut self, entry: &mut Queued, mem: &MemOp) -> u32 {
        if entry.flight == NO_FLIGHT {
            let group = match mem.kind {
                MemKind::CpAsync => self.warps[usize::from(entry.warp)].groups.join(),
                _ => u32::MAX,
            };
            entry.flight = self.lsu.take_flight(Flight {
                warp: entry.warp,
                program: entry.program,
                op: entry.op,
                left: 1,
                done: 0,
                group,
            });
        }
        entry.flight
    }

    fn load_line<P: Probe>(
        &mut self,
        entry: &mut Queued,
        mem: &MemOp,
        at: Local,
        cx: &mut Cx<P>,
    ) -> Result<(), (Stuck, Local)> {
        let line = entry.lines.as_slice()[usize::from(entry.next_line)];
        let miss_at = at + Local::from(cx.spec.l1.miss_latency);
        if !cx.spec.l1.enabled || matches!(mem.cache, CacheOp::Global | CacheOp::Volatile) {
            if self.lsu.bypass_left == 0 {
                return Err((Stuck::Reservation(ReservationFail::MshrEntries), PENDING));
            }
            self.lsu.bypass_left -= 1;
            let flight = self.flight_of(entry, mem);
            self.lsu.flights[flight as usize].left += 1;
            self.l1.stats.sector_reads += u64::from(line.sectors.count_ones());
            self.l1.stats.sector_misses += u64::from(line.sectors.count_ones());
            let tag = flight | BYPASS;
            self.send(
                RequestKind::Read,
                line.line,
                line.sectors,
                0,
                tag,
                0,
                miss_at,
                cx,
            );
            return Ok(());
        }
        let queue_limit = Local::from(cx.spec.l1.miss_queue_entries);
        if self.lsu.port_free > miss_at + queue_limit
            && self.l1.would_request(line.line, line.sectors)
        {
            self.l1.stats.reservation_fails += 1;
            let until = self.lsu.port_free - queue_limit - (miss_at - at);
            return Err((Stuck::Reservation(ReservationFail::MissQueue), until));
        }
        let flight = self.flight_of(entry, mem);
        let result = match self.l1.read(line.line, line.sectors, flight) {
            Ok(result) => result,
            Err(fail) => {
                self.l1.stats.reservation_fails += 1;
                return Err((Stuck::Reservation(fail), PENDING));
            }
        };
        cx.probe.l1_accessed(
            self.epoch + u64::from(at),
            self.id,
            line.line,
            result.hit,
            line.sectors & !result.hit,
        );
        if result.waits {
            self.lsu.flights[flight as usize].left += 1;
        } else if self.lsu.flights[flight as usize].left == 1 && entry.misses == 0 {
            // Nothing missed so far: a hit needs no flight.
            self.drop_unused_flight(entry, mem);
        }
        entry.misses += u8::from(result.waits);
        if result.request != 0 {
            self.send(
                RequestKind::Read,
                line.line,
                result.request,
                0,
                0,
                0,
                miss_at,
                cx,
            );
        }
        Ok(())
    }

    fn drop_unused_flight(&mut self, entry: &mut Queued, mem: &MemOp) {
        if mem.kind == MemKind::CpAsync {
            return;
        }
        self.lsu.free_flights.push(entry.flight);
        entry.flight = NO_FLIGHT;
    }

    fn store_line<P: Probe>(
        &mut self,
        entry: &mut Queued,
        mem: &MemOp,
        at: Local,
        cx: &mut Cx<P>,
    ) -> Result<(), (Stuck, Local)> {
        if self.lsu.store_credits == 0 {
            return Err((Stuck::StoreCredit, PENDING));
        }
        self.lsu.store_credits -= 1;
        let line = entry.lines.as_slice()[usize::from(entry.next_line)];
        let weight = entry.atomic_weight[usize::from(entry.next_line)];
        let kind = if mem.kind == MemKind::Reduction {
            self.l1.atomic(line.line, line.sectors);
            RequestKind::Reduction
        } else {
            self.l1.store(line.line, line.sectors, line.full);
            RequestKind::Write
        };
        self.warps[usize::from(entry.warp)].stores += 1;
        let tag = u32::from(entry.warp);
        let miss_at = at + Local::from(cx.spec.l1.miss_latency);
        self.send(
            kind,
            line.line,
            line.sectors,
            line.full,
            tag,
            weight,
            miss_at,
            cx,
        );
        Ok(())
    }

    fn atomic_line<P: Probe>(&mut self, entry: &mut Queued, op: &Op, at: Local, cx: &mut Cx<P>) {
        let mem = cx.programs[usize::from(entry.program)].program.mems[usize::from(op.mem)];
        let line = entry.lines.as_slice()[usize::from(entry.next_line)];
        let weight = entry.atomic_weight[usize::from(entry.next_line)];
        self.l1.atomic(line.line, line.sectors);
        let flight = self.flight_of(entry, &mem);
        self.lsu.flights[flight as usize].left += 1;
        let interval = if mem.cas {
            cx.spec.l2.cas_interval
        } else {
            cx.spec.l2.atomic_interval
        };
        let cycles = weight.saturating_mul(interval.max(1));
        let miss_at = at + Local::from(cx.spec.l1.miss_latency);
        self.send(
            RequestKind::Atomic,
            line.line,
            line.sectors,
            0,
            flight,
            cycles,
            miss_at,
            cx,
        );
    }

    /// Sends a request through the SM's crossbar port at `at` or when the port is free.
    #[allow(clippy::too_many_arguments, reason = "the fields of one message")]
    fn send<P>(
        &mut self,
        kind: RequestKind,
        line: u64,
        sectors: u8,
        full: u8,
        tag: u32,
        atomic_cycles: u8,
        at: Local,
        cx: &Cx<P>,
    ) {
        let noc = &cx.spec.noc;
        let data = match kind {
            RequestKind::Read | RequestKind::ReadInst => 0,
            _ => sectors.count_ones() * l1_sector(cx),
        };
        let bytes = u32::from(noc.header_bytes) + data;
        let leave = at.max(self.lsu.port_free);
        self.lsu.port_free = leave + bytes.div_ceil(u32::from(noc.sm_request_bytes_per_cycle));
        self.seq = self.seq.wrapping_add(1);
        self.requests.push(Request {
            at: self.epoch + u64::from(leave),
            line,
            tag,
            seq: self.seq,
            source: self.id.0,
            kind,
            sectors,
            full,
            atomic_cycles,
            slice: 0,
        });
    }

    /// Sends the lines that the instruction and constant caches missed.
    pub(super) fn send_fetches<P>(&mut self, cx: &Cx<P>) {
        for (line, at) in std::mem::take(&mut self.inst.requests) {
            self.send(RequestKind::ReadInst, line, 15, 0, 0, 0, at, cx);
        }
        for (line, at) in std::mem::take(&mut self.consts.requests) {
            self.send(RequestKind::ReadInst, line, 15, 0, 1, 0, at, cx);
        }
    }

    /// A reply arrives.
    pub(super) fn reply<P: Probe>(&mut self, reply: Reply, now: Local, cx: &mut Cx<P>) {
        let ready = now + Local::from(cx.spec.l1.fill_latency);
        self.last_reply = reply.at;
        match reply.kind {
            RequestKind::Read if reply.tag & BYPASS != 0 => {
                self.lsu.bypass_left += 1;
                self.one_landed(reply.tag & !BYPASS, ready, now, cx);
            }
            RequestKind::Read => self.fill(&reply, ready, now, cx),
            RequestKind::Atomic => self.one_landed(reply.tag, ready, now, cx),
            RequestKind::ReadInst => self.code_arrived(&reply, now, cx),
            _ => {
                self.lsu.store_credits += 1;
                let slot = reply.tag as usize;
                self.warps[slot].stores -= 1;
                if self.warps[slot].hold == Hold::Membar {
                    self.check_hold(slot, now, cx);
                }
            }
        }
        if self.lsu.stuck.is_some() {
            self.lsu.next = self.lsu.next.min(now);
        }
    }

    fn fill<P: Probe>(&mut self, reply: &Reply, ready: Local, now: Local, cx: &mut Cx<P>) {
        let mut landed = std::mem::take(&mut self.lsu.free_flights);
        let keep = landed.len();
        let flights = &mut self.lsu.flights;
        self.l1.fill(reply.line, reply.sectors, |id| {
            let flight = &mut flights[id as usize];
            flight.done = flight.done.max(ready);
            flight.left -= 1;
            if flight.left == 0 {
                landed.push(id);
            }
        });
        // Landed flights are the free ones at once; each is read before it can be reused.
        let count = landed.len();
        self.lsu.free_flights = landed;
        for at in keep..count {
            let flight = self.lsu.flights[self.lsu.free_flights[at] as usize];
            self.landed(flight, now, cx);
        }
    }

    fn one_landed<P: Probe>(&mut self, id: u32, ready: Local, now: Local, cx: &mut Cx<P>) {
        let flight = &mut self.lsu.flights[id as usize];
        flight.done = flight.done.max(ready);
        flight.left -= 1;
        if flight.left == 0 {
            self.land(id, now, cx);
        }
    }

    fn land<P: Probe>(&mut self, id: u32, now: Local, cx: &mut Cx<P>) {
        self.lsu.free_flights.push(id);
        self.landed(self.lsu.flights[id as usize], now, cx);
    }

    fn landed<P: Probe>(&mut self, flight: Flight, now: Local, cx: &mut Cx<P>) {
        let program = &cx.programs[usize::from(flight.program)].program;
        let op = program.ops[flight.op as usize];
        self.complete(
            usize::from(flight.warp),
            &op,
            flight.done,
            now,
            flight.group,
            cx,
        );
    }

    /// The completion of a memory instruction is now known to be `done`.
    fn complete<P: Probe>(
        &mut self,
        slot: usize,
        op: &Op,
        done: Local,
        now: Local,
        group: u32,
        cx: &mut Cx<P>,
    ) {
        let value = raw(done, op.source);
        let warp = &mut self.warps[slot];
        warp.pending -= 1;
        warp.memory_done = warp.memory_done.max(done);
        if group != u32::MAX {
            warp.groups.complete(group, done);
        }
        if op.flags & flag::CONTROL != 0 {
            let barrier = usize::from(op.control.write_barrier);
            if let Some(pending) = warp.sb_pending.get_mut(barrier) {
                *pending -= 1;
                warp.sb_ready[barrier] = warp.sb_ready[barrier].max(value);
            }
        } else {
            self.write_registers(slot, op, value, cx);
        }
        self.check_hold(slot, now, cx);
    }

    fn code_arrived<P: Probe>(&mut self, reply: &Reply, now: Local, cx: &mut Cx<P>) {
        let constant = reply.tag == 1;
        let ready = if constant {
            self.consts.arrived(reply.line, now)
        } else {
            self.inst.arrived(reply.line, now)
        };
        for slot in 0..self.warps.len() {
            let warp = &self.warps[slot];
            if self.used >> slot & 1 == 0 || warp.hold == Hold::Drain {
                continue;
            }
            let launched = &cx.programs[usize::from(warp.program)];
            let Some(op) = launched.program.ops.get(warp.op as usize) else {
                continue;
            };
            let warp = &mut self.warps[slot];
            let waits = if constant {
                warp.constant_at == PENDING
                    && op.flags & flag::CONSTANT != 0
                    && launched.const_line + u64::from(op.const_line) == reply.line
            } else {
                warp.fetched_at == PENDING && launched.code_line + u64::from(op.line) == reply.line
            };
            if waits {
                *(if constant {
                    &mut warp.constant_at
                } else {
                    &mut warp.fetched_at
                }) = ready;
                self.rewake(slot, now, cx);
            }
        }
    }
}

fn in_window(address: u64, base: u64) -> bool {
    /// The shared window of the generic address space.
    const WINDOW: u64 = 1 << 24;
    base != 0 && address.wrapping_sub(base) < WINDOW
}

fn set_passes(entry: &mut Queued, passes: Passes) {
    entry.passes = passes.passes.max(1);
    entry.least_passes = passes.least.max(1);
}

fn l1_sector<P>(cx: &Cx<P>) -> u32 {
    cx.spec.l1.sector_bytes
}

fn return_extra<P>(mem: &MemOp, cx: &Cx<P>) -> Local {
    Local::from(match mem.width_bytes {
        16 => cx.spec.lsu.return_extra_128,
        8 => cx.spec.lsu.return_extra_64,
        _ => 0,
    })
}
