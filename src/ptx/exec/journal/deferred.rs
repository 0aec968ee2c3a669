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

/// Bytes of memory that remember their last update together.
pub const WORD_BYTES: usize = 4;

/// The updates of one CTA, in the order in which it did them.
#[derive(Clone, Debug, Default)]
pub struct Log {
    updates: Vec<Deferred>,
    most: usize,
}

impl Log {
    /// From now on keeps at most so many updates of a CTA.
    pub fn keep(&mut self, most: usize) {
        self.most = most;
    }

    /// Whether another update fits.
    pub fn has_room(&self) -> bool {
        self.updates.len() < self.most
    }

    /// Adds an update, which goes together with the one before it on the same value where both are
    /// one: a CTA adds many times to the few counters of a histogram. `words` hold the number of
    /// the last update of each word of the value. Any number may be in those that were not updated
    /// as yet: an update of that number is of another value, since it would have set them.
    pub fn push(&mut self, new: Deferred, words: &mut [u32]) {
        // What lies between the two concerns other words, so that moving the second one is allowed.
        let last = words.first().copied().unwrap_or(0);
        if let Some(old) = self.updates.get_mut(last as usize)
            && old.offset == new.offset
            && old.update == new.update
            && words.iter().all(|&number| number == last)
            && let Some(operand) = new.update.join(old.operand, new.operand)
        {
            old.operand = operand;
            return;
        }
        words.fill(self.updates.len() as u32);
        self.updates.push(new);
    }

    /// Ends the CTA: its updates, without those to `drop`.
    pub fn take(&mut self, drop: impl Fn(&Deferred) -> bool) -> Vec<Deferred> {
        let mut updates = std::mem::take(&mut self.updates);
        updates.retain(|update| !drop(update));
        updates
    }
}
