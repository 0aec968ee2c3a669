//! The driver against a plain model, Belady against every policy, distances against LRU caches, and a trace by hand.

use super::enabled::Study;
use super::naive::Naive;
use super::reference::Reference;
use super::trace::Kind;
use super::{Request, run};
use crate::config::cache::AloneCache;
use crate::config::{self, L1Spec, LocalWritePolicy, Replacement, SetHash, WritePolicy};
use crate::error::Result;
use crate::isa::CacheOp;
use crate::mem::cache::replace::Replace;
use crate::mem::{Line, SectorMask};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

/// `sets` × `ways` lines under every policy.
fn request(sets: u32, ways: u16, write: WritePolicy, local_write: LocalWritePolicy) -> Request {
    let spec = L1Spec {
        unified_bytes: sets * u32::from(ways) * 128,
        ways,
        set_hash: SetHash::Linear,
        write,
        local_write,
        ..config::load("v100", &[]).unwrap().spec.l1
    };
    Request {
        cache: AloneCache {
            spec,
            echo: Json::Null,
        },
        policies: Replace::all().collect(),
        trace: PathBuf::from("-"),
        sm: None,
    }
}

/// An access of one of `span` lines.
fn access(span: u64) -> impl Strategy<Value = Reference> {
    let kinds = [
        Kind::Load,
        Kind::Load,
        Kind::Load,
        Kind::Store,
        Kind::LocalStore,
        Kind::Atomic,
    ];
    let caches = [
        CacheOp::All,
        CacheOp::All,
        CacheOp::Streaming,
        CacheOp::LastUse,
    ];
    let what = (
        prop::sample::select(kinds.to_vec()),
        prop::sample::select(caches.to_vec()),
    );
    let masks = (1u8..16, any::<u8>());
    (what, 0..span, masks, 0u16..3).prop_map(|((kind, cache), line, (sectors, full), sm)| {
        Reference {
            sm,
            pc: u64::from(sectors) % 3,
            kind,
            cache,
            line: Line(line),
            sectors: SectorMask::new(sectors),
            full: SectorMask::new(sectors & full),
        }
    })
}

/// Accesses that come back to few lines, more or less than a set has ways, and now and then to many.
fn accesses() -> impl Strategy<Value = Vec<Reference>> {
    (1u64..100).prop_flat_map(|span| prop::collection::vec(access(span), 1..600))
}

fn writes() -> impl Strategy<Value = (WritePolicy, LocalWritePolicy)> {
    let write = prop::sample::select(WritePolicy::ALL.to_vec());
    (write, prop::sample::select(LocalWritePolicy::ALL.to_vec()))
}

fn served(request: &Request, accesses: &[Reference]) -> Study {
    let mut study = Study::new(request);
    accesses.iter().for_each(|access| study.serve(access));
    study
}

proptest! {
    #[test]
    fn every_policy_does_what_the_plain_model_does(
        accesses in accesses(),
        (write, local) in writes(),
        sets in prop::sample::select(vec![1u32, 2, 4, 64]),
        ways in 1u16..9,
    ) {
        let study = served(&request(sets, ways, write, local), &accesses);
        prop_assert_eq!(study.caches.len(), Replacement::ALL.len());
        for cache in &study.caches {
            let keeps = local == LocalWritePolicy::Back;
            let mut naive = Naive::new(cache.policy, write, keeps, sets as usize, usize::from(ways));
            accesses.iter().for_each(|access| naive.serve(access));
            let name = cache.policy.name();
            prop_assert_eq!(cache.counts.tally, naive.tally, "{}", name);
            prop_assert_eq!(cache.counts.passing_store_hits, naive.passing_hits, "{}", name);
            prop_assert_eq!(cache.stats().evictions, naive.evictions, "{}", name);
            prop_assert_eq!(cache.stats().sector_writebacks, naive.written_back, "{}", name);
            let lines: Vec<usize> = cache.sets.iter().map(|s| s.lines as usize).collect();
            let expected: Vec<usize> = (0..sets as usize).map(|set| naive.lines_in(set)).collect();
            prop_assert_eq!(lines, expected, "{}", name);
            // Both tables are splits of the whole.
            let by_pc = |of: fn(&super::driver::Tally) -> u64| cache.pcs.iter().map(of).sum::<u64>();
            prop_assert_eq!(by_pc(|t| t.hits), naive.tally.hits);
            prop_assert_eq!(by_pc(|t| t.line_misses), naive.tally.line_misses);
            let by_set: u64 = cache.sets.iter().map(|s| s.line_misses).sum();
            prop_assert_eq!(by_set, naive.tally.line_misses);
        }
    }

    #[test]
    fn no_policy_finds_more_lines_than_belady(
        accesses in accesses(),
        (write, local) in writes(),
        sets in prop::sample::select(vec![1u32, 2, 8]),
        ways in 1u16..9,
    ) {
        let study = served(&request(sets, ways, write, local), &accesses);
        let first = &study.caches[0];
        let bound = study.stream.recording.bound(ways.into(), |l| first.set_of(l)).unwrap();
        for cache in &study.caches {
            let tally = cache.counts.tally;
            prop_assert_eq!(tally.accesses(), bound.line_hits + bound.line_misses);
            prop_assert!(
                tally.line_hits() <= bound.line_hits,
                "{}: {} of {}", cache.policy.name(), tally.line_hits(), bound.line_hits
            );
        }
    }

    #[test]
    fn distances_predict_the_hits_of_a_fully_associative_lru_cache(
        accesses in accesses(),
        local in prop::sample::select(LocalWritePolicy::ALL.to_vec()),
        through in prop::sample::select(vec![WritePolicy::ThroughNoAllocate, WritePolicy::ThroughInvalidate]),
        ways in 1u16..120,
    ) {
        let study = served(&request(1, ways, through, local), &accesses);
        let lru = study.caches.iter().find(|c| c.policy == Replacement::Lru).unwrap();
        prop_assert_eq!(study.stream.distances.lru_hits(ways.into()), lru.counts.tally.line_hits());
        let distances = &study.stream.distances;
        let without = distances.total() - distances.lru_hits(usize::MAX);
        prop_assert_eq!(distances.total(), study.stream.counts.allocating);
        prop_assert_eq!(without, study.stream.counts.distinct_lines);
    }
}

/// The report of `rows` on one set of two ways.
fn report(rows: &str, policies: &[Replacement], sm: Option<u16>) -> Result<Json> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("cycle,sm,pc,address,bytes,op\n{rows}")).unwrap();
    let request = Request {
        policies: policies.to_vec(),
        trace: file.path().to_owned(),
        sm,
        ..request(1, 2, WritePolicy::ThroughNoAllocate, LocalWritePolicy::Back)
    };
    run(&request, &AtomicU64::new(0)).map(|r| serde_json::to_value(&r).unwrap())
}

const BY_HAND: &str = "\
0,0,0x10,0x000,128,load
1,1,0x10,0x000,32,load
2,0,0x20,0x080,32,load
3,0,0x20,0x0a0,32,load
4,0,0x30,0x100,64,local_store
4,0,0x30,0x140,4,local_store
5,0,0x40,0x080,16,store
6,0,0x10,0x000,32,load
7,1,0x20,0x080,64,load
8,1,0x50,0x080,4,atomic
";

#[test]
fn a_trace_by_hand_has_the_numbers_that_paper_gives() {
    let json = report(BY_HAND, &[Replacement::Lru], None).unwrap();
    // LRU, lines A, B, C: A misses, A hits from SM 1, B misses, B lacks the sector, C drives A out, the store finds B, A
    // misses and drives B out, B misses and drives out C, which was dirty in three sectors, two of them whole.
    let p = &json["policies"][0];
    let numbers = [
        "line_accesses",
        "hits",
        "sector_misses",
        "line_misses",
        "evictions",
    ];
    assert_eq!(numbers.map(|n| p[n].as_u64().unwrap()), [7, 1, 1, 5, 3]);
    assert_eq!(p["hits_after_another_sm"], 1);
    assert_eq!(
        (&p["passing_stores"], &p["passing_store_hits"]),
        (&json!(1), &json!(1))
    );
    let back = [
        "written_back_lines",
        "written_back_sectors",
        "written_back_full_sectors",
    ];
    assert_eq!(back.map(|n| p[n].as_u64().unwrap()), [1, 3, 2]);
    // Fetched: 4 + 1 + 1 + 1 + 2 sectors; distinct ones are four of A and two of B.
    assert_eq!(p["sectors_fetched"], 9);
    assert_eq!(p["streaming_efficiency"], 6.0 / 9.0);
    assert_eq!(
        p["pcs"][1],
        json!({
            "pc": 0x20, "line_accesses": 3, "hits": 0, "hit_rate": 0.0, "sector_misses": 1, "line_hits": 1,
            "line_hit_rate": 1.0 / 3.0, "line_misses": 2
        })
    );
    assert_eq!(
        p["sets"][0]["mean_lines"],
        f64::from(1 + 1 + 2 + 2 + 2 + 2) / 7.0
    );
    // Belady keeps A and B one after the other: C takes the place of the later one, so one more line is found.
    assert_eq!(json["belady"]["line_hits"], 3);
    assert_eq!(p["of_belady"], 2.0 / 3.0);
    let s = &json["stream"];
    assert_eq!(
        (
            &s["distinct_lines"],
            &s["shared_lines"],
            &s["after_another_sm"]
        ),
        (&json!(3), &json!(2), &json!(3))
    );
    // Stores wrote three sectors of C and one of B, two of them whole.
    assert_eq!(
        (&s["written_sectors"], &s["write_mask_coverage"]),
        (&json!(4), &json!(0.5))
    );
    // A: 0 and 2 lines away; B: 0 and 2.
    let distances: Vec<_> = s["reuse_distance"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["accesses"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (distances, &s["without_reuse_distance"]),
        (vec![2, 0, 2], &json!(3))
    );
}

#[test]
fn one_sm_may_be_looked_at_alone() {
    let json = report(BY_HAND, &[Replacement::Fifo, Replacement::Drrip], Some(1)).unwrap();
    assert_eq!(json["policies"][1]["policy"], "drrip");
    assert_eq!(json["policies"][0]["line_misses"], 2);
    assert_eq!(json["stream"]["shared_lines"], 0);
    let none = report(BY_HAND, &[Replacement::Lru], Some(2))
        .unwrap_err()
        .to_string();
    assert!(
        none.contains("no access of SM 2; choose another --sm"),
        "{none}"
    );
    let empty = report("", &[Replacement::Lru], None)
        .unwrap_err()
        .to_string();
    assert!(empty.contains("the trace has no access"), "{empty}");
}
