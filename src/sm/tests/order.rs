//! Memory instructions that pass others which L1 refused, in builds that have this.

use super::bench::quiet;
use crate::config::ARCHITECTURE_RESEARCH;
use crate::engine::Cycle;
use crate::isa::{MemKind, MemSpace, OpClass};

/// When each instruction of a warp issues: `loads` loads of different lines, one of shared memory, and two that need the
/// last load's data and those from shared memory, in this order of issue: shared memory first.
fn issues(sets: &[&str], loads: u8) -> Vec<Cycle> {
    let mut bench = quiet(sets);
    for load in 0..loads {
        let line: Vec<u64> = (0..32)
            .map(|lane| 65536 * u64::from(load + 1) + 4 * lane)
            .collect();
        bench.memory(MemKind::Load, MemSpace::Global, Some(4 + load), &[0], &line);
    }
    let words: Vec<u64> = (0..32).map(|lane| 4 * lane).collect();
    bench.memory(MemKind::Load, MemSpace::Shared, Some(20), &[0], &words);
    bench.inst(OpClass::Fp32, Some(21), &[20]);
    bench.inst(OpClass::Fp32, Some(22), &[3 + loads]);
    bench.issue_cycles().remove(0)
}

const OUT_OF_ORDER: &str = "sm.memory_order=out_of_order";

#[test]
fn a_refused_load_lets_others_pass_and_is_served_no_later() {
    if !ARCHITECTURE_RESEARCH {
        return;
    }
    // A register for all: nobody is refused.
    let free = issues(&[], 2);
    let blocked = issues(&["l1.mshrs=1"], 2);
    let passed = issues(&["l1.mshrs=1", OUT_OF_ORDER], 2);
    // The consumer of shared memory waits for the first load's line, unless that load stepped aside.
    assert!(blocked[3] > free[3] + 200, "{blocked:?} {free:?}");
    assert_eq!(passed[..4], free[..4]);
    // The second load goes when the register is free, in either order.
    assert_eq!(passed[4], blocked[4]);
    // Where nobody is refused nothing passes.
    assert_eq!(issues(&[OUT_OF_ORDER], 2), free);
}

#[test]
fn only_so_many_may_stand_aside() {
    if !ARCHITECTURE_RESEARCH {
        return;
    }
    let free = issues(&[], 3);
    let of = |entries| issues(&["l1.mshrs=1", OUT_OF_ORDER, entries], 3);
    // The first load has the register, the second stands aside, the third stops the pipe.
    let one = of("lsu.replay_entries=1");
    assert!(one[4] > free[4] + 200, "{one:?}");
    let two = of("lsu.replay_entries=2");
    assert_eq!(two[4], free[4]);
    // When the second has the register, the third stands aside: it is not kept from it either way.
    assert_eq!(one[5], two[5]);
}
