//! The hierarchical crossbar between SMs and L2 slices.

use super::declare::section;
use super::rules::{Rule, unless};

/// Reads that may join an entry of the request coalescer in any configuration: an entry then fills a line of the
/// host's cache. A limit of the host, not of hardware.
pub const COALESCER_JOINS_MAX: u16 = 6;

section! {
    /// `[noc]`. One way: SM port, CPC port (replies), GPC port, crossbar, slice port, each with a
    /// bandwidth; latencies add up to `request_latency` (or `reply_latency`) plus the offsets of the
    /// GPC, the slice and the far partition.
    pub struct NocSpec {
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
    }
}

pub(super) const RULES: &[Rule] = &[
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
