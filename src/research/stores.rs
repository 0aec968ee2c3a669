//! Which stores leave their line in L1.

use crate::config::{L1Spec, LocalWritePolicy, WritePolicy};
use crate::isa::MemKind;
use crate::probe::MemoryInst;
use crate::sm::LineAccess;
use crate::sm::memory::Space;

/// The rule of an L1.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoresThatStay {
    /// Those to local memory.
    local: bool,
    /// Those of sectors that they write in every byte.
    whole: bool,
}

impl StoresThatStay {
    /// That of `l1`.
    pub fn new(l1: &L1Spec) -> Self {
        StoresThatStay {
            local: l1.enabled && l1.local_write == LocalWritePolicy::Back,
            whole: l1.write == WritePolicy::ThroughValidate,
        }
    }

    /// The lines that `inst` leaves in L1; none unless it is a store.
    pub fn lines<'a>(
        self,
        inst: &MemoryInst<'a>,
    ) -> impl Iterator<Item = &'a LineAccess> + use<'a> {
        let store = inst.op.is_some_and(|op| op.kind == MemKind::Store);
        let local = store && self.local && inst.space == Space::Local;
        let whole = store && self.whole;
        let lines = inst.lines.iter();
        lines.filter(move |line| local || whole && !line.full.is_empty())
    }
}
