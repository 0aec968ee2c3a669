//! Lines that fell out of L1 and were fetched again: whose they were, who drove them out, who wanted them back.
//!
//! Of each L1 the last evictions are remembered, four times as many as it has lines: a line that is wanted back later than
//! that would not fit a cache of several times the size either.

use super::table::Table;
use crate::engine::Cycle;
use crate::mem::{Line, SectorMask};
use crate::probe::{L1Access, L1Evicted};
use std::collections::{BTreeMap, VecDeque};

/// Evictions that are remembered, for each line of the cache.
pub const REMEMBERED: usize = 4;
/// Triples of accesses that are told apart in an SM.
const FINDINGS_MAX: usize = 1024;

/// An instruction of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// Number of the kernel.
    pub kernel: u32,
    /// Its pc.
    pub pc: u32,
}

/// An access of a CTA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// The instruction.
    pub access: Access,
    /// The CTA.
    pub cta: u64,
}

/// The three accesses to a line that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Roles {
    /// Brought it in.
    pub lost: Access,
    /// Brought the line in that took its place.
    pub by: Access,
    /// Wanted it back.
    pub again: Access,
}

/// Lines that were lost and fetched again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Lines.
    pub lines: u64,
    /// Those of them that an access of another CTA drove out than the one that had brought them in.
    pub other_cta: u64,
    /// Sectors that were fetched again.
    pub sectors: u64,
    /// Cycles from eviction to the access that wanted the line back, summed over lines.
    pub cycles: u64,
    /// The fewest of them.
    pub least: u64,
}

impl Found {
    /// Adds others.
    pub fn add(&mut self, more: &Self) {
        self.least = match self.lines {
            0 => more.least,
            _ if more.lines == 0 => self.least,
            _ => self.least.min(more.least),
        };
        self.lines += more.lines;
        self.other_cta += more.other_cta;
        self.sectors += more.sectors;
        self.cycles += more.cycles;
    }
}

/// What was lost, in sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sectors that L1 asked L2 for.
    pub fetched_sectors: u64,
    /// Lines that fell out for another one.
    pub evicted_lines: u64,
    /// Evictions too long ago to be remembered.
    pub forgotten_lines: u64,
    /// All that was fetched again.
    pub again: Found,
}

/// A line that falls out.
#[derive(Clone, Copy, Debug)]
struct Lost {
    at: Cycle,
    owner: Who,
    by: Who,
    sectors: SectorMask,
    /// It was wanted back already, in part.
    wanted: bool,
}

/// Watches an L1, or sums over several.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// Who asked first for a line in flight, and what has not come yet.
    coming: Table<(Who, SectorMask)>,
    /// Who brought in a line that is there.
    owners: Table<Who>,
    lost: Table<Lost>,
    /// Evictions in order.
    order: VecDeque<(Cycle, Line)>,
    remembered: usize,
    /// In sums.
    pub totals: Totals,
    /// By accesses.
    pub found: BTreeMap<Roles, Found>,
    /// Those of accesses for which there was no room.
    pub others: Found,
}

impl Losses {
    /// Of a cache of `lines` lines.
    pub fn new(lines: usize) -> Self {
        Losses {
            remembered: REMEMBERED * lines,
            ..Losses::default()
        }
    }

    /// The cache is emptied.
    pub fn emptied(&mut self) {
        self.coming.clear();
        self.owners.clear();
        self.lost.clear();
        self.order.clear();
    }

    /// `who` loads from a line.
    #[inline]
    pub fn loaded(&mut self, now: Cycle, access: &L1Access, who: Who) {
        let asked = access.found.request;
        if asked.is_empty() {
            return;
        }
        self.totals.fetched_sectors += u64::from(asked.count());
        let new = (who, SectorMask::NONE);
        self.coming.or_insert(access.line, new).1 |= asked;
        self.wanted(now, access.line, asked, who);
    }

    /// `asked` of `line` are fetched: sectors of it that were here are fetched again.
    fn wanted(&mut self, now: Cycle, line: Line, asked: SectorMask, who: Who) {
        let Some(lost) = self.lost.get_mut(line) else {
            return;
        };
        let sectors = lost.sectors & asked;
        if sectors.is_empty() {
            return;
        }
        let mut found = Found {
            sectors: sectors.count().into(),
            ..Found::default()
        };
        if !lost.wanted {
            lost.wanted = true;
            found.lines = 1;
            found.other_cta = u64::from(lost.owner.cta != lost.by.cta);
            found.cycles = now - lost.at;
            found.least = found.cycles;
        }
        let roles = Roles {
            lost: lost.owner.access,
            by: lost.by.access,
            again: who.access,
        };
        self.totals.again.add(&found);
        find(&mut self.found, &mut self.others, roles, &found);
        self.took(line, sectors);
    }

    /// `sectors` of `line` are no longer missed.
    fn took(&mut self, line: Line, sectors: SectorMask) {
        if let Some(lost) = self.lost.get_mut(line) {
            lost.sectors = lost.sectors.without(sectors);
            if lost.sectors.is_empty() {
                self.lost.remove(line);
            }
        }
    }

    /// Sectors arrive.
    pub fn filled(&mut self, line: Line, sectors: SectorMask) {
        let Some((who, left)) = self.coming.get_mut(line) else {
            return;
        };
        let who = *who;
        *left = left.without(sectors);
        if left.is_empty() {
            self.coming.remove(line);
        }
        self.owners.or_insert(line, who);
    }

    /// `who` stores to a line that stays, and writes the sectors `full` in every byte.
    pub fn stored(&mut self, line: Line, full: SectorMask, who: Who) {
        self.owners.or_insert(line, who);
        self.took(line, full);
    }

    /// A line falls out.
    pub fn evicted(&mut self, now: Cycle, evicted: &L1Evicted) {
        self.totals.evicted_lines += 1;
        let owner = self.owners.remove(evicted.line);
        let by = self.owners.get(evicted.by).copied();
        let (Some(owner), Some(by)) = (owner, by) else {
            return;
        };
        if evicted.valid.is_empty() {
            return;
        }
        let lost = Lost {
            at: now,
            owner,
            by,
            sectors: evicted.valid,
            wanted: false,
        };
        *self.lost.or_insert(evicted.line, lost) = lost;
        self.order.push_back((now, evicted.line));
        if self.order.len() > self.remembered {
            let oldest = self.order.pop_front();
            let oldest =
                oldest.filter(|(at, line)| self.lost.get(*line).is_some_and(|l| l.at == *at));
            if let Some((_, line)) = oldest {
                self.lost.remove(line);
                self.totals.forgotten_lines += 1;
            }
        }
    }

    /// Adds those of another SM.
    pub fn merge(&mut self, other: &Self) {
        let (sum, more) = (&mut self.totals, &other.totals);
        sum.fetched_sectors += more.fetched_sectors;
        sum.evicted_lines += more.evicted_lines;
        sum.forgotten_lines += more.forgotten_lines;
        sum.again.add(&more.again);
        for (roles, found) in &other.found {
            self.found.entry(*roles).or_default().add(found);
        }
        self.others.add(&other.others);
    }
}

/// Puts `found` to its accesses, or to the others.
fn find(list: &mut BTreeMap<Roles, Found>, others: &mut Found, roles: Roles, found: &Found) {
    if list.len() >= FINDINGS_MAX && !list.contains_key(&roles) {
        return others.add(found);
    }
    list.entry(roles).or_default().add(found);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(pc: u32, cta: u64) -> Who {
        let access = Access { kernel: 0, pc };
        Who { access, cta }
    }

    const fn mask(bits: u8) -> SectorMask {
        SectorMask::new(bits)
    }

    /// `line` is fetched by `who`, as if nothing else was asked.
    fn fetch(losses: &mut Losses, now: Cycle, line: u64, sectors: u8, who: Who) {
        let new = (who, SectorMask::NONE);
        losses.coming.or_insert(Line(line), new).1 |= mask(sectors);
        losses.totals.fetched_sectors += u64::from(mask(sectors).count());
        losses.wanted(now, Line(line), mask(sectors), who);
        losses.filled(Line(line), mask(sectors));
    }

    fn evict(losses: &mut Losses, now: Cycle, line: u64, valid: u8, by: u64) {
        let evicted = L1Evicted {
            line: Line(line),
            valid: mask(valid),
            by: Line(by),
        };
        losses.evicted(now, &evicted);
    }

    #[test]
    fn a_finding_names_who_lost_the_line_who_took_its_place_and_who_wanted_it_back() {
        let mut losses = Losses::new(8);
        fetch(&mut losses, 10, 1, 0b0111, who(16, 0));
        fetch(&mut losses, 20, 2, 0b0001, who(32, 5));
        evict(&mut losses, 21, 1, 0b0111, 2);
        // Two sectors of three come back, then the third; another one was never here.
        fetch(&mut losses, 121, 1, 0b0011, who(48, 0));
        fetch(&mut losses, 131, 1, 0b1100, who(64, 0));
        let roles = |pc| Roles {
            lost: who(16, 0).access,
            by: who(32, 5).access,
            again: who(pc, 0).access,
        };
        let first = Found {
            lines: 1,
            other_cta: 1,
            sectors: 2,
            cycles: 100,
            least: 100,
        };
        let rest = Found {
            sectors: 1,
            ..Found::default()
        };
        let found: Vec<_> = losses.found.iter().map(|(r, f)| (*r, *f)).collect();
        assert_eq!(found, [(roles(48), first), (roles(64), rest)]);
        assert_eq!(losses.totals.fetched_sectors, 8);
        assert_eq!(losses.totals.again.sectors, 3);
        assert_eq!(losses.totals.again.lines, 1);
    }

    #[test]
    fn what_is_written_whole_is_not_missed() {
        let mut losses = Losses::new(8);
        fetch(&mut losses, 0, 1, 0b0011, who(0, 0));
        fetch(&mut losses, 0, 2, 0b0001, who(0, 0));
        evict(&mut losses, 1, 1, 0b0011, 2);
        losses.stored(Line(1), mask(0b0001), who(16, 0));
        fetch(&mut losses, 5, 1, 0b0011, who(0, 0));
        assert_eq!(losses.totals.again.sectors, 1);
    }

    /// As many evictions as are remembered, and one more: the first line is found again, or forgotten.
    #[test]
    fn the_last_evictions_are_remembered() {
        for (more, found) in [(0, 1), (1, 0)] {
            let mut losses = Losses::new(2);
            let evictions = 2 * REMEMBERED as u64 + more;
            for line in 0..=evictions {
                fetch(&mut losses, line, line, 1, who(0, 0));
                if line > 0 {
                    evict(&mut losses, line, line - 1, 1, line);
                }
            }
            fetch(&mut losses, 100, 0, 1, who(0, 0));
            assert_eq!(losses.totals.again.lines, found);
            assert_eq!(losses.totals.forgotten_lines, more);
            losses.emptied();
            fetch(&mut losses, 100, 3, 1, who(0, 0));
            assert_eq!(losses.totals.again.lines, found, "it went with the kernel");
        }
    }

    #[test]
    fn more_accesses_than_there_is_room_for_are_counted_together() {
        let (mut list, mut others) = (BTreeMap::new(), Found::default());
        let one = Found {
            lines: 1,
            sectors: 4,
            ..Found::default()
        };
        for pc in 0..FINDINGS_MAX as u32 + 3 {
            let access = who(pc, 0).access;
            let roles = Roles {
                lost: access,
                by: access,
                again: access,
            };
            find(&mut list, &mut others, roles, &one);
            find(&mut list, &mut others, roles, &one);
        }
        assert_eq!((list.len(), others.lines), (FINDINGS_MAX, 6));
    }
}
