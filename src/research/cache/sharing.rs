//! Which lines several SMs ask L2 for.

use crate::ids::SmId;
use crate::mem::Line;
use std::collections::BTreeMap;

/// Lines of a memory shard that are followed; later ones are only counted.
const LINES_MAX: usize = 1 << 16;
/// Requests that a record has room for.
const REQUESTS_MAX: u32 = u32::MAX;

/// Who asked for a line: one SM by its number, or a set of SMs by its number and this bit.
const SET: u32 = 1 << 31;

/// A line, by whom it was asked for and how often. What is more than it has room for begins another record.
#[derive(Clone, Copy, Debug)]
struct Record {
    line: Line,
    who: u32,
    requests: u32,
}

/// The number of a line's record, from 1; 0 where nothing is known of the line.
pub type RecordNumber = u32;

/// The lines of L2 by the SMs that asked for them. Who asks knows the number of the line's record, as far as it remembers the
/// line, so that no line has to be looked up here.
#[derive(Debug, Default)]
pub struct Sharing {
    records: Vec<Record>,
    /// Sets of SMs: a bit for each SM of the chip.
    sets: Vec<u64>,
    /// Words of a set.
    words: usize,
    /// Lines of which there may be several records, for as many copies.
    copies: bool,
    /// The numbers of all records by line, since who asks has forgotten lines.
    numbers: Option<BTreeMap<Line, RecordNumber>>,
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
    /// Nothing was asked, by any of so many SMs; `copies`: several slices may have the same line.
    pub fn new(sms: usize, copies: bool) -> Self {
        Sharing {
            words: sms.div_ceil(64),
            copies,
            ..Sharing::default()
        }
    }

    /// `sm` asked for `line`, whose record has `number`, which is set for a line that has none. `forgetful`: numbers of some
    /// lines may have been forgotten.
    #[inline]
    pub fn asked(&mut self, line: Line, number: &mut RecordNumber, sm: SmId, forgetful: bool) {
        if *number == 0 && forgetful {
            *number = self.number_of(line);
        }
        match (*number as usize).checked_sub(1) {
            Some(at) if self.records[at].requests < REQUESTS_MAX => self.again(at, sm),
            None if self.records.len() >= LINES_MAX => self.unfollowed += 1,
            full => {
                self.copies |= full.is_some();
                self.records.push(Record {
                    line,
                    who: u32::from(sm.0),
                    requests: 1,
                });
                *number = self.records.len() as RecordNumber;
                if let Some(numbers) = &mut self.numbers {
                    numbers.insert(line, *number);
                }
            }
        }
    }

    #[inline]
    fn again(&mut self, at: usize, sm: SmId) {
        let record = &mut self.records[at];
        record.requests += 1;
        if record.who == u32::from(sm.0) {
            return;
        }
        if record.who & SET == 0 {
            let first = record.who as usize;
            let set = self.sets.len();
            record.who = SET | (set / self.words) as u32;
            self.sets.resize(set + self.words, 0);
            self.sets[set + first / 64] |= 1 << (first % 64);
        }
        let set = (record.who & !SET) as usize * self.words;
        self.sets[set + sm.index() / 64] |= 1 << (sm.index() % 64);
    }

    #[cold]
    fn number_of(&mut self, line: Line) -> RecordNumber {
        let records = self.records.iter().zip(1..);
        let all = || records.map(|(record, number)| (record.line, number));
        let numbers = self.numbers.get_or_insert_with(|| all().collect());
        numbers.get(&line).copied().unwrap_or(0)
    }

    /// Adds what was asked of other slices, which may have copies of the same lines.
    pub fn merge(&mut self, other: Self) {
        self.words = self.words.max(other.words);
        self.copies |= other.copies;
        let sets = self.sets.len().checked_div(self.words).unwrap_or(0) as u32;
        self.records
            .extend(other.records.iter().map(|record| Record {
                who: record.who + if record.who & SET == 0 { 0 } else { sets },
                ..*record
            }));
        self.sets.extend_from_slice(&other.sets);
        self.unfollowed += other.unfollowed;
    }

    /// Lines by the number of SMs: 1, 2, 3 to 4, 5 to 8, ...
    pub fn rows(&self) -> Vec<Shared> {
        let mut rows: Vec<Shared> = Vec::new();
        if !self.copies {
            for record in &self.records {
                self.count(std::slice::from_ref(record), &mut rows);
            }
            return rows;
        }
        let mut records = self.records.clone();
        records.sort_unstable_by_key(|record| record.line);
        for line in records.chunk_by(|a, b| a.line == b.line) {
            self.count(line, &mut rows);
        }
        rows
    }

    /// Counts the line that has these records.
    fn count(&self, records: &[Record], rows: &mut Vec<Shared>) {
        let number = self.sms(records).next_power_of_two().trailing_zeros() as usize;
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
        let requests = records.iter().map(|record| u64::from(record.requests));
        rows[number].requests += requests.sum::<u64>();
    }

    /// SMs that asked for any of `records`.
    fn sms(&self, records: &[Record]) -> u32 {
        if let [Record { who, .. }] = records
            && who & SET == 0
        {
            return 1;
        }
        let of_word = |word: usize| {
            let bits = records.iter().map(|record| match record.who {
                set if set & SET != 0 => self.sets[(set & !SET) as usize * self.words + word],
                sm if sm as usize / 64 == word => 1 << (sm % 64),
                _ => 0,
            });
            bits.fold(0, |all, bits| all | bits).count_ones()
        };
        (0..self.words).map(of_word).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One who asks and remembers the numbers of all lines.
    #[derive(Default)]
    struct Numbers(BTreeMap<u64, RecordNumber>);

    impl Numbers {
        fn ask(&mut self, sharing: &mut Sharing, line: u64, sm: u16) {
            let number = self.0.entry(line).or_default();
            sharing.asked(Line(line), number, SmId(sm), false);
        }
    }

    fn counts(sharing: &Sharing) -> Vec<(u64, u64, u64, u64)> {
        let rows = sharing.rows().into_iter();
        rows.map(|r| (r.from, r.to, r.lines, r.requests)).collect()
    }

    #[test]
    fn lines_are_counted_by_how_many_sms_asked_for_them() {
        let (mut near, mut far) = (Sharing::new(132, true), Sharing::new(132, true));
        let (mut of_near, mut of_far) = (Numbers::default(), Numbers::default());
        for sm in [0, 1, 70, 70] {
            of_near.ask(&mut near, 5, sm);
        }
        of_near.ask(&mut near, 6, 9);
        // The copy of line 5 in the other partition has another reader.
        of_far.ask(&mut far, 5, 130);
        of_far.ask(&mut far, 5, 131);
        let mut all = Sharing::default();
        all.merge(near);
        all.merge(far);
        assert_eq!(
            counts(&all),
            [(1, 1, 1, 1), (2, 2, 0, 0), (3, 4, 0, 0), (5, 8, 1, 6)]
        );
    }

    #[test]
    fn what_is_not_followed_is_counted() {
        let (mut sharing, mut numbers) = (Sharing::new(2, false), Numbers::default());
        for line in 0..LINES_MAX as u64 + 3 {
            numbers.ask(&mut sharing, line, 0);
        }
        numbers.ask(&mut sharing, 0, 1);
        assert_eq!(sharing.unfollowed, 3);
        let rows = sharing.rows();
        assert_eq!(rows[0].lines + rows[1].lines, LINES_MAX as u64);
        assert_eq!(
            rows.iter().map(|r| r.requests).sum::<u64>(),
            LINES_MAX as u64 + 1
        );
    }

    #[test]
    fn a_line_that_was_forgotten_is_found_again() {
        let mut sharing = Sharing::new(4, false);
        for (line, sm) in [(7, 0), (8, 1), (7, 2), (9, 3), (9, 3)] {
            sharing.asked(Line(line), &mut 0, SmId(sm), true);
        }
        assert_eq!(counts(&sharing), [(1, 1, 2, 3), (2, 2, 1, 2)]);
    }

    #[test]
    fn more_requests_than_a_record_has_room_for_begin_another_one() {
        let (mut sharing, mut numbers) = (Sharing::new(4, false), Numbers::default());
        numbers.ask(&mut sharing, 7, 0);
        sharing.records[0].requests = REQUESTS_MAX;
        numbers.ask(&mut sharing, 7, 1);
        numbers.ask(&mut sharing, 7, 1);
        let requests = u64::from(REQUESTS_MAX) + 2;
        assert_eq!(counts(&sharing), [(1, 1, 0, 0), (2, 2, 1, requests)]);
    }
}
