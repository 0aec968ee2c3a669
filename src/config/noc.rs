//! The hierarchical crossbar between SMs and L2 slices.

/// `[noc]`. One way: SM port, GPC port, crossbar, slice port, each with a bandwidth; latencies add
/// up to `request_latency` (or `reply_latency`) plus the offsets of the GPC, the slice and the far
/// partition.
#[derive(Clone, Debug, PartialEq)]
pub struct NocSpec {
    /// SM port to slice, unloaded, nearest GPC and slice.
    pub request_latency: u16,
    /// Slice to SM, unloaded, nearest.
    pub reply_latency: u16,
    /// Extra cycles round trip for GPC g (index modulo the list's length); at least one entry.
    pub gpc_offsets: Vec<u16>,
    /// Extra cycles round trip of a slice: slices are spread evenly over `0..=slice_spread`.
    pub slice_spread: u16,
    /// Extra cycles round trip when SM and slice are in different L2 partitions.
    pub far_extra: u16,
    /// SM to crossbar, bytes per cycle.
    pub sm_request_bytes_per_cycle: u16,
    /// Crossbar to SM, bytes per cycle.
    pub sm_reply_bytes_per_cycle: u16,
    /// GPC to crossbar, bytes per cycle.
    pub gpc_request_bytes_per_cycle: u16,
    /// Crossbar to GPC, bytes per cycle.
    pub gpc_reply_bytes_per_cycle: u16,
    /// Bytes of a request or reply header (a read request is one header).
    pub header_bytes: u16,
}
