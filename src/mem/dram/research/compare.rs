//! All policies on one trace.

use std::time::Instant;

use serde::Serialize;

use crate::mem::dram::replay::{Record, Replay, Report};
use crate::mem::dram::{ChannelSpec, NoDramProbe, Policy};

/// One policy's result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyResult {
    /// FCFS cycles / cycles of this policy.
    pub speedup_over_fcfs: f64,
    /// The report.
    #[serde(flatten)]
    pub report: Report,
}

/// The comparison; policies in the order of their list, FCFS first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Standard.
    pub standard: String,
    /// The policy with the fewest cycles.
    pub fastest: String,
    /// Results.
    pub policies: Vec<PolicyResult>,
}

/// Replays `records` under every policy; everything else is as in `spec`.
pub fn compare(spec: &ChannelSpec, mlp: Option<u32>, records: &[Record]) -> Comparison {
    let mut policies: Vec<PolicyResult> = Vec::new();
    for policy in Policy::all() {
        let spec = ChannelSpec {
            policy,
            ..spec.clone()
        };
        let replay = Replay {
            spec,
            mlp,
            every_cycle: false,
        };
        let started = Instant::now();
        let run = replay.run(records, &mut NoDramProbe);
        let report = Report::new(&replay.spec, &run, started.elapsed().as_secs_f64());
        let fcfs = policies
            .first()
            .map_or(report.counters.cycles, |p| p.report.counters.cycles);
        let speedup_over_fcfs = fcfs as f64 / report.counters.cycles.max(1) as f64;
        policies.push(PolicyResult {
            speedup_over_fcfs,
            report,
        });
    }
    let fastest = policies.iter().min_by_key(|p| p.report.counters.cycles);
    Comparison {
        standard: spec.standard.name.to_string(),
        fastest: fastest.map_or_else(String::new, |p| p.report.policy.clone()),
        policies,
    }
}

impl Comparison {
    /// A table for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}\n{:16} {:>9} {:>8} {:>10} {:>10} {:>7} {:>10}\n",
            self.standard, "policy", "GB/s", "speedup", "avg ns", "p99 ns", "hits", "cycles"
        );
        for p in &self.policies {
            let r = &p.report;
            text += &format!(
                "{:16} {:9.3} {:8.3} {:10.1} {:10.1} {:7.4} {:10}\n",
                r.policy,
                r.bandwidth_gbps,
                p.speedup_over_fcfs,
                r.read_latency_avg_ns,
                r.read_latency_p99_ns,
                r.row_hit_rate,
                r.counters.cycles
            );
        }
        text
    }
}
