//! Least recently used: the ways of a set form a ring in order of use.

use super::{Access, Policy};
use bincode::{Decode, Encode};

/// Neighbours of a way in the ring of its set. After the newest way comes the oldest.
#[derive(Clone, Copy, Debug, Default, Encode, Decode)]
struct Link {
    newer: u16,
    older: u16,
}

/// Order of use of every set.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Lru {
    ways: usize,
    links: Vec<Link>,
    newest: Vec<u16>,
}

impl Lru {
    /// `sets` rings of `ways` ways, at most 65,536.
    pub fn new(sets: u32, ways: u32) -> Self {
        let mut lru = Lru {
            ways: ways as usize,
            links: vec![Link::default(); sets as usize * ways as usize],
            newest: vec![0; sets as usize],
        };
        lru.reset(ways);
        lru
    }

    /// Makes `way` the newest of its set.
    #[inline(always)]
    pub fn touch(&mut self, set: u32, way: u32) {
        let (set, way) = (set as usize, way as u16);
        let newest = self.newest[set];
        if way == newest {
            return;
        }
        self.newest[set] = way;
        let ring = &mut self.links[set * self.ways..][..self.ways];
        let oldest = ring[usize::from(newest)].newer;
        if way == oldest {
            return;
        }
        let Link { newer, older } = ring[usize::from(way)];
        ring[usize::from(newer)].older = older;
        ring[usize::from(older)].newer = newer;
        ring[usize::from(way)] = Link {
            newer: oldest,
            older: newest,
        };
        ring[usize::from(newest)].newer = way;
        ring[usize::from(oldest)].older = way;
    }

    /// The oldest way of a set.
    #[inline(always)]
    pub fn oldest(&self, set: u32) -> u32 {
        let newest = usize::from(self.newest[set as usize]);
        u32::from(self.links[set as usize * self.ways + newest].newer)
    }

    /// The way that was used next after `way`.
    pub fn newer(&self, set: u32, way: u32) -> u32 {
        u32::from(self.links[set as usize * self.ways + way as usize].newer)
    }
}

impl Policy for Lru {
    fn reset(&mut self, ways: u32) {
        let last = ways as u16 - 1;
        for ring in self.links.chunks_exact_mut(self.ways) {
            for (way, link) in (0..=last).zip(ring.iter_mut()) {
                link.newer = if way == last { 0 } else { way + 1 };
                link.older = if way == 0 { last } else { way - 1 };
            }
        }
        self.newest.fill(last);
    }

    #[inline(always)]
    fn fill(&mut self, set: u32, way: u32, _: Access) {
        self.touch(set, way);
    }

    #[inline(always)]
    fn hit(&mut self, set: u32, way: u32, _: Access) {
        self.touch(set, way);
    }

    #[inline(always)]
    fn victim(&mut self, set: u32) -> u32 {
        self.oldest(set)
    }

    #[inline(always)]
    fn likely_victim(&self, set: u32) -> u32 {
        self.oldest(set)
    }
}
