//! Updates whose old value nobody sees, kept so that they can be done once more in the CTA's turn.

use crate::ptx::exec::rmw::Update;

/// An update of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deferred {
    /// Offset of the value; arenas that are copied are smaller than 4 GiB.
    pub offset: u32,
    /// What is done.
    pub update: Update,
    /// With what.
    pub operand: u64,
}

/// Bytes of a word of memory that remembers its last update.
const WORD_BYTES: u32 = 4;

/// The updates of one CTA, in the order in which it did them.
#[derive(Clone, Debug, Default)]
pub struct Log {
    updates: Vec<Deferred>,
    // The last update of each word of memory. Those of earlier CTAs are told by updates that do not
    // cover the word, or are not there; so nothing has to be cleared between CTAs.
    last: Vec<u32>,
    most: usize,
}

impl Log {
    /// For so many bytes of memory. Keeps nothing as yet.
    pub fn new(bytes: usize) -> Self {
        Log {
            updates: Vec::new(),
            last: vec![0; bytes.div_ceil(WORD_BYTES as usize)],
            most: 0,
        }
    }

    /// From now on keeps at most so many updates of a CTA.
    pub fn keep(&mut self, most: usize) {
        self.most = most;
    }

    /// Whether another update fits.
    pub fn has_room(&self) -> bool {
        self.updates.len() < self.most
    }

    /// Adds an update, which goes together with the one before it on the same value where both are
    /// one: a CTA adds many times to the few counters of a histogram.
    pub fn push(&mut self, new: Deferred) {
        let first = (new.offset / WORD_BYTES) as usize;
        let end = (new.offset + new.update.bytes() as u32).div_ceil(WORD_BYTES) as usize;
        let Some(words) = self.last.get_mut(first..end) else {
            return;
        };
        // What lies between the two concerns other words, so that moving the second one is allowed.
        let index = words.first().copied().unwrap_or(0);
        if let Some(old) = self.updates.get_mut(index as usize)
            && old.offset == new.offset
            && old.update == new.update
            && words.iter().all(|&i| i == index)
            && let Some(operand) = new.update.join(old.operand, new.operand)
        {
            old.operand = operand;
            return;
        }
        words.fill(self.updates.len() as u32);
        self.updates.push(new);
    }

    /// Ends the CTA: its updates, without those that `drop` names.
    pub fn take(&mut self, drop: impl Fn(&Deferred) -> bool) -> Vec<Deferred> {
        let mut updates = std::mem::take(&mut self.updates);
        updates.retain(|update| !drop(update));
        updates
    }
}
