//! `validate` as its users see it: datasets with faults, what is counted, the contract of its JSON.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const HEADER: &str = "id,gpu,op,dtype,shape,latency_us,extra,source\n";
const ROW: &str = "a,V100-PCIE-32GB,elementwise,fp32,\"{\"\"rows\"\":64,\"\"cols\"\":1024,\"\"fn\"\":\"\"add\"\",\"\"n_in\"\":2}\",5,,x\n";

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .arg("validate")
        .args(arguments)
        .output()
        .unwrap()
}

fn dataset(folder: &Path, text: &str) -> String {
    let file = folder.join("set.csv");
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

fn json(arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["--json", "-"]);
    let out = run(&all);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn datasets_with_faults_are_refused_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let row = |from: &str, to: &str| format!("{HEADER}{ROW}{}", ROW.replace(from, to));
    let cases = [
        (
            format!("id,gpu,op,dtype,shape\n{ROW}"),
            "line 1",
            "no column latency_us",
        ),
        (row(",5,,", ",NaN,,"), "line 3", "latency_us"),
        (row(",5,,", ",-5,,"), "line 3", "latency_us"),
        (row("V100-PCIE-32GB", "V9000"), "line 3", "V9000"),
        (row("1024", "1152921504606846976"), "line 3", "cols"),
        (row("1024", "1.5"), "line 3", "cols"),
        (
            row("\"\"n_in\"\":2}\"", "\"\"n_in\"\":2\""),
            "line 3",
            "JSON",
        ),
        (row("\"\"rows\"\":64,", ""), "line 3", "rows"),
        (format!("{HEADER}{ROW}b,V100\n"), "line 3", ""),
        (
            format!("{HEADER}\n\n{}", ROW.replace(",5,,", ",NaN,,")),
            "line 4",
            "latency_us",
        ),
        (HEADER.to_owned(), "line 2", "no row"),
        (String::new(), "line 1", ""),
    ];
    for (text, place, what) in cases {
        let file = dataset(folder.path(), &text);
        let out = run(&["--dataset", &file, "--fidelity", "roofline"]);
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{text}\n{error}");
        assert!(
            error.contains(place) && error.contains(what),
            "{text}\n{error}"
        );
        assert!(out.stdout.is_empty());
    }
    assert_eq!(run(&["--rows", "nonsense"]).status.code(), Some(2));
    assert_eq!(
        run(&["--rows", "M>=1e30"]).status.code(),
        Some(2),
        "nothing is left"
    );
    for useless in [
        ["--ci", "0"],
        ["--gpu", "nosuch"],
        ["--fidelity=full", "--ci=0.1"],
        ["--fidelity=roofline", "--algo=row"],
        ["--fidelity=roofline", "--cache=x"],
    ] {
        assert_eq!(run(&useless).status.code(), Some(2), "{useless:?}");
    }
}

#[test]
fn what_is_not_modelled_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{HEADER}{ROW}{}{}{}",
        ROW.replace("V100-PCIE-32GB", "P100-PCIE-16GB"),
        ROW.replace("elementwise", "fft"),
        ROW.replace("\"\"add\"\"", "\"\"cosh\"\"")
    );
    let results = json(&[
        "--dataset",
        &dataset(folder.path(), &text),
        "--fidelity",
        "roofline",
    ]);
    assert_eq!(results["rows"].as_array().unwrap().len(), 1);
    let skipped = results["skipped"].as_array().unwrap();
    let count: u64 = skipped.iter().map(|s| s["count"].as_u64().unwrap()).sum();
    assert_eq!((skipped.len(), count), (3, 3), "{skipped:?}");
}

#[test]
fn a_row_has_the_keys_of_the_contract_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let file = dataset(
        folder.path(),
        &format!("{HEADER}{ROW}{}", ROW.replace("64", "100")),
    );
    let one = json(&["--dataset", &file, "--threads", "1"]);
    let three = json(&["--dataset", &file, "--threads", "3"]);
    assert_eq!(one, three);
    let row = one["rows"][0].as_object().unwrap();
    for key in [
        "id",
        "gpu",
        "op",
        "dtype",
        "predicted_us",
        "truth_us",
        "truth_raw_us",
        "error_rel",
        "roofline_us",
        "bound",
        "launched",
        "provenance",
    ] {
        assert!(row.contains_key(key), "{key}");
    }
    let group = one["groups"][0].as_object().unwrap();
    for key in [
        "gpu",
        "op",
        "dtype",
        "n",
        "mape",
        "mape_ci95",
        "median",
        "p90",
        "bias",
        "tau",
        "roofline_mape",
    ] {
        assert!(group.contains_key(key), "{key}");
    }
    assert!(one.get("overall").is_some() && one.get("bottleneck_right").is_some());
    // Two inputs and one output of 256 KiB at 898 GB/s.
    let roofline = row["roofline_us"].as_f64().unwrap();
    assert!(
        (roofline - 3.0 * 262_144.0 / 898_048.0).abs() < 0.01,
        "{roofline}"
    );
    assert!(row["predicted_us"].as_f64().unwrap() > roofline / 2.0);
}

#[test]
fn estimates_are_kept_in_the_cache_and_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = dataset(folder.path(), &format!("{HEADER}{ROW}"));
    let cache = folder.path().join("cache");
    let arguments = ["--dataset", &file, "--cache", cache.to_str().unwrap()];
    let first = json(&arguments);
    let stored: Vec<_> = std::fs::read_dir(&cache)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(stored.len(), 1);
    assert_eq!(json(&arguments), first);
    // A damaged file is made again.
    std::fs::write(&stored[0], "{").unwrap();
    assert_eq!(json(&arguments), first);
}

#[test]
fn gates_hold_or_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = dataset(folder.path(), &format!("{HEADER}{ROW}"));
    let gate = folder.path().join("gate.toml");
    for (text, status) in [
        ("[[bound]]\nop = \"elementwise\"\nmape = 1000.0", 0),
        ("[[bound]]\nmape = 0.0", 1),
        ("[[bound]]\nop = \"gemm\"\nmape = 1000.0", 1),
        ("", 1),
    ] {
        std::fs::write(&gate, text).unwrap();
        let out = run(&[
            "--dataset",
            &file,
            "--fidelity",
            "roofline",
            "--gate",
            gate.to_str().unwrap(),
        ]);
        assert_eq!(out.status.code(), Some(status), "{text}");
    }
}

#[test]
fn the_page_has_charts_and_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let html = folder.path().join("page.html");
    let out = run(&["--fidelity", "roofline", "--html", html.to_str().unwrap()]);
    assert!(out.status.success());
    let text = std::fs::read_to_string(html).unwrap();
    assert_eq!(text.matches("<svg").count(), 2);
    assert!(text.contains("gemm-001") && !text.contains("src="));
}

/// Rows of products with few rows, of odd widths, of concatenation and of every kind of attention are predicted.
#[test]
fn rows_of_every_operator_are_predicted_by_its_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let heads = r#""B":1,"H":2,"Sq":64,"D":64"#;
    let cases = [
        (
            "gemm",
            "fp32",
            r#""M":1,"N":256,"K":256"#.to_owned(),
            "gemv2T",
        ),
        (
            "layernorm",
            "fp32",
            r#""rows":8,"cols":77"#.to_owned(),
            "RowwiseMoments",
        ),
        (
            "cat",
            "fp16",
            r#""rows":8,"cols":64,"n_in":3"#.to_owned(),
            "CatArray",
        ),
        (
            "attention",
            "fp16",
            format!(r#"{heads},"impl":"mem_efficient""#),
            "fmha_cutlassF",
        ),
        (
            "attention",
            "fp16",
            r#""B":1,"H":2,"Sq":1,"Sk":100,"D":64,"impl":"paged_attention""#.to_owned(),
            "paged_attention_v1",
        ),
        (
            "attention",
            "fp16",
            format!(r#"{heads},"dir":"bwd""#),
            "flash_bwd_dot",
        ),
    ];
    let rows = cases.iter().enumerate().map(|(id, (op, dtype, shape, _))| {
        let shape = format!("{{{shape}}}").replace('"', "\"\"");
        format!("r{id},A100-PCIE-40GB,{op},{dtype},\"{shape}\",5,,x\n")
    });
    let text = format!("{HEADER}{}", rows.collect::<String>());
    let result = json(&["--dataset", &dataset(folder.path(), &text)]);
    assert_eq!(result["skipped"].as_array().unwrap().len(), 0);
    let mut rows = result["rows"].as_array().unwrap().clone();
    rows.sort_by_key(|row| row["id"].to_string());
    assert_eq!(rows.len(), cases.len());
    for (row, (.., kernel)) in rows.iter().zip(&cases) {
        let launched = row["launched"][0]["kernel"].as_str().unwrap();
        assert!(launched.contains(kernel), "{launched} for {kernel}");
    }
}

/// DeepBench's programs add halves up in 16 bits, read C, and fill channels up to eight; other sources do not.
#[test]
fn rows_are_predicted_as_their_source_measured_them() {
    let folder = tempfile::tempdir().unwrap();
    let gemm = r#""M":64,"N":64,"K":128,"ta":"N","tb":"N""#;
    let conv = r#""N":2,"C":3,"H":8,"W":8,"K":16,"R":3,"S":3,"pad":1"#;
    let row = |id: &str, op: &str, shape: &str, source: &str| {
        let shape = format!("{{{shape}}}").replace('"', "\"\"");
        format!("{id},V100-SXM2-16GB,{op},fp16,\"{shape}\",5,,{source}\n")
    };
    let rows = [
        row("a", "gemm", gemm, "deepbench"),
        row("b", "gemm", gemm, "x"),
        row("c", "conv2d", conv, "deepbench"),
        row("d", "conv2d", conv, "x"),
    ];
    let text = format!("{HEADER}{}", rows.concat());
    let result = json(&["--dataset", &dataset(folder.path(), &text)]);
    let row = |id: &str| {
        let rows = result["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["id"] == id).unwrap();
        let launched = row["launched"].as_array().unwrap().iter();
        let narrow = launched.filter(|of| of["kernel"].as_str().unwrap().contains("_acc16_"));
        (narrow.count(), row["roofline_us"].as_f64().unwrap())
    };
    assert_eq!(
        [row("a").0, row("b").0, row("c").0, row("d").0],
        [1, 0, 1, 0]
    );
    // C once more; eight channels in place of three.
    let (a, b) = (row("a").1, row("b").1);
    let bytes = 2.0 * f64::from(64 * 128 * 2 + 64 * 64);
    assert!(
        (a / b - (bytes + 2.0 * 4096.0) / bytes).abs() < 1e-6,
        "{a} {b}"
    );
    assert!(row("c").1 > row("d").1);
}

const MODELS: &str = "id,gpu,model,model_cfg,dtype,mode,option,batch,seq,n_gpus,measured_ms\n";
const MODEL: &str = "m,V100-PCIE-32GB,small,\"{\"\"arch\"\":\"\"GPT2LMHeadModel\"\",\"\"heads\"\":2,\"\"hidden\"\":128,\
\"\"layers\"\":2,\"\"vocab\"\":500}\",fp32 (TF32 off),inf,,1,16,1,0.5\n";

#[test]
fn whole_models_are_rows_too() {
    let folder = tempfile::tempdir().unwrap();
    let other = |from: &str, to: &str| MODEL.replace(from, to);
    let text = [
        MODELS.to_owned(),
        MODEL.to_owned(),
        other(",inf,,", ",inf,fusion,"),
        other(",inf,", ",train,"),
        other(",inf,", ",tuning,"),
        other(",16,1,", ",16,4,"),
    ];
    let found = json(&["--dataset", &dataset(folder.path(), &text.concat())]);
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let time = |row: &Value| row["predicted_us"].as_f64().unwrap();
    for row in rows {
        assert!(time(row) > row["roofline_us"].as_f64().unwrap());
        assert_eq!(
            (&row["op"], &row["truth_us"]),
            (&"model".into(), &500.0.into())
        );
        // So small a model is simulated as a whole.
        assert_eq!(row["provenance"]["simulated_fraction"], 1.0);
        assert!(!row["launched"].as_array().unwrap().is_empty());
    }
    // A framework launches more kernels, and each waits for the host.
    assert!(time(&rows[0]) > time(&rows[1]));
    // The way back takes longer than the way there.
    assert!(time(&rows[2]) > 2.0 * time(&rows[0]));
    assert_eq!(found["skipped"].as_array().unwrap().len(), 2);
    let error = |row: &Value| (time(row) / 500.0 - 1.0).abs();
    let right = 100.0 - 100.0 * rows.iter().map(error).sum::<f64>() / 3.0;
    let overall = found["accuracy"]["overall"].as_f64().unwrap();
    assert!((overall - right.max(0.0)).abs() < 1e-9, "{overall} {right}");
}

/// Two and four at once take as long as one: the device waits for the host, whatever the device is.
#[test]
fn rows_that_a_host_bounds_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let row = |batch: u64, ms: f64, gpu: &str| {
        let own = MODEL.replace(",1,16,1,0.5", &format!(",{batch},16,1,{ms}"));
        own.replacen("V100-PCIE-32GB", gpu, 1)
    };
    let rows =
        [(1, 5.0), (2, 5.1), (4, 5.6), (64, 70.0)].map(|(n, ms)| row(n, ms, "V100-PCIE-32GB"));
    // Here a second one takes longer.
    let others = [(1, 5.0), (2, 9.0)].map(|(n, ms)| row(n, ms, "T4"));
    let text = [&[MODELS.to_owned()][..], &rows, &others].concat().concat();
    let file = dataset(folder.path(), &text);
    let all = [
        "--dataset",
        &file,
        "--fidelity",
        "roofline",
        "--host-us",
        "100",
    ];
    let found = json(&all);
    let marked: Vec<bool> = found["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["host_bound"].as_bool().unwrap())
        .collect();
    assert_eq!(marked, [true, true, true, false, false, false]);
    assert_eq!(
        (&found["host_bound"]["n"], &found["overall"]["n"]),
        (&3.into(), &3.into())
    );
    assert_eq!(found["accuracy"]["gpus"][1]["n"], 1);
    // The host's time is what the user says, and it bounds the small model.
    let rows = found["rows"].as_array().unwrap();
    let calls = rows[0]["predicted_us"].as_f64().unwrap() / 100.0;
    assert!((10.0..200.0).contains(&calls), "{calls}");
    assert_eq!(
        (&rows[0]["bound"], &rows[0]["bound_expected"]),
        (&"launch".into(), &"launch".into())
    );
    let mut asked = all.to_vec();
    asked.extend(["--rows", "host_bound=true"]);
    assert_eq!(json(&asked)["rows"].as_array().unwrap().len(), 3);
    let tables = run(&all);
    assert!(String::from_utf8_lossy(&tables.stdout).contains("model (host-bound)"));
}

#[test]
fn rows_of_models_with_faults_are_refused_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to, what) in [
        (",0.5\n", ",NaN\n", "measured_ms"),
        (",1,16,1,", ",1.5,16,1,", "batch"),
        ("\"\"heads\"\":2", "\"\"heads\"\":0", "n_head"),
        ("\"\"hidden\"\":128,", "", "no hidden"),
        ("\"\"vocab\"\":500}", "\"\"vocab\"\":500", "JSON"),
    ] {
        let text = format!("{MODELS}{MODEL}{}", MODEL.replace(from, to));
        let file = dataset(folder.path(), &text);
        let out = run(&["--dataset", &file, "--fidelity", "roofline"]);
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{what}: {error}");
        assert!(error.contains("line 3") && error.contains(what), "{error}");
    }
    let file = dataset(folder.path(), &MODELS.replace(",batch", ",size"));
    let out = run(&["--dataset", &file]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("no column batch"));
}
