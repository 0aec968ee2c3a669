//! The hierarchical crossbar between SMs and L2 slices.

use super::declare::{choice, section};
use super::rules::{Rule, architecture_research, unless};

/// Reads that may join an entry of the request coalescer in any configuration: an entry then fills a line of the
/// host's cache. A limit of the host, not of hardware.
pub const COALESCER_JOINS_MAX: u16 = 6;

choice! {
    /// What lies between SMs and L2 slices.
    pub enum NocTopology {
        /// The hierarchical crossbar of the chip.
        Crossbar = "crossbar",
        /// The crossbar with ports of any width: its latencies, and no message waits for another (feature architecture-research).
        Ideal = "ideal",
        /// A two-dimensional mesh with XY routing for requests and one for replies (feature architecture-research).
        Mesh = "mesh",
    }
}

section! {
    /// `[noc]`. One way: SM port, CPC port (replies), GPC port, crossbar, slice port, each with a
    /// bandwidth; latencies add up to `request_latency` (or `reply_latency`) plus the offsets of the
    /// GPC, the slice and the far partition. In a mesh the ports of GPCs and CPCs, the coalescer and these
    /// latencies have no part; the ports of SMs and slices are its entries and exits.
    pub struct NocSpec {
        /// What lies between SMs and slices.
        pub topology: NocTopology = Name(NocTopology::NAMES),
        /// SM port to slice, unloaded, nearest GPC and slice.
        pub request_latency: u16 = Cycles(20, 4000),
        /// Slice to SM, unloaded, nearest.
        pub reply_latency: u16 = Cycles(20, 4000),
        /// Extra cycles round trip for GPC g (index modulo the list's length); at least one entry.
        pub gpc_offsets: Vec<u16> = Counts(0, 2000),
        /// Extra cycles round trip of a slice: slices are spread evenly over `0..=slice_spread`.
        pub slice_spread: u16 = Cycles(0, 2000),
        /// Extra cycles round trip when SM and slice are in different L2 partitions.
        pub far_extra: u16 = Cycles(0, 4000),
        /// SM to crossbar, bytes per cycle.
        pub sm_request_bytes_per_cycle: u16 = Bytes(1, 4096),
        /// Crossbar to SM, bytes per cycle.
        pub sm_reply_bytes_per_cycle: u16 = Bytes(1, 4096),
        /// GPC to crossbar, bytes per cycle.
        pub gpc_request_bytes_per_cycle: u16 = Bytes(1, 65535),
        /// Crossbar to GPC, bytes per cycle.
        pub gpc_reply_bytes_per_cycle: u16 = Bytes(1, 65535),
        /// SMs of a GPC that share a port behind the GPC's (a CPC); 0: none.
        pub cpc_sms: u16 = Count(0, 1024),
        /// GPC to the SMs of a CPC, bytes per cycle.
        pub cpc_reply_bytes_per_cycle: u16 = Bytes(1, 65535),
        /// Bytes of a request or reply header (a read request is one header).
        pub header_bytes: u16 = Bytes(0, 256),
        /// Entries of a GPC's request coalescer; 0: none.
        pub coalescer_entries: u16 = Count(0, 16384),
        /// Entries of a set of it.
        pub coalescer_ways: u16 = Count(1, 1024),
        /// Reads that may join one that is under way.
        pub coalescer_joins: u16 = Count(0, COALESCER_JOINS_MAX as u64),
        /// Mesh: nodes of a row; 0: as many as make it nearest to a square.
        pub mesh_columns: u16 = Count(0, 1024),
        /// Mesh: SMs that share a node, taken GPC by GPC.
        pub mesh_node_sms: u16 = Count(1, 1024),
        /// Mesh: slices that share a node, taken in order.
        pub mesh_node_slices: u16 = Count(1, 1024),
        /// Mesh: bytes that a link moves in a cycle and direction.
        pub mesh_link_bytes: u16 = Bytes(1, 4096),
        /// Mesh: from the head of a message in a router to its head in the next one, unloaded.
        pub mesh_hop_latency: u16 = Cycles(1, 200),
        /// Mesh: what a message takes beside its hops and its length, into the mesh and out of it.
        pub mesh_interface_latency: u16 = Cycles(1, 2000),
    }
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        key: "noc.topology",
        with: &[],
        broken: |g| {
            architecture_research(
                g.noc.topology == NocTopology::Crossbar,
                NocTopology::Crossbar.name(),
                "for other interconnects",
            )
        },
    },
    Rule {
        key: "noc.coalescer_entries",
        with: &["noc.coalescer_ways"],
        broken: |g| {
            let ways = g.noc.coalescer_ways;
            unless(
                g.noc.coalescer_entries.is_multiple_of(ways),
                || format!("a multiple of noc.coalescer_ways = {ways}"),
                "sets have the same number of entries; 0 turns it off",
            )
        },
    },
    Rule {
        key: "noc.far_extra",
        with: &["l2.partitions", "l2.replicate_far"],
        broken: |g| {
            unless(
                g.noc.far_extra >= 2 || !g.l2.two_copies(),
                || "at least 2 with l2.partitions = 2 and l2.replicate_far = true".to_owned(),
                "a message between partitions takes at least a cycle each way",
            )
        },
    },
];
