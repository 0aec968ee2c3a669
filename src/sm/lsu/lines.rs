//! The lines of a global access: L1, store credits, requests to L2.

use super::{BYPASS, Flight, NO_FLIGHT, Space, Stuck, WRITEBACK, l1_sector};
use crate::isa::{CacheOp, MemKind, MemOp};
use crate::mem::cache::Victim;
use crate::mem::l1::ReservationFail;
use crate::mem::space::sectors_of;
use crate::mem::{Request, RequestKind};
use crate::probe::Probe;
use crate::sm::program::Op;
use crate::sm::warp::{Local, PENDING, Queued};
use crate::sm::{Cx, Sm};

impl Sm {
    /// The flight of an access, made at its first miss. Counts one for the access itself, which
    /// [`Sm::finish_access`] takes back.
    pub(in crate::sm) fn flight_of(&mut self, entry: &mut Queued, mem: &MemOp) -> u32 {
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

    pub(super) fn load_line<P: Probe>(
        &mut self,
        entry: &mut Queued,
        mem: &MemOp,
        at: Local,
        cx: &mut Cx<P>,
    ) -> Result<(), (Stuck, Local)> {
        let line = entry.lines.as_slice()[usize::from(entry.next_line)];
        let miss_at = at + Local::from(cx.spec.l1.miss_latency);
        let coherent = matches!(mem.cache, CacheOp::Global | CacheOp::Volatile);
        if !cx.spec.l1.enabled || coherent && entry.space != Space::Local {
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
            let now = self.epoch + u64::from(at);
            cx.probe
                .l1_refused(now, self.id, line.line, ReservationFail::MissQueue);
            return Err((Stuck::Reservation(ReservationFail::MissQueue), until));
        }
        let flight = self.flight_of(entry, mem);
        let result = match self
            .l1
            .read(line.line, line.sectors, flight, mem.cache.into())
        {
            Ok(result) => result,
            Err(fail) => {
                self.l1.stats.reservation_fails += 1;
                let now = self.epoch + u64::from(at);
                cx.probe.l1_refused(now, self.id, line.line, fail);
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

    pub(in crate::sm) fn drop_unused_flight(&mut self, entry: &mut Queued, mem: &MemOp) {
        if mem.kind == MemKind::CpAsync {
            return;
        }
        self.lsu.free_flights.push(entry.flight);
        entry.flight = NO_FLIGHT;
    }

    pub(super) fn store_line<P: Probe>(
        &mut self,
        entry: &mut Queued,
        mem: &MemOp,
        at: Local,
        cx: &mut Cx<P>,
    ) -> Result<(), (Stuck, Local)> {
        if self.lsu.store_credits <= 0 {
            return Err((Stuck::StoreCredit, PENDING));
        }
        let line = entry.lines.as_slice()[usize::from(entry.next_line)];
        let miss_at = at + Local::from(cx.spec.l1.miss_latency);
        if entry.space == Space::Local && cx.spec.l1.enabled && self.l1.keeps_local() {
            let dirty = self
                .l1
                .store_local(line.line, line.sectors, line.full, mem.cache.into());
            self.write_back(dirty, miss_at, cx);
            return Ok(());
        }
        self.lsu.store_credits -= 1;
        let cycles = self.atomic_cycles(entry, mem, cx);
        let kind = if mem.kind == MemKind::Reduction {
            self.l1.atomic(line.line, line.sectors);
            RequestKind::Reduction
        } else {
            let dirty = self
                .l1
                .store(line.line, line.sectors, line.full, mem.cache.into());
            self.write_back(dirty, miss_at, cx);
            RequestKind::Write
        };
        self.warps[usize::from(entry.warp)].stores += 1;
        let tag = u32::from(entry.warp);
        self.send(
            kind,
            line.line,
            line.sectors,
            line.full,
            tag,
            cycles,
            miss_at,
            cx,
        );
        Ok(())
    }

    /// Sends the line that an allocation in L1 evicted, if it was dirty.
    #[inline]
    pub(super) fn write_back<P>(&mut self, dirty: Option<Victim>, at: Local, cx: &Cx<P>) {
        let Some(victim) = dirty else { return };
        self.lsu.store_credits -= 1;
        let full = victim.dirty & !victim.partial;
        self.send(
            RequestKind::Write,
            victim.line,
            victim.dirty,
            full,
            WRITEBACK,
            0,
            at,
            cx,
        );
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
        self.l1.atomic(line.line, line.sectors);
        let flight = self.flight_of(entry, &mem);
        self.lsu.flights[flight as usize].left += 1;
        let cycles = self.atomic_cycles(entry, &mem, cx);
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
    pub(in crate::sm) fn send<P>(
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
        self.requests.push(Request {
            at: self.epoch + u64::from(leave),
            line,
            tag,
            source: self.id.0,
            kind,
            sectors,
            full,
            atomic_cycles,
            slice: 0,
        });
    }

    /// Sends the lines that the instruction and constant caches missed.
    pub(in crate::sm) fn send_fetches<P>(&mut self, cx: &Cx<P>) {
        for (line, at) in std::mem::take(&mut self.inst.requests) {
            let (line, sectors) = sectors_of(line, cx.spec.fetch.line_bytes);
            self.fetch_stats.sector_requests += u64::from(sectors.count_ones());
            self.send(RequestKind::ReadInst, line, sectors, 0, 0, 0, at, cx);
        }
        for (line, at) in std::mem::take(&mut self.consts.requests) {
            let (line, sectors) = sectors_of(line, cx.spec.const_cache.line_bytes);
            self.fetch_stats.sector_requests += u64::from(sectors.count_ones());
            self.send(RequestKind::ReadInst, line, sectors, 0, 1, 0, at, cx);
        }
    }
}
