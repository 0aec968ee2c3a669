//! The channel: its state and the interface to the rest of the machine.

use bincode::{Decode, Encode};
use std::collections::VecDeque;

use super::MAX_BANKS;
use super::addr_map::Decoder;
use super::command::{FOLLOW_CLASSES, Kind};
use super::config::ChannelSpec;
use super::page::PagePolicy;
use super::plan::Pick;
use super::probe::{DramProbe, NoDramProbe};
use super::queue::{Entry, Queue, UNTOUCHED};
use super::refresh::Refresh;
use super::sched::{self, Memory, Rules, side, stream_of};
use super::stats::{BusLedger, DramStats};
use super::timing::{self, CommandBus, Compiled};

/// A finished request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Completion {
    /// The tag given at acceptance.
    pub tag: u32,
    /// Read or write.
    pub kind: Kind,
    /// CK of the last data beat (reads), of the write command (writes).
    pub at: u64,
}

/// One channel. Times inside are in ticks (bus slots); CK at the interface.
#[derive(Clone, Debug)]
pub struct Channel {
    pub(super) spec: ChannelSpec,
    // Resolved from the specification.
    pub(super) bus: CommandBus,
    pub(super) compiled: Compiled,
    pub(super) rules: Rules,
    pub(super) decoder: Decoder,
    /// log2 of ticks per CK.
    pub(super) shift: u32,
    /// 1 where only odd ticks (rising edges) may carry most commands, else 0.
    pub(super) edge: u64,
    pub(super) bank_bits: u32,
    pub(super) banks: usize,
    /// Ticks from a read command to its last beat.
    pub(super) read_ticks: u64,
    pub(super) timeout: u64,
    pub(super) write_high: u32,
    pub(super) write_low: u32,
    /// Ticks without a queued read after which writes are drained below their watermark.
    pub(super) write_idle: u64,
    // Device: earliest slots by `Command::follow`, of each bank (its group's gaps among them) and of the channel.
    pub(super) bank_next: [[u64; MAX_BANKS]; FOLLOW_CLASSES],
    pub(super) channel_next: [u64; FOLLOW_CLASSES],
    /// Ticks of the last four activates.
    pub(super) activates: [u64; 4],
    pub(super) oldest_activate: usize,
    pub(super) open_mask: u64,
    pub(super) open_row: [u32; MAX_BANKS],
    /// Hits past an older conflict since the row was opened.
    pub(super) overtaken: [u32; MAX_BANKS],
    pub(super) last_access: [u64; MAX_BANKS],
    // Controller.
    pub(super) queues: [Queue; 2],
    /// Requests whose activate has issued, by bank.
    pub(super) opened: [Entry; MAX_BANKS],
    pub(super) opened_mask: u64,
    pub(super) mode: Kind,
    /// Last tick at which a queue changed length; the drain mode is decided on the tick after it.
    pub(super) changed_at: u64,
    /// The read queue has been empty for `write_idle` ticks, so writes may be drained below their watermark.
    pub(super) reads_gone: bool,
    /// The slot in which `reads_gone` will turn true: set when the last read leaves the queue. `u64::MAX` when it
    /// is true already, or while reads are queued.
    pub(super) reads_gone_at: u64,
    pub(super) refresh: Refresh,
    pub(super) memory: Memory,
    /// Requests in order of arrival, for strict policies only.
    pub(super) order: VecDeque<(u8, u16)>,
    pub(super) arrivals: u64,
    /// Requests not yet served.
    pub(super) pending: u32,
    // Time.
    /// Last slot that is over.
    pub(super) now: u64,
    /// First slot in which a command may still issue: the running one inside a slot, else the next.
    pub(super) floor: u64,
    pub(super) column_free: u64,
    pub(super) row_free: u64,
    pub(super) column_pick: Pick,
    pub(super) row_pick: Pick,
    /// Direction (reads or writes) for which the plan was made.
    pub(super) planned_mode: Kind,
    /// Banks that a refresh held up when the plan was made.
    pub(super) planned_held: u64,
    pub(super) column_stale: bool,
    pub(super) row_stale: bool,
    // Results.
    pub(super) returning: VecDeque<Completion>,
    pub(super) forwarded: VecDeque<Completion>,
    /// CK of the first completion of both queues; `u64::MAX` without any.
    pub(super) next_data: u64,
    pub(super) stats: DramStats,
    pub(super) ledger: BusLedger,
}

crate::engine::state! {
    Channel {
        units: [],
        values: [bank_next, channel_next, activates, oldest_activate, open_mask, open_row, overtaken, last_access, queues, opened, opened_mask, mode, changed_at, reads_gone, reads_gone_at, refresh, memory, order, arrivals, pending, now, floor, column_free, row_free, column_pick, row_pick, planned_mode, planned_held, column_stale, row_stale, returning, forwarded, next_data, stats, ledger],
        left: [spec, bus, compiled, rules, decoder, shift, edge, bank_bits, banks, read_ticks, timeout, write_high, write_low, write_idle],
    }
}

impl Channel {
    /// A channel at cycle 0 with all banks closed. Panics if `spec` does not pass [`ChannelSpec::check`].
    pub fn new(spec: &ChannelSpec) -> Channel {
        if let Err(faults) = spec.check() {
            panic!("unchecked channel specification: {}", faults.join("; "));
        }
        let standard = &spec.standard;
        let bus = standard.family.bus();
        let ticks = u64::from(bus.ticks_per_ck);
        let t = &standard.timing;
        let depth = (spec.read_queue + spec.write_queue) as usize + MAX_BANKS;
        let mut channel = Channel {
            bus,
            compiled: timing::compile(&timing::rows(t, bus), bus),
            rules: spec.policy.rules(),
            decoder: Decoder::new(spec.map, &standard.org),
            shift: bus.ticks_per_ck.trailing_zeros(),
            edge: ticks - 1,
            bank_bits: standard.org.banks_per_group.trailing_zeros(),
            banks: standard.org.banks() as usize,
            read_ticks: u64::from(t.cl + t.bl) * ticks,
            timeout: match spec.page {
                PagePolicy::Timeout { cycles } => u64::from(cycles) * ticks,
                _ => 0,
            },
            write_high: spec.write_high,
            write_low: spec.write_low,
            write_idle: u64::from(spec.write_idle) * ticks,
            bank_next: [[0; MAX_BANKS]; FOLLOW_CLASSES],
            channel_next: [0; FOLLOW_CLASSES],
            activates: [0; 4],
            oldest_activate: 0,
            open_mask: 0,
            open_row: [0; MAX_BANKS],
            overtaken: [0; MAX_BANKS],
            last_access: [0; MAX_BANKS],
            queues: [spec.read_queue, spec.write_queue].map(Queue::new),
            opened: [Entry::default(); MAX_BANKS],
            opened_mask: 0,
            mode: Kind::Read,
            changed_at: 0,
            reads_gone: true,
            reads_gone_at: u64::MAX,
            refresh: Refresh::new(
                spec.refresh,
                u64::from(t.refi) * ticks,
                u64::from(t.refi_pb) * ticks,
            ),
            memory: Memory::new(spec.policy),
            order: VecDeque::with_capacity(depth),
            arrivals: 0,
            pending: 0,
            now: 0,
            floor: 1,
            column_free: 0,
            row_free: 0,
            column_pick: Pick::NEVER,
            row_pick: Pick::NEVER,
            planned_mode: Kind::Read,
            planned_held: 0,
            column_stale: true,
            row_stale: true,
            returning: VecDeque::with_capacity(depth + (t.cl + t.bl) as usize),
            forwarded: VecDeque::with_capacity(depth + (t.cl + t.bl) as usize),
            next_data: u64::MAX,
            stats: DramStats::default(),
            ledger: BusLedger::new(),
            spec: spec.clone(),
        };
        channel.plan();
        channel
    }

    /// What the channel was built from.
    pub fn spec(&self) -> &ChannelSpec {
        &self.spec
    }

    /// Whether a request of `kind` finds a free queue entry.
    #[inline]
    pub fn can_accept(&self, kind: Kind) -> bool {
        let q = &self.queues[side(kind)];
        q.len < q.capacity
    }

    /// Takes a request that arrives at the end of cycle `now`; its first command issues at `now + 1` or later.
    /// `addr` is local to the channel and wraps at its capacity. The caller has checked [`Channel::can_accept`]
    /// and has advanced the channel to `now`; an idle channel catches up by itself.
    pub fn accept(&mut self, now: u64, addr: u64, kind: Kind, tag: u32) {
        let tick = now << self.shift;
        debug_assert!(self.can_accept(kind));
        if self.now < tick {
            let mut nothing = Vec::new();
            self.advance(now, &mut nothing, &mut NoDramProbe);
            assert!(
                nothing.is_empty(),
                "accept({now}) before advance({now}), which had completions to hand over"
            );
        }
        let place = self.decoder.decode(addr);
        let bank = place.bank as usize & (MAX_BANKS - 1);
        let writes = &self.queues[1];
        if writes.contains_write(bank, place.row, place.column) {
            self.answer_from_write_queue(now, kind, tag);
            return;
        }
        self.arrivals += 1;
        let stream = stream_of(addr);
        let class = self.memory.class(stream);
        let entry = Entry {
            key: sched::key(class, 0, self.arrivals),
            accepted: now,
            row: place.row,
            column: place.column,
            tag,
            bank: place.bank,
            stream,
            outcome: UNTOUCHED,
            write: kind == Kind::Write,
            ..Entry::default()
        };
        self.enqueue(tick, entry);
    }

    /// Puts `entry` in its queue and keeps the candidates of its bank right.
    fn enqueue(&mut self, tick: u64, entry: Entry) {
        let which = usize::from(entry.write);
        let bank = entry.bank as usize & (MAX_BANKS - 1);
        let open = self.row_of(bank);
        let index = self.queues[which].push(entry);
        if self.rules.strict {
            self.order.push_back((which as u8, index));
        }
        if self.pending == 0 {
            self.ledger.arrived(tick >> self.shift);
        }
        self.pending += 1;
        self.changed_at = tick;
        if !entry.write {
            self.reads_gone = false;
            self.reads_gone_at = u64::MAX;
        }
        if self.rules.strict || self.timeout != 0 {
            self.forget_plan();
        }
        if !self.queues[which].unchanged_by_last(&entry, open, &self.rules) {
            self.queues[which].rescan(bank, open, self.overtaken[bank], &self.rules);
            if which == side(self.planned_mode) {
                self.mend_column(bank);
                self.mend_row(bank);
            }
        }
        self.plan();
    }

    /// A read of a queued burst, or a write over one: no command is needed.
    fn answer_from_write_queue(&mut self, now: u64, kind: Kind, tag: u32) {
        match kind {
            Kind::Read => {
                self.stats.forwarded_reads += 1;
                self.record_latency(1);
            }
            Kind::Write => self.stats.merged_writes += 1,
        }
        self.forwarded.push_back(Completion {
            tag,
            kind,
            at: now + 1,
        });
        self.next_data = self.next_data.min(now + 1);
    }

    /// The open row of `bank`.
    #[inline(always)]
    pub(super) fn row_of(&self, bank: usize) -> Option<u32> {
        (self.open_mask >> bank & 1 == 1).then(|| self.open_row[bank & (MAX_BANKS - 1)])
    }

    /// Earliest cycle at which a command can issue or a completion is due; `u64::MAX` when there is no work.
    /// Refreshes alone do not wake an idle channel: it makes them up when it is advanced.
    #[inline]
    pub fn next_event(&self) -> u64 {
        if self.pending == 0 {
            return self.next_data;
        }
        debug_assert!(!self.column_stale && !self.row_stale);
        self.next_data
            .min(self.next_slot().saturating_add(self.edge) >> self.shift)
    }

    /// Tags of the reads whose data are on their way, soonest first.
    pub fn returning(&self) -> impl Iterator<Item = u32> {
        self.returning.iter().map(|c| c.tag)
    }

    /// True when no request is queued, opened or on its way back.
    pub fn is_idle(&self) -> bool {
        self.pending == 0 && self.returning.is_empty() && self.forwarded.is_empty()
    }

    /// Simulates all cycles up to and including `until`; completions due by then are pushed in order of time.
    pub fn advance<P: DramProbe>(&mut self, until: u64, done: &mut Vec<Completion>, probe: &mut P) {
        let limit = until << self.shift;
        loop {
            let slot = self.next_slot();
            if slot > limit {
                break;
            }
            self.step(slot, done, probe);
            self.plan();
        }
        self.pass_to(limit);
        self.deliver(until, done);
    }

    /// As [`Channel::advance`], but plans again in every slot instead of skipping to the next planned command: slow,
    /// for tests.
    pub fn advance_every_cycle<P: DramProbe>(
        &mut self,
        until: u64,
        done: &mut Vec<Completion>,
        probe: &mut P,
    ) {
        let limit = until << self.shift;
        while self.now < limit {
            let slot = self.now + 1;
            for bank in 0..self.banks {
                self.rescan(bank);
            }
            self.forget_plan();
            self.plan();
            if self.next_slot() <= slot {
                self.step(slot, done, probe);
            }
            self.pass_to(slot);
            self.deliver(slot >> self.shift, done);
        }
        self.plan();
    }

    /// Moves time to `limit`, the slots before which hold nothing.
    fn pass_to(&mut self, limit: u64) {
        if limit > self.changed_at && !self.refresh_holds() {
            self.decide_mode();
        }
        self.now = self.now.max(limit);
        self.floor = self.now + 1;
    }

    /// Hands over completions that are due by `until`.
    #[inline(always)]
    pub(super) fn deliver(&mut self, until: u64, done: &mut Vec<Completion>) {
        if self.next_data <= until {
            self.hand_over(until, done);
        }
    }

    fn hand_over(&mut self, until: u64, done: &mut Vec<Completion>) {
        self.next_data = u64::MAX;
        for queue in [&mut self.forwarded, &mut self.returning] {
            while let Some(c) = queue.front() {
                if c.at > until {
                    self.next_data = self.next_data.min(c.at);
                    break;
                }
                done.push(*c);
                queue.pop_front();
            }
        }
    }

    /// Counts one read latency, CK.
    #[inline]
    pub(super) fn record_latency(&mut self, ck: u64) {
        self.stats.read_latency_sum += ck;
        self.stats.read_latency_count += 1;
        self.stats.read_latency_min = self.stats.read_latency_min.min(ck);
        self.stats.read_latency_max = self.stats.read_latency_max.max(ck);
    }

    /// Writes that were accepted and have not issued: those in the queue, and those whose activate has.
    fn queued_writes(&self) -> u64 {
        let opened = (0..self.banks)
            .filter(|&bank| self.opened_mask >> bank & 1 == 1 && self.opened[bank].write)
            .count();
        u64::from(self.queues[1].len) + opened as u64
    }

    /// The counters up to the cycle to which the channel was advanced.
    pub fn stats(&self) -> DramStats {
        let now = self.now >> self.shift;
        DramStats {
            cycles: now,
            bus: self.ledger.closed_at(self.stats.bus, now),
            queued_writes_at_end: self.queued_writes(),
            ..self.stats
        }
    }
}
