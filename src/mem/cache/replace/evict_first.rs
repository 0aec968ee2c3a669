//! LRU in which lines of streams go first, by the cache operator of the access.
//!
//! A line that a streaming or last-use access brings in is marked, and so is one that a last-use access hits. The
//! victim is the least recently used marked line; only where no line is marked it is the least recently used of
//! all. In a set full of other lines a stream therefore takes one way, as if it were not allocated at all. An
//! access of any other kind takes the mark away, and a streaming one leaves it as it is.

use super::lru::Lru;
use super::{Access, Policy};
use crate::isa::CacheOp;
use bincode::{Decode, Encode};

/// Order of use and marks of every set.
#[derive(Clone, Debug, Encode, Decode)]
pub struct EvictFirst {
    lru: Lru,
    ways: usize,
    marked: Vec<bool>,
    /// Marked ways of each set.
    count: Vec<u16>,
}

impl EvictFirst {
    /// No line is marked.
    pub fn new(sets: u32, ways: u32) -> Self {
        EvictFirst {
            lru: Lru::new(sets, ways),
            ways: ways as usize,
            marked: vec![false; sets as usize * ways as usize],
            count: vec![0; sets as usize],
        }
    }

    fn mark(&mut self, set: u32, way: u32, mark: bool) {
        let at = set as usize * self.ways + way as usize;
        let before = std::mem::replace(&mut self.marked[at], mark);
        let count = &mut self.count[set as usize];
        *count = *count + u16::from(mark) - u16::from(before);
    }
}

impl Policy for EvictFirst {
    fn reset(&mut self, ways: u32) {
        self.lru.reset(ways);
        self.marked.fill(false);
        self.count.fill(0);
    }

    fn fill(&mut self, set: u32, way: u32, access: Access) {
        let stream = matches!(access.cache, CacheOp::Streaming | CacheOp::LastUse);
        self.mark(set, way, stream);
        self.lru.touch(set, way);
    }

    fn hit(&mut self, set: u32, way: u32, access: Access) {
        match access.cache {
            CacheOp::Streaming => {}
            CacheOp::LastUse => self.mark(set, way, true),
            CacheOp::All | CacheOp::Global | CacheOp::Volatile => self.mark(set, way, false),
        }
        self.lru.touch(set, way);
    }

    fn victim(&mut self, set: u32) -> u32 {
        self.likely_victim(set)
    }

    fn likely_victim(&self, set: u32) -> u32 {
        let mut way = self.lru.oldest(set);
        if self.count[set as usize] > 0 {
            while !self.marked[set as usize * self.ways + way as usize] {
                way = self.lru.newer(set, way);
            }
        }
        way
    }
}
