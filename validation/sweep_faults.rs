//! Sweeps as a process, when something is wrong with what is around them: what is said, and with which exit status.

use crate::sweep::{files, run, stderr, succeeds, sweep};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Four points of a trace that lies beside the sweep.
const STUDY: &str = r#"
name = "small"
gpus = ["v100"]
[[workload]]
name = "tiny"
trace = "tiny/kernelslist.g"
[[axis]]
key = "l1.mshrs"
values = [32, 64, 128, 256]
"#;

/// The folder of a sweep, its file, and its trace beside it.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, file) = sweep(STUDY);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/tiny_list");
    let tiny = folder.path().join("tiny");
    fs::create_dir(&tiny).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, tiny.join(path.file_name().unwrap())).unwrap();
    }
    (folder, file)
}

fn program(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"));
    command.current_dir(folder).args(args).output().unwrap()
}

#[test]
fn a_merge_without_all_points_is_a_fault() {
    let (folder, file) = place();
    let folder = folder.path();
    for shard in ["0/3", "1/3"] {
        let out = folder.join(shard.replace('/', "-"));
        succeeds(run(&file, &out, &["--shard", shard]));
    }
    let merge = ["sweep", "merge", "0-3", "1-3", "-o", "all"];
    let incomplete = program(folder, &merge);
    assert_eq!(incomplete.status.code(), Some(1));
    let said = stderr(&incomplete);
    assert!(said.contains("1 of 4 points have no result"), "{said}");
    let before = files(&folder.join("all"));
    assert!(before.contains_key("results.csv"));
    let page = ["--partial", "--html", "all.html"];
    succeeds(program(folder, &[&merge[..], &page[..]].concat()));
    assert!(folder.join("all.html").is_file());
    assert_eq!(files(&folder.join("all")), before);
}

#[test]
fn nothing_that_is_read_is_replaced() {
    let (folder, file) = place();
    let folder = folder.path();
    succeeds(run(&file, &folder.join("out"), &[]));
    let kernel = fs::read_dir(folder.join("tiny"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.contains("traceg"))
        .unwrap();
    let kernel = format!("tiny/{kernel}");
    let before = fs::read(folder.join(&kernel)).unwrap();
    let point = fs::read_dir(folder.join("out/points")).unwrap().next();
    let point = point.unwrap().unwrap().file_name().into_string().unwrap();
    for html in [
        kernel.as_str(),
        "tiny/kernelslist.g",
        "study.toml",
        "out/results.csv",
        "out/manifest.json",
        &format!("out/points/{point}"),
    ] {
        let refused = program(
            folder,
            &["sweep", "study.toml", "-o", "out", "--html", html],
        );
        assert_eq!(refused.status.code(), Some(2), "{html}");
        let said = stderr(&refused);
        assert!(said.contains("it would replace"), "{html}: {said}");
    }
    let simulate = ["simulate", "tiny", "--gpu", "v100", "--json", &kernel];
    assert_eq!(program(folder, &simulate).status.code(), Some(2));
    assert!(fs::read(folder.join(&kernel)).unwrap() == before);
}

#[test]
fn a_script_of_a_project_runs_the_same_sweep_elsewhere() {
    let (folder, file) = place();
    let folder = folder.path();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("gpus = [\"v100\"]\n", "")).unwrap();
    fs::write(
        folder.join("phantom-gpu.toml"),
        "[gpus]\ncandidates = [\"t4\"]\n",
    )
    .unwrap();
    let here = ["sweep", "study.toml", "-o", "here"];
    succeeds(program(folder, &here));
    let emit = ["--emit", "slurm", "--shards", "1", "--html", "page.html"];
    let script = succeeds(program(
        folder,
        &[&["sweep", "study.toml", "-o", "there"], &emit[..]].concat(),
    ));
    fs::write(folder.join("job.sh"), script).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let task = Command::new("bash")
        .arg(folder.join("job.sh"))
        .current_dir(elsewhere.path())
        .env("SLURM_ARRAY_TASK_ID", "0")
        .output();
    succeeds(task.unwrap());
    assert_eq!(files(&folder.join("here")), files(&folder.join("there")));
    assert!(folder.join("page.html").is_file());
}

#[test]
fn points_that_failed_are_counted_in_a_line() {
    let (folder, file) = place();
    let text = fs::read_to_string(&file).unwrap();
    let axis = "key = \"l1.ways\"\nvalues = [7, 64]";
    let (head, _) = text.split_once("key = ").unwrap();
    fs::write(&file, format!("{head}{axis}\n")).unwrap();
    let out = folder.path().join("out");
    for _ in 0..2 {
        let ended = run(&file, &out, &["--resume"]);
        let said = stderr(&ended);
        let line = "1 of 2 points failed: see column error of";
        assert!(said.contains(line), "{said}");
        succeeds(ended);
    }
}
