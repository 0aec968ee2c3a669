//! How requests are dealt to L2 slices, over the run and in windows of time, under every address hash.

use crate::config::{GpuSpec, L2Spec, SliceHash};
use crate::engine::Cycle;
use crate::mem::Line;
use crate::mem::addr_map::AddrMap;

/// Windows that are kept; when time goes on, each becomes twice as long.
const WINDOWS_MAX: usize = 128;
/// log2 of the cycles of a window at first.
const WINDOW_BITS: u32 = 10;

/// Sectors by window of time and slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    bits: u32,
    slices: usize,
    sectors: Vec<u64>,
}

impl Windows {
    /// None, of so many slices.
    pub fn new(slices: usize) -> Self {
        Windows {
            bits: WINDOW_BITS,
            slices,
            sectors: Vec::new(),
        }
    }

    /// `sectors` of `slice` at `at`.
    pub fn add(&mut self, at: Cycle, slice: usize, sectors: u64) {
        while (at >> self.bits) as usize >= WINDOWS_MAX {
            self.coarsen();
        }
        let place = (at >> self.bits) as usize * self.slices + slice;
        if self.sectors.len() <= place {
            let windows = place / self.slices + 1;
            self.sectors.resize(windows * self.slices, 0);
        }
        self.sectors[place] += sectors;
    }

    /// Two windows become one.
    fn coarsen(&mut self) {
        let slices = self.slices;
        let windows = self.sectors.len() / slices;
        for window in 0..windows {
            for slice in 0..slices {
                let sectors = std::mem::take(&mut self.sectors[window * slices + slice]);
                self.sectors[window / 2 * slices + slice] += sectors;
            }
        }
        self.sectors.truncate(windows.div_ceil(2) * slices);
        self.bits += 1;
    }

    /// Adds those of another unit.
    pub fn merge(&mut self, mut other: Self) {
        while self.bits < other.bits {
            self.coarsen();
        }
        while other.bits < self.bits {
            other.coarsen();
        }
        if self.sectors.len() < other.sectors.len() {
            self.sectors.resize(other.sectors.len(), 0);
        }
        for (sum, more) in self.sectors.iter_mut().zip(&other.sectors) {
            *sum += more;
        }
    }

    /// Cycles of a window.
    pub fn cycles(&self) -> Cycle {
        1 << self.bits
    }

    /// Sectors of each slice over the whole run.
    pub fn by_slice(&self) -> Vec<u64> {
        let mut sums = vec![0; self.slices];
        for window in self.sectors.chunks(self.slices) {
            for (sum, sectors) in sums.iter_mut().zip(window) {
                *sum += sectors;
            }
        }
        sums
    }

    /// Mean over slices, of the slice with most: 1 when all have the same.
    pub fn balance(&self) -> f64 {
        let sums = self.by_slice();
        let most = sums.iter().max().copied().unwrap_or(0);
        let mean = sums.iter().sum::<u64>() as f64 / self.slices as f64;
        if most == 0 { 1.0 } else { mean / most as f64 }
    }

    /// How many times as long as with perfect balance it takes when every window waits for its slice with most: 1 when
    /// each window is balanced, the number of slices when one at a time has all.
    pub fn camping(&self) -> f64 {
        let windows = self.sectors.chunks(self.slices);
        let most: u64 = windows.filter_map(|w| w.iter().max()).sum();
        let all: u64 = self.sectors.iter().sum();
        if all == 0 {
            return 1.0;
        }
        (most * self.slices as u64) as f64 / all as f64
    }
}

/// One hash: its map, and what it would have dealt.
#[derive(Clone, Debug)]
struct Hash {
    map: AddrMap,
    windows: Windows,
}

/// The requests of a GPC under every hash, each at the home slice of its line.
#[derive(Clone, Debug, Default)]
pub struct Slices(Vec<Hash>);

impl Slices {
    /// Nothing yet, on a chip of `spec`.
    pub fn new(spec: &GpuSpec) -> Self {
        let hash = |&hash: &SliceHash| {
            let l2 = L2Spec {
                hash,
                ..spec.l2.clone()
            };
            Hash {
                map: AddrMap::new(&l2, spec.dram.channels),
                windows: Windows::new(usize::from(spec.l2.slices)),
            }
        };
        Slices(SliceHash::ALL.iter().map(hash).collect())
    }

    /// A request for `sectors` of `line` goes to L2.
    pub fn routed(&mut self, at: Cycle, line: Line, sectors: u32) {
        for hash in &mut self.0 {
            let slice = hash.map.home(line).index();
            hash.windows.add(at, slice, sectors.into());
        }
    }

    /// Adds those of another GPC.
    pub fn merge(&mut self, other: Self) {
        if self.0.is_empty() {
            *self = other;
            return;
        }
        for (own, other) in self.0.iter_mut().zip(other.0) {
            own.windows.merge(other.windows);
        }
    }

    /// What each hash deals.
    pub fn by_hash(&self) -> impl Iterator<Item = (SliceHash, &Windows)> {
        let all = SliceHash::ALL.iter().zip(&self.0);
        all.map(|(&hash, of)| (hash, &of.windows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_waits_for_one_slice_is_camping_however_even_the_whole_is() {
        let mut even = Windows::new(4);
        let mut camping = Windows::new(4);
        for window in 0..4 {
            for n in 0..4 {
                even.add(window * 1024, n, 10);
                camping.add(window * 1024, window as usize, 10);
            }
        }
        assert_eq!((even.balance(), even.camping()), (1.0, 1.0));
        assert_eq!((camping.balance(), camping.camping()), (1.0, 4.0));
        // One slice has half of all: the mean is 20 of 40, the windows wait for 40 of 80.
        let mut half = Windows::new(4);
        for (slice, sectors) in [(0, 40), (1, 20), (2, 20), (3, 0)] {
            half.add(5, slice, sectors);
        }
        assert_eq!((half.balance(), half.camping()), (0.5, 2.0));
    }

    #[test]
    fn windows_grow_with_time_and_lose_nothing() {
        let mut windows = Windows::new(2);
        for at in 0..1000 {
            windows.add(at * 1000, (at % 2) as usize, 1);
        }
        assert_eq!(windows.cycles(), 8192);
        assert_eq!(windows.by_slice(), [500, 500]);
        let mut early = Windows::new(2);
        early.add(7, 1, 5);
        let mut sum = early.clone();
        sum.merge(windows.clone());
        windows.merge(early);
        assert_eq!(sum, windows);
        assert_eq!(sum.by_slice(), [500, 505]);
    }

    #[test]
    fn every_hash_deals_every_line_to_one_slice() {
        let spec = crate::config::load("v100", &[]).unwrap().spec;
        let mut slices = Slices::new(&spec);
        let (per_slice, count) = (64, u64::from(spec.l2.slices));
        for line in 0..count * per_slice {
            slices.routed(0, Line(line), 4);
        }
        let mut all = Slices::default();
        all.merge(slices);
        for (hash, windows) in all.by_hash() {
            assert_eq!(
                windows.by_slice(),
                vec![4 * per_slice; count as usize],
                "{hash:?}"
            );
        }
        // Lines that are all slices and a chunk apart: without a hash they go to one slice.
        let chunk = u64::from(spec.l2.interleave_bytes) / 128;
        let mut strided = Slices::new(&spec);
        (0..512).for_each(|n| strided.routed(0, Line(n * chunk * count), 1));
        let camping: Vec<f64> = strided.by_hash().map(|(_, w)| w.camping()).collect();
        assert_eq!(camping[0], count as f64);
        assert!(camping[1..].iter().all(|&c| c < 4.0), "{camping:?}");
    }
}
