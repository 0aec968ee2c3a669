//! One behaviour of the SM each, to the exact cycle: a hand-written kernel runs on a whole GPU, a
//! probe notes when each instruction issued.

mod bench;
mod order;
mod port;

use crate::config;
use crate::engine::Cycle;
use crate::isa::{Control, MemKind, MemSpace, OpClass, RegFile, RegRange};
use crate::simulation::{self, Options};
use bench::{Bench, quiet, words};

#[test]
fn a_dependent_ffma_issues_after_four_cycles_and_an_independent_one_when_the_pipe_is_free() {
    let mut b = quiet(&[]);
    b.inst(OpClass::Fp32, Some(1), &[2, 3, 4]);
    b.inst(OpClass::Fp32, Some(5), &[2, 3, 4]);
    b.inst(OpClass::Fp32, Some(6), &[5, 3, 4]);
    assert_eq!(b.issue_cycles()[0][..3], [0, 2, 6]);
}

#[test]
fn a_consumer_on_the_other_pipe_waits_one_cycle_more() {
    let mut b = quiet(&[]);
    b.inst(OpClass::Imad, Some(1), &[2, 3]);
    b.inst(OpClass::IntAlu, Some(4), &[1]);
    b.inst(OpClass::IntAlu, Some(5), &[4]);
    assert_eq!(b.issue_cycles()[0][..3], [0, 5, 9]);
}

/// The register's last writer in the table is on the other pipe, the one in flight is a load: the cycle that
/// crossing pipes costs must not make an unknown time a known one.
#[test]
fn a_load_in_flight_is_waited_for_across_pipes() {
    let mut b = quiet(&[]);
    b.inst(OpClass::IntAlu, Some(4), &[2]);
    b.inst(OpClass::Imad, Some(5), &[4]);
    b.memory(MemKind::Load, MemSpace::Global, Some(4), &[8], &words());
    b.inst(OpClass::IntAlu, Some(9), &[2]);
    // The load is followed by the consumer, which stands before it in the table.
    b.order = vec![0, 1, 2, 1, 3, 4];
    let l2_hit = b.spec.noc.request_latency + b.spec.noc.reply_latency;
    let cycles = b.issue_cycles();
    assert!(
        cycles[0][3] - cycles[0][2] > u64::from(l2_hit),
        "{cycles:?}"
    );
}

#[test]
fn a_sleeping_warp_issues_again_when_it_wakes() {
    for sleep in [7, 500] {
        let mut b = quiet(&[&format!("sm.latency.sleep={sleep}")]);
        b.inst(OpClass::Sleep, None, &[]);
        b.inst(OpClass::Fp32, Some(1), &[2, 3]);
        assert_eq!(b.issue_cycles()[0][1], sleep);
    }
}

/// 32 lanes of local memory, each four lines of its own, when L1 does not keep local stores.
#[test]
fn a_scattered_local_store_has_128_lines() {
    for set in ["l1.local_write=through", "l1.enabled=false"] {
        let mut b = quiet(&[set]);
        let places: Vec<u64> = (0..32).map(|lane| 4096 * lane).collect();
        b.memory(MemKind::Store, MemSpace::Local, None, &[4], &places);
        let store = b.code.insts[0].mem.as_mut().expect("a store");
        store.width_bytes = 16;
        b.inst(OpClass::Fp32, Some(1), &[2, 3]);
        assert_eq!(b.issue_cycles()[0].len(), 3, "{set}");
    }
}

#[test]
fn a_write_waits_for_an_earlier_write_of_the_same_register() {
    let mut b = quiet(&[]);
    b.inst(OpClass::Mufu, Some(1), &[2]);
    b.inst(OpClass::Fp32, Some(1), &[3, 4]);
    let mufu = u64::from(b.spec.sm.latency.mufu);
    assert_eq!(b.issue_cycles()[0][1], mufu);
}

#[test]
fn a_branch_waits_for_the_latest_compare_that_names_no_predicate() {
    let mut b = quiet(&[]);
    b.inst(OpClass::SetPredicate, None, &[1]);
    b.inst(OpClass::Branch, None, &[]);
    let l = b.spec.sm.latency.clone();
    let cycles = b.issue_cycles();
    assert_eq!(cycles[0][1], u64::from(l.predicate_to_branch));
    assert_eq!(cycles[0][2] - cycles[0][1], u64::from(l.branch_not_taken));
}

#[test]
fn a_named_predicate_as_data_has_the_short_latency() {
    let mut b = quiet(&[]);
    b.inst(OpClass::SetPredicate, None, &[1]).dst[0] = RegRange {
        file: RegFile::Predicate,
        first: 0,
        count: 1,
    };
    b.inst(OpClass::IntAlu, Some(2), &[]).src[0] = RegRange {
        file: RegFile::Predicate,
        first: 0,
        count: 1,
    };
    let short = u64::from(b.spec.sm.latency.set_predicate);
    assert_eq!(b.issue_cycles()[0][1], short);
}

#[test]
fn a_stall_count_replaces_the_scoreboard() {
    let mut b = quiet(&[]);
    let control = |stall, wait_mask, write_barrier| {
        Some(Control {
            stall,
            yield_: false,
            write_barrier,
            read_barrier: 7,
            wait_mask,
            reuse: 0,
        })
    };
    b.inst(OpClass::Fp32, Some(1), &[2]).control = control(9, 0, 7);
    b.inst(OpClass::Fp32, Some(3), &[1]).control = control(2, 0, 7);
    // RAW on R3 is not checked: the compiler promised that two cycles are enough.
    b.inst(OpClass::IntAlu, Some(4), &[3]).control = control(1, 0, 7);
    assert_eq!(b.issue_cycles()[0][..3], [0, 9, 11]);
}

#[test]
fn a_wait_mask_holds_until_the_load_has_written() {
    let mut b = quiet(&[]);
    let control = |wait_mask, write_barrier| {
        Some(Control {
            stall: 2,
            yield_: false,
            write_barrier,
            read_barrier: 7,
            wait_mask,
            reuse: 0,
        })
    };
    b.memory(MemKind::Load, MemSpace::Shared, Some(1), &[2], &words());
    b.code.insts[0].control = control(0, 3);
    b.inst(OpClass::Fp32, Some(3), &[4]).control = control(0, 7);
    b.inst(OpClass::Fp32, Some(5), &[1]).control = control(1 << 3, 7);
    let load = u64::from(b.spec.smem.load_latency);
    assert_eq!(b.issue_cycles()[0][..3], [0, 2, load]);
}

#[test]
fn a_shared_load_takes_its_latency_and_two_cycles_for_each_further_pass() {
    for (ways, extra) in [(1, 0), (2, 1), (8, 7), (32, 31)] {
        let mut b = quiet(&[]);
        let at: Vec<u64> = (0..32).map(|l| 4 * ways * l).collect();
        b.memory(MemKind::Load, MemSpace::Shared, Some(1), &[2], &at);
        b.inst(OpClass::Fp32, Some(3), &[1]);
        let smem = b.spec.smem.clone();
        let expected = u64::from(smem.load_latency) + extra * u64::from(smem.conflict_latency);
        assert_eq!(b.issue_cycles()[0][1], expected, "{ways} ways");
    }
}

#[test]
fn a_load_that_hits_takes_exactly_the_hit_latency() {
    let mut b = quiet(&[]);
    b.memory(MemKind::Load, MemSpace::Global, Some(1), &[2], &words());
    b.inst(OpClass::Fp32, Some(2), &[1]);
    b.memory(MemKind::Load, MemSpace::Global, Some(1), &[2], &words());
    b.inst(OpClass::Fp32, Some(3), &[1]);
    let hit = u64::from(b.spec.l1.hit_latency);
    let cycles = b.issue_cycles();
    assert!(cycles[0][1] > 200, "the first access misses");
    assert_eq!(cycles[0][3] - cycles[0][2], hit);
}

#[test]
fn the_local_queue_takes_its_entries_back_to_back_and_then_one_for_each_address_generation() {
    let mut b = quiet(&["lsu.queue_entries=5", "lsu.agu_interval=4"]);
    for r in 0..8 {
        b.memory(
            MemKind::Load,
            MemSpace::Shared,
            Some(10 + r),
            &[2],
            &words(),
        );
    }
    let front = u64::from(b.spec.lsu.frontend_cycles);
    let cycles = &b.issue_cycles()[0];
    assert_eq!(cycles[..5], [0, 1, 2, 3, 4]);
    assert_eq!(cycles[5], front);
    assert_eq!(cycles[6], front + 4);
    assert_eq!(cycles[7], front + 8);
}

#[test]
fn an_operand_of_a_queued_store_may_not_be_overwritten() {
    let mut b = quiet(&[]);
    b.memory(MemKind::Store, MemSpace::Shared, None, &[2, 3], &words());
    b.inst(OpClass::Fp32, Some(9), &[4]);
    b.inst(OpClass::Fp32, Some(3), &[4]);
    let front = u64::from(b.spec.lsu.frontend_cycles);
    let cycles = &b.issue_cycles()[0];
    assert_eq!(cycles[1], 1, "an unrelated register");
    assert!(cycles[2] >= front, "R3 is still to be read");
}

#[test]
fn a_barrier_opens_twenty_cycles_and_two_per_warp_after_the_last_arrival() {
    for warps in [1, 2, 8, 32] {
        let mut b = quiet(&[]);
        b.warps = warps;
        b.inst(OpClass::Barrier, None, &[]);
        b.inst(OpClass::Fp32, Some(1), &[2]);
        let l = b.spec.sm.latency.clone();
        let first = b.issue_cycles().iter().map(|w| w[1]).min().unwrap();
        let opens = u64::from(l.barrier) + u64::from(l.barrier_per_warp) * u64::from(warps);
        // Cycles count from each warp's own arrival; up to eight warps of a sub-core arrive in turn.
        let stagger = u64::from(warps.div_ceil(4) - 1);
        assert!(
            (opens - stagger..=opens).contains(&first),
            "{warps} warps: {first}"
        );
    }
}

#[test]
fn warps_of_a_barrier_meant_for_fewer_do_not_wait_for_ever() {
    let mut b = quiet(&[]);
    b.warps = 4;
    b.inst(OpClass::Barrier, None, &[]).imm = 1;
    b.inst(OpClass::Barrier, None, &[]).imm = 0x102;
    b.inst(OpClass::Barrier, None, &[]).imm = 2;
    b.inst(OpClass::Fp32, Some(1), &[2]);
    assert_eq!(b.issue_cycles().len(), 4);
}

#[test]
fn a_fence_waits_for_the_stores_before_it() {
    let mut b = quiet(&[]);
    b.memory(MemKind::Store, MemSpace::Global, None, &[2, 3], &words());
    b.inst(OpClass::Membar, None, &[]);
    b.inst(OpClass::Fp32, Some(1), &[4]);
    let fence = u64::from(b.spec.sm.latency.membar_cta);
    let cycles = &b.issue_cycles()[0];
    assert!(cycles[2] - cycles[1] > 150 + fence, "{cycles:?}");
}

#[test]
fn four_dependent_warps_fill_a_greedy_scheduler_and_the_fifth_waits() {
    let mut b = quiet(&["sm.pipes.fp32_interval=1"]);
    b.warps = 20;
    for _ in 0..40 {
        b.inst(OpClass::Fp32, Some(1), &[1]);
    }
    let ends: Vec<Cycle> = b.issue_cycles().iter().map(|w| w[39]).collect();
    let quick = ends.iter().filter(|e| **e <= 39 * 4 + 8).count();
    assert!((16..20).contains(&quick), "{ends:?}");
}

#[test]
fn a_machine_without_progress_is_stopped_with_a_wait_for_graph() {
    let spec = config::load("v100", &[]).unwrap().spec;
    let workload =
        crate::kernels::synth::parse("synth:pchase?bytes=64MiB&warmup=0&iters=20", &spec).unwrap();
    let run = |watchdog_cycles| {
        let options = Options {
            watchdog_cycles,
            ..Options::default()
        };
        simulation::run::<crate::probe::NoProbe>(&workload, &spec, &options)
    };
    // A load from DRAM takes some 400 cycles: no progress for 350, progress within 2000.
    let stuck = run(350).err().expect("the watchdog barks").to_string();
    assert!(
        stuck.contains("no instruction issued for 350 cycles"),
        "{stuck}"
    );
    assert!(
        stuck.contains("SM 0 warp slot 0") && stuck.contains("long_scoreboard"),
        "{stuck}"
    );
    assert!(run(2000).is_ok());
}

/// Three operands of one bank need three read cycles each; reused ones need none, unless another warp
/// or a missing `.reuse` bit came between.
#[test]
fn a_reused_operand_needs_no_read_port() {
    let run = |first: u8, second: u8, reuse_cache: &str| {
        let mut b = Bench::new(
            "rtx3070",
            &[
                "fetch.perfect=true",
                "launch.warp_interval=0",
                "sm.pipes.fp32_interval=1",
                reuse_cache,
            ],
        );
        for reuse in [first, second, 0] {
            b.inst(OpClass::Fp32, Some(20), &[2, 4, 6]).control = Some(Control {
                stall: 1,
                yield_: false,
                write_barrier: 7,
                read_barrier: 7,
                wait_mask: 0,
                reuse,
            });
        }
        b.issue_cycles()[0][..3].to_vec()
    };
    let on = "sm.regfile.reuse_cache=true";
    assert_eq!(run(0, 0, on), [0, 1, 4], "the port is busy");
    assert_eq!(run(0b111, 0b111, on), [0, 1, 2]);
    assert_eq!(
        run(0b111, 0, on),
        [0, 1, 2],
        "the third reads afresh, but ports are free"
    );
    assert_eq!(run(0b111, 0b111, "sm.regfile.reuse_cache=false"), [0, 1, 4]);
}
