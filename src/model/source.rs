//! What a user has named: a file of some format, a folder, or a model that is built in.

use super::check::elements;
use super::graph::Graph;
use super::options::Bindings;
use super::{hf, onnx, pt2, zoo};
use crate::error::{Error, Result, input};
use std::path::Path;

/// Formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ONNX.
    Onnx,
    /// `config.json` of Hugging Face.
    HuggingFace,
    /// `torch.export` of PyTorch.
    Pt2,
}

/// Most bytes of a model file: what a protocol buffer may have. Weights beyond that are in files of their own, which
/// are not read.
const FILE_MAX: u64 = 2 << 30;
/// Bytes in which formats are recognised.
const HEAD: u64 = 64;
/// Most bytes of a configuration.
const CONFIG_MAX: u64 = input::WRITTEN_MAX;

/// Reads and checks what `name` is, as `format` or what it looks like.
///
/// # Errors
/// Everything that is wrong with the name, the format or the file.
pub fn open(name: &str, format: Option<Format>, bindings: &Bindings) -> Result<Graph> {
    let path = Path::new(name);
    if !path.exists() {
        let graph = match zoo::find(name) {
            Some(model) => model.build(bindings)?,
            None => return Err(nothing(name)),
        };
        sized(&graph, name)?;
        return stepped(graph, name, bindings);
    }
    if path.is_dir() {
        return folder(path, format, bindings);
    }
    let head = input::start(path, HEAD)?;
    let format = match format {
        Some(format) => format,
        None => recognise(path, &head)?,
    };
    let stem = path.file_stem().map(|stem| stem.to_string_lossy());
    let stem = stem.unwrap_or_default().into_owned();
    let mut graph = match format {
        Format::Onnx => {
            let bytes = input::bytes(path, FILE_MAX, "an ONNX model")?;
            onnx::read(&bytes, name, bindings)?
        }
        Format::HuggingFace => {
            let text = input::text(path, CONFIG_MAX, "the config.json of a model")?;
            // Every file of the hub has the same name; its folder tells them apart.
            let folder = path.parent().and_then(Path::file_name);
            let folder = folder.map(|folder| folder.to_string_lossy().into_owned());
            let called = folder.filter(|_| stem == "config");
            hf::read(&text, name, called.as_ref().unwrap_or(&stem), bindings)?
        }
        Format::Pt2 => pt2::read(path, name, bindings)?,
    };
    // What exporters call every graph says nothing.
    if matches!(
        &graph.name[..],
        "" | "main_graph" | "torch_jit" | "torch-jit-export" | "main"
    ) {
        graph.name = stem;
    }
    match format {
        // What a file fixes, only a file can change.
        Format::Onnx | Format::Pt2 => graph.check(name)?,
        Format::HuggingFace => sized(&graph, name)?,
    }
    stepped(graph, name, bindings)
}

/// Checks a graph whose extents the user gives: what is too large there is too large a number on the command line, unless
/// it is a weight, whose extents are the file's.
fn sized(graph: &Graph, name: &str) -> Result<()> {
    let own = graph
        .weights()
        .any(|weight| elements(&weight.shape).is_err());
    graph.check(name).map_err(|error| match error {
        Error::Input { place, what, .. } if !own => Error::Usage(format!(
            "{name}: {place}: {what}; give a smaller --batch-size, --seq-len or --dim"
        )),
        other => other,
    })
}

/// `graph`, unless steps were asked for that it does not have.
fn stepped(graph: Graph, name: &str, bindings: &Bindings) -> Result<Graph> {
    match (bindings.steps, &graph.steps) {
        (Some(n), None) => Err(Error::Usage(format!(
            "--steps {n}: {name} has no steps; those that have are stable-diffusion and sdxl"
        ))),
        _ => Ok(graph),
    }
}

/// A name that is neither a file nor a built-in model.
fn nothing(name: &str) -> Error {
    let path = Path::new(name);
    let file = path.extension().is_some_and(|end| {
        ["onnx", "json", "pt2", "pb", "pt", "pth", "h5", "tflite"]
            .iter()
            .any(|known| end == *known)
    });
    if file {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Error::io(path, missing);
    }
    let hint = match name.split_once('/') {
        Some((owner, model)) if !owner.is_empty() && !model.is_empty() && !model.contains('/') => {
            format!(
                "fetch https://huggingface.co/{name}/resolve/main/config.json and name that file"
            )
        }
        _ => "name a file, or a built-in model (`phantom-gpu list-models`)".into(),
    };
    Error::Usage(format!(
        "{name}: neither a file nor a built-in model; {hint}"
    ))
}

fn folder(path: &Path, format: Option<Format>, bindings: &Bindings) -> Result<Graph> {
    let config = path.join("config.json");
    if path.join("saved_model.pb").exists() {
        let convert = format!(
            "convert it: python -m tf2onnx.convert --saved-model {} --output model.onnx",
            path.display()
        );
        return Err(refuse(
            path,
            "this is a TensorFlow SavedModel, which is not read",
            &convert,
        ));
    }
    match config.is_file() && format.is_none_or(|format| format == Format::HuggingFace) {
        true => open(
            &config.display().to_string(),
            Some(Format::HuggingFace),
            bindings,
        ),
        false => Err(refuse(
            path,
            "this folder has no config.json",
            "name a model file",
        )),
    }
}

fn refuse(path: &Path, what: &str, remedy: &str) -> Error {
    Error::input(path.display().to_string(), "whole file", what, remedy)
}

/// What converts pickled PyTorch models, which name code that only PyTorch can run.
const FROM_TORCH: &str = "convert it where its class is known: python -c \"import torch; m = torch.load('FILE', weights_only=False); torch.onnx.export(m, (EXAMPLE,), 'model.onnx', dynamo=True)\"";

/// How compressed files begin, and what unpacks them.
const PACKED: [(&[u8], &str); 4] = [
    (b"\xfd7zXZ\0", "xz -dk"),
    (b"\x1f\x8b\x08", "gzip -dk"),
    (b"\x28\xb5\x2f\xfd", "zstd -d"),
    (b"BZh", "bzip2 -dk"),
];

fn recognise(path: &Path, head: &[u8]) -> Result<Format> {
    let end = path
        .extension()
        .map(|end| end.to_string_lossy().to_lowercase());
    let end = end.as_deref().unwrap_or_default();
    let shown = path.display();
    let begins = |magic: &[u8]| head.starts_with(magic);
    if begins(b"PK\x03\x04") || end == "pt2" {
        return match pt2::is_export(path) || end == "pt2" {
            true => Ok(Format::Pt2),
            false => Err(refuse(
                path,
                "this zip archive is no torch.export; a pickled PyTorch model is not read",
                &FROM_TORCH.replace("FILE", &shown.to_string()),
            )),
        };
    }
    let (what, remedy) = if begins(b"\x89HDF\r\n\x1a\n") || matches!(end, "h5" | "keras") {
        let convert = format!(
            "convert it: python -c \"import tensorflow as tf, tf2onnx; tf2onnx.convert.from_keras(tf.keras.models.load_model('{shown}'), output_path='model.onnx')\""
        );
        ("this is a Keras model (HDF5), which is not read", convert)
    } else if head.get(4..8) == Some(b"TFL3") || end == "tflite" {
        let convert =
            format!("convert it: python -m tf2onnx.convert --tflite {shown} --output model.onnx");
        (
            "this is a TensorFlow Lite model, which is not read",
            convert,
        )
    } else if begins(b"\x80") || matches!(end, "pt" | "pth" | "pkl") {
        let convert = FROM_TORCH.replace("FILE", &shown.to_string());
        (
            "this is a pickled PyTorch model, which is not read",
            convert,
        )
    } else if end == "pb" {
        let convert = format!(
            "convert it: python -m tf2onnx.convert --graphdef {shown} --inputs INPUT:0 --outputs OUTPUT:0 --output model.onnx"
        );
        ("this is a TensorFlow graph, which is not read", convert)
    } else if let Some((_, tool)) = PACKED.iter().find(|(magic, _)| begins(magic)) {
        let unpack = format!("unpack it: {tool} {shown}");
        ("this is a compressed file, which is not read", unpack)
    } else if begins(b"GGUF") || end == "safetensors" {
        let name = "name the config.json that belongs to it".to_owned();
        ("these are weights without a graph", name)
    } else {
        let text = head
            .trim_ascii_start()
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(head.trim_ascii_start());
        return Ok(match text.first() == Some(&b'{') || end == "json" {
            true => Format::HuggingFace,
            false => Format::Onnx,
        });
    };
    Err(refuse(path, what, &remedy))
}
