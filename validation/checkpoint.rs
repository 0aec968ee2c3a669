//! A run that is ended at any boundary between kernels, or killed, and goes on in another process is the same run.

use phantom_gpu::error::Error;
use phantom_gpu::internals::hash::ContentHash;
use phantom_gpu::internals::probe::NoProbe;
use phantom_gpu::internals::simulation::Stopped;
use phantom_gpu::session::{Options, Outcome, Session};
use phantom_gpu::trace::Workload;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The command.
fn phantom() -> Command {
    Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
}

/// A machine and what runs on it.
struct Case {
    gpu: &'static str,
    sets: &'static [&'static str],
    inputs: &'static [&'static str],
}

/// Memories, policies and kernels of every kind: each has state of its own that outlives a kernel.
const CASES: &[Case] = &[
    Case {
        gpu: "v100",
        sets: &[
            "sm.scheduler=lrr",
            "l2.replacement=random",
            "l1.write=through_validate",
        ],
        inputs: &[
            "synth:copy?bytes=512KiB",
            "synth:gather?per=4&grid=16",
            "synth:copy?bytes=512KiB",
            "synth:local?grid=8&block=288&words=130&iters=2",
        ],
    },
    Case {
        gpu: "h100-pcie",
        sets: &["l2.replacement=evict_first", "dram.scheduler=par-bs"],
        inputs: &[
            "synth:hgemm?m=128&n=128&k=64",
            "traces/tiny.pgt",
            "synth:atomics?grid=8&iters=2",
            "synth:gather?per=4&grid=32",
        ],
    },
    Case {
        gpu: "t4",
        sets: &[
            "dram.scheduler=bliss",
            "l2.replacement=srrip",
            "sm.scheduler=two_level",
        ],
        inputs: &[
            "traces/tiny_list/kernelslist.g",
            "synth:triad?bytes=256KiB&width=16",
            "traces/tiny_list/kernelslist.g",
        ],
    },
    Case {
        gpu: "a100-80",
        sets: &["l2.replacement=plru", "l1.replacement=fifo"],
        inputs: &[
            "synth:smem?grid=8&ways=4",
            "synth:copy?bytes=64KiB&launches=3&streams=2",
            "synth:sgemm?m=128&n=128&k=64",
        ],
    },
    Case {
        gpu: "v100",
        sets: COMPONENTS,
        inputs: &[
            "synth:sgemm?m=128&n=128&k=64",
            "synth:copy?bytes=256KiB",
            "synth:sgemm?m=128&n=128&k=64",
        ],
    },
];

/// Components with a state, in builds that have all of them.
const COMPONENTS: &[&str] = match cfg!(all(
    feature = "architecture-research",
    feature = "cache-research"
)) {
    true => &[
        "noc.topology=mesh",
        "noc.sm_reply_bytes_per_cycle=1",
        "sm.scheduler=ccws",
        "l1.prefetch=stride",
    ],
    false => &["sm.scheduler=gto"],
};

impl Case {
    fn open(&self) -> (Session, Workload) {
        let session = Session::new(self.gpu, self.sets).unwrap();
        let workload = session.open(self.inputs).unwrap();
        (session, workload)
    }
}

/// What must be equal: the report as it is written, and what a timeline is made of.
fn bytes(outcome: &Outcome<NoProbe>) -> (String, String) {
    let mut report = serde_json::to_value(&outcome.report).unwrap();
    report.as_object_mut().unwrap().remove("simulation");
    let report = serde_json::to_string_pretty(&report).unwrap();
    (report, format!("{:?}", outcome.run.timeline))
}

fn options<'a>(
    session: &Session,
    file: &Path,
    stop_at: Option<u64>,
    threads: usize,
) -> Options<'a> {
    let mut checkpoint = session.checkpoint(file);
    (checkpoint.every, checkpoint.stop_at) = (Some(Duration::ZERO), stop_at);
    Options {
        threads,
        timeline: Some(500),
        checkpoint: Some(checkpoint),
        ..Options::default()
    }
}

fn run(session: &Session, workload: &Workload, options: &Options) -> Outcome<NoProbe> {
    session.run_with(workload, options).unwrap()
}

#[test]
fn a_run_goes_on_at_any_boundary_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    for case in CASES {
        let (session, workload) = case.open();
        let whole = Options {
            timeline: Some(500),
            ..Options::default()
        };
        let expected = bytes(&run(&session, &workload, &whole));
        let mut boundaries = 0;
        for boundary in 1.. {
            let first = run(
                &session,
                &workload,
                &options(&session, &file, Some(boundary), 1),
            );
            if first.run.stopped.is_none() {
                assert_eq!(
                    bytes(&first),
                    expected,
                    "{}: writing changes nothing",
                    case.gpu
                );
                std::fs::remove_file(&file).unwrap();
                break;
            }
            assert_eq!(first.run.stopped, Some(Stopped::Interrupted));
            let rest = run(&session, &workload, &options(&session, &file, None, 2));
            assert_eq!(
                bytes(&rest),
                expected,
                "{} from boundary {boundary} on",
                case.gpu
            );
            std::fs::remove_file(&file).unwrap();
            boundaries = boundary;
        }
        assert!(
            boundaries >= 2,
            "{}: only {boundaries} boundaries",
            case.gpu
        );
        let mut last = run(&session, &workload, &options(&session, &file, Some(1), 1));
        while last.run.stopped.is_some() {
            last = run(&session, &workload, &options(&session, &file, Some(1), 3));
        }
        assert_eq!(bytes(&last), expected, "{} in slices", case.gpu);
        std::fs::remove_file(&file).unwrap();
    }
}

/// A small run, and the checkpoint behind its first kernel.
fn kept(file: &Path) -> (Session, Workload) {
    let case = Case {
        gpu: "t4",
        sets: &[],
        inputs: &["synth:copy?bytes=64KiB&launches=2"],
    };
    let (session, workload) = case.open();
    run(&session, &workload, &options(&session, file, Some(1), 1));
    (session, workload)
}

/// The refusal of what stands in `file`.
fn refusal(session: &Session, workload: &Workload, options: &Options) -> String {
    let error: Error = match session.run_with::<NoProbe>(workload, options) {
        Err(error) => error,
        Ok(_) => panic!("went on from it"),
    };
    assert_eq!(error.exit_status(), 1, "{error}");
    let text = error.to_string();
    let file = &options.checkpoint.as_ref().unwrap().file;
    assert!(text.contains(&file.display().to_string()), "{text}");
    text
}

#[test]
fn what_was_changed_or_cut_off_is_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let (session, workload) = kept(&file);
    let whole = std::fs::read(&file).unwrap();
    let options = options(&session, &file, None, 1);
    let places = (0..72).chain((72..whole.len()).step_by(whole.len() / 40));
    for place in places.chain(whole.len() - 16..whole.len()) {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 8);
        std::fs::write(&file, changed).unwrap();
        let text = refusal(&session, &workload, &options);
        assert!(
            text.contains("remove it") || text.contains("name another"),
            "{text}"
        );
        if place >= 12 {
            assert!(text.contains("damaged"), "byte {place}: {text}");
        }
    }
    for length in (0..80).chain((80..whole.len()).step_by(whole.len() / 20)) {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(
            refusal(&session, &workload, &options).contains("damaged"),
            "{length} bytes"
        );
    }
}

/// `bytes` with the hash that belongs to them.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let hash = ContentHash::of(bytes).value().to_le_bytes();
    [bytes, &hash].concat()
}

#[test]
fn only_the_run_and_the_build_that_wrote_it_go_on_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let (session, workload) = kept(&file);
    let whole = std::fs::read(&file).unwrap();
    let mine = options(&session, &file, None, 1);
    let other = Session::new("t4", &["l2.ways=8"]).unwrap();
    let another = |text: String| assert!(text.contains("another run"), "{text}");
    another(refusal(&other, &workload, &options(&other, &file, None, 1)));
    let longer = session
        .open(&["synth:copy?bytes=64KiB&launches=3"])
        .unwrap();
    another(refusal(&session, &longer, &mine));
    let ends = Options {
        max_cycles: Some(1_000_000),
        ..options(&session, &file, None, 1)
    };
    another(refusal(&session, &workload, &ends));

    let body = &whole[..whole.len() - 16];
    for (place, expected) in [
        (0, "no checkpoint"),
        (8, "another format"),
        (12, "another build"),
        (16, "another build"),
    ] {
        let mut changed = body.to_vec();
        changed[place] ^= 1;
        std::fs::write(&file, sealed(&changed)).unwrap();
        let text = refusal(&session, &workload, &mine);
        assert!(text.contains(expected), "{text}");
    }
    // Right as a file, but it ends within the state.
    std::fs::write(&file, sealed(&body[..body.len() / 2])).unwrap();
    assert!(refusal(&session, &workload, &mine).contains("damaged"));
    std::fs::write(&file, &whole).unwrap();
    run(&session, &workload, &mine);
}

/// The report in `file` without what may differ.
fn report(file: &Path) -> Value {
    let mut report: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    report.as_object_mut().unwrap().remove("simulation");
    report
}

/// The arguments of a run of some kernels.
const KERNELS: &[&str] = &[
    "simulate",
    "synth:copy?bytes=1MiB&launches=3",
    "synth:sgemm?m=256&n=256&k=256",
    "synth:stream?bytes=2MiB&launches=2",
    "--gpu",
    "v100",
];

#[test]
fn a_killed_command_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let whole = phantom()
        .args(KERNELS)
        .arg("--json")
        .arg(at("whole.json"))
        .output()
        .unwrap();
    assert!(whole.status.success());
    let state = at("state");
    let mut command = phantom();
    command
        .args(KERNELS)
        .arg("--json")
        .arg(at("killed.json"))
        .arg("--checkpoint")
        .arg(&state);
    command
        .args(["--checkpoint-every", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    while !state.exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be killed"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(state.exists() && !at("killed.json").exists());
    let again = command
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.success(), "{said}");
    assert!(said.contains("goes on from"), "{said}");
    assert_eq!(report(&at("killed.json")), report(&at("whole.json")));
    assert!(!state.exists(), "what is over needs no checkpoint");
}

#[test]
fn a_run_that_is_ended_early_keeps_its_checkpoint_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut command = phantom();
    command
        .args(KERNELS)
        .args(["--max-cycles", "30000", "--checkpoint-every", "0"]);
    let ended = command.arg("--checkpoint").arg(&state).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        ended.status.success() && said.contains("the same command goes on"),
        "{said}"
    );
    assert!(state.exists());
}

#[test]
fn what_has_no_checkpoint_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let refused = |more: &[&str], file: &Path, expected: &str, status: i32| {
        let mut command = phantom();
        command
            .args(KERNELS)
            .args(more)
            .arg("--checkpoint")
            .arg(file);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    refused(&["--fidelity", "sampled"], &state, "--cache DIR", 2);
    refused(&["--fidelity", "roofline"], &state, "--fidelity full", 2);
    refused(&[], Path::new("-"), "the name of a file", 2);
    refused(&["--checkpoint-every=-1"], &state, "--checkpoint-every", 2);
    refused(
        &[],
        &folder.path().join("no/state"),
        "make the folder first",
        1,
    );
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, "not a checkpoint").unwrap();
    refused(&[], &notes, "it is no checkpoint", 1);
    refused(&[], Path::new("/dev/null"), "it is no checkpoint", 1);
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "not a checkpoint");
    if cfg!(feature = "cache-research") {
        let rows = folder.path().join("rows.csv");
        refused(
            &["--address-trace", rows.to_str().unwrap()],
            &state,
            "--address-trace",
            2,
        );
    }
}

#[test]
fn overlapping_streams_are_mentioned() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = phantom();
    command.args([
        "simulate",
        "synth:copy?bytes=64KiB&launches=4&streams=2",
        "--gpu",
        "v100",
    ]);
    let output = command
        .arg("--checkpoint")
        .arg(folder.path().join("state"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("2 streams"),
        "{said}"
    );
}
