//! Lines and what is known of them: open addressing, for tables that are asked at every miss.

use crate::mem::Line;

/// Places of the first table.
const PLACES_MIN: usize = 64;

/// A `T` by line.
#[derive(Clone, Debug)]
pub struct Table<T> {
    /// A power of two, or none yet; at most half of them are taken.
    places: Vec<Option<(Line, T)>>,
    taken: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            places: Vec::new(),
            taken: 0,
        }
    }
}

impl<T> Table<T> {
    /// Lines.
    pub fn len(&self) -> usize {
        self.taken
    }

    /// Nothing is known of any line.
    pub fn clear(&mut self) {
        if self.taken > 0 {
            self.places.iter_mut().for_each(|place| *place = None);
            self.taken = 0;
        }
    }

    fn home(&self, line: Line) -> usize {
        let hash = line.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        hash as usize & (self.places.len() - 1)
    }

    /// The place of `line`, or the free one that it would take; nothing in a table without places.
    fn find(&self, line: Line) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = self.home(line);
        while self.places[at].as_ref().is_some_and(|(l, _)| *l != line) {
            at = (at + 1) & mask;
        }
        Some(at)
    }

    /// That of `line`.
    pub fn get(&self, line: Line) -> Option<&T> {
        let place = self.places[self.find(line)?].as_ref()?;
        Some(&place.1)
    }

    /// That of `line`, to be changed.
    pub fn get_mut(&mut self, line: Line) -> Option<&mut T> {
        let at = self.find(line)?;
        let place = self.places[at].as_mut()?;
        Some(&mut place.1)
    }

    /// That of `line`, which is `new` if nothing is known of it.
    pub fn or_insert(&mut self, line: Line, new: T) -> &mut T {
        if 2 * (self.taken + 1) > self.places.len() {
            self.grow();
        }
        let at = self.find(line).unwrap_or(0);
        self.taken += usize::from(self.places[at].is_none());
        &mut self.places[at].get_or_insert((line, new)).1
    }

    fn grow(&mut self) {
        let places = (2 * self.places.len()).max(PLACES_MIN);
        let mut empty = Vec::new();
        empty.resize_with(places, || None);
        for (line, value) in std::mem::replace(&mut self.places, empty)
            .into_iter()
            .flatten()
        {
            let at = self.find(line).unwrap_or(0);
            self.places[at] = Some((line, value));
        }
    }

    /// Forgets `line`: what was known of it.
    pub fn remove(&mut self, line: Line) -> Option<T> {
        let mut free = self.find(line)?;
        let (_, value) = self.places[free].take()?;
        self.taken -= 1;
        // Lines behind it that are there because this place was taken move up.
        let mask = self.places.len() - 1;
        let mut at = (free + 1) & mask;
        while let Some((line, _)) = &self.places[at] {
            let from_home = at.wrapping_sub(self.home(*line)) & mask;
            if from_home >= at.wrapping_sub(free) & mask {
                self.places.swap(at, free);
                free = at;
            }
            at = (at + 1) & mask;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_table_is_a_map(steps in prop::collection::vec((0u64..80, 0u8..4), 1..600)) {
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            for (number, (line, step)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        let own = *table.or_insert(Line(line), number);
                        prop_assert_eq!(own, *map.entry(line).or_insert(number));
                    }
                    2 => prop_assert_eq!(table.remove(Line(line)), map.remove(&line)),
                    _ => {
                        if let Some(value) = table.get_mut(Line(line)) {
                            *value += 1000;
                        }
                        if let Some(value) = map.get_mut(&line) {
                            *value += 1000;
                        }
                    }
                }
                prop_assert_eq!(table.len(), map.len());
                for line in 0..80 {
                    prop_assert_eq!(table.get(Line(line)), map.get(&line));
                }
            }
            table.clear();
            prop_assert!((0..80).all(|line| table.get(Line(line)).is_none()));
        }
    }
}
