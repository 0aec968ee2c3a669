//! Laws that hold for any traffic: sleeping is exact, every gap is legal, accounts close.

use proptest::prelude::*;

use crate::mem::dram::replay::{CommandLog, Record, Replay};
use crate::mem::dram::timing::{self, Count};
use crate::mem::dram::{
    ChannelSpec, Kind, Map, NoDramProbe, PagePolicy, Policy, RefreshMode, checker, spec, standard,
};

/// Random traffic: bursts of addresses with locality, mixed kinds, and pauses.
fn traffic() -> impl Strategy<Value = Vec<Record>> {
    let step = (0u64..4, 0u64..60, any::<bool>(), 0u64..8, 0u64..64, 0u64..6);
    prop::collection::vec(step, 1..400).prop_map(|steps| {
        let mut cycle = 0;
        steps
            .into_iter()
            .map(|(pause, gap, write, row, burst, bank)| {
                cycle += if pause == 0 { gap * gap * 3 } else { pause - 1 };
                let addr = row * 16_384 * 3 + bank * 32 + burst * 512;
                Record {
                    cycle,
                    addr,
                    kind: if write { Kind::Write } else { Kind::Read },
                }
            })
            .collect()
    })
}

fn channel() -> impl Strategy<Value = ChannelSpec> {
    let standards: Vec<_> = spec::standards().collect();
    let pages = vec![
        PagePolicy::Open,
        PagePolicy::Closed,
        PagePolicy::ClosedBatch,
        PagePolicy::Timeout { cycles: 60 },
    ];
    let refreshes = vec![
        RefreshMode::Off,
        RefreshMode::AllBank { postpone: 0 },
        RefreshMode::AllBank { postpone: 3 },
        RefreshMode::PerBank { postpone: 0 },
        RefreshMode::PerBank { postpone: 2 },
    ];
    let choice = (
        prop::sample::select(standards),
        prop::sample::select(Policy::all().collect::<Vec<_>>()),
        prop::sample::select(pages),
        prop::sample::select(Map::ALL.to_vec()),
        prop::sample::select(refreshes),
        (1u32..40, 1u32..40, prop::sample::select(vec![0, 40, 700])),
    );
    choice.prop_map(
        |(standard, policy, page, map, refresh, (reads, writes, idle))| {
            let mut spec = ChannelSpec::new(standard);
            // Frequent refreshes, so that short traffic meets many.
            spec.standard.timing.refi = spec.standard.timing.rfc + 400;
            spec.standard.timing.refi_pb = 150.max(spec.standard.timing.rrefd + 60);
            spec.set_queues(reads, writes);
            spec.write_idle = idle;
            ChannelSpec {
                policy,
                page,
                map,
                refresh,
                ..spec
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sleeping_gives_the_same_commands_as_looking_at_every_slot(
        spec in channel(),
        records in traffic(),
        mlp in prop::option::of(1u32..20),
    ) {
        let (mut fast, mut slow) = (CommandLog::default(), CommandLog::default());
        let replay = Replay { spec: spec.clone(), mlp, every_cycle: false };
        let a = replay.run(&records, &mut fast);
        let b = Replay { every_cycle: true, ..replay }.run(&records, &mut slow);
        for (i, (f, s)) in fast.commands.iter().zip(&slow.commands).enumerate() {
            prop_assert_eq!(f, s, "command {}", i);
        }
        prop_assert_eq!(fast.commands.len(), slow.commands.len());
        prop_assert_eq!(a.cycles, b.cycles);
        prop_assert_eq!(&a.latencies, &b.latencies);
        prop_assert_eq!(a.stats, b.stats);
        prop_assert_eq!(a.stats.bus.total(), a.stats.cycles);
        prop_assert_eq!(checker::check(&spec.standard, &fast.commands), vec![]);
        let s = &a.stats;
        let reads = records.iter().filter(|r| r.kind == Kind::Read).count() as u64;
        prop_assert_eq!(s.reads + s.forwarded_reads, reads);
        prop_assert_eq!(s.row_hits + s.row_misses + s.row_conflicts, s.reads + s.writes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn passing_over_refreshes_of_an_idle_channel_counts_them_all_the_same(
        spec in channel(),
        records in traffic(),
        pause in 0u64..60_000,
    ) {
        // The same traffic again after a pause of many refreshes.
        let last = records.last().map_or(0, |r| r.cycle);
        let again = records.iter().map(|r| Record { cycle: r.cycle + last + pause, ..*r });
        let records: Vec<Record> = records.iter().copied().chain(again).collect();
        let replay = Replay { spec, mlp: None, every_cycle: false };
        let seen = replay.run(&records, &mut CommandLog::default());
        let passed = replay.run(&records, &mut NoDramProbe);
        prop_assert_eq!(seen.stats, passed.stats);
        prop_assert_eq!(seen.cycles, passed.cycles);
        prop_assert_eq!(seen.latencies, passed.latencies);
    }
}

/// Traffic under which every rule of a standard binds: random rows, mixed kinds, pauses.
fn stress(count: usize) -> Vec<Record> {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_pcg::Pcg64::seed_from_u64(7);
    let mut cycle = 0;
    (0..count)
        .map(|i| {
            if rng.random_range(0..40) == 0 {
                cycle += rng.random_range(0..400);
            }
            let narrow = i / 500 % 2 == 0;
            let bank = rng.random_range(0..if narrow { 2 } else { 16 });
            let row = rng.random_range(0..if narrow { 2 } else { 64u64 });
            let addr = row * 32_768 + rng.random_range(0..32) * 512 + bank * 32;
            let write = rng.random_range(0..10) < if i / 1000 % 2 == 0 { 1 } else { 6 };
            Record {
                cycle,
                addr,
                kind: if write { Kind::Write } else { Kind::Read },
            }
        })
        .collect()
}

/// The logs of `standard` under open and closed page, all-bank and per-bank refresh, with `timing` changed.
fn logs(name: &str, change: impl Fn(&mut timing::Timing)) -> Vec<CommandLog> {
    let mut out = Vec::new();
    for page in [PagePolicy::Open, PagePolicy::Closed] {
        let per_bank = RefreshMode::PerBank { postpone: 0 };
        for refresh in [RefreshMode::AllBank { postpone: 0 }, per_bank] {
            let mut spec = ChannelSpec::new(standard(name).unwrap());
            change(&mut spec.standard.timing);
            (spec.page, spec.refresh) = (page, refresh);
            let mut log = CommandLog::default();
            Replay {
                spec,
                mlp: None,
                every_cycle: false,
            }
            .run(&stress(6000), &mut log);
            out.push(log);
        }
    }
    out
}

#[test]
fn each_timing_constant_broken_on_purpose_is_caught() {
    type Change = (&'static str, fn(&mut timing::Timing));
    let changes: [Change; 20] = [
        ("cwl", |t| t.cwl -= 1),
        ("ppd", |t| t.ppd = t.ppd.saturating_sub(1)),
        ("rcd_rd", |t| t.rcd_rd -= 1),
        ("rcd_wr", |t| t.rcd_wr -= 1),
        ("rp", |t| t.rp -= 1),
        ("ras", |t| t.ras -= 1),
        ("rc", |t| {
            (t.rc, t.ras, t.rp) = (t.rc - 3, t.ras - 2, t.rp - 2)
        }),
        ("wr", |t| t.wr -= 1),
        ("rtp", |t| t.rtp -= 1),
        ("ccd_s", |t| (t.ccd_s, t.bl) = (1, 1)),
        ("ccd_l", |t| t.ccd_l -= 1),
        ("rrd_s", |t| t.rrd_s -= 1),
        ("rrd_l", |t| {
            (t.rrd_s, t.rrd_l) = (t.rrd_s.min(t.rrd_l - 1), t.rrd_l - 1)
        }),
        ("wtr_s", |t| t.wtr_s -= 1),
        ("wtr_l", |t| t.wtr_l -= 1),
        ("rtw", |t| t.rtw -= 1),
        ("faw", |t| {
            (t.faw, t.rrd_s, t.rrd_l) = (t.faw / 2, t.faw / 8, t.faw / 8)
        }),
        ("rfc", |t| t.rfc -= 1),
        ("rfc_pb", |t| t.rfc_pb -= 1),
        ("rrefd", |t| t.rrefd -= 1),
    ];
    for name in [
        "HBM2_2000",
        "HBM3_6400",
        "GDDR6_14000",
        "GDDR6X_19000",
        "HBM2E_3200",
    ] {
        let right = standard(name).unwrap();
        for log in logs(name, |_| {}) {
            assert_eq!(checker::check(right, &log.commands), vec![], "{name}");
        }
        for (what, change) in changes {
            // A rule of one CK or none cannot be broken.
            if what == "ppd" && right.timing.ppd < 2 {
                continue;
            }
            let broken = logs(name, change);
            let caught = broken
                .iter()
                .any(|l| !checker::check(right, &l.commands).is_empty());
            assert!(
                caught,
                "{name}: {what} broken, and the checker did not see it"
            );
        }
    }
}

#[test]
fn a_refresh_interval_broken_on_purpose_is_caught() {
    for name in [
        "HBM2_2000",
        "HBM3_6400",
        "GDDR6_14000",
        "GDDR6X_19000",
        "HBM2E_3200",
    ] {
        let right = standard(name).unwrap();
        let owed = |change: fn(&mut timing::Timing)| {
            let mut spec = ChannelSpec::new(right);
            change(&mut spec.standard.timing);
            let mut log = CommandLog::default();
            Replay {
                spec,
                mlp: None,
                every_cycle: false,
            }
            .run(&stress(20_000), &mut log);
            checker::check_refresh(right, &log.commands, 0)
        };
        assert_eq!(owed(|_| {}), vec![], "{name}");
        assert!(!owed(|t| t.refi += t.refi / 8).is_empty(), "{name}");
    }
}

#[test]
fn each_rule_is_exercised_to_the_exact_slot() {
    // A rule that no traffic drives to its limit could be wrong unnoticed.
    for name in ["HBM2_2000", "GDDR6_14000"] {
        let s = standard(name).unwrap();
        let bus = s.family.bus();
        let rows = timing::rows(&s.timing, bus);
        let all = logs(name, |_| {});
        for (i, row) in rows
            .iter()
            .enumerate()
            .filter(|(_, r)| r.count == Count::After)
        {
            let mut longer = rows.clone();
            longer[i].gap += 1;
            let binds = all
                .iter()
                .any(|l| !checker::check_rows(s, &longer, &l.commands).is_empty());
            let other = rows.iter().any(|r| {
                (r.preceding, r.following) == (row.preceding, row.following)
                    && r.scope != row.scope
                    && r.count == Count::After
            });
            let rare = row.following == crate::mem::dram::Command::RefreshBank
                || row.following == crate::mem::dram::Command::RefreshAll
                || row.preceding == crate::mem::dram::Command::RefreshBank
                || row.following == crate::mem::dram::Command::PrechargeAll
                || row.preceding == crate::mem::dram::Command::PrechargeAll
                || row.formula == "tRC"
                || row.formula == "tRAS";
            assert!(binds || other || rare, "{name}: {row:?} never binds");
        }
    }
}

/// 10^8 cycles of random traffic per standard: minutes; run with `--ignored`.
#[test]
#[ignore = "minutes; the short form is part of every run"]
fn hundred_million_cycles_without_a_violation() {
    for name in [
        "HBM2_2000",
        "HBM2E_3200",
        "HBM3_6400",
        "GDDR6_14000",
        "GDDR6X_19000",
    ] {
        let (mut cycles, mut round) = (0, 0u64);
        while cycles < 100_000_000 {
            let mut spec = ChannelSpec::new(standard(name).unwrap());
            let policies: Vec<_> = Policy::all().collect();
            spec.policy = policies[round as usize % policies.len()];
            if round % 3 == 1 {
                spec.refresh = RefreshMode::PerBank { postpone: 0 };
            }
            let mut records = stress(400_000);
            for r in &mut records {
                r.addr = (r.addr + round * 4096) % spec.standard.org.capacity_bytes();
            }
            let mut log = CommandLog::default();
            let replay = Replay {
                spec,
                mlp: None,
                every_cycle: false,
            };
            cycles += replay.run(&records, &mut log).cycles;
            assert_eq!(
                checker::check(&replay.spec.standard, &log.commands),
                vec![],
                "{name}"
            );
            round += 1;
        }
    }
}
