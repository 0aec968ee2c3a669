//! One slice: hits, misses, byte masks, atomics, MSHRs.

use super::*;
use crate::ids::SmId;
use crate::isa::{CacheOp, PrefetchHint};
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

/// With headers of 8 bytes.
fn noc() -> NocSpec {
    let mut noc = crate::config::load("v100", &[]).unwrap().spec.noc;
    noc.header_bytes = 8;
    noc
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
    let mut slice = Slice::new(&spec(), &noc());
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
    let mut slice = Slice::new(&spec(), &noc());
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
            prefetch: PrefetchHint::None,
        }]
    );
    act.clear();
    slice.arrived(Line(5), mask(0b0110), 300, true, &mut act);
    assert_eq!(reply_at(&act), [307]);
    assert_eq!(slice.in_flight(), 0);
}

/// What a slice fetches for a read of `sectors` of line 6 with `hint`, line by line.
fn fetched(slice: &mut Slice, sectors: u8, hint: PrefetchHint) -> Vec<(u64, SectorMask)> {
    let mut act = Vec::new();
    let read = Request {
        prefetch: hint,
        ..request(RequestKind::Read, 6, sectors, 0)
    };
    assert!(slice.serve(&read, 0, true, &mut act).is_some());
    let fetches = act.iter().filter_map(|a| match a {
        Action::Fetch { line, sectors, .. } => Some((line.0, *sectors)),
        _ => None,
    });
    fetches.collect()
}

#[test]
fn a_hint_fetches_the_rest_of_its_piece_and_the_reader_gets_only_its_sectors() {
    let all = mask(0b1111);
    for (hint, sectors, expected, extra) in [
        (PrefetchHint::None, 0b0001, vec![(6, mask(0b0001))], 0),
        (PrefetchHint::Half, 0b0100, vec![(6, mask(0b1100))], 1),
        (PrefetchHint::Half, 0b1100, vec![(6, mask(0b1100))], 0),
        (PrefetchHint::Line, 0b0100, vec![(6, all)], 3),
        (PrefetchHint::Line, 0b1111, vec![(6, all)], 0),
        (PrefetchHint::Pair, 0b0011, vec![(6, all), (7, all)], 6),
    ] {
        let mut slice = Slice::new(&spec(), &noc());
        assert_eq!(fetched(&mut slice, sectors, hint), expected, "{hint:?}");
        assert_eq!(slice.stats.prefetches, extra, "{hint:?}");
        let mut act = Vec::new();
        for &(line, sectors) in &expected {
            slice.arrived(Line(line), sectors, 100, true, &mut act);
        }
        assert!(
            matches!(act[..], [Action::Reply { sectors: s, .. }] if s == mask(sectors)),
            "{hint:?}: {act:?}"
        );
        assert_eq!((slice.in_flight(), slice.stats.prefetch_hits), (0, 0));
        // What the hint brought is there, and counts once as worth it.
        for _ in 0..2 {
            for &(line, sectors) in &expected {
                let read = Request {
                    sectors,
                    ..request(RequestKind::Read, line, 0, 0)
                };
                assert_eq!(slice.serve(&read, 200, true, &mut act), Some(sectors));
            }
            assert_eq!(slice.stats.prefetch_hits, extra, "{hint:?}");
        }
    }
}

#[test]
fn a_hint_asks_for_nothing_that_is_here_or_on_its_way() {
    let mut slice = Slice::new(&spec(), &noc());
    slice.preload(Line(6), mask(0b1000));
    assert_eq!(
        fetched(&mut slice, 0b0001, PrefetchHint::Line),
        [(6, mask(0b0111))]
    );
    // A read of a sector that comes anyway waits for it, and makes the prefetch one that was worth it.
    assert_eq!(fetched(&mut slice, 0b0010, PrefetchHint::Line), []);
    assert_eq!((slice.stats.prefetches, slice.stats.prefetch_hits), (2, 1));
    // A hit fetches nothing, whatever it hints.
    assert_eq!(fetched(&mut slice, 0b1000, PrefetchHint::Pair), []);
}

#[test]
fn a_neighbour_is_dropped_when_no_register_is_free() {
    for (registers, fetches, drops) in [(1, 1, 4), (2, 2, 0)] {
        let mut slice = Slice::new(
            &L2Spec {
                mshrs: registers,
                ..spec()
            },
            &noc(),
        );
        let fetched = fetched(&mut slice, 0b0001, PrefetchHint::Pair);
        assert_eq!(fetched.len(), fetches);
        assert_eq!(slice.stats.prefetch_drops, drops);
    }
}

#[test]
fn the_copy_of_the_other_partition_passes_the_hint_on() {
    let mut slice = Slice::new(&spec(), &noc());
    let mut act = Vec::new();
    let read = Request {
        prefetch: PrefetchHint::Line,
        ..request(RequestKind::Read, 6, 0b0001, 0)
    };
    slice.serve(&read, 0, false, &mut act);
    assert!(matches!(
        act[..],
        [Action::Fetch { sectors, prefetch: PrefetchHint::Line, .. }] if sectors == mask(0b0001)
    ));
    assert_eq!(slice.stats.prefetches, 0);
}

#[test]
fn a_partly_written_sector_is_fetched_only_when_it_is_read() {
    let mut slice = Slice::new(&spec(), &noc());
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
        &noc(),
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
    let mut slice = Slice::new(&spec(), &noc());
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
    let mut slice = Slice::new(&spec(), &noc());
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
    let mut slice = Slice::new(&L2Spec { ways: 2, ..spec() }, &noc());
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
    let mut slice = Slice::new(&spec(), &noc());
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
        let mut slice = Slice::new(&spec, &noc());
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
