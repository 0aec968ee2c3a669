//! The hierarchical crossbar between SMs and L2 slices.

use super::declare::section;

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
        /// Entries of a GPC's request coalescer, in sets of four; 0: none.
        pub coalescer_entries: u16 = Count(0, 16384),
        /// Reads that may join one that is under way.
        pub coalescer_joins: u16 = Count(0, 6),
    }
}
