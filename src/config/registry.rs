//! The built-in configurations, embedded in the binary, and how a name or file becomes layers.

use super::check::nearest;
use super::raw::{Layer, RawConfig};
use crate::error::{Error, Result, input};
use std::path::{Path, PathBuf};

/// A built-in file: its name (the file's stem) and text.
pub type BuiltIn = (&'static str, &'static str);

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
    "titanv" "v100" "v100-32" "v100-sxm2" "t4" "gtx1650" "rtx2060" "rtx2080ti" "quadro-rtx6000" "a100-40" "a100-80"
    "rtx3060" "rtx3060ti" "rtx3070" "rtx3070ti" "rtx3080" "rtx3090" "a10" "a40" "a6000" "rtx4070" "rtx4090" "l4" "l40s"
    "h100-pcie" "h100-sxm" "h200" "rtx5090" "rtx-pro-6000" "b200");

/// Boards, on which measurements were made: a GPU, and what is different about it.
pub(super) const BOARDS: &[BuiltIn] = files!("boards":
    "a10" "a100-pcie-40gb" "a100-pcie-80gb" "a100-sxm4-40gb" "a100-sxm4-80gb" "a100-sxm4-80gb-travel" "a40" "a6000" "b200" "gtx1650" "gv100" "h100-pcie-80gb" "h100-sxm5-80gb" "h200" "l4" "l40s" "rtx-pro-6000" "rtx2060" "rtx2080ti" "rtx3060" "rtx3060ti" "rtx3070" "rtx3070ti" "rtx3080" "rtx3090" "rtx4070" "rtx4090" "rtx5090" "t4" "titan-v" "v100-pcie-32gb" "v100-sxm2-16gb");

/// Variants of any machine, for `research --variants`: keys that differ from it.
pub const VARIANTS: &[BuiltIn] = files!("variants":
    "adaptive-partitioning" "barrier-aware" "ccws" "closed-page" "crossbar" "double-hbm" "double-sms"
    "early-writes" "fair-memory" "gto" "half-hbm" "half-sms" "ideal-interconnect" "in-order-memory" "larger-l1"
    "larger-l2" "lrr" "mesh" "miss-aware" "more-mshrs" "no-l1" "no-refresh" "ooo-memory" "row-hit-memory"
    "static-partitioning" "stride-prefetch" "two-level" "write-drain");

/// The most files of a user that may be based on each other.
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

/// Other names of the GPUs: as vendors, drivers and people spell them, but for case and punctuation, and for
/// the brand names that [`plain`] drops.
const ALIASES: &[(&str, &[&str])] = &[
    ("v100", &["V100-PCIE", "V100-PCIE-16GB", "V100 16GB"]),
    ("v100-32", &["V100 32GB", "V100-PCIE-32GB"]),
    ("v100-sxm2", &["V100-SXM2-16GB", "V100-SXM2-32GB"]),
    ("gtx1650", &["1650"]),
    ("rtx2080ti", &["2080Ti"]),
    ("rtx3060", &["3060"]),
    ("rtx3060ti", &["3060Ti"]),
    ("rtx3070ti", &["3070Ti"]),
    ("rtx3080", &["3080"]),
    ("rtx4070", &["4070"]),
    ("rtx-pro-6000", &["RTX PRO 6000", "RTX PRO 6000 Blackwell"]),
    ("rtx2060", &["2060"]),
    (
        "a100-40",
        &["A100 40GB", "A100-SXM4-40GB", "A100-PCIE-40GB"],
    ),
    (
        "a100-80",
        &[
            "A100 80GB",
            "A100-SXM4-80GB",
            "A100-SXM-80GB",
            "A100 80GB PCIe",
            "A100-PCIE-80GB",
        ],
    ),
    ("rtx3070", &["3070"]),
    ("rtx3090", &["3090"]),
    ("a6000", &["RTX A6000"]),
    ("rtx4090", &["4090"]),
    ("h100-pcie", &["H100 80GB PCIe", "H100 PCIe 80GB"]),
    (
        "h100-sxm",
        &["H100 SXM5", "H100-SXM5-80GB", "H100 80GB HBM3"],
    ),
    ("h200", &["H200 SXM", "H200 SXM5"]),
    ("rtx5090", &["5090"]),
    ("b200", &["B200 SXM"]),
];

/// Names that several GPUs share, which of them is meant (the board that most published numbers are of), and which
/// one it is not.
const FAMILIES: &[(&str, &str, &str)] = &[
    ("a100", "a100-80", "a100-40"),
    ("a100sxm", "a100-80", "a100-40"),
    ("a100sxm4", "a100-80", "a100-40"),
    ("a100pcie", "a100-80", "a100-40"),
    ("h100", "h100-sxm", "h100-pcie"),
];

/// `name` without case, punctuation and brand: `NVIDIA GeForce RTX 4090` is `rtx4090`.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let joined = letters.collect::<String>().to_ascii_lowercase();
    let mut rest = joined.as_str();
    while let Some(shorter) = ["nvidia", "geforce", "tesla"]
        .iter()
        .find_map(|brand| rest.strip_prefix(brand))
    {
        rest = shorter;
    }
    rest.to_owned()
}

/// Names besides its own under which `gpu` is found.
pub fn aliases(gpu: &str) -> Vec<&'static str> {
    let other = ALIASES.iter().filter(|(name, _)| *name == gpu);
    let family = FAMILIES.iter().filter(|(_, name, _)| *name == gpu);
    let other = other.flat_map(|(_, names)| names.iter().copied());
    family.map(|(name, ..)| *name).chain(other).collect()
}

/// The built-in GPU that `name` means, as it is called in `configs/gpus`.
pub fn lookup(name: &str) -> Option<&'static str> {
    let wanted = plain(name);
    let means = |gpu: &&str| {
        plain(gpu) == wanted || aliases(gpu).iter().any(|alias| plain(alias) == wanted)
    };
    names().into_iter().find(means)
}

/// What to tell a user who named a whole family: which GPU was taken, and which others there are.
pub fn note(name: &str) -> Option<String> {
    let wanted = plain(name);
    let (_, gpu, other) = FAMILIES.iter().find(|(family, ..)| *family == wanted)?;
    Some(format!(
        "note: {name} is taken as {gpu}; say --gpu {other} for the other"
    ))
}

/// The merged layers of `gpu`, a built-in name or a file, and the name of the topmost layer.
///
/// # Errors
/// Unknown names, unreadable files, bad TOML, bases that do not exist or go in a circle.
pub fn resolve(gpu: &str) -> Result<(RawConfig, String)> {
    let mut chain = Chain::default();
    let mut base = match (gpu.ends_with(".toml"), lookup(gpu)) {
        (true, _) => chain.file(Path::new(gpu))?,
        (false, Some(name)) => chain.built_in(name)?,
        (false, None) => return Err(unknown_gpu(gpu)),
    };
    while let Some(below) = base {
        base = chain.base(&below)?;
    }
    let top = chain.names.first().cloned().unwrap_or_default();
    let mut raw = RawConfig::default();
    while let Some(layer) = chain.layers.pop() {
        raw.lay(layer);
    }
    Ok((raw, top))
}

/// Layers from the topmost down.
#[derive(Default)]
struct Chain {
    layers: Vec<Layer>,
    /// Their files as they are named to the user.
    names: Vec<String>,
    /// Their files without links, to find circles; built-in files have none.
    places: Vec<PathBuf>,
    /// The folder of the last file, in which relative bases are; none below a built-in file.
    folder: Option<PathBuf>,
}

impl Chain {
    /// Adds a layer; returns the base that it names.
    fn add(&mut self, file: String, text: &str) -> Result<Option<String>> {
        let layer = Layer::parse(&file, text)?;
        let base = layer.base.clone();
        self.layers.push(layer);
        self.names.push(file);
        Ok(base)
    }

    fn built_in(&mut self, name: &str) -> Result<Option<String>> {
        let (file, text) = built_in(name).expect("lookup found it");
        self.folder = None;
        self.add(file, text)
    }

    fn file(&mut self, path: &Path) -> Result<Option<String>> {
        let text = read(path)?;
        self.places
            .push(std::fs::canonicalize(path).map_err(|e| Error::io(path, e))?);
        self.folder = Some(path.parent().unwrap_or(Path::new("")).to_path_buf());
        self.add(path.display().to_string(), &text)
    }

    /// Adds the layer that the last one calls `base`.
    fn base(&mut self, base: &str) -> Result<Option<String>> {
        let from = self.names.last().cloned().unwrap_or_default();
        if let (true, Some(folder)) = (base.ends_with(".toml"), &self.folder) {
            let path = folder.join(base);
            let place = std::fs::canonicalize(&path).map_err(|e| {
                let what = format!("base = {base:?}: {}: {e}", path.display());
                Error::input(&from, "base", what, "name a file relative to this one")
            })?;
            if self.places.contains(&place) {
                let circle = self.names.join(" -> ");
                return Err(Error::config(
                    &self.names[0],
                    format!(
                        "base: the files are based on each other in a circle: {circle} -> {}",
                        path.display()
                    ),
                ));
            }
            if self.places.len() == DEPTH_MAX {
                let fault = format!(
                    "base: more than {DEPTH_MAX} files are based on each other; merge some of them"
                );
                return Err(Error::config(&self.names[0], fault));
            }
            return self.file(&path);
        }
        let name = match built_in(base) {
            Some(_) => Some(base),
            None => lookup(base),
        };
        self.built_in(name.ok_or_else(|| unknown_base(&from, base))?)
    }
}

fn read(path: &Path) -> Result<String> {
    input::text(path, input::WRITTEN_MAX, "a GPU description (TOML)")
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
    Error::config(
        file,
        format!(
            "base = {base:?} is neither a built-in GPU nor an architecture nor a FILE.toml; {hint}known: {}",
            known().collect::<Vec<_>>().join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_found_as_people_type_them() {
        for (typed, name) in [
            ("Tesla V100", "v100"),
            ("V100", "v100"),
            ("tesla-v100-sxm2-16gb", "v100-sxm2"),
            ("A40", "a40"),
            ("rtx_4090", "rtx4090"),
            ("RTX 4090", "rtx4090"),
            ("NVIDIA GeForce RTX 4090", "rtx4090"),
            ("NVIDIA A100-SXM4-80GB", "a100-80"),
            ("NVIDIA A100-PCIE-40GB", "a100-40"),
            ("NVIDIA H100 80GB HBM3", "h100-sxm"),
            ("NVIDIA H100 PCIe", "h100-pcie"),
            ("NVIDIA RTX A6000", "a6000"),
            ("Quadro RTX 6000", "quadro-rtx6000"),
            ("a100", "a100-80"),
            ("A100 SXM", "a100-80"),
            ("NVIDIA A100 80GB PCIe", "a100-80"),
            ("H100", "h100-sxm"),
            ("H100 SXM", "h100-sxm"),
        ] {
            assert_eq!(lookup(typed), Some(name), "{typed}");
        }
        for unknown in ["", "nvidia", "RTX 6000 Ada", "a11", "gtx1080"] {
            assert_eq!(lookup(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_product_name_finds_its_gpu_and_no_name_finds_two() {
        let mut seen: Vec<String> = Vec::new();
        for name in names() {
            let product = crate::config::load(name, &[]).unwrap().spec.product;
            assert_eq!(lookup(&product), Some(name), "{product}");
            let mut own: Vec<String> = aliases(name).into_iter().map(plain).collect();
            own.push(plain(name));
            assert!(own.iter().all(|n| !seen.contains(n)), "{own:?}");
            seen.extend(own);
        }
    }

    #[test]
    fn a_family_is_said_to_have_been_narrowed() {
        let text = note("A100").unwrap();
        assert!(
            text.contains("a100-80") && text.contains("--gpu a100-40"),
            "{text}"
        );
        assert!(note("A100 SXM").is_some_and(|text| text.contains("--gpu a100-40")));
        assert_eq!(note("a100-80"), None);
    }
}
