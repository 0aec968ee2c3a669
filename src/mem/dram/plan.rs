//! The planner: which command is next on each bus, and when.
//!
//! Each candidate has an earliest slot from the timing table. The next command of a bus is the candidate with the
//! smallest (slot, key): the first that becomes ready, and of those ready together the preferred one. As nothing
//! changes between events, this is what looking at every slot would find. After an event only what it
//! touched is planned again ([`Channel::mend_column`], [`Channel::mend_row`]).

use super::MAX_BANKS;
use super::candidates::each_bank;
use super::channel::Channel;
use super::command::{Command, Kind};
use super::sched::{QUEUED, side};
use bincode::{Decode, Encode};

/// Who a planned command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Source {
    /// The opened request of the bank.
    Opened,
    /// A request in the read or write queue.
    Queued(Kind, u16),
    /// The refresh engine.
    Refresh,
    /// The page policy: nobody has used the row for a while.
    Timeout,
}

/// A planned command.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(super) struct Pick {
    /// Slot.
    pub at: u64,
    /// Preference among commands of the same slot.
    pub key: u64,
    pub bank: u8,
    pub command: Command,
    pub source: Source,
}

/// Every bank, as a mask.
const ALL_BANKS: u64 = u64::MAX;
/// Refresh comes after opened requests and before queued ones.
const REFRESH_KEY: u64 = QUEUED - 1;

impl Pick {
    /// No command.
    pub const NEVER: Pick = Pick {
        at: u64::MAX,
        key: u64::MAX,
        bank: u8::MAX,
        command: Command::Precharge,
        source: Source::Refresh,
    };

    /// Whether this one goes before `other`.
    #[inline(always)]
    pub fn before(&self, other: &Pick) -> bool {
        self.at < other.at || (self.at == other.at && self.key < other.key)
    }
}

impl Channel {
    /// Makes the stale parts of the plan anew.
    #[inline(always)]
    pub(super) fn plan(&mut self) {
        let (mode, held) = (self.next_mode(), self.held());
        if mode != self.planned_mode || held != self.planned_held {
            self.planned_mode = mode;
            self.planned_held = held;
            self.forget_plan();
        }
        if self.column_stale || self.row_stale {
            self.renew(mode, held);
        }
    }

    fn renew(&mut self, mode: Kind, held: u64) {
        if self.column_stale {
            self.column_pick = self.plan_column(mode, held);
            self.column_stale = false;
        }
        if self.row_stale {
            self.row_pick = self.plan_row(mode, held);
            self.row_stale = false;
        }
    }

    /// Both parts of the plan are stale.
    #[inline]
    pub(super) fn forget_plan(&mut self) {
        self.column_stale = true;
        self.row_stale = true;
    }

    /// Whether the plan may be mended after a change in `bank`: no refresh holds it up and keys are ages. A refresh
    /// that begins or ends to hold banks makes the whole plan anew.
    #[inline]
    fn can_mend(&self, bank: usize) -> bool {
        self.planned_held >> bank & 1 == 0 && self.rules.age_ordered && !self.rules.strict
    }

    /// Mends the column plan after the candidates of `bank` changed while those of other banks did not.
    #[inline]
    pub(super) fn mend_column(&mut self, bank: usize) {
        if self.column_stale {
            return;
        }
        let planned = usize::from(self.column_pick.bank) == bank;
        if !self.can_mend(bank) || planned || self.column_pick.at < self.column_free {
            self.column_stale = true;
            return;
        }
        let floor = self.column_free.max(self.floor);
        let only = 1 << bank;
        if self.opened_mask & only != 0 {
            let pick = self.best_opened(floor, only);
            if pick.before(&self.column_pick) {
                self.column_pick = pick;
            }
        }
        if self.queues[side(self.planned_mode)].column_mask & only != 0 {
            let pick = self.best_hit(floor, self.planned_mode, only);
            if pick.before(&self.column_pick) {
                self.column_pick = pick;
            }
        }
    }

    /// Mends the row plan after the candidate of `bank` changed while those of other banks did not.
    #[inline]
    pub(super) fn mend_row(&mut self, bank: usize) {
        if self.row_stale {
            return;
        }
        let planned = usize::from(self.row_pick.bank) == bank;
        let unfit = !self.can_mend(bank) || self.timeout != 0;
        if unfit || planned || self.row_pick.at < self.row_free {
            self.row_stale = true;
            return;
        }
        let floor = self.row_free.max(self.floor);
        let pick = self.best_miss(floor, self.planned_mode, 1 << bank);
        if pick.before(&self.row_pick) {
            self.row_pick = pick;
        }
    }

    /// The next slot in which anything happens.
    #[inline]
    pub(super) fn next_slot(&self) -> u64 {
        self.column_pick
            .at
            .min(self.row_pick.at)
            .min(self.refresh.due)
            .min(self.reads_gone_at)
    }

    /// Whether an all-bank refresh holds up queued requests.
    #[inline]
    pub(super) fn refresh_holds(&self) -> bool {
        !self.refresh.per_bank && self.refresh.wanted(self.pending > 0)
    }

    /// Banks whose queued requests a refresh holds up.
    #[inline]
    fn held(&self) -> u64 {
        if self.refresh.debt == 0 {
            return 0;
        }
        if !self.refresh.per_bank {
            return if self.refresh_holds() { ALL_BANKS } else { 0 };
        }
        let bank = self.refresh.bank as usize;
        let queued = self.queues[0].has(bank) || self.queues[1].has(bank);
        let waiting = queued || self.opened_mask >> bank & 1 == 1;
        u64::from(self.refresh.wanted(waiting)) << bank
    }

    /// The direction in which the queues are served from the slot after `changed_at`.
    #[inline]
    pub(super) fn next_mode(&self) -> Kind {
        let (reads, writes) = (self.queues[0].len, self.queues[1].len);
        match self.mode {
            Kind::Read if writes >= self.write_high || self.reads_gone => Kind::Write,
            Kind::Write if writes <= self.write_low && reads != 0 && !self.drains_on() => {
                Kind::Read
            }
            same => same,
        }
    }

    /// Write-aware draining: hits are left.
    fn drains_on(&self) -> bool {
        self.rules.drain_hits && self.queues[1].column_mask != 0
    }

    /// Makes the drain decision that is due.
    #[inline]
    pub(super) fn decide_mode(&mut self) {
        self.mode = self.next_mode();
    }

    /// The best command for the column bus.
    fn plan_column(&self, mode: Kind, held: u64) -> Pick {
        let floor = self.column_free.max(self.floor);
        let opened = self.best_opened(floor, u64::MAX);
        if held == ALL_BANKS {
            return opened;
        }
        if self.rules.strict {
            return if self.opened_mask == 0 {
                self.plan_strict(true, held)
            } else {
                opened
            };
        }
        let hit = self.best_hit(floor, mode, !held);
        if hit.before(&opened) { hit } else { opened }
    }

    /// The best command for the row bus.
    fn plan_row(&self, mode: Kind, held: u64) -> Pick {
        if held == ALL_BANKS {
            return self.plan_refresh_all();
        }
        let wanted = if !self.rules.strict {
            self.best_miss(self.row_free.max(self.floor), mode, !held)
        } else if self.opened_mask == 0 {
            self.plan_strict(false, held)
        } else {
            Pick::NEVER
        };
        if held == 0 && self.timeout == 0 {
            return wanted;
        }
        let refresh = if held != 0 {
            self.plan_refresh_bank()
        } else {
            Pick::NEVER
        };
        let idle = if self.timeout != 0 {
            self.plan_timeout(held)
        } else {
            Pick::NEVER
        };
        let best = if refresh.before(&wanted) {
            refresh
        } else {
            wanted
        };
        if idle.before(&best) { idle } else { best }
    }

    /// The next command of the oldest request, if it belongs on the asked bus.
    fn plan_strict(&self, column: bool, held: u64) -> Pick {
        let Some(&(which, index)) = self.order.front() else {
            return Pick::NEVER;
        };
        let e = &self.queues[which as usize].entries[index as usize];
        let bank = e.bank as usize & (MAX_BANKS - 1);
        let open = self.row_of(bank);
        let hits = open == Some(e.row);
        if hits != column || held >> bank & 1 == 1 {
            return Pick::NEVER;
        }
        let kind = if e.write { Kind::Write } else { Kind::Read };
        let source = Source::Queued(kind, index);
        let (act, pre) = self.row_bases(self.row_free.max(self.floor));
        let (command, at) = if column {
            let command = if e.write {
                Command::Write
            } else {
                Command::Read
            };
            let base = self
                .column_free
                .max(self.floor)
                .max(self.channel_next[command as usize]);
            (command, self.slot_of(bank, command as usize, base))
        } else if open.is_some() {
            let command = Command::Precharge;
            (command, self.bank_next[command as usize][bank].max(pre))
        } else {
            (
                Command::Activate,
                self.slot_of(bank, Command::Activate as usize, act),
            )
        };
        Pick {
            at,
            key: e.key,
            bank: e.bank,
            command,
            source,
        }
    }

    /// The next command of an all-bank refresh: wait for opened requests, close all rows, refresh.
    fn plan_refresh_all(&self) -> Pick {
        if self.opened_mask != 0 {
            return Pick::NEVER;
        }
        let floor = self.row_free.max(self.floor).max(self.refresh.since);
        let next = |c: Command| floor.max(self.channel_next[c as usize]);
        let (command, at) = if self.open_mask != 0 {
            (Command::PrechargeAll, next(Command::PrechargeAll))
        } else {
            (Command::RefreshAll, next(Command::RefreshAll) | self.edge)
        };
        Pick {
            at,
            key: REFRESH_KEY,
            bank: 0,
            command,
            source: Source::Refresh,
        }
    }

    /// The next command of a per-bank refresh.
    fn plan_refresh_bank(&self) -> Pick {
        let bank = self.refresh.bank as usize & (MAX_BANKS - 1);
        if self.opened_mask >> bank & 1 == 1 {
            return Pick::NEVER;
        }
        let floor = self.row_free.max(self.floor).max(self.refresh.since);
        let next = |c: Command| {
            floor
                .max(self.channel_next[c as usize])
                .max(self.bank_next[c as usize][bank])
        };
        let (command, at) = if self.open_mask >> bank & 1 == 1 {
            (Command::Precharge, next(Command::Precharge))
        } else {
            (Command::RefreshBank, next(Command::RefreshBank) | self.edge)
        };
        Pick {
            at,
            key: REFRESH_KEY,
            bank: bank as u8,
            command,
            source: Source::Refresh,
        }
    }

    /// The next idle row to close.
    fn plan_timeout(&self, held: u64) -> Pick {
        let mut best = Pick::NEVER;
        let hits =
            self.queues[side(Kind::Read)].column_mask | self.queues[side(Kind::Write)].column_mask;
        let (_, base) = self.row_bases(self.row_free.max(self.floor));
        each_bank!(self.open_mask & !(hits | self.opened_mask | held), bank, {
            let idle = self.last_access[bank] + self.timeout;
            let command = Command::Precharge;
            let at = idle.max(self.bank_next[command as usize][bank]).max(base);
            let pick = Pick {
                at,
                key: u64::MAX,
                bank: bank as u8,
                command,
                source: Source::Timeout,
            };
            if pick.before(&best) {
                best = pick;
            }
        });
        best
    }
}
