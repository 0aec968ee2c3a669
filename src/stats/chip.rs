//! The accounts of an SM and of the whole chip. Their parts are the sections of a kernel in the report.

use super::declare::stats;
use super::{DramStats, FetchStats, IssueStats, L1Stats, L2Stats, LsuStats, NocStats, SmStats};

stats! {
    /// All counters of an SM.
    pub struct SmCounters {
        /// Issue slots by label.
        issue: part(IssueStats),
        /// Issue side.
        sm: part(SmStats),
        /// Instruction and constant caches.
        fetch: part(FetchStats),
        /// Load/store unit.
        lsu: part(LsuStats),
        /// L1 data cache.
        l1: part(L1Stats),
    }
}

stats! {
    /// All counters of the chip.
    pub struct ChipCounters {
        /// SMs, summed.
        sm: flat(SmCounters),
        /// Crossbar.
        noc: part(NocStats),
        /// Slices, summed.
        l2: part(L2Stats),
        /// Channels, summed.
        dram: part(DramStats),
    }
}

/// Counters of each unit of the chip.
#[derive(Clone, Debug, Default)]
pub struct UnitCounters {
    /// By SM.
    pub sms: Vec<SmCounters>,
    /// By L2 slice.
    pub slices: Vec<L2Stats>,
    /// By DRAM channel.
    pub channels: Vec<DramStats>,
}

impl ChipCounters {
    /// Every counter with its path in the report and its value.
    pub fn named(&self) -> impl Iterator<Item = (String, u64)> {
        let leaves = Self::schema().into_iter().filter(|counter| !counter.group);
        leaves.map(|counter| counter.path).zip(self.values())
    }
}
