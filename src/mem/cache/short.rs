//! Short tags: seven bits of a hash of each line, those of a set side by side in a few words of the host.
//!
//! A word with the tags of eight ways is compared at once. Lines may share a short tag, so a match is a candidate only:
//! the caller compares the line itself, in one of 128 ways in vain.

use crate::mem::Line;
use bincode::{Decode, Encode};

/// Tags in a word.
const LANES: u32 = 8;
/// A 1 in each tag of a word.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each tag, which tags of lines have and those of empty ways have not.
const HIGH: u64 = ONES << 7;

/// The short tags of an array.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Short {
    words: Vec<u64>,
    /// Words of a set.
    of_set: u32,
}

impl Short {
    /// Most ways of a set.
    pub const WAYS: u32 = 32;

    /// Those of `sets` x `ways` empty entries, at most [`Short::WAYS`] ways.
    pub fn new(sets: u32, ways: u32) -> Self {
        assert!(ways <= Self::WAYS);
        let of_set = ways.div_ceil(LANES);
        Short {
            words: vec![0; (sets * of_set) as usize],
            of_set,
        }
    }

    /// Empties every way.
    pub fn reset(&mut self) {
        self.words.fill(0);
    }

    #[inline(always)]
    fn of(Line(number): Line) -> u64 {
        number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 57 | 0x80
    }

    #[inline(always)]
    fn of_set(&self, set: u32) -> std::ops::Range<usize> {
        let first = (set * self.of_set) as usize;
        first..first + self.of_set as usize
    }

    /// The first way of `set`, among those that may hold `line`, that `holds` it.
    #[inline(always)]
    pub fn find(&self, set: u32, line: Line, holds: impl Fn(u32) -> bool) -> Option<u32> {
        let wanted = Self::of(line) * ONES;
        let mut first = 0;
        for word in &self.words[self.of_set(set)] {
            let differs = word ^ wanted;
            // The highest bit of each tag that differs nowhere.
            let mut alike = !(((differs & !HIGH) + !HIGH) | differs) & HIGH;
            while alike != 0 {
                let way = first + alike.trailing_zeros() / LANES;
                if holds(way) {
                    return Some(way);
                }
                alike &= alike - 1;
            }
            first += LANES;
        }
        None
    }

    /// `way` of `set` holds `line` from now on.
    #[inline(always)]
    pub fn set(&mut self, set: u32, way: u32, line: Line) {
        let word = &mut self.words[(set * self.of_set + way / LANES) as usize];
        let shift = way % LANES * 8;
        *word = *word & !(0xFF << shift) | Self::of(line) << shift;
    }

    /// Reads a tag of `set`, so that the host has it near.
    #[inline(always)]
    pub fn touch(&self, set: u32) -> u64 {
        self.words[(set * self.of_set) as usize]
    }
}
