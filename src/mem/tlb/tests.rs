//! Address translation by hand: capacities, queues, merging; and laws that any load keeps.

use super::{Ask, Looked, Mmu, Page, PageTable, SmTlb};
use crate::config::{GpuSpec, TlbSpec, load};
use crate::engine::Cycle;
use crate::ids::{GpcId, SmId};
use crate::mem::{Line, Reply};
use proptest::prelude::*;

/// Bytes of a page.
const PAGE: u64 = 2 << 20;
/// From a read of the page table at its slice to the entry's leaving it.
const ACCESS: Cycle = 300;

/// Round numbers, and no cache of the walkers.
fn spec(change: impl FnOnce(&mut TlbSpec)) -> GpuSpec {
    let mut spec = load("v100", &["gpu.sms=8".into(), "gpu.gpcs=2".into()])
        .unwrap()
        .spec;
    spec.noc.request_latency = 50;
    spec.noc.reply_latency = 40;
    spec.noc.header_bytes = 32;
    spec.noc.sm_request_bytes_per_cycle = 32;
    let tlb = &mut spec.tlb;
    tlb.enabled = true;
    (tlb.l1_entries, tlb.l1_ways, tlb.l1_mshrs) = (4, 4, 2);
    (tlb.gpc_entries, tlb.gpc_ways, tlb.gpc_mshrs) = (16, 16, 8);
    (tlb.gpc_interval, tlb.gpc_latency) = (1, 10);
    (tlb.l2_entries, tlb.l2_ways, tlb.l2_mshrs) = (64, 64, 8);
    (tlb.l2_interval, tlb.l2_latency) = (1, 9);
    (tlb.walkers, tlb.walk_cache_entries) = (2, 0);
    change(tlb);
    spec
}

/// A walk from its start to its page: four entries, each asked over 50 cycles, served, and back in 40.
const WALK: Cycle = 4 * (50 + ACCESS + 40);

/// The MMU with a memory that serves every read in [`ACCESS`] cycles.
struct Bench {
    mmu: Mmu,
    quantum: Cycle,
    now: Cycle,
    reads: Vec<(Cycle, Line)>,
    answers: Vec<Reply>,
}

impl Bench {
    fn new(spec: &GpuSpec) -> Self {
        Bench {
            mmu: Mmu::new(spec).unwrap(),
            quantum: 10,
            now: 0,
            reads: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// SM `sm` of GPC `sm % 2` asks for `page` at `at`.
    fn ask(&mut self, at: Cycle, sm: u16, page: u64) {
        let ask = Ask {
            at,
            page: Page(page),
        };
        self.mmu.ask(GpcId(sm % 2), SmId(sm), ask);
    }

    fn step(&mut self) {
        self.now += self.quantum;
        self.mmu.run(self.now);
        for read in std::mem::take(&mut self.mmu.reads) {
            assert!(read.at >= self.now, "arrives in a later quantum");
            self.reads.push((read.at, read.line));
            let (_, walker) = read.to.walker().expect("a walker asks");
            self.mmu.entry_sent(walker, read.at + ACCESS);
        }
        for answer in self.mmu.answers.drain(..) {
            assert!(answer.at >= self.now, "arrives in a later quantum");
            self.answers.push(answer);
        }
    }

    /// Runs to `end`; answers as cycle, SM and page, sorted.
    fn run(&mut self, end: Cycle) -> Vec<(Cycle, u16, u64)> {
        while self.now < end {
            self.step();
        }
        let page = |line: Line| line.address() / PAGE;
        let answers = self.answers.iter().map(|r| (r.at, r.sm.0, page(r.line)));
        let mut answers: Vec<_> = answers.collect();
        answers.sort_unstable();
        answers
    }
}

/// Chases `pages` pages in a ring for three laps; hits of the last two.
fn ring_hits(tlb: &mut SmTlb, pages: u64) -> u64 {
    let mut hits = 0;
    for lap in 0..3 {
        for page in 0..pages {
            let line = Line::of(page * PAGE);
            if tlb.look(line, 0, false) == Looked::Hit {
                hits += u64::from(lap > 0);
            } else {
                tlb.answer(line);
            }
        }
    }
    hits
}

#[test]
fn a_tlb_of_n_pages_holds_n_and_no_more() {
    let spec = spec(|_| {});
    assert_eq!(ring_hits(&mut SmTlb::new(&spec.tlb), 4), 8);
    // One more, and under LRU every page has gone when its turn comes.
    assert_eq!(ring_hits(&mut SmTlb::new(&spec.tlb), 5), 0);
}

#[test]
fn an_sm_waits_for_so_many_pages_and_looks_the_next_one_up_later() {
    let spec = spec(|_| {});
    let mut tlb = SmTlb::new(&spec.tlb);
    let line = |page: u64| Line::of(page * PAGE);
    assert_eq!(tlb.look(line(0), 5, false), Looked::Waits);
    assert_eq!(tlb.look(line(1), 6, false), Looked::Waits);
    assert_eq!(tlb.look(line(2), 7, false), Looked::Full);
    assert_eq!(tlb.look(line(1), 8, false), Looked::Waits, "joins");
    assert_eq!(tlb.look(line(2), 9, true), Looked::Full, "asked too early");
    assert!(!tlb.came(line(0)));
    tlb.answer(line(0));
    assert!(tlb.came(line(0)) && !tlb.came(line(1)));
    assert_eq!(tlb.look(line(2), 30, true), Looked::Waits);
    let asked: Vec<_> = tlb.asks.iter().map(|a| (a.at, a.page.0)).collect();
    assert_eq!(asked, [(5, 0), (6, 1), (30, 2)]);
    let s = &tlb.stats;
    assert_eq!(
        (s.lookups, s.misses, s.merged, s.asked, s.parked),
        (4, 4, 1, 3, 1)
    );
}

#[test]
fn a_page_costs_the_levels_that_miss_it() {
    let mut bench = Bench::new(&spec(|_| {}));
    bench.ask(100, 0, 7);
    // SM 2 is in the same GPC, SM 1 in the other one.
    bench.ask(5000, 2, 7);
    bench.ask(6000, 1, 7);
    let answers = bench.run(8000);
    assert_eq!(
        answers,
        [
            (100 + WALK + 9 + 10, 0, 7),
            (5000 + 10, 2, 7),
            (6000 + 9 + 10, 1, 7)
        ]
    );
    // The entries of page 7, from the root down, one behind the other.
    let table = PageTable::new(crate::config::PageSize::Mib2);
    let entries: Vec<_> = (0..4).map(|level| table.entry(level, Page(7)).0).collect();
    let reads: Vec<_> = (0..4)
        .map(|n| (150 + n * 390, entries[n as usize]))
        .collect();
    assert_eq!(bench.reads, reads);
}

#[test]
fn misses_of_one_page_are_one_walk() {
    let mut bench = Bench::new(&spec(|_| {}));
    for (at, sm) in [(100, 0), (101, 2), (102, 1), (400, 4)] {
        bench.ask(at, sm, 7);
    }
    let there = 100 + WALK + 9 + 10;
    let all = [(there, 0, 7), (there, 1, 7), (there, 2, 7), (there, 4, 7)];
    assert_eq!(bench.run(4000), all);
    let stats = bench.mmu.stats();
    assert_eq!(
        (stats.gpc.lookups, stats.gpc.merged, stats.gpc.asked),
        (4, 2, 2)
    );
    assert_eq!(
        (stats.l2.lookups, stats.l2.merged, stats.l2.asked),
        (2, 1, 1)
    );
    assert_eq!((stats.walk.walks, stats.walk.reads), (1, 4));
}

#[test]
fn lookups_take_turns_and_walks_wait_for_a_walker() {
    let mut bench = Bench::new(&spec(|tlb| {
        tlb.gpc_interval = 3;
        tlb.walkers = 1;
    }));
    // Three SMs of one GPC in one cycle: looked up at 100, 103 and 106, walked for one after the other.
    for (sm, page) in [(0, 7), (2, 8), (4, 9)] {
        bench.ask(100, sm, page);
    }
    let ends = [100 + WALK, 100 + 2 * WALK, 100 + 3 * WALK];
    let expected = [
        (ends[0] + 19, 0, 7),
        (ends[1] + 19, 2, 8),
        (ends[2] + 19, 4, 9),
    ];
    assert_eq!(bench.run(8000), expected);
    let stats = bench.mmu.stats();
    assert_eq!(stats.gpc.wait_cycles, 3 + 6);
    assert_eq!(stats.walk.busy_cycles, 3 * WALK);
    assert_eq!(stats.walk.queue_cycles, (ends[0] - 103) + (ends[1] - 106));
}

#[test]
fn a_level_that_waits_for_so_many_pages_takes_the_next_when_one_comes() {
    let mut bench = Bench::new(&spec(|tlb| tlb.l2_mshrs = 1));
    bench.ask(100, 0, 7);
    bench.ask(101, 2, 8);
    // Comes while page 8 waits for the entry, and joins it there.
    bench.ask(102, 1, 8);
    let (first, second) = (100 + WALK, 100 + 2 * WALK);
    let expected = [(first + 19, 0, 7), (second + 19, 1, 8), (second + 19, 2, 8)];
    assert_eq!(bench.run(8000), expected);
    let l2 = bench.mmu.stats().l2;
    assert_eq!((l2.parked, l2.misses, l2.merged, l2.asked), (2, 3, 1, 2));
}

#[test]
fn the_cache_of_the_walkers_leaves_the_last_entry_to_read() {
    let mut bench = Bench::new(&spec(|tlb| tlb.walk_cache_entries = 8));
    bench.ask(100, 0, 7);
    bench.ask(3000, 0, 9);
    // Page 300 is in the next 512 MiB: the two levels above are known.
    bench.ask(6000, 0, 300);
    let read = WALK / 4;
    let expected = [
        (100 + WALK + 19, 0, 7),
        (3000 + read + 19, 0, 9),
        (6000 + 2 * read + 19, 0, 300),
    ];
    assert_eq!(bench.run(9000), expected);
    let walk = bench.mmu.stats().walk;
    assert_eq!((walk.reads, walk.cached), (4 + 1 + 2, 3 + 2));
}

/// Asks of SMs for pages at cycles, no page twice by one SM within the time that an answer can take.
fn asks() -> impl Strategy<Value = Vec<(Cycle, u16, u64)>> {
    prop::collection::vec((0u64..3000, 0u16..8, 0u64..600), 1..120).prop_map(|mut asks| {
        let mut seen = std::collections::BTreeSet::new();
        asks.retain(|&(_, sm, page)| seen.insert((sm, page)));
        asks.sort_unstable();
        asks
    })
}

proptest! {
    /// Whatever is asked of whatever machine: every ask is answered once, levels agree, and how time is cut into quanta
    /// changes nothing.
    #[test]
    fn every_ask_is_answered_once_and_the_levels_agree(
        asks in asks(), mshrs in 1u16..6, walkers in 1u16..4, cached in 0u16..6, interval in 1u8..5, small in any::<bool>()
    ) {
        let spec = spec(|tlb| {
            (tlb.gpc_mshrs, tlb.l2_mshrs) = (mshrs, mshrs + 1);
            (tlb.walkers, tlb.walk_cache_entries) = (walkers, cached);
            (tlb.gpc_interval, tlb.l2_interval) = (interval, interval);
            if small {
                (tlb.gpc_entries, tlb.gpc_ways, tlb.l2_entries, tlb.l2_ways) = (2, 2, 4, 2);
            }
        });
        let run = |quantum: Cycle| {
            let mut bench = Bench::new(&spec);
            bench.quantum = quantum;
            for &(at, sm, page) in &asks {
                bench.ask(at, sm, page);
            }
            // Longer than all walks one after the other.
            let answers = bench.run(3000 + asks.len() as u64 * (WALK + 50) + 100);
            (answers, bench.mmu.stats())
        };
        let (answers, stats) = run(10);
        let mut answered: Vec<_> = answers.iter().map(|&(_, sm, page)| (sm, page)).collect();
        let mut asked: Vec<_> = asks.iter().map(|&(_, sm, page)| (sm, page)).collect();
        answered.sort_unstable();
        asked.sort_unstable();
        prop_assert_eq!(answered, asked);
        for level in [&stats.gpc, &stats.l2] {
            prop_assert_eq!(level.lookups, level.hits + level.misses);
            prop_assert_eq!(level.misses, level.merged + level.asked);
        }
        prop_assert_eq!(stats.gpc.lookups, asks.len() as u64);
        prop_assert_eq!(stats.gpc.asked, stats.l2.lookups);
        prop_assert_eq!(stats.walk.walks, stats.l2.misses - stats.l2.merged);
        prop_assert_eq!(stats.walk.reads + stats.walk.cached, 4 * stats.walk.walks);
        prop_assert_eq!(run(3), (answers.clone(), stats));
        prop_assert_eq!(run(1), (answers, stats));
    }
}
