//! What the instruments collect, and the report section they give.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::parallelism::Parallelism;
use crate::mem::dram::replay::{Record, Run};
use crate::mem::dram::{
    COMMANDS, ChannelSpec, Command, DramProbe, Issued, Kind, MAX_BANKS, RowOutcome, STREAMS,
    Served, stream_of,
};

/// Accesses of one bank, by the state in which they found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct BankReport {
    /// Flat bank.
    pub bank: u32,
    /// The row was open.
    pub hits: u64,
    /// The bank was closed.
    pub misses: u64,
    /// Another row was open.
    pub conflicts: u64,
    /// Activates.
    pub activates: u64,
    /// Accesses while one row was open, at most.
    pub longest_row_run: u64,
}

/// Accesses of one stream (a 16 MiB region, modulo 32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamReport {
    /// Stream.
    pub stream: u32,
    /// Accesses.
    pub accesses: u64,
    /// Of those, row hits.
    pub hits: u64,
    /// Sum of read latencies, CK.
    pub read_latency_sum: u64,
    /// Reads.
    pub reads: u64,
}

/// A latency distribution, ns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyReport {
    /// Row hit, miss, conflict, or all.
    pub class: &'static str,
    /// Reads.
    pub count: u64,
    /// Mean.
    pub mean_ns: f64,
    /// Quantiles.
    pub p50_ns: f64,
    /// 95th percentile.
    pub p95_ns: f64,
    /// 99th percentile.
    pub p99_ns: f64,
    /// 99.9th percentile.
    pub p999_ns: f64,
    /// Longest.
    pub max_ns: f64,
}

/// The report section.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    /// Bank conflicts, by bank.
    pub banks: Vec<BankReport>,
    /// Row locality, by stream.
    pub streams: Vec<StreamReport>,
    /// Mean accesses per activate.
    pub accesses_per_activate: f64,
    /// Banks with a request in the channel, averaged over busy cycles.
    pub bank_parallelism: f64,
    /// Bank groups with a request in the channel, averaged over busy cycles.
    pub bank_group_parallelism: f64,
    /// Read latency by row outcome.
    pub latency: Vec<LatencyReport>,
    /// Share of the elapsed cycles lost to turning the bus.
    pub turnaround_loss: f64,
    /// Share of the elapsed cycles lost to refresh.
    pub refresh_loss: f64,
    /// Direction switches of the data bus.
    pub direction_switches: u64,
    /// Commands by mnemonic.
    pub commands: Vec<(&'static str, u64)>,
}

/// Longest latency that the histograms hold, CK; longer ones are counted there.
const LONGEST_CK: u64 = 1 << 32;

/// What can be said of a channel's commands and requests without knowing where they come from.
#[derive(Debug)]
pub struct Seen {
    /// By flat bank; as many as were used.
    banks: Vec<BankReport>,
    row_run: [u64; MAX_BANKS],
    /// Read latencies by row outcome, CK.
    latency: [Histogram<u64>; 3],
    commands: [u64; COMMANDS.len()],
}

impl Default for Seen {
    fn default() -> Self {
        let histogram = || Histogram::new(3).expect("three digits are legal");
        Seen {
            banks: Vec::new(),
            row_run: [0; MAX_BANKS],
            latency: [histogram(), histogram(), histogram()],
            commands: [0; COMMANDS.len()],
        }
    }
}

impl Encode for Seen {
    fn encode<E: Encoder>(&self, to: &mut E) -> Result<(), EncodeError> {
        self.banks.encode(to)?;
        self.row_run.encode(to)?;
        self.commands.encode(to)?;
        for latency in &self.latency {
            let buckets = latency.iter_recorded();
            let buckets = buckets.map(|b| (b.value_iterated_to(), b.count_at_value()));
            buckets.collect::<Vec<(u64, u64)>>().encode(to)?;
        }
        Ok(())
    }
}

impl<C> Decode<C> for Seen {
    fn decode<D: Decoder<Context = C>>(from: &mut D) -> Result<Self, DecodeError> {
        let mut seen = Seen {
            banks: Decode::decode(from)?,
            row_run: Decode::decode(from)?,
            commands: Decode::decode(from)?,
            ..Seen::default()
        };
        for latency in &mut seen.latency {
            for (value, count) in Vec::<(u64, u64)>::decode(from)? {
                let recorded = latency.record_n(value, count);
                recorded.map_err(|_| DecodeError::Other("a latency beyond all latencies"))?;
            }
        }
        Ok(seen)
    }
}

impl Seen {
    /// Accesses by bank.
    pub fn banks(&self) -> &[BankReport] {
        &self.banks
    }

    /// Commands by mnemonic.
    pub fn commands(&self) -> Vec<(&'static str, u64)> {
        let counts = COMMANDS.iter().zip(self.commands);
        counts.map(|(c, count)| (c.mnemonic(), count)).collect()
    }

    /// Read latencies by row outcome, and all together, with a command clock of `ns`.
    pub fn latencies(&self, ns: f64) -> Vec<LatencyReport> {
        let mut all = self.latency[0].clone();
        for other in &self.latency[1..] {
            all.add(other).expect("histograms grow");
        }
        let classes = ["hit", "miss", "conflict"].into_iter().zip(&self.latency);
        let classes = classes.chain([("all", &all)]);
        classes
            .map(|(class, h)| distribution(class, h, ns))
            .collect()
    }

    /// Adds what another channel's observer saw.
    pub fn merge(&mut self, other: &Seen) {
        for bank in &other.banks {
            let sum = self.bank(bank.bank as usize);
            sum.hits += bank.hits;
            sum.misses += bank.misses;
            sum.conflicts += bank.conflicts;
            sum.activates += bank.activates;
            sum.longest_row_run = sum.longest_row_run.max(bank.longest_row_run);
        }
        for (sum, more) in self.latency.iter_mut().zip(&other.latency) {
            sum.add(more).expect("histograms grow");
        }
        for (sum, more) in self.commands.iter_mut().zip(other.commands) {
            *sum += more;
        }
    }

    fn bank(&mut self, number: usize) -> &mut BankReport {
        for bank in self.banks.len()..=number {
            self.banks.push(BankReport {
                bank: bank as u32,
                ..BankReport::default()
            });
        }
        &mut self.banks[number]
    }
}

impl DramProbe for Seen {
    fn command_issued(&mut self, issued: &Issued) {
        self.commands[issued.command as usize] += 1;
        if issued.command == Command::Activate {
            self.bank(usize::from(issued.bank)).activates += 1;
            self.row_run[usize::from(issued.bank)] = 0;
        }
    }

    fn commands_passed_over(&mut self, command: Command, count: u64) {
        self.commands[command as usize] += count;
    }

    fn request_served(&mut self, served: &Served) {
        let run = &mut self.row_run[usize::from(served.bank)];
        *run += 1;
        let run = *run;
        let bank = self.bank(usize::from(served.bank));
        match served.outcome {
            RowOutcome::Hit => bank.hits += 1,
            RowOutcome::Miss => bank.misses += 1,
            RowOutcome::Conflict => bank.conflicts += 1,
        }
        bank.longest_row_run = bank.longest_row_run.max(run);
        if served.kind == Kind::Read {
            let latency = (served.done - served.accepted).min(LONGEST_CK);
            self.latency[served.outcome as usize].saturating_record(latency);
        }
    }
}

/// The instruments of one channel.
pub struct Instruments {
    seen: Seen,
    streams: [StreamReport; STREAMS],
    stream_of_tag: Vec<u8>,
    parallelism: Parallelism,
    ns: f64,
}

impl Instruments {
    /// Instruments for `spec`; a request's tag is its index in `records`.
    pub fn new(spec: &ChannelSpec, records: &[Record]) -> Instruments {
        let org = &spec.standard.org;
        let mut seen = Seen::default();
        seen.bank(org.banks() as usize - 1);
        Instruments {
            seen,
            streams: std::array::from_fn(|s| StreamReport {
                stream: s as u32,
                ..StreamReport::default()
            }),
            stream_of_tag: records.iter().map(|r| stream_of(r.addr)).collect(),
            parallelism: Parallelism::new(org.banks_per_group),
            ns: f64::from(spec.standard.tck_ps) / 1e3,
        }
    }

    /// The section of a finished run.
    pub fn section(self, run: &Run) -> Section {
        let (bank_parallelism, bank_group_parallelism) = self.parallelism.cycles().means();
        let s = &run.stats;
        let share = |cycles: u64| cycles as f64 / s.cycles.max(1) as f64;
        Section {
            accesses_per_activate: (s.reads + s.writes) as f64 / s.activates.max(1) as f64,
            bank_parallelism,
            bank_group_parallelism,
            latency: self.seen.latencies(self.ns),
            turnaround_loss: share(s.bus.turnaround),
            refresh_loss: share(s.bus.refresh),
            direction_switches: s.direction_switches,
            commands: self.seen.commands(),
            streams: self
                .streams
                .into_iter()
                .filter(|s| s.accesses > 0)
                .collect(),
            banks: self.seen.banks,
        }
    }
}

fn distribution(class: &'static str, h: &Histogram<u64>, ns: f64) -> LatencyReport {
    let at = |q: f64| h.value_at_quantile(q) as f64 * ns;
    LatencyReport {
        class,
        count: h.len(),
        mean_ns: h.mean() * ns,
        p50_ns: at(0.5),
        p95_ns: at(0.95),
        p99_ns: at(0.99),
        p999_ns: at(0.999),
        max_ns: h.max() as f64 * ns,
    }
}

impl DramProbe for Instruments {
    fn command_issued(&mut self, issued: &Issued) {
        self.seen.command_issued(issued);
    }

    fn commands_passed_over(&mut self, command: Command, count: u64) {
        self.seen.commands_passed_over(command, count);
    }

    fn request_served(&mut self, served: &Served) {
        self.seen.request_served(served);
        let stream = &mut self.streams[self.stream_of_tag[served.tag as usize] as usize];
        stream.accesses += 1;
        stream.hits += u64::from(served.outcome == RowOutcome::Hit);
        if served.kind == Kind::Read {
            stream.reads += 1;
            stream.read_latency_sum += served.done - served.accepted;
        }
        self.parallelism
            .interval(served.bank, served.accepted, served.done);
    }
}

impl Section {
    /// A table for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "bank parallelism {:.2}, bank-group parallelism {:.2}, accesses per activate {:.2}\n\
             lost to turnaround {:.2} %, to refresh {:.2} %, {} direction switches\n",
            self.bank_parallelism,
            self.bank_group_parallelism,
            self.accesses_per_activate,
            100.0 * self.turnaround_loss,
            100.0 * self.refresh_loss,
            self.direction_switches
        );
        text += &format!(
            "{:10} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "reads", "count", "mean ns", "p50", "p99", "max"
        );
        for l in &self.latency {
            text += &format!(
                "{:10} {:9} {:9.1} {:9.1} {:9.1} {:9.1}\n",
                l.class, l.count, l.mean_ns, l.p50_ns, l.p99_ns, l.max_ns
            );
        }
        text += &format!(
            "{:>4} {:>9} {:>9} {:>9} {:>9}\n",
            "bank", "hits", "misses", "conflicts", "longest"
        );
        for b in &self.banks {
            text += &format!(
                "{:4} {:9} {:9} {:9} {:9}\n",
                b.bank, b.hits, b.misses, b.conflicts, b.longest_row_run
            );
        }
        text
    }
}
