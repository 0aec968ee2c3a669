//! Counters of all kernels together, for tables that show the whole run.

use crate::mem::SECTOR_BYTES;
use crate::report::schema::Kernel;
use crate::stats::{DramStats, IssueStats, L1Stats, L2Stats, LsuStats};
use std::collections::BTreeMap;

/// Counters of all kernels together.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) seconds: f64,
    pub(super) slots: u64,
    pub(super) slice_cycles: u64,
    pub(super) slice_busy: u64,
    /// Slots for which each pipe was held, times 100.
    pub(super) pipe_cycles: BTreeMap<&'static str, f64>,
    pub(super) issue: IssueStats,
    pub(super) lsu: LsuStats,
    pub(super) l1: L1Stats,
    pub(super) l2: L2Stats,
    pub(super) dram: DramStats,
}

impl Sums {
    /// Of `kernels`. Overlapped kernels share counters, which are then here more than once.
    pub(super) fn of(kernels: &[Kernel]) -> Self {
        let mut sums = Sums::default();
        for k in kernels {
            if k.cycles > 0 {
                sums.seconds += k.time_us * 1e-6 * k.counted_cycles as f64 / k.cycles as f64;
            }
            sums.slots += k.total_slots;
            sums.slice_busy += k.l2.slice_cycles.busy;
            sums.slice_cycles += k.l2.slice_cycles.busy + k.l2.slice_cycles.idle;
            for (name, pipe) in k.pipes.named() {
                if let Some(share) = pipe.utilisation_percent {
                    *sums.pipe_cycles.entry(name).or_default() += share * k.total_slots as f64;
                }
            }
            sums.issue += &k.issue;
            sums.lsu += &k.lsu.counters;
            sums.l1 += &k.l1.counters;
            sums.l2 += &k.l2.counters;
            sums.dram += &k.dram.counters;
        }
        sums
    }

    /// Bandwidth of `sectors` in the time of all kernels.
    pub(super) fn gb_per_s(&self, sectors: u64) -> f64 {
        if self.seconds > 0.0 {
            (sectors * SECTOR_BYTES) as f64 / self.seconds / 1e9
        } else {
            0.0
        }
    }
}
