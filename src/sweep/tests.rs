//! Sweeps in this process: what is stored, what is run again, and what folders say together.

use super::point::Status;
use super::*;
use std::fs;
use std::path::PathBuf;

/// A folder for a sweep of a trace of its own, `t.pgt`, with two values of an axis.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        place.mend();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The trace as it should be.
    fn mend(&self) {
        let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
        fs::copy(traces.join("tiny.pgt"), self.path("t.pgt")).unwrap();
    }

    /// The trace with a wrong byte in what is read only when it is simulated.
    fn damage(&self) {
        let mut bytes = fs::read(self.path("t.pgt")).unwrap();
        bytes[24] ^= 0x55;
        fs::write(self.path("t.pgt"), bytes).unwrap();
    }

    fn study_of(&self, trace: &str) -> Study {
        let text = format!(
            "name = \"s\"\ngpus = [\"v100\"]\n[[workload]]\nname = \"t\"\ntrace = \"{trace}\"\n\
             [[axis]]\nkey = \"l1.mshrs\"\nvalues = [32, 64]\n"
        );
        fs::write(self.path("s.toml"), text).unwrap();
        Study::open(&self.path("s.toml"), &Usual::default(), 1).unwrap()
    }

    fn study(&self) -> Study {
        self.study_of("t.pgt")
    }

    /// Runs a shard into folder `out`; how its points have ended.
    fn run(&self, study: &Study, out: &str, shard: &str) -> Vec<Status> {
        let memo = Memo::new(None).unwrap();
        let manners = Manners {
            jobs: 1,
            shard: Shard::parse(shard).unwrap(),
            retry: false,
            memory_limit: None,
            memo: &memo,
            stop: &AtomicBool::new(false),
            html: None,
        };
        let outcome = run(study, &self.path(out), &manners).unwrap();
        outcome.table.rows.iter().map(|row| row.status).collect()
    }

    /// Files of points of folder `out` by name.
    fn points(&self, out: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.path(out).join("points")).unwrap();
        let mut all: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        all.sort();
        all
    }
}

#[test]
fn points_that_a_damaged_file_has_ended_are_run_again_when_it_is_mended() {
    let place = Place::new();
    place.damage();
    assert_eq!(
        place.run(&place.study(), "out", "0/1"),
        [Status::Failed; 2],
        "the damage is seen"
    );
    let failed = fs::read_to_string(place.path("out/results.csv")).unwrap();
    assert!(failed.contains("t: byte"), "{failed}");
    place.mend();
    let study = place.study();
    let foreseen = foresee(
        &study,
        Some(&place.path("out")),
        Shard { index: 0, count: 1 },
    );
    assert_eq!(foreseen.unwrap(), (2, 0));
    assert_eq!(place.run(&study, "out", "0/1"), [Status::Complete; 2]);
    // What is complete stays, whatever becomes of the file.
    place.damage();
    assert_eq!(
        place.run(&place.study(), "out", "0/1"),
        [Status::Complete; 2]
    );
}

#[test]
fn a_result_that_was_edited_is_made_again() {
    let place = Place::new();
    let study = place.study();
    place.run(&study, "out", "0/1");
    let before = place.points("out");
    let (path, bytes) = &before[0];
    let text = String::from_utf8(bytes.clone()).unwrap();
    let edited = text.replace("\"cycles\":", "\"cycles\":1");
    assert_ne!(edited, text);
    fs::write(path, edited).unwrap();
    assert_eq!(place.run(&study, "out", "0/1"), [Status::Complete; 2]);
    assert!(place.points("out") == before);
}

#[test]
fn a_merge_takes_no_damaged_result_and_prefers_one_that_follows_from_its_key() {
    let place = Place::new();
    let study = place.study();
    place.run(&study, "whole", "0/1");
    place.run(&study, "a", "0/2");
    place.run(&study, "b", "1/2");
    let bad = &place.points("b")[0].0;
    fs::write(bad, "{\"status\":\"complete\"}").unwrap();
    let folders = [place.path("a"), place.path("b")];
    let outcome = merge(&folders, &place.path("all"), None).unwrap();
    assert_eq!(outcome.summary.missing, 1);
    place.damage();
    place.run(&place.study(), "c", "1/2");
    let folders = [place.path("a"), place.path("c")];
    let outcome = merge(&folders, &place.path("all"), None).unwrap();
    assert_eq!(outcome.summary.status["failed"], 1);
    merge(&[place.path("whole")], &place.path("all"), None).unwrap();
    let names = |out: &str| -> Vec<Vec<u8>> {
        place
            .points(out)
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect()
    };
    assert!(names("all") == names("whole"));
    let times = fs::read_to_string(place.path("all/timings.csv")).unwrap();
    assert_eq!(
        times.lines().count(),
        1 + 5,
        "a, b and c once each, whole twice: {times}"
    );
}

#[test]
fn a_script_has_what_its_tasks_cannot_know() {
    let place = Place::new();
    let study = place.study();
    let (project, page) = (place.path("p.toml"), place.path("it's.html"));
    let files = [
        ("--project", Some(project.as_path())),
        ("--cache", None),
        ("--html", Some(&page)),
    ];
    let cluster = Cluster {
        shards: 2,
        jobs: 1,
        memory_limit: Some(1 << 30),
        files: &files,
    };
    let script = script(&study, &place.path("out"), cluster).unwrap();
    for word in [
        " \\\n    --memory-limit 1073741824 \\\n    --project '/",
        "/p.toml' \\\n    --html '/",
        "/it'\\''s.html'\n",
    ] {
        assert!(script.contains(word), "{word}: {script}");
    }
    assert!(!script.contains("--cache"), "{script}");
}

#[test]
fn files_of_a_sweep_are_known() {
    let place = Place::new();
    let study = place.study();
    place.run(&study, "out", "0/1");
    let out = place.path("out");
    let owns = |name: &str| Store::owns(&out, &out.join(name));
    assert!(owns("results.csv") && owns("manifest.json") && owns("points/any.json"));
    assert!(owns("../out/results.parquet") && !owns("page.html"));
    assert!(study.inputs().contains(&place.path("t.pgt")));
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/tiny_list");
    let files = crate::trace::open::files(&traces.display().to_string());
    assert!(
        files.len() > 1 && files.iter().all(|file| file.is_file()),
        "{files:?}"
    );
}

#[test]
fn what_a_sweep_says_wrong_is_named_in_its_own_words() {
    let place = Place::new();
    let trace = "[[workload]]\ntrace = \"t.pgt\"\n";
    let good = format!("gpus = [\"v100\"]\n{trace}");
    let axis = |text: &str| format!("{good}[[axis]]\n{text}\n");
    let scheduler = axis("key = \"sm.scheduler\"\nvalues = [\"gto\", \"lrr\"]");
    let synth = "gpus = [\"v100\"]\n[[workload]]\nname = \"w\"\nsynth = \"synth:emty\"\n";
    for (text, words) in [
        (
            format!("{scheduler}[[objective]]\nminimize = \"sm.scheduler\"\n"),
            "values that are no numbers",
        ),
        (
            format!("{good}[[objective]]\nminimize = \"latency_ms\"\n"),
            "only models have it",
        ),
        (
            format!("constraints = [\"l1.mshrs\"]\n{good}"),
            "nothing is compared",
        ),
        (format!("columns = [\"block\"]\n{good}"), "it is a list"),
        (
            format!("gpus = [\"v1000\"]\n{trace}"),
            "s.toml: gpus: v1000: no such GPU",
        ),
        (
            format!("gpus = [\"v100\", \"V100\"]\n{trace}"),
            "v100 stands there twice",
        ),
        (synth.to_owned(), "s.toml: workload 1: "),
        (
            axis("key = \"l1.mshrs\"\nrange = { from = 1, to = 4, step = -1 }"),
            "no whole number from 0 on",
        ),
    ] {
        fs::write(place.path("s.toml"), &text).unwrap();
        let refused = Study::open(&place.path("s.toml"), &Usual::default(), 1);
        let error = refused.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
        assert!(!error.contains("--gpu"), "{error}");
    }
    let study = place.study();
    let error = Store::open(&place.path("t.pgt"), &study.manifest);
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("it is no folder"), "{error}");
}

#[test]
fn a_point_that_is_in_conflict_names_its_key_as_the_sweep_does() {
    let place = Place::new();
    let text = "gpus = [\"v100\"]\n[[workload]]\ntrace = \"t.pgt\"\n\
                [[axis]]\nkey = \"l1.ways\"\nvalues = [7, 64]\n";
    fs::write(place.path("s.toml"), text).unwrap();
    let study = Study::open(&place.path("s.toml"), &Usual::default(), 1).unwrap();
    let ended = place.run(&study, "out", "0/1");
    assert_eq!(ended, [Status::Failed, Status::Complete]);
    let table = fs::read_to_string(place.path("out/results.csv")).unwrap();
    assert!(
        table.contains("l1.ways = 7") && !table.contains("--set"),
        "{table}"
    );
    // It follows from the keys, and is not tried again.
    let whole = Shard { index: 0, count: 1 };
    let foreseen = foresee(&study, Some(&place.path("out")), whole);
    assert_eq!(foreseen.unwrap(), (2, 2));
}

#[test]
fn a_model_that_does_not_fit_has_no_cycles() {
    let place = Place::new();
    let text = "gpus = [\"v100\"]\nfidelity = \"roofline\"\ncolumns = [\"model.flops\"]\n\
                [[workload]]\nmodel = \"llama2-7b\"\nbatch_size = 512\nseq_len = 4096\n";
    fs::write(place.path("s.toml"), text).unwrap();
    let study = Study::open(&place.path("s.toml"), &Usual::default(), 1).unwrap();
    assert_eq!(place.run(&study, "out", "0/1"), [Status::DoesNotFit]);
    let mut reader = csv::Reader::from_path(place.path("out/results.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let row = reader.records().next().unwrap().unwrap();
    for (name, cell) in header.iter().zip(&row) {
        match name {
            "cycles" | "time_us" | "warp_instructions" | "dram.reads" | "latency_ms" => {
                assert_eq!(cell, "", "{name}");
            }
            "memory_bytes" | "model.flops" => assert_ne!(cell, "", "{name}"),
            _ => {}
        }
    }
}

#[test]
fn results_are_the_same_however_the_path_is_written() {
    let place = Place::new();
    place.run(&place.study(), "relative", "0/1");
    let absolute = place.path("t.pgt");
    place.run(
        &place.study_of(&absolute.display().to_string()),
        "absolute",
        "0/1",
    );
    let bytes = |out: &str| -> Vec<Vec<u8>> {
        place
            .points(out)
            .into_iter()
            .map(|(_, bytes)| bytes)
            .collect()
    };
    assert!(bytes("relative") == bytes("absolute"));
}

#[test]
fn a_folder_of_another_version_is_refused_with_both_versions() {
    let place = Place::new();
    let study = place.study();
    place.run(&study, "out", "0/2");
    let file = place.path("out").join(manifest::FILE);
    let text = fs::read_to_string(&file).unwrap();
    let new = format!("\"schema_version\":{}", manifest::SCHEMA_VERSION);
    fs::write(&file, text.replace(&new, "\"schema_version\":1")).unwrap();
    let refused = Manifest::read(&place.path("out")).unwrap_err().to_string();
    assert!(
        refused.contains("of version 1") && refused.contains("version 2"),
        "{refused}"
    );
}
