//! Refresh: when it is due, how long it may be put off, and what it blocks.
//!
//! All-bank: every tREFI one refresh falls due. From then on no queued request is served; requests whose row has
//! been opened finish, all rows are closed with one precharge-all, the refresh issues, and activates wait tRFC.
//! Per-bank: every tREFIpb the next bank falls due; only that bank is held up.
//! With `postpone` > 0 up to so many refreshes are put off while requests wait, and made up when none does, or all
//! together once the limit is passed: the rows are closed and reopened once for the whole batch.

use super::channel::{Channel, Completion};
use super::command::Command;
use super::probe::DramProbe;
use bincode::{Decode, Encode};

/// Rounds of refreshes that are simulated before and after those that are passed over: enough for rows to be
/// closed and for every gap that a command starts to be over.
const ROUNDS_SIMULATED: u64 = 4;
use crate::config::DramRefresh;

/// Refresh scheme of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshMode {
    /// No refresh.
    Off,
    /// All banks at once.
    AllBank {
        /// Refreshes that may be put off (JEDEC allows up to 8).
        postpone: u32,
    },
    /// Bank after bank.
    PerBank {
        /// Refreshes that may be put off.
        postpone: u32,
    },
}

impl RefreshMode {
    /// The mode that `refresh` names, which may put off `postpone` refreshes.
    pub fn new(refresh: DramRefresh, postpone: u32) -> RefreshMode {
        match refresh {
            DramRefresh::Off => RefreshMode::Off,
            DramRefresh::AllBank => RefreshMode::AllBank { postpone },
            DramRefresh::PerBank => RefreshMode::PerBank { postpone },
        }
    }
}

/// State of the refresh engine. Times are in ticks.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct Refresh {
    /// When the next refresh falls due.
    pub due: u64,
    /// Ticks between refreshes.
    pub interval: u64,
    /// Refreshes due and not done.
    pub debt: u32,
    /// Debt that may be carried while requests wait.
    pub postpone: u32,
    /// The limit was passed: refresh until nothing is owed.
    pub catching_up: bool,
    /// Refreshes one bank at a time.
    pub per_bank: bool,
    /// The bank to be refreshed next.
    pub bank: u8,
    /// Since when the oldest refresh of the debt has been due.
    pub since: u64,
}

impl Refresh {
    /// The engine for `mode`; `refi` and `refi_pb` in ticks.
    pub fn new(mode: RefreshMode, refi: u64, refi_pb: u64) -> Refresh {
        let (interval, postpone, per_bank) = match mode {
            RefreshMode::Off => (u64::MAX, 0, false),
            RefreshMode::AllBank { postpone } => (refi, postpone, false),
            RefreshMode::PerBank { postpone } => (refi_pb, postpone, true),
        };
        Refresh {
            due: interval,
            interval,
            debt: 0,
            catching_up: false,
            postpone,
            per_bank,
            bank: 0,
            since: 0,
        }
    }

    /// A refresh falls due.
    pub fn fall_due(&mut self) {
        if self.debt == 0 {
            self.since = self.due;
        }
        self.debt += 1;
        self.catching_up |= self.debt > self.postpone;
        self.due += self.interval;
    }

    /// One refresh was issued.
    pub fn done(&mut self, banks: u8) {
        self.debt -= 1;
        self.catching_up &= self.debt > 0;
        self.since += self.interval;
        if self.per_bank {
            self.bank = if self.bank + 1 == banks {
                0
            } else {
                self.bank + 1
            };
        }
    }

    /// Whether a refresh must issue now, given that requests it would hold up are `waiting`.
    pub fn wanted(&self, waiting: bool) -> bool {
        self.debt > 0 && (self.catching_up || !waiting)
    }
}

impl Channel {
    /// Passes over whole rounds of refreshes between cycles `now` and `until`, before which no request comes, when
    /// the channel is idle: once all rows are closed, one round is like the other. A trace whose next request is
    /// far away would otherwise spend its time on refreshes alone. Counters are what they would have been; the
    /// probe is told how many commands it does not see.
    pub(super) fn pass_over_refreshes<P: DramProbe>(
        &mut self,
        now: u64,
        until: u64,
        done: &mut Vec<Completion>,
        probe: &mut P,
    ) {
        let a_round = if self.refresh.per_bank {
            self.banks as u64
        } else {
            1
        };
        let settled = now.saturating_add(self.cycles_of_refreshes(ROUNDS_SIMULATED * a_round));
        if !self.is_idle() || settled >= until {
            return;
        }
        self.advance(settled, done, probe);
        if self.open_mask != 0 || self.refresh.debt != 0 || self.reads_gone_at != u64::MAX {
            return;
        }
        let round_ticks = self.refresh.interval * a_round;
        let left = (until << self.shift).saturating_sub(self.refresh.due) / round_ticks;
        let rounds = left.saturating_sub(ROUNDS_SIMULATED);
        let commands = rounds * a_round;
        self.refresh.due += rounds * round_ticks;
        if self.refresh.per_bank {
            self.stats.bank_refreshes += commands;
            probe.commands_passed_over(Command::RefreshBank, commands);
        } else {
            self.stats.refreshes += commands;
            probe.commands_passed_over(Command::RefreshAll, commands);
        }
    }

    /// Cycles in which so many refreshes fall due; `u64::MAX` without refresh.
    pub fn cycles_of_refreshes(&self, refreshes: u64) -> u64 {
        match self.refresh.interval {
            u64::MAX => u64::MAX,
            interval => interval.saturating_mul(refreshes) >> self.shift,
        }
    }
}
