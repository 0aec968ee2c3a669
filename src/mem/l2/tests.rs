//! One slice: hits, misses, byte masks, atomics, MSHRs.

use super::*;
use crate::ids::SmId;
use crate::isa::CacheOp;
use crate::mem::ReplyTo;

fn spec() -> L2Spec {
    let mut spec = crate::config::load("v100", &[]).unwrap().spec.l2;
    spec.bytes = 64 * 4 * 128;
    spec.slices = 64;
    spec.ways = 2;
    spec.mshrs = 2;
    spec.mshr_merges = 2;
    spec.hit_latency = 50;
    spec.miss_latency = 10;
    spec.fill_latency = 7;
    spec.slice_bytes_per_cycle = 32;
    spec.atomic_latency = 0;
    spec.lazy_fetch = true;
    spec
}

const fn mask(bits: u8) -> SectorMask {
    SectorMask::new(bits)
}

fn request(kind: RequestKind, line: u64, sectors: u8, full: u8) -> Request {
    Request {
        sm: SmId(3),
        full: mask(full),
        atomic_cycles: 4,
        ..Request::new(kind, Line(line), mask(sectors), ReplyTo::Fill)
    }
}

fn reply_at(actions: &[Action]) -> Vec<Cycle> {
    let times = actions.iter().filter_map(|a| match a {
        Action::Reply { at, .. } => Some(*at),
        _ => None,
    });
    times.collect()
}

#[test]
fn a_hit_answers_after_the_hit_latency_and_the_port_serialises() {
    let mut slice = Slice::new(&spec(), 8);
    slice.preload(Line(5), mask(0b1111));
    let mut act = Vec::new();
    for _ in 0..5 {
        assert!(
            slice
                .serve(
                    &request(RequestKind::Read, 5, 0b1111, 0),
                    100,
                    true,
                    &mut act
                )
                .is_some()
        );
    }
    assert_eq!(
        reply_at(&act),
        [150, 155, 159, 163, 167],
        "128 bytes and a header of 8 at 32 a cycle: every 4.25 cycles, rounded up"
    );
    assert_eq!(slice.stats.read_hits, 20);
    assert_eq!(slice.stats.busy_cycles, 20, "the data path has no headers");
}

#[test]
fn a_miss_fetches_only_missing_sectors_and_answers_at_the_fill() {
    let mut slice = Slice::new(&spec(), 8);
    slice.preload(Line(5), mask(0b0001));
    let mut act = Vec::new();
    slice.serve(
        &request(RequestKind::Read, 5, 0b0111, 0),
        100,
        true,
        &mut act,
    );
    assert_eq!(
        act,
        [Action::Fetch {
            at: 110,
            line: Line(5),
            sectors: mask(0b0110),
            cache: CacheOp::All,
        }]
    );
    act.clear();
    slice.arrived(Line(5), mask(0b0110), 300, true, &mut act);
    assert_eq!(reply_at(&act), [307]);
    assert_eq!(slice.in_flight(), 0);
}

#[test]
fn a_partly_written_sector_is_fetched_only_when_it_is_read() {
    let mut slice = Slice::new(&spec(), 8);
    let mut act = Vec::new();
    slice.serve(
        &request(RequestKind::Write, 5, 0b0011, 0b0001),
        0,
        true,
        &mut act,
    );
    assert!(act.iter().all(|a| !matches!(a, Action::Fetch { .. })));
    act.clear();
    slice.serve(
        &request(RequestKind::Read, 5, 0b0001, 0),
        10,
        true,
        &mut act,
    );
    assert_eq!(reply_at(&act).len(), 1, "the full sector is there");
    act.clear();
    slice.serve(
        &request(RequestKind::Read, 5, 0b0010, 0),
        20,
        true,
        &mut act,
    );
    assert!(matches!(
        act[0],
        Action::Fetch { sectors, .. } if sectors == mask(0b0010)
    ));
    assert_eq!(slice.stats.lazy_fetches, 1);
}

#[test]
fn without_lazy_fetch_a_partial_write_fetches_at_once() {
    let mut slice = Slice::new(
        &L2Spec {
            lazy_fetch: false,
            ..spec()
        },
        8,
    );
    let mut act = Vec::new();
    slice.serve(
        &request(RequestKind::Write, 5, 0b0011, 0b0001),
        0,
        true,
        &mut act,
    );
    assert!(act.iter().any(|a| matches!(
        a,
        Action::Fetch { sectors, .. } if *sectors == mask(0b0010)
    )));
}

#[test]
fn a_third_line_waits_for_a_register_and_nothing_changes() {
    let mut slice = Slice::new(&spec(), 8);
    let mut act = Vec::new();
    for line in [1, 2] {
        assert!(
            slice
                .serve(&request(RequestKind::Read, line, 1, 0), 0, true, &mut act)
                .is_some()
        );
    }
    let before = slice.stats;
    assert!(
        slice
            .serve(&request(RequestKind::Read, 3, 1, 0), 0, true, &mut act)
            .is_none()
    );
    assert_eq!(slice.stats, before);
    slice.arrived(Line(1), mask(1), 50, true, &mut act);
    assert!(
        slice
            .serve(&request(RequestKind::Read, 3, 1, 0), 50, true, &mut act)
            .is_some()
    );
}

#[test]
fn reads_of_the_other_partition_take_at_most_half_of_the_registers() {
    let mut slice = Slice::new(&spec(), 8);
    let mut act = Vec::new();
    assert!(
        slice
            .serve(&request(RequestKind::Read, 1, 1, 0), 0, false, &mut act)
            .is_some()
    );
    assert!(
        slice
            .serve(&request(RequestKind::Read, 2, 1, 0), 0, false, &mut act)
            .is_none()
    );
    assert!(
        slice
            .serve(&request(RequestKind::Forward, 3, 1, 0), 0, true, &mut act)
            .is_some()
    );
}

#[test]
fn an_evicted_line_writes_back_its_dirty_sectors_only() {
    let mut slice = Slice::new(&L2Spec { ways: 2, ..spec() }, 8);
    let mut act = Vec::new();
    for line in 0..40 {
        slice.serve(
            &request(RequestKind::Write, line, 0b0101, 0b0101),
            0,
            true,
            &mut act,
        );
    }
    let written: u32 = act
        .iter()
        .map(|a| match a {
            Action::WriteBack { sectors, .. } => sectors.count(),
            _ => 0,
        })
        .sum();
    assert_eq!(u64::from(written) + slice.dirty_sectors(), 80);
    assert_eq!(slice.stats.writebacks, u64::from(written));
}

#[test]
fn atomics_of_one_address_go_one_after_the_other() {
    let mut slice = Slice::new(&spec(), 8);
    slice.preload(Line(5), mask(0b1111));
    let mut act = Vec::new();
    for _ in 0..3 {
        slice.serve(&request(RequestKind::Atomic, 5, 1, 0), 100, true, &mut act);
    }
    assert_eq!(reply_at(&act), [154, 158, 162]);
}

#[test]
fn the_policy_sees_the_cache_operator_of_reads_and_writes() {
    let spec = L2Spec {
        replacement: crate::config::Replacement::EvictFirst,
        ways: 4,
        ..spec()
    };
    for kind in [RequestKind::Read, RequestKind::Write] {
        let mut slice = Slice::new(&spec, 8);
        let mut act = Vec::new();
        let mut access = |line, cache| {
            let request = Request {
                cache,
                ..request(kind, line, 0b1111, 0b1111)
            };
            slice.serve(&request, 0, true, &mut act);
            slice.arrived(Line(line), mask(0b1111), 0, true, &mut act);
        };
        // The slice is one set of four ways. Three lines in use, then a stream of forty.
        (0..3).for_each(|line| access(line, CacheOp::All));
        (100..140).for_each(|line| access(line, CacheOp::Streaming));
        let hits = |slice: &mut Slice| {
            let found = (0..3).filter(|&line| {
                let read = request(RequestKind::Read, line, 0b1111, 0);
                slice.serve(&read, 0, true, &mut Vec::new()) == Some(SectorMask::ALL)
            });
            found.count()
        };
        assert_eq!(hits(&mut slice), 3, "{kind:?}: the stream takes one way");
    }
}
