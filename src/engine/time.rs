//! Cycles and exact conversion between clock domains.

/// A point of time of the core clock, in cycles since the start of the run.
pub type Cycle = u64;

/// The exact ratio of another clock to the core clock, and how many of its edges came before the first cycle that the
/// ratio counts from: none, unless the core clock was another one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRatio {
    other: u64,
    core: u64,
    /// Edges of the other clock beyond those that the ratio counts; wraps around where they are fewer.
    shift: u64,
    /// Up to here products fit 64 bits, which divide several times faster.
    small_core: u64,
    small_other: u64,
}

impl ClockRatio {
    /// From two frequencies in the same unit, neither zero.
    pub fn new(other_khz: u32, core_khz: u32) -> Self {
        let (mut a, mut b) = (u64::from(other_khz), u64::from(core_khz));
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let (other, core) = (u64::from(other_khz) / a, u64::from(core_khz) / a);
        ClockRatio {
            other,
            core,
            shift: 0,
            small_core: u64::MAX / other,
            small_other: u64::MAX / core,
        }
    }

    /// The same other clock, with a core clock of `core_khz` from core cycle `at` on. Its edges are counted on from there:
    /// cycles of the core only get longer or shorter.
    pub fn with_core(self, other_khz: u32, core_khz: u32, at: Cycle) -> Self {
        let edge = self.to_other(at);
        let ratio = ClockRatio::new(other_khz, core_khz);
        ClockRatio {
            shift: edge.wrapping_sub(ratio.to_other(at)),
            ..ratio
        }
    }

    /// The other clock's first edge at or after core cycle `core`.
    #[inline]
    pub fn to_other(self, core: Cycle) -> u64 {
        let edges = if core <= self.small_core {
            (core * self.other).div_ceil(self.core)
        } else {
            ((u128::from(core) * u128::from(self.other)).div_ceil(u128::from(self.core))) as u64
        };
        edges.wrapping_add(self.shift)
    }

    /// The core cycle at or after the other clock's edge `other`.
    #[inline]
    pub fn to_core(self, other: u64) -> Cycle {
        if other == u64::MAX {
            return Cycle::MAX;
        }
        let other = other.wrapping_sub(self.shift);
        if other <= self.small_other {
            return (other * self.core).div_ceil(self.other);
        }
        ((u128::from(other) * u128::from(self.core)).div_ceil(u128::from(self.other))) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_never_goes_back_in_time() {
        for (other, core) in [(877_000, 1_380_000), (1_593_000, 1_410_000), (7, 7), (1, 3)] {
            let ratio = ClockRatio::new(other, core);
            for t in 0..5000 {
                assert!(ratio.to_core(ratio.to_other(t)) >= t);
                let exact = t * u64::from(core);
                assert!(ratio.to_core(t) * u64::from(other) >= exact);
                assert!(ratio.to_core(t) * u64::from(other) < exact + u64::from(other));
            }
        }
    }

    /// By hand: 100 cycles at 1 GHz are 200 edges of 2 GHz. From there on at 500 MHz a cycle has four, at 4 GHz one in two
    /// cycles; back at the first clock it goes on as if it had never been left, but for what passed meanwhile.
    #[test]
    fn edges_are_counted_on_when_the_core_clock_changes() {
        let first = ClockRatio::new(2_000_000, 1_000_000);
        assert_eq!(first.with_core(2_000_000, 1_000_000, 100), first);
        let slow = first.with_core(2_000_000, 500_000, 100);
        let edges = [100, 101, 150].map(|at| slow.to_other(at));
        assert_eq!(edges, [200, 204, 400]);
        assert_eq!(
            [200, 204, 400].map(|edge| slow.to_core(edge)),
            [100, 101, 150]
        );
        let fast = slow.with_core(2_000_000, 4_000_000, 150);
        assert_eq!([150, 152, 250].map(|at| fast.to_other(at)), [400, 401, 450]);
        assert_eq!(
            [400, 401, 450].map(|edge| fast.to_core(edge)),
            [150, 152, 250]
        );
        assert_eq!(fast.to_core(u64::MAX), Cycle::MAX);
        let back = fast.with_core(2_000_000, 1_000_000, 250);
        assert_eq!([250, 350].map(|at| back.to_other(at)), [450, 650]);
    }
}
