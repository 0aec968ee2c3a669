//! A count for each instruction of a kernel, by its pc.

use std::collections::BTreeMap;

/// Bytes that pcs of all architectures are multiples of.
const PC_STEP: u32 = 8;
/// Instructions below this pc are found by their place; a trace may have some anywhere within 4 GiB.
const NEAR_BYTES: u32 = 1 << 20;

/// A `T` for each instruction.
#[derive(Clone, Debug, Default)]
pub struct ByPc<T> {
    /// Those below [`NEAR_BYTES`], by pc in steps of [`PC_STEP`].
    near: Vec<T>,
    /// All others, by pc.
    far: BTreeMap<u32, T>,
}

impl<T: Default> ByPc<T> {
    /// That of the instruction at `pc`.
    #[inline]
    pub fn at(&mut self, pc: u32) -> &mut T {
        if pc >= NEAR_BYTES || !pc.is_multiple_of(PC_STEP) {
            return self.far.entry(pc).or_default();
        }
        let place = (pc / PC_STEP) as usize;
        if place >= self.near.len() {
            self.near.resize_with(place + 1, T::default);
        }
        &mut self.near[place]
    }

    /// All with their pcs, in ascending order below [`NEAR_BYTES`]; among them some that were never asked for.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let near = (0u32..).step_by(PC_STEP as usize).zip(&self.near);
        near.chain(self.far.iter().map(|(pc, of)| (*pc, of)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neighbours that a step would put together, and code at the end of 4 GiB, which must not take memory by its place.
    #[test]
    fn pcs_anywhere_are_counted_apart() {
        let mut counts = ByPc::<u64>::default();
        let pcs = [0, 4, 16, NEAR_BYTES - 8, NEAR_BYTES, u32::MAX - 15];
        for (times, pc) in (1..).zip(pcs) {
            *counts.at(pc) += times;
            *counts.at(pc) += times;
        }
        let counted = counts.iter().filter(|(_, count)| **count > 0);
        let mut seen: Vec<(u32, u64)> = counted.map(|(pc, count)| (pc, *count)).collect();
        seen.sort_unstable();
        let expected: Vec<(u32, u64)> = pcs.into_iter().zip((1..).map(|times| 2 * times)).collect();
        assert_eq!(seen, expected);
        assert!(counts.near.len() <= (NEAR_BYTES / PC_STEP) as usize);
    }
}
