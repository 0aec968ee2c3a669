//! A memory shard: one DRAM channel and the L2 slices in front of it.
//!
//! Events happen in this order within a cycle: DRAM completions, DRAM queue entries, then requests in
//! their sorted order. Whatever leaves the shard arrives elsewhere in a later quantum.

use super::addr_map::AddrMap;
use super::dram::{
    Channel, ChannelSpec, Completion, DramStats, NoDramProbe, PagePolicy, Policy, RefreshMode,
    grade,
};
use super::l2::{Action, Slice};
use super::tlb::Outbox;
use super::{Line, Reply, ReplyTo, Request, RequestKind, SectorMask};
use crate::config::{GpuSpec, MemorySpec};
use crate::engine::{Calendar, ClockRatio, Cycle};
use crate::ids::{ChannelId, GpcId, SliceId};
use crate::probe::Probe;
use crate::stats::L2Stats;
use bincode::{Decode, Encode};
use ecc::InlineEcc;
use fixed::Fixed;
use std::collections::VecDeque;

mod ecc;
mod fetch;
mod fixed;
#[cfg(all(test, feature = "architecture-research"))]
mod tests;

/// A burst on its way to the channel.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Burst {
    /// DRAM cycle at which it may enter.
    at: u64,
    address: u64,
    tag: u32,
}

/// The bursts of one fetch of a slice; the line is filled when the last of them is there.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Pending {
    line: Line,
    slice: SliceId,
    sectors: SectorMask,
    left: u8,
}

/// Data of a burst on its way to the slice.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Later {
    at: Cycle,
    tag: u32,
}

/// What a shard is handed for a quantum.
pub struct ShardCx<'a, P> {
    /// GPC of each SM.
    pub gpc_of: &'a [GpcId],
    /// Observer.
    pub probe: &'a mut P,
}

/// One channel with its slices.
pub struct MemShard {
    first_slice: u16,
    slices: Vec<Slice>,
    map: AddrMap,
    channel: Channel,
    ratio: ClockRatio,
    reads: VecDeque<Burst>,
    writes: VecDeque<Burst>,
    pending: Vec<Pending>,
    free_pending: Vec<u32>,
    done: Vec<Completion>,
    fixed: Option<Fixed>,
    later: VecDeque<Later>,
    fixed_bursts: (u64, u64),
    ecc: Option<InlineEcc>,
    /// Bursts of check bits, read and written.
    ecc_bursts: (u64, u64),
    controller_latency: Cycle,
    far_one_way: Cycle,
    replicate: bool,
    inbox: Calendar<Request>,
    batch: Vec<Request>,
    actions: Vec<Action>,
    stalled: bool,
    write_backlog: usize,
    /// Replies of this quantum by GPC, in no particular order.
    pub replies: Vec<Vec<Reply>>,
    /// Messages to other shards, in no particular order.
    pub forwards: Vec<Request>,
    /// Entries of the page table for walkers, in no particular order.
    pub walks: Outbox<Reply>,
}

crate::engine::state! {
    MemShard {
        units: [slices, channel],
        values: [reads, writes, pending, free_pending, later, fixed_bursts, ecc_bursts, inbox, stalled, replies, forwards],
        left: [first_slice, map, ratio, fixed, ecc, controller_latency, far_one_way, replicate, batch, actions, write_backlog, done, walks],
    }
}

/// The channel that the GPU config describes: total, since the config's own rules guard what
/// [`ChannelSpec::check`] asks for.
pub fn channel_spec(spec: &MemorySpec) -> ChannelSpec {
    let tck_ps = (1_000_000_000u64 / u64::from(spec.clock_khz)) as u32;
    ChannelSpec {
        read_queue: u32::from(spec.read_queue),
        write_queue: u32::from(spec.write_queue),
        write_high: u32::from(spec.write_high),
        write_low: u32::from(spec.write_low),
        write_idle: u32::from(spec.write_idle),
        policy: Policy::new(spec.scheduler, u32::from(spec.row_hit_cap)),
        page: PagePolicy::new(spec.page, u32::from(spec.page_timeout)),
        map: spec.map,
        refresh: RefreshMode::new(spec.refresh, u32::from(spec.refresh_postpone)),
        standard: grade(spec.standard).at_clock(tck_ps),
    }
}

impl MemShard {
    /// Shard `id` of `spec`. The channel's config must have been checked.
    pub fn new(id: ChannelId, spec: &GpuSpec, map: &AddrMap, gpcs: usize, quantum: Cycle) -> Self {
        let per_channel = spec.l2.slices / spec.dram.channels;
        MemShard {
            first_slice: id.0 * per_channel,
            slices: (0..per_channel)
                .map(|_| Slice::new(&spec.l2, &spec.noc))
                .collect(),
            map: map.clone(),
            channel: Channel::new(&channel_spec(&spec.dram)),
            ratio: ClockRatio::new(spec.dram.clock_khz, spec.core_clock_khz),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            pending: Vec::new(),
            free_pending: Vec::new(),
            done: Vec::new(),
            fixed: Fixed::new(&spec.dram),
            later: VecDeque::new(),
            fixed_bursts: (0, 0),
            ecc: InlineEcc::new(&spec.dram),
            ecc_bursts: (0, 0),
            controller_latency: Cycle::from(spec.dram.controller_latency),
            far_one_way: Cycle::from(spec.noc.far_extra) / 2,
            replicate: spec.l2.two_copies(),
            inbox: Calendar::new(quantum),
            batch: Vec::new(),
            actions: Vec::new(),
            stalled: false,
            write_backlog: usize::from(spec.dram.write_backlog),
            replies: vec![Vec::new(); gpcs],
            forwards: Vec::new(),
            walks: Outbox::default(),
        }
    }

    /// The clock of DRAM by that of the core.
    pub fn dram_clock(&self) -> ClockRatio {
        self.ratio
    }

    /// From now on DRAM's edges are those of `clock`.
    pub fn set_dram_clock(&mut self, clock: ClockRatio) {
        self.ratio = clock;
    }

    /// Delivers a request; it arrives in a later quantum.
    pub fn deliver(&mut self, request: Request) {
        self.inbox.push(request);
    }

    /// Puts sectors of a host copy into the slice that has the line.
    pub fn preload(&mut self, slice: SliceId, line: Line, sectors: SectorMask) {
        let local = self.local(slice);
        self.slices[local].preload(line, sectors);
    }

    /// An access without time; see [`Slice::touch`](crate::mem::l2::Slice::touch).
    pub fn touch(
        &mut self,
        slice: SliceId,
        line: Line,
        sectors: (SectorMask, SectorMask),
        write: bool,
    ) {
        let local = self.local(slice);
        let (touched, full) = sectors;
        self.slices[local].touch(line, touched, full, write);
    }

    /// Nothing in flight, nothing waiting.
    pub fn idle(&self) -> bool {
        self.inbox.is_empty()
            && self.reads.is_empty()
            && self.writes.is_empty()
            && self.later.is_empty()
            && self.channel.is_idle()
            && self
                .slices
                .iter()
                .all(|s| s.in_flight() == 0 && s.nobody_waits())
    }

    /// Only write-backs are left.
    pub fn quiet(&self) -> bool {
        self.inbox.is_empty()
            && self
                .slices
                .iter()
                .all(|s| s.in_flight() == 0 && s.nobody_waits())
    }

    /// Runs quantum number `index`.
    #[inline(always)]
    pub fn run<P: Probe>(&mut self, index: u64, quantum: Cycle, cx: &mut ShardCx<P>) {
        self.replies.iter_mut().for_each(Vec::clear);
        self.forwards.clear();
        self.walks.clear();
        if self.idle() {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        self.inbox.take(index, &mut batch);
        self.warm(&batch);
        for request in &batch {
            self.pump(request.at, cx);
            self.request(*request, cx);
        }
        self.batch = batch;
        self.pump((index + 1) * quantum - 1, cx);
    }

    /// Touches the host's memory for the lines of this quantum: there are too many shards for its caches.
    fn warm(&self, batch: &[Request]) {
        let slice = |id: SliceId| &self.slices[self.local(id)];
        for request in batch {
            slice(request.slice).warm(request.line);
        }
        for tag in self.channel.returning() {
            let fetch = &self.pending[tag as usize];
            slice(fetch.slice).warm(fetch.line);
        }
    }

    #[inline(always)]
    fn request<P: Probe>(&mut self, request: Request, cx: &mut ShardCx<P>) {
        let local = self.local(request.slice);
        if request.kind.is_news() {
            self.serve(&request, request.at, cx);
            self.retry(request.at, cx);
            return;
        }
        if self.stalled
            || self.slices[local].must_wait(request.kind)
            || !self.serve(&request, request.at, cx)
        {
            cx.probe.l2_waits(request.at, &request);
            self.slices[local].queue(request, request.at);
        }
    }

    /// The place of `slice` among the slices of this shard.
    #[inline(always)]
    fn local(&self, slice: SliceId) -> usize {
        usize::from(slice.0 - self.first_slice)
    }

    #[inline(always)]
    fn is_home(&self, slice: SliceId, line: Line) -> bool {
        !self.replicate || self.map.home(line) == slice
    }

    /// Lets the slice serve `request` at `now`; false when it must wait.
    #[inline(always)]
    fn serve<P: Probe>(&mut self, request: &Request, now: Cycle, cx: &mut ShardCx<P>) -> bool {
        let home = self.is_home(request.slice, request.line);
        let mut actions = std::mem::take(&mut self.actions);
        let local = self.local(request.slice);
        let served = self.slices[local].serve(request, now, home, &mut actions);
        self.act(request.slice, home, &mut actions, cx);
        self.actions = actions;
        if let Some(hit) = served
            && !request.kind.is_news()
        {
            cx.probe.l2_accessed(now, request, hit);
        }
        served.is_some()
    }

    /// Carries out what a slice decided.
    fn act<P: Probe>(
        &mut self,
        slice: SliceId,
        home: bool,
        actions: &mut Vec<Action>,
        cx: &mut ShardCx<P>,
    ) {
        for action in actions.drain(..) {
            match action {
                Action::Reply {
                    at,
                    kind,
                    sm,
                    to,
                    line,
                    sectors,
                } => self.reply(
                    Reply {
                        at,
                        line,
                        to,
                        sm,
                        slice,
                        kind,
                        sectors,
                    },
                    cx.gpc_of,
                ),
                Action::Fetch {
                    at, line, sectors, ..
                } if home => {
                    let tag = self.read_bursts(slice, at, line, sectors);
                    cx.probe.dram_asked(at, slice, line, sectors, tag);
                }
                Action::Fetch {
                    at,
                    line,
                    sectors,
                    cache,
                    prefetch,
                } => {
                    let from = ReplyTo::Slice(slice);
                    let forward = Request {
                        at,
                        slice: self.map.home(line),
                        cache,
                        prefetch,
                        ..Request::new(RequestKind::Forward, line, sectors, from)
                    };
                    self.forward(forward);
                }
                Action::WriteBack { at, line, sectors } if self.is_home(slice, line) => {
                    cx.probe.dram_written(at, line, sectors);
                    self.write_bursts(slice, at, line, sectors);
                }
                Action::WriteBack { .. } => {}
                Action::Invalidate { at, line } => {
                    let other = 1 - self.map.partition(slice);
                    let from = ReplyTo::Slice(slice);
                    let invalidate = Request {
                        at,
                        slice: self.map.mirror(slice, other),
                        ..Request::new(RequestKind::Invalidate, line, SectorMask::NONE, from)
                    };
                    self.forward(invalidate);
                }
            }
        }
    }

    /// Sends a reply of a slice, to an SM or to the slice of the other partition that forwarded the read.
    fn reply(&mut self, reply: Reply, gpc_of: &[GpcId]) {
        #[allow(unreachable_patterns, reason = "some builds have no translation")]
        if matches!(reply.to, ReplyTo::Slice(_) | ReplyTo::Walk(..)) {
            return self.reply_to_unit(reply);
        }
        let gpc = gpc_of[reply.sm.index()];
        self.replies[gpc.index()].push(reply);
    }

    /// As [`MemShard::reply`], to what is no SM.
    #[inline(never)]
    fn reply_to_unit(&mut self, reply: Reply) {
        if let ReplyTo::Slice(to) = reply.to {
            let from = ReplyTo::Slice(reply.slice);
            let data = Request {
                at: reply.at,
                slice: to,
                ..Request::new(RequestKind::ForwardReply, reply.line, reply.sectors, from)
            };
            return self.forward(data);
        }
        if let Some((compiled, _)) = reply.to.walker() {
            self.walks.push(compiled, reply);
        }
    }

    /// Sends `message`, which leaves its slice at its `at`, to one in the other partition.
    fn forward(&mut self, message: Request) {
        self.forwards.push(Request {
            at: message.at + self.far_one_way,
            ..message
        });
    }

    /// Counters of each slice.
    pub fn l2_stats(&self) -> impl Iterator<Item = &L2Stats> {
        self.slices.iter().map(|s| &s.stats)
    }

    /// The channel's counters up to core cycle `now`.
    pub fn dram_stats(&mut self, now: Cycle) -> DramStats {
        let waiting = self.writes.len() as u64;
        let (ecc_reads, ecc_writes) = self.ecc_bursts;
        if self.fixed.is_some() {
            let (reads, writes) = self.fixed_bursts;
            return DramStats {
                reads,
                writes,
                ecc_reads,
                ecc_writes,
                queued_writes_at_end: waiting,
                ..DramStats::default()
            };
        }
        if self.channel.is_idle() {
            let cycle = self.dram_cycle(now);
            self.channel
                .advance(cycle, &mut self.done, &mut NoDramProbe);
        }
        let mut stats = self.channel.stats();
        stats.queued_writes_at_end += waiting;
        (stats.ecc_reads, stats.ecc_writes) = (ecc_reads, ecc_writes);
        stats
    }

    /// For the wait-for graph.
    pub fn describe(&self, out: &mut Vec<String>) {
        for (local, slice) in self.slices.iter().enumerate() {
            if slice.in_flight() > 0 || !slice.nobody_waits() {
                out.push(format!(
                    "L2 slice {}: {} lines in flight, {} requests wait for an MSHR",
                    usize::from(self.first_slice) + local,
                    slice.in_flight(),
                    slice.waiting()
                ));
            }
        }
        if !self.reads.is_empty() || !self.writes.is_empty() {
            out.push(format!(
                "DRAM channel of slice {}: {} reads and {} writes wait to enter its queues",
                self.first_slice,
                self.reads.len(),
                self.writes.len()
            ));
        }
    }
}
