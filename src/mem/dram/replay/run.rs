//! The injection rules: in each CK the controller runs first; then at most one record whose cycle has come is
//! offered, strictly in order, and waits at the head of the line while the queue is full. With a limit on
//! outstanding reads (closed-loop traces) the next record is offered in the CK in which data come back.

use super::trace::Record;
use crate::mem::dram::{Channel, ChannelSpec, Completion, DramProbe, DramStats, Kind};

/// How to replay.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The channel.
    pub spec: ChannelSpec,
    /// Most reads outstanding; `None` for open-loop traces.
    pub mlp: Option<u32>,
    /// Look at every slot instead of sleeping between events (slow; for tests).
    pub every_cycle: bool,
}

/// The outcome of a replay.
#[derive(Clone, Debug)]
pub struct Run {
    /// Counters of the channel at the end.
    pub stats: DramStats,
    /// CK until the last record was accepted and all reads had returned.
    pub cycles: u64,
    /// Read latencies in CK, in order of completion.
    pub latencies: Vec<u32>,
    /// Records offered.
    pub requests: u64,
}

impl Replay {
    /// Replays `records` on a fresh channel.
    pub fn run<P: DramProbe>(&self, records: &[Record], probe: &mut P) -> Run {
        let mut channel = Channel::new(&self.spec);
        let mut accepted_at = vec![0u64; records.len()];
        let mut latencies = Vec::with_capacity(records.len());
        let mut done: Vec<Completion> = Vec::with_capacity(256);
        let (mut next, mut now, mut outstanding, mut end) = (0usize, 0u64, 0u32, 0u64);
        let limit = self.mlp.unwrap_or(u32::MAX);
        while next < records.len() || outstanding > 0 {
            now += 1;
            if self.every_cycle {
                channel.advance_every_cycle(now, &mut done, probe);
            } else {
                channel.advance(now, &mut done, probe);
            }
            for c in done.drain(..) {
                if c.kind == Kind::Read {
                    outstanding -= 1;
                    latencies.push((c.at - accepted_at[c.tag as usize]) as u32);
                    end = end.max(c.at);
                }
            }
            let mut blocked = true;
            if let Some(r) = records.get(next)
                && r.cycle < now
                && outstanding < limit
                && channel.can_accept(r.kind)
            {
                accepted_at[next] = now;
                channel.accept(now, r.addr, r.kind, next as u32);
                outstanding += u32::from(r.kind == Kind::Read);
                end = end.max(now);
                next += 1;
                blocked = next == records.len() || records[next].cycle > now;
            }
            if blocked && !self.every_cycle {
                // Nothing can be offered before the channel does something or the next record's cycle comes.
                let arrival = records.get(next).map_or(u64::MAX, |r| {
                    if r.cycle >= now {
                        r.cycle + 1
                    } else {
                        u64::MAX
                    }
                });
                if !P::EVERY_COMMAND && arrival != u64::MAX {
                    channel.pass_over_refreshes(now, arrival, &mut done, probe);
                }
                now = channel.next_event().min(arrival).max(now + 1) - 1;
            }
        }
        Run {
            stats: channel.stats(),
            cycles: end,
            latencies,
            requests: records.len() as u64,
        }
    }
}
