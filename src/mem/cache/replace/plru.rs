//! Tree pseudo-LRU: a binary tree over the ways of a set whose bits point away from what was used last.
//!
//! Where the number of ways is no power of two, the tree is that of the next one, and no bit leads to a way that
//! does not exist.

use super::{Access, Policy};
use bincode::{Decode, Encode};

/// A tree for every set.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Plru {
    allowed: u32,
    /// Leaves of a tree, a power of two.
    leaves: u32,
    /// 64-bit words of a tree.
    words: usize,
    /// Bit `n` of a tree: the victim is in the right half under node `n`. The root is node 1, the children of
    /// node `n` are `2 n` and `2 n + 1`.
    bits: Vec<u64>,
}

impl Plru {
    /// Trees that point to way 0.
    pub fn new(sets: u32, ways: u32) -> Self {
        let leaves = ways.next_power_of_two();
        let words = leaves.div_ceil(64) as usize;
        Plru {
            allowed: ways,
            leaves,
            words,
            bits: vec![0; sets as usize * words],
        }
    }

    fn touch(&mut self, set: u32, way: u32) {
        let tree = &mut self.bits[set as usize * self.words..][..self.words];
        let mut child = self.leaves + way;
        while child > 1 {
            let node = child / 2;
            let (word, bit) = ((node / 64) as usize, 1 << (node % 64));
            match child % 2 {
                0 => tree[word] |= bit,
                _ => tree[word] &= !bit,
            }
            child = node;
        }
    }
}

impl Policy for Plru {
    fn reset(&mut self, ways: u32) {
        self.allowed = ways;
        self.bits.fill(0);
    }

    fn fill(&mut self, set: u32, way: u32, _: Access) {
        self.touch(set, way);
    }

    fn hit(&mut self, set: u32, way: u32, _: Access) {
        self.touch(set, way);
    }

    fn victim(&mut self, set: u32) -> u32 {
        self.likely_victim(set)
    }

    fn likely_victim(&self, set: u32) -> u32 {
        let tree = &self.bits[set as usize * self.words..][..self.words];
        let (mut node, mut first, mut half) = (1, 0, self.leaves / 2);
        while half > 0 {
            let right = tree[(node / 64) as usize] >> (node % 64) & 1 == 1;
            let right = right && first + half < self.allowed;
            node = 2 * node + u32::from(right);
            first += if right { half } else { 0 };
            half /= 2;
        }
        first
    }
}
