//! Bank-level and bank-group parallelism: how many different banks (groups) had a request in the channel, on average
//! over the cycles in which any had one.

use crate::mem::dram::MAX_BANKS;
use std::collections::VecDeque;

/// Separate spans that are kept of a bank. What came before them is only added up: no request waits for so long.
const SPANS_MAX: usize = 1 << 10;

/// The time that is covered by intervals, which come in any order as long as they are not too late.
#[derive(Clone, Debug, Default)]
struct Covered {
    /// Disjoint spans in order.
    spans: VecDeque<(u64, u64)>,
    /// Length of the spans that are no longer kept, and the end of the last of them.
    closed: u64,
    closed_to: u64,
}

impl Covered {
    fn add(&mut self, from: u64, to: u64) {
        let (mut from, mut to) = (from.max(self.closed_to), to.max(self.closed_to));
        if from == to {
            return;
        }
        let mut at = self.spans.len();
        while at > 0 && self.spans[at - 1].0 > to {
            at -= 1;
        }
        let end = at;
        while at > 0 && self.spans[at - 1].1 >= from {
            at -= 1;
            from = from.min(self.spans[at].0);
            to = to.max(self.spans[at].1);
        }
        if at + 1 == end {
            self.spans[at] = (from, to);
            return;
        }
        self.spans.drain(at..end);
        self.spans.insert(at, (from, to));
        if self.spans.len() > SPANS_MAX
            && let Some((from, to)) = self.spans.pop_front()
        {
            self.closed += to - from;
            self.closed_to = to;
        }
    }

    fn total(&self) -> u64 {
        self.closed + self.spans.iter().map(|(from, to)| to - from).sum::<u64>()
    }
}

/// Cycles in which requests were in the channel: any, and by bank and bank group, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BankCycles {
    /// Cycles with at least one request, CK.
    pub busy: u64,
    /// Banks with a request, summed over cycles.
    pub banks: u64,
    /// Bank groups with a request, summed over cycles.
    pub groups: u64,
}

impl BankCycles {
    /// Adds those of another channel.
    pub fn add(&mut self, other: BankCycles) {
        self.busy += other.busy;
        self.banks += other.banks;
        self.groups += other.groups;
    }

    /// Banks and groups of a busy cycle.
    pub fn means(self) -> (f64, f64) {
        let mean = |sum: u64| sum as f64 / self.busy.max(1) as f64;
        (mean(self.banks), mean(self.groups))
    }
}

/// Intervals in which requests were in a channel.
#[derive(Clone, Debug)]
pub struct Parallelism {
    banks_per_group: u32,
    any: Covered,
    banks: Vec<Covered>,
    groups: Vec<Covered>,
}

impl Parallelism {
    /// Nothing was seen of a channel with so many banks in a group.
    pub fn new(banks_per_group: u32) -> Self {
        Parallelism {
            banks_per_group,
            any: Covered::default(),
            banks: vec![Covered::default(); MAX_BANKS],
            groups: vec![Covered::default(); MAX_BANKS],
        }
    }

    /// A request to `bank` was in the channel from `accepted` to `done`.
    pub fn interval(&mut self, bank: u8, accepted: u64, done: u64) {
        let group = u32::from(bank) / self.banks_per_group;
        self.any.add(accepted, done);
        self.banks[usize::from(bank)].add(accepted, done);
        self.groups[group as usize].add(accepted, done);
    }

    /// The cycles so far.
    pub fn cycles(&self) -> BankCycles {
        let sum = |all: &[Covered]| all.iter().map(Covered::total).sum();
        BankCycles {
            busy: self.any.total(),
            banks: sum(&self.banks),
            groups: sum(&self.groups),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_banks_of_one_group_overlap_half_the_time() {
        let mut p = Parallelism::new(4);
        p.interval(0, 0, 20);
        p.interval(1, 10, 20);
        assert_eq!(p.cycles().means(), (1.5, 1.0));
    }

    #[test]
    fn spans_that_are_no_longer_kept_still_count() {
        let mut covered = Covered::default();
        for n in 0..3 * SPANS_MAX as u64 {
            covered.add(10 * n, 10 * n + 3);
        }
        assert_eq!(covered.total(), 9 * SPANS_MAX as u64);
        assert_eq!(covered.spans.len(), SPANS_MAX);
    }

    proptest! {
        #[test]
        fn the_covered_time_is_that_of_a_table_of_cycles(
            intervals in prop::collection::vec((0u64..400, 0u64..40), 1..200),
        ) {
            let mut covered = Covered::default();
            let mut table = [false; 440];
            for (from, length) in intervals {
                covered.add(from, from + length);
                table[from as usize..(from + length) as usize].fill(true);
                let apart = |pair: [&(u64, u64); 2]| pair[0].1 < pair[1].0;
                let spans: Vec<_> = covered.spans.iter().collect();
                prop_assert!(spans.windows(2).all(|w| apart([w[0], w[1]])));
            }
            prop_assert_eq!(covered.total(), table.iter().filter(|c| **c).count() as u64);
        }
    }
}
