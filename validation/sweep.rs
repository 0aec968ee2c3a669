//! Sweeps as a process: the same files whatever happens on the way, and clear words when something is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A study of 60 points, some milliseconds each, of which some are in conflict.
const STUDY: &str = r#"
name = "small"
gpus = ["v100"]
columns = ["l1.sector_misses", "issue.long_scoreboard"]
[[workload]]
name = "tiny"
trace = "TRACES/tiny_list/kernelslist.g"
[[workload]]
name = "empty"
synth = "synth:empty"
[[axis]]
keys = ["l1.unified_bytes", "l1.ways"]
values = [["128 KiB", 256], ["160 KiB", 32], ["256 KiB", 512]]
[[axis]]
key = "l1.mshrs"
range = { from = 32, to = 512, factor = 2 }
[[axis]]
key = "sm.scheduler"
values = ["gto", "lrr"]
[[objective]]
minimize = "cycles"
[[objective]]
minimize = "l1.unified_bytes"
"#;
const POINTS: usize = 60;

fn traces() -> String {
    format!("{}/traces", env!("CARGO_MANIFEST_DIR"))
}

/// A folder with the sweep `text` in it.
pub(crate) fn sweep(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    fs::write(&file, text.replace("TRACES", &traces())).unwrap();
    (folder, file)
}

fn command(file: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"));
    command.arg("sweep").arg(file).arg("-o").arg(out).args(more);
    command
}

pub(crate) fn run(file: &Path, out: &Path, more: &[&str]) -> Output {
    command(file, out, more).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every file of a sweep with its bytes, but for the times.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for place in [folder.to_path_buf(), folder.join("points")] {
        for entry in fs::read_dir(&place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.file_name().is_some_and(|name| name != "timings.csv") {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                all.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    all
}

/// Fails where two folders differ, and says in which file.
fn same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{name} differs");
    }
}

/// Rows of the results, by column.
fn rows(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(folder.join("results.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let row = |record: csv::StringRecord| {
        let cells = header.iter().map(str::to_owned);
        cells.zip(record.iter().map(str::to_owned)).collect()
    };
    reader.records().map(|r| row(r.unwrap())).collect()
}

#[test]
fn results_are_those_of_single_runs_whatever_the_jobs() {
    let (folder, file) = sweep(STUDY);
    let (one, three) = (folder.path().join("one"), folder.path().join("three"));
    let said = succeeds(run(&file, &one, &["--jobs", "1"]));
    assert!(said.contains("40 complete, 20 failed"), "{said}");
    let page = folder.path().join("page.html");
    let html = page.to_str().unwrap();
    succeeds(run(&file, &three, &["--jobs", "3", "--html", html]));
    same(&one, &three);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("Pareto front") && page.contains("<svg"));
    assert!(page.len() < 400_000, "{}", page.len());

    let rows = rows(&one);
    assert_eq!(rows.len(), POINTS);
    let row = rows
        .iter()
        .find(|row| {
            row["l1.mshrs"] == "64" && row["sm.scheduler"] == "lrr" && row["workload"] == "tiny"
        })
        .unwrap();
    let report = folder.path().join("report.json");
    let status = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .args([
            "simulate",
            &format!("{}/tiny_list/kernelslist.g", traces()),
            "--gpu",
            "v100",
        ])
        .args(["--set", "l1.unified_bytes=128 KiB", "--set", "l1.ways=256"])
        .args([
            "--set",
            "l1.mshrs=64",
            "--set",
            "sm.scheduler=lrr",
            "--json",
        ])
        .arg(&report)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    let kernel = &report["kernels"][0];
    assert_eq!(row["cycles"], report["totals"]["cycles"].to_string());
    assert_eq!(
        row["l1.sector_misses"],
        kernel["l1"]["sector_misses"].to_string()
    );
    assert_eq!(
        row["issue.long_scoreboard"],
        kernel["issue"]["long_scoreboard"].to_string()
    );
    let failed = rows.iter().find(|row| row["status"] == "failed").unwrap();
    assert!(
        failed["error"].contains("l1.ways = 32: allowed"),
        "{failed:?}"
    );
}

#[test]
fn a_sweep_that_is_killed_again_and_again_ends_in_the_same_files() {
    let (folder, file) = sweep(STUDY);
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    succeeds(run(&file, &whole, &["--jobs", "2"]));
    let mut state = 12345u64;
    for _ in 0..20 {
        let child = command(&file, &killed, &["--jobs", "2", "--resume"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.unwrap();
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        std::thread::sleep(Duration::from_millis(5 + (state >> 33) % 60));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeeds(run(&file, &killed, &["--jobs", "2", "--resume"]));
    same(&whole, &killed);
    // A line is written when a result has been stored: none may have been made again after that.
    let times = fs::read_to_string(killed.join("timings.csv")).unwrap();
    let mut keys: Vec<&str> = times
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    let lines = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(lines, keys.len(), "a stored point was run again");
}

#[test]
fn shards_in_one_folder_and_in_several_are_the_whole() {
    let (folder, file) = sweep(STUDY);
    let path = |name: &str| folder.path().join(name);
    succeeds(run(&file, &path("whole"), &[]));
    for shard in ["0/3", "1/3", "2/3"] {
        succeeds(run(&file, &path("one"), &["--shard", shard]));
        succeeds(run(
            &file,
            &path(&shard.replace('/', "-")),
            &["--shard", shard],
        ));
    }
    same(&path("whole"), &path("one"));
    assert!(rows(&path("0-3")).len() < POINTS / 2);
    let merged = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .args(["sweep", "merge"])
        .args([path("0-3"), path("1-3"), path("2-3")])
        .output();
    succeeds(merged.unwrap());
    same(&path("whole"), &path("0-3"));
}

#[test]
fn a_folder_is_of_one_sweep() {
    let (folder, file) = sweep(STUDY);
    let out = folder.path().join("out");
    succeeds(run(&file, &out, &["--shard", "0/30"]));
    let other = folder.path().join("other.toml");
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace("\"lrr\"", "\"cggty\"");
    fs::write(&other, text).unwrap();
    let before = files(&out);
    let refused = run(&other, &out, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("another sweep is there"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(files(&out), before);

    let strange = folder.path().join("strange");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("thesis.tex"), "all of it").unwrap();
    let refused = run(&file, &strange, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("thesis.tex is there"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(fs::read_dir(&strange).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_written_is_an_error_and_nothing_is_lost() {
    let (folder, file) = sweep(STUDY);
    let (whole, out) = (folder.path().join("whole"), folder.path().join("out"));
    succeeds(run(&file, &whole, &[]));
    succeeds(run(&file, &out, &["--shard", "0/4"]));
    let stored = files(&out).len();
    // Files of more than four kilobytes cannot be written any more, as on a full disk.
    let script = "ulimit -f 4; trap '' XFSZ; exec \"$0\" sweep \"$1\" -o \"$2\"";
    let full = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_phantom-gpu")])
        .args([&file, &out])
        .output()
        .unwrap();
    assert_eq!(full.status.code(), Some(1), "{}", stderr(&full));
    assert!(
        stderr(&full).contains("what is stored is kept"),
        "{}",
        stderr(&full)
    );
    assert!(files(&out).len() >= stored);
    succeeds(run(&file, &out, &[]));
    same(&whole, &out);

    let blocked = run(&file, &file.join("out"), &[]);
    assert_eq!(blocked.status.code(), Some(1));
    assert!(
        stderr(&blocked).contains("study.toml/out"),
        "{}",
        stderr(&blocked)
    );
}

#[test]
fn a_signal_leaves_what_is_done() {
    let slow = r#"
gpus = ["v100"]
[[workload]]
synth = "synth:gather?per=400&grid=8"
[[axis]]
key = "l1.mshrs"
range = { from = 8, to = 512, step = 8 }
"#;
    let (folder, file) = sweep(slow);
    let out = folder.path().join("out");
    let mut child = command(&file, &out, &["--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..6000 {
        let stored = fs::read_dir(out.join("points")).map_or(0, Iterator::count);
        if stored > 1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    let stored = fs::read_dir(out.join("points")).unwrap().count();
    assert!((1..64).contains(&stored));
    assert_eq!(rows(&out).len(), stored, "every stored point has a row");
}

#[test]
fn limits_end_points_and_not_the_sweep() {
    let limited = r#"
gpus = ["v100"]
[limits]
time_s = 0.2
[[workload]]
name = "long"
synth = "synth:gather?per=100000&grid=160"
[[workload]]
name = "empty"
synth = "synth:empty"
[[axis]]
key = "l2.bytes"
values = ["6 MiB", "96 GiB"]
[set]
l2.ways = 256
"#;
    let (folder, file) = sweep(limited);
    let out = folder.path().join("out");
    succeeds(run(&file, &out, &["--memory-limit", "1 GiB"]));
    let rows = rows(&out);
    let status: Vec<&str> = rows.iter().map(|row| row["status"].as_str()).collect();
    assert_eq!(
        status,
        ["out_of_time", "out_of_memory", "complete", "out_of_memory"],
        "{rows:?}"
    );
    // A limit that is not wider changes nothing; a wider one does.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("100000", "10").replace("0.2", "60")).unwrap();
    let other = run(&file, &out, &[]);
    assert_eq!(other.status.code(), Some(2), "it is another workload");
}

#[test]
fn the_script_for_slurm_runs_a_share() {
    let (folder, file) = sweep(STUDY);
    let (whole, out) = (folder.path().join("whole"), folder.path().join("it's out"));
    succeeds(run(&file, &whole, &[]));
    let script = succeeds(run(
        &file,
        &out,
        &["--emit", "slurm", "--shards", "2", "--jobs", "1"],
    ));
    assert!(
        script.contains("#SBATCH --array=0-1") && script.contains("#SBATCH --requeue"),
        "{script}"
    );
    assert!(!out.exists(), "nothing is run");
    let job = folder.path().join("job.sh");
    fs::write(&job, script).unwrap();
    for task in ["0", "1"] {
        let task = Command::new("bash")
            .arg(&job)
            .env("SLURM_ARRAY_TASK_ID", task)
            .output();
        succeeds(task.unwrap());
    }
    same(&whole, &out);
}

#[test]
fn a_sweep_that_makes_no_sense_is_refused_before_it_begins() {
    let base = "gpus = [\"v100\"]\n[[workload]]\nsynth = \"synth:empty\"\n";
    let axis = |text: &str| format!("{base}[[axis]]\n{text}\n");
    let huge: String = ["l1.mshrs", "l1.hit_latency", "l2.mshrs", "l2.hit_latency"]
        .map(|key| {
            format!("[[axis]]\nkey = \"{key}\"\nrange = {{ from = 1, to = 1000, step = 1 }}\n")
        })
        .concat();
    for (text, status, word) in [
        (format!("speed = 1\n{base}"), 1, "speed"),
        ("gpus = []\nworkload = []\n".to_owned(), 1, "no GPU"),
        (axis("key = \"l1.mshrs\"\nvalues = []"), 1, "no values"),
        (
            axis("key = \"l1.mshr\"\nvalues = [8]"),
            2,
            "did you mean l1.mshrs",
        ),
        (format!("{base}{huge}"), 1, "1000000000000 points"),
        (base.replace("v100", "v101"), 2, "did you mean v100"),
        (base.replace("synth:empty", "synth:emty"), 2, "synth:emty"),
        (
            format!("constraints = [\"gpu.sms > 1000\"]\n{base}"),
            1,
            "no point is left",
        ),
        (
            format!("columns = [\"l1.hits\"]\n{base}"),
            1,
            "no report has such a number",
        ),
        (format!("{base}batch_size = 8\n"), 1, "of models alone"),
        (
            format!("{base}[[objective]]\nminimize = \"speed\"\n"),
            1,
            "no column",
        ),
        (axis("key = \"l1.ways\"\nvalues = [3]"), 2, "power-of-two"),
    ] {
        let (folder, file) = sweep(&text);
        let out = folder.path().join("out");
        let refused = run(&file, &out, &[]);
        assert_eq!(
            refused.status.code(),
            Some(status),
            "{text}: {}",
            stderr(&refused)
        );
        assert!(
            stderr(&refused).contains(word),
            "{text}: {}",
            stderr(&refused)
        );
        assert!(!out.exists(), "{text}");
    }
}

#[test]
fn models_and_applications_are_workloads() {
    let text = r#"
gpus = ["v100", "a100-40"]
fidelity = "roofline"
[[workload]]
model = "gpt2"
batch_size = 1
seq_len = 16
precision = "fp16"
[[workload]]
name = "decode"
model = "gpt2"
phase = "decode"
seq_len = 16
[[objective]]
maximize = "throughput"
"#;
    let (folder, file) = sweep(text);
    let out = folder.path().join("out");
    succeeds(run(&file, &out, &[]));
    let all = rows(&out);
    assert_eq!(all.len(), 4);
    for row in &all {
        let latency: f64 = row["latency_ms"].parse().unwrap();
        let time: f64 = row["time_us"].parse().unwrap();
        assert!(
            latency > 0.0 && (time - latency * 1000.0).abs() < 1e-6,
            "{row:?}"
        );
    }
    let text = r#"
gpus = ["v100"]
[[workload]]
ptx = "TRACES/ptx/sm_80/01_vecadd.ptx"
launch = "TRACES/ptx/launch/vecadd.toml"
"#;
    let (folder, file) = sweep(text);
    let out = folder.path().join("out");
    succeeds(run(&file, &out, &[]));
    let row = &rows(&out)[0];
    assert!(
        row["warp_instructions"].parse::<u64>().unwrap() > 500,
        "{row:?}"
    );
}

#[test]
fn the_shipped_example_has_about_two_hundred_points() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/sweeps/l1-study.toml");
    let folder = tempfile::tempdir().unwrap();
    let said = succeeds(run(&file, &folder.path().join("none"), &["--dry-run"]));
    assert!(said.contains("200 points of 2 workload(s)"), "{said}");
    assert!(!folder.path().join("none").exists());
}

#[cfg(feature = "studies")]
#[test]
fn results_are_asked_in_sql_and_exported() {
    let (folder, file) = sweep(STUDY);
    let out = folder.path().join("out");
    succeeds(run(&file, &out, &[]));
    assert!(
        fs::read(out.join("results.parquet"))
            .unwrap()
            .starts_with(b"PAR1")
    );
    let results = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
            .arg("results")
            .arg(&out)
            .args(args)
            .output()
            .unwrap()
    };
    let filter = "l1.unified_bytes > 131072 and status = 'complete' and workload = 'tiny'";
    let said = succeeds(results(&[
        "--where",
        filter,
        "--sort",
        "-l1.mshrs,sm.scheduler",
        "--columns",
        "l1.mshrs, sm.scheduler, cycles",
        "--format",
        "csv",
    ]));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 11, "{said}");
    assert_eq!(lines[0], "l1.mshrs,sm.scheduler,cycles");
    assert!(lines[1].starts_with("512,gto,"), "{said}");
    let table = folder.path().join("t.tex");
    succeeds(results(&[
        "--columns",
        "l1.mshrs, avg(cycles) as mean",
        "--group",
        "l1.mshrs",
        "--export",
        table.to_str().unwrap(),
    ]));
    assert!(
        fs::read_to_string(table)
            .unwrap()
            .contains("\\begin{tabular}{rr}")
    );
    let refused = results(&["--where", "l1.mshr > 2"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("did you mean l1.mshrs"),
        "{}",
        stderr(&refused)
    );
}

#[cfg(not(feature = "studies"))]
#[test]
fn questions_need_the_feature() {
    let out = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .args(["results", "anywhere"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(
        stderr(&out).contains("feature `studies`"),
        "{}",
        stderr(&out)
    );
}
