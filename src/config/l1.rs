//! The SM's memory side: LSU, shared memory, L1 data cache.

/// `[lsu]`: local memory queue of a sub-core, address generation, the shared memory-I/O pipe.
#[derive(Clone, Debug, PartialEq)]
pub struct LsuSpec {
    /// Instructions that a sub-core's queue holds, its latch included.
    pub queue_entries: u8,
    /// Cycles of a sub-core's address generator for one instruction with vector addresses.
    pub agu_interval: u8,
    /// The same with a uniform address.
    pub agu_interval_uniform: u8,
    /// Cycles between two instructions that the SM's shared pipe takes from any sub-core.
    pub issue_interval: u8,
    /// Issue to the earliest entry into the shared pipe.
    pub frontend_cycles: u16,
    /// Store, issue to source operands read (write-after-read release), 32-bit data.
    pub store_read_cycles: u16,
    /// Load, issue to address operands read.
    pub load_read_cycles: u16,
    /// Extra cycles of a load's return for 64-bit and 128-bit data per lane.
    pub return_extra_64: u8,
    /// See `return_extra_64`.
    pub return_extra_128: u8,
    /// Posted stores (128 B line requests) that an SM may have in flight.
    pub store_credits: u16,
}

/// `[smem]`: shared memory.
#[derive(Clone, Debug, PartialEq)]
pub struct SmemSpec {
    /// Banks.
    pub banks: u8,
    /// Bytes of a bank's word.
    pub bank_bytes: u8,
    /// Load without conflict: issue to dependent issue.
    pub load_latency: u16,
    /// Added to the latency for each further pass of a conflict.
    pub conflict_latency: u8,
    /// Cycles that each pass holds the data path.
    pub pass_interval: u8,
    /// Returning atomic on shared memory, no conflict.
    pub atomic_latency: u16,
    /// Further cycles for each lane that hits the same address in an atomic.
    pub atomic_serial: u8,
    /// Most shared memory of one CTA, bytes (opt-in maximum).
    pub per_cta_bytes_max: u32,
    /// System shared memory reserved for each CTA, bytes.
    pub reserved_per_cta_bytes: u32,
    /// Allocation granularity, bytes.
    pub alloc_unit_bytes: u32,
}

/// When a line's storage is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocatePolicy {
    /// Streaming: at the fill, so a miss never waits for a way.
    OnFill,
    /// At the miss: a set full of pending lines refuses.
    OnMiss,
}

/// What a store does to L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePolicy {
    /// Write through; update the sector if present, do not allocate.
    ThroughNoAllocate,
    /// Write through; drop the sector if present.
    ThroughInvalidate,
    /// Write through; fully written sectors become valid.
    ThroughValidate,
}

/// `[l1]`: L1 data cache, sectored, unified with shared memory.
#[derive(Clone, Debug, PartialEq)]
pub struct L1Spec {
    /// Global loads use L1 at all.
    pub enabled: bool,
    /// L1 and shared memory together, bytes.
    pub unified_bytes: u32,
    /// Possible shared-memory carve-outs, KiB, ascending.
    pub carveouts_kib: Vec<u32>,
    /// Line, bytes.
    pub line_bytes: u32,
    /// Sector, bytes.
    pub sector_bytes: u32,
    /// Ways when no shared memory is carved out; a carve-out takes ways away.
    pub ways: u16,
    /// When storage is taken.
    pub allocate: AllocatePolicy,
    /// Store policy.
    pub write: WritePolicy,
    /// Tags looked up per cycle.
    pub tags_per_cycle: u8,
    /// Data path, bytes per cycle.
    pub bytes_per_cycle: u16,
    /// Load hit: issue to dependent issue, 32-bit data.
    pub hit_latency: u16,
    /// MSHRs (lines in flight).
    pub mshrs: u16,
    /// Accesses that one MSHR holds, the first included.
    pub mshr_merges: u8,
    /// Requests waiting for the crossbar port.
    pub miss_queue_entries: u16,
    /// From a line's arrival at the SM to dependent issue.
    pub fill_latency: u16,
    /// From a load's entry into the shared pipe to its miss request's arrival at the crossbar port.
    pub miss_latency: u16,
    /// LDGSTS hit: issue to data in shared memory.
    pub cp_async_latency: u16,
}
