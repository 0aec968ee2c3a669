//! The DRAM behind L2.

use super::declare::section;

/// DRAM standards, by the names of `phantom-gpu dram --standard`.
pub const STANDARDS: &[&str] = &[
    "HBM2_1600",
    "HBM2_2000",
    "HBM2_2400",
    "HBM2E_2400",
    "HBM2E_2800",
    "HBM2E_3200",
    "HBM2E_3600",
    "HBM3_4800",
    "HBM3_5200",
    "HBM3_5600",
    "HBM3_6400",
    "HBM3E_8000",
    "HBM3E_9200",
    "HBM3E_9600",
    "HBM4_8000",
    "GDDR6_12000",
    "GDDR6_14000",
    "GDDR6_14000_1250MV",
    "GDDR6_16000",
    "GDDR6_18000",
    "GDDR6_20000",
    "GDDR6X_19000",
    "GDDR6X_21000",
    "GDDR6X_22400",
    "GDDR7_28000",
    "GDDR7_30000",
    "GDDR7_32000",
];

/// Memory schedulers.
pub const SCHEDULERS: &[&str] = &[
    "fr-fcfs",
    "fcfs",
    "fr-fcfs-plain",
    "fr-fcfs-rowhit",
    "fr-fcfs-cap",
    "bliss",
    "par-bs",
    "write-aware",
];

/// Page policies.
pub const PAGE_POLICIES: &[&str] = &["open", "closed", "closed-batch", "timeout"];

/// Address maps within a channel.
pub const ADDRESS_MAPS: &[&str] = &[
    "m0",
    "m1",
    "m0-xor",
    "m1-xor",
    "m0-ipoly",
    "m1-ipoly",
    "gpu-split",
];

/// Refresh modes.
pub const REFRESH_MODES: &[&str] = &["all-bank", "per-bank", "off"];

section! {
    /// `[dram]`: all channels.
    pub struct MemorySpec {
        /// A fixed latency instead of the channel model (for studies of the rest).
        pub simple: bool = Flag,
        /// Core cycles of the fixed latency when `simple`.
        pub simple_latency: u16 = Cycles(1, 20_000),
        /// Standard, e.g. `HBM2_2000`.
        pub standard: String = Name(STANDARDS),
        /// Channels (GDDR) or pseudo-channels (HBM); L2 slices are dealt to them in order.
        pub channels: u16 = Count(1, 1024),
        /// Command clock, kHz.
        pub clock_khz: u32 = Kilohertz(100_000, 10_000_000),
        /// Size, bytes, all channels together.
        pub bytes: u64 = Bytes(1 << 20, 1 << 44),
        /// Scheduler, by name.
        pub scheduler: String = Name(SCHEDULERS),
        /// Page policy, by name.
        pub page: String = Name(PAGE_POLICIES),
        /// Address map, by name.
        pub map: String = Name(ADDRESS_MAPS),
        /// Read queue entries of a channel.
        pub read_queue: u16 = Count(1, 1024),
        /// Write queue entries of a channel.
        pub write_queue: u16 = Count(1, 1024),
        /// Writes start draining at this many queued.
        pub write_high: u16 = Count(1, 1024),
        /// And stop at this many.
        pub write_low: u16 = Count(0, 1024),
        /// DRAM clocks without a queued read after which writes drain below `write_high` as well.
        pub write_idle: u16 = Cycles(0, 60000),
        /// Refresh mode, by name: `all-bank`, `per-bank`, `off`.
        pub refresh: String = Name(REFRESH_MODES),
        /// Core cycles on the way through controller and PHY, both ways together.
        pub controller_latency: u16 = Cycles(0, 4000),
    }
}

impl MemorySpec {
    /// Peak bandwidth of all channels, bytes per second: every standard moves 32 bytes in two
    /// command clocks.
    pub fn peak_bytes_per_s(&self) -> u64 {
        u64::from(self.channels) * u64::from(self.clock_khz) * 1000 * 16
    }
}
