//! A shard between a request and its reply.

use super::*;
use crate::config;
use crate::ids::SmId;
use crate::probe::NoProbe;

const QUANTUM: Cycle = 50;

/// Cycles from each read to its reply, one after the other: sectors of the first line of the first slice.
fn reads(sets: &[&str], sectors: &[u32]) -> Vec<Cycle> {
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    let spec = config::load("v100", &sets).unwrap().spec;
    let map = AddrMap::new(&spec.l2, spec.dram.channels);
    let slice = map.home(Line(0));
    let mut shard = MemShard::new(map.channel(slice), &spec, &map, 1, QUANTUM);
    let mut probe = NoProbe::default();
    let mut read = |(number, &sector): (u64, &u32)| {
        // Always at the same time, so that both clocks stand alike.
        let mut index = number * 20 + 1;
        let at = index * QUANTUM;
        shard.deliver(Request {
            at,
            slice,
            sm: SmId(0),
            ..Request::new(
                RequestKind::Read,
                Line(0),
                SectorMask::one(sector),
                ReplyTo::Fill,
            )
        });
        loop {
            let mut cx = ShardCx {
                gpc_of: &[GpcId(0)],
                probe: &mut probe,
            };
            shard.run(index, QUANTUM, &mut cx);
            if let Some(reply) = shard.replies[0].first() {
                return reply.at - at;
            }
            index += 1;
        }
    };
    (0..).zip(sectors).map(&mut read).collect()
}

#[test]
fn a_perfect_channel_takes_what_a_read_of_an_open_row_takes() {
    let quiet = "dram.refresh=off";
    let real = reads(&[quiet], &[0, 1, 2, 1]);
    let perfect = reads(&[quiet, "dram.perfect=true"], &[0, 1, 2, 1]);
    assert!(real[0] > real[1] + 10, "the first opens the row: {real:?}");
    assert_eq!(perfect[1..], real[1..], "{real:?}");
    // The first within the rounding of the two clocks.
    assert!(perfect[0].abs_diff(real[1]) <= 1, "{perfect:?} {real:?}");
    assert!(perfect[3] < perfect[2], "a hit in L2");
}

#[test]
fn a_perfect_slice_hits_whatever_was_there() {
    let real = reads(&[], &[0, 0, 1]);
    let perfect = reads(&["l2.perfect=true"], &[0, 0, 1]);
    assert!(real[0] > real[1]);
    assert_eq!(perfect, [real[1]; 3]);
}
