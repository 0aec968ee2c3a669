//! A calendar of messages by quantum: what arrives in a quantum comes out sorted, whatever the order
//! in which it was put in.

use super::time::Cycle;

/// A message with a total order: arrival first, then everything that makes ties deterministic.
pub trait Timed: Copy {
    /// Cycle of arrival.
    fn at(&self) -> Cycle;
    /// Full sorting key; equal keys only for identical messages.
    fn key(&self) -> (Cycle, u64);
}

const BUCKETS: usize = 64;

/// Messages bucketed by quantum of arrival. Quanta are taken in ascending order.
#[derive(Clone, Debug)]
pub struct Calendar<T> {
    quantum: Cycle,
    buckets: Vec<Vec<T>>,
    later: Vec<T>,
    next: u64,
    len: usize,
}

impl<T: Timed> Calendar<T> {
    /// A calendar for quanta of `quantum` cycles.
    pub fn new(quantum: Cycle) -> Self {
        Calendar {
            quantum,
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            later: Vec::new(),
            next: 0,
            len: 0,
        }
    }

    /// Puts a message in; it must not arrive before the next quantum to be taken.
    #[inline]
    pub fn push(&mut self, message: T) {
        let index = message.at() / self.quantum;
        debug_assert!(index >= self.next, "message for a quantum that is over");
        self.len += 1;
        if index < self.next + BUCKETS as u64 {
            self.buckets[index as usize % BUCKETS].push(message);
        } else {
            self.later.push(message);
        }
    }

    /// Takes what arrives in quantum number `index` into `out`, sorted. Quanta before `index` must
    /// be empty or taken.
    pub fn take(&mut self, index: u64, out: &mut Vec<T>) {
        out.clear();
        self.next = index + 1;
        out.append(&mut self.buckets[index as usize % BUCKETS]);
        if !self.later.is_empty() {
            self.refill(index, out);
        }
        self.len -= out.len();
        out.sort_unstable_by_key(|m| m.key());
    }

    fn refill(&mut self, index: u64, out: &mut Vec<T>) {
        let (quantum, next) = (self.quantum, self.next);
        let buckets = &mut self.buckets;
        self.later.retain(|m| {
            let at = m.at() / quantum;
            if at <= index {
                out.push(*m);
            } else if at < next + BUCKETS as u64 {
                buckets[at as usize % BUCKETS].push(*m);
            } else {
                return true;
            }
            false
        });
    }

    /// No message is waiting.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A lower bound of the next arrival, `Cycle::MAX` when empty.
    pub fn next_at(&self) -> Cycle {
        if self.len == 0 {
            return Cycle::MAX;
        }
        let ahead = (0..BUCKETS as u64).find(|k| !self.bucket(self.next + k).is_empty());
        let near = ahead.map_or(Cycle::MAX, |k| {
            self.bucket(self.next + k)
                .iter()
                .map(Timed::at)
                .min()
                .unwrap_or(Cycle::MAX)
        });
        self.later
            .iter()
            .map(Timed::at)
            .min()
            .map_or(near, |later| near.min(later))
    }

    fn bucket(&self, index: u64) -> &Vec<T> {
        &self.buckets[index as usize % BUCKETS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Timed for (Cycle, u64) {
        fn at(&self) -> Cycle {
            self.0
        }
        fn key(&self) -> (Cycle, u64) {
            *self
        }
    }

    #[test]
    fn far_messages_come_out_in_their_quantum_and_in_order() {
        let mut calendar = Calendar::new(16);
        for k in (0..400u64).rev() {
            calendar.push((k * 7, k));
        }
        let (mut all, mut out) = (Vec::new(), Vec::new());
        for q in 0..200 {
            assert!(calendar.next_at() >= q * 16);
            calendar.take(q, &mut out);
            assert!(out.iter().all(|m| m.0 / 16 == q));
            all.extend_from_slice(&out);
        }
        assert_eq!(all.len(), 400);
        assert!(all.is_sorted());
        assert!(calendar.is_empty() && calendar.next_at() == Cycle::MAX);
    }
}
