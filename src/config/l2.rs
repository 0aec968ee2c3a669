//! The L2 cache.

use super::declare::{choice, section};
use super::l1::{Replacement, compiled_in};
use super::rules::{Broken, Rule, architecture_research, unless};
use super::sm::power_of_two;
use super::{GpuSpec, units};
use crate::mem::{LINE_BYTES, SECTOR_BYTES};

/// Lines of a slice at most: the numbers of the tags have 32 bits, and their index has two buckets a line.
const SLICE_LINES_MAX: u64 = 1 << 30;

choice! {
    /// How lines are dealt to slices.
    pub enum SliceHash {
        /// Chunk number modulo slices.
        Linear = "linear",
        /// Chunk number XORed with the bits above it, and those without their lowest 7 and 17.
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
        /// Every access hits, whatever was there before; nothing is written back (feature architecture-research).
        pub perfect: bool = Flag,
        /// Which line of a full set goes.
        pub replacement: Replacement = Name(Replacement::NAMES),
        /// Percent of the ways of a set whose lines may be dirty, one way at least; when one more is written, another is
        /// written back and stays. 100: only evictions write back.
        pub dirty_percent: u8 = Count(1, 100),
        /// Line, bytes.
        pub line_bytes: u32 = Bytes(LINE_BYTES, LINE_BYTES),
        /// Sector, bytes.
        pub sector_bytes: u32 = Bytes(SECTOR_BYTES, SECTOR_BYTES),
        /// Bytes of consecutive addresses that one slice holds.
        pub interleave_bytes: u32 = Bytes(LINE_BYTES, 1 << 20),
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
        /// Percent of the MSHRs that lines of the other partition may take; some must be left for the reads that the
        /// other partition forwards.
        pub far_mshrs_percent: u8 = Count(1, 99),
        /// Requests that one MSHR holds.
        pub mshr_merges: u16 = Count(1, 4096),
        /// The largest piece, in bytes, that L2 fetches whole when a load that misses carries a hint for it (`LTC64B`,
        /// `LTC128B`, `LTC256B`); hints for larger ones are ignored. 0: all are.
        pub prefetch_hint_bytes: u16 = Bytes(0, 256),
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

impl L2Spec {
    /// Lines of a set that may be dirty.
    pub fn dirty_ways(&self) -> u16 {
        (u32::from(self.ways) * u32::from(self.dirty_percent) / 100).max(1) as u16
    }

    /// Whether a line may be kept in two partitions.
    pub fn two_copies(&self) -> bool {
        self.partitions > 1 && self.replicate_far
    }
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        key: "l2.perfect",
        with: &[],
        broken: |g| architecture_research(!g.l2.perfect, "false", "for a perfect L2"),
    },
    Rule {
        key: "l2.replacement",
        with: &[],
        broken: |g| compiled_in(g.l2.replacement),
    },
    Rule {
        key: "l2.bytes",
        with: &["l2.slices", "l2.ways", "l2.line_bytes"],
        broken: whole_sets,
    },
    Rule {
        key: "l2.bytes",
        with: &["l2.slices", "l2.line_bytes"],
        broken: |g| {
            let lines = g.l2.bytes / u64::from(g.l2.slices) / u64::from(g.l2.line_bytes);
            let most = SLICE_LINES_MAX * u64::from(g.l2.slices) * u64::from(g.l2.line_bytes);
            unless(
                lines <= SLICE_LINES_MAX,
                || {
                    let most = units::show_bytes(most);
                    format!("at most {most} in l2.slices = {}", g.l2.slices)
                },
                "lower it, or have more slices",
            )
        },
    },
    Rule {
        key: "l2.slices",
        with: &["l2.partitions"],
        broken: |g| {
            unless(
                g.l2.slices.is_multiple_of(u16::from(g.l2.partitions)),
                || format!("a multiple of l2.partitions = {}", g.l2.partitions),
                "partitions have the same number of slices",
            )
        },
    },
    Rule {
        key: "l2.slices",
        with: &["dram.channels"],
        broken: |g| {
            unless(
                g.l2.slices.is_multiple_of(g.dram.channels),
                || format!("a multiple of dram.channels = {}", g.dram.channels),
                "each channel serves the same number of slices; change either",
            )
        },
    },
    Rule {
        key: "l2.interleave_bytes",
        with: &[],
        broken: |g| power_of_two(g.l2.interleave_bytes),
    },
    Rule {
        key: "l2.mshrs",
        with: &["l2.partitions", "l2.replicate_far"],
        broken: |g| {
            unless(
                g.l2.mshrs >= 2 || !g.l2.two_copies(),
                || "at least 2 with l2.partitions = 2 and l2.replicate_far = true".to_owned(),
                "with one, slices of both partitions could wait for each other for ever",
            )
        },
    },
];

fn whole_sets(g: &GpuSpec) -> Option<Broken> {
    let l2 = &g.l2;
    let (slices, ways) = (u64::from(l2.slices), u64::from(l2.ways));
    let unit = slices * ways * u64::from(l2.line_bytes);
    unless(
        l2.bytes.is_multiple_of(unit) && l2.bytes >= unit,
        || {
            format!(
                "a multiple of l2.slices = {slices} times l2.ways = {ways} times {} bytes a line, \
                 that is {unit}",
                l2.line_bytes
            )
        },
        format!(
            "the next below (or smallest) is {}",
            (l2.bytes / unit).max(1) * unit
        ),
    )
}
