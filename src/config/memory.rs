//! The DRAM behind L2.

/// `[dram]`: all channels.
#[derive(Clone, Debug, PartialEq)]
pub struct MemorySpec {
    /// A fixed latency instead of the channel model (for studies of the rest).
    pub simple: bool,
    /// Core cycles of the fixed latency when `simple`.
    pub simple_latency: u16,
    /// Standard, e.g. `HBM2_2000`.
    pub standard: String,
    /// Channels (GDDR) or pseudo-channels (HBM); L2 slices are dealt to them in order.
    pub channels: u16,
    /// Command clock, kHz.
    pub clock_khz: u32,
    /// Size, bytes, all channels together.
    pub bytes: u64,
    /// Scheduler, by name.
    pub scheduler: String,
    /// Page policy, by name.
    pub page: String,
    /// Address map, by name.
    pub map: String,
    /// Read queue entries of a channel.
    pub read_queue: u16,
    /// Write queue entries of a channel.
    pub write_queue: u16,
    /// Writes start draining at this many queued.
    pub write_high: u16,
    /// And stop at this many.
    pub write_low: u16,
    /// Refresh mode, by name: `all-bank`, `per-bank`, `off`.
    pub refresh: String,
    /// Core cycles on the way through controller and PHY, both ways together.
    pub controller_latency: u16,
}
