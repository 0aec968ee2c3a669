//! Who misses a line of L1 after whom: the same CTA, another one, another SM.
//!
//! Lines are chosen by a hash of their number, all of them as long as there is room, then every second, fourth and so on,
//! so that of a chosen line every miss is kept, whichever SM it is of.

use crate::engine::Cycle;
use crate::mem::Line;

/// Misses that are kept of an SM.
const KEPT_MAX: usize = 1 << 14;

/// A load of a line that L1 asked L2 for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Miss {
    kernel: u32,
    line: Line,
    at: Cycle,
    sm: u16,
    cta: u64,
}

/// Misses of the chosen lines, of an SM or of all.
#[derive(Clone, Debug, Default)]
pub struct Misses {
    kept: Vec<Miss>,
    /// One of 2^bits lines is chosen.
    bits: u32,
    all: u64,
}

/// How often a miss came after which other miss of its line in the same kernel; shares, which sum to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct After {
    /// None: the first of its line.
    pub first: f64,
    /// One of the same CTA.
    pub same_cta: f64,
    /// One of another CTA on the same SM.
    pub same_sm: f64,
    /// One of another SM of the same GPC.
    pub same_gpc: f64,
    /// One of another GPC.
    pub other_gpc: f64,
}

/// What misses have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correlation {
    /// Misses of the run.
    pub misses: u64,
    /// Those that were kept.
    pub sampled: u64,
    /// After which others they came.
    pub after: After,
    /// Median of the cycles since the one before.
    pub gap_cycles: u64,
    /// Misses that are not the first, by the distance of the two CTA numbers: 0, 1, 2 to 3, 4 to 7 and so on.
    pub distances: Vec<u64>,
}

fn chosen(line: Line, bits: u32) -> bool {
    let hash = line.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    hash & ((1 << bits) - 1) == 0
}

impl Misses {
    /// CTA `cta` of `kernel` on `sm` missed `line` at `at`.
    pub fn missed(&mut self, kernel: u32, line: Line, at: Cycle, sm: u16, cta: u64) {
        self.all += 1;
        if !chosen(line, self.bits) {
            return;
        }
        if self.kept.len() == KEPT_MAX {
            self.choose(self.bits + 1);
        }
        if chosen(line, self.bits) {
            self.kept.push(Miss {
                kernel,
                line,
                at,
                sm,
                cta,
            });
        }
    }

    fn choose(&mut self, bits: u32) {
        self.bits = bits;
        self.kept.retain(|miss| chosen(miss.line, bits));
    }

    /// Adds those of another SM.
    pub fn merge(&mut self, other: Self) {
        self.all += other.all;
        self.kept.extend(other.kept);
        self.choose(self.bits.max(other.bits));
    }

    /// What they have in common, on a chip whose SM n is in GPC n modulo `gpcs`.
    pub fn correlation(mut self, gpcs: u16) -> Correlation {
        self.kept.sort_unstable();
        let mut counts = [0u64; 5];
        let (mut gaps, mut distances) = (Vec::new(), Vec::new());
        let mut before: Option<Miss> = None;
        for miss in &self.kept {
            let last = before.filter(|b| (b.kernel, b.line) == (miss.kernel, miss.line));
            before = Some(*miss);
            let Some(last) = last else {
                counts[0] += 1;
                continue;
            };
            let relation = match () {
                () if last.sm == miss.sm && last.cta == miss.cta => 1,
                () if last.sm == miss.sm => 2,
                () if last.sm % gpcs == miss.sm % gpcs => 3,
                () => 4,
            };
            counts[relation] += 1;
            gaps.push(miss.at - last.at);
            let distance = (64 - miss.cta.abs_diff(last.cta).leading_zeros()) as usize;
            if distances.len() <= distance {
                distances.resize(distance + 1, 0);
            }
            distances[distance] += 1;
        }
        gaps.sort_unstable();
        let share = |count: u64| count as f64 / self.kept.len().max(1) as f64;
        let [first, same_cta, same_sm, same_gpc, other_gpc] = counts.map(share);
        Correlation {
            misses: self.all,
            sampled: self.kept.len() as u64,
            after: After {
                first,
                same_cta,
                same_sm,
                same_gpc,
                other_gpc,
            },
            gap_cycles: gaps.get(gaps.len() / 2).copied().unwrap_or(0),
            distances,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_comes_after_the_last_one_of_its_line() {
        // Of GPC 0 (SMs 0 and 2) and GPC 1 (SM 1), two kernels.
        let mut sms = [Misses::default(), Misses::default(), Misses::default()];
        let line = Line(0);
        for (at, sm, cta) in [
            (10, 0u16, 0),
            (20, 0, 0),
            (50, 0, 3),
            (90, 2, 4),
            (190, 1, 12),
        ] {
            sms[usize::from(sm)].missed(0, line, at, sm, cta);
        }
        sms[1].missed(1, line, 500, 1, 9);
        sms[1].missed(1, Line(8), 600, 1, 9);
        let mut all = Misses::default();
        sms.into_iter().for_each(|sm| all.merge(sm));
        let found = all.correlation(2);
        assert_eq!((found.misses, found.sampled), (7, 7));
        let share = |n: f64| n / 7.0;
        let after = After {
            first: share(3.0),
            same_cta: share(1.0),
            same_sm: share(1.0),
            same_gpc: share(1.0),
            other_gpc: share(1.0),
        };
        assert_eq!(found.after, after);
        // Gaps 10, 30, 40, 100; distances 0, 3, 1, 8.
        assert_eq!(found.gap_cycles, 40);
        assert_eq!(found.distances, [1, 1, 1, 0, 1]);
    }

    #[test]
    fn of_a_line_all_misses_are_kept_or_none() {
        let mut sms = [Misses::default(), Misses::default()];
        // SM 1 has few misses and still keeps no line that SM 0 had to drop.
        for line in 0..4 * KEPT_MAX as u64 {
            sms[0].missed(0, Line(line), line, 0, 0);
            if line % 16 == 0 {
                sms[1].missed(0, Line(line), line + 1, 1, 1);
            }
        }
        let mut all = Misses::default();
        sms.into_iter().for_each(|sm| all.merge(sm));
        assert!(all.bits >= 2 && all.kept.len() <= 2 * KEPT_MAX);
        let found = all.correlation(1);
        assert_eq!(found.misses, 4 * KEPT_MAX as u64 * 17 / 16);
        // One miss in 17 is the second of its line.
        assert!(
            (found.after.same_gpc - 1.0 / 17.0).abs() < 0.01,
            "{found:?}"
        );
        assert_eq!(found.gap_cycles, 1);
    }
}
