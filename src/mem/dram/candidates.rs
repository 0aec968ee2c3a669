//! What each bank could do next, and the scans that find the best of all banks: the hottest loops of the channel.

use super::MAX_BANKS;
use super::channel::Channel;
use super::command::{Command, Kind};
use super::plan::{Pick, Source};
use super::sched::{QUEUED, side};

/// The best (slot, key) of a scan over banks; the [`Pick`] is built once at the end.
#[derive(Clone, Copy)]
struct Best {
    at: u64,
    key: u64,
    bank: usize,
}

impl Best {
    const NOBODY: Best = Best {
        at: u64::MAX,
        key: u64::MAX,
        bank: 0,
    };

    #[inline(always)]
    fn offer(&mut self, at: u64, key: u64, bank: usize) {
        // One comparison and no branch: which bank is best is anybody's guess.
        let rank = |at: u64, key: u64| u128::from(at) << 64 | u128::from(key);
        let better = rank(at, key) < rank(self.at, self.key);
        let pick = |new: u64, old: u64| std::hint::select_unpredictable(better, new, old);
        self.at = pick(at, self.at);
        self.key = pick(key, self.key);
        self.bank = pick(bank as u64, self.bank as u64) as usize;
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
pub(super) use each_bank;

/// The column command of a direction.
#[inline(always)]
const fn column_command(write: bool) -> Command {
    if write { Command::Write } else { Command::Read }
}

impl Channel {
    /// Earliest slot of a command of class `class` to `bank`, not before `base` and on an edge that may carry it.
    #[inline(always)]
    pub(super) fn slot_of(&self, bank: usize, class: usize, base: u64) -> u64 {
        self.bank_next[class][bank].max(base) | self.edge
    }

    /// The best opened request among `allowed` banks.
    #[inline(always)]
    pub(super) fn best_opened(&self, floor: u64, allowed: u64) -> Pick {
        let mask = self.opened_mask & allowed;
        if mask == 0 {
            return Pick::NEVER;
        }
        let base =
            [Command::Read, Command::Write].map(|c| self.channel_next[c as usize].max(floor));
        let mut best = Best::NOBODY;
        each_bank!(mask, bank, {
            let e = &self.opened[bank];
            let class = column_command(e.write) as usize;
            let at = self.slot_of(bank, class, base[usize::from(e.write)]);
            best.offer(at, e.key & !QUEUED, bank);
        });
        Pick {
            at: best.at,
            key: best.key,
            bank: best.bank as u8,
            command: column_command(self.opened[best.bank].write),
            source: Source::Opened,
        }
    }

    /// The best queued hit among `allowed` banks.
    #[inline(always)]
    pub(super) fn best_hit(&self, floor: u64, mode: Kind, allowed: u64) -> Pick {
        let queue = &self.queues[side(mode)];
        let mask = queue.column_mask & allowed;
        if mask == 0 {
            return Pick::NEVER;
        }
        let command = column_command(mode == Kind::Write);
        let class = command as usize;
        let base = floor.max(self.channel_next[class]);
        let banks = &self.bank_next[class];
        let mut best = Best::NOBODY;
        each_bank!(mask, bank, {
            let at = banks[bank].max(base) | self.edge;
            best.offer(at, queue.column_key[bank], bank);
        });
        let source = Source::Queued(mode, queue.column_index[best.bank]);
        Pick {
            at: best.at,
            key: best.key,
            bank: best.bank as u8,
            command,
            source,
        }
    }

    /// The best queued request among `allowed` banks that needs a row command.
    #[inline(always)]
    pub(super) fn best_miss(&self, floor: u64, mode: Kind, allowed: u64) -> Pick {
        let queue = &self.queues[side(mode)];
        let mask = queue.row_mask & allowed & !self.opened_mask;
        if mask == 0 {
            return Pick::NEVER;
        }
        let (act, pre) = self.row_bases(floor);
        let mut best = Best::NOBODY;
        let close = &self.bank_next[Command::Precharge as usize];
        let open = &self.bank_next[Command::Activate as usize];
        each_bank!(mask, bank, {
            let closed = self.open_mask >> bank & 1 == 0;
            let to_close = close[bank].max(pre);
            let to_open = open[bank].max(act) | self.edge;
            let at = std::hint::select_unpredictable(closed, to_open, to_close);
            best.offer(at, queue.row_key[bank], bank);
        });
        let open = self.open_mask >> best.bank & 1 == 1;
        let command = if open {
            Command::Precharge
        } else {
            Command::Activate
        };
        let source = Source::Queued(mode, queue.row_index[best.bank]);
        Pick {
            at: best.at,
            key: best.key,
            bank: best.bank as u8,
            command,
            source,
        }
    }

    /// Earliest slots of (activate, precharge) as far as the channel is concerned.
    #[inline(always)]
    pub(super) fn row_bases(&self, floor: u64) -> (u64, u64) {
        let window = self.activates[self.oldest_activate & 3];
        let act = floor
            .max(self.channel_next[Command::Activate as usize])
            .max(window);
        (
            act,
            floor.max(self.channel_next[Command::Precharge as usize]),
        )
    }
}
