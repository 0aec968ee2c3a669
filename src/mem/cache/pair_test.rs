//! MSHRs and tags together, as every cache here uses them, against a model without structure.

use super::{Access, MshrTable, Tags};
use crate::config::Replacement;
use crate::mem::{Line, SectorMask};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

const LINES: u64 = 6;

/// A cache of a handful of lines that allocates on fill, and the level below it, which answers in order.
struct Pair {
    tags: Tags,
    mshrs: MshrTable<usize>,
    below: VecDeque<(Line, SectorMask)>,
    /// Naive: what each access still misses, and how often each sector is on its way.
    waits: BTreeMap<usize, (Line, SectorMask)>,
    under_way: BTreeMap<(Line, u32), u32>,
    accesses: usize,
}

impl Pair {
    fn new(sets: u32, ways: u32, entries: u32, merges: u16) -> Self {
        Pair {
            tags: Tags::new(sets, ways, false, Replacement::Lru),
            mshrs: MshrTable::new(entries, merges),
            below: VecDeque::new(),
            waits: BTreeMap::new(),
            under_way: BTreeMap::new(),
            accesses: 0,
        }
    }

    fn read(&mut self, line: Line, sectors: SectorMask) -> Result<(), TestCaseError> {
        let valid = self
            .tags
            .find(line)
            .map_or(SectorMask::NONE, |id| self.tags.entry(id).valid);
        let missing = sectors.without(valid);
        let found = self.mshrs.find(line);
        if missing.is_empty() || self.mshrs.check(found).is_err() {
            return Ok(());
        }
        let who = self.accesses;
        self.accesses += 1;
        let (_, new) = self.mshrs.wait(found, line, missing, who);
        self.waits.insert(who, (line, missing));
        for sector in missing.sectors() {
            let flights = self.under_way.entry((line, sector)).or_default();
            prop_assert_eq!(
                *flights == 0,
                new.contains(SectorMask::one(sector)),
                "line {:?} sector {}",
                line,
                sector
            );
            *flights = 1;
        }
        if !new.is_empty() {
            self.below.push_back((line, new));
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), TestCaseError> {
        let Some((line, sectors)) = self.below.pop_front() else {
            return Ok(());
        };
        let id = match self.tags.find(line) {
            Some(id) => id,
            None => self.tags.insert(line, Access::default()).0,
        };
        self.tags.entry_mut(id).valid |= sectors;
        let mut woken = Vec::new();
        if let Some(mshr) = self.mshrs.find(line) {
            self.mshrs.arrive(mshr, sectors, |who| woken.push(who));
        }
        for sector in sectors.sectors() {
            self.under_way.insert((line, sector), 0);
        }
        let mut due = Vec::new();
        for (who, wait) in self.waits.iter_mut().filter(|(_, w)| w.0 == line) {
            wait.1 = wait.1.without(sectors);
            if wait.1.is_empty() {
                due.push(*who);
            }
        }
        self.waits.retain(|who, _| !due.contains(who));
        prop_assert_eq!(woken, due);
        Ok(())
    }
}

proptest! {
    /// Every access is answered once the level below has answered, in order of arrival, and each sector is on
    /// its way at most once.
    #[test]
    fn nobody_waits_for_a_sector_that_is_not_on_its_way(
        shape in (1u32..3, 1u32..3, 1u32..4, 1u16..4),
        steps in prop::collection::vec((0u64..LINES, 1u8..16, any::<bool>()), 1..200)
    ) {
        let (sets, ways, entries, merges) = shape;
        let mut pair = Pair::new(sets, ways, entries, merges);
        for (line, sectors, fill) in steps {
            match fill {
                true => pair.fill()?,
                false => pair.read(Line(line), SectorMask::new(sectors))?,
            }
        }
        while !pair.below.is_empty() {
            pair.fill()?;
        }
        prop_assert!(pair.waits.is_empty(), "{:?} wait for ever", pair.waits);
        prop_assert_eq!(pair.mshrs.in_use(), 0);
    }
}
