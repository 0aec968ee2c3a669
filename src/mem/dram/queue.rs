//! A request queue: a slab of entries, threaded into one list per bank in order of arrival.
//!
//! For each bank the queue keeps the two requests that matter: the preferred one that hits the open row (it can
//! issue a column command) and the preferred one that does not (it can issue a row command).

use super::MAX_BANKS;
use super::sched::{AGE_MASK, CLASS_SHIFT, Protect, ROW_PENALTY, Rules};
use bincode::{Decode, Encode};

/// "No entry".
pub(super) const NIL: u16 = u16::MAX;
/// Outcome not known yet.
pub(super) const UNTOUCHED: u8 = u8::MAX;

/// One queued request.
#[derive(Clone, Copy, Debug, Default, Encode, Decode)]
pub(super) struct Entry {
    /// Preference; smaller is better.
    pub key: u64,
    /// CK of acceptance.
    pub accepted: u64,
    pub row: u32,
    pub column: u32,
    pub tag: u32,
    /// Neighbours in the bank's list.
    pub next: u16,
    pub prev: u16,
    pub bank: u8,
    pub stream: u8,
    /// `RowOutcome` as a number, or `UNTOUCHED`.
    pub outcome: u8,
    /// The request writes.
    pub write: bool,
}

const _: () = assert!(size_of::<Entry>() <= 40);

/// A request that could issue a command.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    key: u64,
    index: u16,
}

const NOBODY: Candidate = Candidate {
    key: u64::MAX,
    index: NIL,
};

/// One queue.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct Queue {
    pub entries: Vec<Entry>,
    head: [u16; MAX_BANKS],
    tail: [u16; MAX_BANKS],
    free: u16,
    pub len: u32,
    pub capacity: u32,
    /// Banks with a column candidate.
    pub column_mask: u64,
    /// Banks with a row candidate.
    pub row_mask: u64,
    /// Keys and places of the candidates, by bank.
    pub column_key: [u64; MAX_BANKS],
    pub column_index: [u16; MAX_BANKS],
    pub row_key: [u64; MAX_BANKS],
    pub row_index: [u16; MAX_BANKS],
    /// The row against which `others` counts, by bank; `NO_ROW` when it must be counted anew.
    counted_row: [u32; MAX_BANKS],
    /// Queued writes by a hash of bank, row and column: most often there is no twin, and no need to look.
    marks: [u16; MARKS],
    /// Requests of the bank for other rows than `counted_row`: without any, the oldest hit ends a scan.
    others: [u16; MAX_BANKS],
}

/// Counters of queued requests.
const MARKS: usize = 256;

/// The counter of a burst.
#[inline(always)]
fn mark(bank: usize, row: u32, column: u32) -> usize {
    let mixed = (row << 6 ^ column ^ (bank as u32) << 26).wrapping_mul(0x9E37_79B1);
    (mixed >> 24) as usize % MARKS
}

/// No row has this number.
const NO_ROW: u32 = u32::MAX;

impl Queue {
    pub fn new(capacity: u32) -> Queue {
        let mut entries = vec![Entry::default(); capacity as usize];
        for (i, e) in entries.iter_mut().enumerate() {
            e.next = if i + 1 == capacity as usize {
                NIL
            } else {
                i as u16 + 1
            };
        }
        Queue {
            entries,
            head: [NIL; MAX_BANKS],
            tail: [NIL; MAX_BANKS],
            free: 0,
            len: 0,
            capacity,
            column_mask: 0,
            row_mask: 0,
            column_key: [u64::MAX; MAX_BANKS],
            column_index: [NIL; MAX_BANKS],
            row_key: [u64::MAX; MAX_BANKS],
            row_index: [NIL; MAX_BANKS],
            counted_row: [NO_ROW; MAX_BANKS],
            others: [0; MAX_BANKS],
            marks: [0; MARKS],
        }
    }

    /// Appends `entry` to its bank's list and returns its place. The queue must have room.
    pub fn push(&mut self, mut entry: Entry) -> u16 {
        let index = self.free;
        let bank = entry.bank as usize & (MAX_BANKS - 1);
        self.free = self.entries[index as usize].next;
        entry.next = NIL;
        entry.prev = self.tail[bank];
        match self.tail[bank] {
            NIL => self.head[bank] = index,
            tail => self.entries[tail as usize].next = index,
        }
        self.tail[bank] = index;
        self.others[bank] += u16::from(entry.row != self.counted_row[bank]);
        if entry.write {
            self.marks[mark(bank, entry.row, entry.column)] += 1;
        }
        self.entries[index as usize] = entry;
        self.len += 1;
        index
    }

    /// Takes the entry at `index` out.
    pub fn remove(&mut self, index: u16) -> Entry {
        let entry = self.entries[index as usize];
        let bank = entry.bank as usize & (MAX_BANKS - 1);
        match entry.prev {
            NIL => self.head[bank] = entry.next,
            prev => self.entries[prev as usize].next = entry.next,
        }
        match entry.next {
            NIL => self.tail[bank] = entry.prev,
            next => self.entries[next as usize].prev = entry.prev,
        }
        self.others[bank] -= u16::from(entry.row != self.counted_row[bank]);
        if entry.write {
            self.marks[mark(bank, entry.row, entry.column)] -= 1;
        }
        self.entries[index as usize].next = self.free;
        self.free = index;
        self.len -= 1;
        entry
    }

    /// Whether requests wait for `bank`.
    #[inline]
    pub fn has(&self, bank: usize) -> bool {
        self.head[bank] != NIL
    }

    /// Whether a write of exactly this burst is queued.
    pub fn contains_write(&self, bank: usize, row: u32, column: u32) -> bool {
        self.marks[mark(bank, row, column)] > 0
            && self.iter(bank).any(|e| e.row == row && e.column == column)
    }

    /// Whether a request for `row` of `bank` is queued.
    pub fn wants_row(&self, bank: usize, row: u32) -> bool {
        self.iter(bank).any(|e| e.row == row)
    }

    /// The requests of a bank in order of arrival.
    pub fn iter(&self, bank: usize) -> impl Iterator<Item = &Entry> {
        let mut at = self.head[bank];
        std::iter::from_fn(move || {
            let entry = (at != NIL).then(|| &self.entries[at as usize])?;
            at = entry.next;
            Some(entry)
        })
    }

    /// Calls `f` for every request, bank by bank, in order of arrival within a bank.
    pub fn for_each_mut(&mut self, banks: usize, mut f: impl FnMut(&mut Entry)) {
        for bank in 0..banks {
            let mut at = self.head[bank];
            while at != NIL {
                let entry = &mut self.entries[at as usize];
                at = entry.next;
                f(entry);
            }
        }
    }

    /// Finds the candidates of `bank` anew. `open_row` is `None` for a closed bank; `overtaken` counts the hits
    /// that went past an older conflict since the row was opened.
    pub fn rescan(&mut self, bank: usize, open_row: Option<u32>, overtaken: u32, rules: &Rules) {
        let bank = bank & (MAX_BANKS - 1);
        if self.head[bank] == NIL {
            self.column_mask &= !(1 << bank);
            self.row_mask &= !(1 << bank);
            return;
        }
        let (mut hit, mut miss) = (NOBODY, NOBODY);
        if let Some(row) = open_row.filter(|row| *row != self.counted_row[bank]) {
            self.counted_row[bank] = row;
            self.others[bank] = self.iter(bank).filter(|e| e.row != row).count() as u16;
        }
        let all_hit = open_row.is_some() && self.others[bank] == 0;
        let mut at = self.head[bank];
        while at != NIL {
            let e = &self.entries[at as usize];
            let best = if open_row == Some(e.row) {
                &mut hit
            } else {
                &mut miss
            };
            if e.key < best.key {
                *best = Candidate {
                    key: e.key,
                    index: at,
                };
            }
            let both = hit.index != NIL && miss.index != NIL;
            if rules.age_ordered && (open_row.is_none() || both || all_hit) {
                break;
            }
            at = e.next;
        }
        if hit.index != NIL && miss.index != NIL {
            let older = miss.key & AGE_MASK < hit.key & AGE_MASK;
            if overtaken >= rules.overtake_cap && older {
                hit = NOBODY;
            } else if !may_close(rules.protect, miss.key, hit.key) {
                miss = NOBODY;
            }
        }
        if rules.hit_first && miss.index != NIL {
            miss.key |= ROW_PENALTY;
        }
        let bit = 1u64 << bank;
        let marked = |mask: u64, index: u16| mask & !bit | u64::from(index != NIL) << bank;
        self.column_mask = marked(self.column_mask, hit.index);
        self.row_mask = marked(self.row_mask, miss.index);
        (self.column_key[bank], self.column_index[bank]) = (hit.key, hit.index);
        (self.row_key[bank], self.row_index[bank]) = (miss.key, miss.index);
    }

    /// After a push into `bank` that cannot have changed its candidates: the row is open and the arrival hits it
    /// behind another hit, or conflicts behind another conflict that may close the row.
    #[inline]
    pub fn unchanged_by_last(&self, entry: &Entry, open_row: Option<u32>, rules: &Rules) -> bool {
        let bank = entry.bank as usize & (MAX_BANKS - 1);
        let bit = 1u64 << bank;
        match open_row {
            Some(row) if row == entry.row => rules.age_ordered && self.column_mask & bit != 0,
            Some(_) if rules.protect == Protect::PreferredHits => {
                (self.row_mask | self.column_mask) & bit != 0
            }
            Some(_) => rules.age_ordered && self.row_mask & bit != 0,
            None => rules.age_ordered && self.row_mask & bit != 0,
        }
    }
}

/// Whether the conflict `miss` may close the row under `hit`.
fn may_close(protect: Protect, miss: u64, hit: u64) -> bool {
    match protect {
        Protect::Never => true,
        Protect::PreferredHits => miss < hit,
        Protect::ClassHits => miss >> CLASS_SHIFT < hit >> CLASS_SHIFT,
    }
}
