//! A TLB that several units share.

use super::page::Page;
use super::sm::{find, insert, tags};
use crate::engine::Cycle;
use crate::mem::cache::Tags;
use crate::stats::tlb::TlbLevelStats;
use std::collections::VecDeque;

/// What became of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// The page is known.
    Hit,
    /// It is not, and the next level has to be asked.
    Ask,
    /// An answer that is under way, or a free entry, will bring it.
    Waits,
}

/// A page that is waited for, and who waits; free while nobody does.
#[derive(Clone, Debug, Default)]
struct Pending {
    page: Page,
    waiting: Vec<u16>,
}

/// Pages that it knows, pages that it waits for, and lookups that wait for a free entry among these.
#[derive(Clone, Debug)]
pub(super) struct Level {
    tags: Tags,
    pending: Vec<Pending>,
    parked: VecDeque<(Page, u16)>,
    interval: Cycle,
    free_at: Cycle,
    pub(super) stats: TlbLevelStats,
}

impl Level {
    /// An empty one of `entries` pages in sets of `ways`, which waits for `mshrs` pages at most and looks one up every
    /// `interval` cycles.
    pub(super) fn new(entries: u32, ways: u16, mshrs: u16, interval: u8) -> Self {
        Level {
            tags: tags(entries, ways),
            pending: vec![Pending::default(); usize::from(mshrs)],
            parked: VecDeque::new(),
            interval: Cycle::from(interval),
            free_at: 0,
            stats: TlbLevelStats::default(),
        }
    }

    /// A lookup comes at `at`; the answer is when its turn is.
    pub(super) fn turn(&mut self, at: Cycle) -> Cycle {
        let start = at.max(self.free_at);
        self.free_at = start + self.interval;
        self.stats.wait_cycles += start - at;
        start
    }

    /// Looks `page` up for unit `from`.
    pub(super) fn look(&mut self, page: Page, from: u16) -> Lookup {
        self.stats.lookups += 1;
        if find(&mut self.tags, page) {
            self.stats.hits += 1;
            return Lookup::Hit;
        }
        self.stats.misses += 1;
        // Lookups that wait for an entry go first, those of the same page too.
        let settled = match self.parked.is_empty() {
            true => self.wait(page, from),
            false => self.join(page, from).then_some(Lookup::Waits),
        };
        settled.unwrap_or_else(|| {
            self.stats.parked += 1;
            self.parked.push_back((page, from));
            Lookup::Waits
        })
    }

    /// Unit `from` waits for `page` with those that do already, if any does.
    fn join(&mut self, page: Page, from: u16) -> bool {
        let waits = |p: &&mut Pending| p.page == page && !p.waiting.is_empty();
        let joined = self.pending.iter_mut().find(waits);
        let found = joined.map(|p| p.waiting.push(from)).is_some();
        self.stats.merged += u64::from(found);
        found
    }

    /// Unit `from` waits for `page`; nothing when all entries for that are taken.
    fn wait(&mut self, page: Page, from: u16) -> Option<Lookup> {
        if self.join(page, from) {
            return Some(Lookup::Waits);
        }
        let free = self.pending.iter_mut().find(|p| p.waiting.is_empty())?;
        free.page = page;
        free.waiting.push(from);
        self.stats.asked += 1;
        Some(Lookup::Ask)
    }

    /// `page` comes: `answered` is called for everyone who waited for it.
    pub(super) fn fill(&mut self, page: Page, answered: impl FnMut(u16)) {
        insert(&mut self.tags, page);
        let waits = |p: &&mut Pending| p.page == page && !p.waiting.is_empty();
        if let Some(pending) = self.pending.iter_mut().find(waits) {
            pending.waiting.drain(..).for_each(answered);
        }
    }

    /// After a page came: the next of the parked lookups that is settled, whose it is, and what became of it.
    pub(super) fn unpark(&mut self) -> Option<(Page, u16, Lookup)> {
        let &(page, from) = self.parked.front()?;
        let settled = match find(&mut self.tags, page) {
            true => {
                self.stats.merged += 1;
                Lookup::Hit
            }
            false => self.wait(page, from)?,
        };
        self.parked.pop_front();
        Some((page, from, settled))
    }

    /// Pages that are waited for, and lookups that wait for an entry.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let pending = self.pending.iter().filter(|p| !p.waiting.is_empty());
        (pending.count(), self.parked.len())
    }
}
