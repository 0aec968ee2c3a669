//! What a channel's counters say, and how its ledger labels the cycles of the data bus.

pub use crate::stats::{BusCycles, DramStats};
use bincode::{Decode, Encode};

impl BusCycles {
    /// Takes `cycles` away, from `data` last.
    fn take_back(&mut self, mut cycles: u64) {
        let labels = [
            &mut self.column_wait,
            &mut self.activate_wait,
            &mut self.turnaround,
            &mut self.refresh,
            &mut self.idle,
            &mut self.data,
        ];
        for label in labels {
            let cut = cycles.min(*label);
            *label -= cut;
            cycles -= cut;
        }
    }

    /// Sum of all labels: the elapsed CK.
    pub fn total(&self) -> u64 {
        self.values().iter().sum()
    }
}

impl DramStats {
    /// 1 − activates per access: the share of accesses that needed no activate of their own.
    pub fn row_hit_rate(&self) -> f64 {
        let accesses = self.reads + self.writes;
        if accesses == 0 {
            0.0
        } else {
            1.0 - self.activates as f64 / accesses as f64
        }
    }

    /// Mean read latency, CK.
    pub fn read_latency_avg(&self) -> f64 {
        if self.read_latency_count == 0 {
            0.0
        } else {
            self.read_latency_sum as f64 / self.read_latency_count as f64
        }
    }
}

/// Splits the time between two bursts on the data bus into labels. Times are in CK.
///
/// The interval before a burst is cut from its front: first the part in which no request was pending, then
/// the part that a refresh covers; the rest has one cause, that of the burst which ends the interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct BusLedger {
    /// End of the last labelled CK.
    pub labelled_to: u64,
    /// Since when no request has been pending, if none is.
    idle_from: Option<u64>,
    /// Idle CK since `labelled_to` that are already over.
    idle: u64,
    /// Refresh interval since the last burst: from when due (and something waiting) to when over.
    refresh: (u64, u64),
    /// The last burst was a write.
    pub writing: bool,
}

/// What a burst waited for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The row had to be opened for it.
    Activate,
    /// The bus had to turn, which costs at most so many CK; what is beyond waited for the row.
    Turnaround(u64),
    /// Nothing but the column timing.
    Column,
}

impl BusLedger {
    /// A channel starts idle.
    pub fn new() -> BusLedger {
        BusLedger {
            idle_from: Some(0),
            ..BusLedger::default()
        }
    }

    /// The last pending request is served at `now`; its burst is already in the ledger.
    pub fn all_served(&mut self, now: u64) {
        self.idle_from = Some(now.max(self.labelled_to));
    }

    /// A request arrived at `now`.
    pub fn arrived(&mut self, now: u64) {
        if let Some(from) = self.idle_from.take() {
            self.idle += now.saturating_sub(from.max(self.labelled_to));
        }
    }

    /// A refresh was or is due at `from` and is over at `to`.
    pub fn refreshed(&mut self, from: u64, to: u64) {
        if self.refresh.1 <= from {
            self.refresh = (from, to);
        } else {
            self.refresh.1 = to;
        }
    }

    /// A burst of `length` CK starts at `start`.
    pub fn burst(&mut self, bus: &mut BusCycles, start: u64, length: u64, cause: Cause) {
        self.gap(bus, start, cause);
        // With a short tRTW a write's data pass before the data of an earlier read, in CK that have a label already.
        let early = self.labelled_to.saturating_sub(start).min(length);
        bus.take_back(early);
        bus.data += length;
        self.labelled_to = self.labelled_to.max(start + length);
        self.idle = 0;
    }

    /// Labels the CK from `labelled_to` to `end`.
    fn gap(&mut self, bus: &mut BusCycles, end: u64, cause: Cause) {
        let gap = end.saturating_sub(self.labelled_to);
        if gap == 0 {
            return;
        }
        let idle = self.idle.min(gap);
        let waiting_from = self.labelled_to + idle;
        let covered = self
            .refresh
            .1
            .min(end)
            .saturating_sub(self.refresh.0.max(waiting_from));
        let rest = gap - idle - covered;
        bus.idle += idle;
        bus.refresh += covered;
        match cause {
            Cause::Activate => bus.activate_wait += rest,
            Cause::Turnaround(most) => {
                bus.turnaround += rest.min(most);
                bus.activate_wait += rest - rest.min(most);
            }
            Cause::Column => bus.column_wait += rest,
        }
    }

    /// `bus` with all CK up to `now` labelled: a burst that runs past `now` is cut, an open gap is labelled as
    /// it stands.
    pub fn closed_at(&self, mut bus: BusCycles, now: u64) -> BusCycles {
        let mut copy = *self;
        if copy.labelled_to > now {
            // Column commands are labelled when issued, up to CL + BL CK ahead; take back what is not over.
            let ahead = copy.labelled_to - now;
            let data = bus.data.min(ahead);
            bus.data -= data;
            bus.take_back(ahead - data);
            return bus;
        }
        copy.arrived(now);
        copy.gap(&mut bus, now, Cause::Column);
        bus
    }
}
