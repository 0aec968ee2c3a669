//! The obvious model of an LRU cache, for the property tests of the real ones.

/// A vector per set, the least recently used line first.
pub struct NaiveLru {
    sets: Vec<Vec<u64>>,
    ways: usize,
}

impl NaiveLru {
    pub fn new(sets: u32, ways: u32) -> Self {
        NaiveLru {
            sets: vec![Vec::new(); sets as usize],
            ways: ways as usize,
        }
    }

    /// Whether `line` was present, and the line that fell out for it.
    pub fn access(&mut self, line: u64) -> (bool, Option<u64>) {
        let count = self.sets.len() as u64;
        let set = &mut self.sets[(line % count) as usize];
        if let Some(at) = set.iter().position(|&l| l == line) {
            set.remove(at);
            set.push(line);
            return (true, None);
        }
        let victim = (set.len() == self.ways).then(|| set.remove(0));
        set.push(line);
        (false, victim)
    }
}
