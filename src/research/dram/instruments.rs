//! The observer of the channels: the one of `phantom-gpu dram`, with what only a GPU knows, the buffers.

use super::section::{Buffer as BufferRow, Channel, Dram};
use crate::engine::Cycle;
use crate::error::Result;
use crate::ids::{ChannelId, SliceId};
use crate::mem::dram::research::{BankCycles, BankReport, Parallelism, Seen};
use crate::mem::dram::{Command, DramProbe, Issued, Kind, RowOutcome, Served};
use crate::mem::shard::channel_spec;
use crate::mem::{Line, SectorMask};
use crate::probe::{Buffer, Instrument, Probe, Setup, Unit};
use crate::research::{Observe, Study};

/// Requests that are noted before their intervals are added up. Those of a channel need the ends of all its banks' intervals,
/// which the other channels have driven out of the host's caches: many requests share what it takes to bring them back.
const NOTED_MAX: usize = 256;

/// A request that was in the channel.
#[derive(Clone, Copy, Debug)]
struct Interval {
    /// CK.
    from: u64,
    to: u64,
    bank: u8,
    /// The buffer that it read.
    read: Option<u16>,
}

/// Observes a channel, or all of them when they are merged.
#[derive(Debug, Default)]
pub struct DramChannels {
    seen: Seen,
    /// The own channel; none where all are merged.
    channel: Option<ChannelId>,
    /// Banks of a group of the own channel; 0 where all are merged.
    banks_per_group: u32,
    noted: Vec<Interval>,
    /// Of the own channel.
    parallelism: Option<Parallelism>,
    /// Of the channels that were merged.
    cycles: BankCycles,
    /// Requests by bank of each channel that was merged.
    channels: Vec<Channel>,
    /// The buffers that have a name, and one for the rest.
    buffers: Vec<OneBuffer>,
    /// First byte and end of each of the buffers, but for the last.
    places: Vec<(u64, u64)>,
    /// Which buffer a tag stands for now.
    buffer_of_tag: Vec<u16>,
}

/// The reads of one buffer.
#[derive(Clone, Debug, Default)]
struct OneBuffer {
    name: String,
    /// By row outcome.
    reads: [u64; 3],
    latency_sum: u64,
    parallelism: Option<Parallelism>,
    cycles: BankCycles,
}

impl OneBuffer {
    fn cycles(&self) -> BankCycles {
        let mut cycles = self.cycles;
        if let Some(own) = &self.parallelism {
            cycles.add(own.cycles());
        }
        cycles
    }

    fn row(&self, ns: f64) -> BufferRow {
        let reads = self.reads.iter().sum::<u64>();
        let share = |part: u64| part as f64 / reads.max(1) as f64;
        BufferRow {
            buffer: self.name.clone(),
            reads,
            row_hit_rate: share(self.reads[RowOutcome::Hit as usize]),
            conflict_rate: share(self.reads[RowOutcome::Conflict as usize]),
            bank_parallelism: self.cycles().means().0,
            read_latency_ns: share(self.latency_sum) * ns,
        }
    }
}

impl DramChannels {
    fn buffer_of(&self, line: Line) -> usize {
        let address = line.sector_address(0);
        let holds = |&(first, end): &(u64, u64)| (first..end).contains(&address);
        let found = self.places.iter().position(holds);
        found.unwrap_or(self.places.len())
    }

    /// Adds up the intervals that were noted.
    #[inline(never)]
    fn follow_up(&mut self) {
        let fresh = || Parallelism::new(self.banks_per_group);
        for Interval {
            from,
            to,
            bank,
            read,
        } in self.noted.drain(..)
        {
            let own = self.parallelism.get_or_insert_with(fresh);
            own.interval(bank, from, to);
            if let Some(buffer) = read {
                let buffer = &mut self.buffers[usize::from(buffer)];
                let own = buffer.parallelism.get_or_insert_with(fresh);
                own.interval(bank, from, to);
            }
        }
    }
}

impl DramProbe for DramChannels {
    fn command_issued(&mut self, issued: &Issued) {
        self.seen.command_issued(issued);
    }

    fn commands_passed_over(&mut self, command: Command, count: u64) {
        self.seen.commands_passed_over(command, count);
    }

    fn request_served(&mut self, served: &Served) {
        self.seen.request_served(served);
        let mut read = None;
        if served.kind == Kind::Read {
            let number = self.buffer_of_tag[served.tag as usize];
            let buffer = &mut self.buffers[usize::from(number)];
            buffer.reads[served.outcome as usize] += 1;
            buffer.latency_sum += served.done - served.accepted;
            read = Some(number);
        }
        if self.noted.len() == NOTED_MAX {
            self.follow_up();
        }
        self.noted.push(Interval {
            from: served.accepted,
            to: served.done,
            bank: served.bank,
            read,
        });
    }
}

impl Probe for DramChannels {
    fn begin(&mut self, setup: &Setup) {
        let Unit::Shard(id) = setup.unit else {
            return;
        };
        self.channel = Some(id);
        let channel = channel_spec(&setup.spec.dram);
        self.banks_per_group = channel.standard.org.banks_per_group;
        let known = &setup.instruments.buffers;
        let named = known.iter().map(|b| b.name.as_str()).chain(["other"]);
        self.places = known
            .iter()
            .map(|b: &Buffer| (b.first, b.first.saturating_add(b.bytes)))
            .collect();
        self.buffers = named
            .map(|name| OneBuffer {
                name: name.to_owned(),
                ..OneBuffer::default()
            })
            .collect();
    }

    fn dram_asked(&mut self, _: Cycle, _: SliceId, line: Line, _: SectorMask, tag: u32) {
        let tag = tag as usize;
        if self.buffer_of_tag.len() <= tag {
            self.buffer_of_tag.resize(tag + 1, 0);
        }
        self.buffer_of_tag[tag] = self.buffer_of(line) as u16;
    }

    fn merge(&mut self, mut other: Self) {
        other.follow_up();
        if let Some(channel) = other.channel {
            let requests = |b: &BankReport| b.hits + b.misses + b.conflicts;
            self.channels.push(Channel {
                channel: channel.0,
                requests: other.seen.banks().iter().map(requests).collect(),
            });
        }
        self.channels.extend_from_slice(&other.channels);
        self.seen.merge(&other.seen);
        self.cycles.add(other.cycles);
        if let Some(own) = &other.parallelism {
            self.cycles.add(own.cycles());
        }
        if self.buffers.len() < other.buffers.len() {
            self.buffers
                .resize_with(other.buffers.len(), OneBuffer::default);
        }
        for (sum, more) in self.buffers.iter_mut().zip(&other.buffers) {
            sum.name.clone_from(&more.name);
            for (sum, more) in sum.reads.iter_mut().zip(more.reads) {
                *sum += more;
            }
            sum.latency_sum += more.latency_sum;
            sum.cycles.add(more.cycles());
        }
    }
}

impl Instrument for DramChannels {
    const FEATURE: &'static str = "dram-research";
}

impl Observe for DramChannels {
    type Section = Dram;

    fn section(self, study: &Study) -> Result<Dram> {
        let ns = 1e6 / f64::from(study.spec().dram.clock_khz);
        let read = self.buffers.iter().filter(|b| b.reads != [0; 3]);
        let buffers = read.map(|b| b.row(ns)).collect();
        Dram::new(&self.seen, self.cycles, buffers, self.channels, study)
    }
}
