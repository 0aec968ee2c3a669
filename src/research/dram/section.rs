//! The section `research.dram`, and the comparison of schedulers in it.

use crate::config::DramScheduler;
use crate::error::Result;
use crate::mem::dram::research::{BankCycles, BankReport, LatencyReport, Seen};
use crate::report::record::{Field, record};
use crate::research::{Again, Exhibits, Section, Study};

record! {
    /// What the DRAM channels of a GPU did.
    pub struct Dram {
        /// Share of the requests whose row was open when their first command issued.
        pub row_hit_rate: f64 = "ratio", by "hits / (hits + misses + conflicts), sums over banks",
        /// Share of the requests that found another row open.
        pub conflict_rate: f64 = "ratio", by "conflicts / (hits + misses + conflicts), sums over banks",
        /// Requests that a row serves before it is closed.
        pub accesses_per_activate: f64 = "requests", by "(dram.reads + dram.writes) / dram.activates",
        /// Banks that have a request in their channel, from its acceptance to its last data, on average over the cycles in which the channel has any.
        pub bank_parallelism: f64 = "banks",
        /// The same of bank groups.
        pub bank_group_parallelism: f64 = "bank groups",
        /// Share of the channels' cycles in which the data bus turned.
        pub turnaround_loss: f64 = "ratio", by "dram.bus.turnaround / dram.cycles",
        /// Share of the channels' cycles in which requests waited for a refresh.
        pub refresh_loss: f64 = "ratio", by "dram.bus.refresh / dram.cycles",
        /// Read latency within the channel, from acceptance to the last data beat, by what the read found in its bank.
        pub latency_percentiles: Vec<Latency>,
        /// Reads by the buffer of the program that they are for: `copy N` is what host copy N filled (the 64 largest), `array N` window N of a generated kernel, `other` all else.
        pub buffers: Vec<Buffer>,
        /// Requests by flat bank, summed over channels.
        pub banks: Vec<Bank>,
        /// Requests by channel and bank.
        pub channels: Vec<Channel>,
        /// Commands of all channels.
        pub commands: Vec<Commands>,
        /// The same workload under every scheduler (`dram.scheduler`), all else as it is; empty when the run ended early.
        pub policies: Vec<Policy>,
    }
}

record! {
    /// A latency distribution.
    pub struct Latency {
        /// `hit`: the row was open; `miss`: the bank was closed; `conflict`: another row was open; `all`.
        pub class: &'static str,
        /// Reads that are counted.
        pub count: u64 = "requests",
        /// Mean of all.
        pub mean_ns: f64 = "ns",
        /// Median.
        pub p50_ns: f64 = "ns",
        /// 95th percentile.
        pub p95_ns: f64 = "ns",
        /// 99th percentile.
        pub p99_ns: f64 = "ns",
        /// 99.9th percentile.
        pub p999_ns: f64 = "ns",
        /// Longest.
        pub max_ns: f64 = "ns",
    }
}

record! {
    /// Reads of a buffer.
    pub struct Buffer {
        /// Name of the buffer.
        pub buffer: String,
        /// Reads.
        pub reads: u64 = "requests",
        /// Share of them that found their row open.
        pub row_hit_rate: f64 = "ratio",
        /// Share of them that found another row open.
        pub conflict_rate: f64 = "ratio",
        /// Banks that have a read of the buffer in their channel, on average over the cycles in which the channel has any.
        pub bank_parallelism: f64 = "banks",
        /// Mean latency within the channel.
        pub read_latency_ns: f64 = "ns",
    }
}

record! {
    /// Requests of a bank.
    pub struct Bank {
        /// Number within its channel.
        pub bank: u32 = "bank",
        /// The row was open.
        pub hits: u64 = "requests",
        /// The bank was closed.
        pub misses: u64 = "requests",
        /// Another row was open.
        pub conflicts: u64 = "requests",
        /// Activates.
        pub activates: u64 = "commands",
        /// Requests that one opened row has served, at most.
        pub longest_row_run: u64 = "requests",
    }
}

record! {
    /// Requests of a channel.
    pub struct Channel {
        /// Its number.
        pub channel: u16 = "channel",
        /// Requests of each of its banks.
        pub requests: Vec<u64> = "requests",
    }
}

record! {
    /// Commands of a kind.
    pub struct Commands {
        /// Mnemonic.
        pub command: &'static str,
        /// How often it was issued.
        pub count: u64 = "commands",
    }
}

record! {
    /// A scheduler.
    pub struct Policy {
        /// Its name, a value of `dram.scheduler`.
        pub name: &'static str,
        /// Core cycles of the workload.
        pub cycles: u64 = "cycles",
        /// How many times as fast as under `fcfs`.
        pub speedup: f64 = "ratio", by "cycles of fcfs / cycles",
        /// Share of accesses that needed no activate of their own.
        pub row_hit_percent: f64 = "%",
        /// Mean read latency within the channel.
        pub read_latency_ns: f64 = "ns",
    }
}

impl From<&LatencyReport> for Latency {
    fn from(of: &LatencyReport) -> Self {
        let &LatencyReport {
            class,
            count,
            mean_ns,
            p50_ns,
            p95_ns,
            p99_ns,
            p999_ns,
            max_ns,
        } = of;
        Latency {
            class,
            count,
            mean_ns,
            p50_ns,
            p95_ns,
            p99_ns,
            p999_ns,
            max_ns,
        }
    }
}

impl From<&BankReport> for Bank {
    fn from(of: &BankReport) -> Self {
        let &BankReport {
            bank,
            hits,
            misses,
            conflicts,
            activates,
            longest_row_run,
        } = of;
        Bank {
            bank,
            hits,
            misses,
            conflicts,
            activates,
            longest_row_run,
        }
    }
}

impl Dram {
    /// Of what was `seen` in all channels.
    ///
    /// # Errors
    /// A run under another scheduler that failed.
    pub fn new(
        seen: &Seen,
        cycles: BankCycles,
        buffers: Vec<Buffer>,
        channels: Vec<Channel>,
        study: &Study,
    ) -> Result<Self> {
        let dram = &study.counters.dram;
        let sum = |of: fn(&BankReport) -> u64| seen.banks().iter().map(of).sum::<u64>();
        let (hits, conflicts) = (sum(|b| b.hits), sum(|b| b.conflicts));
        let requests = hits + sum(|b| b.misses) + conflicts;
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let clock_ns = 1e6 / f64::from(study.spec().dram.clock_khz);
        let (bank_parallelism, bank_group_parallelism) = cycles.means();
        let latencies = seen.latencies(clock_ns);
        let commands = seen.commands().into_iter();
        Ok(Dram {
            row_hit_rate: share(hits, requests),
            conflict_rate: share(conflicts, requests),
            accesses_per_activate: share(dram.reads + dram.writes, dram.activates),
            bank_parallelism,
            bank_group_parallelism,
            turnaround_loss: share(dram.bus.turnaround, dram.cycles),
            refresh_loss: share(dram.bus.refresh, dram.cycles),
            latency_percentiles: latencies.iter().map(Latency::from).collect(),
            buffers,
            banks: seen.banks().iter().map(Bank::from).collect(),
            channels,
            commands: commands
                .map(|(command, count)| Commands { command, count })
                .collect(),
            policies: policies(study)?,
        })
    }
}

/// The workload under every scheduler; the run itself counts as one of them.
fn policies(study: &Study) -> Result<Vec<Policy>> {
    let own = study.spec().dram.scheduler;
    let mut policies: Vec<Policy> = Vec::new();
    for &scheduler in DramScheduler::ALL {
        let set = format!("dram.scheduler={}", scheduler.name());
        let run = match scheduler == own {
            true => study.own(),
            false => study.again(&[set])?,
        };
        let Some(run) = run else {
            return Ok(Vec::new());
        };
        policies.push(policy(scheduler, &run, study));
    }
    let fcfs = policies
        .iter()
        .find(|p| p.name == DramScheduler::Fcfs.name())
        .map_or(0, |p| p.cycles);
    for policy in &mut policies {
        policy.speedup = fcfs as f64 / policy.cycles.max(1) as f64;
    }
    Ok(policies)
}

fn policy(scheduler: DramScheduler, run: &Again, study: &Study) -> Policy {
    let dram = &run.counters.dram;
    let ns = 1e6 / f64::from(study.spec().dram.clock_khz);
    Policy {
        name: scheduler.name(),
        cycles: run.cycles,
        speedup: 1.0,
        row_hit_percent: 100.0 * dram.row_hit_rate(),
        read_latency_ns: dram.read_latency_avg() * ns,
    }
}

impl Section for Dram {
    const NAME: &'static str = "dram";
    const SCHEMA: &'static [(&'static str, &'static [Field])] = &[
        ("", Dram::SCHEMA),
        ("latency_percentiles[].", Latency::SCHEMA),
        ("buffers[].", Buffer::SCHEMA),
        ("banks[].", Bank::SCHEMA),
        ("channels[].", Channel::SCHEMA),
        ("commands[].", Commands::SCHEMA),
        ("policies[].", Policy::SCHEMA),
    ];

    fn exhibits(&self) -> Exhibits {
        self.show()
    }
}
