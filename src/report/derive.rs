//! Derived numbers: pure functions of counters and configuration.
//!
//! A derived number is declared once, with unit, sentence and formula; the struct, its computation and
//! what `explain` says about it follow from the declaration.

use super::record::Field;
use crate::config::GpuSpec;
use crate::gpu::ChipCounters;
use crate::mem::SECTOR_BYTES;
use crate::stats::Label;

/// What a kernel's numbers are derived from.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Core cycles that the counters cover.
    pub cycles: u64,
    /// The machine.
    pub spec: &'a GpuSpec,
    /// What was counted.
    pub counters: &'a ChipCounters,
}

impl Window<'_> {
    /// Issue slots: sub-cores of the chip times cycles.
    pub fn slots(&self) -> u64 {
        u64::from(self.spec.sm.sub_cores) * self.sm_cycles()
    }

    /// SMs times cycles.
    pub fn sm_cycles(&self) -> u64 {
        u64::from(self.spec.sms) * self.cycles
    }

    /// Sectors that SMs read of L2; one that goes on to the other partition counts once.
    pub fn l2_reads(&self) -> u64 {
        let l2 = &self.counters.l2;
        l2.sector_reads.saturating_sub(l2.forwarded_sectors)
    }

    /// Sectors among them that were requested from DRAM.
    pub fn l2_read_misses(&self) -> u64 {
        let l2 = &self.counters.l2;
        l2.read_misses.saturating_sub(l2.forwarded_sectors)
    }

    /// L2 slices times cycles.
    pub fn slice_cycles(&self) -> u64 {
        u64::from(self.spec.l2.slices) * self.cycles
    }

    /// Cycles that a slice's data path was busy, summed. What is booked beyond the end is cut off.
    pub fn slice_busy_cycles(&self) -> u64 {
        self.counters.l2.busy_cycles.min(self.slice_cycles())
    }

    /// Length of the window.
    pub fn seconds(&self) -> f64 {
        seconds(self.cycles, self.spec)
    }

    /// Issue slots of sub-cores with at least one warp.
    pub fn active_slots(&self) -> u64 {
        let issue = &self.counters.sm.issue;
        issue.total() - issue.get(Label::NoWarp)
    }

    fn gb_per_s(&self, bytes: u64) -> f64 {
        if self.cycles == 0 {
            0.0
        } else {
            bytes as f64 / self.seconds() / 1e9
        }
    }
}

/// `cycles` of the core clock in seconds.
pub fn seconds(cycles: u64, spec: &GpuSpec) -> f64 {
    cycles as f64 / (f64::from(spec.core_clock_khz) * 1e3)
}

/// `cycles` of the core clock in microseconds.
pub fn microseconds(cycles: u64, spec: &GpuSpec) -> f64 {
    cycles as f64 * 1e3 / f64::from(spec.core_clock_khz)
}

/// `part / whole`, and 0 when there is nothing.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// `100 part / whole`, and 0 when there is nothing.
pub fn percent(part: u64, whole: u64) -> f64 {
    100.0 * ratio(part, whole)
}

/// Declares a struct of derived numbers.
macro_rules! derived {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($w:ident) {
            $( #[doc = $doc:literal] $field:ident: $unit:literal, $formula:literal => $value:expr; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
        pub struct $name { $( #[doc = $doc] pub $field: f64, )+ }

        impl $name {
            /// What each field means, in declaration order.
            pub const SCHEMA: &'static [Field] = &[ $( Field {
                name: stringify!($field),
                unit: $unit,
                text: $doc.trim_ascii(),
                formula: $formula,
            }, )+ ];

            /// Of a window of time.
            pub fn of($w: &Window) -> Self {
                Self { $( $field: $value, )+ }
            }
        }
    };
}

derived! {
    /// Of the issue side.
    pub struct SmRates(w) {
        /// Share of SM cycles with at least one resident warp.
        active_percent: "%", "100 sm.active_cycles / (SMs x counted_cycles)"
            => percent(w.counters.sm.sm.active_cycles, w.sm_cycles());
        /// Share of issue slots in which an instruction issued.
        issue_percent: "%", "100 issue.issued / total_slots"
            => percent(w.counters.sm.issue.get(Label::Issued), w.slots());
        /// Active lanes of an instruction.
        lanes_per_instruction: "threads", "sm.thread_instructions / sm.warp_instructions"
            => ratio(w.counters.sm.sm.thread_instructions, w.counters.sm.sm.warp_instructions);
        /// Resident warps of an SM that has any.
        warps_per_active_cycle: "warps", "sm.warp_cycles / sm.active_cycles"
            => ratio(w.counters.sm.sm.warp_cycles, w.counters.sm.sm.active_cycles);
    }
}

derived! {
    /// Of the instruction and constant caches.
    pub struct FetchRates(w) {
        /// Share of L0 lookups that hit.
        l0_hit_percent: "%", "100 (fetch.l0_lookups - fetch.l0_misses) / fetch.l0_lookups"
            => hits(w.counters.sm.fetch.l0_lookups, w.counters.sm.fetch.l0_misses);
        /// Share of constant accesses that hit the first level.
        const_hit_percent: "%", "100 (fetch.const_accesses - fetch.const_misses) / fetch.const_accesses"
            => hits(w.counters.sm.fetch.const_accesses, w.counters.sm.fetch.const_misses);
    }
}

derived! {
    /// Of the load/store unit.
    pub struct LsuRates(w) {
        /// Lines that a global instruction touches: 1 is fully coalesced for 32-bit data.
        lines_per_instruction: "lines", "lsu.line_requests / lsu.global_instructions"
            => ratio(w.counters.sm.lsu.line_requests, w.counters.sm.lsu.global_instructions);
        /// Sectors touched of a line: 4 uses all of what is moved.
        sectors_per_line: "sectors", "lsu.sector_requests / lsu.line_requests"
            => ratio(w.counters.sm.lsu.sector_requests, w.counters.sm.lsu.line_requests);
        /// Bank passes of a shared-memory instruction.
        passes_per_shared_instruction: "passes", "lsu.shared_passes / lsu.shared_instructions"
            => ratio(w.counters.sm.lsu.shared_passes, w.counters.sm.lsu.shared_instructions);
    }
}

derived! {
    /// Of the L1 data caches.
    pub struct L1Rates(w) {
        /// Share of sector reads that found valid data.
        hit_percent: "%", "100 l1.sector_hits / l1.sector_reads"
            => percent(w.counters.sm.l1.sector_hits, w.counters.sm.l1.sector_reads);
        /// Share of sector reads that needed no request of their own: hits and merges.
        hit_or_merged_percent: "%", "100 (l1.sector_hits + l1.sector_mshr_hits) / l1.sector_reads"
            => hits(w.counters.sm.l1.sector_reads, w.counters.sm.l1.sector_misses);
        /// Bandwidth of loads at the L1 data caches.
        read_gb_per_s: "GB/s", "32 l1.sector_reads / time"
            => w.gb_per_s(w.counters.sm.l1.sector_reads * SECTOR_BYTES);
        /// Bandwidth of stores.
        write_gb_per_s: "GB/s", "32 l1.sector_writes / time"
            => w.gb_per_s(w.counters.sm.l1.sector_writes * SECTOR_BYTES);
        /// Share of the prefetched sectors that a load used, in L1 or still on their way; the others were useless.
        prefetch_used_percent: "%", "100 (l1.prefetch_hits + l1.prefetch_late) / l1.prefetches"
            => percent(
                w.counters.sm.l1.prefetch_hits + w.counters.sm.l1.prefetch_late,
                w.counters.sm.l1.prefetches,
            );
        /// Refused accesses per thousand cycles of an SM.
        reservation_fails_per_kilocycle: "per kcycle", "1000 l1.reservation_fails / (SMs x counted_cycles)"
            => 1e3 * ratio(w.counters.sm.l1.reservation_fails, w.sm_cycles());
    }
}

derived! {
    /// Of the crossbar.
    pub struct NocRates(w) {
        /// Bandwidth from SMs to L2, headers included.
        request_gb_per_s: "GB/s", "noc.request_bytes / time"
            => w.gb_per_s(w.counters.noc.request_bytes);
        /// Bandwidth from L2 to SMs, headers included.
        reply_gb_per_s: "GB/s", "noc.reply_bytes / time"
            => w.gb_per_s(w.counters.noc.reply_bytes);
        /// Cycles that a request waited for ports.
        request_wait_cycles_avg: "cycles", "noc.request_wait_cycles / noc.requests"
            => ratio(w.counters.noc.request_wait_cycles, w.counters.noc.requests);
        /// Cycles that a reply waited for ports.
        reply_wait_cycles_avg: "cycles", "noc.reply_wait_cycles / noc.replies"
            => ratio(w.counters.noc.reply_wait_cycles, w.counters.noc.replies);
    }
}

derived! {
    /// Of L2.
    pub struct L2Rates(w) {
        /// Share of sector reads found valid or on their way; one that both partitions look up counts once.
        read_hit_percent: "%",
            "100 (1 - (l2.read_misses - l2.forwarded_sectors) / (l2.sector_reads - l2.forwarded_sectors))"
            => hits(w.l2_reads(), w.l2_read_misses());
        /// Share of sector lookups of reads that found valid data.
        read_present_percent: "%", "100 l2.read_hits / l2.sector_reads"
            => percent(w.counters.l2.read_hits, w.counters.l2.sector_reads);
        /// Share of sector writes that found their line.
        write_hit_percent: "%", "100 l2.write_hits / l2.sector_writes"
            => percent(w.counters.l2.write_hits, w.counters.l2.sector_writes);
        /// Bandwidth of reads.
        read_gb_per_s: "GB/s", "32 l2.sector_reads / time"
            => w.gb_per_s(w.counters.l2.sector_reads * SECTOR_BYTES);
        /// Bandwidth of writes.
        write_gb_per_s: "GB/s", "32 l2.sector_writes / time"
            => w.gb_per_s(w.counters.l2.sector_writes * SECTOR_BYTES);
        /// Share of slice cycles in which the data path was busy.
        utilisation_percent: "%", "100 l2.slice_cycles.busy / (slices x counted_cycles)"
            => percent(w.slice_busy_cycles(), w.slice_cycles());
    }
}

derived! {
    /// Of the DRAM.
    pub struct DramRates(w) {
        /// Bandwidth of reads.
        read_gb_per_s: "GB/s", "32 dram.reads / time"
            => w.gb_per_s(w.counters.dram.reads * SECTOR_BYTES);
        /// Bandwidth of writes.
        write_gb_per_s: "GB/s", "32 dram.writes / time"
            => w.gb_per_s(w.counters.dram.writes * SECTOR_BYTES);
        /// Reads and writes, of what the interface could move.
        peak_percent: "%", "100 x 32 (dram.reads + dram.writes) / time / peak"
            => peak_percent(w);
        /// What the interface could move.
        peak_gb_per_s: "GB/s", "dram.channels x dram.clock_khz x 16 bytes"
            => w.spec.dram.peak_bytes_per_s() as f64 / 1e9;
        /// Share of accesses that needed no activate of their own.
        row_hit_percent: "%", "100 (1 - dram.activates / (dram.reads + dram.writes))"
            => 100.0 * w.counters.dram.row_hit_rate();
        /// Share of bus cycles that moved data.
        bus_percent: "%", "100 dram.bus.data / dram.cycles"
            => percent(w.counters.dram.bus.data, w.counters.dram.cycles);
        /// Mean read latency within the channel.
        read_latency_avg: "CK", "dram.read_latency_sum / dram.read_latency_count"
            => w.counters.dram.read_latency_avg();
    }
}

fn hits(accesses: u64, misses: u64) -> f64 {
    percent(accesses.saturating_sub(misses), accesses)
}

fn peak_percent(w: &Window) -> f64 {
    let bytes = (w.counters.dram.reads + w.counters.dram.writes) * SECTOR_BYTES;
    100.0 * w.gb_per_s(bytes) * 1e9 / w.spec.dram.peak_bytes_per_s() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_divided_by_nothing_is_nothing() {
        let spec = crate::config::load("v100", &[]).unwrap().spec;
        let counters = ChipCounters::default();
        let w = Window {
            cycles: 0,
            spec: &spec,
            counters: &counters,
        };
        assert_eq!(DramRates::of(&w).peak_percent, 0.0);
        assert_eq!(L1Rates::of(&w), L1Rates::default());
        assert_eq!(ratio(1, 0), 0.0);
    }

    #[test]
    fn bandwidth_is_bytes_by_time() {
        let spec = crate::config::load("v100", &[]).unwrap().spec;
        let mut counters = ChipCounters::default();
        counters.dram.reads = 1_000_000;
        let w = Window {
            cycles: u64::from(spec.core_clock_khz),
            spec: &spec,
            counters: &counters,
        };
        // 32 MB in a millisecond.
        assert!((DramRates::of(&w).read_gb_per_s - 32.0).abs() < 1e-9);
    }
}
