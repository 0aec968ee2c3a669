//! The JSON report of a replay; the struct is the schema.

use serde::Serialize;

use super::run::Run;
use crate::mem::dram::{ChannelSpec, DramStats};

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Standard.
    pub standard: String,
    /// Policy.
    pub policy: String,
    /// Page policy.
    pub page: String,
    /// Address map.
    pub map: String,
    /// Entries of the read queue.
    pub read_queue: u32,
    /// Entries of the write queue.
    pub write_queue: u32,
    /// Command clock.
    pub tck_ps: u32,
    /// Bandwidth, GB/s (10^9): bursts commanded × 32 B / `cycles`.
    pub bandwidth_gbps: f64,
    /// What the data bus could carry.
    pub peak_gbps: f64,
    /// Mean read latency, from acceptance to the last data beat.
    pub read_latency_avg_ns: f64,
    /// Median.
    pub read_latency_p50_ns: f64,
    /// 95th percentile.
    pub read_latency_p95_ns: f64,
    /// 99th percentile.
    pub read_latency_p99_ns: f64,
    /// Longest.
    pub read_latency_max_ns: f64,
    /// 1 − activates per access.
    pub row_hit_rate: f64,
    /// Counters of the channel, but that `refreshes` has the per-bank ones too, and `cycles` ends with the last
    /// request: all are accepted and all reads have returned.
    #[serde(flatten)]
    pub counters: DramStats,
    /// Requests simulated per second of wall time.
    pub requests_per_s: f64,
}

impl Report {
    /// The report of `run` on `spec`, which took `wall_s`.
    pub fn new(spec: &ChannelSpec, run: &Run, wall_s: f64) -> Report {
        let s = &run.stats;
        let ns = f64::from(spec.standard.tck_ps) / 1e3;
        let mut sorted = run.latencies.clone();
        sorted.sort_unstable();
        let percentile = |p: f64| {
            let rank = (p * sorted.len() as f64).ceil() as usize;
            sorted
                .get(rank.max(1) - 1)
                .map_or(0.0, |&l| f64::from(l) * ns)
        };
        let sum: u64 = sorted.iter().map(|&l| u64::from(l)).sum();
        let bytes = (s.reads + s.writes) * u64::from(spec.standard.org.burst_bytes);
        Report {
            standard: spec.standard.name.to_string(),
            policy: spec.policy.name().to_owned(),
            page: spec.page.name().to_owned(),
            map: spec.map.name().to_owned(),
            read_queue: spec.read_queue,
            write_queue: spec.write_queue,
            tck_ps: spec.standard.tck_ps,
            bandwidth_gbps: bytes as f64 / (run.cycles.max(1) as f64 * ns),
            peak_gbps: spec.standard.peak_gbps(),
            read_latency_avg_ns: if sorted.is_empty() {
                0.0
            } else {
                sum as f64 * ns / sorted.len() as f64
            },
            read_latency_p50_ns: percentile(0.50),
            read_latency_p95_ns: percentile(0.95),
            read_latency_p99_ns: percentile(0.99),
            read_latency_max_ns: percentile(1.0),
            row_hit_rate: s.row_hit_rate(),
            counters: DramStats {
                refreshes: s.refreshes + s.bank_refreshes,
                cycles: run.cycles,
                ..*s
            },
            requests_per_s: run.requests as f64 / wall_s.max(1e-9),
        }
    }
}

impl Report {
    /// A table for people.
    pub fn table(&self) -> String {
        let c = &self.counters;
        let b = &c.bus;
        let share = |ck: u64| 100.0 * ck as f64 / b.total().max(1) as f64;
        let mut text = format!(
            "{} {} page={} map={} queues={}+{}\n",
            self.standard, self.policy, self.page, self.map, self.read_queue, self.write_queue
        );
        text += &format!(
            "bandwidth      {:10.3} GB/s ({:.1} % of {:.3})\n",
            self.bandwidth_gbps,
            100.0 * self.bandwidth_gbps / self.peak_gbps,
            self.peak_gbps
        );
        text += &format!(
            "read latency   {:10.1} ns mean, {:.1} p50, {:.1} p95, {:.1} p99, {:.1} max\n",
            self.read_latency_avg_ns,
            self.read_latency_p50_ns,
            self.read_latency_p95_ns,
            self.read_latency_p99_ns,
            self.read_latency_max_ns
        );
        text += &format!("row hit rate   {:10.4}\n", self.row_hit_rate);
        text += &format!(
            "commands       {} RD, {} WR, {} ACT, {} PRE, {} auto-PRE, {} REF\n",
            c.reads, c.writes, c.activates, c.precharges, c.auto_precharges, c.refreshes
        );
        text += &format!(
            "bus cycles     {} = data {:.1} %, idle {:.1} %, activate wait {:.1} %, turnaround {:.1} %, \
             refresh {:.1} %, column wait {:.1} %\n",
            b.total(),
            share(b.data),
            share(b.idle),
            share(b.activate_wait),
            share(b.turnaround),
            share(b.refresh),
            share(b.column_wait)
        );
        text += &format!(
            "speed          {:.2} M requests/s\n",
            self.requests_per_s / 1e6
        );
        text
    }
}
