//! Cycles and exact conversion between clock domains.

/// A point of time of the core clock, in cycles since the start of the run.
pub type Cycle = u64;

/// The exact ratio of another clock to the core clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRatio {
    other: u64,
    core: u64,
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
            small_core: u64::MAX / other,
            small_other: u64::MAX / core,
        }
    }

    /// The other clock's first edge at or after core cycle `core`.
    #[inline]
    pub fn to_other(self, core: Cycle) -> u64 {
        if core <= self.small_core {
            return (core * self.other).div_ceil(self.core);
        }
        ((u128::from(core) * u128::from(self.other)).div_ceil(u128::from(self.core))) as u64
    }

    /// The core cycle at or after the other clock's edge `other`.
    #[inline]
    pub fn to_core(self, other: u64) -> Cycle {
        if other == u64::MAX {
            return Cycle::MAX;
        }
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
}
