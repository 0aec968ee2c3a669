//! Throttling of whole runs: the clock is the highest within the limit, the kernel is that of a machine with this clock, and
//! each clock domain keeps its own time.

use crate::energy::{Coefficients, Energy};
use crate::error::Result;
use crate::probe::Instruments;
use crate::report::Report;
use crate::report::explain;
use crate::report::schema::{Kernel, PowerInfo};
use crate::research::BuildProbe;
use crate::sampling::{Memo, Settings};
use crate::session::{Options, Session};
use serde_json::Value as Json;

/// Computes: about 100 W of a V100, none of it for DRAM.
const FFMA: &str = "synth:ffma?grid=160&block=512&iters=4";
/// Streams from DRAM.
const COPY: &str = "synth:copy?bytes=8MiB";
const ON: &str = "power.throttle=true";
/// One part of each kernel is simulated, however wide its interval is.
const ONE_PART: Settings = Settings {
    ci: 0.1,
    budget: 6_000_000,
    patience: 0,
};

fn session(gpu: &str, sets: &[&str]) -> Session {
    Session::new(gpu, sets).unwrap()
}

fn run_with(inputs: &[&str], sets: &[&str], options: &Options) -> Result<Report> {
    let session = session("v100", sets);
    let workload = session.open(inputs)?;
    Ok(session.run(&workload, options)?.report)
}

fn run(inputs: &[&str], sets: &[&str]) -> Report {
    run_with(inputs, sets, &Options::default()).unwrap()
}

fn power(kernel: &Kernel) -> &PowerInfo {
    kernel.power.as_ref().unwrap()
}

/// Average power at the configured clock.
fn watts(report: &Report, session: &Session) -> f64 {
    let table = Coefficients::of(session.spec());
    Energy::of(&report.kernels[0], session.spec(), &table).average_w
}

/// A kernel without what is said of its power.
fn plain(kernel: &Kernel) -> Kernel {
    Kernel {
        power: None,
        ..kernel.clone()
    }
}

fn limit(watts: u32) -> String {
    format!("power.limit_w={watts}")
}

#[test]
fn a_kernel_within_its_limit_is_that_of_a_run_without() {
    let free = run(&[FFMA], &[]);
    assert!(free.kernels[0].power.is_none());
    let taken = watts(&free, &session("v100", &[]));
    let within = run(&[FFMA], &[ON, &limit(taken as u32 + 1)]);
    let own = power(&within.kernels[0]);
    assert!(!own.throttled && !own.above_limit);
    assert_eq!((own.clock_khz, own.runs), (1_380_000, 1));
    assert!((own.average_w - taken).abs() < 1e-9);
    assert_eq!(plain(&within.kernels[0]), free.kernels[0]);
    assert_eq!(within.totals, free.totals);
}

/// Just above the limit: steps are wide enough that one of them is more than the watt that is missing at most.
#[test]
fn a_kernel_just_above_its_limit_is_one_step_lower() {
    let free = run(&[FFMA], &[]);
    let taken = watts(&free, &session("v100", &[])).floor();
    let step = "power.clock_step_khz=40 MHz";
    let report = run(&[FFMA], &[ON, step, &limit(taken as u32)]);
    let own = power(&report.kernels[0]);
    assert!(own.throttled && own.average_w <= taken);
    assert_eq!((own.clock_khz, own.runs), (1_340_000, 2));
}

/// At the clock that was found the kernel is within the limit, one step up it is not, and both are what the machine is that
/// has this clock.
#[test]
fn the_clock_is_the_highest_within_the_limit() {
    for (input, watts_of) in [(FFMA, 95), (COPY, 95), ("synth:sgemm?m=256&n=256&k=64", 69)] {
        let report = run(&[input], &[ON, &limit(watts_of)]);
        let own = power(&report.kernels[0]);
        assert!(own.throttled && !own.above_limit, "{input}: {own:?}");
        assert!(own.average_w <= f64::from(watts_of));
        let at = |khz: u32| {
            let clock = format!("gpu.core_clock_khz={khz}");
            let slower = session("v100", &[&clock]);
            let report = run(&[input], &[&clock]);
            (watts(&report, &slower), report)
        };
        let (taken, slower) = at(own.clock_khz);
        assert!((taken - own.average_w).abs() < 1e-9, "{input}");
        assert_eq!(plain(&report.kernels[0]), slower.kernels[0], "{input}");
        assert!((report.totals.time_us - slower.totals.time_us).abs() < 1e-9);
        let (more, _) = at(own.clock_khz + 7_500);
        assert!(more > f64::from(watts_of), "{input}: {more}");
    }
}

/// Half the clock: what computes takes the same cycles and twice the time; what streams from DRAM takes half the cycles.
#[test]
fn dram_keeps_its_own_clock() {
    let half = [
        ON,
        "power.limit_w=1",
        "power.clock_min_khz=690 MHz",
        "power.clock_step_khz=690 MHz",
    ];
    let times = |input: &str| {
        let (fast, slow) = (run(&[input], &[]), run(&[input], &half));
        let own = power(&slow.kernels[0]);
        assert_eq!((own.clock_khz, own.above_limit), (690_000, true));
        assert_eq!(
            slow.kernels[0].time_us,
            slow.kernels[0].cycles as f64 / 690.0
        );
        slow.kernels[0].time_us / fast.kernels[0].time_us
    };
    let computes = times("synth:ffma?grid=160&block=512&iters=40");
    assert!((1.97..=2.0).contains(&computes), "{computes}");
    let streams = times("synth:copy?bytes=32MiB");
    assert!((1.0..1.2).contains(&streams), "{streams}");
}

#[test]
fn energy_closes_at_the_clock_that_was_found() {
    let report = run(&[COPY], &[ON, "power.limit_w=95"]);
    let session = session("v100", &[]);
    let kernel = &report.kernels[0];
    let energy = Energy::of(kernel, session.spec(), &Coefficients::of(session.spec()));
    let sum: f64 = energy.parts().iter().map(|(_, joules)| joules).sum();
    assert!((energy.total_j - sum).abs() <= 1e-12 * sum);
    assert!((energy.average_w - power(kernel).average_w).abs() < 1e-9);
    assert!((energy.total_j / (kernel.time_us * 1e-6) - energy.average_w).abs() < 1e-6);
}

/// The clock of one kernel is none of the next one's business; what the first leaves in L2 is.
#[test]
fn each_kernel_has_its_own_clock() {
    let on = [ON, "power.limit_w=90"];
    let report = run(&[FFMA, COPY, FFMA], &on);
    let clocks: Vec<u32> = report.kernels.iter().map(|k| power(k).clock_khz).collect();
    assert!(report.kernels.iter().all(|k| power(k).throttled));
    assert!(clocks[0] != clocks[1], "{clocks:?}");
    let alone = run(&[FFMA], &on);
    assert_eq!(report.kernels[0], alone.kernels[0]);
    let sum: f64 = report.kernels.iter().map(|k| k.time_us).sum();
    assert!((report.totals.time_us - sum).abs() < 1e-6 * sum);
    let cycles: u64 = report.kernels.iter().map(|k| k.cycles).sum();
    assert_eq!(report.totals.cycles, cycles);
    // The second copy finds in L2 what the first has left there, however often each of them ran.
    let small = "synth:copy?bytes=1MiB";
    let report = run(&[small, small], &on);
    let reads = |at: usize| report.kernels[at].dram.counters.reads;
    assert!(report.kernels.iter().all(|k| power(k).runs > 1));
    assert!(reads(1) < reads(0) / 2, "{} {}", reads(0), reads(1));
}

/// Kernels that share the chip share its clock.
#[test]
fn kernels_of_several_streams_have_one_clock() {
    let input = ["synth:copy?bytes=2MiB&launches=4&streams=2"];
    let report = run(&input, &[ON, "power.limit_w=90"]);
    assert!(report.kernels.iter().any(|k| k.overlapped));
    let first = power(&report.kernels[0]);
    assert!(first.throttled && first.average_w <= 90.0);
    assert_eq!(power(&report.kernels[1]), first);
    let several = |report: &Report| {
        let said = &report.validity.assumptions;
        said.iter().any(|line| line.contains("several clocks"))
    };
    assert!(!several(&report));
    // Pairs that follow each other have clocks of their own: what each pair shares is counted twice in sums, as the report
    // says.
    let pairs = "synth:copy?bytes=256KiB&launches=4&streams=2";
    let report = run(&[pairs], &[ON, "power.limit_w=90"]);
    assert_ne!(power(&report.kernels[0]), power(&report.kernels[2]));
    assert!(several(&report));
    assert!(!several(&run(&[COPY, FFMA], &[ON, "power.limit_w=90"])));
}

fn without_host(report: &Report) -> Json {
    let mut json = serde_json::to_value(report).unwrap();
    json.as_object_mut().unwrap().remove("simulation");
    json
}

#[test]
fn any_number_of_threads_and_every_visited_cycle_give_the_same_report() {
    let inputs = [FFMA, "synth:copy?bytes=1MiB&launches=2&streams=2", FFMA];
    let with = |threads: usize, no_skip: bool| {
        let options = Options {
            threads,
            no_skip,
            ..Options::default()
        };
        without_host(&run_with(&inputs, &[ON, "power.limit_w=80"], &options).unwrap())
    };
    let one = with(1, false);
    for (threads, no_skip) in [(2, false), (3, false), (1, true)] {
        assert_eq!(with(threads, no_skip), one, "{threads} {no_skip}");
    }
}

/// Instruments watch a run of their own, at the clocks that were found.
#[test]
fn an_observed_run_is_the_same() {
    let session = session("v100", &[ON, "power.limit_w=90"]);
    let workload = session.open(&[FFMA, "synth:copy?bytes=1MiB"]).unwrap();
    let options = || Options {
        instruments: Instruments::new(vec!["gpu-profiling-research"], Vec::new()),
        ..Options::default()
    };
    let plain = session.run(&workload, &options()).unwrap().report;
    let observed = session
        .run_with::<BuildProbe>(&workload, &options())
        .unwrap()
        .report;
    assert!(power(&plain.kernels[0]).throttled);
    assert_eq!(observed.kernels, plain.kernels);
    assert_eq!(observed.totals, plain.totals);
}

/// A run that is broken off says at which clock it was.
#[test]
fn a_run_that_ends_early_has_the_clock_of_its_last_kernel() {
    let options = Options {
        max_cycles: Some(4_000),
        ..Options::default()
    };
    let report = run_with(&[FFMA], &[ON, "power.limit_w=60"], &options).unwrap();
    assert!(report.kernels[0].partial);
    assert_eq!(power(&report.kernels[0]).clock_khz, 1_380_000);
}

#[test]
fn a_sampled_kernel_settles_at_the_clock_of_its_estimate() {
    let memo = Memo::default();
    let sample = |sets: &[&str], memo: &Memo| {
        let session = session("a100-80", sets);
        let input = "synth:gemm?m=2048&n=4096&k=2048&type=f16";
        let workload = session.open(&[input, input]).unwrap();
        let run = session.sample(&workload, &Options::default(), ONE_PART, memo);
        run.unwrap().report
    };
    let free = sample(&[], &memo);
    assert_eq!(free.kernels[0].provenance.kind, "sampled");
    let taken = watts(&free, &session("a100-80", &[]));
    let sets = [ON, &limit(taken as u32 - 40)];
    let report = sample(&sets, &memo);
    for kernel in &report.kernels {
        let own = power(kernel);
        assert!(own.throttled && own.runs > 1 && own.average_w <= taken - 40.0);
        let microseconds = kernel.cycles as f64 * 1e3 / f64::from(own.clock_khz);
        assert!((kernel.time_us - microseconds).abs() < 1e-9);
    }
    let again = |memo: &Memo| without_host(&sample(&sets, memo));
    assert_eq!(again(&memo), without_host(&report));
}

#[test]
fn what_needs_one_clock_is_refused_by_name() {
    let session = session("v100", &[ON]);
    let workload = session.open(&["synth:empty"]).unwrap();
    let refused = |options: &Options, name: &str| {
        let error = session.run(&workload, options).err().unwrap();
        assert_eq!(error.exit_status(), 2);
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.to_string().contains("power.throttle"), "{error}");
    };
    let checkpoint = Options {
        checkpoint: Some(session.checkpoint("never-written")),
        ..Options::default()
    };
    refused(&checkpoint, "--checkpoint");
    let timeline = Options {
        timeline: Some(100),
        ..Options::default()
    };
    refused(&timeline, "--timeline");
    refused(&timeline, "--over-time");
    let roofline = session.rooflines(&workload, &Options::default());
    assert!(
        roofline
            .err()
            .unwrap()
            .to_string()
            .contains("--fidelity roofline")
    );
}

#[test]
fn every_leaf_of_power_is_explained_and_shown() {
    let report = run(&[FFMA], &[ON, "power.limit_w=95"]);
    let json = serde_json::to_value(&report.kernels[0]).unwrap();
    let all = explain::catalogue();
    for name in json["power"].as_object().unwrap().keys() {
        let path = format!("kernels[].power.{name}");
        let entry = all.iter().find(|e| e.path == path);
        assert!(entry.is_some_and(|e| !e.text.is_empty()), "{path}");
    }
    let text = crate::report::table::render(&report);
    assert!(
        text.contains("limit 95 W") && text.contains("throttled"),
        "{text}"
    );
    let loud = run(&[FFMA], &[ON, "power.limit_w=20"]);
    assert!(power(&loud.kernels[0]).above_limit);
    let text = crate::report::table::render(&loud);
    assert!(text.contains("ABOVE IT AT THE LOWEST CLOCK"), "{text}");
    let warnings = crate::report::validity::warnings(&loud);
    assert!(
        warnings[0].contains("more than the 20 W of the board"),
        "{warnings:?}"
    );
}

/// DEVIATIONS.md, E2. The boards settle at 1.23, 1.34 to 1.40 and 1.47 GHz; the first and the last clock are what the tables
/// are calibrated to, and the second what the voltage of its board is.
#[test]
fn large_products_settle_at_the_clocks_of_their_boards() {
    let settled = |gpu: &str| {
        let session = session(gpu, &[ON]);
        let workload = session
            .open(&["synth:gemm?m=8192&n=8192&k=8192&type=f16"])
            .unwrap();
        let run = session.sample(&workload, &Options::default(), ONE_PART, &Memo::default());
        let report = run.unwrap().report;
        let own = power(&report.kernels[0]).clone();
        assert!(own.throttled && !own.above_limit, "{gpu}: {own:?}");
        f64::from(own.clock_khz) / 1e6
    };
    for (gpu, least, most) in [
        ("a100-80", 0.9 * 1.23, 1.1 * 1.23),
        ("h100-pcie", 1.34, 1.40),
        ("h100-sxm", 0.9 * 1.47, 1.1 * 1.47),
    ] {
        let clock = settled(gpu);
        assert!((least..=most).contains(&clock), "{gpu}: {clock} GHz");
    }
}
