//! Counters in the form that the report gives them.

use crate::mem::dram::{BusCycles, DramStats};

use crate::stats;
use crate::stats::{IssueStats, Label};
use serde::ser::{Serialize, SerializeMap, Serializer};

stats! {
    /// All DRAM channels. Cycles and latencies are of the command clock (CK).
    pub struct DramCounters {
        /// Read bursts, 32 bytes each.
        pub reads: u64,
        /// Write bursts, 32 bytes each.
        pub writes: u64,
        /// Reads answered from the write queue, without a command.
        pub forwarded_reads: u64,
        /// Writes merged into a queued write to the same burst, without a command.
        pub merged_writes: u64,
        /// Activates.
        pub activates: u64,
        /// Explicit precharges (an all-bank precharge counts once).
        pub precharges: u64,
        /// Precharges done by an access itself.
        pub auto_precharges: u64,
        /// All-bank refreshes.
        pub refreshes: u64,
        /// Per-bank refreshes.
        pub bank_refreshes: u64,
        /// Requests whose row was open when their first command issued.
        pub row_hits: u64,
        /// Requests whose bank was closed then.
        pub row_misses: u64,
        /// Requests that found another row open.
        pub row_conflicts: u64,
        /// Switches of a data bus between reading and writing.
        pub direction_switches: u64,
        /// Sum of read latencies, from acceptance by the channel to the last data beat.
        pub read_latency_sum: u64,
        /// Reads in `read_latency_sum`.
        pub read_latency_count: u64,
        /// Elapsed command-clock cycles of all channels, which `bus` labels.
        pub cycles: u64,
    }
}

stats! {
    /// Every command-clock cycle of every channel has one label; they sum to `dram.cycles`.
    pub struct BusLabels {
        /// Data beats moved.
        pub data: u64,
        /// No request was pending.
        pub idle: u64,
        /// The next data waited for a precharge, an activate, or the activate-to-column delay.
        pub activate_wait: u64,
        /// The bus changed direction.
        pub turnaround: u64,
        /// A refresh was due or under way while requests waited.
        pub refresh: u64,
        /// The row was open and the column command could not come sooner.
        pub column_wait: u64,
    }
}

impl From<&DramStats> for DramCounters {
    /// Names every field, so that a new one cannot be forgotten here.
    fn from(d: &DramStats) -> Self {
        let DramStats {
            reads,
            writes,
            forwarded_reads,
            merged_writes,
            activates,
            precharges,
            auto_precharges,
            refreshes,
            bank_refreshes,
            row_hits,
            row_misses,
            row_conflicts,
            direction_switches,
            read_latency_sum,
            read_latency_count,
            // Extremes are of the whole run, not of the kernel: they cannot be differenced.
            read_latency_min: _,
            read_latency_max: _,
            cycles,
            bus: _,
        } = *d;
        DramCounters {
            reads,
            writes,
            forwarded_reads,
            merged_writes,
            activates,
            precharges,
            auto_precharges,
            refreshes,
            bank_refreshes,
            row_hits,
            row_misses,
            row_conflicts,
            direction_switches,
            read_latency_sum,
            read_latency_count,
            cycles,
        }
    }
}

impl From<&BusCycles> for BusLabels {
    fn from(b: &BusCycles) -> Self {
        let BusCycles {
            data,
            idle,
            activate_wait,
            turnaround,
            refresh,
            column_wait,
        } = *b;
        BusLabels {
            data,
            idle,
            activate_wait,
            turnaround,
            refresh,
            column_wait,
        }
    }
}

/// Issue slots by label, in the order of the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IssueSlots(pub IssueStats);

impl IssueSlots {
    /// Labels with their slots.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Label::NAMES.into_iter().zip(self.0.slots)
    }
}

impl Serialize for IssueSlots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Label::COUNT))?;
        for (label, slots) in self.iter() {
            map.serialize_entry(label, &slots)?;
        }
        map.end()
    }
}

/// What each issue label means, in the order of the labels.
pub const ISSUE_TEXTS: [&str; Label::COUNT] = [
    "An instruction issued.",
    "No warp is resident on the sub-core.",
    "Waiting for data of global, local or texture memory.",
    "Waiting for data of shared memory, a shuffle, or the transcendental unit.",
    "Waiting for a fixed-latency dependence or a stall count.",
    "Waiting at a CTA barrier.",
    "The execution pipe is busy.",
    "The memory-I/O queue (shared memory, shuffles) is full.",
    "The load/store queue for global and local memory is full.",
    "The next instruction is not in the instruction cache.",
    "The constant operand is not in the constant cache.",
    "The issue port is held, for example by register-file port conflicts.",
    "After EXIT, waiting for memory instructions to leave.",
    "Waiting at a memory fence.",
    "A branch is being resolved or its target fetched.",
    "Sleeping.",
    "Anything else.",
];
