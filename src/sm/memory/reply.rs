//! Replies from L2, and what they complete.

use super::Flight;
use crate::engine::Cycle;
use crate::mem::space::line_of;
use crate::mem::{CodeCache, FlightId, Line, Reply, ReplyTo, RequestKind};
use crate::probe::Probe;
use crate::sm::cores::warp::{Hold, Local, PENDING, raw};
use crate::sm::memory::miss_port::Stage;
use crate::sm::program::{Op, flag};
use crate::sm::{Cx, SUB_CORES, Sm};

impl<S: Stage> Sm<S> {
    /// A reply arrives.
    pub(in crate::sm) fn reply<P: Probe>(&mut self, reply: Reply, now: Local, cx: &mut Cx<P>) {
        let ready = now + Local::from(cx.spec.l1.fill_latency);
        self.last_reply = reply.at;
        match reply.to {
            ReplyTo::Fill => self.fill(&reply, ready, now, cx),
            ReplyTo::Flight(id) => {
                self.memory.lsu.bypass_left += u16::from(reply.kind == RequestKind::Read);
                self.one_landed(id.number(), ready, now, cx);
            }
            ReplyTo::Fetch(cache) => self.code_arrived(cache, &reply, now, cx),
            ReplyTo::WriteBack => self.memory.lsu.store_credits += 1,
            ReplyTo::Warp(slot) => {
                self.memory.lsu.store_credits += 1;
                let slot = usize::from(slot);
                self.cores.warps[slot].stores -= 1;
                if self.cores.warps[slot].hold == Hold::Membar {
                    self.check_hold(slot, now, cx);
                }
            }
            #[allow(unreachable_patterns, reason = "some builds have no translation")]
            ReplyTo::Translation(_) => {
                let (path, at) = (&mut self.memory, self.epoch + Cycle::from(now));
                path.lsu.port.answer(reply.line, at, &mut path.requests);
            }
            to => unreachable!("a reply for {to:?} came to an SM"),
        }
        self.memory.lsu.may_go_on(now);
        if self.memory.lsu.stuck.is_some()
            || self.memory.lsu.waits_aside()
            || self.memory.lsu.port.holds()
        {
            self.memory.lsu.next = self.memory.lsu.next.min(now);
        }
    }

    pub(in crate::sm) fn fill<P: Probe>(
        &mut self,
        reply: &Reply,
        ready: Local,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let mut landed = std::mem::take(&mut self.memory.lsu.free_flights);
        let keep = landed.len();
        let filler = self.filler(reply.line);
        let flights = &mut self.memory.lsu.flights;
        let each = |id: FlightId| {
            if S::COMPONENTS && id == FlightId::NOBODY {
                return;
            }
            let id = id.number();
            let flight = &mut flights[id as usize];
            flight.done = flight.done.max(ready);
            flight.left -= 1;
            if flight.left == 0 {
                landed.push(id);
            }
        };
        let prefetches = S::COMPONENTS && self.memory.prefetcher.learns();
        let l1 = &mut self.memory.l1;
        let victim = match prefetches {
            true => l1.fill_beside_prefetches(reply.line, reply.sectors, each),
            false => l1.fill(reply.line, reply.sectors, each),
        };
        self.brought_by(filler);
        let at = self.epoch + u64::from(now);
        let mshrs = self.memory.l1.in_flight();
        cx.probe
            .l1_filled(at, self.id, reply.line, reply.sectors, mshrs);
        self.evict(victim, reply.line, now, cx);
        // The numbers of the completed flights are already in the free list. Each flight is read here before
        // another instruction can take its number.
        let count = landed.len();
        self.memory.lsu.free_flights = landed;
        for at in keep..count {
            let flight = self.memory.lsu.flights[self.memory.lsu.free_flights[at] as usize];
            self.landed(flight, now, cx);
        }
    }

    /// The warp whose access brings `line`, where the scheduler is to know.
    #[inline(always)]
    fn filler(&self, line: Line) -> Option<u8> {
        if !S::COMPONENTS || !self.cores.locality.listens() {
            return None;
        }
        let first = self.memory.l1.filler(line);
        let flight = first.filter(|id| *id != FlightId::NOBODY)?;
        Some(self.memory.lsu.flights[flight.number() as usize].warp)
    }

    /// What has just come into L1 was brought by `warp`, if by any.
    #[inline(always)]
    pub(super) fn brought_by(&mut self, warp: Option<u8>) {
        if S::COMPONENTS {
            self.cores.locality.inserted(&mut self.memory.l1, warp);
        }
    }

    pub(in crate::sm) fn one_landed<P: Probe>(
        &mut self,
        id: u32,
        ready: Local,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let flight = &mut self.memory.lsu.flights[id as usize];
        flight.done = flight.done.max(ready);
        flight.left -= 1;
        if flight.left == 0 {
            self.land(id, now, cx);
        }
    }

    pub(in crate::sm) fn land<P: Probe>(&mut self, id: u32, now: Local, cx: &mut Cx<P>) {
        self.memory.lsu.free_flights.push(id);
        self.landed(self.memory.lsu.flights[id as usize], now, cx);
    }

    pub(in crate::sm) fn landed<P: Probe>(&mut self, flight: Flight, now: Local, cx: &mut Cx<P>) {
        let program = &cx.programs[usize::from(flight.program)].program;
        let op = program.ops[flight.op as usize];
        let slot = usize::from(flight.warp);
        self.cores.subs[slot % SUB_CORES]
            .scheduler
            .served((slot / SUB_CORES) as u8);
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
    pub(in crate::sm) fn complete<P: Probe>(
        &mut self,
        slot: usize,
        op: &Op,
        done: Local,
        now: Local,
        group: u32,
        cx: &mut Cx<P>,
    ) {
        let value = raw(done, op.source);
        let warp = &mut self.cores.warps[slot];
        warp.pending -= 1;
        warp.memory_done = warp.memory_done.max(done);
        if group != u32::MAX {
            self.async_side.groups[slot].complete(group, done);
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

    pub(in crate::sm) fn code_arrived<P: Probe>(
        &mut self,
        cache: CodeCache,
        reply: &Reply,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let constant = cache == CodeCache::Const;
        let line_bytes = match constant {
            true => cx.spec.const_cache.line_bytes,
            false => cx.spec.fetch.line_bytes,
        };
        let line = line_of(reply.line, reply.sectors, line_bytes);
        let ready = if constant {
            self.front.consts.arrived(line, now)
        } else {
            self.front.inst.arrived(line, now)
        };
        for slot in 0..self.cores.warps.len() {
            let warp = &self.cores.warps[slot];
            if self.cores.used >> slot & 1 == 0 || warp.hold == Hold::Drain {
                continue;
            }
            let launched = &cx.programs[usize::from(warp.program)];
            let Some(op) = launched.program.ops.get(warp.op as usize) else {
                continue;
            };
            let warp = &mut self.cores.warps[slot];
            let waits = if constant {
                warp.constant_at == PENDING
                    && op.flags & flag::CONSTANT != 0
                    && launched.const_line + u64::from(op.const_line) == line
            } else {
                warp.fetched_at == PENDING && launched.code_line + u64::from(op.line) == line
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
