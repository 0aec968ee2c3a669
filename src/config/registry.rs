//! The built-in configurations, embedded in the binary, and how a name or file becomes layers.

use super::check::nearest;
use super::raw::{Layer, RawConfig};
use crate::error::{Error, Result};
use std::path::Path;

/// A built-in file: its name (the file's stem) and text.
type BuiltIn = (&'static str, &'static str);

macro_rules! files {
    ($dir:literal: $($name:literal)+) => {
        &[$((
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/", $dir, "/", $name, ".toml")),
        )),+]
    };
}

/// What the chips of an architecture have in common.
const ARCHITECTURES: &[BuiltIn] = files!("arch":
    "volta" "turing" "ampere_ga100" "ampere_ga10x" "ada" "hopper" "blackwell_gb100" "blackwell_gb20x");

/// GPUs, oldest architecture first.
const GPUS: &[BuiltIn] = files!("gpus":
    "titanv" "v100" "t4" "rtx2060" "quadro-rtx6000" "a100-40" "a100-80" "rtx3070" "rtx3090" "a6000"
    "rtx4090" "l4" "l40s" "h100-pcie" "h100-sxm" "h200" "rtx5090" "b200");

/// The most files that may be based on each other.
const DEPTH_MAX: usize = 8;

/// Names of the built-in GPUs.
pub fn names() -> Vec<&'static str> {
    GPUS.iter().map(|(name, _)| *name).collect()
}

fn built_in(name: &str) -> Option<(String, &'static str)> {
    let find = |list: &[BuiltIn], dir: &str| {
        let found = list.iter().find(|(known, _)| *known == name);
        found.map(|(name, text)| (format!("configs/{dir}/{name}.toml"), *text))
    };
    find(GPUS, "gpus").or_else(|| find(ARCHITECTURES, "arch"))
}

/// The merged layers of `gpu`, a built-in name or a file, and the name of the topmost layer.
///
/// # Errors
/// Unknown names, unreadable files, bad TOML, bases that do not exist or go in a circle.
pub fn resolve(gpu: &str) -> Result<(RawConfig, String)> {
    let (file, text) = if names().contains(&gpu) {
        let (file, text) = built_in(gpu).expect("it is in the list");
        (file, text.to_owned())
    } else if gpu.ends_with(".toml") {
        (gpu.to_owned(), read(Path::new(gpu))?)
    } else {
        return Err(unknown_gpu(gpu));
    };
    let top = file.clone();
    let mut layers = vec![Layer::parse(&file, &text)?];
    while let Some(base) = layers[layers.len() - 1].base.clone() {
        if layers.len() == DEPTH_MAX {
            return Err(Error::input(
                top,
                "base",
                format!("{DEPTH_MAX} files are based on each other"),
                "remove the circle",
            ));
        }
        let (file, text) = built_in(&base).ok_or_else(|| unknown_base(&top, &base))?;
        layers.push(Layer::parse(&file, text)?);
    }
    let mut raw = RawConfig::default();
    while let Some(layer) = layers.pop() {
        raw.lay(layer);
    }
    Ok((raw, top))
}

fn read(path: &Path) -> Result<String> {
    // A description is a few kilobytes; anything larger is the wrong file.
    const BYTES_MAX: u64 = 1 << 20;
    let bytes = std::fs::metadata(path)
        .map_err(|e| Error::io(path, e))?
        .len();
    if bytes > BYTES_MAX {
        return Err(Error::input(
            path.display().to_string(),
            "whole file",
            format!("{bytes} bytes, at most {BYTES_MAX} are read"),
            "name a GPU description (TOML)",
        ));
    }
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}

fn unknown_gpu(gpu: &str) -> Error {
    let hint = nearest(gpu, names().into_iter())
        .map_or(String::new(), |name| format!(" did you mean {name}?"));
    Error::Usage(format!(
        "--gpu {gpu}: no such GPU;{hint} built-in: {}; or name a FILE.toml",
        names().join(", ")
    ))
}

fn unknown_base(file: &str, base: &str) -> Error {
    let known = || GPUS.iter().chain(ARCHITECTURES).map(|(name, _)| *name);
    let hint =
        nearest(base, known()).map_or(String::new(), |name| format!("did you mean {name}? "));
    Error::input(
        file,
        "base",
        format!("base = {base:?} is neither a built-in GPU nor an architecture"),
        format!("{hint}known: {}", known().collect::<Vec<_>>().join(", ")),
    )
}
