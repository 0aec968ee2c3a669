//! Address translation in the report: `research.memory.tlb`.

use super::derive::ratio;
use super::record::record;
use crate::config::TlbSpec;
use crate::stats::tlb::TlbStats;
use serde::Serialize;

/// The section that it is a part of.
pub const SECTION: &str = "memory";
/// The Cargo feature without which there is none.
pub const FEATURE: &str = "memory-research";

record! {
    /// What follows from the counters of address translation.
    pub struct TlbRates {
        /// Bytes that the L1 TLB of an SM reaches.
        pub l1_reach_bytes: u64 = "bytes", by "config.tlb.l1_entries * bytes of config.tlb.page",
        /// Bytes that the TLB of a GPC reaches.
        pub gpc_reach_bytes: u64 = "bytes", by "config.tlb.gpc_entries * bytes of config.tlb.page",
        /// Bytes that the L2 TLB reaches.
        pub l2_reach_bytes: u64 = "bytes", by "config.tlb.l2_entries * bytes of config.tlb.page",
        /// Hits of lookups in the L1 TLBs.
        pub l1_hit_rate: f64 = "ratio", by "l1.hits / l1.lookups",
        /// Hits of lookups in the TLBs of the GPCs.
        pub gpc_hit_rate: f64 = "ratio", by "gpc.hits / gpc.lookups",
        /// Hits of lookups in the L2 TLB.
        pub l2_hit_rate: f64 = "ratio", by "l2.hits / l2.lookups",
        /// Cycles of a walk once it has a walker.
        pub walk_cycles: f64 = "cycles", by "walk.busy_cycles / walk.walks",
    }
}

impl TlbRates {
    fn of(stats: &TlbStats, spec: &TlbSpec) -> Self {
        let reach = |entries: u32| u64::from(entries) << spec.page.bits();
        TlbRates {
            l1_reach_bytes: reach(spec.l1_entries),
            gpc_reach_bytes: reach(spec.gpc_entries),
            l2_reach_bytes: reach(spec.l2_entries),
            l1_hit_rate: ratio(stats.l1.hits, stats.l1.lookups),
            gpc_hit_rate: ratio(stats.gpc.hits, stats.gpc.lookups),
            l2_hit_rate: ratio(stats.l2.hits, stats.l2.lookups),
            walk_cycles: ratio(stats.walk.busy_cycles, stats.walk.walks),
        }
    }
}

/// Address translation of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tlb {
    /// Counted.
    #[serde(flatten)]
    pub counters: TlbStats,
    /// Derived.
    #[serde(flatten)]
    pub rates: TlbRates,
}

impl Tlb {
    /// Of what was counted on a machine with `spec`.
    pub fn new(counters: TlbStats, spec: &TlbSpec) -> Self {
        Tlb {
            counters,
            rates: TlbRates::of(&counters, spec),
        }
    }
}
