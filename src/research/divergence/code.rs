//! The code of a kernel, as far as the lanes of warps depend on it.

use super::lanes::{At, Branch, Kind, Piece, follows};
use crate::isa::StaticInst;
use crate::research::runs::Run;

/// An instruction.
#[derive(Clone, Copy, Debug, Default)]
struct Inst {
    pc: u32,
    /// Instructions at memory before it.
    memory: u32,
    /// Place of the next one behind it at which a piece may begin or end.
    next: u32,
    kind: Kind,
}

/// The instructions of a kernel by place.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Behind the last one stands one more.
    insts: Vec<Inst>,
}

impl Code {
    /// Of a kernel.
    pub fn new(code: &[StaticInst]) -> Self {
        let mut memory = 0;
        let mut insts: Vec<Inst> = code
            .iter()
            .map(|inst| {
                let kind = Kind::of(inst);
                let before = memory;
                memory += u32::from(kind == Kind::Memory);
                Inst {
                    pc: inst.pc,
                    memory: before,
                    next: code.len() as u32,
                    kind,
                }
            })
            .collect();
        insts.push(Inst {
            memory,
            ..Inst::default()
        });
        for place in (1..code.len()).rev() {
            let (before, inst) = (insts[place - 1], insts[place]);
            let plain = |kind| matches!(kind, Kind::Plain | Kind::Memory);
            let inside = plain(before.kind) && plain(inst.kind) && follows(before.pc, inst.pc);
            insts[place - 1].next = match inside {
                true => inst.next,
                false => place as u32,
            };
        }
        Code { insts }
    }

    /// The pc of the instruction at `place`.
    pub fn pc(&self, place: u32) -> u32 {
        self.insts[place as usize].pc
    }

    /// Instructions at memory of a run.
    #[inline]
    pub fn memory_of(&self, run: &Run) -> u64 {
        let before = |place: u32| self.insts[place as usize].memory;
        u64::from(before(run.end) - before(run.first))
    }

    /// A warp, whose piece so far is `piece`, executes a run of at least one instruction: what its branches do is added
    /// to `branches`, by place.
    pub fn follow(&self, run: &Run, piece: &mut Piece, branches: &mut [Branch]) {
        let mut place = run.first;
        loop {
            let Inst { pc, next, kind, .. } = self.insts[place as usize];
            let (before, own) = piece.issued(At { place, pc, kind }, run.mask);
            if let Some(issued) = own {
                branches[place as usize].add(&Branch {
                    executed: 1,
                    lanes: issued.lanes.count_ones().into(),
                    splits: issued.split.into(),
                });
            }
            if let Some(place) = before {
                branches[place as usize].splits += 1;
            }
            let end = next.min(run.end);
            piece.goes_on_to(self.pc(end - 1));
            if end == run.end {
                return;
            }
            place = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{CacheOp, MemKind, MemOp, MemSpace, OpClass};
    use proptest::prelude::*;

    /// Classes of instructions, plain ones most often.
    fn class() -> impl Strategy<Value = OpClass> {
        use OpClass::{Branch, Converge, Exit, Fp32, Memory};
        prop_oneof![
            6 => Just(Fp32),
            2 => Just(Memory),
            2 => Just(Branch),
            1 => Just(Converge),
            1 => Just(Exit),
        ]
    }

    /// Code with gaps, in any order.
    fn code() -> impl Strategy<Value = Vec<StaticInst>> {
        let step = prop_oneof![6 => Just(16i64), 2 => Just(8), 1 => Just(32), 1 => Just(-160)];
        prop::collection::vec((class(), step), 1..30).prop_map(|row| {
            let mut pc = 1 << 20;
            let inst = |(class, step)| {
                pc += step;
                let mut inst = StaticInst::new(pc as u32, 0, class);
                inst.mem = (class == OpClass::Memory).then_some(MemOp {
                    kind: MemKind::Load,
                    space: MemSpace::Global,
                    width_bytes: 4,
                    cache: CacheOp::All,
                    uniform_address: false,
                    cas: false,
                });
                inst
            };
            row.into_iter().map(inst).collect()
        })
    }

    proptest! {
        /// Runs as a whole are what their instructions are one by one.
        #[test]
        fn a_run_is_its_instructions(
            insts in code(),
            runs in prop::collection::vec((any::<u16>(), 1u32..20, 0u32..4), 1..40),
        ) {
            let code = Code::new(&insts);
            let count = insts.len() as u32;
            let (mut whole, mut single) = (Piece::default(), Piece::default());
            let mut branches = vec![Branch::default(); insts.len()];
            let mut expected = branches.clone();
            for (first, length, mask) in runs {
                let first = u32::from(first) % count;
                let end = (first + length).min(count);
                let run = Run { first, end, mask, ..Run::default() };
                code.follow(&run, &mut whole, &mut branches);
                let mut memory = 0;
                for place in first..end {
                    let inst = &insts[place as usize];
                    let kind = Kind::of(inst);
                    memory += u64::from(kind == Kind::Memory);
                    let (before, own) = single.issued(At { place, pc: inst.pc, kind }, mask);
                    before.into_iter().for_each(|at| expected[at as usize].splits += 1);
                    if let Some(own) = own {
                        expected[place as usize].executed += 1;
                        expected[place as usize].lanes += u64::from(own.lanes.count_ones());
                        expected[place as usize].splits += u64::from(own.split);
                    }
                }
                prop_assert_eq!(code.memory_of(&run), memory);
                prop_assert_eq!(whole, single);
            }
            prop_assert_eq!(branches, expected);
        }
    }
}
