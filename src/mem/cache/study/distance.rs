//! Exact reuse distances: how many other lines were touched since the last touch of the same one.
//!
//! Each touch takes the next place of a row, and the place of the line's touch before it is given up: the distance is the
//! number of places behind that one which are still taken. Places have a bit each, and a Fenwick tree over the words of
//! these bits counts them in O(log n). When the row is full it is closed up. A line from which the [`Stack`] is farther
//! away than its limit is forgotten then, so that memory is bounded by twice the limit; distances below the limit stay
//! exact.
//!
//! Every SM and slice may have a stack of its own, and what that costs is mostly the host's memory: a line is found with
//! one look into a table of 4 bytes a place, and lines stand in their row in the order in which they are written.

/// Places of the first row.
const PLACES_MIN: usize = 1 << 12;
/// Places of a word.
const WORD: usize = u64::BITS as usize;

/// The lines in order of their last touch, each with a `T` that stays while it is not forgotten.
#[derive(Clone, Debug)]
pub struct Stack<T> {
    /// The line that was touched at each place so far, whether or not that was its last touch.
    row: Vec<u64>,
    /// By place; of lines that were touched again, nothing.
    values: Vec<T>,
    /// A bit for each place: 1 for one that is taken.
    taken: Vec<u64>,
    /// Fenwick tree over the words of `taken`. The first entry is not used.
    tree: Vec<u32>,
    /// Where a line is: open addressing, with twice as many entries as there are places. The low bits of an entry are a
    /// place and one, 0 for a free entry; the others are those of the line's hash.
    index: Vec<u32>,
    /// Lines that are not forgotten.
    lines: usize,
    limit: usize,
    forgotten: u64,
}

impl<T: Default> Stack<T> {
    /// Nothing was touched; distances below `limit` will be exact.
    pub fn new(limit: usize) -> Self {
        Stack {
            row: Vec::new(),
            values: Vec::new(),
            taken: Vec::new(),
            tree: Vec::new(),
            index: Vec::new(),
            lines: 0,
            limit: limit.max(1),
            forgotten: 0,
        }
    }

    /// Lines that were forgotten because they were not touched for long.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Touches `line`: its distance, which a line has not that is new or forgotten, and its value.
    #[inline]
    pub fn touch(&mut self, line: u64) -> (Option<usize>, &mut T) {
        let place = match self.row.len() {
            full if full == self.places() => self.close_up(),
            place => place,
        };
        let (at, before) = self.find(line);
        let tag = hash(line) as u32 & !self.place_bits();
        self.index[at] = tag | (place as u32 + 1);
        let mut value = T::default();
        let distance = before.map(|before| {
            let behind = self.lines - self.taken_to(before);
            self.taken[before / WORD] &= !(1 << (before % WORD));
            self.add(before / WORD, u32::MAX);
            std::mem::swap(&mut value, &mut self.values[before]);
            behind
        });
        self.lines += usize::from(before.is_none());
        self.taken[place / WORD] |= 1 << (place % WORD);
        self.add(place / WORD, 1);
        self.row.push(line);
        self.values.push(value);
        (distance, &mut self.values[place])
    }

    /// Places of the row: a power of two, or none before the first touch.
    #[inline]
    fn places(&self) -> usize {
        self.index.len() / 2
    }

    /// The bits of an entry of the index that hold a place and one, which is at most the number of places.
    #[inline]
    fn place_bits(&self) -> u32 {
        self.index.len() as u32 - 1
    }

    /// Where `line` is in the index, or the free entry that it would take; and its place.
    #[inline]
    fn find(&self, line: u64) -> (usize, Option<usize>) {
        let (hash, bits) = (hash(line), self.place_bits());
        let mut at = (hash >> 32) as usize & bits as usize;
        loop {
            let entry = self.index[at];
            if entry == 0 {
                return (at, None);
            }
            let place = (entry & bits).wrapping_sub(1) as usize;
            if (entry ^ hash as u32) & !bits == 0 && self.row[place] == line {
                return (at, Some(place));
            }
            at = (at + 1) & bits as usize;
        }
    }

    /// Places taken up to `place`, itself included.
    #[inline]
    fn taken_to(&self, place: usize) -> usize {
        let own = self.taken[place / WORD] << (WORD - 1 - place % WORD);
        let (mut at, mut sum) = (place / WORD, own.count_ones() as usize);
        while at > 0 {
            sum += self.tree[at] as usize;
            at &= at - 1;
        }
        sum
    }

    /// Adds `by`, modulo 2^32, to the word number `word`.
    #[inline]
    fn add(&mut self, word: usize, by: u32) {
        let mut at = word + 1;
        while at < self.tree.len() {
            self.tree[at] = self.tree[at].wrapping_add(by);
            at += at & at.wrapping_neg();
        }
    }

    /// Forgets what is beyond the limit, and gives the other lines the first places, in order. The next place.
    #[cold]
    fn close_up(&mut self) -> usize {
        let beyond = self.lines.saturating_sub(self.limit);
        let (mut passed, mut kept) = (0, 0);
        for place in 0..self.row.len() {
            if self.taken[place / WORD] >> (place % WORD) & 1 == 0 {
                continue;
            }
            passed += 1;
            if passed > beyond {
                self.row[kept] = self.row[place];
                self.values.swap(kept, place);
                kept += 1;
            }
        }
        self.forgotten += beyond as u64;
        self.lines = kept;
        let places = (2 * kept).next_power_of_two().max(PLACES_MIN);
        self.row.truncate(kept);
        self.row.reserve_exact(places - kept);
        self.values.truncate(kept);
        self.values.reserve_exact(places - kept);
        self.index = vec![0; 2 * places];
        let bits = self.place_bits();
        for place in 0..kept {
            let line = self.row[place];
            let (at, _) = self.find(line);
            self.index[at] = hash(line) as u32 & !bits | (place as u32 + 1);
        }
        self.count_anew(places / WORD);
        kept
    }

    /// The first places are taken, as many as there are lines, of so many words.
    fn count_anew(&mut self, words: usize) {
        let in_word = |word: usize| self.lines.saturating_sub(word * WORD).min(WORD);
        let bits = |word| match in_word(word) {
            0 => 0,
            taken => u64::MAX >> (WORD - taken),
        };
        self.taken = (0..words).map(bits).collect();
        self.tree = vec![0; words + 1];
        for at in 1..=words {
            self.tree[at] += self.taken[at - 1].count_ones();
            let above = at + (at & at.wrapping_neg());
            if above <= words {
                self.tree[above] += self.tree[at];
            }
        }
    }
}

/// Bits that depend on all of `line`. The high ones say where it is looked for, of the low ones the upper are its tag.
#[inline]
fn hash(line: u64) -> u64 {
    let product = line.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

/// Powers of two that a distance may have, and 0.
const OCTAVES: usize = usize::BITS as usize + 1;

/// Accesses by the power of two of their reuse distance: 0, 1, 2 to 3, 4 to 7, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octaves {
    counts: [u64; OCTAVES],
    without: u64,
}

impl Default for Octaves {
    fn default() -> Self {
        Octaves {
            counts: [0; OCTAVES],
            without: 0,
        }
    }
}

fn octave(distance: usize) -> usize {
    (usize::BITS - distance.leading_zeros()) as usize
}

impl Octaves {
    /// Counts an access.
    #[inline]
    pub fn add(&mut self, distance: Option<usize>) {
        match distance {
            Some(distance) => self.counts[octave(distance)] += 1,
            None => self.without += 1,
        }
    }

    /// Adds the accesses of another cache.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
            *sum += more;
        }
        self.without += other.without;
    }

    /// Those at distances below `limit`, a power of two, as far as there are any at all.
    pub fn rows(&self, limit: usize) -> Vec<Row> {
        let last = self.counts.iter().rposition(|&count| count > 0);
        self.first_rows(last.map_or(0, |last| last + 1).min(octave(limit)))
    }

    /// Accesses at other distances than those below `limit`, a power of two, or at none.
    pub fn beyond(&self, limit: usize) -> u64 {
        self.without + self.counts[octave(limit)..].iter().sum::<u64>()
    }

    fn first_rows(&self, rows: usize) -> Vec<Row> {
        let mut lru_hits = 0;
        let row = |(octave, &accesses): (usize, &u64)| {
            lru_hits += accesses;
            Row {
                from: (1u64 << octave) / 2,
                to: (1u64 << octave) - 1,
                accesses,
                lru_hits,
            }
        };
        let counts = self.counts[..rows].iter().enumerate();
        counts.map(row).collect()
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
        let mut octaves = Octaves::default();
        for (distance, accesses) in self.counts[..known].iter().enumerate() {
            octaves.counts[octave(distance)] += accesses;
        }
        octaves.first_rows(known.checked_sub(1).map_or(0, |last| octave(last) + 1))
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
        assert_eq!(histogram.rows(4).len(), 3);
    }

    #[test]
    fn octaves_are_the_rows_of_the_histogram() {
        for most in [0usize, 1, 2, 5, 63, 64, 65, 130] {
            let (mut histogram, mut octaves) = <(Histogram, Octaves)>::default();
            let mut count = |distance| {
                histogram.add(distance);
                octaves.add(distance);
            };
            (0..most).for_each(|distance| count(Some(distance * 7 % most)));
            count(None);
            let mut twice = octaves;
            twice.merge(&octaves);
            for limit in [1, 2, 64, 256] {
                assert_eq!(octaves.rows(limit), histogram.rows(limit));
                let beyond = histogram.total() - histogram.lru_hits(limit);
                assert_eq!(octaves.beyond(limit), beyond);
                assert_eq!(twice.beyond(limit), 2 * beyond);
            }
        }
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
                prop_assert!(stack.lines <= 2 * limit + PLACES_MIN);
            }
        }
    }
}
