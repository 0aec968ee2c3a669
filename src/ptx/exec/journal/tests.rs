//! What stands of what a CTA did.

use super::*;
use crate::ptx::exec::op::{Rmw, Ty};
use crate::ptx::exec::rmw::Update;

fn before(_: u32) -> Block {
    [0x11; 32]
}

fn journal() -> Journal {
    let mut journal = Journal::new(4096);
    journal.keep_updates(100);
    journal
}

fn add(journal: &mut Journal, offset: u32, ty: Ty, operand: u64) -> bool {
    let update = Update {
        f: Rmw::Add,
        ty,
        packed: false,
    };
    let update = Deferred {
        offset,
        update,
        operand,
    };
    journal.update(update, before).is_some()
}

#[test]
fn reading_what_one_wrote_is_no_read() {
    let mut journal = journal();
    journal.write(4, &[7; 4], before);
    assert!(!journal.read(Range::new(0, 12)) && journal.read(Range::new(32, 4)));
    assert_eq!(
        journal.overlay(2, 8, 0x1111_1111_1111_1111),
        0x1111_0707_0707_1111
    );
    assert_eq!(journal.overlay(64, 2, 0x2222), 0x2222);
    assert!(journal.wrote(7) && !journal.wrote(8));
    let effects = journal.finish();
    assert_eq!(effects.reads, [(0, 0xf0f), (1, 0xf)]);
    assert_eq!((effects.writes[0].block, effects.writes[0].mask), (0, 0xf0));
    assert!(journal.finish().reads.is_empty() && journal.read(Range::new(4, 4)));
}

#[test]
fn updates_of_integers_go_together_and_those_of_floats_stay_apart() {
    let mut journal = journal();
    for operand in [3, 4] {
        assert!(add(&mut journal, 64, Ty::U32, operand));
        assert!(add(&mut journal, 68, Ty::F32, operand));
    }
    // The word of the wide one was updated in between.
    assert!(add(&mut journal, 64, Ty::U64, 5) && add(&mut journal, 64, Ty::U32, 6));
    let effects = journal.finish();
    let operands: Vec<_> = effects.updates.iter().map(|u| u.operand).collect();
    assert_eq!(operands, [7, 3, 4, 5, 6]);
    assert_eq!(effects.updated, [(2, 0xff)]);
    assert!(effects.reads.is_empty() && effects.writes.is_empty());
}

#[test]
fn a_write_takes_updates_back() {
    let mut journal = journal();
    assert!(add(&mut journal, 0, Ty::U64, 1) && add(&mut journal, 8, Ty::U32, 2));
    journal.write(4, &[9; 4], before);
    assert!(
        !add(&mut journal, 0, Ty::U32, 3),
        "its bytes are written now"
    );
    let effects = journal.finish();
    assert_eq!(effects.reads, [(0, 0xff)]);
    assert_eq!(effects.writes[0].mask, 0xff);
    assert_eq!(effects.updates.len(), 1);
    assert_eq!(effects.updated, [(0, 0xf00)]);
}

#[test]
fn a_byte_of_an_updated_value_depends_on_all_of_it() {
    let mut journal = journal();
    assert!(add(&mut journal, 8, Ty::U64, 1) && add(&mut journal, 16, Ty::U32, 1));
    assert!(!journal.read(Range::new(8, 1)));
    assert_eq!(journal.finish().reads, [(0, 0xff00)]);
    assert!(add(&mut journal, 8, Ty::U64, 1));
    assert!(!journal.read(Range::new(16, 4)));
    assert_eq!(
        journal.finish().reads,
        [(0, 0xf_0000)],
        "its neighbour does not"
    );
}

#[test]
fn what_does_not_fit_is_not_kept() {
    let mut journal = journal();
    journal.keep_updates(1);
    assert!(add(&mut journal, 0, Ty::F32, 1) && !add(&mut journal, 4, Ty::F32, 1));
}
