//! Another core clock between two kernels.

use super::{ChipStage, Gpu, read, write};
use crate::engine::{ClockRatio, Cycle};
use crate::probe::Probe;

impl<P: Probe + Sync, S: ChipStage> Gpu<P, S> {
    /// From core cycle `at` on, which nothing has been simulated beyond, the core clock is `khz`. SMs, crossbar and L2 run
    /// with it; DRAM keeps its own clock, which goes on where it is. Serial.
    pub fn set_core_clock(&self, khz: u32, at: Cycle) {
        let clock = self.dram_clock();
        self.set_dram_clock(clock.with_core(self.spec.dram.clock_khz, khz, at));
    }

    /// The clock of DRAM by that of the core. Serial.
    pub fn dram_clock(&self) -> ClockRatio {
        read(&self.shards[0]).shard.dram_clock()
    }

    /// Takes over a clock that [`Gpu::dram_clock`] gave, with the state of its time. Serial.
    pub fn set_dram_clock(&self, clock: ClockRatio) {
        for unit in &self.shards {
            write(unit).shard.set_dram_clock(clock);
        }
    }
}
