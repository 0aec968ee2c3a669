//! Address translation: TLBs, page walks and their caches.

use super::GpuSpec;
use super::declare::{choice, section};
use super::rules::{Broken, Rule, unless};
use crate::mem::tlb;

choice! {
    /// Size of every page.
    pub enum PageSize {
        /// 64 KiB: a walk reads five entries.
        Kib64 = "64KiB",
        /// 2 MiB: a walk reads four.
        Mib2 = "2MiB",
    }
}

impl PageSize {
    /// log2 of the bytes of a page.
    pub const fn bits(self) -> u32 {
        match self {
            PageSize::Kib64 => 16,
            PageSize::Mib2 => 21,
        }
    }
}

section! {
    /// `[tlb]`: what lies between the miss port of an SM and the crossbar, with feature `memory-research`. An L1 TLB in
    /// every SM, one TLB in every GPC, one L2 TLB with its page walkers for the chip.
    pub struct TlbSpec {
        /// Addresses are translated (feature memory-research); else every request passes at once.
        pub enabled: bool = Flag,
        /// Size of every page.
        pub page: PageSize = Name(PageSize::NAMES),
        /// Pages that the L1 TLB of an SM holds.
        pub l1_entries: u32 = Count(1, 1 << 16),
        /// Entries of a set of it.
        pub l1_ways: u16 = Count(1, 1 << 12),
        /// Pages that an SM waits for at most.
        pub l1_mshrs: u16 = Count(1, 4096),
        /// Pages that the TLB of a GPC holds.
        pub gpc_entries: u32 = Count(1, 1 << 20),
        /// Entries of a set of it.
        pub gpc_ways: u16 = Count(1, 1 << 12),
        /// Pages that a GPC waits for at most.
        pub gpc_mshrs: u16 = Count(1, 4096),
        /// Cycles between two lookups of a GPC's TLB.
        pub gpc_interval: u8 = Cycles(1, 64),
        /// From a miss in an SM to the answer of its GPC's TLB there, unloaded.
        pub gpc_latency: u16 = Cycles(1, 4000),
        /// Pages that the L2 TLB holds.
        pub l2_entries: u32 = Count(1, 1 << 22),
        /// Entries of a set of it.
        pub l2_ways: u16 = Count(1, 1 << 12),
        /// Pages that are walked for, or wait for a walker, at most.
        pub l2_mshrs: u16 = Count(1, 4096),
        /// Cycles between two lookups of the L2 TLB.
        pub l2_interval: u8 = Cycles(1, 64),
        /// From a miss in a GPC's TLB to the answer of the L2 TLB there, unloaded.
        pub l2_latency: u16 = Cycles(1, 4000),
        /// Pages that are walked for at once; a walk reads one entry after the other through L2.
        pub walkers: u16 = Count(1, 1024),
        /// Entries above the pages' own that the cache of the walkers holds; 0: none.
        pub walk_cache_entries: u16 = Count(0, 4096),
    }
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        key: "tlb.enabled",
        with: &[],
        broken: |g| compiled_in(g.tlb.enabled),
    },
    Rule {
        key: "tlb.l1_entries",
        with: &["tlb.l1_ways"],
        broken: |g| whole_sets(g, |t| (t.l1_entries, t.l1_ways), "tlb.l1_ways"),
    },
    Rule {
        key: "tlb.gpc_entries",
        with: &["tlb.gpc_ways"],
        broken: |g| whole_sets(g, |t| (t.gpc_entries, t.gpc_ways), "tlb.gpc_ways"),
    },
    Rule {
        key: "tlb.l2_entries",
        with: &["tlb.l2_ways"],
        broken: |g| whole_sets(g, |t| (t.l2_entries, t.l2_ways), "tlb.l2_ways"),
    },
];

fn compiled_in(enabled: bool) -> Option<Broken> {
    unless(
        tlb::COMPILED || !enabled,
        || "false in this build".to_owned(),
        "build with `--features memory-research` for address translation",
    )
}

fn whole_sets(g: &GpuSpec, of: fn(&TlbSpec) -> (u32, u16), name: &str) -> Option<Broken> {
    let (entries, ways) = of(&g.tlb);
    unless(
        entries.is_multiple_of(u32::from(ways)),
        || format!("a multiple of {name} = {ways}"),
        "sets have the same number of entries; as many ways as entries make it fully associative",
    )
}
