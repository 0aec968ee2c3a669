//! Asynchronous copies (`cp.async`) of a warp: groups that are closed by a commit and waited for by number.

use crate::sm::cores::warp::Local;
use bincode::{Decode, Encode};

/// A group of asynchronous copies.
#[derive(Clone, Copy, Debug, Default, Encode, Decode)]
pub struct Group {
    /// Copies whose data is not there yet.
    pub left: u16,
    /// When the last of the others was there.
    pub done: Local,
}

/// Groups of cp.async that a warp may have open at once.
pub const GROUPS_MAX: usize = 8;

/// Groups in order; the last one is open for further copies.
#[derive(Clone, Copy, Debug, Default, Encode, Decode)]
pub struct Groups {
    ring: [Group; GROUPS_MAX],
    /// Number of the oldest group.
    first: u32,
    /// Closed groups that may be incomplete.
    closed: u8,
}

impl Groups {
    fn at(&mut self, number: u32) -> &mut Group {
        &mut self.ring[number as usize % GROUPS_MAX]
    }

    /// A copy joins the open group; returns the group's number.
    pub fn join(&mut self) -> u32 {
        let number = self.first + u32::from(self.closed);
        self.at(number).left += 1;
        number
    }

    /// A copy of group `number` has its data at `done`.
    pub fn complete(&mut self, number: u32, done: Local) {
        let group = self.at(number);
        group.left -= 1;
        group.done = group.done.max(done);
    }

    /// Closes the open group. When too many are open, the two oldest count as one.
    pub fn commit(&mut self) {
        if usize::from(self.closed) + 1 == GROUPS_MAX {
            self.retire();
        }
        self.closed += 1;
        let number = self.first + u32::from(self.closed);
        *self.at(number) = Group::default();
    }

    fn retire(&mut self) {
        let oldest = *self.at(self.first);
        self.first += 1;
        self.closed -= 1;
        let next = self.first;
        let group = self.at(next);
        group.done = group.done.max(oldest.done);
        group.left += oldest.left;
    }

    /// When all but the youngest `allowed` closed groups are complete; `None` when not known yet.
    pub fn ready(&self, allowed: u8) -> Option<Local> {
        let waited = self.closed.saturating_sub(allowed);
        let mut ready = 0;
        for k in 0..u32::from(waited) {
            let group = self.ring[(self.first + k) as usize % GROUPS_MAX];
            if group.left > 0 {
                return None;
            }
            ready = ready.max(group.done);
        }
        Some(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_for_groups_lets_the_youngest_go_on() {
        let mut groups = Groups::default();
        let a = groups.join();
        groups.commit();
        let b = groups.join();
        groups.commit();
        assert_eq!(groups.ready(2), Some(0));
        assert_eq!(groups.ready(1), None);
        groups.complete(a, 70);
        assert_eq!(groups.ready(1), Some(70));
        assert_eq!(groups.ready(0), None);
        groups.complete(b, 60);
        assert_eq!(groups.ready(0), Some(70));
    }

    #[test]
    fn many_groups_merge_at_the_old_end() {
        let mut groups = Groups::default();
        for k in 0..20 {
            let g = groups.join();
            groups.commit();
            groups.complete(g, 100 + k);
        }
        assert_eq!(groups.ready(0), Some(119));
    }
}
