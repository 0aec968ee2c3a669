//! Bank-level and bank-group parallelism: how many different banks (groups) had a request in the channel, on average
//! over the cycles in which any had one.

use crate::mem::dram::MAX_BANKS;

/// Intervals in which requests were in the channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Parallelism {
    /// (CK, bank, +1 on acceptance or -1 when done).
    edges: Vec<(u64, u8, i8)>,
}

impl Parallelism {
    /// A request to `bank` was in the channel from `accepted` to `done`.
    pub fn interval(&mut self, bank: u8, accepted: u64, done: u64) {
        self.edges.push((accepted, bank, 1));
        self.edges.push((done, bank, -1));
    }

    /// (mean busy banks, mean busy groups) over cycles with at least one busy bank.
    pub fn means(&mut self, banks_per_group: u32) -> (f64, f64) {
        self.edges.sort_unstable();
        let mut load = [0i64; MAX_BANKS];
        let mut groups = [0i64; MAX_BANKS];
        let (mut busy_banks, mut busy_groups) = (0u64, 0u64);
        let (mut last, mut cycles, mut bank_cycles, mut group_cycles) = (0u64, 0u64, 0u64, 0u64);
        for &(at, bank, step) in &self.edges {
            if busy_banks > 0 {
                cycles += at - last;
                bank_cycles += busy_banks * (at - last);
                group_cycles += busy_groups * (at - last);
            }
            last = at;
            let group = (u32::from(bank) / banks_per_group) as usize;
            for (table, index, busy) in [
                (&mut load, bank as usize, &mut busy_banks),
                (&mut groups, group, &mut busy_groups),
            ] {
                let before = table[index] > 0;
                table[index] += i64::from(step);
                let after = table[index] > 0;
                *busy = *busy + u64::from(after && !before) - u64::from(before && !after);
            }
        }
        let mean = |sum: u64| {
            if cycles == 0 {
                0.0
            } else {
                sum as f64 / cycles as f64
            }
        };
        (mean(bank_cycles), mean(group_cycles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_banks_of_one_group_overlap_half_the_time() {
        let mut p = Parallelism::default();
        p.interval(0, 0, 20);
        p.interval(1, 10, 20);
        assert_eq!(p.means(4), (1.5, 1.0));
    }
}
