//! The program as a shell sees it: streams, closed pipes, signals, exit status, names.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"));
    command.args(args);
    command
}

fn phantom_gpu(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs, expects `status`, and returns what went to standard error.
fn fails(args: &[&str], status: i32) -> String {
    let out = phantom_gpu(args);
    let message = text(&out.stderr);
    assert_eq!(out.status.code(), Some(status), "{args:?}: {message}");
    message
}

fn succeeds(args: &[&str]) -> (String, String) {
    let out = phantom_gpu(args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    (text(&out.stdout), text(&out.stderr))
}

/// A folder with `files` in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

const EMPTY: [&str; 4] = ["simulate", "synth:empty", "--gpu", "v100"];
const PTX: &str = "traces/ptx/sm_80/01_vecadd.ptx";

/// Arguments of [`EMPTY`] and `more`.
fn empty<'a>(more: &[&'a str]) -> Vec<&'a str> {
    EMPTY.iter().chain(more).copied().collect()
}

#[test]
fn a_closed_pipe_is_quiet_for_every_command() {
    let files = folder(&[
        ("m.txt", "0 0x0 R\n"),
        ("a.csv", "name,value\nx,1\n"),
        ("b.csv", "name,value\nx,2\n"),
    ]);
    let (trace, a, b) = (
        path(&files, "m.txt"),
        path(&files, "a.csv"),
        path(&files, "b.csv"),
    );
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["--help"],
        vec!["simulate", "--help"],
        vec!["list-gpus"],
        vec!["list-hardware", "--verbose"],
        vec!["list-hardware", "--gpu", "v100", "--json"],
        vec!["list-workloads"],
        vec!["explain"],
        vec!["explain", "l2.read_hits"],
        vec!["trace", "info", "traces/tiny.pgt"],
        vec!["trace", "info", "traces/tiny.pgt", "--json"],
        vec!["trace", "info", PTX],
        vec!["trace", "dump", "traces/tiny.pgt"],
        vec!["dram", "--list"],
        vec!["dram", "--standard", "HBM2_2000", "--trace", &trace],
        vec![
            "dram",
            "--standard",
            "HBM2_2000",
            "--trace",
            &trace,
            "--json",
            "-",
        ],
        vec!["correlate", &a, &b],
        vec!["correlate", &a, &b, "--html", "-"],
        empty(&[]),
        empty(&["--json", "-"]),
        empty(&["--timeline", "-"]),
    ];
    if cfg!(feature = "micro-benchmarking") {
        commands.push(vec!["micro-benchmark", "--list"]);
        commands.push(vec![
            "micro-benchmark",
            "--gpu",
            "v100",
            "--only",
            "latency_ffma",
        ]);
    }
    for args in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = command(&args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let stderr = text(&out.stderr);
        assert!(out.status.success(), "{args:?}: {:?} {stderr}", out.status);
        assert!(
            !stderr.contains("error:") && !stderr.contains("panicked"),
            "{args:?}: {stderr}"
        );
    }
}

#[test]
fn closed_standard_error_is_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command(&empty(&["--json", "-"]));
    let out = child.stderr(writer).output().unwrap();
    assert!(out.status.success(), "{:?}", out.status);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command(&["simulate", "synth:none", "--gpu", "v100"]);
    assert_eq!(child.stderr(writer).status().unwrap().code(), Some(2));
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status();
    assert!(sent.unwrap().success());
}

/// Ends `child` with SIGTERM once it has had time to begin; it must not take long over it.
fn terminated(mut child: Child) -> Output {
    std::thread::sleep(Duration::from_millis(700));
    assert!(
        child.try_wait().unwrap().is_none(),
        "it ended by itself, the test needs more work"
    );
    let sent = Instant::now();
    signal(&child, "-TERM");
    let out = child.wait_with_output().unwrap();
    assert!(
        sent.elapsed() < Duration::from_secs(20),
        "{:?}",
        sent.elapsed()
    );
    out
}

fn spawn(args: &[&str]) -> Child {
    let mut command = command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn sigterm_leaves_no_folder_that_an_export_made() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("made/for/it");
    let list = deep.join("kernelslist.g").display().to_string();
    // A kernel of a few hundred megabytes of text.
    let big = "synth:gather?grid=20000&per=32&span=64MiB";
    let out = terminated(spawn(&["trace", "convert", big, "-o", &list]));
    assert_eq!(out.status.code(), Some(143));
    assert!(!folder.path().join("made").exists());
}

#[test]
fn sigterm_ends_a_run_with_its_report() {
    let child = spawn(&[
        "simulate",
        "synth:read?bytes=16GiB",
        "--gpu",
        "v100",
        "--json",
        "-",
    ]);
    let out = terminated(child);
    assert!(
        out.status.success(),
        "{:?} {}",
        out.status,
        text(&out.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["status"], "interrupted");
    assert!(text(&out.stderr).contains("stopping"));
}

#[test]
fn sigterm_leaves_no_half_file_of_a_trace() {
    let folder = folder(&[]);
    let out = terminated(spawn(&[
        "trace",
        "convert",
        "synth:sgemm?m=8192&n=8192&k=8192",
        "-o",
        &path(&folder, "big.pgt"),
    ]));
    assert_eq!(out.status.code(), Some(143), "{}", text(&out.stderr));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(feature = "micro-benchmarking")]
#[test]
fn sigterm_ends_a_suite_with_the_results_that_are_done() {
    let folder = folder(&[("gate.toml", "[median]\noverall = 1.0\n")]);
    let mut args = vec![
        "micro-benchmark",
        "--gpu",
        "v100",
        "--threads",
        "1",
        "--json",
        "-",
    ];
    let out = terminated(spawn(&args));
    assert!(out.status.success(), "{}", text(&out.stderr));
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(results["status"], "interrupted");
    assert!(text(&out.stderr).contains("INTERRUPTED"));
    let gate = path(&folder, "gate.toml");
    args.extend(["--gate", &gate]);
    let out = terminated(spawn(&args));
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
}

#[test]
fn tables_go_to_the_same_stream_with_and_without_a_file() {
    let folder = folder(&[("m.txt", "0 0x0 R\n")]);
    let (json, trace) = (path(&folder, "r.json"), path(&folder, "m.txt"));
    let dram = ["dram", "--standard", "HBM2_2000", "--trace", &trace];
    for (base, title) in [(&EMPTY[..], "kernel"), (&dram[..], "bandwidth")] {
        for (more, on_stdout) in [
            (vec![], true),
            (vec!["--json", &json], true),
            (vec!["--json", "-"], false),
        ] {
            let args: Vec<&str> = base.iter().chain(&more).copied().collect();
            let (stdout, stderr) = succeeds(&args);
            let table = if on_stdout { &stdout } else { &stderr };
            assert!(table.contains(title), "{args:?}");
            if !on_stdout {
                serde_json::from_str::<serde_json::Value>(&stdout).unwrap();
            }
        }
        serde_json::from_str::<serde_json::Value>(&fs::read_to_string(&json).unwrap()).unwrap();
    }
}

#[test]
fn a_dash_is_standard_output_for_every_output_or_is_refused() {
    let (timeline, tables) = succeeds(&empty(&["--timeline", "-"]));
    assert!(timeline.contains("traceEvents") && tables.contains("issue slots"));
    let (dump, _) = succeeds(&["trace", "dump", "traces/tiny.pgt", "-o", "-"]);
    assert!(dump.starts_with("kernel 1"));
    let (info, _) = succeeds(&["trace", "info", "traces/tiny.pgt", "-o", "-"]);
    assert!(info.contains("launches"));
    let convert = fails(&["trace", "convert", "traces/tiny.pgt", "-o", "-"], 2);
    let record = fails(
        &["trace", "record", PTX, "--launch", "l.toml", "-o", "-"],
        2,
    );
    for message in [convert, record] {
        assert!(message.contains("name a file"), "{message}");
    }
    assert!(!Path::new("-").exists());
}

#[test]
fn one_file_for_two_outputs_is_refused() {
    let folder = folder(&[]);
    let (plain, round) = (path(&folder, "out"), path(&folder, "./out"));
    let link = path(&folder, "link");
    fs::write(path(&folder, "there"), "").unwrap();
    std::os::unix::fs::symlink(path(&folder, "there"), &link).unwrap();
    for (a, b) in [
        (&plain, &round),
        (&link, &path(&folder, "there")),
        (&"-".into(), &"-".into()),
    ] {
        let message = fails(&empty(&["--json", a, "--timeline", b]), 2);
        assert!(
            message.contains("--json and --timeline both name"),
            "{message}"
        );
    }
    succeeds(&empty(&["--json", "/dev/null", "--timeline", "/dev/null"]));
}

#[test]
fn the_exit_status_says_who_has_to_act() {
    let files = folder(&[
        ("key.toml", "base = \"v100\"\n[l1]\nwayz = 4\n"),
        ("base.toml", "base = \"v1000\"\n"),
        ("typed.toml", "base = 7\n"),
        ("broken.toml", "base = \n"),
        (
            "launch.toml",
            "kernel = \"saxpy\"\ngrid = [0]\nblock = [1]\n",
        ),
        ("m.txt", "rubbish\n"),
    ]);
    let file = |name: &str| path(&files, name);
    let usage: Vec<Vec<String>> = [
        "simulate synth:empty",
        "simulate synth:empty --gpu v1000",
        "simulate synth:none --gpu v100",
        "simulate synth:empty?grid=0 --gpu v100",
        "simulate synth:empty --gpu v100 --set l1.wayz=4",
        "simulate synth:empty --gpu v100 --set l1.ways=0",
        "simulate synth:empty --gpu v100 --set sm.warps_max=63",
        "simulate synth:empty --gpu v100 --threads 0",
        "simulate synth:empty --gpu v100 --kernel none",
        "trace dump traces/tiny.pgt --kernel 9",
        "dram --standard DDR9 --trace x",
        "explain no_such_number",
        "list-hardware --set l1.ways=4",
    ]
    .iter()
    .map(|line| line.split(' ').map(str::to_owned).collect())
    .chain(["key.toml", "base.toml", "typed.toml"].map(|name| {
        let gpu = file(name);
        ["simulate", "synth:empty", "--gpu", &gpu]
            .map(str::to_owned)
            .to_vec()
    }))
    .collect();
    for args in usage {
        fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), 2);
    }
    if !cfg!(feature = "micro-benchmarking") {
        let message = fails(&["micro-benchmark", "--gpu", "v100"], 2);
        assert!(
            message.contains("--features micro-benchmarking"),
            "{message}"
        );
    }
    if !cfg!(feature = "dram-research") {
        let args = [
            "dram",
            "--standard",
            "HBM2_2000",
            "--trace",
            "x",
            "--policy",
            "all",
        ];
        assert!(fails(&args, 2).contains("dram-research"));
    }
    if !cfg!(feature = "cache-research") {
        let cache = ["cache", "--config", "v100", "--trace", "x"];
        for args in [&cache[..], &empty(&["--address-trace", "x"])] {
            let message = fails(args, 2);
            assert!(message.contains("--features cache-research"), "{message}");
        }
    }
    let out = file("t.pgt");
    for args in [
        vec!["simulate", "synth:empty", "--gpu", "no/such.toml"],
        vec!["simulate", "synth:empty", "--gpu", &file("broken.toml")],
        vec!["simulate", "no/such.pgt", "--gpu", "v100"],
        vec!["simulate", &file("m.txt"), "--gpu", "v100"],
        vec!["dram", "--standard", "HBM2_2000", "--trace", &file("m.txt")],
        vec![
            "trace",
            "record",
            PTX,
            "--launch",
            &file("launch.toml"),
            "-o",
            &out,
        ],
    ] {
        fails(&args, 1);
    }
}

#[test]
fn a_request_far_away_is_answered_at_once() {
    let files = folder(&[("m.txt", "0 0x0 R\n100000000000000000 0x20 R\n")]);
    let trace = path(&files, "m.txt");
    let begun = Instant::now();
    for refresh in ["all-bank", "per-bank"] {
        let args = [
            "dram",
            "--standard",
            "HBM3_5200",
            "--trace",
            &trace,
            "--refresh",
            refresh,
            "--json",
            "-",
        ];
        let (stdout, _) = succeeds(&args);
        let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        assert!(report["cycles"].as_u64().unwrap() > 100_000_000_000_000_000);
        assert!(report["refreshes"].as_u64().unwrap() > 1_000_000_000_000);
    }
    let message = fails(
        &[
            "dram",
            "--standard",
            "HBM3_5200",
            "--trace",
            &trace,
            "--check",
        ],
        1,
    );
    assert!(
        message.contains("line 2") && message.contains("beyond cycle"),
        "{message}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn ptx_is_sent_to_trace_record() {
    for args in [
        vec!["simulate", PTX, "--gpu", "a100-80"],
        vec!["trace", "dump", PTX],
    ] {
        let message = fails(&args, 1);
        assert!(
            message.contains(&format!("trace record {PTX} --launch")),
            "{message}"
        );
    }
}

#[test]
fn explain_takes_paths_of_the_json_and_suggests_names() {
    let (json, _) = succeeds(&empty(&["--json", "-"]));
    assert!(json.contains("read_hits"));
    for path in [
        "kernels[0].l2.read_hits",
        "kernels.0.l2.read_hits",
        "/kernels/0/l2/read_hits",
    ] {
        let (text, _) = succeeds(&["explain", path]);
        assert!(
            text.starts_with("kernels[].l2.read_hits\n"),
            "{path}: {text}"
        );
    }
    assert!(fails(&["explain", "kernels[0].l2.read_hit"], 2).contains("read_hits"));
    assert!(fails(&["explain", "zzz"], 2).contains("lists all names"));
}

#[test]
fn gpus_are_named_as_people_type_them() {
    for name in ["Tesla V100", "tesla_v100", "V100-PCIE-16GB"] {
        let (text, notes) = succeeds(&["list-hardware", "--gpu", name]);
        assert!(text.starts_with("Tesla V100 (v100)"), "{text}");
        assert!(text.contains("| l2.slices") && notes.is_empty(), "{notes}");
    }
    let (json, notes) = succeeds(&["list-hardware", "--gpu", "a100", "--json"]);
    let config: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(config["gpu"]["name"], "a100-80");
    assert!(notes.contains("a100 is taken as a100-80"), "{notes}");
    assert!(succeeds(&["list-gpus"]).0.contains("a100-80: a100"));
    assert!(fails(&["list-hardware", "--gpu", "V1000"], 2).contains("did you mean v100?"));
}

#[test]
fn a_gpu_may_build_on_a_file_beside_it() {
    let files = folder(&[
        (
            "mine.toml",
            "base = \"Tesla V100\"\n[l2]\nbytes = \"3 MiB\"\n",
        ),
        (
            "yours.toml",
            "base = \"mine.toml\"\n[gpu]\nname = \"yours\"\n",
        ),
        ("a.toml", "base = \"b.toml\"\n"),
        ("b.toml", "base = \"./a.toml\"\n"),
        ("lost.toml", "base = \"nowhere.toml\"\n"),
    ]);
    for at in 0..12 {
        let text = format!("base = \"deep{}.toml\"\n", at + 1);
        fs::write(files.path().join(format!("deep{at}.toml")), text).unwrap();
    }
    let gpu = |name: &str| path(&files, name);
    let (json, _) = succeeds(&["list-hardware", "--gpu", &gpu("yours.toml"), "--json"]);
    let config: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(config["gpu"]["name"], "yours");
    assert_eq!(config["l2"]["bytes"], 3 << 20);
    for (name, status, says) in [
        ("a.toml", 2, "in a circle"),
        ("deep0.toml", 2, "based on each other"),
        ("lost.toml", 1, "nowhere.toml"),
    ] {
        let message = fails(&["list-hardware", "--gpu", &gpu(name)], status);
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn the_generators_are_listed_with_their_parameters() {
    let (text, _) = succeeds(&["list-workloads"]);
    let (json, _) = succeeds(&["list-workloads", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&json).unwrap();
    for workload in all.as_array().unwrap() {
        let name = workload["name"].as_str().unwrap();
        assert!(text.contains(&format!("\n  {name}: ")), "{name}");
        assert!(!workload["parameters"].as_array().unwrap().is_empty());
    }
    assert!(text.contains("default 67108864"));
}

#[test]
fn only_equal_units_are_correlated() {
    let files = folder(&[
        ("us.csv", "name,parameter,value,unit\nempty,1,2.5,us\n"),
        ("ns.csv", "name,parameter,value,unit\nempty,1,2500,ns\n"),
        (
            "cycles.csv",
            "name,parameter,value,unit\nempty,1,4000,cycles\n",
        ),
        ("nan.csv", "name,value\nempty,NaN\n"),
    ]);
    let file = |name: &str| path(&files, name);
    let report = file("r.json");
    succeeds(&empty(&["--json", &report]));
    let name = |json: &str| -> String {
        let report: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
        report["kernels"][0]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name(&report), "empty");
    let (equal, _) = succeeds(&["correlate", &file("us.csv"), &file("ns.csv")]);
    assert!(equal.contains("mean absolute error 0.0 %"), "{equal}");
    succeeds(&["correlate", &report, &file("us.csv")]);
    let message = fails(&["correlate", &file("cycles.csv"), &file("us.csv")], 1);
    assert!(
        message.contains("line 2") && message.contains("empty 1"),
        "{message}"
    );
    let message = fails(&["correlate", &report, &file("nan.csv")], 1);
    assert!(message.contains("nan.csv: line 2"), "{message}");
}

#[cfg(feature = "micro-benchmarking")]
#[test]
fn an_empty_gate_is_refused_and_tables_look_like_those_of_simulate() {
    let files = folder(&[("gate.toml", "")]);
    let base = ["micro-benchmark", "--gpu", "v100", "--only", "latency_ffma"];
    let gate = path(&files, "gate.toml");
    let args: Vec<&str> = base.iter().copied().chain(["--gate", &gate]).collect();
    assert!(fails(&args, 1).contains("bounds nothing"));
    let json = path(&files, "r.json");
    let args: Vec<&str> = base.iter().copied().chain(["--json", &json]).collect();
    let (table, _) = succeeds(&args);
    assert!(
        table.contains("| latency_ffma |") && table.contains("|---"),
        "{table}"
    );
}

#[test]
fn nothing_is_drawn_where_nobody_watches() {
    let mut child = spawn(&[
        "simulate",
        "synth:read?bytes=1GiB",
        "--gpu",
        "v100",
        "--max-cycles",
        "60000",
    ]);
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(stderr, "");
}

#[cfg(unix)]
#[test]
fn an_input_without_an_end_is_refused() {
    let files = folder(&[("a.csv", "name,value\nx,1\n")]);
    let endless = |name: &str| {
        let link = path(&files, name);
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        link
    };
    let (gpu, list, table) = (
        endless("z.toml"),
        endless("kernelslist.g"),
        endless("z.csv"),
    );
    let (standard, ptx, measured) = (endless("z.json"), endless("z.ptx"), path(&files, "a.csv"));
    let record = |ptx, launch| vec!["trace", "record", ptx, "--launch", launch, "-o", "none.pgt"];
    let cases = [
        vec!["simulate", "synth:empty", "--gpu", &gpu],
        vec!["simulate", &list, "--gpu", "v100"],
        vec!["correlate", &measured, &table],
        vec!["dram", "--standard", &standard, "--trace", "none"],
        vec!["trace", "info", &ptx],
        record(PTX, &gpu),
        record(&ptx, &gpu),
    ];
    for case in cases {
        let message = fails(&case, 1);
        assert!(message.contains("longer than the"), "{case:?}: {message}");
    }
}

#[test]
fn a_generated_kernel_that_cannot_be_on_a_machine_is_bad_usage() {
    let copy = [
        "simulate",
        "synth:copy?bytes=64KiB",
        "--gpu",
        "v100",
        "--set",
    ];
    for (key, needs) in [
        (
            "sm.registers_per_thread_max=16",
            "24 registers a thread, at most 16",
        ),
        ("sm.threads_per_cta_max=32", "256 threads a CTA, at most 32"),
    ] {
        let message = fails(&[&copy[..], &[key]].concat(), 2);
        assert!(message.contains(needs), "{message}");
    }
    // What fits as it is asked for, but not as it is allocated.
    for (input, gpu, key) in [
        ("synth:atomics", "titanv", "sm.registers=1024"),
        ("synth:copy?block=1024", "v100", "sm.registers=16384"),
    ] {
        let message = fails(&["simulate", input, "--gpu", gpu, "--set", key], 2);
        assert!(
            message.contains("registers a CTA as they are allocated, at most"),
            "{message}"
        );
    }
}

#[cfg(unix)]
#[test]
fn the_name_of_standard_output_is_a_dash() {
    let (json, tables) = succeeds(&empty(&["--json", "/dev/stdout"]));
    assert!(
        serde_json::from_str::<serde_json::Value>(&json).is_ok(),
        "{json}"
    );
    assert!(tables.contains("issue slots"), "{tables}");
    let twice = fails(&empty(&["--json", "-", "--timeline", "/dev/stdout"]), 2);
    assert!(twice.contains("--json and --timeline both name"), "{twice}");
}

#[test]
fn measured_zeros_are_not_called_names() {
    let files = folder(&[
        ("a.csv", "name,value\nx,1\n"),
        ("b.csv", "name,value\nx,0\n"),
    ]);
    let message = fails(
        &["correlate", &path(&files, "a.csv"), &path(&files, "b.csv")],
        1,
    );
    assert!(message.contains("every measured number is 0"), "{message}");
}

#[test]
fn an_output_does_not_replace_an_input() {
    let files = folder(&[
        ("k.ptx", ""),
        ("gpu.toml", "base = \"v100\"\n"),
        ("launch.toml", "kernel = \"k\"\n"),
        ("a.csv", "name,value\nx,1\n"),
        ("m.txt", "0 0x0 R\n"),
    ]);
    let trace = path(&files, "t.pgt");
    fs::copy("traces/tiny.pgt", &trace).unwrap();
    let file = |name| path(&files, name);
    let (gpu, table, requests) = (file("gpu.toml"), file("a.csv"), file("m.txt"));
    let (ptx, launch) = (file("k.ptx"), file("launch.toml"));
    let other_way = format!("{}/./t.pgt", files.path().display());
    let cases = [
        vec!["simulate", &trace, "--gpu", "v100", "--json", &other_way],
        vec!["simulate", &trace, "--gpu", "v100", "--timeline", &trace],
        vec!["simulate", "synth:empty", "--gpu", &gpu, "--json", &gpu],
        vec!["correlate", &table, &table, "--html", &table],
        vec![
            "dram",
            "--standard",
            "HBM2_2000",
            "--trace",
            &requests,
            "--json",
            &requests,
        ],
        vec!["trace", "record", &ptx, "--launch", &launch, "-o", &launch],
    ];
    for case in cases {
        let message = fails(&case, 2);
        assert!(message.contains("this is an input"), "{case:?}: {message}");
    }
    assert_eq!(
        fs::read(&trace).unwrap(),
        fs::read("traces/tiny.pgt").unwrap()
    );
}
