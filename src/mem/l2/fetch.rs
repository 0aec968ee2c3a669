//! What a miss asks for: its sectors, and what its hint names around them.
//!
//! Only the home of a line honours the hint, since it is about DRAM: a slice of the other partition passes it on, and
//! gets the sectors of the read alone.

use super::{Action, Slice, Waiter};
use crate::engine::Cycle;
use crate::isa::PrefetchHint;
use crate::mem::cache::EntryId;
use crate::mem::{Line, Request, SectorMask};

impl Slice {
    /// Asks for the sectors `new` that `r`, whose turn in the data path is at `start`, is the first to miss.
    pub(super) fn fetch(
        &mut self,
        r: &Request,
        new: SectorMask,
        start: Cycle,
        home: bool,
        act: &mut Vec<Action>,
    ) {
        let mut sectors = new;
        let at = match home {
            true => start + self.miss_latency,
            false => start + 1,
        };
        if !home {
            self.stats.forwards += 1;
            self.stats.forwarded_sectors += u64::from(new.count());
        } else if r.prefetch != PrefetchHint::None {
            sectors |= self.around(r, new);
        }
        act.push(Action::Fetch {
            at,
            line: r.line,
            sectors,
            cache: r.cache,
            prefetch: r.prefetch,
        });
        if home && r.prefetch == PrefetchHint::Pair && self.pairs {
            self.fetch_neighbour(r, at, act);
        }
    }

    /// The sectors around `new` that the hint of `r` names and that are neither here nor on their way.
    fn around(&mut self, r: &Request, new: SectorMask) -> SectorMask {
        let piece = match r.prefetch {
            PrefetchHint::Half => new.in_pairs(),
            _ => SectorMask::ALL,
        };
        let Some(mshr) = self.mshrs.find(r.line) else {
            return SectorMask::NONE;
        };
        let sectors = self.mshrs.prefetch(mshr, piece.without(self.valid(r.line)));
        self.stats.prefetches += u64::from(sectors.count());
        sectors
    }

    /// Fetches the other line of the piece of 256 bytes, unless it is on its way already or no MSHR is free.
    fn fetch_neighbour(&mut self, r: &Request, at: Cycle, act: &mut Vec<Action>) {
        let line = Line(r.line.0 ^ 1);
        let sectors = SectorMask::ALL.without(self.valid(line));
        if sectors.is_empty() || self.mshrs.find(line).is_some() {
            return;
        }
        let count = u64::from(sectors.count());
        if self.mshrs.check(None).is_err() {
            self.stats.prefetch_drops += count;
            return;
        }
        let nobody = Waiter::nobody(r, SectorMask::NONE);
        let (mshr, _) = self.mshrs.wait(None, line, SectorMask::NONE, nobody);
        self.mshrs.prefetch(mshr, sectors);
        self.stats.prefetches += count;
        act.push(Action::Fetch {
            at,
            line,
            sectors,
            cache: r.cache,
            prefetch: PrefetchHint::None,
        });
    }

    fn valid(&self, line: Line) -> SectorMask {
        let present = self.find(line);
        present.map_or(SectorMask::NONE, |id| self.tags.entry(id).valid)
    }

    /// A read found the sectors `hit` of entry `id`: those that a hint brought in were worth it.
    #[inline(always)]
    pub(super) fn count_prefetch_hits(&mut self, id: EntryId, hit: SectorMask) {
        let entry = self.tags.entry_mut(id);
        let used = entry.prefetched & hit;
        if !used.is_empty() {
            entry.prefetched = entry.prefetched.without(used);
            self.stats.prefetch_hits += u64::from(used.count());
        }
    }
}
