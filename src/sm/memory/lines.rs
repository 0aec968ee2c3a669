//! The lines of a global access: L1, store credits, requests to L2.

use super::{Flight, NO_FLIGHT, Space, Stuck};
use crate::engine::Cycle;
use crate::isa::{CacheOp, MemKind, MemOp};
use crate::mem::cache::Victim;
use crate::mem::l1::{ReadResult, ReservationFail};
use crate::mem::{FlightId, Line, ReplyTo, Request, RequestKind};
use crate::probe::{L1Access, L1Evicted, Probe};
use crate::sm::cores::warp::{Local, PENDING, Queued};
use crate::sm::memory::coalesce::LineAccess;
use crate::sm::memory::miss_port::Stage;
use crate::sm::program::{Memory, Op};
use crate::sm::{Cx, Sm};

impl<S: Stage> Sm<S> {
    /// The flight of an access, made at its first miss. Counts one for the access itself, which
    /// [`Sm::finish_access`] takes back.
    pub(in crate::sm) fn flight_of(&mut self, entry: &mut Queued, mem: &MemOp) -> u32 {
        if entry.flight == NO_FLIGHT {
            let group = match mem.kind {
                MemKind::CpAsync => self.async_side.groups[usize::from(entry.warp)].join(),
                _ => u32::MAX,
            };
            entry.flight = self.memory.lsu.take_flight(Flight {
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

    #[inline(always)]
    pub(super) fn load_line<P: Probe>(
        &mut self,
        entry: &mut Queued,
        mem: &Memory,
        at: Local,
        cx: &mut Cx<P>,
    ) -> Result<(), (Stuck, Local)> {
        let line = entry.lines.as_slice()[usize::from(entry.next_line)];
        if S::COMPONENTS && cx.spec.l1.perfect {
            let found = self.memory.l1.read_perfect(line.sectors);
            self.observe_load(line, found, at, cx);
            return Ok(());
        }
        let miss_at = at + Local::from(cx.spec.l1.miss_latency);
        let coherent = matches!(mem.cache, CacheOp::Global | CacheOp::Volatile);
        if !cx.spec.l1.enabled || coherent && entry.space != Space::Local {
            return self.load_past_l1(entry, mem, line, miss_at);
        }
        if let Some(room) = self.memory.lsu.port.full_until(self.cycle(miss_at))
            && self.memory.l1.would_request(line.line, line.sectors)
        {
            self.memory.l1.stats.reservation_fails += 1;
            let until = match room {
                Cycle::MAX => PENDING,
                room => (room - self.cycle(miss_at - at)) as Local,
            };
            let now = self.epoch + u64::from(at);
            cx.probe
                .l1_refused(now, self.id, line.line, ReservationFail::MissQueue);
            return Err((Stuck::Reservation(ReservationFail::MissQueue), until));
        }
        let flight = self.flight_of(entry, mem);
        let result = match self.read_l1(line, FlightId::new(flight), mem.cache) {
            Ok(result) => result,
            Err(fail) => {
                self.memory.l1.stats.reservation_fails += 1;
                let now = self.epoch + u64::from(at);
                cx.probe.l1_refused(now, self.id, line.line, fail);
                return Err((Stuck::Reservation(fail), PENDING));
            }
        };
        self.observe_load(line, result, at, cx);
        if S::COMPONENTS && !result.present {
            let issued = self.cores.counters.warp_instructions;
            let locality = &mut self.cores.locality;
            locality.missed(entry.warp, line.line, at, issued);
        }
        if result.waits {
            self.memory.lsu.flights[flight as usize].left += 1;
        } else if self.memory.lsu.flights[flight as usize].left == 1 && entry.misses == 0 {
            // Nothing missed so far: a hit needs no flight.
            self.drop_unused_flight(entry, mem);
        }
        entry.misses += u8::from(result.waits);
        if !result.request.is_empty() {
            let sectors = result.request;
            self.send(Request {
                at: self.cycle(miss_at),
                cache: mem.cache,
                prefetch: mem.prefetch,
                ..Request::new(RequestKind::Read, line.line, sectors, ReplyTo::Fill)
            });
        }
        Ok(())
    }

    #[inline(always)]
    fn read_l1(
        &mut self,
        line: LineAccess,
        who: FlightId,
        op: CacheOp,
    ) -> Result<ReadResult, ReservationFail> {
        let prefetches = S::COMPONENTS && self.memory.prefetcher.learns();
        let l1 = &mut self.memory.l1;
        match prefetches {
            true => l1.read_beside_prefetches(line.line, line.sectors, who, op.into()),
            false => l1.read(line.line, line.sectors, who, op.into()),
        }
    }

    #[inline(always)]
    fn observe_load<P: Probe>(
        &self,
        line: LineAccess,
        found: ReadResult,
        at: Local,
        cx: &mut Cx<P>,
    ) {
        let access = L1Access {
            sm: self.id,
            line: line.line,
            sectors: line.sectors,
            found,
            cache: &self.memory.l1,
        };
        cx.probe.l1_accessed(self.epoch + u64::from(at), &access);
    }

    /// A load of `line` that L1 does not see, or does not keep.
    fn load_past_l1(
        &mut self,
        entry: &mut Queued,
        mem: &Memory,
        line: LineAccess,
        miss_at: Local,
    ) -> Result<(), (Stuck, Local)> {
        if self.memory.lsu.bypass_left == 0 {
            return Err((Stuck::Reservation(ReservationFail::MshrEntries), PENDING));
        }
        self.memory.lsu.bypass_left -= 1;
        let flight = self.flight_of(entry, mem);
        self.memory.lsu.flights[flight as usize].left += 1;
        self.memory.l1.stats.sector_reads += u64::from(line.sectors.count());
        self.memory.l1.stats.sector_misses += u64::from(line.sectors.count());
        let to = ReplyTo::Flight(FlightId::new(flight));
        self.send(Request {
            at: self.cycle(miss_at),
            cache: mem.cache,
            prefetch: mem.prefetch,
            ..Request::new(RequestKind::Read, line.line, line.sectors, to)
        });
        Ok(())
    }

    pub(in crate::sm) fn drop_unused_flight(&mut self, entry: &mut Queued, mem: &MemOp) {
        if mem.kind == MemKind::CpAsync {
            return;
        }
        self.memory.lsu.free_flights.push(entry.flight);
        entry.flight = NO_FLIGHT;
    }

    #[inline(always)]
    pub(super) fn store_line<P: Probe>(
        &mut self,
        entry: &mut Queued,
        mem: &MemOp,
        at: Local,
        cx: &mut Cx<P>,
    ) -> Result<(), (Stuck, Local)> {
        if self.memory.lsu.store_credits <= 0 {
            return Err((Stuck::StoreCredit, PENDING));
        }
        let line = entry.lines.as_slice()[usize::from(entry.next_line)];
        let miss_at = at + Local::from(cx.spec.l1.miss_latency);
        if entry.space == Space::Local && cx.spec.l1.enabled && self.memory.l1.keeps_local() {
            if S::COMPONENTS && cx.spec.l1.perfect {
                self.memory.l1.store_local_perfect(line.sectors);
                return Ok(());
            }
            let victim =
                self.memory
                    .l1
                    .store_local(line.line, line.sectors, line.full, mem.cache.into());
            self.brought_by(Some(entry.warp));
            self.evict(victim, line.line, miss_at, cx);
            return Ok(());
        }
        self.memory.lsu.store_credits -= 1;
        let cycles = self.atomic_cycles(entry, mem, cx);
        let kind = if mem.kind == MemKind::Reduction {
            self.memory.l1.atomic(line.line, line.sectors);
            RequestKind::Reduction
        } else {
            let victim = self
                .memory
                .l1
                .store(line.line, line.sectors, line.full, mem.cache.into());
            self.brought_by(Some(entry.warp));
            self.evict(victim, line.line, miss_at, cx);
            RequestKind::Write
        };
        self.cores.warps[usize::from(entry.warp)].stores += 1;
        self.send(Request {
            at: self.cycle(miss_at),
            full: line.full,
            atomic_cycles: cycles,
            cache: mem.cache,
            ..Request::new(kind, line.line, line.sectors, ReplyTo::Warp(entry.warp))
        });
        Ok(())
    }

    /// `victim` made room for line `by` in L1: its dirty sectors go to L2.
    #[inline]
    pub(super) fn evict<P: Probe>(
        &mut self,
        victim: Option<Victim>,
        by: Line,
        at: Local,
        cx: &mut Cx<P>,
    ) {
        let Some(victim) = victim else { return };
        let evicted = L1Evicted {
            line: victim.line,
            valid: victim.valid,
            by,
        };
        cx.probe.l1_evicted(self.cycle(at), &evicted);
        if victim.dirty.is_empty() {
            return;
        }
        self.memory.lsu.store_credits -= 1;
        let (line, sectors) = (victim.line, victim.dirty);
        self.send(Request {
            at: self.cycle(at),
            full: victim.dirty.without(victim.partial),
            ..Request::new(RequestKind::Write, line, sectors, ReplyTo::WriteBack)
        });
    }

    /// Cycles of the slice's atomic unit for the entry's next line.
    fn atomic_cycles<P>(&self, entry: &Queued, mem: &MemOp, cx: &Cx<P>) -> u8 {
        let l2 = &cx.spec.l2;
        let interval = if mem.cas {
            l2.cas_interval
        } else {
            l2.atomic_interval
        };
        entry.atomic_weight[usize::from(entry.next_line)].saturating_mul(interval.max(1))
    }

    pub(in crate::sm) fn atomic_line<P: Probe>(
        &mut self,
        entry: &mut Queued,
        op: &Op,
        at: Local,
        cx: &mut Cx<P>,
    ) {
        let mem = cx.programs[usize::from(entry.program)].program.mems[usize::from(op.mem)];
        let line = entry.lines.as_slice()[usize::from(entry.next_line)];
        self.memory.l1.atomic(line.line, line.sectors);
        let flight = self.flight_of(entry, &mem);
        self.memory.lsu.flights[flight as usize].left += 1;
        let cycles = self.atomic_cycles(entry, &mem, cx);
        let miss_at = at + Local::from(cx.spec.l1.miss_latency);
        let to = ReplyTo::Flight(FlightId::new(flight));
        self.send(Request {
            at: self.cycle(miss_at),
            atomic_cycles: cycles,
            cache: mem.cache,
            ..Request::new(RequestKind::Atomic, line.line, line.sectors, to)
        });
    }

    /// The cycle of the chip at local time `at`.
    #[inline(always)]
    pub(in crate::sm) fn cycle(&self, at: Local) -> Cycle {
        self.epoch + Cycle::from(at)
    }

    /// Hands `request` to the miss port at its `at`.
    #[inline]
    pub(in crate::sm) fn send(&mut self, request: Request) {
        self.memory
            .lsu
            .port
            .send(request, &mut self.memory.requests);
        self.plan_port();
    }

    /// Makes sure that the memory path is visited when a request that the miss port holds may go on.
    #[inline(always)]
    pub(super) fn plan_port(&mut self) {
        let wake = self.memory.lsu.port.wake();
        if wake != Cycle::MAX {
            self.memory.lsu.next = self.memory.lsu.next.min((wake - self.epoch) as Local);
        }
    }
}
