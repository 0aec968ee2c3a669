//! The accounts of an SM and of the whole chip. Their parts are the sections of a kernel in the report.

use super::declare::stats;
use super::{DramStats, FetchStats, IssueStats, L1Stats, L2Stats, LsuStats, NocStats, SmStats};
use bincode::{Decode, Encode};

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

/// What each unit of the chip has done so far, by its number: the part of [`UnitCounters`] that samples keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct UnitCounts {
    /// Warp instructions of each SM.
    pub issued: Box<[u64]>,
    /// Sectors that each L2 slice was asked to read and to write.
    pub slices: Box<[u64]>,
    /// Bursts of each DRAM channel.
    pub channels: Box<[u64]>,
}

impl UnitCounts {
    /// Those in `units`.
    pub fn of(units: &UnitCounters) -> Self {
        let sectors = |l2: &L2Stats| l2.sector_reads + l2.sector_writes;
        UnitCounts {
            issued: units.sms.iter().map(|sm| sm.sm.warp_instructions).collect(),
            slices: units.slices.iter().map(sectors).collect(),
            channels: units.channels.iter().map(|d| d.reads + d.writes).collect(),
        }
    }
}
