//! A level over time, such as the registers that are taken: the mean and the peak of each of a few hundred bins.

use crate::engine::Cycle;

/// Bins at most: when time goes beyond them, neighbours are joined.
const BINS_MAX: usize = 256;

/// What happened in a bin. Changes are kept with their weight, so that their order does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bin {
    /// Sum of the changes.
    change: i64,
    /// Sum of the changes, each times the cycles from it to the end of the bin.
    weighted: i64,
    peak: u64,
}

/// The level in a bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// First cycle.
    pub from: Cycle,
    /// Cycle behind the last.
    pub to: Cycle,
    /// Level times cycles.
    pub integral: u64,
    /// Highest level of one unit.
    pub peak: u64,
}

/// The course of a level, or the sum of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Cycles of a bin, a power of two.
    width: Cycle,
    bins: Vec<Bin>,
}

impl Default for Course {
    fn default() -> Self {
        Course {
            width: 1,
            bins: Vec::new(),
        }
    }
}

impl Course {
    /// At `now` the level changed by `by` and is `level`.
    pub fn change(&mut self, now: Cycle, by: i64, level: u64) {
        while now / self.width >= BINS_MAX as u64 {
            self.join_neighbours();
        }
        let number = (now / self.width) as usize;
        if self.bins.len() <= number {
            // Since the bin before, the level has stayed what it was.
            let quiet = Bin {
                peak: level.saturating_add_signed(-by),
                ..Bin::default()
            };
            self.bins.resize(number + 1, quiet);
        }
        let left = (number as u64 + 1) * self.width - now;
        let bin = &mut self.bins[number];
        bin.change += by;
        bin.weighted += by * left as i64;
        bin.peak = bin.peak.max(level);
    }

    fn join_neighbours(&mut self) {
        let width = self.width as i64;
        let join = |pair: &[Bin]| {
            let second = pair.get(1).copied().unwrap_or_default();
            Bin {
                change: pair[0].change + second.change,
                weighted: pair[0].weighted + pair[0].change * width + second.weighted,
                peak: pair[0].peak.max(second.peak),
            }
        };
        self.bins = self.bins.chunks(2).map(join).collect();
        self.width *= 2;
    }

    /// Adds the course of another unit.
    pub fn merge(&mut self, mut other: Self) {
        while self.width < other.width {
            self.join_neighbours();
        }
        while other.width < self.width {
            other.join_neighbours();
        }
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), Bin::default());
        }
        for (sum, more) in self.bins.iter_mut().zip(&other.bins) {
            sum.change += more.change;
            sum.weighted += more.weighted;
            sum.peak = sum.peak.max(more.peak);
        }
    }

    /// The bins of a run that ended at `end`; from the last change on the level stays.
    pub fn spans(&self, end: Cycle) -> Vec<Span> {
        let mut level = 0;
        let mut spans = Vec::new();
        for (number, bin) in self.bins.iter().enumerate() {
            let from = number as u64 * self.width;
            let to = (from + self.width).min(end.max(from + 1));
            let beyond = (from + self.width - to) as i64;
            let whole = level * self.width as i64 + bin.weighted;
            level += bin.change;
            spans.push(Span {
                from,
                to,
                integral: (whole - beyond * level).max(0) as u64,
                peak: bin.peak,
            });
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_register_that_is_taken_for_ten_cycles_counts_ten() {
        let mut course = Course::default();
        course.change(3, 1, 1);
        course.change(7, 1, 2);
        course.change(13, -1, 1);
        course.change(17, -1, 0);
        let spans = course.spans(20);
        assert_eq!(spans.iter().map(|s| s.integral).sum::<u64>(), 20);
        assert_eq!(spans[10].integral, 2);
        let peaks: Vec<u64> = spans.iter().map(|s| s.peak).collect();
        assert_eq!(peaks[2..], [0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1]);
    }

    proptest! {
        /// However wide the bins became, the integral is the sum of the times, and two courses add up to one.
        #[test]
        fn the_integral_is_the_sum_of_the_times_that_registers_are_taken(
            taken in prop::collection::vec((0u64..5000, 1u64..600, any::<bool>()), 1..60),
        ) {
            let (mut one, mut two, mut both) = <(Course, Course, Course)>::default();
            let mut cycles = 0;
            for (from, length, first) in taken {
                let own = if first { &mut one } else { &mut two };
                for course in [own, &mut both] {
                    course.change(from, 1, 1);
                    course.change(from + length, -1, 0);
                }
                cycles += length;
            }
            one.merge(two);
            let spans = both.spans(6000);
            prop_assert!(spans.len() <= BINS_MAX);
            prop_assert_eq!(spans.iter().map(|s| s.integral).sum::<u64>(), cycles);
            prop_assert_eq!(one.spans(6000).iter().map(|s| s.integral).sum::<u64>(), cycles);
            prop_assert!(spans.windows(2).all(|w| w[0].to == w[1].from));
        }
    }
}
