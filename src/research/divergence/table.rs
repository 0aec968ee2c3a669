//! Tables of open addressing, for what is asked at every miss of a cache. Their entries lie side by side and have no more
//! bytes than they need: what it costs to follow the lines of all caches is what that drives out of the host's own.

use crate::mem::Line;

/// Places of the first table.
const PLACES_MIN: usize = 64;

/// What a table is asked by.
pub trait Key: Copy + Eq {
    /// A value that no key has: the place is free.
    const FREE: Self;

    /// Its bits, all of which may decide about the place.
    fn bits(self) -> u64;

    /// Where it is looked for, in a table with a power of two of places; `mask` is one less.
    #[inline]
    fn home(self, mask: usize) -> usize {
        (self.bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask
    }
}

impl Key for Line {
    const FREE: Self = Line(u64::MAX);

    #[inline]
    fn bits(self) -> u64 {
        self.0
    }
}

/// What stands in a table: a key with what is known of it.
pub trait Entry: Copy {
    /// The key.
    type Key: Key;

    /// That of the entry.
    fn key(&self) -> Self::Key;

    /// What stands in a free place.
    fn free() -> Self;
}

impl<K: Key, T: Copy + Default> Entry for (K, T) {
    type Key = K;

    #[inline]
    fn key(&self) -> K {
        self.0
    }

    fn free() -> Self {
        (K::FREE, T::default())
    }
}

/// Entries by key.
#[derive(Clone, Debug)]
pub struct Table<E> {
    /// A power of two, or none yet; at most three of four are taken.
    places: Vec<E>,
    taken: usize,
}

impl<E> Default for Table<E> {
    fn default() -> Self {
        Table {
            places: Vec::new(),
            taken: 0,
        }
    }
}

fn is_free<E: Entry>(place: &E) -> bool {
    place.key() == E::Key::FREE
}

impl<E: Entry> Table<E> {
    /// With room for so many entries.
    pub fn with_room(entries: usize) -> Self {
        let places = (entries + entries / 2).next_power_of_two();
        Table {
            places: vec![E::free(); places],
            taken: 0,
        }
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.taken
    }

    /// All, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.places.iter().filter(|place| !is_free(*place))
    }

    /// Nothing is known of any key.
    pub fn clear(&mut self) {
        if self.taken > 0 {
            self.places.fill(E::free());
            self.taken = 0;
        }
    }

    /// The place of `key`, or the free one that it would take; nothing in a table without places.
    #[inline]
    fn find(&self, key: E::Key) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = key.home(mask);
        while self.places[at].key() != key && !is_free(&self.places[at]) {
            at = (at + 1) & mask;
        }
        Some(at)
    }

    /// That of `key`.
    #[inline]
    pub fn get(&self, key: E::Key) -> Option<&E> {
        let place = &self.places[self.find(key)?];
        (place.key() == key).then_some(place)
    }

    /// That of `key`, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: E::Key) -> Option<&mut E> {
        let at = self.find(key)?;
        let place = &mut self.places[at];
        (place.key() == key).then_some(place)
    }

    /// That of the key of `new`, which is `new` if nothing is known of it.
    #[inline]
    pub fn or_insert(&mut self, new: E) -> &mut E {
        if 4 * (self.taken + 1) > 3 * self.places.len() {
            self.grow();
        }
        let at = self.find(new.key()).unwrap_or(0);
        let place = &mut self.places[at];
        if is_free(place) {
            *place = new;
            self.taken += 1;
        }
        place
    }

    fn grow(&mut self) {
        let places = (2 * self.places.len()).max(PLACES_MIN);
        for entry in std::mem::replace(&mut self.places, vec![E::free(); places]) {
            if !is_free(&entry) {
                let at = self.find(entry.key()).unwrap_or(0);
                self.places[at] = entry;
            }
        }
    }

    /// Forgets `key`: what was known of it.
    pub fn remove(&mut self, key: E::Key) -> Option<E> {
        let mut free = self.find(key)?;
        let entry = self.places[free];
        if is_free(&entry) {
            return None;
        }
        self.taken -= 1;
        // Keys behind it that are there because this place was taken move up.
        let mask = self.places.len() - 1;
        let mut at = (free + 1) & mask;
        while !is_free(&self.places[at]) {
            let from_home = at.wrapping_sub(self.places[at].key().home(mask)) & mask;
            if from_home >= at.wrapping_sub(free) & mask {
                self.places[free] = self.places[at];
                free = at;
            }
            at = (at + 1) & mask;
        }
        self.places[free] = E::free();
        Some(entry)
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
                        let own = table.or_insert((Line(line), number)).1;
                        prop_assert_eq!(own, *map.entry(line).or_insert(number));
                    }
                    2 => {
                        let own = table.remove(Line(line)).map(|(_, number)| number);
                        prop_assert_eq!(own, map.remove(&line));
                    }
                    _ => {
                        if let Some((_, value)) = table.get_mut(Line(line)) {
                            *value += 1000;
                        }
                        if let Some(value) = map.get_mut(&line) {
                            *value += 1000;
                        }
                    }
                }
                prop_assert_eq!(table.len(), map.len());
                for line in 0..80 {
                    let own = table.get(Line(line)).map(|(_, number)| number);
                    prop_assert_eq!(own, map.get(&line));
                }
                let all: BTreeMap<_, _> = table.iter().map(|(line, value)| (line.0, *value)).collect();
                prop_assert_eq!(&all, &map);
            }
            table.clear();
            prop_assert!((0..80).all(|line| table.get(Line(line)).is_none()));
        }
    }
}
