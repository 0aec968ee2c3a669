//! The DRAM behind L2.

use super::declare::{choice, section};
use super::rules::{Rule, architecture_research, unless};

choice! {
    /// DRAM speed grades; their numbers are in `mem/dram/spec`.
    pub enum DramStandard {
        /// HBM2, 1.6 Gb/s a pin.
        Hbm2At1600 = "HBM2_1600",
        /// HBM2, 2 Gb/s a pin.
        Hbm2At2000 = "HBM2_2000",
        /// HBM2, 2.4 Gb/s a pin.
        Hbm2At2400 = "HBM2_2400",
        /// HBM2E, 2.4 Gb/s a pin.
        Hbm2EAt2400 = "HBM2E_2400",
        /// HBM2E, 2.8 Gb/s a pin.
        Hbm2EAt2800 = "HBM2E_2800",
        /// HBM2E, 3.2 Gb/s a pin.
        Hbm2EAt3200 = "HBM2E_3200",
        /// HBM2E, 3.6 Gb/s a pin.
        Hbm2EAt3600 = "HBM2E_3600",
        /// HBM3, 4.8 Gb/s a pin.
        Hbm3At4800 = "HBM3_4800",
        /// HBM3, 5.2 Gb/s a pin.
        Hbm3At5200 = "HBM3_5200",
        /// HBM3, 5.6 Gb/s a pin.
        Hbm3At5600 = "HBM3_5600",
        /// HBM3, 6.4 Gb/s a pin.
        Hbm3At6400 = "HBM3_6400",
        /// HBM3E, 8 Gb/s a pin.
        Hbm3EAt8000 = "HBM3E_8000",
        /// HBM3E, 9.2 Gb/s a pin.
        Hbm3EAt9200 = "HBM3E_9200",
        /// HBM3E, 9.6 Gb/s a pin.
        Hbm3EAt9600 = "HBM3E_9600",
        /// HBM4, 8 Gb/s a pin.
        Hbm4At8000 = "HBM4_8000",
        /// GDDR6, 12 Gb/s a pin.
        Gddr6At12000 = "GDDR6_12000",
        /// GDDR6, 14 Gb/s a pin.
        Gddr6At14000 = "GDDR6_14000",
        /// GDDR6, 14 Gb/s a pin at 1.25 V.
        Gddr6At14000Low = "GDDR6_14000_1250MV",
        /// GDDR6, 16 Gb/s a pin.
        Gddr6At16000 = "GDDR6_16000",
        /// GDDR6, 18 Gb/s a pin.
        Gddr6At18000 = "GDDR6_18000",
        /// GDDR6, 20 Gb/s a pin.
        Gddr6At20000 = "GDDR6_20000",
        /// GDDR6X, 19 Gb/s a pin.
        Gddr6XAt19000 = "GDDR6X_19000",
        /// GDDR6X, 21 Gb/s a pin.
        Gddr6XAt21000 = "GDDR6X_21000",
        /// GDDR6X, 22.4 Gb/s a pin.
        Gddr6XAt22400 = "GDDR6X_22400",
        /// GDDR7, 28 Gb/s a pin.
        Gddr7At28000 = "GDDR7_28000",
        /// GDDR7, 30 Gb/s a pin.
        Gddr7At30000 = "GDDR7_30000",
        /// GDDR7, 32 Gb/s a pin.
        Gddr7At32000 = "GDDR7_32000",
    }
}

choice! {
    /// Which request a memory controller prefers.
    pub enum DramScheduler {
        /// Strictly in order of arrival, one request at a time.
        Fcfs = "fcfs",
        /// First ready, first come first served; a younger conflict cannot close a row that an older hit waits for.
        FrFcfs = "fr-fcfs",
        /// First ready, first come first served without that protection.
        FrFcfsPlain = "fr-fcfs-plain",
        /// Hits always before conflicts of the bank, and before row commands.
        FrFcfsRowHit = "fr-fcfs-rowhit",
        /// As `fr-fcfs-rowhit`, but after some hits past an older conflict the conflict is served.
        FrFcfsCap = "fr-fcfs-cap",
        /// Blacklisting: a stream that was served several times in a row loses its turn for a while.
        Bliss = "bliss",
        /// Batches of the oldest requests per stream and bank; within a batch shortest stream first.
        ParBs = "par-bs",
        /// FR-FCFS that leaves a write drain only when no queued write hits an open row.
        WriteAware = "write-aware",
    }
}

choice! {
    /// When a memory controller closes a row.
    pub enum DramPage {
        /// Only a conflicting request or a refresh closes a row.
        Open = "open",
        /// Every access closes its row (auto-precharge).
        Closed = "closed",
        /// The last waiting access to a row closes it.
        ClosedBatch = "closed-batch",
        /// A row that was not accessed for a while and that nobody waits for is closed.
        Timeout = "timeout",
    }
}

choice! {
    /// Layout of a channel's address bits, low to high. The burst offset is always lowest and the row highest.
    pub enum DramMap {
        /// Offset, bank group, bank, column, row: neighbouring bursts hit different bank groups.
        M0 = "m0",
        /// Offset, column, bank group, bank, row: a whole row is contiguous.
        M1 = "m1",
        /// `m0` with the bank index XORed with the low row bits (permutation-based interleaving).
        M0Xor = "m0-xor",
        /// `m1` with the bank index XORed with the low row bits.
        M1Xor = "m1-xor",
        /// `m0` with the bank index XORed with a polynomial hash of all row bits (pseudo-random interleaving).
        M0Ipoly = "m0-ipoly",
        /// `m1` with the bank index XORed with a polynomial hash of all row bits.
        M1Ipoly = "m1-ipoly",
        /// Two column bits between bank and bank group bits, XOR hash: the layout of GPGPU-Sim's HBM2 parts.
        GpuSplit = "gpu-split",
    }
}

choice! {
    /// How a memory controller refreshes.
    pub enum DramRefresh {
        /// All banks at once.
        AllBank = "all-bank",
        /// Bank after bank.
        PerBank = "per-bank",
        /// No refresh.
        Off = "off",
    }
}

/// Most entries of a queue of a channel: their indices have 16 bits.
pub const DRAM_QUEUE_MAX: u64 = 4096;

section! {
    /// `[dram]`: all channels.
    pub struct MemorySpec {
        /// A fixed latency instead of the channel model (for studies of the rest).
        pub simple: bool = Flag,
        /// Core cycles of the fixed latency when `simple`.
        pub simple_latency: u16 = Cycles(1, 20_000),
        /// Every read takes what a read of an open row takes in an idle channel, however many there are (feature
        /// architecture-research).
        pub perfect: bool = Flag,
        /// Standard, e.g. `HBM2_2000`.
        pub standard: DramStandard = Name(DramStandard::NAMES),
        /// Channels (GDDR) or pseudo-channels (HBM); L2 slices are dealt to them in order.
        pub channels: u16 = Count(1, 1024),
        /// Command clock, kHz.
        pub clock_khz: u32 = Kilohertz(100_000, 10_000_000),
        /// Size, bytes, all channels together.
        pub bytes: u64 = Bytes(1 << 20, 1 << 44),
        /// Check bits lie among the data (in-line ECC), instead of beside them or nowhere.
        pub inline_ecc: bool = Flag,
        /// Lines of a block of which one holds the check bits of the others (`inline_ecc`). Each fetch of a line reads
        /// 32 bytes of them, each written-back line writes 32.
        pub ecc_block_lines: u8 = Count(2, 64),
        /// Scheduler.
        pub scheduler: DramScheduler = Name(DramScheduler::NAMES),
        /// Row hits that may pass an older conflict of their bank (`fr-fcfs-cap`).
        pub row_hit_cap: u16 = Count(1, 1024),
        /// Page policy.
        pub page: DramPage = Name(DramPage::NAMES),
        /// DRAM clocks without an access after which a row is closed (`page = "timeout"`).
        pub page_timeout: u16 = Count(1, 60_000),
        /// Address map.
        pub map: DramMap = Name(DramMap::NAMES),
        /// Read queue entries of a channel.
        pub read_queue: u16 = Count(1, DRAM_QUEUE_MAX),
        /// Write queue entries of a channel.
        pub write_queue: u16 = Count(1, DRAM_QUEUE_MAX),
        /// Writes start draining at this many queued.
        pub write_high: u16 = Count(1, DRAM_QUEUE_MAX),
        /// And stop, when reads wait, at this many.
        pub write_low: u16 = Count(0, DRAM_QUEUE_MAX),
        /// DRAM clocks without a queued read after which writes drain below `write_high` as well.
        pub write_idle: u16 = Cycles(0, 60000),
        /// Writes of the slices that may wait in front of a channel's queue before its slices take no more requests.
        pub write_backlog: u16 = Count(1, 60_000),
        /// Refresh mode.
        pub refresh: DramRefresh = Name(DramRefresh::NAMES),
        /// Refreshes that may be put off while requests wait (JEDEC allows 8).
        pub refresh_postpone: u8 = Count(0, 8),
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

pub(super) const RULES: &[Rule] = &[
    Rule {
        key: "dram.perfect",
        with: &[],
        broken: |g| architecture_research(!g.dram.perfect, "false", "for a perfect DRAM"),
    },
    Rule {
        key: "dram.perfect",
        with: &["dram.simple"],
        broken: |g| {
            unless(
                !(g.dram.perfect && g.dram.simple),
                || "false with dram.simple = true".to_owned(),
                "both say what a read takes; choose one",
            )
        },
    },
    Rule {
        key: "dram.write_high",
        with: &["dram.write_queue"],
        broken: |g| {
            unless(
                g.dram.write_high <= g.dram.write_queue,
                || format!("at most dram.write_queue = {}", g.dram.write_queue),
                "the drain must start before the queue is full",
            )
        },
    },
    Rule {
        key: "dram.write_low",
        with: &["dram.write_high"],
        broken: |g| {
            unless(
                g.dram.write_low < g.dram.write_high,
                || format!("below dram.write_high = {}", g.dram.write_high),
                "a drain must empty at least one entry",
            )
        },
    },
];
