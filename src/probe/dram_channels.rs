//! The DRAM instruments inside a GPU: what the channels' requests found in the banks, and how long reads took.
//!
//! The same observer that `phantom-gpu dram` uses rides in every channel; the report has the sum over channels as
//! `research.dram`. This is the probe to copy for a new one.

use super::{Observed, Probe, Sections};
use crate::mem::dram::research::{BankReport, LatencyReport, Seen};
use crate::mem::dram::{Command, DramProbe, Issued, Served};
use serde::Serialize;

/// The section `research.dram`.
#[derive(Debug, Serialize)]
struct Section {
    /// Accesses by the state in which they found their bank, by flat bank, summed over channels.
    banks: Vec<BankReport>,
    /// Read latency within the channel by row outcome.
    read_latency: Vec<LatencyReport>,
    /// Accesses per activate.
    accesses_per_activate: f64,
    /// Share of channel cycles lost to turning the bus.
    turnaround_loss: f64,
    /// Share of channel cycles lost to refresh.
    refresh_loss: f64,
    /// Commands by mnemonic.
    commands: Vec<(&'static str, u64)>,
}

/// Observes the DRAM channels of a GPU.
#[derive(Debug, Default)]
pub struct DramChannels(Seen);

impl DramProbe for DramChannels {
    fn command_issued(&mut self, issued: &Issued) {
        self.0.command_issued(issued);
    }
    fn commands_passed_over(&mut self, command: Command, count: u64) {
        self.0.commands_passed_over(command, count);
    }
    fn request_served(&mut self, served: &Served) {
        self.0.request_served(served);
    }
}

impl Probe for DramChannels {
    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn save(&self) -> Option<Vec<u8>> {
        bincode::encode_to_vec(&self.0, bincode::config::legacy()).ok()
    }

    fn restore(&mut self, seen: &[u8]) -> bool {
        let decoded = bincode::decode_from_slice(seen, bincode::config::legacy());
        decoded.is_ok_and(|(before, bytes)| {
            self.0 = before;
            bytes == seen.len()
        })
    }

    fn sections(&self, run: &Observed, out: &mut Sections) {
        let stats = &run.counters.dram;
        let share = |cycles: u64| cycles as f64 / stats.cycles.max(1) as f64;
        let clock_ns = 1e6 / f64::from(run.spec.dram.clock_khz);
        let section = Section {
            banks: self.0.banks().to_vec(),
            read_latency: self.0.latencies(clock_ns),
            accesses_per_activate: (stats.reads + stats.writes) as f64
                / stats.activates.max(1) as f64,
            turnaround_loss: share(stats.bus.turnaround),
            refresh_loss: share(stats.bus.refresh),
            commands: self.0.commands(),
        };
        let json = serde_json::to_value(section).expect("plain data");
        out.insert("dram", json);
    }
}
