//! Sampled runs against full ones: the estimate, its interval, its counters, and that nothing depends on threads.

use phantom_gpu::internals::sampling::{Memo, Settings};
use phantom_gpu::internals::simulation::ProvenanceKind;
use phantom_gpu::session::{Options, Outcome, Session};

type Sampled = Outcome<phantom_gpu::internals::probe::NoProbe>;

fn sampled(session: &Session, input: &str, budget: u64, threads: usize) -> Sampled {
    let workload = session.open(&[input]).unwrap();
    let options = Options {
        threads,
        ..Options::default()
    };
    let settings = Settings {
        ci: 0.05,
        budget,
        patience: 0,
    };
    session
        .sample(&workload, &options, settings, &Memo::default())
        .unwrap()
}

/// Kernels that a full run ends in a second or so, each with the budget that cuts it.
const CASES: [(&str, &str, u64); 5] = [
    ("v100", "synth:stream?bytes=48MiB&launches=2", 400_000),
    ("v100", "synth:sgemm?m=1024&n=1408&k=1024", 1_000_000),
    (
        "a100-80",
        "synth:copy?bytes=64MiB&width=16&launches=2",
        300_000,
    ),
    ("a100-80", "synth:hgemm?m=2048&n=2048&k=2048", 600_000),
    ("h100-sxm", "synth:sgemm?m=1024&n=2048&k=512", 1_000_000),
];

#[test]
fn estimates_are_those_of_full_runs() {
    for (gpu, input, budget) in CASES {
        let session = Session::new::<&str>(gpu, &[]).unwrap();
        let workload = session.open(&[input]).unwrap();
        let full = session.run(&workload, &Options::default()).unwrap();
        let part = sampled(&session, input, budget, 1);
        // Waves are extrapolated only behind a kernel that has filled L2.
        let last = full.run.kernels.len() - 1;
        let (full, part) = (&full.run.kernels[last], &part.run.kernels[last]);
        let provenance = &part.provenance;
        assert_eq!(provenance.kind, ProvenanceKind::Sampled, "{input}");
        assert!(
            provenance.simulated_fraction < 0.7,
            "{input}: {provenance:?}"
        );
        let (truth, estimate) = (full.end - full.start, part.end - part.start);
        let error = estimate as f64 / truth as f64 - 1.0;
        let most = provenance.ci_rel.max(0.03);
        assert!(
            error.abs() <= most,
            "{gpu} {input}: {error:+.4} {provenance:?}"
        );
        let counts = |run: &phantom_gpu::internals::simulation::KernelRun| {
            [run.warp_instructions, run.counters.sm.lsu.sector_requests]
        };
        for (of_full, of_part) in counts(full).into_iter().zip(counts(part)) {
            let off = of_part as f64 / of_full.max(1) as f64 - 1.0;
            assert!(off.abs() < 0.01, "{gpu} {input}: {of_full} {of_part}");
        }
        let spec = session.spec();
        let slots = estimate * u64::from(spec.sms) * u64::from(spec.sm.sub_cores);
        assert_eq!(
            part.counters.sm.issue.total(),
            slots,
            "{input}: every slot has its label"
        );
    }
}

#[test]
fn threads_change_nothing_and_equal_kernels_are_run_once() {
    let session = Session::new::<&str>("v100", &[]).unwrap();
    let input = "synth:stream?bytes=8MiB&launches=9";
    let one = sampled(&session, input, 100_000, 1);
    let three = sampled(&session, input, 100_000, 3);
    let kernels = |outcome: &Sampled| serde_json::to_value(&outcome.report.kernels).unwrap();
    assert_eq!(kernels(&one), kernels(&three));
    let kinds: Vec<_> = one.run.kernels.iter().map(|k| k.provenance.kind).collect();
    // The first launches have ever more before them; then everything is as it was.
    assert_eq!(kinds[8], ProvenanceKind::Memo);
    assert_eq!(kinds[0], ProvenanceKind::Full, "L2 is empty before it");
    assert_eq!(kinds[2], ProvenanceKind::Sampled);
    let cycles = |at: usize| one.run.kernels[at].end - one.run.kernels[at].start;
    assert_eq!(cycles(7), cycles(8));
}

#[test]
fn small_kernels_are_run_as_a_whole() {
    let session = Session::new::<&str>("v100", &[]).unwrap();
    let input = "synth:copy?bytes=64KiB";
    let workload = session.open(&[input]).unwrap();
    let full = session.run(&workload, &Options::default()).unwrap();
    let part = sampled(&session, input, 1_000_000, 1);
    assert_eq!(part.run.kernels[0].provenance.kind, ProvenanceKind::Full);
    assert_eq!(part.run.kernels[0].end, full.run.kernels[0].end);
}

#[test]
fn what_sampling_does_not_follow_is_refused() {
    let session = Session::new::<&str>("v100", &[]).unwrap();
    let refused = |workload: &phantom_gpu::trace::Workload| {
        let (options, memo) = (Options::default(), Memo::default());
        let error = session.sample(workload, &options, Settings::default(), &memo);
        let error = error.err().expect("a refusal");
        assert_eq!(error.exit_status(), 2);
        error.to_string()
    };
    let streams = session.open(&["synth:copy?bytes=64KiB&launches=2&streams=2"]);
    assert!(refused(&streams.unwrap()).contains("several streams"));
    let mut copies = session.open(&["synth:copy?bytes=64KiB"]).unwrap();
    let copy = phantom_gpu::trace::Command::MemcpyHtoD {
        address: 0,
        bytes: 4096,
    };
    copies.commands.insert(0, copy);
    assert!(refused(&copies).contains("host copies"));
}

#[test]
fn a_roofline_is_that_of_an_operator() {
    let session = Session::new::<&str>("a100-80", &[]).unwrap();
    let options = Options::default();
    let operator = session
        .open(&["synth:gemm?m=2048&n=2048&k=2048&type=f16"])
        .unwrap();
    let report = session.rooflines(&operator, &options).unwrap().report;
    // 2 x 2048^3 operations at 312 TFLOP/s.
    assert!(
        (report.totals.time_us - 55.1).abs() < 0.5,
        "{}",
        report.totals.time_us
    );
    assert_eq!(report.kernels[0].provenance.kind, "roofline");
    let kernel = session.open(&["synth:copy?bytes=64KiB"]).unwrap();
    assert_eq!(
        session
            .rooflines(&kernel, &options)
            .err()
            .unwrap()
            .exit_status(),
        2
    );
}

#[test]
fn the_memory_limit_holds_for_parts_too() {
    let session = Session::new::<&str>("v100", &[]).unwrap();
    let workload = session.open(&["synth:copy?bytes=64KiB"]).unwrap();
    let options = Options {
        memory_limit: Some(1024),
        ..Options::default()
    };
    let refused = session.sample(&workload, &options, Settings::default(), &Memo::default());
    assert_eq!(refused.err().unwrap().exit_status(), 2);
}
