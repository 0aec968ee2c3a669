//! `SWEEP.toml`: what it may say, and its checks that need no GPU.
//!
//! Unknown keys are denied everywhere. Files that it names are relative to its own folder.

use crate::error::{Error, Result, input};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A sweep as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Name of the study.
    pub name: Option<String>,
    /// GPUs: built-in names or files.
    #[serde(default)]
    pub gpus: Vec<String>,
    /// Keys that every point has.
    #[serde(default)]
    pub set: Table,
    /// What is run.
    #[serde(default)]
    pub workload: Vec<Workload>,
    /// What differs.
    #[serde(default)]
    pub axis: Vec<Axis>,
    /// Points that are drawn instead of the whole grid.
    pub sample: Option<Sample>,
    /// Comparisons of keys that must hold.
    #[serde(default)]
    pub constraints: Vec<String>,
    /// What a good point is.
    #[serde(default)]
    pub objective: Vec<Objective>,
    /// Further columns of the results: numbers of the report.
    #[serde(default)]
    pub columns: Vec<String>,
    /// How much is simulated.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// Widest confidence interval of a sampled kernel.
    pub ci: Option<f64>,
    /// Bounds of a point.
    #[serde(default)]
    pub limits: Limits,
}

/// How much is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// Every cycle.
    #[default]
    Full,
    /// Parts of long kernels.
    Sampled,
    /// Nothing: bounds of peak rates.
    Roofline,
}

impl Fidelity {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Fidelity::Full => "full",
            Fidelity::Sampled => "sampled",
            Fidelity::Roofline => "roofline",
        }
    }
}

/// A workload: one of `trace`, `synth`, `launch` with `ptx`, and `model`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Name in the results; by default what it is made of.
    pub name: Option<String>,
    /// A trace: kernelslist.g, .traceg, .pgt.
    pub trace: Option<String>,
    /// A generated kernel: `synth:...`.
    pub synth: Option<String>,
    /// A PTX file, of which `launch` runs kernels.
    pub ptx: Option<String>,
    /// The launch file of an application.
    pub launch: Option<String>,
    /// A model: a built-in name or a file.
    pub model: Option<String>,
    /// Of a model: sequences or images at a time.
    pub batch_size: Option<u64>,
    /// Of a model: tokens of a sequence.
    pub seq_len: Option<u64>,
    /// Of a model in decoding: tokens that are kept.
    pub kv_len: Option<u64>,
    /// Of a model: numbers.
    pub precision: Option<String>,
    /// Of a model: `prefill`, `decode` or `train`.
    pub phase: Option<String>,
    /// Of a model in training: `none`, `sgd`, `adam` or `adamw`.
    pub optimizer: Option<String>,
    /// Of a model: `eager`, `graph` or `compile`.
    pub runtime: Option<String>,
    /// Of a model: `fused` or `math`.
    pub attention: Option<String>,
    /// Of a model: GPUs that share every layer.
    pub tensor_parallel: Option<u64>,
    /// Of a model: its open extents by name.
    #[serde(default)]
    pub dims: Table,
}

/// An axis: one key with values or a range, or several keys that move together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// The key.
    pub key: Option<String>,
    /// Keys that move together.
    pub keys: Option<Vec<String>>,
    /// Values; with `keys` a list for each point of the axis.
    pub values: Option<Vec<Value>>,
    /// Values between two ends.
    pub range: Option<Range>,
}

/// Values between two ends, which belong to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// First value.
    pub from: Value,
    /// Last value.
    pub to: Value,
    /// Each value is so much more than the one before.
    pub step: Option<Value>,
    /// Each value is so many times the one before.
    pub factor: Option<f64>,
    /// So many values.
    pub count: Option<u64>,
    /// Of `count`, and of drawn values: equal factors rather than equal distances.
    #[serde(default)]
    pub log: bool,
}

/// Points that are drawn.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// How.
    pub method: Method,
    /// How many, for each workload and GPU.
    pub points: u64,
    /// Seed: the same points every time.
    #[serde(default)]
    pub seed: u64,
}

/// How points are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Each axis by itself.
    Random,
    /// Each axis in as many strata as there are points, one point in each.
    LatinHypercube,
}

/// What is to be small or large.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// A column that should be small.
    pub minimize: Option<String>,
    /// A column that should be large.
    pub maximize: Option<String>,
}

/// Bounds of a point.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall time, seconds.
    pub time_s: Option<f64>,
    /// Memory of the simulated machine, such as `"4 GiB"`.
    pub memory: Option<String>,
    /// Core cycles, at fidelity full.
    pub max_cycles: Option<u64>,
}

/// What a project says where a sweep leaves it open; files are relative to the current folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usual {
    /// GPUs.
    pub gpus: Vec<String>,
    /// A model.
    pub model: Option<String>,
}

/// A file that was read, with its place.
#[derive(Clone, Debug)]
pub struct File {
    /// As it was named.
    pub path: PathBuf,
    /// What it says.
    pub written: Written,
}

impl File {
    /// Reads `path`; what it leaves open is `usual`.
    ///
    /// # Errors
    /// A file that cannot be read, is no TOML, or has keys that no sweep has.
    pub fn read(path: &Path, usual: &Usual) -> Result<Self> {
        let text = input::text(path, input::MADE_MAX, "a sweep (TOML)")?;
        let written: Written = toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(1, |span| {
                let before = text.as_bytes().iter().take(span.start);
                before.filter(|b| **b == b'\n').count() + 1
            });
            Error::input(
                path.display().to_string(),
                format!("line {line}"),
                e.message().trim().to_owned(),
                "docs/sweeps.md lists what a sweep may say",
            )
        })?;
        let mut file = File {
            path: path.to_path_buf(),
            written,
        };
        file.fill(usual)?;
        let written = &file.written;
        for (place, what, empty) in [
            ("gpus", "GPU", written.gpus.is_empty()),
            ("workload", "workload", written.workload.is_empty()),
        ] {
            if empty {
                return Err(file.fault(place, format!("no {what}"), format!("name a {what}")));
            }
        }
        Ok(file)
    }

    /// Takes from `usual` what is left open.
    fn fill(&mut self, usual: &Usual) -> Result<()> {
        let absolute = |name: &str| match Path::new(name).exists() {
            true => std::path::absolute(name)
                .map(|path| path.display().to_string())
                .map_err(|e| Error::io(name, e)),
            false => Ok(name.to_owned()),
        };
        if self.written.gpus.is_empty() {
            let gpus = usual.gpus.iter().map(|gpu| absolute(gpu));
            self.written.gpus = gpus.collect::<Result<_>>()?;
        }
        if let (true, Some(model)) = (self.written.workload.is_empty(), &usual.model) {
            let stem = Path::new(model)
                .file_stem()
                .filter(|_| Path::new(model).exists());
            self.written.workload.push(Workload {
                name: stem.map(|stem| stem.to_string_lossy().into_owned()),
                model: Some(absolute(model)?),
                ..Workload::default()
            });
        }
        Ok(())
    }

    /// A fault of `place`.
    pub fn fault(
        &self,
        place: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        Error::input(self.path.display().to_string(), place, what, remedy)
    }

    /// `error` with the place here that it is about, where it is one of a command that nobody has written.
    pub fn within(&self, place: &str, error: Error) -> Error {
        match error {
            Error::Usage(what) => {
                let what = what.strip_prefix("--gpu ").unwrap_or(&what);
                Error::Usage(format!("{}: {place}: {what}", self.path.display()))
            }
            other => other,
        }
    }

    /// The file that `name` means, which is relative to this one.
    pub fn beside(&self, name: &str) -> String {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        folder.join(name).display().to_string()
    }

    /// `set` as dotted keys with their values.
    pub fn sets(&self) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        flatten(&self.written.set, "", &mut all);
        all
    }
}

fn flatten(table: &Table, above: &str, all: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let key = match above {
            "" => key.clone(),
            above => format!("{above}.{key}"),
        };
        match value {
            Value::Table(inner) => flatten(inner, &key, all),
            value => all.push((key, value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<File> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        File::read(file.path(), &Usual::default())
    }

    #[test]
    fn keys_that_no_sweep_has_are_named_with_their_line() {
        for (text, line, word) in [
            ("gpus = [\"v100\"]\ngpu = 1\n", "line 2", "gpu"),
            (
                "gpus = [\"v100\"]\n[[workload]]\nsynth = \"synth:empty\"\nspeed = 1\n",
                "line 4",
                "speed",
            ),
            ("gpus = [\n", "line 1", ""),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.exit_status(), 1);
            let error = error.to_string();
            assert!(error.contains(line) && error.contains(word), "{error}");
        }
    }

    #[test]
    fn nested_and_dotted_keys_are_the_same() {
        let text = "gpus = [\"v100\"]\n[[workload]]\nsynth = \"synth:empty\"\n[set]\nl1.ways = 8\n\"l2.ways\" = 16\n";
        let sets = read(text).unwrap().sets();
        let keys: Vec<&str> = sets.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["l1.ways", "l2.ways"]);
    }
}
