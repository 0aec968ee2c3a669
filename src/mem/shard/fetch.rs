//! The way between the slices and the DRAM channel: bursts of fetches and write-backs, and the fills that
//! their data make.

use super::{Burst, Later, MemShard, Pending, ShardCx};
use crate::engine::Cycle;
use crate::ids::SliceId;
use crate::mem::dram::Kind;
use crate::mem::{Line, SECTOR_BYTES, SectorMask};
use crate::probe::Probe;
use std::collections::VecDeque;

impl MemShard {
    /// Where `line` lies in the channel, and the burst of its check bits where they lie among the data.
    #[inline(always)]
    fn place(&self, line: Line, slice: SliceId) -> (u64, Option<u64>) {
        let local = self.map.local(line, slice);
        match self.ecc {
            None => (local, None),
            Some(ecc) => {
                let (data, check) = ecc.place(local);
                (data, Some(check))
            }
        }
    }

    /// Sends for `sectors` of a line; the tag of their bursts.
    pub(super) fn read_bursts(
        &mut self,
        slice: SliceId,
        at: Cycle,
        line: Line,
        sectors: SectorMask,
    ) -> u32 {
        let (base, check) = self.place(line, slice);
        let at = self.ratio.to_other(at + self.controller_latency / 2);
        let left = sectors.count() as u8 + u8::from(check.is_some());
        let pending = Pending {
            line,
            slice,
            sectors,
            left,
        };
        let tag = match self.free_pending.pop() {
            Some(tag) => {
                self.pending[tag as usize] = pending;
                tag
            }
            None => {
                self.pending.push(pending);
                self.pending.len() as u32 - 1
            }
        };
        for sector in sectors.sectors() {
            self.reads.push_back(Burst {
                at,
                address: base + u64::from(sector) * SECTOR_BYTES,
                tag,
            });
        }
        if let Some(address) = check {
            self.ecc_bursts.0 += 1;
            self.reads.push_back(Burst { at, address, tag });
        }
        tag
    }

    /// Sends `sectors` of an evicted line towards the channel, no earlier than `at`.
    pub(super) fn write_bursts(
        &mut self,
        slice: SliceId,
        at: Cycle,
        line: Line,
        sectors: SectorMask,
    ) {
        let (base, check) = self.place(line, slice);
        let at = self.ratio.to_other(at);
        let tag = u32::MAX;
        for sector in sectors.sectors() {
            let address = base + u64::from(sector) * SECTOR_BYTES;
            self.writes.push_back(Burst { at, address, tag });
        }
        if let Some(address) = check {
            self.ecc_bursts.1 += 1;
            self.writes.push_back(Burst { at, address, tag });
        }
        self.stalled = self.writes.len() > self.write_backlog;
    }

    /// The last DRAM cycle that is over by core cycle `core`.
    pub(super) fn dram_cycle(&self, core: Cycle) -> u64 {
        let edge = self.ratio.to_other(core);
        if self.ratio.to_core(edge) > core {
            edge - 1
        } else {
            edge
        }
    }

    /// Brings the channel, and what it completes, to the end of core cycle `until`.
    pub(super) fn pump<P: Probe>(&mut self, until: Cycle, cx: &mut ShardCx<P>) {
        if let Some(fixed) = self.fixed {
            return self.pump_fixed(until, fixed, cx);
        }
        let limit = self.dram_cycle(until);
        loop {
            let read = self.entry_at(&self.reads, Kind::Read);
            let write = self.entry_at(&self.writes, Kind::Write);
            let target = read.min(write).min(self.channel.next_event());
            if let Some(at) = self.fill_before(target, until) {
                self.fill(at, cx);
                continue;
            }
            if target > limit {
                break;
            }
            self.channel.advance(target, &mut self.done, cx.probe);
            if !self.done.is_empty() {
                self.complete(cx);
            }
            self.enter(target);
        }
    }

    /// When the next fill is due, if that is by core cycle `until` and before DRAM cycle `target`.
    pub(super) fn fill_before(&self, target: u64, until: Cycle) -> Option<Cycle> {
        let at = self.later.front()?.at;
        (at <= until && self.ratio.to_other(at) <= target).then_some(at)
    }

    /// The fill that is due at `at` reaches its slice, and who waited for its MSHR goes on.
    pub(super) fn fill<P: Probe>(&mut self, at: Cycle, cx: &mut ShardCx<P>) {
        if let Some(due) = self.later.pop_front() {
            self.filled(due.tag, at, cx);
            self.retry(at, cx);
        }
    }

    /// The cycle at which the head of a queue could enter the channel.
    fn entry_at(&self, queue: &VecDeque<Burst>, kind: Kind) -> u64 {
        match queue.front() {
            Some(burst) if self.channel.can_accept(kind) => burst.at,
            _ => u64::MAX,
        }
    }

    /// Moves what is due at DRAM cycle `now` into the channel's queues.
    fn enter(&mut self, now: u64) {
        while self.entry_at(&self.reads, Kind::Read) <= now {
            let Some(burst) = self.reads.pop_front() else {
                break;
            };
            self.channel
                .accept(now, burst.address, Kind::Read, burst.tag);
        }
        while self.entry_at(&self.writes, Kind::Write) <= now {
            let Some(burst) = self.writes.pop_front() else {
                break;
            };
            self.channel
                .accept(now, burst.address, Kind::Write, burst.tag);
        }
    }

    fn complete<P: Probe>(&mut self, cx: &mut ShardCx<P>) {
        let back = self.controller_latency - self.controller_latency / 2;
        let mut last = 0;
        for completion in self.done.drain(..) {
            last = self.ratio.to_core(completion.at);
            if completion.kind == Kind::Read {
                self.later.push_back(Later {
                    at: last + back,
                    tag: completion.tag,
                });
            }
        }
        let stalled = self.stalled;
        self.stalled = self.writes.len() > self.write_backlog;
        if stalled {
            self.retry(last, cx);
        }
    }

    fn filled<P: Probe>(&mut self, tag: u32, at: Cycle, cx: &mut ShardCx<P>) {
        let fetch = &mut self.pending[tag as usize];
        fetch.left -= 1;
        if fetch.left > 0 {
            return;
        }
        let fetch = *fetch;
        self.free_pending.push(tag);
        let mut actions = std::mem::take(&mut self.actions);
        let local = self.local(fetch.slice);
        self.slices[local].arrived(fetch.line, fetch.sectors, at, true, &mut actions);
        cx.probe
            .l2_filled(at, fetch.slice, fetch.line, fetch.sectors);
        self.act(fetch.slice, true, &mut actions, cx);
        self.actions = actions;
    }

    /// Serves requests that waited for an MSHR, as far as there are any now.
    pub(super) fn retry<P: Probe>(&mut self, now: Cycle, cx: &mut ShardCx<P>) {
        for local in 0..self.slices.len() {
            if self.slices[local].nobody_waits() {
                continue;
            }
            for which in 0..2 {
                while let Some(request) = self.slices[local].head(which) {
                    if self.stalled || !self.serve(&request, now, cx) {
                        break;
                    }
                    self.slices[local].unqueue(which, now);
                }
            }
        }
    }
}
