//! What a report says about its own limits: only what is true of this input on this GPU.

use crate::support::{self, Run};
use phantom_gpu::internals::ptx::record::record;
use phantom_gpu::internals::simulation::Options;
use phantom_gpu::report::schema::Status;
use phantom_gpu::report::validity::warnings;
use phantom_gpu::session::Session;
use phantom_gpu::trace::Command;
use phantom_gpu::trace::pgt::write_pgt;
use std::path::{Path, PathBuf};

const FOREIGN: &str = "tracer versions 3 to 5";
const CONSTANTS: &str = "name no constant addresses";
const REPLAYED: &str = "a trace is replayed";
const OTHER: &str = "code of another architecture";

fn root(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Which of the four lines a report has.
fn lines(run: &Run) -> [bool; 4] {
    let has = |part: &str| {
        run.report
            .validity
            .assumptions
            .iter()
            .any(|l| l.contains(part))
    };
    [FOREIGN, CONSTANTS, REPLAYED, OTHER].map(has)
}

fn run(input: &str, gpu: &str) -> Run {
    support::run(input, gpu)
}

/// The trace of a PTX kernel, written to `folder`.
fn recorded(folder: &Path, ptx: &str, launch: &str) -> PathBuf {
    let (ptx, launch) = (root(ptx), root(launch));
    let (workload, _) =
        record(Path::new(&ptx), Path::new(&launch), false, 1).expect("a sound kernel");
    let file = folder.join("k.pgt");
    write_pgt(&workload, &file).expect("a writable folder");
    file
}

#[test]
fn every_source_has_its_own_assumptions() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // From the text, and from a file that it was converted to.
    for input in ["traces/tiny_list/kernelslist.g", "traces/tiny.pgt"] {
        assert_eq!(
            lines(&run(&root(input), "v100")),
            [true, true, true, false],
            "{input}"
        );
    }
    let ptx = recorded(
        folder.path(),
        "traces/ptx/sm_70/01_vecadd.ptx",
        "traces/ptx/launch/vecadd.toml",
    );
    let ptx = ptx.to_str().expect("a plain path");
    assert_eq!(lines(&run(ptx, "v100")), [false, false, true, false]);
    let synth = "synth:copy?bytes=64KiB";
    assert_eq!(lines(&run(synth, "v100")), [false; 4]);
    // Generated, and in a file now.
    let session = Session::new("v100", &[""; 0]).expect("a built-in GPU");
    let file = folder.path().join("s.pgt");
    write_pgt(&session.open(&[synth]).expect("a kernel"), &file).expect("a writable folder");
    assert_eq!(
        lines(&run(file.to_str().expect("a plain path"), "v100")),
        [false; 4]
    );
    // Both: the lines of either.
    let both = session
        .open(&[ptx, &root("traces/tiny.pgt")])
        .expect("sound files");
    let outcome = session.run(&both, &Options::default()).expect("a run");
    let all = outcome.report.validity.assumptions.join("\n");
    assert!(all.contains(FOREIGN) && !all.contains(OTHER), "{all}");
}

#[test]
fn code_for_another_gpu_runs_with_a_warning() {
    let own = run(&root("traces/tiny.pgt"), "v100");
    assert_eq!(warnings(&own.report), [""; 0]);
    let other = run(&root("traces/tiny.pgt"), "t4");
    let said = warnings(&other.report);
    assert!(
        said.len() == 1 && said[0].contains("1 kernel(s) of sm_70 on a GPU of sm_75"),
        "{said:?}"
    );
    assert!(other.report.validity.assumptions.contains(&said[0]));
    assert_eq!(other.report.status, Status::Complete);
    assert_eq!(other.report.validity.unmodelled_share, 0.0);
}

#[test]
fn code_of_unknown_origin_is_an_assumption() {
    let session = Session::new("v100", &[""; 0]).expect("a built-in GPU");
    let mut workload = session
        .open(&[root("traces/tiny.pgt")])
        .expect("a sound file");
    for command in &mut workload.commands {
        if let Command::Launch(kernel) = command {
            kernel.header.sm_version = 0;
        }
    }
    let outcome = session.run(&workload, &Options::default()).expect("a run");
    let all = outcome.report.validity.assumptions.join("\n");
    assert!(all.contains("1 kernel(s) do not say"), "{all}");
    assert_eq!(warnings(&outcome.report), [""; 0]);
}

#[test]
fn work_that_is_not_modelled_is_said_where_it_carries_the_kernel() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // wgmma on the GPU that has it.
    let wgmma = recorded(
        folder.path(),
        "traces/ptx/dialects/triton_attention_sm_90.ptx",
        "traces/ptx/dialects/triton_attention_sm_90.toml",
    );
    let wgmma = run(wgmma.to_str().expect("a plain path"), "h100-sxm");
    let validity = &wgmma.report.validity;
    assert_eq!(wgmma.report.status, Status::UnmodelledWork);
    let counted: u64 = wgmma
        .report
        .kernels
        .iter()
        .map(|k| k.sm.counters.unmodelled_instructions)
        .sum();
    let share = counted as f64 / wgmma.report.totals.warp_instructions as f64;
    assert!(counted > 0 && (validity.unmodelled_share - share).abs() < 1e-12);
    assert!(
        validity
            .unmodelled
            .iter()
            .any(|l| l.starts_with("opcode HGMMA")),
        "{validity:?}"
    );
    assert_eq!(warnings(&wgmma.report).len(), 1);
    let json = support::json(&wgmma.report);
    assert_eq!(json["status"], "unmodelled_work");
    assert_eq!(
        json["validity"]["unmodelled_share"],
        validity.unmodelled_share
    );

    // Matrix products of a type that the tensor core has, and has not.
    let mma = "synth:hgemm?m=128&n=128&k=32";
    let has = run(mma, "a100-80");
    assert_eq!(
        (has.report.status, has.report.validity.unmodelled_share),
        (Status::Complete, 0.0)
    );
    let session = Session::new(
        "a100-80",
        &["sm.tensor.f16_rate=0", "sm.tensor.f16_f32_rate=0"],
    );
    let session = session.expect("a GPU without FP16 in its tensor cores");
    // The generator would refuse to make it there, so it is made for a GPU that has them.
    let usual = Session::new::<&str>("a100-80", &[]).expect("a GPU");
    let workload = usual.open(&[mma]).expect("a kernel");
    let lacks = session
        .run(&workload, &Options::default())
        .expect("a run")
        .report;
    assert_eq!(lacks.status, Status::UnmodelledWork);
    assert!(lacks.validity.unmodelled_share > 0.0 && lacks.validity.unmodelled_share < 0.5);
    assert!(
        lacks
            .validity
            .unmodelled
            .iter()
            .any(|l| l.contains("lacks the type"))
    );

    // What was stopped says so, and how much was not modelled all the same.
    let options = Options {
        max_cycles: Some(3000),
        ..Options::default()
    };
    let stopped = session.run(&workload, &options).expect("a run").report;
    assert_eq!(stopped.status, Status::MaxCycles);
}
