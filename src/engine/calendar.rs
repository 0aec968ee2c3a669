//! A calendar of messages by quantum: what arrives in a quantum comes out sorted, whatever the order
//! in which it was put in.

use super::time::Cycle;
use bincode::{Decode, Encode};

/// A message that arrives at some time.
pub trait Timed: Copy {
    /// Cycle of arrival.
    fn at(&self) -> Cycle;
    /// Who goes first of those that arrive together, below 2^[`RANK_BITS`]: different senders have different
    /// ranks. Messages of one sender keep the order in which it sent them.
    fn rank(&self) -> u32;
}

/// Bits of a rank.
pub const RANK_BITS: u32 = 17;
/// Bits of a message's place among those that are put in order together.
const PLACE_BITS: u32 = 24;
const PLACES: u64 = 1 << PLACE_BITS;

/// Puts the places of `messages` into `order`: by arrival, then rank, then place.
#[inline(always)]
pub fn put_in_order<T: Timed>(messages: &[T], order: &mut Vec<u64>) {
    assert!(messages.len() as u64 <= PLACES, "too many messages at once");
    order.clear();
    let first = messages.iter().map(Timed::at).min().unwrap_or(0);
    let (mut last, mut sorted, mut span) = (0, true, 0);
    order.extend(messages.iter().zip(0..).map(|(message, place)| {
        let after = message.at() - first;
        let key = (after << RANK_BITS | u64::from(message.rank())) << PLACE_BITS | place;
        sorted &= last <= key;
        (last, span) = (key, span.max(after));
        key
    }));
    if span >> (64 - RANK_BITS - PLACE_BITS) != 0 {
        order.clear();
        order.extend(0..messages.len() as u64);
        order.sort_by_key(|&place| {
            let message = &messages[place as usize];
            (message.at(), message.rank())
        });
    } else if !sorted {
        order.sort_unstable();
    }
    order.iter_mut().for_each(|key| *key &= PLACES - 1);
}

const BUCKETS: usize = 16;

/// Messages bucketed by quantum of arrival. Quanta are taken in ascending order.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Calendar<T> {
    quantum: Cycle,
    buckets: Vec<Vec<T>>,
    later: Vec<T>,
    /// Scratch: places of the messages being taken.
    order: Vec<u64>,
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
            order: Vec::new(),
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
    #[inline(always)]
    pub fn take(&mut self, index: u64, out: &mut Vec<T>) {
        out.clear();
        if index >= self.next + BUCKETS as u64 {
            // Time was skipped: nothing can be in the buckets, and what is due now may never have been near.
            self.next = index;
            self.refill();
        }
        self.next = index + 1;
        let due = &mut self.buckets[index as usize % BUCKETS];
        self.len -= due.len();
        put_in_order(due, &mut self.order);
        out.extend(self.order.iter().map(|&place| due[place as usize]));
        due.clear();
        self.refill();
    }

    /// Moves messages that are near now into their buckets. What was put there directly was sent later.
    fn refill(&mut self) {
        if self.later.is_empty() {
            return;
        }
        let (quantum, next) = (self.quantum, self.next);
        let buckets = &mut self.buckets;
        self.later.retain(|m| {
            let at = m.at() / quantum;
            let near = at < next + BUCKETS as u64;
            if near {
                buckets[at as usize % BUCKETS].push(*m);
            }
            !near
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
        fn rank(&self) -> u32 {
            self.1 as u32
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

    #[test]
    fn one_sender_keeps_its_order_however_far_ahead_it_sends() {
        #[derive(Clone, Copy)]
        struct Numbered(Cycle, u32);
        impl Timed for Numbered {
            fn at(&self) -> Cycle {
                self.0
            }
            fn rank(&self) -> u32 {
                7
            }
        }
        let mut calendar = Calendar::new(1);
        let mut out = Vec::new();
        // For cycle 200: sent in each of the 200 cycles before.
        for now in 0..200 {
            calendar.take(now, &mut out);
            assert!(out.is_empty());
            calendar.push(Numbered(200, now as u32));
        }
        calendar.take(200, &mut out);
        assert!(out.iter().map(|m| m.1).eq(0..200));
        // And after time was skipped.
        calendar.push(Numbered(1000, 0));
        calendar.push(Numbered(1000, 1));
        calendar.take(1000, &mut out);
        assert!(out.iter().map(|m| m.1).eq(0..2));
    }
}
