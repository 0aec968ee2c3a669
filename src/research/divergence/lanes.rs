//! Active lanes, instruction by instruction, and branches that split a warp.
//!
//! A stream says of each instruction which lanes executed it. In a recorded kernel that is the lanes whose guard is true,
//! so a branch has the lanes that take it, and who was there besides is known from its neighbours only. A *piece* is a row
//! of instructions, one behind the other, up to a branch, an exit or an instruction of convergence: within it the same
//! lanes are active, and those that any of its instructions has are known to be. A branch splits the warp when
//!
//! - some of the lanes that are known in its piece take it and some do not, or
//! - all take it, and the piece behind it has some of them only (`BRX`, `RET`: different targets).

use crate::isa::{MemSpace, OpClass, StaticInst};

/// What an instruction means for the lanes of its warp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    #[default]
    Plain,
    /// They are at memory: global, local or shared.
    Memory,
    /// They may go different ways.
    Branch,
    /// They may be fewer or more behind it.
    Meets,
}

impl Kind {
    /// That of `inst`.
    pub fn of(inst: &StaticInst) -> Self {
        let space = inst.mem.as_ref().map(|mem| mem.space);
        match (inst.class, space) {
            (OpClass::Memory, Some(MemSpace::Constant)) => Kind::Plain,
            (OpClass::Memory, Some(_)) => Kind::Memory,
            (OpClass::Branch, _) => Kind::Branch,
            (OpClass::Converge | OpClass::Exit, _) => Kind::Meets,
            _ => Kind::Plain,
        }
    }
}

/// Warp instructions by their number of active lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(pub [Bin; 33]);

/// Warp instructions with one number of active lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// All.
    pub all: u64,
    /// Those at memory.
    pub memory: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram([Bin::default(); 33])
    }
}

impl Histogram {
    /// Instructions with `lanes` active lanes, `memory` of them at memory.
    #[inline]
    pub fn add(&mut self, lanes: u32, all: u64, memory: u64) {
        let bin = &mut self.0[lanes as usize];
        bin.all += all;
        bin.memory += memory;
    }

    /// Adds those of another SM.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            sum.all += more.all;
            sum.memory += more.memory;
        }
    }
}

/// What a branch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// Times that it was executed.
    pub executed: u64,
    /// Lanes that were known to be active then, summed.
    pub lanes: u64,
    /// Times that it split the warp.
    pub splits: u64,
}

impl Branch {
    /// Adds that of another SM.
    pub fn add(&mut self, more: &Self) {
        self.executed += more.executed;
        self.lanes += more.lanes;
        self.splits += more.splits;
    }
}

/// What is known of a branch as soon as it issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Lanes known to be active.
    pub lanes: u32,
    /// It splits the warp: some of them take it and some do not.
    pub split: bool,
}

/// A branch that all of its lanes took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    place: u32,
    lanes: u32,
}

/// A warp: its piece so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The last instruction; before the first one the highest number, behind which none stands.
    last: u32,
    /// Lanes that are known to be active.
    lanes: u32,
    /// The last instruction ended the piece; these lanes go on with the instruction behind it.
    ended: Option<u32>,
    /// The branch before the piece, while it may still turn out to have split the warp.
    taken: Option<Taken>,
}

impl Default for Piece {
    fn default() -> Self {
        Piece {
            last: u32::MAX,
            lanes: 0,
            ended: None,
            taken: None,
        }
    }
}

/// Bytes from an instruction to the one behind it, at most.
const PC_STEP_MAX: u32 = 16;

/// Whether the instruction at `pc` stands behind the one at `last`.
pub fn follows(last: u32, pc: u32) -> bool {
    pc > last && pc - last <= PC_STEP_MAX
}

/// An instruction where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Place in the code of the kernel.
    pub place: u32,
    /// Program counter, bytes.
    pub pc: u32,
    /// What it means.
    pub kind: Kind,
}

impl Piece {
    /// Instructions up to the one at `pc` issue, which are no more than others of the piece: with the same lanes as the
    /// one before them, one behind the other.
    #[inline]
    pub fn goes_on_to(&mut self, pc: u32) {
        self.last = pc;
    }

    /// An instruction issues with the lanes `mask`. The place of a branch before it that turns out to have split the warp,
    /// and what this one does if it is a branch.
    pub fn issued(&mut self, inst: At, mask: u32) -> (Option<u32>, Option<Issued>) {
        let At { place, pc, kind } = inst;
        let last = std::mem::replace(&mut self.last, pc);
        let behind = follows(last, pc);
        let mut split = None;
        match self.ended.take() {
            // The branch that ended it waits for what this piece will have.
            Some(rest) => self.lanes = if behind { rest } else { 0 },
            None if !behind => {
                split = self.settle();
                self.lanes = 0;
            }
            None => {}
        }
        self.lanes |= mask;
        match kind {
            Kind::Plain | Kind::Memory => (split, None),
            Kind::Meets => {
                split = split.or(self.settle());
                self.ended = Some(0);
                (split, None)
            }
            Kind::Branch => {
                split = split.or(self.settle());
                let stay = self.lanes & !mask;
                self.ended = Some(stay);
                if mask != 0 && stay == 0 {
                    let lanes = mask;
                    self.taken = Some(Taken { place, lanes });
                }
                let issued = Issued {
                    lanes: self.lanes,
                    split: mask != 0 && stay != 0,
                };
                (split, Some(issued))
            }
        }
    }

    /// The piece is complete: the place of the branch before it, if that has split the warp.
    fn settle(&mut self) -> Option<u32> {
        let taken = self.taken.take()?;
        let part = self.lanes != 0 && self.lanes != taken.lanes && self.lanes & !taken.lanes == 0;
        part.then_some(taken.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which branches split, of a row of (pc, mask, kind).
    fn splits(row: &[(u32, u32, Kind)]) -> Vec<u32> {
        let mut piece = Piece::default();
        let mut found = Vec::new();
        for &(pc, mask, kind) in row {
            let place = pc / 16;
            let (before, own) = piece.issued(At { place, pc, kind }, mask);
            found.extend(before.map(|place| 16 * place));
            found.extend(own.filter(|issued| issued.split).map(|_| pc));
        }
        found
    }

    use Kind::{Branch as B, Meets as M, Plain as P};

    #[test]
    fn a_branch_that_some_of_the_lanes_take_splits() {
        // if/else: lanes 0 to 15 jump to 64; the others run 32 and jump to 96, where all meet.
        let row = [
            (0, !0, P),
            (16, 0xffff, B),
            (32, !0xffff, P),
            (48, !0xffff, B),
            (64, 0xffff, P),
            (80, 0xffff, M),
            (96, !0, P),
        ];
        assert_eq!(splits(&row), [16]);
        // The same with the lanes that jump first.
        let row = [
            (0, !0, P),
            (16, 0xffff, B),
            (64, 0xffff, P),
            (80, 0xffff, M),
            (32, !0xffff, P),
            (48, !0xffff, B),
            (80, !0xffff, M),
            (96, !0, M),
        ];
        assert_eq!(splits(&row), [16]);
    }

    #[test]
    fn a_branch_that_all_lanes_or_none_take_does_not() {
        let row = [(0, !0, P), (16, !0, B), (0, !0, P), (16, 0, B), (32, !0, M)];
        assert!(splits(&row).is_empty());
        // A guarded instruction behind the branch: other instructions of the piece have the lanes.
        let row = [(0, !0, P), (16, !0, B), (0, 1, P), (16, !0, B), (0, !0, M)];
        assert!(splits(&row).is_empty());
    }

    /// Who does not take the first branch is there at the second, though no other instruction says so.
    #[test]
    fn lanes_that_stay_are_known_at_the_next_branch() {
        let row = [
            (0, !0, P),
            (16, 0, B),
            (32, 1, B),
            (48, 2, B),
            (64, !3, P),
            (80, !3, M),
        ];
        assert_eq!(splits(&row), [32, 48]);
    }

    #[test]
    fn a_loop_that_lanes_leave_one_by_one_splits_as_often() {
        let mut row = Vec::new();
        for left in (0..4u32).rev() {
            row.push((0, (2 << left) - 1, P));
            row.push((16, (1 << left) - 1, B));
        }
        row.push((32, 0xf, M));
        // 3 of 4, 2 of 3, 1 of 2; then the last one leaves, too.
        assert_eq!(splits(&row), [16, 16, 16]);
    }

    #[test]
    fn a_jump_to_several_places_splits() {
        let row = [
            (0, !0, P),
            (16, !0, B),
            (160, 0xff, P),
            (176, 0xff, M),
            (320, !0xff, P),
            (336, !0xff, M),
        ];
        assert_eq!(splits(&row), [16]);
    }

    #[test]
    fn constants_are_not_at_memory() {
        let mut inst = StaticInst::new(0, 0, OpClass::Memory);
        let mem = |space| crate::isa::MemOp {
            kind: crate::isa::MemKind::Load,
            space,
            width_bytes: 4,
            cache: crate::isa::CacheOp::All,
            uniform_address: false,
            cas: false,
        };
        inst.mem = Some(mem(MemSpace::Constant));
        assert_eq!(Kind::of(&inst), Kind::Plain);
        inst.mem = Some(mem(MemSpace::Shared));
        assert_eq!(Kind::of(&inst), Kind::Memory);
    }
}
