//! The planner: which command is next on each bus, and when.
//!
//! Each candidate has an earliest slot from the timing table. The next command of a bus is the candidate with the
//! smallest (slot, key): the first that becomes ready, and of those ready together the preferred one. As nothing
//! changes between events, this is what looking at every slot would find.

use super::MAX_BANKS;
use super::channel::Channel;
use super::command::{Command, Kind};
use super::sched::{QUEUED, side};

/// Who a planned command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    /// Slot.
    pub at: u64,
    /// Preference among commands of the same slot.
    pub key: u64,
    pub bank: u8,
    pub command: Command,
    pub source: Source,
}

/// Refresh comes after opened requests and before queued ones.
const REFRESH_KEY: u64 = QUEUED - 1;

impl Pick {
    /// No command.
    pub const NEVER: Pick = Pick {
        at: u64::MAX,
        key: u64::MAX,
        bank: 0,
        command: Command::Precharge,
        source: Source::Refresh,
    };

    /// Whether this one goes before `other`.
    #[inline(always)]
    fn before(&self, other: &Pick) -> bool {
        (u128::from(self.at) << 64 | u128::from(self.key))
            < (u128::from(other.at) << 64 | u128::from(other.key))
    }
}

/// The banks in `mask`, lowest first.
macro_rules! each_bank {
    ($mask:expr, $bank:ident, $body:block) => {
        let mut rest = $mask;
        while rest != 0 {
            let $bank = rest.trailing_zeros() as usize & (MAX_BANKS - 1);
            rest &= rest - 1;
            $body
        }
    };
}

impl Channel {
    /// Makes the plan, if anything changed since the last one.
    #[inline]
    pub(super) fn plan(&mut self) {
        if self.planned {
            return;
        }
        let mode = self.next_mode();
        self.column_pick = self.plan_column(mode);
        self.row_pick = self.plan_row(mode);
        self.planned = true;
    }

    /// The next slot in which anything happens.
    #[inline]
    pub(super) fn next_slot(&self) -> u64 {
        self.column_pick
            .at
            .min(self.row_pick.at)
            .min(self.refresh.due)
    }

    /// Whether an all-bank refresh holds up queued requests.
    #[inline]
    pub(super) fn refresh_holds(&self) -> bool {
        !self.refresh.per_bank && self.refresh.wanted(self.pending > 0)
    }

    /// Banks whose queued requests a per-bank refresh holds up.
    #[inline]
    fn refreshing_banks(&self) -> u64 {
        if !self.refresh.per_bank || self.refresh.debt == 0 {
            return 0;
        }
        let bank = self.refresh.bank as usize;
        let waiting = self.queues[0].has(bank)
            || self.queues[1].has(bank)
            || self.opened_mask >> bank & 1 == 1;
        u64::from(self.refresh.wanted(waiting)) << bank
    }

    /// The direction in which the queues are served from the slot after `changed_at`.
    #[inline]
    pub(super) fn next_mode(&self) -> Kind {
        let (reads, writes) = (self.queues[0].len, self.queues[1].len);
        let share = writes * 100;
        match self.mode {
            Kind::Read if share > self.write_high || reads == 0 => Kind::Write,
            Kind::Write if share < self.write_low && reads != 0 && !self.drains_on() => Kind::Read,
            same => same,
        }
    }

    /// Write-aware draining: hits are left.
    fn drains_on(&self) -> bool {
        self.rules.drain_hits
            && self.queues[1].column_mask != 0
            && self.queues[0].len < self.queues[0].capacity
    }

    /// Makes the drain decision that is due.
    #[inline]
    pub(super) fn decide_mode(&mut self) {
        self.mode = self.next_mode();
    }

    #[inline(always)]
    fn group_of(&self, bank: usize) -> usize {
        bank >> self.bank_bits & (MAX_BANKS - 1)
    }

    /// Earliest slot of a column command of class `class` to `bank`.
    #[inline(always)]
    fn column_slot(&self, bank: usize, class: usize, base: u64) -> u64 {
        let group = self.group_of(bank);
        self.bank_next[bank][class]
            .max(self.group_next[group][class])
            .max(base)
            | self.edge
    }

    /// The best command for the column bus.
    fn plan_column(&self, mode: Kind) -> Pick {
        let mut best = Pick::NEVER;
        let floor = self.column_free.max(self.floor);
        each_bank!(self.opened_mask, bank, {
            let e = &self.opened[bank];
            let command = if e.write {
                Command::Write
            } else {
                Command::Read
            };
            let base = floor.max(self.channel_next[command as usize]);
            let at = self.column_slot(bank, command as usize, base);
            let pick = Pick {
                at,
                key: e.key & !QUEUED,
                bank: bank as u8,
                command,
                source: Source::Opened,
            };
            if pick.before(&best) {
                best = pick;
            }
        });
        if self.refresh_holds() {
            return best;
        }
        if self.rules.strict {
            return if self.opened_mask == 0 {
                self.plan_strict(true)
            } else {
                best
            };
        }
        let queue = &self.queues[side(mode)];
        let command = if mode == Kind::Write {
            Command::Write
        } else {
            Command::Read
        };
        let base = floor.max(self.channel_next[command as usize]);
        each_bank!(queue.column_mask & !self.refreshing_banks(), bank, {
            let c = queue.column[bank];
            let at = self.column_slot(bank, command as usize, base);
            let source = Source::Queued(mode, c.index);
            let pick = Pick {
                at,
                key: c.key,
                bank: bank as u8,
                command,
                source,
            };
            if pick.before(&best) {
                best = pick;
            }
        });
        best
    }

    /// The best command for the row bus.
    fn plan_row(&self, mode: Kind) -> Pick {
        let floor = self.row_free.max(self.floor);
        if self.refresh_holds() {
            return self.plan_refresh_all();
        }
        let held = self.refreshing_banks();
        let mut best = if held != 0 {
            self.plan_refresh_bank()
        } else {
            Pick::NEVER
        };
        if self.rules.strict {
            let pick = if self.opened_mask == 0 {
                self.plan_strict(false)
            } else {
                Pick::NEVER
            };
            if pick.before(&best) {
                best = pick;
            }
        } else {
            let queue = &self.queues[side(mode)];
            let bases = self.row_bases(floor);
            each_bank!(queue.row_mask & !self.opened_mask & !held, bank, {
                let c = queue.row[bank];
                let (command, at) = self.row_slot(bank, bases);
                let source = Source::Queued(mode, c.index);
                let pick = Pick {
                    at,
                    key: c.key,
                    bank: bank as u8,
                    command,
                    source,
                };
                if pick.before(&best) {
                    best = pick;
                }
            });
        }
        if self.timeout != 0 {
            let pick = self.plan_timeout(held);
            if pick.before(&best) {
                best = pick;
            }
        }
        best
    }

    /// Earliest slots of (activate, precharge) as far as the channel is concerned.
    #[inline(always)]
    fn row_bases(&self, floor: u64) -> (u64, u64) {
        let window = self.activates[self.oldest_activate & 3];
        let act = floor
            .max(self.channel_next[Command::Activate as usize])
            .max(window);
        (
            act,
            floor.max(self.channel_next[Command::Precharge as usize]),
        )
    }

    /// The row command that `bank` needs for a request that does not hit, and its earliest slot.
    #[inline(always)]
    fn row_slot(&self, bank: usize, (act, pre): (u64, u64)) -> (Command, u64) {
        let next = &self.bank_next[bank];
        if self.open_mask >> bank & 1 == 1 {
            return (
                Command::Precharge,
                next[Command::Precharge as usize].max(pre),
            );
        }
        let class = Command::Activate as usize;
        (
            Command::Activate,
            next[class]
                .max(self.group_next[self.group_of(bank)][class])
                .max(act)
                | self.edge,
        )
    }

    /// The next command of the oldest request, if it belongs on the asked bus.
    fn plan_strict(&self, column: bool) -> Pick {
        let Some(&(which, index)) = self.order.front() else {
            return Pick::NEVER;
        };
        let e = &self.queues[which as usize].entries[index as usize];
        let bank = e.bank as usize & (MAX_BANKS - 1);
        let hits = self.row_of(bank) == Some(e.row);
        if hits != column || self.refreshing_banks() >> bank & 1 == 1 {
            return Pick::NEVER;
        }
        let kind = if e.write { Kind::Write } else { Kind::Read };
        let source = Source::Queued(kind, index);
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
            (command, self.column_slot(bank, command as usize, base))
        } else {
            self.row_slot(bank, self.row_bases(self.row_free.max(self.floor)))
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
                .max(self.bank_next[bank][c as usize])
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
        let wanted =
            self.queues[0].column_mask | self.queues[1].column_mask | self.opened_mask | held;
        let (_, base) = self.row_bases(self.row_free.max(self.floor));
        each_bank!(self.open_mask & !wanted, bank, {
            let idle = self.last_access[bank] + self.timeout;
            let at = idle
                .max(self.bank_next[bank][Command::Precharge as usize])
                .max(base);
            let command = Command::Precharge;
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
