//! [`ChannelSpec`]: everything that one channel is built from, checked once, immutable afterwards.

use super::addr_map::Map;
use super::page::PagePolicy;
use super::refresh::RefreshMode;
use super::sched::Policy;
use super::spec::StandardSpec;
use crate::config::memory::DRAM_QUEUE_MAX;

/// Largest queue.
pub const MAX_QUEUE: u32 = DRAM_QUEUE_MAX as u32;

/// A channel before it is built. Start from [`ChannelSpec::new`], change fields, then [`ChannelSpec::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSpec {
    /// Device numbers.
    pub standard: StandardSpec,
    /// Entries of the read queue.
    pub read_queue: u32,
    /// Entries of the write queue.
    pub write_queue: u32,
    /// Writes are drained once so many are queued; at most `write_queue`.
    pub write_high: u32,
    /// Draining stops at this many, when reads wait; less than `write_high`.
    pub write_low: u32,
    /// Writes are drained also below their watermark once no read has been queued for this long, CK. With 0 they
    /// fill every gap between reads, which turns the bus round more often but never makes reads wait for long.
    pub write_idle: u32,
    /// Scheduling policy.
    pub policy: Policy,
    /// When rows are closed.
    pub page: PagePolicy,
    /// Address map.
    pub map: Map,
    /// Refresh.
    pub refresh: RefreshMode,
}

impl ChannelSpec {
    /// The default controller for `standard`: 32 + 32 entries, FR-FCFS, open page, map m0, all-bank refresh.
    pub fn new(standard: &StandardSpec) -> ChannelSpec {
        let mut spec = ChannelSpec {
            standard: standard.clone(),
            read_queue: 0,
            write_queue: 0,
            write_high: 0,
            write_low: 0,
            write_idle: 0,
            policy: Policy::FrFcfs,
            page: PagePolicy::Open,
            map: Map::M0,
            refresh: RefreshMode::AllBank { postpone: 0 },
        };
        spec.set_queues(32, 32);
        spec
    }

    /// Queues of so many entries, with watermarks at four fifths and one fifth of the writes.
    pub fn set_queues(&mut self, reads: u32, writes: u32) {
        self.read_queue = reads;
        self.write_queue = writes;
        self.write_high = writes * 4 / 5 + 1;
        self.write_low = writes.div_ceil(5).saturating_sub(1);
    }

    /// All faults at once; each says which field, its value and the allowed range.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut faults = Vec::new();
        for (name, size) in [
            ("read_queue", self.read_queue),
            ("write_queue", self.write_queue),
        ] {
            if !(1..=MAX_QUEUE).contains(&size) {
                faults.push(format!(
                    "{name} = {size}: expected 1 to {MAX_QUEUE} entries"
                ));
            }
        }
        if self.write_high > self.write_queue || self.write_low >= self.write_high {
            faults.push(format!(
                "write_low = {}, write_high = {}: expected write_low < write_high <= write_queue = {}",
                self.write_low, self.write_high, self.write_queue
            ));
        }
        if self.standard.org.banks() as usize > super::MAX_BANKS {
            faults.push(format!(
                "{} banks: at most {}",
                self.standard.org.banks(),
                super::MAX_BANKS
            ));
        }
        if let PagePolicy::Timeout { cycles: 0 } = self.page {
            faults
                .push("page timeout = 0: expected at least 1 cycle (or page = closed)".to_owned());
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }
}
