//! The search, on powers that are known by formula.

use super::*;

/// Clocks from 100 to 1000 MHz in steps of 10, and a power that grows with the clock and does not depend on counters.
fn governor(limit_w: u32, watts: fn(f64) -> f64) -> Governor {
    Governor {
        clocks: (10..=100).map(|step| step * 10_000).collect(),
        limit_w,
        watts: Box::new(move |_, _, khz| watts(f64::from(khz) / 1e3)),
    }
}

/// The power at which a search ends, the clocks that were run, and whether the last run was the one.
fn search(governor: &Governor) -> (Power, Vec<u32>, bool) {
    let mut search = Search::new(governor);
    let mut tried = Vec::new();
    loop {
        tried.push(search.clock_khz() / 1000);
        if let Next::Found(power, last) = search.ran(&ChipCounters::default(), 1) {
            return (power, tried, last);
        }
    }
}

#[test]
fn a_kernel_within_the_limit_runs_once() {
    let (power, tried, last) = search(&governor(100, |mhz| mhz / 10.0));
    assert_eq!(tried, [1000]);
    assert!(last && !power.throttled);
    assert_eq!((power.clock_khz, power.runs), (1_000_000, 1));
    assert_eq!(power.average_w, 100.0);
}

/// A watt less than it takes: the highest clock that fits, which the counters name at once, and the one above it.
#[test]
fn just_above_the_limit_the_clock_is_a_step_lower() {
    let (power, tried, last) = search(&governor(99, |mhz| mhz / 10.0));
    assert_eq!(tried, [1000, 990]);
    assert!(last && power.throttled);
    assert_eq!((power.clock_khz, power.average_w), (990_000, 99.0));
}

#[test]
fn the_clock_is_the_highest_within_the_limit() {
    for limit in 1..=101 {
        let governor = governor(limit, |mhz| mhz / 10.0);
        let (power, tried, last) = search(&governor);
        let fits =
            |khz: u32| (governor.watts)(&ChipCounters::default(), 1, khz) <= f64::from(limit);
        let expected = governor.clocks.iter().rev().find(|khz| fits(**khz));
        assert_eq!(power.clock_khz, *expected.unwrap_or(&100_000), "{limit}");
        assert_eq!(last, tried.last() == Some(&(power.clock_khz / 1000)));
        assert_eq!(power.average_w > f64::from(limit), expected.is_none());
        // Once at the highest, at what was aimed at, and at its neighbour.
        assert!(tried.len() <= 3, "{limit}: {tried:?}");
    }
}

/// What a run says of other clocks is wrong by far: the power of a kernel hardly depends on the clock, since memory bounds
/// it. The interval is halved then.
#[test]
fn a_search_that_is_misled_ends_all_the_same() {
    let clocks: Vec<u32> = (10..=100).map(|step| step * 10_000).collect();
    for limit in 150..=300 {
        // Each run counts its own clock, and says that power goes with the square of it.
        let watts = |mhz: f64| 150.0 + mhz / 10.0;
        let governor = Governor {
            clocks: clocks.clone(),
            limit_w: limit,
            watts: Box::new(move |_, own, khz| {
                let mhz = f64::from(khz) / 1e3;
                watts(own as f64) * (mhz / own as f64).powi(2)
            }),
        };
        let mut search = Search::new(&governor);
        let mut runs = 0;
        let power = loop {
            runs += 1;
            let own = u64::from(search.clock_khz() / 1000);
            if let Next::Found(power, _) = search.ran(&ChipCounters::default(), own) {
                break power;
            }
        };
        let fits = |khz: &&u32| watts(f64::from(**khz) / 1e3) <= f64::from(limit);
        let expected = clocks.iter().rev().find(fits).unwrap_or(&100_000);
        assert_eq!(power.clock_khz, *expected, "{limit}");
        assert!(runs <= AIMED + 7, "{limit}: {runs}");
        assert_eq!(power.runs, runs);
    }
}

#[test]
fn a_single_clock_is_taken_whatever_it_costs() {
    let governor = Governor {
        clocks: vec![1_000_000],
        limit_w: 1,
        watts: Box::new(|_, _, _| 50.0),
    };
    let mut search = Search::new(&governor);
    let Next::Found(power, true) = search.ran(&ChipCounters::default(), 1) else {
        panic!("there is no other clock");
    };
    assert_eq!(
        (power.average_w, power.limit_w, power.throttled),
        (50.0, 1, false)
    );
}
