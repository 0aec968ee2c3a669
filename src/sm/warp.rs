//! The warp table: what the SM remembers of each resident warp.

use super::coalesce::{LINES_MAX, Lines};
use crate::stats::Label;

/// Local time of an SM, in core cycles since its epoch.
pub type Local = u32;

/// A time that is not known yet. Larger than any time a run may reach.
pub const PENDING: Local = (1 << 30) - 1;

/// Registers' ready times are stored as `time << 2 | source`.
#[inline(always)]
pub fn raw(time: Local, source: u8) -> u32 {
    time << 2 | u32::from(source)
}

/// What keeps a warp from being considered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Hold {
    /// Nothing.
    None,
    /// At a CTA barrier.
    Barrier,
    /// At a memory fence.
    Membar,
    /// Waiting until at most this many cp.async groups are open: see `Warp::held_by`.
    Groups,
    /// Exited; memory instructions are still in flight.
    Drain,
}

/// A group of asynchronous copies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group {
    /// Copies whose data is not there yet.
    pub left: u16,
    /// When the last of the others was there.
    pub done: Local,
}

/// Groups of cp.async that a warp may have open at once.
pub const GROUPS_MAX: usize = 8;

/// Groups in order; the last one is open for further copies.
#[derive(Clone, Copy, Debug, Default)]
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

/// One warp slot.
#[derive(Clone, Copy, Debug)]
pub struct Warp {
    /// Index of the next instruction in the program.
    pub op: u32,
    /// End of the current run.
    pub run_end: u32,
    /// Active lanes.
    pub mask: u32,
    /// How many lanes are active.
    pub lanes: u8,
    /// When it may issue, as far as known.
    pub ready_at: Local,
    /// When its instruction is in the buffer, or [`PENDING`].
    pub fetched_at: Local,
    /// When its constant operand is in the cache, or [`PENDING`].
    pub constant_at: Local,
    /// Not before this cycle: stall count, branch, barrier.
    pub floor: Local,
    /// Completion of the last memory instruction whose completion is known.
    pub memory_done: Local,
    /// Control bits: ready time (raw) of each scoreboard.
    pub sb_ready: [u32; 6],
    /// Control bits: operations in flight with unknown completion, by scoreboard.
    pub sb_pending: [u8; 6],
    /// Memory instructions with unknown completion.
    pub pending: u16,
    /// Store requests without acknowledgement.
    pub stores: u16,
    /// Entries of the local memory queue.
    pub queued: u8,
    /// CTA slot.
    pub cta: u8,
    /// Program slot.
    pub program: u8,
    /// Warp number within the CTA.
    pub in_cta: u8,
    /// What it waits for.
    pub why: Label,
    /// What `floor` stands for.
    pub floor_why: Label,
    /// Held.
    pub hold: Hold,
    /// With [`Hold::Barrier`] the barrier's number, with [`Hold::Groups`] the cp.async groups that may
    /// stay incomplete.
    pub held_by: u8,
    /// Asynchronous copies.
    pub groups: Groups,
}

impl Warp {
    /// An empty slot.
    pub fn empty() -> Self {
        Warp {
            op: 0,
            run_end: 0,
            mask: 0,
            lanes: 0,
            ready_at: 0,
            fetched_at: 0,
            constant_at: 0,
            floor: 0,
            memory_done: 0,
            sb_ready: [0; 6],
            sb_pending: [0; 6],
            pending: 0,
            stores: 0,
            queued: 0,
            cta: 0,
            program: 0,
            in_cta: 0,
            why: Label::Misc,
            floor_why: Label::Wait,
            hold: Hold::None,
            held_by: 0,
            groups: Groups::default(),
        }
    }
}

/// A memory instruction in a sub-core's local queue.
#[derive(Clone, Debug)]
pub struct Queued {
    /// When address generation is done.
    pub ready: Local,
    /// Warp slot.
    pub warp: u8,
    /// Program slot.
    pub program: u8,
    /// Progress: lines already looked up.
    pub next_line: u8,
    /// Lines that went to L2 so far.
    pub misses: u8,
    /// Bank passes.
    pub passes: u8,
    /// Bank passes without conflict.
    pub least_passes: u8,
    /// Index of the instruction.
    pub op: u32,
    /// Flight number once a line missed.
    pub flight: u32,
    /// Kind after resolving generic addresses.
    pub space: super::lsu::Space,
    /// Cycles of the slice's atomic unit, by line.
    pub atomic_weight: [u8; LINES_MAX],
    /// Lines of a global access.
    pub lines: Lines,
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
