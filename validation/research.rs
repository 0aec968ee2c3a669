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

#[cfg(feature = "dram-research")]
fn report(file: &Path) -> serde_json::Value {
    let mut report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    report.as_object_mut().unwrap().remove("simulation");
    report
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
        assert_eq!(page.matches("<svg").count(), 3);
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
            "memory-research/memory-slices.svg",
            "gpu-profiling-research/energy-power.svg",
            "architecture-research/architecture-cycles.svg",
        ] {
            assert!(folder.path().join(file).is_file(), "{file}");
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
