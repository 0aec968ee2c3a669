//! The L2 cache.

use super::declare::{choice, section};

choice! {
    /// How lines are dealt to slices.
    pub enum SliceHash {
        /// Chunk number modulo slices.
        Linear = "linear",
        /// Chunk number XOR-folded with the higher bits.
        Xor = "xor",
        /// Irreducible-polynomial hash; any number of slices.
        Ipoly = "ipoly",
    }
}

section! {
    /// `[l2]`.
    pub struct L2Spec {
        /// All slices together, bytes.
        pub bytes: u64 = Bytes(1 << 10, 1 << 40),
        /// Slices; any number that is a multiple of the partitions.
        pub slices: u16 = Count(1, 1024),
        /// Partitions (1, or 2 with a bridge between them).
        pub partitions: u8 = Count(1, 2),
        /// A line read by SMs of both partitions is kept in both (halves the capacity for shared data).
        pub replicate_far: bool = Flag,
        /// Ways.
        pub ways: u16 = Count(1, 256),
        /// Line, bytes.
        pub line_bytes: u32 = Bytes(128, 128),
        /// Sector, bytes.
        pub sector_bytes: u32 = Bytes(32, 32),
        /// Bytes of consecutive addresses that one slice holds.
        pub interleave_bytes: u32 = Bytes(128, 1 << 20),
        /// Hash.
        pub hash: SliceHash = Name(SliceHash::NAMES),
        /// Bytes per cycle of a slice's data path, and of its port into the crossbar, which carries headers too.
        pub slice_bytes_per_cycle: u16 = Bytes(8, 1024),
        /// Arrival at the slice to first byte of a hit at the slice's output.
        pub hit_latency: u16 = Cycles(1, 4000),
        /// From a miss to the DRAM controller's queue (core cycles).
        pub miss_latency: u16 = Cycles(1, 4000),
        /// From DRAM data to the slice's output (core cycles).
        pub fill_latency: u16 = Cycles(1, 4000),
        /// MSHRs of a slice (lines in flight).
        pub mshrs: u16 = Count(1, 8192),
        /// Requests that one MSHR holds.
        pub mshr_merges: u16 = Count(1, 4096),
        /// A partial write of a sector that is not present waits for a read before it fetches the rest.
        pub lazy_fetch: bool = Flag,
        /// Cycles of the atomic unit for each distinct 32-byte sector of an atomic.
        pub atomic_interval: u8 = Cycles(1, 64),
        /// Cycles of a compare-and-swap.
        pub cas_interval: u8 = Cycles(1, 64),
        /// From the atomic unit's turn to the old value at the slice's output (returning atomics).
        pub atomic_latency: u16 = Cycles(0, 4000),
        /// Host copies leave their sectors in L2.
        pub memcpy_fills: bool = Flag,
    }
}
