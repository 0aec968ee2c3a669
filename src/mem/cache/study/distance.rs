//! Exact reuse distances: how many other lines were touched since the last touch of the same one.
//!
//! Each touch takes the next place of a row, and the place of the line's touch before it is given up: the distance is the
//! number of places behind that one which are still taken. A Fenwick tree counts them in O(log n). When the row is full
//! it is closed up. A line from which the [`Stack`] is farther away than its limit is forgotten then, so that memory is
//! bounded by twice the limit; distances below the limit stay exact.

use std::collections::BTreeMap;

/// Places of the first row.
const PLACES_MIN: usize = 1 << 12;

/// A line that was touched.
#[derive(Clone, Copy, Debug)]
struct Touched<T> {
    place: u32,
    value: T,
}

/// The lines in order of their last touch, each with a `T` that stays while it is not forgotten.
#[derive(Clone, Debug)]
pub struct Stack<T> {
    lines: BTreeMap<u64, Touched<T>>,
    /// Fenwick tree over the places: 1 for one that is taken. The first entry is not used.
    tree: Vec<u32>,
    /// The next place.
    next: usize,
    limit: usize,
    forgotten: u64,
}

impl<T: Default> Stack<T> {
    /// Nothing was touched; distances below `limit` will be exact.
    pub fn new(limit: usize) -> Self {
        Stack {
            lines: BTreeMap::new(),
            tree: vec![0; PLACES_MIN + 1],
            next: 0,
            limit: limit.max(1),
            forgotten: 0,
        }
    }

    /// Lines that were forgotten because they were not touched for long.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Touches `line`: its distance, which a line has not that is new or forgotten, and its value.
    pub fn touch(&mut self, line: u64) -> (Option<usize>, &mut T) {
        if self.next + 1 == self.tree.len() {
            self.close_up();
        }
        let place = self.next;
        self.next += 1;
        let before = self.lines.get(&line).map(|touched| touched.place as usize);
        let distance = before.map(|before| {
            let behind = self.lines.len() - self.taken_to(before);
            self.add(before, u32::MAX);
            behind
        });
        self.add(place, 1);
        let touched = self.lines.entry(line).or_insert_with(|| Touched {
            place: 0,
            value: T::default(),
        });
        touched.place = place as u32;
        (distance, &mut touched.value)
    }

    /// Places taken up to `place`, itself included.
    fn taken_to(&self, place: usize) -> usize {
        let (mut at, mut sum) = (place + 1, 0);
        while at > 0 {
            sum += self.tree[at] as usize;
            at &= at - 1;
        }
        sum
    }

    /// Adds `by`, modulo 2^32, to `place`.
    fn add(&mut self, place: usize, by: u32) {
        let mut at = place + 1;
        while at < self.tree.len() {
            self.tree[at] = self.tree[at].wrapping_add(by);
            at += at & at.wrapping_neg();
        }
    }

    /// Forgets what is beyond the limit, and gives the other lines the first places, in order.
    fn close_up(&mut self) {
        let mut places: Vec<u32> = self.lines.values().map(|t| t.place).collect();
        places.sort_unstable();
        let beyond = places.len().saturating_sub(self.limit);
        let places = &places[beyond..];
        self.forgotten += beyond as u64;
        self.lines
            .retain(|_, touched| match places.binary_search(&touched.place) {
                Ok(rank) => {
                    touched.place = rank as u32;
                    true
                }
                Err(_) => false,
            });
        self.next = places.len();
        let room = (2 * self.next).next_power_of_two().max(PLACES_MIN);
        self.tree.clear();
        self.tree.resize(room + 1, 0);
        for at in 1..=room {
            self.tree[at] += u32::from(at <= self.next);
            let above = at + (at & at.wrapping_neg());
            if above <= room {
                self.tree[above] += self.tree[at];
            }
        }
    }
}

/// Accesses by reuse distance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    without: u64,
}

/// Accesses at distances from `from` to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Nearest, lines.
    pub from: u64,
    /// Farthest.
    pub to: u64,
    /// Accesses.
    pub accesses: u64,
    /// Accesses that a fully associative LRU cache of `to` + 1 lines would hit.
    pub lru_hits: u64,
}

impl Histogram {
    /// Counts an access.
    pub fn add(&mut self, distance: Option<usize>) {
        let Some(distance) = distance else {
            self.without += 1;
            return;
        };
        if self.counts.len() <= distance {
            self.counts.resize(distance + 1, 0);
        }
        self.counts[distance] += 1;
    }

    /// Adds the accesses of another cache.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
            *sum += more;
        }
        self.without += other.without;
    }

    /// Accesses.
    pub fn total(&self) -> u64 {
        self.lru_hits(self.counts.len()) + self.without
    }

    /// Accesses that a fully associative LRU cache of `lines` lines would hit.
    pub fn lru_hits(&self, lines: usize) -> u64 {
        self.counts.iter().take(lines).sum()
    }

    /// By powers of two as far as distances are exact, which is below `limit`: 0, 1, 2 to 3, 4 to 7, ...
    pub fn rows(&self, limit: usize) -> Vec<Row> {
        let known = self.counts.len().min(limit);
        let mut rows = Vec::new();
        let (mut from, mut before) = (0, 0);
        while from < known {
            let end = (from + 1).next_power_of_two();
            let lru_hits = before + self.counts[from..end.min(known)].iter().sum::<u64>();
            rows.push(Row {
                from: from as u64,
                to: end as u64 - 1,
                accesses: lru_hits - before,
                lru_hits,
            });
            (from, before) = (end, lru_hits);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_add_up_to_what_has_a_distance() {
        let mut histogram = Histogram::default();
        for distance in [None, Some(0), Some(0), Some(3), Some(5), None] {
            histogram.add(distance);
        }
        let rows = histogram.rows(100);
        let row = |from, to, accesses, lru_hits| Row {
            from,
            to,
            accesses,
            lru_hits,
        };
        let expected = [
            row(0, 0, 2, 2),
            row(1, 1, 0, 2),
            row(2, 3, 1, 3),
            row(4, 7, 1, 4),
        ];
        assert_eq!(rows, expected);
        assert_eq!((histogram.total(), histogram.lru_hits(4)), (6, 3));
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!((twice.total(), twice.lru_hits(4)), (12, 6));
        assert_eq!(histogram.rows(4).len(), 3);
    }

    #[test]
    fn a_distance_counts_other_lines_once() {
        let mut stack: Stack<()> = Stack::new(100);
        // Between the touches of 1 lie 2 and 3, between those of 2 lie 3 and 1.
        let distances: Vec<_> = [1, 2, 2, 3, 1, 2, 2].map(|l| stack.touch(l).0).into();
        let expected = [None, None, Some(0), None, Some(2), Some(2), Some(0)];
        assert_eq!(distances, expected);
    }

    proptest! {
        /// A list with the last touch at its end says the same, over many rows, as far as the limit goes.
        #[test]
        fn distances_are_those_of_a_plain_list(
            limit in 1usize..200,
            span in 1u64..400,
            touches in prop::collection::vec(any::<u64>(), 1..600),
        ) {
            let mut stack: Stack<u32> = Stack::new(limit);
            let mut plain: Vec<u64> = Vec::new();
            // Sixteen rounds fill the row more than once.
            for line in touches.iter().cycle().take(16 * touches.len()).map(|t| t % span) {
                let at = plain.iter().rposition(|&l| l == line);
                let expected = at.map(|at| plain.len() - 1 - at);
                if let Some(at) = at {
                    plain.remove(at);
                }
                plain.push(line);
                let (found, value) = stack.touch(line);
                *value += 1;
                match expected {
                    Some(near) if near < limit => prop_assert_eq!(found, Some(near)),
                    // It may not be forgotten yet.
                    Some(far) => prop_assert!(found.is_none_or(|found| found == far)),
                    None => prop_assert_eq!(found, None),
                }
                prop_assert!(stack.lines.len() <= 2 * limit + PLACES_MIN);
            }
        }
    }
}
