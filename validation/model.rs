//! `load-model` and `list-models` as a shell sees them: formats, refusals, exit status, JSON.

use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

fn phantom_gpu(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_phantom-gpu"))
        .args(args)
        .output()
        .unwrap()
}

/// The JSON of a model.
fn load(args: &[&str]) -> Value {
    let mut all = vec!["load-model", "--json", "-"];
    all.extend(args);
    let out = phantom_gpu(&all);
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {errors}");
    serde_json::from_slice(&out.stdout).unwrap()
}

/// The message of a run that ends with `status`.
fn fails(args: &[&str], status: i32) -> String {
    let mut all = vec!["load-model"];
    all.extend(args);
    let out = phantom_gpu(&all);
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(status), "{args:?}: {message}");
    assert!(out.stdout.is_empty(), "{args:?}");
    message
}

/// A file with this content.
fn file(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[test]
fn a_built_in_model_is_found_by_the_names_that_people_type() {
    let model = load(&["GPT-2", "--batch-size", "1", "--seq-len", "128"]);
    assert_eq!(model["parameters"], 124_439_808);
    assert_eq!(model["flops"], 32_228_179_968u64);
    assert_eq!(
        model["inputs"][0],
        json!({"name": "input_ids", "shape": [1, 128], "dtype": "int64"})
    );
    assert_eq!(model["memory"]["kv_cache_bytes"], 18_432 * 128 * 4);
    assert_eq!(model["unsupported"], json!([]));
    let product = json!({"op": "linear", "m": 128, "n": 2304, "k": 768, "batch": 1, "count": 12, "dtype": "float32"});
    assert_eq!(model["gemms"][0], product);
    assert_eq!(
        load(&["--model", "resnet50", "--batch-size", "2"])["flops"],
        2 * 8_178_368_512u64
    );
}

#[test]
fn every_built_in_model_is_listed() {
    let out = phantom_gpu(&["list-models", "--json"]);
    let rows: Vec<Value> = serde_json::from_slice(&out.stdout).unwrap();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    for name in [
        "gpt2-xl",
        "llama2-70b",
        "mixtral-8x7b",
        "bert-large",
        "vit-base-16",
        "resnet50",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    let text = phantom_gpu(&["list-models"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(names.iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn a_name_that_is_not_known_says_what_to_fetch() {
    let message = fails(&["meta-llama/Llama-9-7b"], 2);
    assert!(
        message.contains("Llama-9-7b/resolve/main/config.json"),
        "{message}"
    );
    assert!(fails(&["resnet51"], 2).contains("list-models"));
    assert!(fails(&["missing.onnx"], 1).contains("missing.onnx"));
}

#[test]
fn a_folder_with_a_configuration_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 4,
        "num_hidden_layers": 3, "vocab_size": 10});
    let path = file(&folder, "config.json", config.to_string().as_bytes());
    let by_folder = load(&[&folder.path().display().to_string()]);
    let by_file = load(&[&path, "--format", "hugging-face"]);
    assert_eq!(by_folder["parameters"], by_file["parameters"]);
    assert!(fails(&[&path, "--dim", "batch=3"], 2).contains("--dim batch"));
    assert!(fails(&[&path, "--json", &path], 2).contains("this is an input"));
}

#[test]
fn what_a_configuration_has_too_large_is_its_own_fault() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"model_type": "llama", "hidden_size": 4294967264u64, "intermediate_size": 8,
        "num_attention_heads": 32, "num_hidden_layers": 1, "vocab_size": 4294967295u64});
    let path = file(&folder, "config.json", config.to_string().as_bytes());
    assert!(fails(&[&path], 1).contains("embed_tokens.weight"));
    // Tokens that are too many are the user's.
    let usual = json!({"model_type": "llama", "hidden_size": 64, "intermediate_size": 8,
        "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 10});
    let path = file(&folder, "config.json", usual.to_string().as_bytes());
    assert!(
        fails(
            &[
                &path,
                "--batch-size",
                "4294967296",
                "--seq-len",
                "4294967296"
            ],
            2
        )
        .contains("--batch-size")
    );
}

#[test]
fn other_formats_are_refused_with_what_converts_them() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8], &str); 10] = [
        ("a.h5", b"\x89HDF\r\n\x1a\n", "from_keras"),
        ("b", b"\x1c\0\0\0TFL3", "--tflite"),
        ("c.pb", b"\x0a\x05hello", "--graphdef"),
        ("d.pth", b"\x80\x02}q", "torch.onnx.export"),
        ("e.pt", b"PK\x03\x04", "torch.onnx.export"),
        ("f.safetensors", b"\x08\0\0\0\0\0\0\0{}", "config.json"),
        ("g.pt2", b"no archive", "no zip archive"),
        ("i.onnx.xz", b"\xfd7zXZ\0\0", "xz -dk"),
        ("j.onnx", b"\x1f\x8b\x08\0", "gzip -dk"),
        ("h.onnx", b"", "empty"),
    ];
    for (name, content, remedy) in cases {
        let message = fails(&[&file(&folder, name, content)], 1);
        assert!(message.contains(remedy), "{name}: {message}");
    }
    std::fs::create_dir(folder.path().join("saved")).unwrap();
    file(&folder, "saved/saved_model.pb", b"");
    let saved = folder.path().join("saved").display().to_string();
    assert!(fails(&[&saved], 1).contains("--saved-model"));
}

/// An export of y = gelu(linear(x)) on `batch` rows.
fn export(path: &Path, batch: Value, target: &str) {
    let tensor = |sizes: Value| json!({"dtype": 7, "sizes": sizes});
    let named = |name: &str| json!({"as_tensor": {"name": name}});
    let input = |name: &str, tensor: &str| json!({"name": name, "arg": named(tensor), "kind": 1});
    let spec =
        |kind: &str, name: &str| json!({kind: {"arg": {"name": name}, "parameter_name": name}});
    let four = json!({"as_int": 4});
    let eight = json!({"as_int": 8});
    let module = json!({"graph_module": {
        "graph": {
            "inputs": [named("w"), named("x")],
            "outputs": [named("y")],
            "nodes": [
                {"target": "torch.ops.aten.linear.default", "name": "linear", "outputs": [named("h")],
                 "inputs": [input("input", "x"), input("weight", "w"), {"name": "bias", "arg": {"as_none": true}}]},
                {"target": target, "name": "act", "inputs": [input("self", "h")], "outputs": [named("y")]},
            ],
            "tensor_values": {
                "w": tensor(json!([eight, four])),
                "x": tensor(json!([batch, four])),
                "h": tensor(json!([batch, eight])),
                "y": tensor(json!([batch, eight])),
            },
        },
        "signature": {"input_specs": [
            spec("parameter", "w"),
            {"user_input": {"arg": named("x")}},
            {"token": {"arg": {"name": "t"}}},
        ]},
    }});
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    archive
        .start_file("small/models/model.json", options)
        .unwrap();
    archive.write_all(module.to_string().as_bytes()).unwrap();
    archive.finish().unwrap();
}

#[test]
fn an_export_of_pytorch_is_read_with_its_symbols() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.pt2");
    let name = path.display().to_string();
    export(&path, json!({"as_int": 3}), "torch.ops.aten.gelu.default");
    let model = load(&[&name]);
    assert_eq!(
        (&model["name"], &model["parameters"]),
        (&json!("small"), &json!(32))
    );
    assert_eq!(model["flops"], 2 * 3 * 32);
    export(
        &path,
        json!({"as_expr": {"expr_str": "s77"}}),
        "torch.ops.aten.gelu.default",
    );
    assert!(fails(&[&name], 2).contains("--dim s77=8"));
    assert_eq!(load(&[&name, "--dim", "s77=5"])["flops"], 2 * 5 * 32);
    assert_eq!(
        load(&[&name, "--input-shape", "x=6x4"])["flops"],
        2 * 6 * 32
    );
    assert_eq!(load(&[&name, "--batch-size", "7"])["flops"], 2 * 7 * 32);
    // As PyTorch 2.15 writes it.
    let newer = "Symbol('s77', positive=True, integer=True)";
    let open = json!({"as_expr": {"expr_str": newer, "hint": {"as_int": 2}}});
    export(&path, open, "torch.ops.aten.gelu.default");
    assert!(fails(&[&name], 2).contains("--dim s77=8"));
    assert_eq!(load(&[&name, "--dim", "s77=5"])["flops"], 2 * 5 * 32);
    assert_eq!(load(&[&name, "--batch-size", "7"])["flops"], 2 * 7 * 32);
    export(&path, json!({"as_int": 3}), "torch.ops.own.thing.default");
    let unsupported = &load(&[&name])["unsupported"][0];
    assert_eq!(
        (&unsupported["node"], &unsupported["op"]),
        (&json!("act"), &json!("own.thing"))
    );
    // It has no operations that a share could tell of, and is named all the same.
    let gpu = ["--gpu", "a100-80", "--fidelity", "roofline"];
    let out = phantom_gpu(&[&["benchmark", "--model", &name][..], &gpu].concat());
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}");
    assert!(text.contains("act (own.thing) is not lowered"), "{text}");
}
