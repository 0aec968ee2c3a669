//! `calibrate` as its users see it: what was put into a dataset comes out of it, faults are refused, nothing is
//! half-written.

use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const HEADER: &str = "id,gpu,op,dtype,shape,latency_us,extra,source\n";

fn phantom_gpu(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"));
    command.args(arguments).output().unwrap()
}

fn calibrate(arguments: &[&str]) -> Output {
    let mut all = vec!["calibrate"];
    all.extend(arguments);
    phantom_gpu(&all)
}

fn errors(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// The results as JSON, and what was said besides.
fn json(arguments: &[&str]) -> (Value, String) {
    let mut all = arguments.to_vec();
    all.extend(["--json", "-"]);
    let out = calibrate(&all);
    assert!(out.status.success(), "{arguments:?}: {}", errors(&out));
    (serde_json::from_slice(&out.stdout).unwrap(), errors(&out))
}

/// A measurement: operator, shape, extra.
type Measured<'a> = (&'a str, String, &'a str);

fn write(file: &Path, gpu: &str, rows: &[Measured<'_>], times: &[f64]) {
    let mut text = HEADER.to_owned();
    for (index, ((op, shape, extra), time)) in rows.iter().zip(times).enumerate() {
        let [shape, extra] = [shape, *extra].map(|json| format!("{{{json}}}").replace('"', "\"\""));
        writeln!(
            text,
            "r{index},{gpu},{op},fp32,\"{shape}\",{time:?},\"{extra}\",x"
        )
        .unwrap();
    }
    std::fs::write(file, text).unwrap();
}

/// A dataset of what a machine with these changes takes.
fn made(folder: &Path, gpu: &str, rows: &[Measured<'_>], more: &[&str]) -> String {
    let file = folder.join("set.csv");
    let name = file.display().to_string();
    write(&file, gpu, rows, &vec![1.0; rows.len()]);
    let mut all = vec!["validate", "--dataset", &name, "--json", "-"];
    all.extend(more);
    let out = phantom_gpu(&all);
    assert!(out.status.success(), "{}", errors(&out));
    let found: Value = serde_json::from_slice(&out.stdout).unwrap();
    let times = found["rows"].as_array().unwrap().iter();
    let times: Vec<f64> = times
        .map(|row| row["predicted_us"].as_f64().unwrap())
        .collect();
    assert_eq!(times.len(), rows.len());
    write(&file, gpu, rows, &times);
    name
}

/// Products that compute and additions that move.
fn bounds(count: u64) -> Vec<Measured<'static>> {
    let product = |n: u64| ("gemm", format!("\"M\":{n},\"N\":{n},\"K\":{n}"), "");
    let sum = |n: u64| {
        (
            "elementwise",
            format!("\"rows\":{n},\"cols\":4096,\"fn\":\"add\",\"n_in\":2"),
            "",
        )
    };
    (1..=count)
        .flat_map(|n| [product(512 * n), sum(256 * n)])
        .collect()
}

/// Small operators: what they take is arithmetic, and latency where L2 has none of it.
fn small() -> Vec<Measured<'static>> {
    let product = |m: u64, n: u64, k: u64| format!("\"M\":{m},\"N\":{n},\"K\":{k}");
    let sum =
        |rows: u64, cols: u64| format!("\"rows\":{rows},\"cols\":{cols},\"fn\":\"add\",\"n_in\":2");
    let cold = "\"method\":\"cold\"";
    vec![
        // From L2: longer ones jump by a percent from latency to latency.
        ("gemm", product(256, 256, 128), ""),
        ("gemm", product(32, 32, 256), cold),
        ("gemm", product(128, 128, 64), cold),
        ("gemm", product(1, 64, 512), cold),
        ("elementwise", sum(1, 1024), cold),
        ("elementwise", sum(64, 128), cold),
    ]
}

/// How far the parameter of a name is from `truth`, relative.
fn off(results: &Value, name: &str, truth: f64) -> f64 {
    let parameters = results["parameters"].as_array().unwrap();
    let own = parameters.iter().find(|p| p["name"] == name).unwrap();
    own["value"].as_f64().unwrap() / truth - 1.0
}

#[test]
fn a_clock_and_a_latency_that_were_put_in_come_out() {
    let folder = tempfile::tempdir().unwrap();
    for (clock, latency) in [(1_400_000.0, 110.0), (1_800_000.0, 260.0)] {
        let sets = [
            format!("--set=gpu.core_clock_khz={clock}"),
            format!("--set=dram.controller_latency={latency}"),
        ];
        let sets = sets.each_ref().map(String::as_str);
        let file = made(folder.path(), "GTX1650", &small(), &sets);
        let (found, said) = json(&[
            "--gpu",
            "gtx1650",
            "--benchmark-data",
            &file,
            "--parameters",
            "core-clock,dram-latency",
        ]);
        let clock_off = off(&found, "core-clock", clock);
        assert!(clock_off.abs() < 0.006, "{clock}: {clock_off}");
        let latency_off = off(&found, "dram-latency", latency);
        assert!(latency_off.abs() < 0.05, "{latency}: {latency_off}");
        let mape = |of: &str| found["error"][of]["mape"].as_f64().unwrap();
        assert!(
            mape("before") > 4.0 && mape("after") < 0.5,
            "{}",
            found["error"]
        );
        assert!(mape("left_out") < 2.0, "{}", found["error"]);
        assert!(!said.contains("warning"), "{said}");
    }
}

#[test]
fn the_description_is_a_gpu_that_says_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let changed = [
        "--fidelity=roofline",
        "--set=gpu.core_clock_khz=1128000",
        "--set=dram.clock_khz=1433700",
    ];
    let file = made(folder.path(), "A100-SXM4-80GB", &bounds(6), &changed);
    let overlay = folder.path().join("mine.toml").display().to_string();
    let run = [
        "--benchmark-data",
        &file,
        "--fidelity",
        "roofline",
        "--output",
        &overlay,
    ];
    let (found, _) = json(&[&["--gpu", "a100-80"][..], &run].concat());
    assert!(off(&found, "core-clock", 1_128_000.0).abs() < 0.003);
    assert!(off(&found, "dram-clock", 1_433_700.0).abs() < 0.003);
    assert_eq!(
        (&found["shapes"], &found["folds"]),
        (&12.into(), &10.into())
    );
    assert!(found["error"]["left_out"]["mape"].as_f64().unwrap() < 0.3);
    let text = std::fs::read_to_string(&overlay).unwrap();
    let hash = found["dataset_hash"].as_str().unwrap();
    let version = format!("(model version {})", found["model_version"]);
    for said in [
        hash,
        &version,
        "12 rows of 12 shapes",
        "bounds",
        "shapes left out in 10 parts",
        "as shipped",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    let out = phantom_gpu(&[
        "simulate",
        "synth:copy?bytes=64KiB",
        "--gpu",
        &overlay,
        "--json",
        "-",
    ]);
    assert!(out.status.success(), "{}", errors(&out));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        report["config"]["gpu"]["core_clock_khz"],
        found["parameters"][0]["value"]
    );
    // On top of a description: that one is named from beside it, and nothing is left to fit.
    let second = folder.path().join("second.toml").display().to_string();
    let again = [
        "--gpu",
        &overlay,
        "--benchmark-data",
        &file,
        "--fidelity=roofline",
        "-o",
        &second,
    ];
    let (again, _) = json(&again);
    assert_eq!(
        again["parameters"][0]["shipped"],
        found["parameters"][0]["value"]
    );
    let text = std::fs::read_to_string(&second).unwrap();
    assert!(text.contains("base = \"mine.toml\""), "{text}");
    assert!(
        phantom_gpu(&["list-hardware", "--gpu", &second])
            .status
            .success()
    );
}

#[test]
fn results_are_the_same_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let slower = ["--fidelity=roofline", "--set=gpu.core_clock_khz=1128000"];
    let file = made(folder.path(), "A100-SXM4-80GB", &bounds(3), &slower);
    let run = [
        "--gpu",
        "a100-80",
        "--benchmark-data",
        &file,
        "--fidelity=roofline",
        "--threads",
    ];
    let of = |threads| json(&[&run[..], &[threads]].concat()).0;
    assert_eq!(of("1"), of("3"));
}

#[test]
fn what_ends_at_a_bound_and_what_has_no_effect_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let far = ["--fidelity=roofline", "--set=gpu.core_clock_khz=2820000"];
    let products: Vec<Measured<'_>> = bounds(6).into_iter().step_by(2).collect();
    let file = made(folder.path(), "A100-SXM4-80GB", &products, &far);
    let overlay = folder.path().join("o.toml").display().to_string();
    let (found, said) = json(&[
        "--gpu=a100-sxm4-80gb",
        "--benchmark-data",
        &file,
        "--fidelity=roofline",
        "-o",
        &overlay,
    ]);
    assert!(said.contains("core-clock ENDS AT ITS BOUND"), "{said}");
    assert!(said.contains("dram-clock changes no prediction"), "{said}");
    let [clock, dram] = [0, 1].map(|index| &found["parameters"][index]);
    assert_eq!(
        (&clock["at_bound"], &clock["value"]),
        (&true.into(), &clock["bounds"][1])
    );
    assert_eq!(
        (&dram["has_effect"], &dram["value"]),
        (&false.into(), &dram["shipped"])
    );
    let text = std::fs::read_to_string(&overlay).unwrap();
    assert!(
        text.contains("ENDS AT ITS BOUND") && text.contains("WITHOUT EFFECT"),
        "{text}"
    );
}

/// Rows of other GPUs and of low trust are counted; a name that is two boards is refused.
#[test]
fn only_rows_of_the_machine_count() {
    let folder = tempfile::tempdir().unwrap();
    let file = made(
        folder.path(),
        "A100-SXM4-80GB",
        &bounds(3),
        &["--fidelity=roofline"],
    );
    let own = std::fs::read_to_string(&file).unwrap();
    let first = own.lines().nth(1).unwrap();
    let others = ["V100-PCIE-32GB", "Quantum9"].map(|gpu| first.replace("A100-SXM4-80GB", gpu));
    let low = first.replace("\"{}\"", "\"{\"\"trust\"\":\"\"low\"\"}\"");
    let all = format!("{own}{}\n{}\n{low}\n", others[0], others[1]);
    std::fs::write(&file, &all).unwrap();
    let run = [
        "--benchmark-data",
        &file,
        "--fidelity=roofline",
        "--gpu",
        "a100-80",
    ];
    let (found, _) = json(&run);
    let skipped = found["skipped"].as_array().unwrap();
    let skipped: Vec<(&str, u64)> = skipped
        .iter()
        .map(|s| (s["reason"].as_str().unwrap(), s["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(skipped, [("another GPU", 2), ("trust is low", 1)]);
    assert_eq!(found["rows"].as_array().unwrap().len(), 6);
    // As shipped is what the rows were made with.
    let before = found["error"]["before"]["mape"].as_f64().unwrap();
    assert!(before < 1e-9, "{before}");
    std::fs::write(&file, format!("{all}{}\n", first.replace("SXM4", "PCIE"))).unwrap();
    let out = calibrate(&run);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        errors(&out).contains("a100-pcie-80gb, a100-sxm4-80gb"),
        "{}",
        errors(&out)
    );
    let (found, _) = json(&[&run[..3], &["--gpu", "a100-sxm4-80gb"]].concat());
    assert_eq!(found["rows"].as_array().unwrap().len(), 6);
}

#[test]
fn what_is_wrong_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = made(
        folder.path(),
        "A100-SXM4-80GB",
        &bounds(3),
        &["--fidelity=roofline"],
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let second = text.lines().nth(2).unwrap().to_owned();
    let time = second
        .split(',')
        .find(|cell| cell.parse::<f64>().is_ok())
        .unwrap();
    let overlay = folder.path().join("o.toml");
    let output = overlay.display().to_string();
    let run = |more: &[&str], status: i32, what: &str| {
        let usual = [
            "--benchmark-data",
            &file,
            "--fidelity=roofline",
            "-o",
            &output,
        ];
        let out = calibrate(&[&usual[..], more].concat());
        let said = errors(&out);
        assert_eq!(out.status.code(), Some(status), "{more:?}: {said}");
        assert!(said.contains(what), "{what}: {said}");
        assert!(out.stdout.is_empty() && !overlay.exists(), "{more:?}");
    };
    let one = |from: &str, to: &str| text.replace(&second, &second.replacen(from, to, 1));
    let usual = ["--gpu", "a100-80"];
    for (text, what) in [
        (
            text.replacen("latency_us", "took", 1),
            "line 1: no column latency_us",
        ),
        (one(time, "NaN"), "line 3: latency_us"),
        (one(time, "-1"), "line 3: latency_us"),
        (
            one("256", "1152921504606846976"),
            "line 3 (r1): shape: rows",
        ),
        (
            one("\"\"cols\"\":4096", "\"\"cols\"\":4096.5"),
            "line 3 (r1): shape: cols",
        ),
        (
            text.replace("A100-SXM4", "V100-PCIE"),
            "none of a100-80 can be predicted",
        ),
        (
            text.lines().take(5).collect::<Vec<_>>().join("\n"),
            "need 6",
        ),
        (HEADER.to_owned(), "no row"),
    ] {
        std::fs::write(&file, text).unwrap();
        run(&usual, 1, what);
    }
    std::fs::write(&file, &text).unwrap();
    for (more, what) in [
        (&["--gpu", "a101"][..], "no such GPU"),
        (&["--gpu=a100-80", "--parameters=warp-drive"], "warp-drive"),
        (
            &["--gpu=a100-80", "--parameters=core-clock,core-clock"],
            "twice",
        ),
        (&["--gpu=a100-80", "--parameters=dram-latency"], "roofline"),
        (&["--gpu=a100-80", "--rows=M>=1e30"], "no row"),
        (&["--gpu=a100-80", "--cache=x"], "--cache"),
        (&["--gpu=a100-80", "--seed=3"], "--sample"),
        (&[], "--gpu"),
    ] {
        run(more, 2, what);
    }
    let missing = folder.path().join("none/o.toml").display().to_string();
    let out = calibrate(&["--gpu=a100-80", "--benchmark-data", &file, "-o", &missing]);
    assert_eq!(out.status.code(), Some(1), "{}", errors(&out));
    let out = calibrate(&["--gpu=a100-80", "--benchmark-data", &file, "-o", &file]);
    assert_eq!(out.status.code(), Some(2), "{}", errors(&out));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let none = folder.path().join("none.csv").display().to_string();
    let out = calibrate(&["--gpu=a100-80", "--benchmark-data", &none]);
    assert_eq!(out.status.code(), Some(1), "{}", errors(&out));
}

/// `command`, interrupted when it has run for so long; nothing if it ended before.
fn interrupted(command: &mut Command, after: Duration) -> Option<Output> {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::thread::sleep(after);
    if child.try_wait().unwrap().is_some() {
        return None;
    }
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    Some(child.wait_with_output().unwrap())
}

/// The small rows are done some time before the large ones; a slow or busy host is asked again, later.
#[test]
fn a_signal_leaves_the_rows_that_are_done_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut products = small();
    products.extend(bounds(12).into_iter().step_by(2));
    let file = made(
        folder.path(),
        "A100-SXM4-80GB",
        &products,
        &["--fidelity=roofline"],
    );
    let [overlay, json] = ["o.toml", "o.json"].map(|name| folder.path().join(name));
    let mut command = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"));
    command
        .args(["calibrate", "--gpu=a100-80", "--fidelity=full"])
        .args(["--threads=1", "--verbose"])
        .args(["--benchmark-data", &file, "--output"])
        .arg(&overlay)
        .arg("--json")
        .arg(&json);
    let some_are_done = |out: &Output| errors(out).contains("rows are done as shipped");
    let out = (0..7)
        .filter_map(|try_| interrupted(&mut command, Duration::from_millis(350 << try_)))
        .find(some_are_done)
        .expect("a signal between the first row and the last");
    assert_eq!(out.status.code(), Some(1));
    let message = errors(&out);
    assert!(message.contains("o.toml is not"));
    let tables = String::from_utf8_lossy(&out.stdout);
    assert!(tables.starts_with("INTERRUPTED") && !tables.contains("fitted"));
    assert!(!overlay.exists());
    let results: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(results["status"], "interrupted");
    assert_eq!(results["parameters"], serde_json::json!([]));
    let rows = results["rows"].as_array().unwrap();
    assert!((1..products.len()).contains(&rows.len()), "{}", rows.len());
    assert!(rows.iter().all(|row| row["before_us"].as_f64() > Some(0.0)));
    let left = results["skipped"][0]["reason"].as_str().unwrap();
    assert!(left.contains("interrupted"), "{left}");
}
