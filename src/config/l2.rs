//! The L2 cache.

/// How lines are dealt to slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceHash {
    /// Chunk number modulo slices.
    Linear,
    /// Chunk number XOR-folded with the higher bits.
    Xor,
    /// Irreducible-polynomial hash; any number of slices.
    Ipoly,
}

/// `[l2]`.
#[derive(Clone, Debug, PartialEq)]
pub struct L2Spec {
    /// All slices together, bytes.
    pub bytes: u64,
    /// Slices; any number that is a multiple of the partitions.
    pub slices: u16,
    /// Partitions (1, or 2 with a bridge between them).
    pub partitions: u8,
    /// A line read by SMs of both partitions is kept in both (halves the capacity for shared data).
    pub replicate_far: bool,
    /// Ways.
    pub ways: u16,
    /// Line, bytes.
    pub line_bytes: u32,
    /// Sector, bytes.
    pub sector_bytes: u32,
    /// Bytes of consecutive addresses that one slice holds.
    pub interleave_bytes: u32,
    /// Hash.
    pub hash: SliceHash,
    /// Bytes per cycle of a slice's data path.
    pub slice_bytes_per_cycle: u16,
    /// Arrival at the slice to first byte of a hit at the slice's output.
    pub hit_latency: u16,
    /// From a miss to the DRAM controller's queue (core cycles).
    pub miss_latency: u16,
    /// From DRAM data to the slice's output (core cycles).
    pub fill_latency: u16,
    /// MSHRs of a slice (lines in flight).
    pub mshrs: u16,
    /// Requests that one MSHR holds.
    pub mshr_merges: u16,
    /// A partial write of a sector that is not present waits for a read before it fetches the rest.
    pub lazy_fetch: bool,
    /// Cycles of the atomic unit for each distinct 32-byte sector of an atomic.
    pub atomic_interval: u8,
    /// Cycles of a compare-and-swap.
    pub cas_interval: u8,
    /// Host copies leave their sectors in L2.
    pub memcpy_fills: bool,
}
