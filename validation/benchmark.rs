//! `benchmark` as a shell sees it: JSON, memory, phases, exit status.

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output};

fn phantom_gpu(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"));
    command.arg("benchmark").args(args).output().unwrap()
}

fn report(args: &[&str]) -> Value {
    let mut all = vec!["--json", "-"];
    all.extend(args);
    let out = phantom_gpu(&all);
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {errors}");
    serde_json::from_slice(&out.stdout).unwrap()
}

/// The message of a run that ends with `status`.
fn fails(args: &[&str], status: i32) -> String {
    let out = phantom_gpu(args);
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(status), "{args:?}: {message}");
    assert!(out.stdout.is_empty(), "{args:?}");
    message
}

/// A decoder that is simulated in no time.
fn small(folder: &tempfile::TempDir) -> String {
    let config = json!({
        "model_type": "llama", "hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 2,
        "num_hidden_layers": 6, "num_key_value_heads": 2, "vocab_size": 1000, "torch_dtype": "float16"
    });
    let path = folder.path().join("config.json");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(config.to_string().as_bytes()).unwrap();
    path.display().to_string()
}

/// What may differ between two runs.
fn without_simulation(mut report: Value) -> Value {
    report.as_object_mut().unwrap().remove("simulation");
    report
}

#[test]
fn layers_and_their_kernels_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let model = small(&folder);
    let run = [
        "--model",
        &model,
        "--gpu",
        "a100-80",
        "--seq-len",
        "64",
        "--batch-size",
        "2",
    ];
    let report = report(&run);
    let (layers, kernels) = (
        report["layers"].as_array().unwrap(),
        report["kernels"].as_array().unwrap(),
    );
    let of_model = &report["model"];
    let (mut time_us, mut instructions) = (0.0, 0);
    for layer in layers {
        let sum = |counter: &str| -> u64 {
            let own = layer["kernels"].as_array().unwrap().iter();
            own.map(|n| &kernels[n.as_u64().unwrap() as usize][counter])
                .map(|count| count.as_u64().unwrap())
                .sum()
        };
        assert_eq!(layer["cycles"], sum("cycles"), "{}", layer["name"]);
        time_us += layer["time_us"].as_f64().unwrap();
        instructions += sum("warp_instructions");
    }
    assert_eq!(report["totals"]["warp_instructions"], instructions);
    let number = |name: &str| of_model[name].as_f64().unwrap();
    assert!((time_us / 1e3 / number("device_ms") - 1.0).abs() < 1e-6);
    assert!((number("device_ms") + number("launch_gap_ms") - number("latency_ms")).abs() < 1e-9);
    assert_eq!(of_model["unit"], "tokens/s");
    assert!((number("throughput") * number("latency_ms") / 1e3 - 128.0).abs() < 1e-6);
    assert_eq!(of_model["time_to_first_token_ms"], of_model["latency_ms"]);
    // Layers repeat, and are simulated once.
    assert!(
        (kernels.len() as f64) < 0.7 * number("launches"),
        "{}",
        kernels.len()
    );
    assert!(
        layers
            .iter()
            .any(|layer| layer["provenance"]["kind"] == "memo")
    );
    assert_eq!(
        report["validity"]["unmodelled"].as_array().unwrap().len(),
        7
    );
}

#[test]
fn a_report_is_the_same_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let model = small(&folder);
    let run = |jobs: &str| {
        let args = [
            "--model",
            &model,
            "--gpu",
            "v100",
            "--seq-len",
            "64",
            "--runtime",
            "eager",
            "--jobs",
            jobs,
        ];
        without_simulation(report(&args))
    };
    assert_eq!(run("1"), run("3"));
}

#[test]
fn the_host_counts_in_eager_mode_alone() {
    let folder = tempfile::tempdir().unwrap();
    let model = small(&folder);
    let run = |more: &[&str]| {
        let mut args = vec![
            "--model",
            &model,
            "--gpu",
            "a100-80",
            "--seq-len",
            "64",
            "--fidelity",
            "roofline",
        ];
        args.extend(more);
        report(&args)["model"].clone()
    };
    let (eager, slow, graph) = (
        run(&["--runtime", "eager"]),
        run(&["--runtime", "eager", "--host-us", "40"]),
        run(&[]),
    );
    let latency = |model: &Value| model["latency_ms"].as_f64().unwrap();
    assert!(latency(&graph) < latency(&eager) && latency(&eager) < latency(&slow));
    assert!(latency(&slow) / latency(&eager) > 3.9);
}

/// Memory that does not suffice is a result: what is missing, and what would fit.
#[test]
fn a_model_that_has_no_room_is_a_result() {
    let run = [
        "--model",
        "llama2-7b",
        "--gpu",
        "v100",
        "--seq-len",
        "2048",
        "--batch-size",
        "64",
    ];
    let report = report(&run);
    let model = &report["model"];
    assert_eq!(
        (&model["fits"], &model["latency_ms"]),
        (&json!(false), &Value::Null)
    );
    let memory = &model["memory"];
    let bytes = |name: &str| memory[name].as_u64().unwrap();
    assert_eq!(
        bytes("total_bytes") - bytes("capacity_bytes"),
        bytes("missing_bytes")
    );
    assert_eq!(memory["largest"], "keys and values");
    let fits = memory["largest_batch"].as_u64().unwrap();
    let again = |batch: u64| {
        let batch = batch.to_string();
        let args = [
            "--model",
            "llama2-7b",
            "--gpu",
            "v100",
            "--seq-len",
            "2048",
            "--fast-mode",
            "--batch-size",
            &batch,
        ];
        self::report(&args)["model"]["fits"].clone()
    };
    assert_eq!((again(fits), again(fits + 1)), (json!(true), json!(false)));
}

#[test]
fn several_runs_are_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let model = small(&folder);
    let all = report(&[
        "--model",
        &model,
        "--gpus",
        "v100,h100-sxm",
        "--batch-size",
        "1,4",
        "--fast-mode",
    ]);
    let of = |n: usize| {
        (
            all["results"][n]["model"]["gpu"].clone(),
            all["results"][n]["model"]["batch_size"].clone(),
        )
    };
    assert_eq!(of(1), (json!("v100"), json!(4)));
    assert_eq!(of(2), (json!("h100-sxm"), json!(1)));
    let decoded = report(&[
        "--model",
        &model,
        "--gpu",
        "v100",
        "--phase",
        "decode",
        "--kv-len",
        "500",
        "--fast-mode",
    ]);
    assert_eq!(
        decoded["model"]["memory"]["kv_cache_bytes"],
        6 * 2 * 128 * 500 * 2
    );
    assert_eq!(
        decoded["model"]["time_per_token_ms"],
        decoded["model"]["latency_ms"]
    );
}

/// Numbers that a GPU has no kernel for: the bound stands in, and the report says so.
#[test]
fn what_has_no_kernel_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let model = small(&folder);
    let report = report(&[
        "--model",
        &model,
        "--gpu",
        "v100",
        "--precision",
        "fp8",
        "--seq-len",
        "16",
    ]);
    let share = report["model"]["unsimulated_share"].as_f64().unwrap();
    assert!(share > 0.0 && share < 1.0, "{share}");
    let unmodelled = report["validity"]["unmodelled"].to_string();
    assert!(
        unmodelled.contains("tensor cores of v100 lack it"),
        "{unmodelled}"
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(fails(&["--model", "bert-base", "--phase", "decode"], 2).contains("no decoder"));
    // What is asked for on the command line is at fault, not the model.
    for (options, what) in [
        (
            &["--model", "gpt2", "--seq-len", "1025"][..],
            "1024 positions",
        ),
        (
            &["--model", "gpt2", "--phase", "decode", "--kv-len", "1025"],
            "1024 positions",
        ),
        (&["--model", "gpt2", "--kv-len", "5"], "--phase decode"),
        (
            &["--model", "gpt3-175b", "--batch-size", "1000000"],
            "smaller --batch-size",
        ),
    ] {
        let message = fails(options, 2);
        assert!(message.contains(what), "{options:?}: {message}");
    }
    assert!(fails(&["--model", "bert-base", "--precision", "fp4"], 2).contains("4-bit floats"));
    assert!(fails(&["--model", "no-such-model", "--gpu", "v100"], 2).contains("list-models"));
    assert!(fails(&["--model", "bert-base", "--gpu", "no-such-gpu"], 2).contains("no such GPU"));
    fails(&["--model", "bert-base", "--batch-size", "0"], 2);
}

/// Each graph that a name stands for is lowered, for a framework and for a recorded graph.
#[test]
fn every_built_in_model_has_a_bound() {
    let mut list = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"));
    let listed = list.args(["list-models", "--json"]).output().unwrap();
    let models: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(models.len() > 60, "{}", models.len());
    for (model, runtime) in models.iter().zip(["eager", "graph"].iter().cycle()) {
        let name = model["name"].as_str().unwrap();
        let depth = ["--fidelity", "roofline", "--runtime", runtime];
        let report = report(&[&["--model", name, "--gpu", "b200"], &depth[..]].concat());
        let fits = report["model"]["fits"].as_bool().unwrap();
        let latency = report["model"]["latency_ms"].as_f64();
        assert!(!fits || latency.is_some_and(|ms| ms > 0.0), "{name}");
        assert!(
            fits || report["model"]["memory"]["missing_bytes"].as_u64() > Some(0),
            "{name}"
        );
    }
}

/// A step of training: its passes, its memory, and what it leaves out.
#[test]
fn a_step_of_training_goes_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let model = small(&folder);
    let base = [
        "--model",
        &model,
        "--gpu",
        "a100-80",
        "--seq-len",
        "64",
        "--phase",
        "train",
    ];
    let run = |more: &[&str]| report(&[&base[..], more].concat());
    let step = run(&[]);
    assert_eq!(step["status"], "complete");
    let of_model = &step["model"];
    assert_eq!(
        (&of_model["phase"], &of_model["optimizer"]),
        (&json!("train"), &json!("adamw"))
    );
    assert_eq!(of_model["unsimulated_share"], 0.0);
    assert_eq!(of_model["time_to_first_token_ms"], Value::Null);
    let layers = step["layers"].as_array().unwrap();
    let time = |pass: &str| -> f64 {
        let own = layers.iter().filter(|layer| layer["pass"] == pass);
        own.map(|layer| layer["time_us"].as_f64().unwrap()).sum()
    };
    assert!(time("forward") > 0.0 && time("backward") > time("forward") && time("optimizer") > 0.0);
    let sum = time("forward") + time("backward") + time("optimizer");
    assert!((sum / 1e3 / of_model["device_ms"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    let memory = |report: &Value, name: &str| report["model"]["memory"][name].as_u64().unwrap();
    let weights = 2 * of_model["parameters"].as_u64().unwrap();
    assert_eq!(memory(&step, "gradients_bytes"), weights);
    assert_eq!(memory(&step, "optimizer_bytes"), 6 * weights);
    assert_eq!(memory(&step, "kv_cache_bytes"), 0);
    let parts = ["weights", "activations", "gradients", "optimizer"];
    let all: u64 = parts
        .iter()
        .map(|part| memory(&step, &format!("{part}_bytes")))
        .sum();
    assert_eq!(memory(&step, "total_bytes"), all);
    for (optimizer, kept) in [("none", 0), ("sgd", 2), ("adam", 6)] {
        let other = run(&["--optimizer", optimizer, "--fast-mode"]);
        assert_eq!(
            memory(&other, "optimizer_bytes"),
            kept * weights,
            "{optimizer}"
        );
        let steps = other["layers"].as_array().unwrap().iter();
        let updates = steps.filter(|layer| layer["pass"] == "optimizer").count();
        assert_eq!(updates, usize::from(optimizer != "none"), "{optimizer}");
    }
}

/// One of several GPUs: its shapes and memory, and loudly what is not timed.
#[test]
fn a_share_of_a_model_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let model = small(&folder);
    let run = |more: &[&str]| {
        let base = [
            "--model",
            &model,
            "--gpu",
            "a100-80",
            "--seq-len",
            "64",
            "--fast-mode",
        ];
        report(&[&base[..], more].concat())
    };
    let (whole, share) = (run(&[]), run(&["--tensor-parallel", "2"]));
    assert_eq!(
        (
            &whole["model"]["tensor_parallel"],
            &share["model"]["tensor_parallel"]
        ),
        (&json!(1), &json!(2))
    );
    let kept = |report: &Value| {
        report["model"]["memory"]["kv_cache_bytes"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(kept(&whole), 2 * kept(&share));
    let untimed = |report: &Value| {
        let all = report["validity"]["unmodelled"].as_array().unwrap().iter();
        let own = all.filter_map(|line| line.as_str().filter(|line| line.starts_with("NOT TIMED")));
        own.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(untimed(&whole).is_empty());
    // Two of each of six layers and one of the table, 64 tokens of 128 halves each; logits of 1000 words.
    let bytes = 13 * 64 * 128 * 2;
    let said = untimed(&share);
    assert!(
        said[0].contains(&format!("13 all-reduces of {bytes} bytes")),
        "{said:?}"
    );
    assert!(
        said[0].contains("1 all-gathers of 128000 bytes"),
        "{said:?}"
    );
    let train = untimed(&run(&["--tensor-parallel", "2", "--phase", "train"]));
    assert!(train[0].contains("26 all-reduces"), "{train:?}");
    let table = phantom_gpu(&["--model", &model, "--fast-mode", "--tensor-parallel", "2"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("NOT TIMED: what 2 GPUs exchange"), "{table}");
    assert!(table.contains("one of 2 GPUs"), "{table}");
}

#[test]
fn steps_and_shares_that_make_no_sense_are_refused() {
    let cut =
        |model: &str, degree: &str| fails(&["--model", model, "--tensor-parallel", degree], 2);
    assert!(cut("llama2-7b", "0").contains("--tensor-parallel"));
    assert!(cut("llama2-7b", "3").contains("these fit: 2, 4, 8, 16, 32"));
    assert!(cut("llama2-7b", "1000000000").contains("num_attention_heads = 32"));
    assert!(cut("resnet50", "2").contains("which of its matrices can be cut"));
    let train =
        |more: &[&str], status| fails(&[&["--phase", "train", "--model"], more].concat(), status);
    assert!(train(&["gpt2", "--precision", "int8"], 2).contains("fp32, tf32, fp16 or bf16"));
    assert!(train(&["gpt2", "--optimizer", "lion"], 2).contains("adamw"));
    assert!(train(&["yolov10n", "--fast-mode"], 1).contains("node detect.topk (TopK)"));
    assert!(fails(&["--model", "gpt2", "--optimizer", "sgd"], 2).contains("--phase train"));
}

/// A whole image: its steps count as often as they run, in layers and in sums, on either clock.
#[test]
fn steps_count_as_often_as_they_run() {
    let of = |steps: &str| {
        let model = [
            "--model",
            "stable-diffusion",
            "--gpu",
            "a100-80",
            "--precision",
            "fp16",
        ];
        let run = ["--fidelity=roofline", "--runtime=eager", "--steps", steps];
        report(&[&model[..], &run].concat())
    };
    let [one, two, ten] = ["1", "2", "10"].map(of);
    for field in ["latency_ms", "device_ms", "flops"] {
        let value = |of: &Value| of["model"][field].as_f64().unwrap();
        let step = value(&two) - value(&one);
        assert!(step > 0.0, "{field}");
        let off = value(&ten) - value(&one) - 9.0 * step;
        assert!(off.abs() < 1e-6 * value(&ten), "{field}: {off}");
    }
    assert_eq!(ten["model"]["steps"], 10);
    assert_eq!(ten["model"]["unit"], "images/s");
    let layers = ten["layers"].as_array().unwrap();
    let times = |layer: &Value| layer["times"].as_u64().unwrap();
    let within = |layer: &Value| layer["name"].as_str().unwrap().starts_with("unet.");
    assert!(
        layers
            .iter()
            .all(|l| times(l) == if within(l) { 10 } else { 1 })
    );
    let sum: f64 = layers.iter().map(|l| l["time_us"].as_f64().unwrap()).sum();
    let device = 1e3 * ten["model"]["device_ms"].as_f64().unwrap();
    assert!((sum / device - 1.0).abs() < 1e-6, "{sum} {device}");
    let refused = fails(&["--model=resnet50", "--gpu=v100", "--steps=5"], 2);
    assert!(refused.contains("resnet50 has no steps"), "{refused}");
    fails(&["--model=sdxl", "--gpu=v100", "--steps=0"], 2);
}

/// Runs `phantom-gpu` with `args` in `folder`; returns its status and what it said on both streams.
fn within(folder: &std::path::Path, args: &[&str]) -> (i32, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    (out.status.code().unwrap(), said.into_owned())
}

#[test]
fn a_project_says_model_gpus_and_constraints_once() {
    let folder = tempfile::tempdir().unwrap();
    small(&folder);
    let at = folder.path();
    let write = |text: &str| std::fs::write(at.join("phantom-gpu.toml"), text).unwrap();
    let project = "[model]\npath = \"config.json\"\nframework = \"huggingface\"\n\
                   [gpus]\ncandidates = [\"v100\", \"A100\", \"t4\"]\nexclude = [\"Tesla T4\"]\n\
                   [constraints]\nmax_memory_gb = 0.000001\ntarget_latency_ms = 1000\nmax_cost_per_hour = 2\n\
                   [research]\nfeatures = [\"dram\"]\ncorrelation_target = 0.9\noutput_format = \"json\"\n";
    write(project);
    let roofline = ["--fidelity", "roofline", "--seq-len", "16"];
    let run = |command: &str, more: &[&str]| {
        let args: Vec<&str> = [command]
            .iter()
            .chain(&roofline)
            .chain(more)
            .copied()
            .collect();
        within(at, &args)
    };
    let (status, said) = run("benchmark", &[]);
    assert_eq!(status, 0, "{said}");
    for word in [
        "on v100, batch of 1: does not keep the constraints",
        "on A100, batch of 1",
        "max_cost_per_hour is not looked at: costs are not built yet",
        "research.correlation_target is not looked at",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("on t4"), "{said}");
    // Options win.
    let (_, said) = run("benchmark", &["--gpu", "t4"]);
    assert!(
        said.contains("on t4, batch of 1") && !said.contains("on v100"),
        "{said}"
    );
    let (status, said) = run("compare-models", &[]);
    assert!(
        status == 0 && said.contains("does not keep the constraints"),
        "{said}"
    );

    std::fs::write(at.join("s.toml"), "fidelity = \"roofline\"\n").unwrap();
    let (status, said) = within(at, &["sweep", "s.toml", "--dry-run"]);
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("2 points of 1 workload(s) on 2 GPU(s)") && said.contains("config"),
        "{said}"
    );

    write(&project.replace("target_latency_ms", "target_latency"));
    let (status, said) = run("benchmark", &[]);
    assert!(
        status == 1 && said.contains("line 9") && said.contains("target_latency"),
        "{said}"
    );
    write("[gpus]\ncandidates = [\"v100\"]\nexclude = [\"V100\"]\n");
    assert!(run("benchmark", &[]).1.contains("no candidate is left"));
    std::fs::remove_file(at.join("phantom-gpu.toml")).unwrap();
    let (status, said) = run("benchmark", &[]);
    assert!(status == 2 && said.contains("--model is missing"), "{said}");
}
