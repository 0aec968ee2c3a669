//! Lines that fell out of L1 and were fetched again: whose they were, who drove them out, who wanted them back.
//!
//! Of each L1 the last evictions are remembered, four times as many as it has lines: a line that is wanted back later than
//! that would not fit a cache of several times the size either.
//!
//! What happens is noted, and followed up many events at a time. Most of what an event needs to know is not in the host's
//! caches when it happens, and one after the other they would wait for each of it; in a row they wait together.

use super::history::{History, Lost};
use super::table::{Key, Table};
use crate::engine::Cycle;
use crate::mem::{Line, SectorMask};
use crate::probe::{L1Access, L1Evicted};
use std::collections::BTreeMap;

/// Evictions that are remembered, for each line of the cache.
pub const REMEMBERED: usize = 4;
/// Events that are noted before they are followed up.
const NOTED_MAX: usize = 512;
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

/// Its number in an SM, in which fewer bits tell accesses apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessId(u32);

/// An access of a CTA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The instruction.
    pub access: AccessId,
    /// The CTA: the low bits of its number, which tell apart those that are ever at one L1 together.
    pub cta: u32,
}

/// The three accesses to a line that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Roles<A = Access> {
    /// Brought it in.
    pub lost: A,
    /// Brought the line in that took its place.
    pub by: A,
    /// Wanted it back.
    pub again: A,
}

impl Key for Roles<AccessId> {
    const FREE: Self = Roles {
        lost: AccessId(u32::MAX),
        by: AccessId(u32::MAX),
        again: AccessId(u32::MAX),
    };

    fn bits(self) -> u64 {
        let (lost, by) = (u64::from(self.lost.0), u64::from(self.by.0));
        lost ^ by << 11 ^ u64::from(self.again.0) << 22
    }
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

/// A line that is there, or of which something has not come yet.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// Who brought it in, if it is there.
    owner: Who,
    here: bool,
    /// Who asked first for what has not come yet.
    asker: Who,
    left: SectorMask,
}

impl Held {
    fn owner(&self) -> Option<Who> {
        self.here.then_some(self.owner)
    }

    /// `who` brings it in, unless it is there.
    fn bring(&mut self, who: Who) {
        if !self.here {
            self.owner = who;
            self.here = true;
        }
    }
}

/// What happened to a line.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// `who` had sectors of it fetched.
    Asked {
        at: Cycle,
        who: Who,
        sectors: SectorMask,
    },
    /// Sectors arrived, and drove nothing out.
    Filled(SectorMask),
    /// `who` stored to it, so that it stays, and wrote the sectors `full` in every byte.
    Stored { who: Who, full: SectorMask },
    /// It fell out with the sectors `valid` for line `by`, of which the sectors `filled` arrived: none where a store
    /// drove it out.
    Evicted {
        at: Cycle,
        by: Line,
        valid: SectorMask,
        filled: SectorMask,
    },
}

const _: () = assert!(size_of::<(Line, Event)>() == 32);

/// Watches an L1, or sums over several.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    noted: Vec<(Line, Event)>,
    held: Table<(Line, Held)>,
    history: History,
    /// By number.
    accesses: Vec<Access>,
    /// By accesses of the own SM.
    own: Table<(Roles<AccessId>, Found)>,
    /// In sums.
    pub totals: Totals,
    /// By accesses, of the SMs that were merged.
    pub found: BTreeMap<Roles, Found>,
    /// Those of accesses for which there was no room.
    pub others: Found,
}

const _: () = assert!(size_of::<(Line, Held)>() == 32);

impl Losses {
    /// Of a cache of `lines` lines.
    pub fn new(lines: usize) -> Self {
        Losses {
            noted: Vec::with_capacity(NOTED_MAX),
            held: Table::with_room(lines),
            history: History::new(REMEMBERED * lines),
            ..Losses::default()
        }
    }

    /// A number for `access`, which has none yet.
    pub fn number(&mut self, access: Access) -> AccessId {
        self.accesses.push(access);
        AccessId(self.accesses.len() as u32 - 1)
    }

    #[inline]
    fn note(&mut self, line: Line, event: Event) {
        if self.noted.len() == NOTED_MAX {
            self.follow_up();
        }
        self.noted.push((line, event));
    }

    fn follow_up(&mut self) {
        let mut noted = std::mem::take(&mut self.noted);
        for (line, event) in noted.drain(..) {
            match event {
                Event::Asked { at, who, sectors } => self.asked(at, line, sectors, who),
                Event::Filled(sectors) => {
                    self.came(line, sectors);
                }
                Event::Stored { who, full } => self.written(line, full, who),
                Event::Evicted {
                    at,
                    by,
                    valid,
                    filled,
                } => {
                    let by = self.came(by, filled);
                    self.left(at, line, valid, by);
                }
            }
        }
        self.noted = noted;
    }

    /// The cache is emptied.
    pub fn emptied(&mut self) {
        self.follow_up();
        self.held.clear();
        self.history.clear();
    }

    /// `who` loads from a line.
    #[inline]
    pub fn loaded(&mut self, at: Cycle, access: &L1Access, who: Who) {
        let sectors = access.found.request;
        if !sectors.is_empty() {
            self.note(access.line, Event::Asked { at, who, sectors });
        }
    }

    /// Sectors arrive.
    #[inline]
    pub fn filled(&mut self, line: Line, sectors: SectorMask) {
        self.note(line, Event::Filled(sectors));
    }

    /// `who` stores to a line that stays, and writes the sectors `full` in every byte.
    #[inline]
    pub fn stored(&mut self, line: Line, full: SectorMask, who: Who) {
        self.note(line, Event::Stored { who, full });
    }

    /// A line falls out.
    #[inline]
    pub fn evicted(&mut self, at: Cycle, evicted: &L1Evicted) {
        let L1Evicted { line, valid, by } = *evicted;
        // A line that arrives drives another one out at once: one event for both.
        let filled = match self.noted.last() {
            Some(&(arrived, Event::Filled(sectors))) if arrived == by => {
                self.noted.pop();
                sectors
            }
            _ => SectorMask::NONE,
        };
        let event = Event::Evicted {
            at,
            by,
            valid,
            filled,
        };
        self.note(line, event);
    }

    /// `who` has `sectors` of `line` fetched: those that were here are fetched again.
    fn asked(&mut self, now: Cycle, line: Line, sectors: SectorMask, who: Who) {
        self.totals.fetched_sectors += u64::from(sectors.count());
        let (_, held) = self.held.or_insert((line, Held::default()));
        if held.left.is_empty() {
            held.asker = who;
        }
        held.left |= sectors;
        let Some(lost) = self.history.get_mut(line) else {
            return;
        };
        let again = lost.sectors & sectors;
        if again.is_empty() {
            return;
        }
        lost.sectors = lost.sectors.without(again);
        let mut found = Found {
            sectors: again.count().into(),
            ..Found::default()
        };
        if !lost.wanted {
            lost.wanted = true;
            found.lines = 1;
            found.other_cta = lost.other_cta.into();
            found.cycles = now - lost.at;
            found.least = found.cycles;
        }
        let roles = Roles {
            lost: lost.owner,
            by: lost.by,
            again: who.access,
        };
        self.totals.again.add(&found);
        find(&mut self.own, &mut self.others, roles, &found);
    }

    /// `sectors` of `line` arrive. Who brought it in, if it is there then.
    fn came(&mut self, line: Line, sectors: SectorMask) -> Option<Who> {
        let (_, held) = self.held.get_mut(line)?;
        if !sectors.is_empty() && !held.left.is_empty() {
            held.left = held.left.without(sectors);
            held.bring(held.asker);
        }
        held.owner()
    }

    fn written(&mut self, line: Line, full: SectorMask, who: Who) {
        self.held.or_insert((line, Held::default())).1.bring(who);
        if let Some(lost) = self.history.get_mut(line) {
            lost.sectors = lost.sectors.without(full);
        }
    }

    /// `line` falls out; `by` brought in the one that takes its place.
    fn left(&mut self, now: Cycle, line: Line, valid: SectorMask, by: Option<Who>) {
        self.totals.evicted_lines += 1;
        let Some(owner) = self.gone(line) else { return };
        let Some(by) = by else { return };
        if valid.is_empty() {
            return;
        }
        let forgets = self.history.push(Lost {
            owner: owner.access,
            by: by.access,
            other_cta: owner.cta != by.cta,
            ..Lost::new(line, valid, now)
        });
        self.totals.forgotten_lines += u64::from(forgets);
    }

    /// `line` is there no more; what it waits for may still come. Who had brought it in.
    fn gone(&mut self, line: Line) -> Option<Who> {
        let (_, held) = self.held.get_mut(line)?;
        let owner = held.owner();
        held.here = false;
        if held.left.is_empty() {
            self.held.remove(line);
        }
        owner
    }

    /// Adds those of another SM.
    pub fn merge(&mut self, mut other: Self) {
        other.follow_up();
        let (sum, more) = (&mut self.totals, &other.totals);
        sum.fetched_sectors += more.fetched_sectors;
        sum.evicted_lines += more.evicted_lines;
        sum.forgotten_lines += more.forgotten_lines;
        sum.again.add(&more.again);
        let access = |id: AccessId| other.accesses[id.0 as usize];
        for (ids, found) in other.own.iter() {
            let roles = Roles {
                lost: access(ids.lost),
                by: access(ids.by),
                again: access(ids.again),
            };
            self.found.entry(roles).or_default().add(found);
        }
        self.others.add(&other.others);
    }
}

/// Puts `found` to its accesses, or to the others.
fn find(
    list: &mut Table<(Roles<AccessId>, Found)>,
    others: &mut Found,
    roles: Roles<AccessId>,
    found: &Found,
) {
    if list.len() >= FINDINGS_MAX && list.get(roles).is_none() {
        return others.add(found);
    }
    list.or_insert((roles, Found::default())).1.add(found);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instructions of the tests by number, which is their pc.
    fn who(pc: u32, cta: u32) -> Who {
        let access = AccessId(pc);
        Who { access, cta }
    }

    const fn mask(bits: u8) -> SectorMask {
        SectorMask::new(bits)
    }

    /// `line` is fetched by `who`, as if nothing else was asked.
    fn fetch(losses: &mut Losses, now: Cycle, line: u64, sectors: u8, who: Who) {
        losses.asked(now, Line(line), mask(sectors), who);
        losses.came(Line(line), mask(sectors));
    }

    fn evict(losses: &mut Losses, now: Cycle, line: u64, valid: u8, by: u64) {
        let by = losses.came(Line(by), SectorMask::NONE);
        losses.left(now, Line(line), mask(valid), by);
    }

    #[test]
    fn a_finding_names_who_lost_the_line_who_took_its_place_and_who_wanted_it_back() {
        let mut losses = Losses::new(8);
        let access = |pc| Access { kernel: 3, pc };
        for pc in 0..=64 {
            assert_eq!(losses.number(access(pc)), who(pc, 0).access);
        }
        fetch(&mut losses, 10, 1, 0b0111, who(16, 0));
        fetch(&mut losses, 20, 2, 0b0001, who(32, 5));
        evict(&mut losses, 21, 1, 0b0111, 2);
        // Two sectors of three come back, then the third; another one was never here.
        fetch(&mut losses, 121, 1, 0b0011, who(48, 0));
        fetch(&mut losses, 131, 1, 0b1100, who(64, 0));
        let roles = |pc| Roles {
            lost: access(16),
            by: access(32),
            again: access(pc),
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
        let mut all = Losses::default();
        all.merge(losses.clone());
        let found: Vec<_> = all.found.iter().map(|(r, f)| (*r, *f)).collect();
        assert_eq!(found, [(roles(48), first), (roles(64), rest)]);
        assert_eq!(losses.totals.fetched_sectors, 8);
        assert_eq!(losses.totals.again.sectors, 3);
        assert_eq!(losses.totals.again.lines, 1);
    }

    /// The line that arrives and the one that it drives out, in one event, are what they are in two.
    #[test]
    fn an_arrival_that_drives_a_line_out_is_one_event() {
        let found = |apart: bool| {
            let mut losses = Losses::new(8);
            let access = |pc| Access { kernel: 0, pc };
            let ids = [1, 2, 3].map(|pc| losses.number(access(pc)));
            let who = |which: usize| Who {
                access: ids[which],
                cta: which as u32,
            };
            losses.asked(0, Line(1), mask(0b1111), who(0));
            losses.filled(Line(1), mask(0b1111));
            losses.asked(5, Line(2), mask(0b0001), who(1));
            losses.filled(Line(2), mask(0b0001));
            if apart {
                losses.follow_up();
            }
            losses.evicted(
                9,
                &L1Evicted {
                    line: Line(1),
                    valid: mask(0b1111),
                    by: Line(2),
                },
            );
            assert_eq!(losses.noted.len(), if apart { 1 } else { 2 });
            losses.follow_up();
            // It goes before the rest of it has come, which another one asked for: that one brings it in anew.
            losses.asked(10, Line(2), mask(0b0110), who(2));
            losses.left(11, Line(2), mask(0b0001), Some(who(0)));
            losses.came(Line(2), mask(0b0110));
            losses.left(12, Line(2), mask(0b0110), Some(who(0)));
            losses.asked(20, Line(1), mask(0b0001), who(2));
            losses.asked(20, Line(2), mask(0b0010), who(2));
            let mut all = Losses::default();
            all.merge(losses);
            all.found
        };
        let roles = |lost, by| Roles {
            lost: Access {
                kernel: 0,
                pc: lost,
            },
            by: Access { kernel: 0, pc: by },
            again: Access { kernel: 0, pc: 3 },
        };
        let one = found(false);
        assert_eq!(one, found(true));
        assert_eq!(
            one.keys().copied().collect::<Vec<_>>(),
            [roles(1, 2), roles(3, 1)]
        );
    }

    #[test]
    fn what_is_written_whole_is_not_missed() {
        let mut losses = Losses::new(8);
        fetch(&mut losses, 0, 1, 0b0011, who(0, 0));
        fetch(&mut losses, 0, 2, 0b0001, who(0, 0));
        evict(&mut losses, 1, 1, 0b0011, 2);
        losses.written(Line(1), mask(0b0001), who(16, 0));
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
        let (mut list, mut others) = (Table::default(), Found::default());
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
