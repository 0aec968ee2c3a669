//! Which values are in registers where blocks of a function begin and end.

use super::list::Held;
use std::collections::BTreeSet;

/// Values that each PTX instruction reads and writes once it is lowered.
#[derive(Clone, Debug, Default)]
pub struct Use {
    /// Read.
    pub reads: Vec<Held>,
    /// Written.
    pub writes: Vec<Held>,
    /// It may leave what it writes as it was.
    pub guarded: bool,
}

/// Takes `live` from behind instruction `of` to in front of it.
pub fn step_back(live: &mut BTreeSet<u32>, of: &Use) {
    for held in of.writes.iter().filter(|_| !of.guarded) {
        live.remove(&held.value);
    }
    live.extend(of.reads.iter().map(|held| held.value));
    if of.guarded {
        live.extend(of.writes.iter().map(|held| held.value));
    }
}

/// Values that are needed behind each block. `uses` are those of the instructions of each block, `successors`
/// where it goes.
pub fn behind(uses: &[&[Use]], successors: &[Vec<usize>]) -> Vec<BTreeSet<u32>> {
    let mut before: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); uses.len()];
    let mut behind = before.clone();
    let mut changed = true;
    while changed {
        changed = false;
        for b in (0..uses.len()).rev() {
            let next = successors.get(b).into_iter().flatten();
            let live: BTreeSet<u32> = next
                .filter_map(|&n| before.get(n))
                .flat_map(|set| set.iter().copied())
                .collect();
            behind[b].clone_from(&live);
            let mut start = live;
            for of in uses[b].iter().rev() {
                step_back(&mut start, of);
            }
            if start != before[b] {
                before[b] = start;
                changed = true;
            }
        }
    }
    behind
}
