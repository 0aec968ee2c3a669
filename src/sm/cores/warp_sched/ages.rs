//! The ages of a sub-core's warps, so that the oldest or youngest of a mask is found without a loop.
//!
//! Every warp gets the next *place* when it starts. For each group of four warps a table gives the places of each
//! of the sixteen masks of the group; four look-ups put the places of a mask of sixteen warps together, and its
//! first and last bit are the oldest and the youngest warp.

use super::WARPS_MAX;
use bincode::{Decode, Encode};

/// Places; warps that end leave holes, which are closed when the places run out.
const PLACES: usize = 32;

/// Warps of a table.
const GROUP: usize = 4;

/// Ages of warps 0 to [`WARPS_MAX`] - 1.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct Ages {
    places: [[u32; 1 << GROUP]; WARPS_MAX / GROUP],
    warp_at: [u8; PLACES],
    next: usize,
}

impl Ages {
    /// No warp.
    pub(super) fn new() -> Self {
        Ages {
            places: [[0; 1 << GROUP]; WARPS_MAX / GROUP],
            warp_at: [0; PLACES],
            next: 0,
        }
    }

    /// `warp` is the youngest from now on.
    pub(super) fn launched(&mut self, warp: u8) {
        if self.next == PLACES {
            self.close_holes();
        }
        self.place(warp);
    }

    /// `warp` is gone.
    pub(super) fn exited(&mut self, warp: u8) {
        let (group, bit) = (usize::from(warp) / GROUP, usize::from(warp) % GROUP);
        let place = self.places[group][1 << bit];
        for (mask, places) in self.places[group].iter_mut().enumerate() {
            if mask >> bit & 1 == 1 {
                *places &= !place;
            }
        }
    }

    /// The oldest warp of `warps`, which are live.
    #[inline(always)]
    pub(super) fn oldest(&self, warps: u16) -> u8 {
        let first = self.places_of(warps).trailing_zeros();
        self.warp_at[first as usize % PLACES]
    }

    /// The youngest warp of `warps`, which are live.
    #[inline(always)]
    pub(super) fn youngest(&self, warps: u16) -> u8 {
        let last = 31u32.wrapping_sub(self.places_of(warps).leading_zeros());
        self.warp_at[last as usize % PLACES]
    }

    #[inline(always)]
    fn places_of(&self, warps: u16) -> u32 {
        let group = |g: usize| self.places[g][usize::from(warps) >> (GROUP * g) & 15];
        group(0) | group(1) | group(2) | group(3)
    }

    fn place(&mut self, warp: u8) {
        let place = self.next;
        self.next += 1;
        self.warp_at[place] = warp;
        let (group, bit) = (usize::from(warp) / GROUP, usize::from(warp) % GROUP);
        for (mask, places) in self.places[group].iter_mut().enumerate() {
            *places |= ((mask >> bit & 1) as u32) << place;
        }
    }

    /// Gives the live warps the first places, in the order that they have.
    fn close_holes(&mut self) {
        let mut live = self.places_of(u16::MAX);
        let before = self.warp_at;
        *self = Ages::new();
        while live != 0 {
            self.place(before[live.trailing_zeros() as usize % PLACES]);
            live &= live - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_list_in_order_of_age_has_first_and_last(
            steps in prop::collection::vec((0u8..16, any::<u16>()), 1..200)
        ) {
            let mut ages = Ages::new();
            let mut list: Vec<u8> = Vec::new();
            for (warp, mask) in steps {
                match list.iter().position(|&w| w == warp) {
                    Some(at) => {
                        list.remove(at);
                        ages.exited(warp);
                    }
                    None => {
                        list.push(warp);
                        ages.launched(warp);
                    }
                }
                let asked: Vec<u8> = list.iter().copied().filter(|w| mask >> w & 1 == 1).collect();
                if let (Some(&first), Some(&last)) = (asked.first(), asked.last()) {
                    let mask = asked.iter().fold(0, |m, w| m | 1 << w);
                    prop_assert_eq!(ages.oldest(mask), first);
                    prop_assert_eq!(ages.youngest(mask), last);
                }
            }
        }
    }
}
