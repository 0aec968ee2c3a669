//! One behaviour a test, to the exact cycle.

use crate::mem::dram::replay::{CommandLog, Pattern, Record, Replay, Run, generate};
use crate::mem::dram::{
    Channel, ChannelSpec, Command, Kind, NoDramProbe, PagePolicy, Policy, RefreshMode, standard,
};

fn spec(name: &str) -> ChannelSpec {
    ChannelSpec::new(standard(name).unwrap())
}

fn read(cycle: u64, addr: u64) -> Record {
    Record {
        cycle,
        addr,
        kind: Kind::Read,
    }
}

fn write(cycle: u64, addr: u64) -> Record {
    Record {
        cycle,
        addr,
        kind: Kind::Write,
    }
}

fn replay(spec: &ChannelSpec, records: &[Record]) -> (Run, Vec<(u64, Command)>) {
    let mut log = CommandLog::default();
    let run = Replay {
        spec: spec.clone(),
        mlp: None,
        every_cycle: false,
    }
    .run(records, &mut log);
    (
        run,
        log.commands.iter().map(|c| (c.tick, c.command)).collect(),
    )
}

#[test]
fn first_read_of_a_closed_bank_takes_one_plus_trcd_plus_cl_plus_burst() {
    // HBM2: two-slot ACT adds one CK. HBM3: the read waits for a rising edge.
    for (name, expected) in [
        ("GDDR6_14000", 1 + 27 + 24 + 2),
        ("HBM2_2000", 1 + 1 + 14 + 14 + 2),
    ] {
        let (run, _) = replay(&spec(name), &[read(0, 0)]);
        assert_eq!(run.latencies, [expected], "{name}");
    }
}

#[test]
fn row_and_column_commands_share_a_slot_only_on_a_dual_bus() {
    let records: Vec<Record> = (0..16).map(|i| read(0, i * 32)).collect();
    let shared = |name: &str| {
        let (_, log) = replay(&spec(name), &records);
        log.windows(2).any(|w| w[0].0 == w[1].0)
    };
    assert!(shared("HBM3_6400"));
    assert!(!shared("GDDR6_14000"));
}

#[test]
fn a_younger_conflict_cannot_close_a_row_under_an_older_hit() {
    // Three hits and, between them, a conflict: the row is closed after the hits that are older than it.
    let row = 16 * 1024;
    let records = [read(0, 0), read(0, 512), read(0, row), read(0, 1024)];
    let (run, log) = replay(&spec("HBM2_2000"), &records);
    assert_eq!(run.stats.activates, 2);
    let precharge = log.iter().position(|c| c.1 == Command::Precharge).unwrap();
    let reads_before = log[..precharge]
        .iter()
        .filter(|c| c.1 == Command::Read)
        .count();
    assert_eq!(reads_before, 3, "tRAS leaves time for the younger hit too");
}

#[test]
fn fcfs_serves_in_order_of_arrival() {
    let mut s = spec("HBM2_2000");
    s.policy = Policy::Fcfs;
    let records = [
        read(0, 0),
        read(0, 16 * 1024),
        read(0, 32),
        write(0, 64),
        read(0, 512),
    ];
    let mut log = CommandLog::default();
    Replay {
        spec: s,
        mlp: None,
        every_cycle: false,
    }
    .run(&records, &mut log);
    let order: Vec<u32> = log
        .commands
        .iter()
        .filter(|c| c.command.is_column())
        .map(|c| c.tag)
        .collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
}

#[test]
fn a_read_of_a_queued_write_returns_after_one_cycle_and_a_second_write_merges() {
    let mut s = spec("HBM2_2000");
    s.refresh = RefreshMode::Off;
    let mut channel = Channel::new(&s);
    let mut done = Vec::new();
    channel.accept(5, 64, Kind::Write, 0);
    channel.accept(5, 64, Kind::Write, 1);
    channel.accept(5, 64, Kind::Read, 2);
    channel.advance(6, &mut done, &mut NoDramProbe);
    let tags: Vec<(u32, u64)> = done.iter().map(|c| (c.tag, c.at)).collect();
    assert_eq!(tags, [(1, 6), (2, 6)]);
    assert_eq!(
        (
            channel.stats().merged_writes,
            channel.stats().forwarded_reads
        ),
        (1, 1)
    );
}

#[test]
fn writes_wait_for_the_high_watermark_while_reads_keep_coming() {
    let mut s = spec("HBM2_2000");
    s.refresh = RefreshMode::Off;
    // Reads saturate the channel; 20 writes among them stay below 80 % of 32, 30 do not.
    let reads_before_first_write = |writes: u64| {
        let mut records: Vec<Record> = (0..64).map(|i| read(0, i * 32)).collect();
        records.extend((0..writes).map(|i| write(0, (1 << 20) + i * 32)));
        records.extend((64..400).map(|i| read(0, i * 32)));
        let (_, log) = replay(&s, &records);
        log.iter()
            .take_while(|c| c.1 != Command::Write)
            .filter(|c| c.1 == Command::Read)
            .count()
    };
    assert!(reads_before_first_write(20) > 380);
    assert!(reads_before_first_write(30) < 200);
}

#[test]
fn writes_below_the_watermark_wait_until_no_read_was_queued_for_a_while() {
    let mut s = spec("HBM2_2000");
    s.refresh = RefreshMode::Off;
    s.write_idle = 100;
    // The read leaves its queue at its activate; then the wait begins.
    let written = |second_read: Option<u64>| {
        let mut records = vec![read(9, 0), write(9, 64)];
        records.extend(second_read.map(|cycle| read(cycle, 32)));
        // A run ends with its last read.
        records.push(read(1000, 96));
        let (_, log) = replay(&s, &records);
        // The log counts from one.
        let first = |command| log.iter().find(|c| c.1 == command).unwrap().0 - 1;
        (first(Command::Activate), first(Command::Write))
    };
    let (gone, at) = written(None);
    let trcd = u64::from(s.standard.timing.rcd_wr);
    assert_eq!(
        at - gone,
        100 + 1 + trcd,
        "the wait, the activate's second slot, tRCD_WR"
    );
    // A read that comes just before starts the wait again; one that comes in the same cycle is too late.
    assert!(written(Some(gone + 99)).1 > at + 90);
    assert_eq!(written(Some(gone + 100)).1, at);
    s.write_idle = 0;
    let (_, log) = replay(&s, &[read(9, 0), write(9, 64)]);
    assert!(
        log[1].0 - log[0].0 < 10,
        "without a wait the write opens its row at once"
    );
}

#[test]
fn closed_page_activates_for_every_access_and_batching_for_every_batch() {
    let records: Vec<Record> = (0..4).map(|i| read(0, i * 512)).collect();
    let activates = |page| {
        let mut s = spec("HBM2_2000");
        s.page = page;
        replay(&s, &records).0.stats
    };
    assert_eq!(activates(PagePolicy::Closed).activates, 4);
    assert_eq!(activates(PagePolicy::ClosedBatch).activates, 1);
    assert_eq!(activates(PagePolicy::ClosedBatch).auto_precharges, 1);
    assert_eq!(activates(PagePolicy::Open).auto_precharges, 0);
}

#[test]
fn an_idle_row_is_closed_after_the_timeout() {
    let mut s = spec("HBM2_2000");
    s.page = PagePolicy::Timeout { cycles: 100 };
    let (_, log) = replay(&s, &[read(0, 0), read(500, 0)]);
    let issued: Vec<Command> = log.iter().map(|c| c.1).collect();
    use Command::{Activate, Precharge, Read};
    assert_eq!(issued, [Activate, Read, Precharge, Activate, Read]);
    assert_eq!(log[2].0 - log[1].0, 100);
}

#[test]
fn an_idle_channel_makes_up_its_refreshes_when_work_arrives() {
    let s = spec("HBM2_2000");
    let mut channel = Channel::new(&s);
    assert_eq!(channel.next_event(), u64::MAX);
    let mut done = Vec::new();
    channel.accept(39_100, 0, Kind::Read, 7);
    assert_eq!(channel.stats().refreshes, 10);
    channel.advance(40_000, &mut done, &mut NoDramProbe);
    // The tenth refresh started at 39000 and lasts 260 - 1 CK up to a two-slot ACT.
    assert_eq!(done[0].at, 39_000 + 259 + 15 + 16);
}

#[test]
fn postponed_refreshes_are_made_up_when_the_queue_is_empty() {
    let mut s = spec("HBM2_2000");
    s.refresh = RefreshMode::AllBank { postpone: 8 };
    let records = generate(Pattern::Sequential, 8000, (0, 1), 1 << 28, 1);
    let (busy, _) = replay(&s, &records);
    assert_eq!(
        busy.stats.refreshes, 0,
        "16000 CK hold four refreshes, all put off"
    );
    s.refresh = RefreshMode::AllBank { postpone: 2 };
    // The third that falls due brings the first two along.
    assert_eq!(replay(&s, &records).0.stats.refreshes, 3);
}

#[test]
fn bandwidth_meets_the_closed_form_bounds() {
    // Bound as CK a burst: two CK sequentially, tRRD or tFAW / 4 at random, tRC in one bank.
    for name in [
        "HBM2_2000",
        "HBM3_6400",
        "GDDR6_14000",
        "GDDR6X_19000",
        "HBM2E_3200",
    ] {
        let mut s = spec(name);
        let t = s.standard.timing;
        let available = 1.0 - f64::from(t.rfc) / f64::from(t.refi);
        let span = 1 << 28;
        let row = u64::from(s.standard.org.row_bytes) * 16;
        let activate = (t.rrd_s.max(t.rrd_l) as f64).max(f64::from(t.faw) / 4.0);
        let random = if name == "HBM3_6400" {
            f64::from(t.faw) / 4.0
        } else {
            activate
        };
        // When a stream enters the next row in all banks, its first bank is back after PRE, ACT and RD, while the
        // others can fill one burst each.
        let reopen = f64::from(t.rtp + t.rp + t.rcd_rd) - f64::from(16 * t.bl);
        let sweep = f64::from(s.standard.org.columns() * 16 * t.bl);
        let sequential = f64::from(t.bl) * (1.0 + reopen.max(0.0) / sweep);
        let cases = [
            (Pattern::Sequential, 200_000, sequential, 8),
            (Pattern::Random { bytes: 32 }, 50_000, random, 0),
            (
                Pattern::RowConflict { bytes: row },
                4_000,
                f64::from(t.rc.max(t.ras + t.rp)),
                0,
            ),
        ];
        for (pattern, count, ck, postpone) in cases {
            // Streams that reopen all rows after each refresh lose up to 6 %: a batch of refreshes loses that once.
            s.refresh = RefreshMode::AllBank { postpone };
            let (run, _) = replay(&s, &generate(pattern, count, (0, 1), span, 3));
            let got = run.cycles as f64 * available / count as f64;
            let error = got / ck - 1.0;
            assert!(
                (-0.01..0.03).contains(&error),
                "{name} {pattern:?}: {got:.3} CK, bound {ck}"
            );
        }
    }
}

/// A drain begins with as many writes as `write_high` and goes on until `write_low` are left, 0 among them.
#[test]
fn a_drain_begins_and_ends_at_the_entries_that_the_watermarks_say() {
    for (queue, high, low) in [(1, 1, 0), (8, 8, 0), (8, 2, 1), (64, 40, 3), (64, 64, 63)] {
        let mut spec = spec("HBM2_2000");
        spec.set_queues(8, queue);
        (spec.write_high, spec.write_low) = (high, low);
        spec.write_idle = 1_000_000;
        spec.refresh = RefreshMode::Off;
        spec.check().unwrap();
        let mut channel = Channel::new(&spec);
        let mut done = Vec::new();
        let (mut now, mut reads) = (0, 0);
        let mut step = |channel: &mut Channel, kind, addr: u64| {
            now += 1;
            channel.advance(now, &mut done, &mut NoDramProbe);
            if channel.can_accept(kind) {
                channel.accept(now, addr, kind, 0);
                return true;
            }
            false
        };
        // Reads never cease, so only the watermark starts a drain.
        let mut writes = 0;
        while writes < high {
            reads += u64::from(step(&mut channel, Kind::Read, (1 << 20) + reads * 32));
            assert_eq!(channel.stats().writes, 0, "{queue}:{high}:{low}");
            writes += u32::from(step(&mut channel, Kind::Write, u64::from(writes) * 32));
        }
        for _ in 0..4000 {
            reads += u64::from(step(&mut channel, Kind::Read, (1 << 20) + reads * 32));
        }
        let served = channel.stats().writes;
        // Writes whose row was opened leave the queue when it is; they are served all the same.
        assert_eq!(served, u64::from(high - low), "{queue}:{high}:{low}");
    }
}

#[test]
fn watermarks_that_cannot_work_are_refused() {
    for (high, low) in [(33, 6), (6, 6), (5, 6)] {
        let mut spec = spec("HBM2_2000");
        (spec.write_high, spec.write_low) = (high, low);
        let faults = spec.check().unwrap_err();
        assert!(
            faults[0].contains("write_low < write_high <= write_queue = 32"),
            "{faults:?}"
        );
    }
    for queue in 1..=200 {
        let mut spec = spec("HBM2_2000");
        spec.set_queues(queue, queue);
        assert_eq!(spec.check(), Ok(()), "{queue}");
    }
}
