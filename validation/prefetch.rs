//! The prefetcher of L1 inside whole GPUs: how many requests it makes, and what becomes of them, by hand.

use super::support::traced::warps_of;
use phantom_gpu::session::{Options, Session};
use serde_json::Value;

fn report(sets: &[&str], input: &str, options: Options) -> Value {
    let session = Session::new("v100", sets).unwrap();
    let workload = session.open(&[input]).unwrap();
    let mut report = session.run(&workload, &options).unwrap().report;
    report.simulation = Default::default();
    serde_json::to_value(report).unwrap()
}

fn count(report: &Value, path: &str) -> u64 {
    let at = report.pointer(&format!("/kernels/0/{path}"));
    at.and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{path}: {at:?}"))
}

/// Lines that were requested, found in L1, waited for, and dropped, and the cycles of the kernel.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    requested: u64,
    found: u64,
    late: u64,
    dropped: u64,
    cycles: u64,
}

/// A warp loads whole lines in a loop, each `strides[i % n]` lines behind the one before; it waits for each when
/// `dependent`.
fn walk(sets: &[&str], loads: u64, strides: &[u64], dependent: bool) -> Seen {
    let mut address = 0x7f40_4000_0000u64;
    let mut ops = Vec::new();
    for load in 0..loads as usize {
        // Without a destination nobody waits.
        let to = if dependent { "1 R4" } else { "0" };
        ops.push(format!("ffffffff {to} LDG.E 1 R2 4 1 {address:#x} 4"));
        ops.push("ffffffff 1 R2 FADD 2 R4 R4 0".to_owned());
        address += 128 * strides[load % strides.len()];
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = warps_of(folder.path(), &[ops], 2);
    let all = [&["fetch.perfect=true"], sets].concat();
    let report = report(&all, &trace, Options::default());
    let lines = |name: &str| {
        let sectors = count(&report, &format!("l1/{name}"));
        assert_eq!(sectors % 4, 0, "{name}: whole lines");
        sectors / 4
    };
    // L2 is asked for what loads missed and for what was prefetched.
    let asked = count(&report, "l2/sector_reads") / 4;
    let fetched = count(&report, "fetch/sector_requests") / 4;
    assert_eq!(
        asked,
        lines("sector_misses") + lines("prefetches") + fetched
    );
    Seen {
        requested: lines("prefetches"),
        found: lines("prefetch_hits"),
        late: lines("prefetch_late"),
        dropped: lines("prefetch_drops"),
        cycles: count(&report, "cycles"),
    }
}

const ON: &str = "l1.prefetch=stride";

/// With threshold T the first T + 1 loads ask for nothing, and with distance D what the last D ask for is never read. So
/// many hits take longer than a miss: nothing is late.
#[test]
fn a_stride_is_prefetched_from_its_threshold_on() {
    let off = walk(&[], 40, &[2], true);
    assert_eq!(
        (off.requested, off.found, off.late, off.dropped),
        (0, 0, 0, 0)
    );
    for (threshold, distance) in [(1, 16), (2, 16), (3, 20)] {
        let keys = [
            format!("l1.stride.threshold={threshold}"),
            format!("l1.stride.distance={distance}"),
        ];
        let on = walk(&[ON, &keys[0], &keys[1]], 60, &[2], true);
        let requested = 60 - (threshold + 1);
        assert_eq!(on.requested, requested);
        assert_eq!(
            (on.found, on.late, on.dropped),
            (requested - distance, 0, 0)
        );
        // Each spares most of a miss in L2.
        let saved = (off.cycles - on.cycles) / on.found;
        assert!((150..300).contains(&saved), "{on:?} {off:?}");
    }
}

#[test]
fn a_higher_degree_asks_for_more_once() {
    // The first load with a stride asks for two lines, every other one for the second of them: 57 + 1. What the last 16
    // ask for, and the second line of the one before, is never read.
    let keys = [
        ON,
        "l1.stride.degree=2",
        "l1.stride.threshold=2",
        "l1.stride.distance=16",
    ];
    let on = walk(&keys, 60, &[2], true);
    assert_eq!((on.requested, on.found, on.late), (58, 58 - 17, 0));
}

#[test]
fn what_loads_overtake_is_late() {
    let keys = [ON, "l1.stride.threshold=2", "l1.stride.distance=4"];
    let on = walk(&keys, 40, &[2], false);
    assert_eq!((on.requested, on.found, on.late), (37, 0, 33));
}

#[test]
fn without_a_register_a_prefetch_is_dropped() {
    // The load that triggers it has the only one.
    let keys = [
        ON,
        "l1.stride.threshold=2",
        "l1.stride.distance=4",
        "l1.mshrs=1",
    ];
    let on = walk(&keys, 40, &[2], true);
    assert_eq!((on.requested, on.found, on.late, on.dropped), (0, 0, 0, 37));
    let off = walk(&["l1.mshrs=1"], 40, &[2], true);
    assert_eq!(on.cycles, off.cycles);
}

#[test]
fn without_a_stride_nothing_is_prefetched() {
    for strides in [&[1, 3][..], &[5, 1, 7, 2, 2, 9], &[0]] {
        let keys = [ON, "l1.stride.threshold=2"];
        let (on, off) = (walk(&keys, 42, strides, true), walk(&[], 42, strides, true));
        assert_eq!(on, off, "{strides:?}");
        assert_eq!((on.requested, on.dropped), (0, 0));
    }
}

#[test]
fn neither_threads_nor_skipping_change_a_byte() {
    let sets = [
        ON,
        "gpu.sms=12",
        "gpu.gpcs=3",
        "l1.stride.degree=4",
        "l1.mshrs=24",
    ];
    for input in [
        "synth:sgemm?m=128&n=128&k=128",
        "synth:sweep?bytes=512KiB&total=256KiB&grid=16",
        "synth:local?grid=8&block=288&words=130&iters=2",
    ] {
        let one = report(&sets, input, Options::default());
        for threads in [2, 3] {
            let options = Options {
                threads,
                ..Options::default()
            };
            assert_eq!(report(&sets, input, options), one, "{input}");
        }
        let options = Options {
            no_skip: true,
            ..Options::default()
        };
        assert_eq!(report(&sets, input, options), one, "{input}");
    }
}
