//! The accounts of the chip, and of each of its units.

use super::{ChipCounters, Gpu, SmUnit, UnitCounters, UnitCounts, read, write};
use crate::engine::Cycle;
use crate::probe::Probe;
use crate::sm::ChipStage;
use std::sync::RwLock;

impl<P: Probe + Sync, S: ChipStage> Gpu<P, S> {
    /// All counters at cycle `at`, which must not lie before anything that has been simulated. With `closing`
    /// every issue slot before `at` gets its label, even in the middle of a wait. Serial.
    pub fn counters(&self, at: Cycle, closing: bool) -> ChipCounters {
        self.sum(&self.unit_counters(at, closing))
    }

    /// The counters at cycle `at` of the chip, and what each unit has done, for a sample. Serial.
    pub fn sample(&self, at: Cycle) -> (ChipCounters, UnitCounts) {
        let units = self.unit_counters(at, false);
        (self.sum(&units), UnitCounts::of(&units))
    }

    fn sum(&self, units: &UnitCounters) -> ChipCounters {
        let mut total = ChipCounters::default();
        units.sms.iter().for_each(|sm| total.sm += sm);
        units.slices.iter().for_each(|slice| total.l2 += slice);
        units.channels.iter().for_each(|dram| total.dram += dram);
        for unit in &self.gpcs {
            total.noc += &read(unit).ports.stats;
        }
        total.noc += &self.mesh.stats();
        total
    }

    /// The same of each SM, slice and channel. Serial.
    pub fn unit_counters(&self, at: Cycle, closing: bool) -> UnitCounters {
        let sm = |unit: &RwLock<SmUnit<P, S>>| write(unit).sm.counters(at, closing);
        let mut counters = UnitCounters {
            sms: self.sms.iter().map(sm).collect(),
            ..UnitCounters::default()
        };
        for unit in &self.shards {
            let shard = &mut write(unit).shard;
            counters.slices.extend(shard.l2_stats());
            counters.channels.push(shard.dram_stats(at));
        }
        counters
    }
}
