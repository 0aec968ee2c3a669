//! Divergence: a warp as fragments, each with a stack of paths that meet again.
//!
//! A divergent branch leaves its entry waiting at the immediate post-dominator and pushes both
//! sides; an entry that arrives at its meeting point is popped. When the path on top has to wait for
//! lanes below it (a barrier, a warp-level operation) or spins on memory, the fragment is split in
//! two that run on their own, so that every lane makes progress as on Volta and later. Fragments
//! that stand at the same place with the same history become one again.

use super::program::NOWHERE;

/// A path: some lanes and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Next instruction.
    pub pc: u32,
    /// Where it meets the entry below.
    pub meet: u32,
    /// Lanes.
    pub mask: u32,
    /// Depth of calls.
    pub frame: u32,
}

/// What a fragment waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Ready,
    /// Barrier of this number.
    Barrier(u32),
    /// The other lanes that the instruction it stands at names.
    Lanes,
}

/// Lanes that run together, or in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Paths; the last one runs.
    pub stack: Vec<Entry>,
    /// What it waits for.
    pub state: State,
}

impl Fragment {
    /// A fragment at the start of the program.
    pub fn new(mask: u32) -> Self {
        let entry = Entry {
            pc: 0,
            meet: NOWHERE,
            mask,
            frame: 0,
        };
        Fragment {
            stack: vec![entry],
            state: State::Ready,
        }
    }

    /// All lanes, running or waiting below.
    pub fn lanes(&self) -> u32 {
        self.stack.iter().fold(0, |all, e| all | e.mask)
    }

    /// Drops entries that have arrived or have no lanes left.
    pub fn settle(&mut self) {
        while let Some(top) = self.stack.last() {
            if top.mask != 0 && top.pc != top.meet {
                return;
            }
            self.stack.pop();
        }
    }

    /// A branch that only `taken` of the top's lanes take.
    pub fn diverge(&mut self, target: u32, meet: u32, taken: u32) {
        let Some(top) = self.stack.last_mut() else {
            return;
        };
        let here = *top;
        let next = here.pc + 1;
        if meet == here.meet || meet == NOWHERE {
            // The entry below waits there already, or nothing does.
            self.stack.pop();
        } else {
            top.pc = meet;
        }
        let side = |pc: u32, mask: u32| Entry {
            pc,
            meet: if meet == NOWHERE { here.meet } else { meet },
            mask,
            frame: here.frame,
        };
        let sides = [side(target, taken), side(next, here.mask & !taken)];
        // The side that comes first in the text runs first.
        let order = if target < next { [1, 0] } else { [0, 1] };
        for i in order {
            if sides[i].pc != meet && sides[i].mask != 0 {
                self.stack.push(sides[i]);
            }
        }
        self.settle();
    }

    /// Takes lanes out of all entries from call depth `frame` on.
    pub fn retire(&mut self, lanes: u32, frame: u32) {
        for entry in self.stack.iter_mut().rev() {
            if entry.frame < frame {
                break;
            }
            entry.mask &= !lanes;
        }
        self.stack.retain(|e| e.mask != 0);
        self.settle();
    }

    /// Splits off everything but `lanes`; `None` when nothing is left over.
    pub fn split(&mut self, lanes: u32) -> Option<Fragment> {
        let mut rest = self.clone();
        for entry in &mut rest.stack {
            entry.mask &= !lanes;
        }
        rest.stack.retain(|e| e.mask != 0);
        rest.settle();
        if rest.stack.is_empty() {
            return None;
        }
        for entry in &mut self.stack {
            entry.mask &= lanes;
        }
        self.stack.retain(|e| e.mask != 0);
        rest.state = State::Ready;
        Some(rest)
    }

    /// Whether `other` stands where this one does, with the same meeting points ahead.
    fn alike(&self, other: &Fragment) -> bool {
        let shape = |e: &Entry| (e.pc, e.meet, e.frame);
        self.state == other.state
            && self.stack.len() == other.stack.len()
            && self
                .stack
                .iter()
                .map(shape)
                .eq(other.stack.iter().map(shape))
    }
}

/// Joins fragments that stand at the same place.
pub fn join(fragments: &mut Vec<Fragment>) {
    let mut at = 0;
    while at < fragments.len() {
        let mut other = at + 1;
        while other < fragments.len() {
            if !fragments[at].alike(&fragments[other]) {
                other += 1;
                continue;
            }
            let joined = fragments.remove(other);
            for (into, from) in fragments[at].stack.iter_mut().zip(&joined.stack) {
                into.mask |= from.mask;
            }
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_branch_meet() {
        let mut f = Fragment::new(0xff);
        f.stack[0].pc = 3;
        f.diverge(10, 20, 0x0f);
        assert_eq!(f.stack.len(), 3);
        assert_eq!(f.stack[2].mask, 0xf0);
        f.stack[2].pc = 20;
        f.settle();
        assert_eq!(f.stack.len(), 2);
        f.stack[1].pc = 20;
        f.settle();
        assert_eq!(
            (f.stack.len(), f.stack[0].pc, f.stack[0].mask),
            (1, 20, 0xff)
        );
    }

    #[test]
    fn a_loop_does_not_pile_entries_up() {
        let mut f = Fragment::new(0xff);
        for lanes in [0x7f, 0x3f, 0x1f, 0x0f] {
            let Some(top) = f.stack.last_mut() else {
                return;
            };
            top.pc = 9;
            f.diverge(5, 10, lanes);
        }
        assert_eq!(f.stack.len(), 2);
        assert_eq!(f.stack[1].mask, 0x0f);
    }

    #[test]
    fn split_halves_are_whole() {
        let mut f = Fragment::new(0xff);
        f.stack[0].pc = 3;
        f.diverge(10, 20, 0x0f);
        let Some(rest) = f.split(0xf0) else {
            panic!("nothing left");
        };
        assert_eq!((f.lanes(), rest.lanes()), (0xf0, 0x0f));
        let mut both = vec![f, rest];
        for f in &mut both {
            f.stack.truncate(1);
        }
        join(&mut both);
        assert_eq!(both.len(), 1);
    }
}
