//! Ready times of registers: a row for each warp slot, as wide as the widest kernel so far needs.
//!
//! A kernel uses a few dozen of the several hundred registers that it could name. Rows of that width let the
//! scoreboard of a whole SM lie in a few kilobytes of the host's caches.

use bincode::{Decode, Encode};

/// Registers to whose whole multiple rows are rounded: a line of the host's caches.
const ROW_STEP: usize = 16;

/// The ready times (raw) of all warps of an SM.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Scoreboard {
    warps: usize,
    width: usize,
    times: Vec<u32>,
}

impl Scoreboard {
    /// Empty rows for `warps` slots.
    pub fn new(warps: usize) -> Self {
        Scoreboard {
            warps,
            width: 0,
            times: Vec::new(),
        }
    }

    /// The row of slot `slot`.
    #[inline(always)]
    pub fn row(&self, slot: usize) -> &[u32] {
        &self.times[slot * self.width..][..self.width]
    }

    /// The row of slot `slot`, to change it.
    #[inline(always)]
    pub fn row_mut(&mut self, slot: usize) -> &mut [u32] {
        &mut self.times[slot * self.width..][..self.width]
    }

    /// A warp that uses `width` registers starts in slot `slot`: all are ready. The rows of other slots stay.
    pub fn start(&mut self, slot: usize, width: usize) {
        if width > self.width {
            self.widen(width.next_multiple_of(ROW_STEP));
        }
        self.row_mut(slot)[..width].fill(0);
    }

    #[cold]
    fn widen(&mut self, width: usize) {
        let mut times = vec![0; self.warps * width];
        if self.width > 0 {
            let old = self.times.chunks_exact(self.width);
            for (new, old) in times.chunks_exact_mut(width).zip(old) {
                new[..old.len()].copy_from_slice(old);
            }
        }
        self.width = width;
        self.times = times;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_kernel_leaves_the_times_of_others() {
        let mut regs = Scoreboard::new(3);
        regs.start(1, 5);
        regs.row_mut(1)[4] = 7;
        regs.start(2, 40);
        regs.row_mut(2)[39] = 9;
        assert_eq!((regs.row(1)[4], regs.row(1).len()), (7, 48));
        regs.start(1, 5);
        assert_eq!((regs.row(1)[4], regs.row(2)[39]), (0, 9));
    }
}
