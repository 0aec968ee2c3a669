//! Scores and the detector, by hand.

use super::enabled::Locality;
use super::scores::Scores;
use crate::config::{self, GpuSpec};
use crate::isa::CacheOp;
use crate::mem::l1::L1;
use crate::mem::{Line, SectorMask};

/// Four warps in slots 3, 0, 1 and 2, from the oldest to the youngest.
fn four() -> Scores {
    let mut scores = Scores::new(64, 100);
    for slot in [3, 0, 1, 2] {
        scores.launched(slot);
    }
    scores
}

#[test]
fn nobody_is_held_while_nothing_is_lost() {
    let mut scores = four();
    assert_eq!(scores.held(0), 0);
    assert_eq!(scores.held(1000), 0);
}

#[test]
fn a_warp_that_loses_lines_pushes_the_youngest_out_until_its_score_has_fallen() {
    let mut scores = four();
    // A cutoff of 400; one lost line in 50 instructions, throttle 20: 160 points for slot 0. The sums are 160, 260, 360
    // and 460.
    scores.raise(0, 1000, 20, 50);
    assert_eq!(scores.of(0, 1000), 160);
    assert_eq!(scores.held(1000), 1 << 2);
    assert_eq!(scores.held(1059), 1 << 2, "101 points");
    assert_eq!(scores.of(0, 1059), 101);
    assert_eq!(scores.held(1060), 0, "the base again");
    // 261 points: two of the others, the oldest first.
    scores.raise(0, 2000, 261, 400);
    assert_eq!(scores.held(2000), 1 << 1 | 1 << 2);
    assert_eq!(scores.held(2061), 1 << 2, "200 points");
    // A smaller score does not take anything away; a second warp with 180 points stands behind 200.
    scores.raise(0, 2061, 150, 400);
    scores.raise(1, 2061, 180, 400);
    assert_eq!(scores.of(0, 2061), 200);
    assert_eq!(
        scores.held(2061),
        1 << 3 | 1 << 2,
        "200, 180, and no room for 100"
    );
    // When a warp ends the cutoff is 300, and of the three others only the first two fit no more.
    scores.exited(2);
    assert_eq!(scores.held(2061), 1 << 1 | 1 << 3, "200, then 380");
}

#[test]
fn no_score_is_above_the_cutoff_and_the_first_may_load() {
    let mut scores = four();
    scores.raise(2, 0, 1000, 1);
    assert_eq!(scores.of(2, 0), 400);
    assert_eq!(scores.held(0), 0b1011);
    assert_eq!(
        scores.held(299),
        1 << 1,
        "101 + 3 x 100: the youngest but one"
    );
    assert_eq!(scores.held(300), 0);
}

fn spec() -> GpuSpec {
    let sets = [
        "sm.scheduler=ccws",
        "l1.unified_bytes=1024",
        "l1.ways=2",
        "l1.carveouts_kib=[0]",
        "smem.per_cta_bytes_max=0",
        "sm.ccws.victim_entries=2",
        "sm.ccws.victim_ways=2",
        "sm.ccws.throttle=1",
    ];
    let sets = sets.map(str::to_owned);
    config::load("v100", &sets).unwrap().spec
}

/// A cache of two lines a set and its detector; `load` is a load of a line by a warp at cycle `now`, after as many
/// instructions.
struct Unit {
    l1: L1<u32>,
    locality: Locality,
}

impl Unit {
    fn load(&mut self, warp: u8, line: u64, now: u32) {
        let (line, all) = (Line(line), SectorMask::ALL);
        let access = CacheOp::All.into();
        let found = self.l1.read(line, all, 0, access).unwrap();
        if !found.present {
            self.locality.missed(warp, line, now, u64::from(now));
            let victim = self.l1.fill(line, all, |_| {});
            assert!(victim.is_none_or(|v| v.dirty.is_empty()), "{victim:?}");
            self.locality.inserted(&mut self.l1, Some(warp));
        }
    }

    fn held(&mut self, now: u32) -> [u16; 4] {
        [0, 1, 2, 3].map(|k| self.locality.held(k, now))
    }
}

#[test]
fn only_a_line_of_its_own_that_was_driven_out_makes_a_warp_lose() {
    let spec = spec();
    let mut l1 = L1::new(&spec.l1);
    let locality = Locality::new(&spec, &mut l1);
    let mut unit = Unit { l1, locality };
    unit.locality.began(0);
    for slot in 0..8 {
        unit.locality.launched(slot);
    }
    // Set 0 of four: lines 0, 4, 8, 12.
    unit.load(1, 0, 10);
    unit.load(2, 4, 11);
    unit.load(2, 8, 12);
    assert_eq!(
        unit.held(12),
        [0; 4],
        "line 0 is gone, nobody has asked for it"
    );
    unit.load(2, 0, 13);
    assert_eq!(unit.held(13), [0; 4], "it was not warp 2 that lost it");
    // That drove out line 4, of warp 2. One lost line in 2 instructions of a cutoff of 800: half of it, 400 points;
    // with it and four others the sum is 800. The three youngest are held: slots 5, 6 and 7.
    unit.locality.began(18);
    unit.load(2, 4, 20);
    assert_eq!(unit.held(20), [0, 0b10, 0b10, 0b10]);
    assert_eq!(unit.held(20 + 299), [0, 0, 0, 0b10]);
    assert_eq!(unit.held(20 + 300), [0; 4]);
    // Its tag is no longer among the victims. The owners were forgotten with the kernel: line 8 was nobody's.
    unit.load(2, 8, 900);
    assert_eq!(unit.held(900), [0; 4]);
}
