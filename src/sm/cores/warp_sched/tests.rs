//! Each scheduler's choice, worked out by hand.

use super::*;

fn scheduler(policy: SchedulerPolicy, ages: &[u8], last: u8) -> Scheduler {
    let mut spec = crate::config::load("v100", &[]).unwrap().spec.sm;
    spec.scheduler = policy;
    spec.two_level_active_warps = 2;
    let mut s = Scheduler::new(&spec);
    ages.iter().for_each(|&w| s.launched(w, 0));
    s.issued(last);
    s
}

#[test]
fn greedy_schedulers_stay_with_the_last_warp() {
    for policy in [SchedulerPolicy::Gto, SchedulerPolicy::Cggty] {
        assert_eq!(scheduler(policy, &[3, 1, 2], 1).pick(0b1110), 1);
    }
}

#[test]
fn then_oldest_or_youngest() {
    let mut gto = scheduler(SchedulerPolicy::Gto, &[3, 1, 2], 1);
    assert_eq!(gto.pick(0b1100), 3);
    assert_eq!(
        scheduler(SchedulerPolicy::Cggty, &[3, 1, 2], 1).pick(0b1100),
        2
    );
    gto.exited(3);
    assert_eq!(gto.pick(0b0110), 1);
}

#[test]
fn round_robin_goes_on_after_the_last() {
    let mut lrr = scheduler(SchedulerPolicy::Lrr, &[0, 1, 2, 3], 2);
    assert_eq!(lrr.pick(0b1011), 3);
    assert_eq!(lrr.pick(0b0111), 0);
}

#[test]
fn two_level_keeps_to_its_active_set() {
    let mut s = scheduler(SchedulerPolicy::TwoLevel, &[0, 1, 2, 3], 0);
    assert_eq!(s.pick(0b1111), 1);
    assert_eq!(s.active, 0b0011);
    s.issued(1);
    assert_eq!(s.pick(0b1101), 0);
    assert_eq!(s.pick(0b1100), 2);
}

#[test]
fn a_warp_that_its_cta_waits_for_goes_first() {
    let mut s = scheduler(SchedulerPolicy::BarrierAware, &[0, 1, 2], 0);
    assert_eq!(s.pick(0b0111), 0, "nobody waits: greedy");
    s.barrier_changed(2, 3);
    s.barrier_changed(1, 2);
    assert_eq!(s.pick(0b0111), 2);
    assert_eq!(s.pick(0b0011), 1);
    s.barrier_changed(2, 0);
    s.barrier_changed(1, 0);
    assert_eq!(s.pick(0b0110), 1, "again the oldest");
}

#[test]
fn a_warp_with_fewer_misses_goes_first() {
    let mut s = scheduler(SchedulerPolicy::MissAware, &[0, 1, 2], 0);
    s.missed(0);
    assert_eq!(s.pick(0b0111), 1);
    s.missed(1);
    s.missed(1);
    s.missed(2);
    assert_eq!(s.pick(0b0111), 0, "equal to 2: greedy");
    assert_eq!(s.pick(0b0110), 2);
    s.served(1);
    assert_eq!(s.pick(0b0110), 1, "equal to 2: oldest");
}
