//! Sampling: what is cut, and what is made of it.

use super::plan::Shape;
use super::waves::{batch_mean, difference_error, first_wave_time, spread_time, wave_time};
use super::*;

fn shape(ctas: u64, wave: u64, trips: u64) -> Shape {
    Shape {
        ctas,
        wave,
        trips,
        trips_total: ctas * trips,
        fixed: 1000,
        each: if trips == 1 { 0 } else { 100 },
    }
}

#[test]
fn little_work_is_run_as_a_whole() {
    let small = shape(100, 80, 1);
    assert!(Plan::new(&small, 100_000, 0).whole(&small));
    assert!(!Plan::new(&shape(10_000, 80, 1), 100_000, 0).whole(&shape(10_000, 80, 1)));
}

#[test]
fn of_many_waves_at_most_a_tenth_is_run() {
    for ctas in [1600, 1659, 1999, 8000, 100_001] {
        let shape = shape(ctas, 80, 1);
        let plan = Plan::new(&shape, 1_000_000, 0);
        assert!(plan.ctas * 10 <= ctas, "{} of {ctas}", plan.ctas);
        assert_eq!(
            plan.ctas % 80,
            ctas % 80,
            "the incomplete wave is a true one"
        );
    }
}

#[test]
fn long_loops_are_cut_and_short_ones_are_not() {
    let long = Plan::new(&shape(160, 80, 1000), 1_000_000, 0);
    assert_eq!(long.ctas, 80);
    let Trips::Two { few, many } = long.trips else {
        panic!("{long:?}");
    };
    assert!(few >= 7 && many > 2 * few && many < 1000);
    assert_eq!(
        Plan::new(&shape(16_000, 80, 20), 1_000_000, 0).trips,
        Trips::All
    );
}

#[test]
fn waves_are_timed_whether_ctas_end_together_or_one_by_one() {
    // Waves of 100 that end together, 1000 cycles apart, and the same spread evenly.
    let together: Vec<u64> = (0..300).map(|k| 500 + k / 100 * 1000).collect();
    assert_eq!(wave_time(&together, 100).unwrap().value, 1000.0);
    let spread: Vec<u64> = (0..300).map(|k| 500 + k * 10).collect();
    let mean = wave_time(&spread, 100).unwrap();
    assert_eq!((mean.value, mean.half), (1000.0, 10.0));
    assert_eq!(wave_time(&spread[..150], 100), None);
    assert_eq!(spread_time(&spread[..150], 100).value, 1000.0);
}

#[test]
fn an_interval_covers_what_varies() {
    let noisy: Vec<f64> = (0..1000).map(|k| 100.0 + f64::from(k % 7)).collect();
    let mean = batch_mean(&noisy);
    assert!((mean.value - 103.0).abs() < 0.1 && mean.half < 0.5);
    let drifting: Vec<f64> = (0..1000).map(f64::from).collect();
    let mean = batch_mean(&drifting);
    assert!(mean.half > 150.0, "a drift is seen: {mean:?}");
}

#[test]
fn differences_are_compared_between_sms_that_did_the_same() {
    let sm = |ctas, last| SmEnd {
        ctas,
        last,
        ..SmEnd::default()
    };
    let few = [sm(2, 100), sm(2, 110), sm(1, 50), sm(1, 52)];
    let same = [sm(2, 300), sm(2, 310), sm(1, 150), sm(1, 152)];
    assert_eq!(difference_error(&same, &few), 0.0);
    let other = [sm(2, 300), sm(2, 340), sm(1, 150), sm(1, 152)];
    assert!(difference_error(&other, &few) > 0.05);
    assert_eq!(
        difference_error(&[sm(1, 5)], &[sm(2, 3)]),
        1.0,
        "nothing to compare"
    );
}

#[test]
fn the_first_wave_is_timed_on_sms_that_ran_no_more() {
    let sm = |ctas, held, last| SmEnd {
        ctas,
        first: 100,
        held,
        last,
    };
    let some = [sm(2, 1100, 1100), sm(2, 1100, 1100), sm(3, 1300, 1900)];
    assert_eq!(first_wave_time(&some, 2, 10).value, 1010.0);
    assert_eq!(first_wave_time(&some[2..], 2, 10).value, 1210.0);
}
