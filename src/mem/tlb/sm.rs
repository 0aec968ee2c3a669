//! The L1 TLB of an SM.

use super::page::{Page, PageTable};
use crate::config::{Replacement, TlbSpec};
use crate::engine::Cycle;
use crate::isa::CacheOp;
use crate::mem::Line;
use crate::mem::cache::{Access, Tags};
use crate::stats::tlb::TlbLevelStats;

/// What an SM asks of the TLB of its GPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Cycle.
    pub at: Cycle,
    /// The page.
    pub page: Page,
}

/// What a lookup came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The page is known.
    Hit,
    /// An answer will come.
    Waits,
    /// As many pages are waited for as can be; the lookup has to be made again and is not counted.
    Full,
}

/// The TLB of an SM: pages that it knows, and pages that it waits for.
#[derive(Clone, Debug)]
pub struct SmTlb {
    table: PageTable,
    tags: Tags,
    pending: Vec<Page>,
    pending_max: usize,
    /// What it asks, in order; the chip takes it.
    pub asks: Vec<Ask>,
    /// Counters.
    pub stats: TlbLevelStats,
}

/// An access as any other.
const USE: Access = Access {
    cache: CacheOp::All,
};

/// Empty tags of `entries` in sets of `ways`.
pub(super) fn tags(entries: u32, ways: u16) -> Tags {
    let ways = u32::from(ways);
    Tags::new(entries / ways, ways, false, Replacement::Lru)
}

/// Whether `tags` has `page`, which becomes the most recently used.
pub(super) fn find(tags: &mut Tags, page: Page) -> bool {
    let found = tags.find(Line(page.0));
    if let Some(id) = found {
        tags.hit(id, USE);
    }
    found.is_some()
}

/// Puts `page` into `tags`.
pub(super) fn insert(tags: &mut Tags, page: Page) {
    if !find(tags, page) {
        tags.insert(Line(page.0), USE);
    }
}

impl SmTlb {
    /// An empty TLB.
    pub fn new(spec: &TlbSpec) -> Self {
        SmTlb {
            table: PageTable::new(spec.page),
            tags: tags(spec.l1_entries, spec.l1_ways),
            pending: Vec::new(),
            pending_max: usize::from(spec.l1_mshrs),
            asks: Vec::new(),
            stats: TlbLevelStats::default(),
        }
    }

    /// Looks the page of `line` up at `at`, `again` where the TLB was full before.
    pub fn look(&mut self, line: Line, at: Cycle, again: bool) -> Looked {
        let page = self.table.page(line);
        let waited_for = self.pending.contains(&page);
        let hit = !waited_for && find(&mut self.tags, page);
        if !hit && !waited_for && self.pending.len() == self.pending_max {
            self.stats.parked += u64::from(!again);
            return Looked::Full;
        }
        self.stats.lookups += 1;
        if hit {
            self.stats.hits += 1;
            return Looked::Hit;
        }
        self.stats.misses += 1;
        if waited_for {
            self.stats.merged += 1;
        } else {
            self.stats.asked += 1;
            self.pending.push(page);
            self.asks.push(Ask { at, page });
        }
        Looked::Waits
    }

    /// Whether the page of `line`, which a request waits for, has come.
    pub fn came(&self, line: Line) -> bool {
        self.tags.find(Line(self.table.page(line).0)).is_some()
    }

    /// The page of `line` comes.
    pub fn answer(&mut self, line: Line) {
        let page = self.table.page(line);
        self.pending.retain(|p| *p != page);
        insert(&mut self.tags, page);
    }
}
