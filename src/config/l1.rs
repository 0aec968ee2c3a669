//! The SM's memory side: LSU, shared memory, L1 data cache.

use super::GpuSpec;
use super::declare::{choice, section};
use super::rules::{Broken, Rule, architecture_research, unless};
use super::sm::power_of_two;
use crate::mem::cache::prefetch;
use crate::mem::cache::replace::Replace;
use crate::mem::{LINE_BYTES, SECTOR_BYTES};

const WAYS_MAX: u32 = 4096;

section! {
    /// `[lsu]`: local memory queue of a sub-core, address generation, the shared memory-I/O pipe.
    pub struct LsuSpec {
        /// Instructions that a sub-core's queue holds, its latch included.
        pub queue_entries: u8 = Count(1, 64),
        /// Cycles of a sub-core's address generator for one instruction with vector addresses.
        pub agu_interval: u8 = Cycles(1, 64),
        /// The same with a uniform address.
        pub agu_interval_uniform: u8 = Cycles(1, 64),
        /// Cycles between two instructions that the SM's shared pipe takes from any sub-core.
        pub issue_interval: u8 = Cycles(1, 64),
        /// Refused accesses that step aside at most (`sm.memory_order = "out_of_order"`).
        pub replay_entries: u8 = Count(1, 64),
        /// Issue to the earliest entry into the shared pipe.
        pub frontend_cycles: u16 = Cycles(1, 200),
        /// Store, issue to source operands read (write-after-read release), 32-bit data.
        pub store_read_cycles: u16 = Cycles(1, 200),
        /// Load, issue to address operands read.
        pub load_read_cycles: u16 = Cycles(1, 200),
        /// Extra cycles of a load's return for 64-bit and 128-bit data per lane.
        pub return_extra_64: u8 = Cycles(0, 64),
        /// See `return_extra_64`.
        pub return_extra_128: u8 = Cycles(0, 64),
        /// Posted stores (128 B line requests) that an SM may have in flight.
        pub store_credits: u16 = Count(1, 4096),
    }
}

section! {
    /// `[smem]`: shared memory.
    pub struct SmemSpec {
        /// Banks.
        pub banks: u8 = Count(1, 64),
        /// Bytes of a bank's word.
        pub bank_bytes: u8 = Bytes(4, 16),
        /// Load without conflict: issue to dependent issue.
        pub load_latency: u16 = Cycles(1, 2000),
        /// Added to the latency for each further pass of a conflict.
        pub conflict_latency: u8 = Cycles(0, 64),
        /// Cycles that each pass holds the data path.
        pub pass_interval: u8 = Cycles(1, 64),
        /// Returning atomic on shared memory, no conflict.
        pub atomic_latency: u16 = Cycles(1, 2000),
        /// Cycles of an atomic's pass: each lane of the same address comes so many later, and the data path is held as
        /// long.
        pub atomic_serial: u8 = Cycles(0, 64),
        /// Further cycles of a compare-and-swap.
        pub cas_extra: u8 = Cycles(0, 64),
        /// Most shared memory of one CTA, bytes (opt-in maximum).
        pub per_cta_bytes_max: u32 = Bytes(0, 1 << 20),
        /// System shared memory reserved for each CTA, bytes.
        pub reserved_per_cta_bytes: u32 = Bytes(0, 1 << 16),
        /// Allocation granularity, bytes.
        pub alloc_unit_bytes: u32 = Bytes(1, 1 << 16),
    }
}

choice! {
    /// When a line's storage is taken.
    pub enum AllocatePolicy {
        /// Streaming: at the fill, so a miss never waits for a way.
        OnFill = "on_fill",
        /// At the miss: a set full of pending lines refuses.
        OnMiss = "on_miss",
    }
}

choice! {
    /// What a store does to L1.
    pub enum WritePolicy {
        /// Write through; update the sector if present, do not allocate.
        ThroughNoAllocate = "through_no_allocate",
        /// Write through; drop the sector if present.
        ThroughInvalidate = "through_invalidate",
        /// Write through; fully written sectors become valid.
        ThroughValidate = "through_validate",
    }
}

choice! {
    /// What a store to local memory does to L1.
    pub enum LocalWritePolicy {
        /// Write back: the line is allocated and its sectors stay dirty until it is evicted.
        Back = "back",
        /// As a global store.
        Through = "through",
    }
}

choice! {
    /// Which set of a cache a line belongs to.
    pub enum SetHash {
        /// Its number modulo the sets.
        Linear = "linear",
        /// Its number XORed with the same without its lowest 9 and its lowest 17 bits, modulo the sets.
        Xor = "xor",
    }
}

choice! {
    /// Which line of a full set of a cache makes room for a new one.
    pub enum Replacement {
        /// The least recently used.
        Lru = "lru",
        /// The one to which a binary tree of bits points (tree pseudo-LRU).
        Plru = "plru",
        /// The one that came first.
        Fifo = "fifo",
        /// One whose next use is expected farthest away, by two bits a line (SRRIP, hit priority).
        Srrip = "srrip",
        /// Any, by a hash of the set and of how many lines left it.
        Random = "random",
        /// Lines that streaming or last-use accesses brought in (`ld.cs`, `ld.lu`, `.EF`), then the least recently used.
        EvictFirst = "evict_first",
        /// As srrip, but of the lines that come in all but one in 32 go first (BRRIP; feature cache-research).
        Brrip = "brrip",
        /// srrip or brrip, whichever misses less in a few sets that lead (DRRIP; feature cache-research).
        Drrip = "drrip",
    }
}

choice! {
    /// What L1 asks for before it is needed.
    pub enum L1Prefetch {
        /// Nothing.
        None = "none",
        /// What lies a stride and more ahead of the loads of a warp at a program counter (feature cache-research).
        Stride = "stride",
    }
}

section! {
    /// `[l1.stride]`: the prefetcher of L1 (`prefetch = "stride"`).
    pub struct StrideSpec {
        /// Loads of warps that its table knows.
        pub entries: u16 = Count(1, 1 << 15),
        /// Entries of a set of the table.
        pub ways: u16 = Count(1, 1 << 10),
        /// How often in a row a stride must have come again.
        pub threshold: u16 = Count(1, 1000),
        /// Accesses for which each access prefetches.
        pub degree: u8 = Count(1, 64),
        /// How many accesses ahead the first of them is.
        pub distance: u16 = Count(1, 1000),
    }
}

section! {
    /// `[l1]`: L1 data cache, sectored, unified with shared memory.
    pub struct L1Spec {
        /// Global loads use L1 at all.
        pub enabled: bool = Flag,
        /// Every load finds its data in L1, those that would pass it by as well, and local memory never leaves it; other
        /// stores and atomics are as ever (feature architecture-research).
        pub perfect: bool = Flag,
        /// L1 and shared memory together, bytes.
        pub unified_bytes: u32 = Bytes(1 << 10, 1 << 24),
        /// Possible shared-memory carve-outs, KiB, ascending.
        pub carveouts_kib: Vec<u32> = Counts(0, 1 << 14),
        /// Line, bytes.
        pub line_bytes: u32 = Bytes(LINE_BYTES, LINE_BYTES),
        /// Sector, bytes.
        pub sector_bytes: u32 = Bytes(SECTOR_BYTES, SECTOR_BYTES),
        /// Ways when no shared memory is carved out; a carve-out takes ways away.
        pub ways: u16 = Count(1, WAYS_MAX as u64),
        /// Which set a line belongs to.
        pub set_hash: SetHash = Name(SetHash::NAMES),
        /// Which line of a full set goes.
        pub replacement: Replacement = Name(Replacement::NAMES),
        /// Prefetcher.
        pub prefetch: L1Prefetch = Name(L1Prefetch::NAMES),
        /// `[l1.stride]`.
        pub stride: StrideSpec = Section,
        /// When storage is taken.
        pub allocate: AllocatePolicy = Name(AllocatePolicy::NAMES),
        /// Store policy.
        pub write: WritePolicy = Name(WritePolicy::NAMES),
        /// Store policy of local memory, which nobody else reads.
        pub local_write: LocalWritePolicy = Name(LocalWritePolicy::NAMES),
        /// Tags looked up per cycle.
        pub tags_per_cycle: u8 = Count(1, 32),
        /// Data path, bytes per cycle.
        pub bytes_per_cycle: u16 = Bytes(16, 1024),
        /// Load hit: issue to dependent issue, 32-bit data.
        pub hit_latency: u16 = Cycles(1, 2000),
        /// MSHRs (lines in flight).
        pub mshrs: u16 = Count(1, 8192),
        /// Accesses that one MSHR holds, the first included.
        pub mshr_merges: u8 = Count(1, 255),
        /// Requests waiting for the crossbar port.
        pub miss_queue_entries: u16 = Count(1, 8192),
        /// From a line's arrival at the SM to dependent issue.
        pub fill_latency: u16 = Cycles(1, 2000),
        /// From a load's entry into the shared pipe to its miss request's arrival at the crossbar port.
        pub miss_latency: u16 = Cycles(1, 2000),
        /// LDGSTS hit: issue to data in shared memory.
        pub cp_async_latency: u16 = Cycles(1, 2000),
    }
}

impl GpuSpec {
    /// What a CTA may ask for at most where no more than `kib` of shared memory are carved out, bytes.
    pub fn cta_bytes_max(&self, kib: u32) -> u32 {
        let smem = &self.smem;
        let whole = kib * 1024 / smem.alloc_unit_bytes * smem.alloc_unit_bytes;
        let room = whole.saturating_sub(smem.reserved_per_cta_bytes);
        room.min(smem.per_cta_bytes_max)
    }
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        key: "l1.perfect",
        with: &[],
        broken: |g| architecture_research(!g.l1.perfect, "false", "for a perfect L1"),
    },
    Rule {
        key: "l1.unified_bytes",
        with: &["l1.line_bytes"],
        broken: |g| whole_lines(&g.l1),
    },
    Rule {
        key: "l1.ways",
        with: &["l1.unified_bytes", "l1.line_bytes"],
        broken: |g| ways(&g.l1),
    },
    Rule {
        key: "l1.replacement",
        with: &[],
        broken: |g| compiled_in(g.l1.replacement),
    },
    Rule {
        key: "l1.prefetch",
        with: &[],
        broken: |g| {
            unless(
                prefetch::COMPILED || g.l1.prefetch == L1Prefetch::None,
                || "none in this build".to_owned(),
                "build with `--features cache-research` for a prefetcher",
            )
        },
    },
    Rule {
        key: "l1.stride.entries",
        with: &["l1.stride.ways"],
        broken: |g| {
            let ways = g.l1.stride.ways;
            unless(
                g.l1.stride.entries.is_multiple_of(ways),
                || format!("a multiple of l1.stride.ways = {ways}"),
                "sets have the same number of entries",
            )
        },
    },
    Rule {
        key: "l1.carveouts_kib",
        with: &["l1.unified_bytes", "l1.line_bytes", "l1.ways"],
        broken: |g| carveouts(&g.l1),
    },
    Rule {
        key: "smem.banks",
        with: &[],
        broken: |g| power_of_two(u32::from(g.smem.banks)),
    },
    Rule {
        key: "smem.bank_bytes",
        with: &[],
        broken: |g| power_of_two(u32::from(g.smem.bank_bytes)),
    },
    Rule {
        key: "smem.alloc_unit_bytes",
        with: &[],
        broken: |g| power_of_two(g.smem.alloc_unit_bytes),
    },
    Rule {
        key: "smem.per_cta_bytes_max",
        with: &["smem.reserved_per_cta_bytes", "l1.carveouts_kib"],
        broken: largest_cta,
    },
    Rule {
        key: "smem.load_latency",
        with: &["lsu.frontend_cycles"],
        broken: |g| behind_frontend(g, g.smem.load_latency),
    },
    Rule {
        key: "smem.atomic_latency",
        with: &["lsu.frontend_cycles"],
        broken: |g| behind_frontend(g, g.smem.atomic_latency),
    },
    Rule {
        key: "sm.latency.shuffle",
        with: &["lsu.frontend_cycles"],
        broken: |g| behind_frontend(g, g.sm.latency.shuffle),
    },
    Rule {
        key: "l1.hit_latency",
        with: &["lsu.frontend_cycles"],
        broken: |g| behind_frontend(g, g.l1.hit_latency),
    },
    Rule {
        key: "l1.cp_async_latency",
        with: &["lsu.frontend_cycles"],
        broken: |g| behind_frontend(g, g.l1.cp_async_latency),
    },
];

/// Latencies of the memory path count from issue, and nothing is done before the front end is passed.
fn behind_frontend(g: &GpuSpec, latency: u16) -> Option<Broken> {
    let frontend = g.lsu.frontend_cycles;
    unless(
        latency >= frontend,
        || format!("at least lsu.frontend_cycles = {frontend}"),
        "it counts from issue, the front end included; change either",
    )
}

/// Policies for research are in some builds only.
pub(super) fn compiled_in(replacement: Replacement) -> Option<Broken> {
    unless(
        Replace::has(replacement),
        || {
            let names: Vec<&str> = Replace::all().map(Replacement::name).collect();
            format!("one of {} in this build", names.join(", "))
        },
        "build with `--features cache-research` for the others",
    )
}

pub(super) fn whole_lines(l1: &L1Spec) -> Option<Broken> {
    unless(
        l1.unified_bytes.is_multiple_of(l1.line_bytes),
        || format!("a multiple of the {}-byte line", l1.line_bytes),
        "round it, e.g. to whole KiB",
    )
}

pub(super) fn ways(l1: &L1Spec) -> Option<Broken> {
    let lines = l1.unified_bytes / l1.line_bytes;
    let sets = lines / u32::from(l1.ways);
    let choices = || {
        let halved = (0..=lines.trailing_zeros()).map(|shift| lines >> shift);
        let allowed = halved.filter(|&ways| ways <= WAYS_MAX);
        let choices: Vec<String> = allowed.map(|ways| ways.to_string()).collect();
        choices.join(", ")
    };
    unless(
        sets * u32::from(l1.ways) == lines && sets.is_power_of_two(),
        || {
            let bytes = l1.unified_bytes;
            format!(
                "ways that leave a power-of-two number of sets in l1.unified_bytes = {bytes} \
                 ({lines} lines)"
            )
        },
        format!("choose one of {}, or another size", choices()),
    )
}

fn carveouts(l1: &L1Spec) -> Option<Broken> {
    let sets = (l1.unified_bytes / l1.line_bytes / u32::from(l1.ways)).max(1);
    let way_bytes = sets * l1.line_bytes;
    let list = &l1.carveouts_kib;
    let bytes = |kib: u32| u64::from(kib) * 1024;
    let ascending = list.windows(2).all(|pair| pair[0] < pair[1]);
    let whole = |&kib: &u32| bytes(kib).is_multiple_of(u64::from(way_bytes));
    let room = u64::from(l1.unified_bytes - way_bytes);
    let largest = list.last().map_or(0, |&kib| bytes(kib));
    unless(
        ascending && list.iter().all(whole) && largest <= room,
        || {
            format!(
                "ascending KiB, each a multiple of a way ({way_bytes} bytes), at most {room} bytes"
            )
        },
        "a carve-out takes whole ways and leaves at least one; change the list, l1.ways or \
         l1.unified_bytes",
    )
}

fn largest_cta(g: &GpuSpec) -> Option<Broken> {
    let smem = &g.smem;
    let largest =
        g.l1.carveouts_kib
            .last()
            .map_or(0, |&kib| u64::from(kib) * 1024);
    let cta = u64::from(smem.per_cta_bytes_max) + u64::from(smem.reserved_per_cta_bytes);
    let unit = u64::from(smem.alloc_unit_bytes);
    unless(
        cta.next_multiple_of(unit) <= largest,
        || {
            format!(
                "with smem.reserved_per_cta_bytes = {}, in multiples of smem.alloc_unit_bytes = \
                 {unit}, at most {largest}, the largest of l1.carveouts_kib",
                smem.reserved_per_cta_bytes
            )
        },
        "lower it or add a carve-out",
    )
}
