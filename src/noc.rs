//! The hierarchical crossbar: GPC ports and the non-uniform latency between SMs and slices.
//!
//! An SM's own port is reserved by the SM. Here, once a quantum and GPC by GPC, the messages of a
//! GPC's SMs and those for them are put in order and through the GPC's ports. Every message leaves a
//! port no earlier than it came and needs at least a quantum from end to end. Where the chip has a
//! request coalescer, it lies between a GPC's ports: requests that join another have passed the GPC's
//! port, and the one reply is copied behind it, in front of the ports that a few SMs share (CPCs).
//!
//! With `noc.topology` = "ideal" ports have no width, and only latencies are left; a [`mesh`] takes the place of all ports
//! but those of SMs and slices.

mod coalescer;
pub mod mesh;
#[cfg(test)]
mod tests;

use crate::config::{GpuSpec, NocSpec};
use crate::engine::{Cycle, Port, put_in_order};
use crate::ids::{GpcId, SliceId, SmId};
use crate::mem::addr_map::AddrMap;
use crate::mem::{Line, Reply, Request, RequestKind, SectorMask, noc_port};
use crate::probe::Probe;
use crate::stats::NocStats;
use coalescer::Coalescer;

/// Latencies, the same for the whole run.
#[derive(Clone, Debug)]
pub struct Topology {
    /// GPC of each SM.
    pub gpc_of: Vec<GpcId>,
    /// SMs of each GPC.
    pub sms_of: Vec<Vec<SmId>>,
    /// Home slices.
    pub map: AddrMap,
    partitions: u8,
    replicate: bool,
    request: Cycle,
    reply: Cycle,
    gpc_offset: Vec<Cycle>,
    slice_offset: Vec<Cycle>,
    far: Cycle,
    header_bytes: u64,
    sector_bytes: u64,
}

impl Topology {
    /// The crossbar of `spec`.
    pub fn new(spec: &GpuSpec) -> Self {
        let gpcs = spec.gpcs;
        let gpc_of = (0..spec.sms).map(|sm| GpcId(sm % gpcs)).collect();
        let sms_of = (0..gpcs)
            .map(|g| (g..spec.sms).step_by(gpcs.into()).map(SmId).collect())
            .collect();
        let NocSpec {
            gpc_offsets,
            slice_spread,
            ..
        } = &spec.noc;
        let slices = u64::from(spec.l2.slices);
        let per = slices / u64::from(spec.l2.partitions);
        Topology {
            gpc_of,
            sms_of,
            map: AddrMap::new(&spec.l2, spec.dram.channels),
            partitions: spec.l2.partitions,
            replicate: spec.l2.replicate_far,
            request: Cycle::from(spec.noc.request_latency),
            reply: Cycle::from(spec.noc.reply_latency),
            gpc_offset: (0..usize::from(gpcs))
                .map(|g| Cycle::from(gpc_offsets[g % gpc_offsets.len()]))
                .collect(),
            slice_offset: (0..slices)
                .map(|s| Cycle::from(*slice_spread) * (s % per) / (per - 1).max(1))
                .collect(),
            far: Cycle::from(spec.noc.far_extra),
            header_bytes: u64::from(spec.noc.header_bytes),
            sector_bytes: u64::from(spec.l2.sector_bytes),
        }
    }

    /// The partition to which GPC `gpc` is near.
    fn partition_of(&self, gpc: GpcId) -> u8 {
        (gpc.0 % u16::from(self.partitions)) as u8
    }

    /// Cycles beyond the base latency, round trip.
    fn offset(&self, gpc: GpcId, slice: SliceId) -> Cycle {
        let near = self.map.partition(slice) == self.partition_of(gpc);
        let far = if near { 0 } else { self.far };
        self.gpc_offset[gpc.index()] + self.slice_offset[slice.index()] + far
    }

    /// Bytes of a message with `sectors` of data.
    fn bytes(&self, sectors: SectorMask) -> u64 {
        self.header_bytes + u64::from(sectors.count()) * self.sector_bytes
    }

    /// The slices that may hold `line`: its home, and with `all` its copies in other partitions.
    pub fn copies(&self, line: Line, all: bool) -> impl Iterator<Item = SliceId> {
        let home = self.map.home(line);
        let copies = if all && self.replicate {
            self.partitions
        } else {
            1
        };
        let first = self.map.partition(home);
        let partitions = self.partitions;
        let map = &self.map;
        (0..copies).map(move |k| map.mirror(home, (first + k) % partitions))
    }

    /// The home of `line`, and the slice that a read of SM `sm` looks it up in first.
    pub fn places(&self, sm: usize, line: Line) -> (SliceId, SliceId) {
        let home = self.map.home(line);
        let near = match self.partitions > 1 && self.replicate {
            true => self.map.mirror(home, self.partition_of(self.gpc_of[sm])),
            false => home,
        };
        (home, near)
    }

    /// The slice that a request of GPC `gpc` goes to first: reads look up the copy in their own
    /// partition where the chip keeps one.
    #[inline(always)]
    fn destination(&self, gpc: GpcId, request: &Request) -> SliceId {
        let home = self.map.home(request.line);
        let read = matches!(request.kind, RequestKind::Read | RequestKind::ReadInst);
        if self.partitions > 1 && self.replicate && read {
            return self.map.mirror(home, self.partition_of(gpc));
        }
        home
    }
}

/// One GPC's ports and the messages that went through them in the last quantum.
#[derive(Clone, Debug)]
pub struct GpcPorts {
    gpc: GpcId,
    request_port: Port,
    reply_port: Port,
    /// Empty where SMs do not share ports behind the GPC's.
    cpc_ports: Vec<Port>,
    cpc_sms: usize,
    sm_ports: Vec<Port>,
    coalescer: Option<Coalescer>,
    merged: Vec<Request>,
    /// Scratch: places of the messages in order, instead of moving them while sorting.
    order: Vec<u64>,
    returning: Vec<Reply>,
    /// Requests by memory shard, sorted by time.
    pub to_shards: Vec<Vec<Request>>,
    /// Replies by position of the SM in the GPC.
    pub to_sms: Vec<Vec<Reply>>,
    /// Counters.
    pub stats: NocStats,
}

crate::engine::state! {
    GpcPorts {
        units: [],
        values: [request_port, reply_port, cpc_ports, sm_ports, coalescer, merged, returning, to_shards, to_sms, stats],
        left: [gpc, cpc_sms, order],
    }
}

impl GpcPorts {
    /// The ports of GPC `gpc`.
    pub fn new(gpc: GpcId, spec: &GpuSpec, topology: &Topology) -> Self {
        let sms = topology.sms_of[gpc.index()].len();
        let port = |width| noc_port(&spec.noc, width);
        let cpc_sms = usize::from(spec.noc.cpc_sms);
        let cpcs = if cpc_sms > 0 {
            sms.div_ceil(cpc_sms)
        } else {
            0
        };
        GpcPorts {
            gpc,
            request_port: port(spec.noc.gpc_request_bytes_per_cycle),
            reply_port: port(spec.noc.gpc_reply_bytes_per_cycle),
            cpc_ports: vec![port(spec.noc.cpc_reply_bytes_per_cycle); cpcs],
            cpc_sms,
            sm_ports: vec![port(spec.noc.sm_reply_bytes_per_cycle); sms],
            coalescer: Coalescer::new(&spec.noc),
            merged: Vec::new(),
            order: Vec::new(),
            returning: Vec::new(),
            to_shards: vec![Vec::new(); usize::from(spec.dram.channels)],
            to_sms: vec![Vec::new(); sms],
            stats: NocStats::default(),
        }
    }

    /// Forgets the messages of the quantum before.
    pub fn begin(&mut self) {
        self.to_shards.iter_mut().for_each(Vec::clear);
        self.to_sms.iter_mut().for_each(Vec::clear);
    }

    /// Adds the requests of one of the GPC's SMs.
    pub fn collect(&mut self, requests: &[Request]) {
        self.merged.extend_from_slice(requests);
    }

    /// Adds replies for SMs of this GPC.
    pub fn collect_replies(&mut self, replies: &[Reply]) {
        self.returning.extend_from_slice(replies);
    }

    /// Sends everything collected through the ports.
    #[inline(always)]
    pub fn route<P: Probe>(&mut self, topology: &Topology, probe: &mut P) {
        let mut merged = std::mem::take(&mut self.merged);
        put_in_order(&merged, &mut self.order);
        for at in 0..self.order.len() {
            let mut request = merged[self.order[at] as usize];
            let goes_on = self.route_request(&mut request, topology);
            probe.request_routed(request.at, &request, !goes_on);
            if goes_on {
                let channel = topology.map.channel(request.slice);
                self.to_shards[channel.index()].push(request);
            }
        }
        merged.clear();
        self.merged = merged;
        let mut returning = std::mem::take(&mut self.returning);
        put_in_order(&returning, &mut self.order);
        for at in 0..self.order.len() {
            let reply = returning[self.order[at] as usize];
            probe.reply_routed(reply.at, &reply);
            self.route_reply(reply, topology);
        }
        returning.clear();
        self.returning = returning;
    }

    /// Through the GPC's port; true when `request` goes on to its slice, false when it joined
    /// another one.
    fn route_request(&mut self, request: &mut Request, topology: &Topology) -> bool {
        let bytes = match request.kind {
            RequestKind::Read | RequestKind::ReadInst => topology.bytes(SectorMask::NONE),
            _ => topology.bytes(request.sectors),
        };
        request.slice = topology.destination(self.gpc, request);
        let start = self.request_port.send(request.at, bytes);
        self.stats.requests += 1;
        self.stats.request_bytes += bytes;
        self.stats.request_wait_cycles += start - request.at;
        if self.coalescer.as_mut().is_some_and(|c| c.join(request)) {
            self.stats.joined_requests += 1;
            self.stats.joined_sectors += u64::from(request.sectors.count());
            return false;
        }
        let offset = topology.offset(self.gpc, request.slice);
        let near = topology.map.partition(request.slice) == topology.partition_of(self.gpc);
        self.stats.far_requests += u64::from(!near);
        request.at = start + topology.request + offset / 2;
        true
    }

    /// Through the GPC's port, and from there to the SM that asked and to those whose reads joined
    /// its read.
    fn route_reply(&mut self, reply: Reply, topology: &Topology) {
        let offset = topology.offset(self.gpc, reply.slice);
        let latency = topology.reply + offset - offset / 2;
        let bytes = topology.bytes(reply.sectors);
        let behind = self.reply_port.send(reply.at, bytes) + latency;
        let (cpcs, cpc_sms) = (&mut self.cpc_ports, self.cpc_sms);
        let (sms, stats, to_sms) = (&mut self.sm_ports, &mut self.stats, &mut self.to_sms);
        let mut deliver = |mut copy: Reply| {
            let bytes = topology.bytes(copy.sectors);
            let position = copy.sm.index() / topology.sms_of.len();
            let there = match cpcs.is_empty() {
                true => behind,
                false => cpcs[position / cpc_sms].send(behind, bytes),
            };
            let through = sms[position].send(there, bytes);
            stats.replies += 1;
            stats.reply_bytes += bytes;
            stats.reply_wait_cycles += through - reply.at - latency;
            copy.at = through;
            to_sms[position].push(copy);
        };
        deliver(reply);
        if let Some(coalescer) = &mut self.coalescer {
            coalescer.deliver(&reply, deliver);
        }
    }
}
