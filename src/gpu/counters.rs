//! The counters of the whole chip.

use crate::mem::dram::DramStats;
use crate::sm::SmCounters;
use crate::stats::{L2Stats, NocStats};

/// All counters of the chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChipCounters {
    /// SMs, summed.
    pub sm: SmCounters,
    /// Crossbar.
    pub noc: NocStats,
    /// Slices, summed.
    pub l2: L2Stats,
    /// Channels, summed.
    pub dram: DramStats,
}

impl core::ops::AddAssign<&SmCounters> for SmCounters {
    fn add_assign(&mut self, other: &SmCounters) {
        self.issue += &other.issue;
        self.sm += &other.sm;
        self.fetch += &other.fetch;
        self.lsu += &other.lsu;
        self.l1 += &other.l1;
    }
}

impl ChipCounters {
    /// Adds the counters of one DRAM channel.
    pub fn add_dram(&mut self, more: &DramStats) {
        let total = &mut self.dram;
        dram_fields(total, more, |a, b| *a += b);
        total.read_latency_min = total.read_latency_min.min(more.read_latency_min);
        total.read_latency_max = total.read_latency_max.max(more.read_latency_max);
    }

    /// The counts since `earlier`.
    pub fn since(&self, earlier: &ChipCounters) -> ChipCounters {
        ChipCounters {
            sm: SmCounters {
                issue: self.sm.issue.since(&earlier.sm.issue),
                sm: self.sm.sm.since(&earlier.sm.sm),
                fetch: self.sm.fetch.since(&earlier.sm.fetch),
                lsu: self.sm.lsu.since(&earlier.sm.lsu),
                l1: self.sm.l1.since(&earlier.sm.l1),
            },
            noc: self.noc.since(&earlier.noc),
            l2: self.l2.since(&earlier.l2),
            dram: dram_since(&self.dram, &earlier.dram),
        }
    }
}

/// Applies `f` to every counter that adds up.
fn dram_fields(a: &mut DramStats, b: &DramStats, f: impl Fn(&mut u64, u64)) {
    f(&mut a.reads, b.reads);
    f(&mut a.writes, b.writes);
    f(&mut a.forwarded_reads, b.forwarded_reads);
    f(&mut a.merged_writes, b.merged_writes);
    f(&mut a.activates, b.activates);
    f(&mut a.precharges, b.precharges);
    f(&mut a.auto_precharges, b.auto_precharges);
    f(&mut a.refreshes, b.refreshes);
    f(&mut a.bank_refreshes, b.bank_refreshes);
    f(&mut a.row_hits, b.row_hits);
    f(&mut a.row_misses, b.row_misses);
    f(&mut a.row_conflicts, b.row_conflicts);
    f(&mut a.direction_switches, b.direction_switches);
    f(&mut a.read_latency_sum, b.read_latency_sum);
    f(&mut a.read_latency_count, b.read_latency_count);
    f(&mut a.cycles, b.cycles);
    f(&mut a.bus.data, b.bus.data);
    f(&mut a.bus.idle, b.bus.idle);
    f(&mut a.bus.activate_wait, b.bus.activate_wait);
    f(&mut a.bus.turnaround, b.bus.turnaround);
    f(&mut a.bus.refresh, b.bus.refresh);
    f(&mut a.bus.column_wait, b.bus.column_wait);
}

fn dram_since(now: &DramStats, earlier: &DramStats) -> DramStats {
    let mut out = *now;
    dram_fields(&mut out, earlier, |a, b| *a -= b);
    out
}
