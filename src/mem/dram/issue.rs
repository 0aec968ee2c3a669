//! One bus slot: refreshes fall due, then at most one command per bus issues.

use super::MAX_BANKS;
use super::channel::{Channel, Completion};
use super::command::{Command, Kind};
use super::page::PagePolicy;
use super::plan::{Pick, Source};
use super::probe::{DramProbe, Issued, RowOutcome, Served};
use super::queue::{Entry, UNTOUCHED};
use super::sched::{AGE_MASK, side};
use super::stats::Cause;

impl Channel {
    /// Runs slot `slot`; the plan is fresh and has something in it for this slot.
    pub(super) fn step<P: DramProbe>(
        &mut self,
        slot: u64,
        done: &mut Vec<Completion>,
        probe: &mut P,
    ) {
        self.deliver_before(slot, done);
        self.floor = slot;
        if slot == self.refresh.due {
            self.settle_mode(slot - 1);
            self.refresh.fall_due();
            self.forget_plan();
            self.plan();
        }
        if slot == self.reads_gone_at {
            self.settle_mode(slot - 1);
            self.reads_gone = true;
            self.reads_gone_at = u64::MAX;
            self.plan();
        }
        self.now = slot;
        if self.bus.dual {
            self.dual_slot(slot, done, probe);
        } else {
            self.single_slot(slot, done, probe);
        }
        self.floor = slot + 1;
    }

    /// A column and a row command may issue in the same slot; the row bus sees what the column command did.
    fn dual_slot<P: DramProbe>(&mut self, slot: u64, done: &mut Vec<Completion>, probe: &mut P) {
        self.settle_mode(slot);
        if self.column_pick.at <= slot {
            self.issue_column(self.column_pick, slot, done, probe);
            // The drain decision is made anew for the row bus of this very slot.
            if !self.refresh_holds() {
                self.decide_mode();
            }
            self.plan();
        }
        if self.row_pick.at <= slot {
            self.issue_row(self.row_pick, slot, probe);
        }
    }

    /// One command: opened requests, then refresh, then whatever is preferred.
    fn single_slot<P: DramProbe>(&mut self, slot: u64, done: &mut Vec<Completion>, probe: &mut P) {
        let (column, row) = (self.column_pick, self.row_pick);
        if column.at > slot && row.at > slot {
            return;
        }
        let column_first = column.at <= slot && (row.at > slot || column.key < row.key);
        if column_first && column.source == Source::Opened {
            // Opened requests are served without a look at the queues, so no drain decision is made here.
            self.settle_mode(slot - 1);
            self.changed_at = slot;
        } else {
            self.settle_mode(slot);
        }
        if column_first {
            self.issue_column(column, slot, done, probe);
        } else {
            self.issue_row(row, slot, probe);
        }
    }

    /// The drain decision that is due by `slot`.
    #[inline]
    fn settle_mode(&mut self, slot: u64) {
        if slot > self.changed_at && !self.refresh_holds() {
            self.decide_mode();
        }
    }

    /// Completions due before `slot` come before what `slot` does.
    #[inline]
    fn deliver_before(&mut self, slot: u64, done: &mut Vec<Completion>) {
        self.deliver((slot - 1) >> self.shift, done);
    }

    /// Starts the gaps that follow `command` to `bank`. Where there is no rule the gap is 0, and no command issues
    /// before `slot` anyway.
    #[inline]
    fn start_gaps(&mut self, command: Command, bank: usize, slot: u64) {
        let c = command as usize;
        let first = bank >> self.bank_bits << self.bank_bits;
        if !command.is_all_bank() {
            for u in &self.compiled.bank[c] {
                let next = &mut self.bank_next[u.following as usize & 7][bank];
                *next = (*next).max(slot + u.gap);
            }
            for u in self.compiled.group[c].iter().filter(|u| u.gap > 0) {
                let banks = &mut self.bank_next[u.following as usize & 7];
                let at = slot + u.gap;
                // Nearly every standard has four banks in a group.
                if let (2, Some(four)) = (self.bank_bits, banks[first..].first_chunk_mut::<4>()) {
                    *four = four.map(|next| next.max(at));
                } else {
                    let group = &mut banks[first..first + (1 << self.bank_bits)];
                    group.iter_mut().for_each(|next| *next = at.max(*next));
                }
            }
        }
        for (next, gap) in self.channel_next.iter_mut().zip(&self.compiled.channel[c]) {
            *next = (*next).max(slot + gap);
        }
    }

    /// Issues a read or write.
    fn issue_column<P: DramProbe>(
        &mut self,
        pick: Pick,
        slot: u64,
        done: &mut Vec<Completion>,
        probe: &mut P,
    ) {
        let bank = pick.bank as usize & (MAX_BANKS - 1);
        let entry = match pick.source {
            Source::Queued(kind, index) => self.take_hit(kind, index, bank),
            _ => {
                self.opened_mask &= !(1u64 << bank);
                self.opened[bank]
            }
        };
        let command = self.page_command(pick.command, bank, entry.row);
        self.start_gaps(command, bank, slot);
        self.column_free = slot + 1;
        if !self.bus.dual {
            self.row_free = slot + 1;
        }
        self.last_access[bank] = slot;
        if command.auto_precharges() {
            self.stats.auto_precharges += 1;
            self.close(bank);
        } else if let Source::Queued(kind, _) = pick.source {
            let overtaken = self.overtaken[bank];
            self.queues[side(kind)].rescan(bank, Some(entry.row), overtaken, &self.rules);
            if overtaken == self.rules.overtake_cap {
                self.rescan(bank);
            }
        }
        let (row, column, tag) = (entry.row, entry.column, entry.tag);
        probe.command_issued(&Issued {
            tick: slot,
            command,
            bank: pick.bank,
            row,
            column,
            tag,
        });
        self.serve(&entry, slot, pick.source == Source::Opened, done, probe);
        self.column_stale = true;
        self.mend_row(bank);
    }

    /// Takes a queued hit out of its queue, and counts whether it overtook a conflict.
    fn take_hit(&mut self, kind: Kind, index: u16, bank: usize) -> Entry {
        let queue = &mut self.queues[side(kind)];
        let entry = queue.remove(index);
        let row = entry.row;
        if queue
            .iter(bank)
            .next()
            .is_some_and(|e| e.row != row && e.key & AGE_MASK < entry.key & AGE_MASK)
        {
            self.overtaken[bank] += 1;
        }
        if self.rules.strict {
            self.order.pop_front();
        }
        self.left(kind, self.now);
        entry
    }

    /// A request of `kind` left its queue in `slot`.
    #[inline]
    fn left(&mut self, kind: Kind, slot: u64) {
        self.changed_at = slot;
        if kind == Kind::Read && self.queues[side(Kind::Read)].len == 0 {
            self.reads_gone = self.write_idle == 0;
            if !self.reads_gone {
                self.reads_gone_at = slot + self.write_idle;
            }
        }
    }

    /// The command under the page policy: plain or auto-precharging. A row that the opened request of the bank
    /// still waits for stays open.
    #[inline]
    fn page_command(&self, command: Command, bank: usize, row: u32) -> Command {
        let awaited = self.opened_mask >> bank & 1 == 1;
        let auto = match self.spec.page {
            _ if awaited => false,
            PagePolicy::Open | PagePolicy::Timeout { .. } => false,
            PagePolicy::Closed => true,
            PagePolicy::ClosedBatch => !self.queues.iter().any(|q| q.wants_row(bank, row)),
        };
        match (auto, command) {
            (true, Command::Read) => Command::ReadAuto,
            (true, Command::Write) => Command::WriteAuto,
            (_, plain) => plain,
        }
    }

    /// Books a request whose column command issues at `slot`.
    fn serve<P: DramProbe>(
        &mut self,
        entry: &Entry,
        slot: u64,
        opened: bool,
        done: &mut Vec<Completion>,
        probe: &mut P,
    ) {
        let ck = (slot + self.edge) >> self.shift;
        self.book_burst(entry.write, ck, opened);
        let outcome = match entry.outcome {
            1 => RowOutcome::Miss,
            2 => RowOutcome::Conflict,
            _ => RowOutcome::Hit,
        };
        match outcome {
            RowOutcome::Hit => self.stats.row_hits += 1,
            RowOutcome::Miss => self.stats.row_misses += 1,
            RowOutcome::Conflict => self.stats.row_conflicts += 1,
        }
        let kind = if entry.write { Kind::Write } else { Kind::Read };
        let at = if entry.write {
            ck
        } else {
            (slot + self.read_ticks + self.edge) >> self.shift
        };
        if entry.write {
            self.stats.writes += 1;
            done.push(Completion {
                tag: entry.tag,
                kind,
                at,
            });
        } else {
            self.stats.reads += 1;
            self.record_latency(at - entry.accepted);
            self.returning.push_back(Completion {
                tag: entry.tag,
                kind,
                at,
            });
            self.next_data = self.next_data.min(at);
        }
        let (bank, row, tag, accepted) = (entry.bank, entry.row, entry.tag, entry.accepted);
        probe.request_served(&Served {
            kind,
            bank,
            row,
            tag,
            accepted,
            done: at,
            outcome,
        });
        self.after_service(entry.stream, ck);
    }

    /// Puts the burst of a column command that issues at `ck` into the ledger of the data bus.
    fn book_burst(&mut self, write: bool, ck: u64, opened: bool) {
        let t = &self.spec.standard.timing;
        let (cl, cwl, bl) = (u64::from(t.cl), u64::from(t.cwl), u64::from(t.bl));
        // Data to data: what the turnaround costs at most.
        let turn = if write {
            (u64::from(t.rtw) + cwl).saturating_sub(cl + bl)
        } else {
            cl + u64::from(t.wtr_l)
        };
        let start = ck + if write { cwl } else { cl };
        let cause = match (write != self.ledger.writing, opened) {
            (true, _) => Cause::Turnaround(turn),
            (false, true) => Cause::Activate,
            (false, false) => Cause::Column,
        };
        self.stats.direction_switches += u64::from(write != self.ledger.writing);
        self.ledger.writing = write;
        self.ledger.burst(&mut self.stats.bus, start, bl, cause);
        self.pending -= 1;
        if self.pending == 0 {
            self.ledger.all_served(ck);
        }
    }

    /// Issues an activate, precharge or refresh.
    fn issue_row<P: DramProbe>(&mut self, pick: Pick, slot: u64, probe: &mut P) {
        let bank = pick.bank as usize & (MAX_BANKS - 1);
        let mut issued = Issued {
            tick: slot,
            command: pick.command,
            bank: pick.bank,
            row: 0,
            column: 0,
            tag: u32::MAX,
        };
        if let Source::Queued(kind, index) = pick.source {
            let entry = &mut self.queues[side(kind)].entries[index as usize];
            if entry.outcome == UNTOUCHED {
                let closed = pick.command == Command::Activate;
                entry.outcome = if closed {
                    RowOutcome::Miss
                } else {
                    RowOutcome::Conflict
                } as u8;
            }
            issued = Issued {
                row: entry.row,
                column: entry.column,
                tag: entry.tag,
                ..issued
            };
        }
        self.row_free = slot + 1;
        if !self.bus.dual {
            self.column_free = slot + 1;
        }
        match (pick.command, pick.source) {
            (Command::Activate, Source::Queued(kind, index)) => {
                self.activate(kind, index, bank, slot)
            }
            (Command::Precharge, _) => {
                self.stats.precharges += 1;
                self.close(bank);
            }
            (Command::PrechargeAll, _) => {
                self.stats.precharges += 1;
                let mut open = std::mem::take(&mut self.open_mask);
                while open != 0 {
                    self.rescan(open.trailing_zeros() as usize);
                    open &= open - 1;
                }
            }
            (Command::RefreshAll, _) | (Command::RefreshBank, _) => {
                self.refreshed(pick.command, slot)
            }
            other => unreachable!("{other:?} on the row bus"),
        }
        self.start_gaps(pick.command, bank, slot);
        self.row_stale = true;
        self.mend_column(bank);
        probe.command_issued(&issued);
    }

    /// Opens the row of a queued request, which moves to the opened place of its bank.
    fn activate(&mut self, kind: Kind, index: u16, bank: usize, slot: u64) {
        let entry = self.queues[side(kind)].remove(index);
        if self.rules.strict {
            self.order.pop_front();
        }
        self.left(kind, slot);
        self.stats.activates += 1;
        self.activates[self.oldest_activate & 3] = slot + self.compiled.faw;
        self.oldest_activate = (self.oldest_activate + 1) & 3;
        self.open_mask |= 1u64 << bank;
        self.open_row[bank] = entry.row;
        self.overtaken[bank] = 0;
        self.last_access[bank] = slot;
        self.opened[bank] = entry;
        self.opened_mask |= 1u64 << bank;
        self.rescan(bank);
    }

    /// A refresh was issued.
    fn refreshed(&mut self, command: Command, slot: u64) {
        let ck = |tick: u64| (tick + self.edge) >> self.shift;
        let t = &self.spec.standard.timing;
        if command == Command::RefreshAll {
            self.stats.refreshes += 1;
            self.ledger
                .refreshed(ck(self.refresh.since), ck(slot) + u64::from(t.rfc));
            // The drain decision waits until the refresh has gone out.
            self.changed_at = self.changed_at.max(slot);
        } else {
            self.stats.bank_refreshes += 1;
        }
        self.refresh.done(self.banks as u8);
        self.forget_plan();
    }

    /// `bank` has no open row any more.
    fn close(&mut self, bank: usize) {
        self.open_mask &= !(1u64 << bank);
        self.rescan(bank);
    }

    /// Finds the candidates of `bank` in both queues anew.
    pub(super) fn rescan(&mut self, bank: usize) {
        let open = self.row_of(bank);
        for queue in &mut self.queues {
            queue.rescan(
                bank,
                open,
                self.overtaken[bank & (MAX_BANKS - 1)],
                &self.rules,
            );
        }
    }
}
