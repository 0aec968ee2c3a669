//! The obvious model of a cache under every policy, for the property tests of the real one.

use super::driver::Tally;
use super::reference::Reference;
use super::trace::Kind;
use crate::config::{Replacement, WritePolicy};
use crate::isa::CacheOp;
use crate::mem::SectorMask;
use crate::mem::cache::replace::Replace;

/// A line and all that any policy wants to know of it.
#[derive(Clone, Default)]
struct Way {
    line: u64,
    valid: SectorMask,
    dirty: SectorMask,
    filled: u64,
    used: u64,
    marked: bool,
    /// Re-reference interval, 0 to 3.
    interval: u8,
}

#[derive(Clone, Default)]
struct Set {
    ways: Vec<Way>,
    /// The tree of PLRU by its nodes, the root at 1.
    right: Vec<bool>,
    fills: u64,
}

pub struct Naive {
    policy: Replacement,
    write: WritePolicy,
    keeps_local: bool,
    ways: usize,
    sets: Vec<Set>,
    now: u64,
    /// DRRIP's counter.
    duel: i32,
    /// The hash of random replacement depends on nothing but the set and its victims: it is its own model.
    random: Replace,
    pub tally: Tally,
    pub passing_hits: u64,
    pub evictions: u64,
    pub written_back: u64,
}

impl Naive {
    pub fn new(
        policy: Replacement,
        write: WritePolicy,
        keeps_local: bool,
        sets: usize,
        ways: usize,
    ) -> Self {
        let set = Set {
            right: vec![false; 2 * ways.next_power_of_two()],
            ..Set::default()
        };
        Naive {
            policy,
            write,
            keeps_local,
            ways,
            sets: vec![set; sets],
            now: 0,
            duel: 511,
            random: Replace::new(Replacement::Random, sets as u32, ways as u32),
            tally: Tally::default(),
            passing_hits: 0,
            evictions: 0,
            written_back: 0,
        }
    }

    pub fn lines_in(&self, set: usize) -> usize {
        self.sets[set].ways.len()
    }

    pub fn serve(&mut self, access: &Reference) {
        self.now += 1;
        let line = access.line.0;
        let set = (line % self.sets.len() as u64) as usize;
        let present = self.sets[set].ways.iter().position(|w| w.line == line);
        let local = access.kind == Kind::LocalStore && self.keeps_local;
        match access.kind {
            Kind::Load => {
                let way = self.present_or_new(set, present, access);
                let valid = self.sets[set].ways[way].valid;
                match present {
                    None => self.tally.line_misses += 1,
                    Some(_) if valid.contains(access.sectors) => self.tally.hits += 1,
                    Some(_) => self.tally.sector_misses += 1,
                }
                self.sets[set].ways[way].valid |= access.sectors;
            }
            Kind::LocalStore if local => {
                self.count_store(present.is_some());
                let way = self.present_or_new(set, present, access);
                self.sets[set].ways[way].valid |= access.full;
                self.sets[set].ways[way].dirty |= access.sectors;
            }
            Kind::Store | Kind::LocalStore => self.store_through(set, present, access),
            Kind::Atomic => {
                if let Some(way) = present {
                    self.drop_sectors(set, way, access.sectors);
                }
            }
        }
    }

    fn count_store(&mut self, hit: bool) {
        match hit {
            true => self.tally.hits += 1,
            false => self.tally.line_misses += 1,
        }
    }

    fn drop_sectors(&mut self, set: usize, way: usize, sectors: SectorMask) {
        let way = &mut self.sets[set].ways[way];
        way.valid = way.valid.without(sectors);
    }

    fn store_through(&mut self, set: usize, present: Option<usize>, access: &Reference) {
        let validates = self.write == WritePolicy::ThroughValidate;
        match validates && !access.full.is_empty() {
            true => self.count_store(present.is_some()),
            false => self.passing_hits += u64::from(present.is_some()),
        }
        match (present, self.write) {
            (Some(way), WritePolicy::ThroughInvalidate) => {
                self.drop_sectors(set, way, access.sectors)
            }
            (Some(way), WritePolicy::ThroughValidate) => {
                self.sets[set].ways[way].valid |= access.full
            }
            (None, WritePolicy::ThroughValidate) if !access.full.is_empty() => {
                let way = self.present_or_new(set, None, access);
                self.sets[set].ways[way].valid = access.full;
            }
            _ => {}
        }
    }

    /// The way of the line, which is used now or comes in.
    fn present_or_new(&mut self, set: usize, present: Option<usize>, access: &Reference) -> usize {
        let streams = matches!(access.cache, CacheOp::Streaming | CacheOp::LastUse);
        let way = present.unwrap_or_else(|| self.make_room(set));
        let interval = self.new_interval(set, present.is_some());
        let way_ref = &mut self.sets[set].ways[way];
        if present.is_none() {
            *way_ref = Way {
                line: access.line.0,
                filled: self.now,
                marked: streams,
                ..Way::default()
            };
        } else if access.cache != CacheOp::Streaming {
            way_ref.marked = streams;
        }
        way_ref.used = self.now;
        way_ref.interval = interval;
        let leaves = self.ways.next_power_of_two();
        let (mut node, mut first, mut size) = (1, 0, leaves);
        while size > 1 {
            size /= 2;
            let in_right = way >= first + size;
            self.sets[set].right[node] = !in_right;
            first += if in_right { size } else { 0 };
            node = 2 * node + usize::from(in_right);
        }
        way
    }

    /// The re-reference interval of a line that is hit or comes in.
    fn new_interval(&mut self, set: usize, hit: bool) -> u8 {
        if hit {
            return 0;
        }
        let group = self.sets.len().min(32);
        let leads = |place: usize| set % group == place;
        let bimodal = match self.policy {
            Replacement::Brrip => true,
            Replacement::Drrip if leads(0) => {
                self.duel = (self.duel + 1).min(1023);
                false
            }
            Replacement::Drrip if leads(group / 2) => {
                self.duel = (self.duel - 1).max(0);
                true
            }
            Replacement::Drrip => self.duel >= 512,
            _ => false,
        };
        if !bimodal {
            return 2;
        }
        self.sets[set].fills += 1;
        if self.sets[set].fills % 32 == 1 { 2 } else { 3 }
    }

    fn make_room(&mut self, at: usize) -> usize {
        if self.sets[at].ways.len() < self.ways {
            self.sets[at].ways.push(Way::default());
            return self.sets[at].ways.len() - 1;
        }
        let way = self.victim(at);
        self.evictions += 1;
        self.written_back += u64::from(self.sets[at].ways[way].dirty.count());
        way
    }

    fn victim(&mut self, at: usize) -> usize {
        let set = &mut self.sets[at];
        let ways = &mut set.ways;
        let least = |ways: &[Way], key: &dyn Fn(&Way) -> u64| {
            (0..ways.len()).min_by_key(|&w| key(&ways[w])).unwrap()
        };
        match self.policy {
            Replacement::Lru => least(ways, &|w| w.used),
            Replacement::Fifo => least(ways, &|w| w.filled),
            // Marked lines before all others.
            Replacement::EvictFirst => {
                least(ways, &|w| w.used + if w.marked { 0 } else { 1 << 40 })
            }
            Replacement::Random => self.random.victim(at as u32) as usize,
            Replacement::Srrip | Replacement::Brrip | Replacement::Drrip => loop {
                if let Some(way) = ways.iter().position(|w| w.interval == 3) {
                    return way;
                }
                ways.iter_mut().for_each(|w| w.interval += 1);
            },
            Replacement::Plru => {
                let (mut node, mut first, mut size) = (1, 0, self.ways.next_power_of_two());
                while size > 1 {
                    size /= 2;
                    let right = set.right[node] && first + size < self.ways;
                    first += if right { size } else { 0 };
                    node = 2 * node + usize::from(right);
                }
                first
            }
        }
    }
}
