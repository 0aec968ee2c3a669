//! Page walkers and their cache.

use super::page::{Page, PageTable};
use super::sm::{find, insert, tags};
use crate::config::TlbSpec;
use crate::engine::Cycle;
use crate::mem::cache::Tags;
use crate::mem::{Line, SectorMask};
use crate::stats::tlb::WalkStats;
use std::collections::VecDeque;

/// A walk: the level whose entry is being read, and when it began.
#[derive(Clone, Copy, Debug)]
struct Walk {
    page: Page,
    level: usize,
    began: Cycle,
}

/// An entry of the page table that a walker reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableRead {
    pub(super) walker: u16,
    pub(super) line: Line,
    pub(super) sectors: SectorMask,
}

/// What an entry that was read leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next entry.
    Read(TableRead),
    /// The page; the walker is free.
    Done(Page),
}

/// The walkers, pages that wait for one, and the cache of the entries above those of pages.
#[derive(Clone, Debug)]
pub(super) struct Walkers {
    table: PageTable,
    walkers: Vec<Option<Walk>>,
    queue: VecDeque<(Page, Cycle)>,
    cache: Option<Tags>,
    pub(super) stats: WalkStats,
}

impl Walkers {
    /// Idle walkers with an empty cache.
    pub(super) fn new(spec: &TlbSpec) -> Self {
        let entries = spec.walk_cache_entries;
        Walkers {
            table: PageTable::new(spec.page),
            walkers: vec![None; usize::from(spec.walkers)],
            queue: VecDeque::new(),
            cache: (entries > 0).then(|| tags(entries.into(), entries)),
            stats: WalkStats::default(),
        }
    }

    /// The entry of `level` that leads to `page`, as the cache of the walkers names it.
    fn cached(&self, level: usize, page: Page) -> Page {
        Page(self.table.index(level, page) << 3 | level as u64)
    }

    /// `page` needs a walk at `now`: its first read, or nothing when all walkers are busy.
    pub(super) fn request(&mut self, page: Page, now: Cycle) -> Option<TableRead> {
        self.stats.walks += 1;
        self.queue.push_back((page, now));
        self.begin(now)
    }

    /// The next page in the queue takes a free walker, if there are both; its first read.
    pub(super) fn begin(&mut self, now: Cycle) -> Option<TableRead> {
        let walker = self.walkers.iter().position(Option::is_none)?;
        let (page, asked) = self.queue.pop_front()?;
        self.stats.queue_cycles += now - asked;
        let level = self.first_level(page);
        self.stats.cached += level as u64;
        self.walkers[walker] = Some(Walk {
            page,
            level,
            began: now,
        });
        Some(self.read(walker as u16, level, page))
    }

    /// The level behind the deepest one that the cache has of `page`.
    fn first_level(&mut self, page: Page) -> usize {
        for level in (0..self.table.levels() - 1).rev() {
            let entry = self.cached(level, page);
            if self.cache.as_mut().is_some_and(|cache| find(cache, entry)) {
                return level + 1;
            }
        }
        0
    }

    fn read(&mut self, walker: u16, level: usize, page: Page) -> TableRead {
        self.stats.reads += 1;
        let (line, sectors) = self.table.entry(level, page);
        TableRead {
            walker,
            line,
            sectors,
        }
    }

    /// The entry that `walker` reads comes at `now`.
    pub(super) fn came(&mut self, walker: u16, now: Cycle) -> Step {
        let slot = usize::from(walker);
        let walk = self.walkers[slot].expect("an idle walker reads nothing");
        if walk.level + 1 == self.table.levels() {
            self.walkers[slot] = None;
            self.stats.busy_cycles += now - walk.began;
            return Step::Done(walk.page);
        }
        let entry = self.cached(walk.level, walk.page);
        if let Some(cache) = &mut self.cache {
            insert(cache, entry);
        }
        let level = walk.level + 1;
        self.walkers[slot] = Some(Walk { level, ..walk });
        Step::Read(self.read(walker, level, walk.page))
    }

    /// Walkers at work, and pages that wait for one.
    pub(super) fn busy(&self) -> (usize, usize) {
        let busy = self.walkers.iter().flatten().count();
        (busy, self.queue.len())
    }
}
