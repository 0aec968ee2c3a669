//! `correlate` with profiles and `diff`, as a shell sees them.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn phantom_gpu(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs, expects `status`, and returns what was said on both streams.
fn says(args: &[&str], status: i32) -> String {
    let out = phantom_gpu(args);
    let said = text(&out.stdout) + &text(&out.stderr);
    assert_eq!(out.status.code(), Some(status), "{args:?}: {said}");
    said
}

/// The report of `tiny_list` and two copies, with `more` options.
fn report(folder: &Path, name: &str, more: &[&str]) -> String {
    let path: PathBuf = folder.join(name);
    let status = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "simulate",
            "traces/tiny_list/kernelslist.g",
            "synth:copy?bytes=64KiB",
        ])
        .args(["synth:copy?bytes=1MiB", "--gpu", "v100", "--json"])
        .arg(&path)
        .args(more)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    path.display().to_string()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_profile_is_read_and_its_errors_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let sim = report(folder.path(), "sim.json", &[]);
    let out = folder.path().join("found.json");
    let out_text = out.display().to_string();
    // The profiles are the model's numbers times 1.05, 0.9 and 1.3.
    let expected = [1.0 / 1.05 - 1.0, 1.0 / 0.9 - 1.0, 1.0 / 1.3 - 1.0];
    for (profile, metrics) in [
        ("ncu_raw.csv", 5),
        ("ncu_details.csv", 5),
        ("nsys_trace.csv", 1),
        ("nvprof_trace.csv", 1),
        ("accel_sim.csv", 1),
    ] {
        let path = format!("validation/profiles/{profile}");
        says(&["correlate", &sim, &path, "--json", &out_text], 0);
        let found = json(&out);
        let all = found["metrics"].as_array().unwrap();
        assert_eq!(all.len(), metrics, "{profile}");
        assert_eq!(
            (&found["kernels"], &found["matched_by"]),
            (&3.into(), &"name".into())
        );
        for metric in all {
            if metric["metric"] == "smsp__inst_executed.sum" {
                assert_eq!(metric["stats"]["mape"], 0.0, "{profile}");
                continue;
            }
            for (pair, error) in metric["pairs"].as_array().unwrap().iter().zip(expected) {
                // Nothing is read from DRAM where all is in L2 already.
                if pair["measured"] == 0.0 {
                    continue;
                }
                let found = pair["error"].as_f64().unwrap();
                assert!((found - error).abs() < 0.005, "{profile}: {metric}");
            }
        }
    }
}

#[test]
fn names_that_differ_are_mapped_and_the_page_has_every_pair() {
    let folder = tempfile::tempdir().unwrap();
    let sim = report(folder.path(), "sim.json", &[]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let profile = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("validation/profiles/ncu_raw.csv"),
    );
    let renamed = profile.unwrap().replace("tiny_list", "gathered").replace(
        "sm__warps_active.avg.pct_of_peak_sustained_active",
        "my_occupancy",
    );
    fs::write(path("ncu.csv"), renamed).unwrap();
    let said = says(&["correlate", &sim, &path("ncu.csv")], 0);
    assert!(
        said.contains("only simulated: tiny_list") && said.contains("only measured: void gathered"),
        "{said}"
    );
    assert!(said.contains("my_occupancy"), "{said}");
    let map = "[kernels]\n\"tiny_list\" = \"gathered\"\n[metrics]\n\
               my_occupancy = \"sm__warps_active.avg.pct_of_peak_sustained_active\"\n";
    fs::write(path("map.toml"), map).unwrap();
    let args = [
        "correlate",
        &sim,
        &path("ncu.csv"),
        "--map",
        &path("map.toml"),
        "--html",
        &path("c.html"),
    ];
    let said = says(&args, 0);
    assert!(said.contains("3 kernels of Nsight Compute"), "{said}");
    let page = fs::read_to_string(path("c.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("gpu__time_duration.sum"));
    fs::write(path("map.toml"), map.replace("tiny_list", "tiny_lst")).unwrap();
    let said = says(&args, 1);
    assert!(
        said.contains("kernels: tiny_lst") && said.contains("mean tiny_list"),
        "{said}"
    );
    fs::write(path("map.toml"), "[kernel]\na = \"b\"\n").unwrap();
    assert!(says(&args, 1).contains("kernel"));

    // Another report stands in place of a profile, with every metric.
    let said = says(&["correlate", &sim, &sim], 0);
    assert!(
        said.contains("l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum"),
        "{said}"
    );
    fs::write(
        path("none.csv"),
        "ID,Kernel Name,Metric Name,Metric Unit,Metric Value\n0,z,Duration,us,1\n",
    )
    .unwrap();
    assert!(says(&["correlate", &sim, &path("none.csv")], 1).contains("none of its kernels"));
}

#[test]
fn what_cannot_be_compared_is_said_and_never_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let whole = report(folder.path(), "sim.json", &[]);
    let profile = "validation/profiles/ncu_details.csv";
    let said = says(&["correlate", &whole, profile], 0);
    assert!(said.contains("Memory Throughput in %"), "{said}");
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join(profile);
    let text = fs::read_to_string(text).unwrap();
    fs::write(path("comma.csv"), text.replace("\"3.67\"", "\"3,67\"")).unwrap();
    let said = says(&["correlate", &whole, &path("comma.csv")], 1);
    for word in ["comma.csv: line", "column Duration", "3,67", "C locale"] {
        assert!(said.contains(word), "{said}");
    }
    fs::write(path("other.csv"), text.replace("\"7.0\"", "\"8.0\"")).unwrap();
    let said = says(&["correlate", &whole, &path("other.csv")], 0);
    assert!(said.contains("compute capability 8.0"), "{said}");
    let swapped = says(&["correlate", profile, &whole], 1);
    assert!(swapped.contains("report of simulate first"), "{swapped}");
}

#[test]
fn what_moved_between_two_reports_is_ranked_and_gated() {
    let folder = tempfile::tempdir().unwrap();
    let before = report(folder.path(), "before.json", &[]);
    let after = report(folder.path(), "after.json", &["--set", "l1.mshrs=64"]);
    assert!(says(&["diff", &before, &before], 0).contains(" 0 moved"));
    let moved = folder.path().join("moved.json").display().to_string();
    let said = says(&["diff", &before, &after, "--json", &moved], 1);
    assert!(
        said.contains("l1.mshrs") && said.contains("| 512 |"),
        "{said}"
    );
    assert!(
        said.contains("have moved by more than is allowed"),
        "{said}"
    );
    let found = json(Path::new(&moved));
    assert_eq!(found["given"].as_array().unwrap().len(), 1, "{found}");
    let tolerance = folder.path().join("t.toml").display().to_string();
    fs::write(&tolerance, "\"*\" = \"ignore\"\ncycles = 0.9\n").unwrap();
    says(&["diff", &before, &after, "--tolerance", &tolerance], 0);
    fs::write(&tolerance, "\"*\" = \"ignore\"\ncycles = 0.01\n").unwrap();
    let said = says(&["diff", &before, &after, "--tolerance", &tolerance], 1);
    assert!(said.contains("kernels[0].cycles"), "{said}");
    fs::write(&tolerance, "cycles = \"most\"\n").unwrap();
    assert!(
        says(&["diff", &before, &after, "--tolerance", &tolerance], 1).contains("t.toml: cycles")
    );
}

#[test]
fn sweeps_are_compared_point_by_point() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let study = |latency: &str| {
        format!(
            "gpus = [\"v100\"]\n[set]\nl2.hit_latency = {latency}\n[[workload]]\nname = \"tiny\"\n\
             trace = \"{}/traces/tiny_list/kernelslist.g\"\n[[axis]]\nkey = \"l1.mshrs\"\nvalues = [32, 64]\n",
            env!("CARGO_MANIFEST_DIR")
        )
    };
    for (name, latency) in [("a", "30"), ("b", "30"), ("c", "80")] {
        fs::write(path(&format!("{name}.toml")), study(latency)).unwrap();
        says(
            &["sweep", &path(&format!("{name}.toml")), "-o", &path(name)],
            0,
        );
    }
    says(&["diff", &path("a"), &path("b")], 0);
    let said = says(&["diff", &path("a"), &path("c")], 1);
    assert!(said.contains("tiny on v100 l1.mshrs=32: cycles"), "{said}");
    assert!(said.contains("gpu v100"), "{said}");
    assert!(says(&["diff", &path("a"), &path("a.toml")], 2).contains("one is a folder"));
    for own in ["a/manifest.json", "b/results.csv", "a/points/new.json"] {
        let said = says(&["diff", &path("a"), &path("b"), "--json", &path(own)], 2);
        assert!(said.contains("input"), "{said}");
    }
}
