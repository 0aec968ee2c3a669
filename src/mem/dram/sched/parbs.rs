//! Parallelism-aware batch scheduling (Mutlu and Moscibroda, ISCA 2008), per queue: when no marked request is
//! left, the [`MARK_CAP`] oldest requests of each stream in each bank are marked. Marked requests come first,
//! then hits, then streams by the length of their longest bank queue (shortest job first), then age.

use super::{AGE_MASK, CLASS_SHIFT, Protect, Rules, STREAMS, key};
use crate::mem::dram::MAX_BANKS;
use crate::mem::dram::channel::Channel;
use crate::mem::dram::queue::Queue;

/// Requests marked per stream and bank.
const MARK_CAP: u8 = 5;
/// Class of a marked request.
const MARKED: u64 = 0;
/// Class of a request outside the batch.
pub(super) const UNMARKED: u64 = 1;

/// Marked before unmarked, then hits, then rank.
pub(super) const RULES: Rules = Rules {
    protect: Protect::ClassHits,
    overtake_cap: 128,
    hit_first: true,
    age_ordered: false,
    strict: false,
    drain_hits: false,
};

/// Forms a new batch in each queue whose batch has been served.
pub(super) fn form_batches(channel: &mut Channel) {
    let banks = channel.banks;
    let mut changed = false;
    for queue in &mut channel.queues {
        let mut marked = false;
        queue.for_each_mut(banks, |e| marked |= e.key >> CLASS_SHIFT & 7 == MARKED);
        if queue.len > 0 && !marked {
            mark(queue, banks);
            changed = true;
        }
    }
    if changed {
        for bank in 0..banks {
            channel.rescan(bank);
        }
    }
}

/// Marks the oldest requests of each stream and bank and ranks the streams.
fn mark(queue: &mut Queue, banks: usize) {
    let mut load = [[0u8; MAX_BANKS]; STREAMS];
    queue.for_each_mut(banks, |e| {
        let cell = &mut load[e.stream as usize][e.bank as usize];
        *cell = MARK_CAP.min(*cell + 1);
    });
    let rank = ranks(&load);
    // Lists are in order of arrival within a bank, so the first of each stream are its oldest.
    queue.for_each_mut(banks, |e| {
        let cell = &mut load[e.stream as usize][e.bank as usize];
        if *cell > 0 {
            *cell -= 1;
            e.key = key(MARKED, rank[e.stream as usize], e.key & AGE_MASK);
        }
    });
}

/// Rank of each stream: longest bank queue first, then total, both ascending.
fn ranks(load: &[[u8; MAX_BANKS]; STREAMS]) -> [u64; STREAMS] {
    let longest = |s: usize| load[s].iter().copied().max().unwrap_or(0);
    let total = |s: usize| load[s].iter().map(|&n| u32::from(n)).sum::<u32>();
    let mut order: [usize; STREAMS] = std::array::from_fn(|s| s);
    order.sort_by_key(|&s| (longest(s), total(s), s));
    let mut rank = [0u64; STREAMS];
    for (position, &stream) in order.iter().enumerate() {
        rank[stream] = position as u64;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::dram::queue::Entry;

    #[test]
    fn a_batch_holds_the_oldest_of_each_stream_and_bank_and_ranks_short_streams_first() {
        let mut queue = Queue::new(16);
        let mut push = |age: u64, stream: u8, bank: u8| {
            queue.push(Entry {
                key: key(UNMARKED, 0, age),
                stream,
                bank,
                tag: age as u32,
                ..Entry::default()
            })
        };
        for age in 0..8 {
            push(age, 0, 0);
        }
        push(8, 1, 3);
        mark(&mut queue, 16);
        let marked: Vec<u32> = queue
            .iter(0)
            .filter(|e| e.key >> CLASS_SHIFT & 7 == MARKED)
            .map(|e| e.tag)
            .collect();
        assert_eq!(marked, [0, 1, 2, 3, 4]);
        let (short, long) = (
            queue.iter(3).next().unwrap().key,
            queue.iter(0).next().unwrap().key,
        );
        assert!(short < long);
    }
}
