//! The mesh between SMs and slices.

use super::super::Topology;
use super::network::{Landed, Network};
use super::places::Places;
use crate::config::{GpuSpec, NocTopology};
use crate::engine::{Cycle, Port};
use crate::ids::GpcId;
use crate::mem::{Reply, Request, RequestKind, SectorMask};
use crate::stats::NocStats;

/// Networks of requests and of replies, and the ports from their routers to the SMs.
#[derive(Clone, Debug)]
pub struct Mesh {
    places: Places,
    interface: Cycle,
    requests: Network<Request>,
    replies: Network<Reply>,
    sm_ports: Vec<Port>,
    stats: NocStats,
}

crate::engine::state! {
    Mesh {
        units: [requests, replies],
        values: [sm_ports, stats],
        left: [places, interface],
    }
}

impl Mesh {
    /// The mesh of `spec`, where it has one.
    pub fn new(spec: &GpuSpec, topology: &Topology) -> Option<Self> {
        if spec.noc.topology != NocTopology::Mesh {
            return None;
        }
        let noc = &spec.noc;
        let places = Places::new(spec, topology);
        let (routers, columns) = (places.routers, places.columns);
        let (link, hop) = (noc.mesh_link_bytes, noc.mesh_hop_latency);
        let port = Port::new(noc.sm_reply_bytes_per_cycle);
        Some(Mesh {
            interface: Cycle::from(noc.mesh_interface_latency),
            requests: Network::new(routers, columns, link, hop),
            replies: Network::new(routers, columns, link, hop),
            sm_ports: vec![port; usize::from(spec.sms)],
            stats: NocStats::default(),
            places,
        })
    }

    /// `request` leaves the port of its SM, which is in GPC `gpc`.
    pub fn ask(&mut self, mut request: Request, gpc: GpcId, topology: &Topology) {
        let bytes = match request.kind {
            RequestKind::Read | RequestKind::ReadInst => topology.bytes(SectorMask::NONE),
            _ => topology.bytes(request.sectors),
        };
        request.slice = topology.destination(gpc, &request);
        let near = topology.map.partition(request.slice) == topology.partition_of(gpc);
        self.stats.requests += 1;
        self.stats.request_bytes += bytes;
        self.stats.far_requests += u64::from(!near);
        let from = self.places.sms[request.sm.index()];
        let to = self.places.slices[request.slice.index()];
        self.requests.send(request, bytes, from, to);
    }

    /// `reply` leaves the port of its slice.
    pub fn answer(&mut self, reply: Reply, topology: &Topology) {
        let bytes = topology.bytes(reply.sectors);
        self.stats.replies += 1;
        self.stats.reply_bytes += bytes;
        let from = self.places.slices[reply.slice.index()];
        let to = self.places.sms[reply.sm.index()];
        self.replies.send(reply, bytes, from, to);
    }

    /// The next request whose way is known at the end of cycle `end` - 1, with the cycle of its arrival.
    pub fn arriving_request(&mut self, end: Cycle) -> Option<Request> {
        let Landed {
            message,
            at,
            length,
        } = self.requests.landed(end)?;
        Some(Request {
            at: at + length + self.interface,
            ..message
        })
    }

    /// The next reply whose way is known then, its turn at the port of its SM included.
    pub fn arriving_reply(&mut self, end: Cycle, topology: &Topology) -> Option<Reply> {
        let Landed {
            message,
            at,
            length,
        } = self.replies.landed(end)?;
        let bytes = topology.bytes(message.sectors);
        let through = self.sm_ports[message.sm.index()].send(at, bytes);
        self.stats.reply_wait_cycles += through - at;
        Some(Reply {
            at: through + length + self.interface,
            ..message
        })
    }

    /// Counters.
    pub fn stats(&self) -> NocStats {
        let (ask, answer) = (self.requests.used, self.replies.used);
        let mut stats = self.stats;
        stats.request_wait_cycles += ask.waits;
        stats.reply_wait_cycles += answer.waits;
        stats.mesh_hops = ask.hops + answer.hops;
        stats.mesh_link_cycles = ask.busy + answer.busy;
        stats
    }

    /// Nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.replies.is_empty()
    }
}
