//! Sampling: what is cut, and what is made of it.

use super::course::Course;
use super::plan::Shape;
use super::waves::wave_time;
use super::*;
use crate::session::{self, Session};
use crate::simulation::{CtaSpan, Sample};
use crate::stats::UnitCounts;

fn shape(ctas: u64, wave: u64, trips: u64) -> Shape {
    Shape {
        ctas,
        wave,
        holds: 1,
        trips,
        trips_total: ctas * trips,
        fixed: 1000,
        each: if trips == 1 { 0 } else { 100 },
        asked: 0,
        fills: 0,
    }
}

#[test]
fn little_work_is_run_as_a_whole() {
    let small = shape(100, 80, 1);
    assert!(Plan::new(&small, 100_000, 0).whole(&small));
    assert!(!Plan::new(&shape(10_000, 80, 1), 100_000, 0).whole(&shape(10_000, 80, 1)));
}

#[test]
fn of_many_waves_a_part_is_run_where_few_would_be_run_as_a_whole() {
    let (few, many) = (shape(1599, 80, 1), shape(1600, 80, 1));
    assert!(Plan::new(&few, 1_600_000, 0).whole(&few));
    assert_eq!(Plan::new(&many, 1_600_000, 0).ctas, 160);
    assert_eq!(Plan::new(&many, 3_900_000, 0).ctas, 160);
    assert!(Plan::new(&many, 4_100_000, 0).whole(&many));
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
    assert_eq!(long.ctas, 160);
    let Trips::Some(run) = long.trips else {
        panic!("{long:?}");
    };
    assert!((16..=500).contains(&run));
    assert_eq!(
        Plan::new(&shape(16_000, 80, 20), 1_000_000, 0).trips,
        Trips::All
    );
}

#[test]
fn waves_are_timed_whether_ctas_end_together_or_one_by_one() {
    // Waves of 100 that end together, 1000 cycles apart, and the same spread evenly.
    let together: Vec<u64> = (0..300).map(|k| 500 + k / 100 * 1000).collect();
    assert_eq!(wave_time(&together, 100, 1500).value, 1000.0);
    let spread: Vec<u64> = (0..300).map(|k| 500 + k * 10).collect();
    let mean = wave_time(&spread, 100, spread[199]);
    assert_eq!((mean.value, mean.half), (1000.0, 15.0));
    // Of a wave and a half nothing says that it is steady; of half a wave, there is a rate at least.
    let few = wave_time(&spread[..150], 100, spread[49]);
    assert_eq!((few.value, few.half), (1000.0, 250.0));
    assert_eq!(wave_time(&spread[..50], 100, 0).value, 1000.0);
}

/// Ends of waves of 100 CTAs, spread evenly over each, of these lengths.
fn ends(waves: &[u64]) -> Vec<u64> {
    let mut now = 0;
    let mut ends = Vec::new();
    for length in waves {
        ends.extend((1..=100).map(|k| now + length * k / 100));
        now += length;
    }
    ends
}

#[test]
fn waves_that_settle_are_followed_and_those_that_drift_say_so() {
    // Early waves are quicker, then all are alike; the last one drains in half the time, which is no wave's.
    let settling = ends(&[600, 800, 1000, 1000, 1000, 1000, 1000, 500]);
    let settled = wave_time(&settling, 100, settling[699]);
    assert_eq!(settled.value, 1000.0);
    assert!((30.0..45.0).contains(&settled.half), "{settled:?}");
    let drifting = ends(&[600, 700, 800, 900, 1000, 1100, 1200]);
    let drift = wave_time(&drifting, 100, drifting[599]);
    assert!(drift.value > 950.0 && drift.value < 1050.0, "{drift:?}");
    assert!(drift.half > 0.07 * drift.value, "{drift:?}");
    let steady = ends(&[1000; 6]);
    let steady = wave_time(&steady, 100, steady[499]);
    assert_eq!((steady.value, steady.half), (1000.0, 15.0));
}

#[test]
fn sectors_cost_as_much_as_instructions() {
    let small = shape(900, 80, 1);
    assert!(Plan::new(&small, 1_000_000, 0).whole(&small));
    // 900 CTAs of 1000 instructions and of 250 sectors, each as much work as four of them.
    let moves = Shape {
        asked: 8000,
        ..small
    };
    assert_eq!(moves.total_work(), 2 * small.total_work());
    let plan = Plan::new(&moves, 1_000_000, 0);
    assert!(!plan.whole(&moves));
    assert_eq!(plan.work(&moves), 2 * plan.instructions(&moves));
}

#[test]
fn the_beginning_on_a_cold_cache_is_part_of_the_tenth() {
    for ctas in [8000, 8039, 100_001] {
        let warm = shape(ctas, 80, 1);
        let cold = Shape { fills: 100, ..warm };
        // A wave that ends, and CTAs that ask for half as much again as L2 holds.
        let plan = Plan::new(&cold, 500_000, 0);
        assert_eq!((plan.begin, Plan::new(&warm, 500_000, 0).begin), (230, 0));
        assert!(plan.instructions(&cold) * 10 <= cold.total());
        assert_eq!(plan.instructions(&cold), (plan.ctas + 230) * 1000);
    }
}

#[test]
fn loops_stay_whole_where_some_waves_of_them_are_affordable() {
    // 800 CTAs of 101 000 instructions, ten waves.
    let loops = shape(800, 80, 1000);
    let wave = 80 * 101_000;
    let plan = Plan::new(&loops, 3 * wave, 0);
    assert_eq!((plan.trips, plan.ctas), (Trips::All, 240));
    let Trips::Some(run) = Plan::new(&loops, 3 * wave - 1, 0).trips else {
        panic!("two waves say too little");
    };
    assert!((20..=500).contains(&run));
    // Of five waves there is nothing to cut away.
    let few = shape(400, 80, 1000);
    assert!(matches!(Plan::new(&few, 3 * wave, 0).trips, Trips::Some(_)));
    assert_eq!(
        Plan::new(&few, 3 * wave, 0).ctas,
        400,
        "all keep their place"
    );
    assert_eq!(Plan::new(&few, 400 * 2000, 0).ctas, 160);
}

#[test]
fn the_less_is_run_the_less_is_known() {
    let loops = shape(160, 80, 1000);
    let of = |shape: &Shape, run| {
        let plan = Plan {
            ctas: shape.ctas,
            trips: Trips::Some(run),
            begin: 0,
        };
        plan.least(shape)
    };
    let least = |run| of(&loops, run);
    assert!((least(500) - 0.015).abs() < 0.001, "{}", least(500));
    assert!((least(100) - 0.048).abs() < 0.001, "{}", least(100));
    // An SM that gets eight CTAs, four at once, may get a ninth; with one at once it does not.
    let four = Shape { holds: 4, ..loops };
    assert!((of(&four, 500) - 0.063).abs() < 0.002, "{}", of(&four, 500));
    // Of a grid that runs at once each SM has its own.
    let at_once = Shape { wave: 160, ..four };
    assert!((of(&at_once, 500) - 0.015).abs() < 0.001);
    // Three waves say how long one is, two do not; and no kernel is known to less than 1.9 % by half of it.
    let waves = |ctas| {
        let plan = Plan {
            ctas,
            trips: Trips::All,
            begin: 0,
        };
        plan.least(&shape(2400, 80, 1))
    };
    assert!((waves(240) - 0.019).abs() < 1e-9);
    assert!((waves(1920) - 0.4 * 0.019).abs() < 1e-9);
    assert!((waves(160) - 0.25 * 2240.0 / 2400.0).abs() < 1e-9);
}

/// A run on two SMs of a machine of 10 instructions a cycle and SM, sampled every 10 cycles.
fn course(ctas: &[(u16, u64, u64)], issued: impl Fn(usize, u64) -> u64) -> Course {
    let span = |&(sm, from, to): &(u16, u64, u64)| CtaSpan {
        kernel: 0,
        cta: 0,
        sm,
        span: (from, to),
    };
    let sample = |at| Sample {
        at,
        counters: ChipCounters::default(),
        units: UnitCounts {
            issued: [issued(0, at), issued(1, at)].into(),
            ..UnitCounts::default()
        },
        warps: 0,
    };
    let spans: Vec<CtaSpan> = ctas.iter().map(span).collect();
    Course::new(&spans, (0..300).map(|k| sample(k * 10)).collect(), 2)
}

#[test]
fn the_rate_of_loops_is_that_behind_the_ramp() {
    // 100 cycles of ramp without an instruction, then 900 cycles at 10 a cycle.
    let ramp = |_: usize, at: u64| at.clamp(100, 1000).saturating_sub(100) * 10;
    let alone = course(&[(0, 0, 1000), (1, 0, 1000)], ramp);
    let [Some(one), None] = alone.rates(2)[..] else {
        panic!("one CTA was seen alone, two never");
    };
    let near = |rate: f64| (rate - 10.0).abs() < 1e-9;
    assert!(
        near(one.value) && near(one.early) && near(one.late),
        "{one:?}"
    );
    assert_eq!(alone.issued_at_first_end(1), Some(9000.0));
    assert_eq!(alone.issued_at_first_end(2), None);
    assert_eq!(alone.speeds(), [1.0, 1.0]);
}

#[test]
fn phases_have_their_own_rates() {
    // Both SMs run two CTAs for 1000 cycles, and the second another 1000 with one, at half the rate.
    let ctas = [(0, 0, 1000), (0, 0, 1000), (1, 0, 1000), (1, 0, 2000)];
    let issued = |sm, at: u64| match sm {
        0 => at.min(1000) * 10,
        _ => at.min(1000) * 10 + at.clamp(1000, 2000).saturating_sub(1000) * 5,
    };
    let course = course(&ctas, issued);
    let rates: Vec<f64> = course
        .rates(2)
        .into_iter()
        .flatten()
        .map(|rate| rate.value)
        .collect();
    assert_eq!(rates, [5.0, 10.0]);
    assert_eq!(course.issued_at_first_end(2), Some(10_000.0));
}

#[test]
fn a_rate_that_changes_is_seen() {
    let slower = |_: usize, at: u64| ((at.min(1000) as f64).sqrt() * 100.0) as u64;
    let course = course(&[(0, 0, 1000)], slower);
    let rate = course.rates(1)[0].expect("a phase");
    assert!(rate.late < 0.9 * rate.early, "{rate:?}");
}

#[test]
fn an_sm_is_slower_as_far_as_both_halves_of_the_time_say_so() {
    let ctas = [(0, 0, 1000), (1, 0, 1000)];
    let always = course(&ctas, |sm, at| at.min(1000) * if sm == 0 { 8 } else { 12 });
    let speeds = always.speeds();
    assert!((speeds[0] - 0.8).abs() < 1e-9 && (speeds[1] - 1.2).abs() < 1e-9);
    // Each is ahead in one half.
    let by_turns = course(&ctas, |sm, at| match sm {
        0 => at.min(525) * 8 + at.clamp(525, 1000).saturating_sub(525) * 12,
        _ => at.min(525) * 12 + at.clamp(525, 1000).saturating_sub(525) * 8,
    });
    assert_eq!(by_turns.speeds(), [1.0, 1.0]);
}

/// What others have written is in L2 when a product begins, and goes out to DRAM while its first iterations run. A part of a
/// tenth of the loop sees little else; the whole is mostly behind it.
#[test]
fn dirty_lines_of_others_slow_the_part_and_not_the_whole() {
    let session = Session::new("t4", &["gpu.sms=8"]).unwrap();
    let others = "synth:elementwise?n=4194304&fn=copy&type=f32";
    let product = "synth:gemm?m=128&n=1024&k=16384&type=f16&layout=nt";
    let workload = session.open(&[others, product]).unwrap();
    let settings = Settings {
        ci: 0.3,
        budget: 1_000_000,
        patience: 0,
    };
    let memo = Memo::default();
    let sampled = session
        .sample(&workload, &session::Options::default(), settings, &memo)
        .unwrap()
        .report;
    let full = session
        .run(&workload, &session::Options::default())
        .unwrap()
        .report;
    let (part, whole) = (&sampled.kernels[1], &full.kernels[1]);
    assert!(
        part.provenance.simulated_fraction < 0.15,
        "{:?}",
        part.provenance
    );
    // Without what settles later it is 8 % too slow.
    let off = part.cycles as f64 / whole.cycles as f64 - 1.0;
    assert!(off.abs() < 0.02, "{off}");
}

/// The CTAs of a product run together and read twenty times what L2 holds; what they write in the end is there all the
/// same, for the kernel that adds it up.
#[test]
fn what_a_wave_writes_in_the_end_is_in_l2_behind_it() {
    let session = Session::new("t4", &[""; 0]).unwrap();
    let product = "synth:gemm?m=128&n=512&k=8192&type=f16";
    let workload = session.open(&[product]).unwrap();
    let usual = session::Options::default();
    let (settings, memo) = (Settings::default(), Memo::default());
    let sampled = session.sample(&workload, &usual, settings, &memo).unwrap();
    let full = session.run(&workload, &usual).unwrap();
    let [ours, whole] = [&sampled, &full].map(|run| &run.report.kernels[1]);
    assert_eq!(whole.name, "splitKreduce_kernel");
    assert_eq!(
        (ours.dram.counters.reads, whole.dram.counters.reads),
        (0, 0)
    );
    // Missing what most of them had written, it took 2.2 times as long.
    let off = ours.cycles as f64 / whole.cycles as f64 - 1.0;
    assert!(off.abs() < 0.02, "{off}");
}
