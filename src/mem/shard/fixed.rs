//! A channel of which only a latency is left: `dram.simple`, and `dram.perfect`.

use super::{Later, MemShard, ShardCx, channel_spec};
use crate::config::MemorySpec;
use crate::engine::Cycle;
use crate::mem::dram::{Channel, ChannelSpec, Kind, NoDramProbe, PagePolicy, RefreshMode};
use crate::probe::Probe;

/// What every read takes between the two halves of the controller's latency, the sum of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    /// Clocks of the DRAM.
    clocks: u64,
    /// Core cycles.
    cycles: Cycle,
}

impl Fixed {
    /// That of `spec`, unless it has a channel.
    pub(super) fn new(spec: &MemorySpec) -> Option<Self> {
        if spec.simple {
            let cycles = Cycle::from(spec.simple_latency);
            return Some(Fixed { clocks: 0, cycles });
        }
        spec.perfect.then(|| Fixed {
            clocks: open_row_read(channel_spec(spec)),
            cycles: 0,
        })
    }
}

/// Clocks of a read of an open row in a channel that has nothing else to do.
fn open_row_read(spec: ChannelSpec) -> u64 {
    let mut channel = Channel::new(&ChannelSpec {
        page: PagePolicy::Open,
        refresh: RefreshMode::Off,
        ..spec
    });
    let (mut sent, mut latency) = (0, 0);
    // The first read opens the row.
    for _ in 0..2 {
        channel.accept(sent, 0, Kind::Read, 0);
        let mut done = Vec::new();
        while done.is_empty() {
            channel.advance(channel.next_event(), &mut done, &mut NoDramProbe);
        }
        latency = done[0].at - sent;
        sent = done[0].at;
    }
    latency
}

impl MemShard {
    /// As [`MemShard::pump`].
    pub(super) fn pump_fixed<P: Probe>(&mut self, until: Cycle, fixed: Fixed, cx: &mut ShardCx<P>) {
        let cycles = fixed.cycles + self.controller_latency - self.controller_latency / 2;
        loop {
            while let Some(burst) = self.reads.pop_front() {
                self.later.push_back(Later {
                    at: self.ratio.to_core(burst.at + fixed.clocks) + cycles,
                    tag: burst.tag,
                });
                self.fixed_bursts.0 += 1;
            }
            self.fixed_bursts.1 += self.writes.len() as u64;
            self.writes.clear();
            self.stalled = false;
            let Some(at) = self.fill_before(u64::MAX, until) else {
                break;
            };
            self.fill(at, cx);
        }
    }
}
