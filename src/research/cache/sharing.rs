//! Which lines several SMs ask L2 for.

use crate::ids::SmId;
use crate::mem::Line;
use std::collections::BTreeMap;

/// Lines of a memory shard that are followed; later ones are only counted.
const LINES_MAX: usize = 1 << 16;

/// Who asked for a line, and how often.
#[derive(Clone, Debug, Default)]
struct Known {
    /// A bit for each SM.
    sms: Vec<u64>,
    requests: u64,
}

/// The lines of L2 by the SMs that asked for them.
#[derive(Clone, Debug, Default)]
pub struct Sharing {
    lines: BTreeMap<Line, Known>,
    /// Requests for lines that are not followed.
    pub unfollowed: u64,
}

/// Lines that so many SMs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// SMs at least.
    pub from: u64,
    /// SMs at most.
    pub to: u64,
    /// Lines.
    pub lines: u64,
    /// Requests for them.
    pub requests: u64,
}

impl Sharing {
    /// `sm` asked for `line`.
    pub fn asked(&mut self, line: Line, sm: SmId) {
        if self.lines.len() >= LINES_MAX && !self.lines.contains_key(&line) {
            self.unfollowed += 1;
            return;
        }
        let known = self.lines.entry(line).or_default();
        let (word, bit) = (sm.index() / 64, sm.index() % 64);
        if known.sms.len() <= word {
            known.sms.resize(word + 1, 0);
        }
        known.sms[word] |= 1 << bit;
        known.requests += 1;
    }

    /// Adds what was asked of other slices, which may have copies of the same lines.
    pub fn merge(&mut self, other: &Self) {
        for (&line, more) in &other.lines {
            let known = self.lines.entry(line).or_default();
            if known.sms.len() < more.sms.len() {
                known.sms.resize(more.sms.len(), 0);
            }
            for (sum, more) in known.sms.iter_mut().zip(&more.sms) {
                *sum |= more;
            }
            known.requests += more.requests;
        }
        self.unfollowed += other.unfollowed;
    }

    /// Lines by the number of SMs: 1, 2, 3 to 4, 5 to 8, ...
    pub fn rows(&self) -> Vec<Shared> {
        let mut rows: Vec<Shared> = Vec::new();
        for known in self.lines.values() {
            let sms: u32 = known.sms.iter().map(|word| word.count_ones()).sum();
            let number = sms.next_power_of_two().trailing_zeros() as usize;
            for at in rows.len()..=number {
                let to = 1u64 << at;
                rows.push(Shared {
                    from: to / 2 + 1,
                    to,
                    lines: 0,
                    requests: 0,
                });
            }
            rows[number].lines += 1;
            rows[number].requests += known.requests;
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_how_many_sms_asked_for_them() {
        let (mut near, mut far) = (Sharing::default(), Sharing::default());
        for sm in [0, 1, 70, 70] {
            near.asked(Line(5), SmId(sm));
        }
        near.asked(Line(6), SmId(9));
        // The copy of line 5 in the other partition has another reader.
        far.asked(Line(5), SmId(130));
        far.asked(Line(5), SmId(131));
        near.merge(&far);
        let rows = near.rows();
        let counts: Vec<_> = rows
            .iter()
            .map(|r| (r.from, r.to, r.lines, r.requests))
            .collect();
        assert_eq!(
            counts,
            [(1, 1, 1, 1), (2, 2, 0, 0), (3, 4, 0, 0), (5, 8, 1, 6)]
        );
    }

    #[test]
    fn what_is_not_followed_is_counted() {
        let mut sharing = Sharing::default();
        for line in 0..LINES_MAX as u64 + 3 {
            sharing.asked(Line(line), SmId(0));
        }
        sharing.asked(Line(0), SmId(1));
        assert_eq!(sharing.unfollowed, 3);
        let rows = sharing.rows();
        assert_eq!(rows[0].lines + rows[1].lines, LINES_MAX as u64);
        assert_eq!(
            rows.iter().map(|r| r.requests).sum::<u64>(),
            LINES_MAX as u64 + 1
        );
    }
}
