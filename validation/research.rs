//! `phantom-gpu research` as its users see it.

use std::path::Path;
use std::process::{Command, Output};

fn research(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .current_dir(folder)
        .arg("research")
        .args(args)
        .output()
        .unwrap()
}

fn message(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn a_feature_that_there_is_not_is_bad_usage_and_gets_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--features",
        "heat-research",
        "synth:empty",
        "--gpu",
        "v100",
    ];
    let out = research(folder.path(), &args);
    assert_eq!(out.status.code(), Some(2));
    let message = message(&out);
    for word in ["heat-research", "cache-research", "dram-research"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_feature_that_is_not_built_is_bad_usage_and_gets_the_command() {
    let folder = tempfile::tempdir().unwrap();
    for (feature, built) in [
        ("cache-research", cfg!(feature = "cache-research")),
        ("dram-research", cfg!(feature = "dram-research")),
    ] {
        let out = research(
            folder.path(),
            &["--features", feature, "synth:empty", "--gpu", "v100"],
        );
        if built {
            assert!(out.status.success(), "{}", message(&out));
        } else {
            assert_eq!(out.status.code(), Some(2));
            let command = format!("cargo build --release --features {feature}");
            assert!(message(&out).contains(&command), "{}", message(&out));
        }
    }
}

/// Without the option the features are those of the project, and without a project there are none.
#[cfg(feature = "dram-research")]
#[test]
fn a_project_names_the_features() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["synth:empty", "--gpu", "v100", "--output", "r.json"];
    let out = research(folder.path(), &args);
    assert_eq!(out.status.code(), Some(2));
    assert!(message(&out).contains("--features is missing"));
    let project = "[research]\nfeatures = [\"dram-research\"]\n";
    std::fs::write(folder.path().join("phantom-gpu.toml"), project).unwrap();
    let out = research(folder.path(), &args);
    assert!(out.status.success(), "{}", message(&out));
    let report = report(&folder.path().join("r.json"));
    assert!(report["research"]["dram"].is_object());
}

#[cfg(any(feature = "dram-research", feature = "gpu-profiling-research"))]
fn report(file: &Path) -> serde_json::Value {
    let mut report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    report.as_object_mut().unwrap().remove("simulation");
    report
}

#[cfg(feature = "gpu-profiling-research")]
mod profile {
    use super::*;

    fn profile(folder: &Path, args: &[&str]) -> Output {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let input = root.join("traces/tiny_list").display().to_string();
        let own = ["profile", &input, "--gpu", "v100", "--output", "p.json"];
        Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
            .current_dir(folder)
            .args(own)
            .args(args)
            .output()
            .unwrap()
    }

    /// A row for each interval, which sum to the totals of the report, whatever the number of threads.
    #[test]
    fn counters_over_time_sum_to_the_report() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for threads in ["1", "3"] {
            let args = [
                "--over-time",
                "t.csv",
                "--interval",
                "200",
                "--threads",
                threads,
            ];
            let out = profile(folder.path(), &args);
            assert!(out.status.success(), "{}", message(&out));
            let csv = std::fs::read_to_string(folder.path().join("t.csv")).unwrap();
            files.push((csv, report(&folder.path().join("p.json"))));
        }
        assert_eq!(files[0], files[1]);
        let (csv, report) = &files[0];
        let mut lines = csv.lines();
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        assert!(rows.len() > 5 && rows.iter().all(|row| row.len() == names.len()));
        let sum = |name: &str| -> u64 {
            let at = names.iter().position(|n| *n == name).unwrap();
            rows.iter().map(|row| row[at].parse::<u64>().unwrap()).sum()
        };
        let kernel = &report["kernels"][0];
        assert_eq!(sum("warp_instructions"), kernel["warp_instructions"]);
        assert_eq!(sum("l1_sector_reads"), kernel["l1"]["sector_reads"]);
        assert_eq!(sum("issued"), kernel["issue"]["issued"]);
        assert_eq!(sum("long_scoreboard"), kernel["issue"]["long_scoreboard"]);
    }

    #[test]
    fn a_profile_of_hardware_is_read_before_the_run_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let known = root.join("validation/profiles/ncu_raw.csv");
        std::fs::copy(known, folder.path().join("ncu.csv")).unwrap();
        std::fs::write(folder.path().join("other.csv"), "a,b\n1,2\n").unwrap();
        let compare = |file, more: &[&str]| {
            let args = [&["--correlate-hardware", file], more].concat();
            profile(folder.path(), &args)
        };
        let out = compare("ncu.csv", &["--html", "p.html"]);
        assert!(out.status.success(), "{}", message(&out));
        let found = report(&folder.path().join("p.json"));
        let metrics = &found["research"]["profile"]["hardware"]["metrics"];
        assert!(metrics.as_array().unwrap().len() > 3, "{metrics}");
        let page = std::fs::read_to_string(folder.path().join("p.html")).unwrap();
        assert!(page.contains("Against Nsight Compute"));
        let out = compare("other.csv", &[]);
        assert_eq!(out.status.code(), Some(1));
        assert!(message(&out).contains("other.csv"), "{}", message(&out));
        let out = compare("ncu.csv", &["--over-time", "ncu.csv"]);
        assert_ne!(out.status.code(), Some(0));
        let kept = std::fs::read_to_string(folder.path().join("ncu.csv")).unwrap();
        assert!(!kept.starts_with("from_cycle"));
        let out = profile(folder.path(), &["--interval", "200"]);
        assert_eq!(out.status.code(), Some(2));
    }
}

#[test]
fn variants_without_their_feature_are_bad_usage() {
    let folder = tempfile::tempdir().unwrap();
    let feature = match cfg!(feature = "dram-research") {
        true => "dram-research",
        // Without any feature the first fault is that there is none.
        false => "architecture-research",
    };
    let args = [
        "--features",
        feature,
        "--variants",
        "no-such",
        "synth:empty",
        "--gpu",
        "v100",
    ];
    let out = research(folder.path(), &args);
    assert_eq!(out.status.code(), Some(2));
    assert!(message(&out).contains("architecture-research") || message(&out).contains("no-such"));
}

#[cfg(feature = "architecture-research")]
#[test]
fn variants_are_side_by_side_in_report_page_and_paper() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("mine.toml"), "text = \"Fewer.\"\ngpu.sms = \"-50%\"\n").unwrap();
    std::fs::write(at("wrong.toml"), "text = \"Wrong.\"\nl1.wayz = \"x2\"\n").unwrap();
    let run = |variants: &str| {
        let mut args = vec![
            "--features",
            "architecture-research",
            "--variants",
            variants,
        ];
        args.extend([
            "synth:copy?bytes=64KiB",
            "--gpu",
            "v100",
            "--slopes=dram-clock,l1.ways",
        ]);
        args.extend([
            "--threads",
            "2",
            "--output",
            "a.json",
            "--html",
            "a.html",
            "--latex",
            "paper",
        ]);
        research(folder.path(), &args)
    };
    let out = run("larger-l1,mesh,./mine.toml");
    assert!(out.status.success(), "{}", message(&out));
    let text = String::from_utf8(out.stdout).unwrap();
    for part in [
        "research.architecture",
        "larger-l1",
        "What perfect parts would give",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at("a.json")).unwrap()).unwrap();
    let section = &report["research"]["architecture"];
    for leaf in [
        "/variants/2/speedup",
        "/variants/1/slots/0/difference",
        "/slopes/1/slope",
        "/perfect/0/speedup",
    ] {
        let found = section.pointer(leaf);
        assert!(
            found.is_some_and(serde_json::Value::is_number),
            "{leaf}: {section}"
        );
    }
    for file in [
        "architecture-speedup.svg",
        "architecture-cycles.svg",
        "architecture-slopes.tex",
    ] {
        assert!(at("paper").join(file).is_file(), "{file}");
    }
    assert_eq!(
        std::fs::read_to_string(at("a.html"))
            .unwrap()
            .matches("<svg")
            .count(),
        3
    );
    let out = run("larger-l1,larger-l3");
    assert_eq!(out.status.code(), Some(2));
    assert!(message(&out).contains("did you mean larger-l") && message(&out).contains("half-sms"));
    let out = run("wrong.toml");
    assert_eq!(out.status.code(), Some(1));
    assert!(
        message(&out).contains("wrong.toml: line 2: l1.wayz: no such key; did you mean l1.ways?")
    );
    assert_eq!(run("none.toml").status.code(), Some(1));
}

#[cfg(all(feature = "cache-research", feature = "dram-research"))]
mod both {
    use super::*;
    use serde_json::Value;

    const FEATURES: &str = "cache-research,dram-research";

    fn trace() -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        root.join("traces/sgemm.pgt").display().to_string()
    }

    /// The report is that of `simulate` with the sections, the page and the paper have them, and all of it is the same
    /// for any number of threads.
    #[test]
    fn a_trace_gives_report_page_and_paper() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let trace = trace();
        let run = |json: &str, threads: &str| {
            let out = research(
                folder.path(),
                &[
                    "--features",
                    FEATURES,
                    &trace,
                    "--gpu",
                    "v100",
                    "--output",
                    json,
                    "--html",
                    "r.html",
                    "--latex",
                    "paper",
                    "--threads",
                    threads,
                ],
            );
            assert!(out.status.success(), "{}", message(&out));
            String::from_utf8(out.stdout).unwrap()
        };
        let text = run("r.json", "1");
        for part in ["research.cache", "speedup over FCFS", "merge slot"] {
            assert!(text.contains(part), "{text}");
        }
        let mut found = report(&at("r.json"));
        run("again.json", "3");
        assert_eq!(found, report(&at("again.json")));
        let sections = found["research"].take();
        for leaf in [
            "/cache/mshr_occupancy/0/mean",
            "/cache/reservation_failures_per_kcycle/merge_slot",
            "/cache/sector_miss_line_hit",
            "/cache/write_mask_coverage",
            "/cache/streaming_efficiency",
            "/cache/reuse_distance/l2/0/accesses",
            "/dram/row_hit_rate",
            "/dram/bank_parallelism",
            "/dram/latency_percentiles/0/p99_ns",
            "/dram/policies/0/speedup",
        ] {
            assert!(
                sections.pointer(leaf).is_some_and(Value::is_number),
                "{leaf}"
            );
        }
        let plain = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
            .current_dir(folder.path())
            .args(["simulate", &trace, "--gpu", "v100", "--json", "plain.json"])
            .output()
            .unwrap();
        assert!(plain.status.success());
        let mut plain = report(&at("plain.json"));
        assert_eq!(plain["research"].take(), serde_json::json!({}));
        assert_eq!(found, plain);
        let page = std::fs::read_to_string(at("r.html")).unwrap();
        assert_eq!(page.matches("<svg").count(), 4);
        let names: Vec<String> = std::fs::read_dir(at("paper"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for name in [
            "cache-refusals.tex",
            "cache-mshr.svg",
            "dram-policies.tex",
            "dram-latency.svg",
        ] {
            assert!(names.iter().any(|n| n == name), "{names:?}");
        }
    }

    /// The examples of the document run, and show what the document shows of them.
    #[cfg(all(
        feature = "architecture-research",
        feature = "gpu-profiling-research",
        feature = "memory-divergence-research",
        feature = "memory-research"
    ))]
    #[test]
    fn the_script_runs_the_examples_of_the_document() {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let out = Command::new("sh")
            .arg(root.join("scripts/research.sh"))
            .arg(folder.path())
            .env("PHANTOM_GPU", env!("CARGO_BIN_EXE_phantom-gpu"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", message(&out));
        let said = String::from_utf8(out.stdout).unwrap();
        let document = std::fs::read_to_string(root.join("docs/research.md")).unwrap();
        let blocks: Vec<&str> = document.split("```text\n").skip(1).collect();
        assert_eq!(blocks.len(), 2);
        for block in blocks {
            // The caption and the columns; the numbers move with the model.
            for line in block.lines().take(2) {
                assert!(said.contains(line), "{line} is not in\n{said}");
            }
        }
        for file in [
            "cache-research/cache-mshr.svg",
            "cache-research/page.html",
            "dram-research/dram-latency.svg",
            "dram-research/report.json",
            "memory-divergence-research/divergence-lanes.svg",
            "thrashing/memory-divergence-research/report.json",
            "memory-research/memory-slices.svg",
            "gpu-profiling-research/energy-power.svg",
            "architecture-research/architecture-cycles.svg",
        ] {
            assert!(folder.path().join(file).is_file(), "{file}");
        }
        for file in [
            "cache-research/cache-mshr.svg",
            "cache-research/cache-reuse.svg",
        ] {
            let picture = std::fs::read_to_string(folder.path().join(file)).unwrap();
            assert!(picture.starts_with("<svg"), "{file} is no picture");
        }
    }

    #[test]
    fn the_kernels_of_a_model_run_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let out = research(
            folder.path(),
            &[
                "--features",
                "cache-research",
                "--model",
                "bert-base",
                "--seq-len",
                "8",
                "--gpu",
                "a100-80",
                "--output",
                "m.json",
                "--max-cycles",
                "200000",
                "--threads",
                "2",
            ],
        );
        assert!(out.status.success(), "{}", message(&out));
        let report = report(&folder.path().join("m.json"));
        let kernels = report["kernels"].as_array().unwrap();
        assert!(kernels.len() > 5, "{} kernels", kernels.len());
        assert!(kernels.iter().all(|k| k["layer"].is_string()));
        assert!(report["research"]["cache"]["loads"]["line_misses"].as_u64() > Some(0));
    }

    #[test]
    fn sizes_of_a_model_need_a_model() {
        let folder = tempfile::tempdir().unwrap();
        let args = [
            "--features",
            FEATURES,
            "synth:empty",
            "--gpu",
            "v100",
            "--seq-len",
            "8",
        ];
        let out = research(folder.path(), &args);
        assert_eq!(out.status.code(), Some(2));
        assert!(message(&out).contains("--model"));
    }
}
