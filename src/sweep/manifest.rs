//! What a sweep is, as its folder says it: everything that tables are made of beside the stored points.

use crate::error::{Error, Result, input};
use crate::hash::ContentHash;
use crate::output;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Version of the files of a folder.
pub const SCHEMA_VERSION: u32 = 2;
/// The file of the manifest.
pub const FILE: &str = "manifest.json";

/// A sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the files.
    pub schema_version: u32,
    /// Hash of all points: equal hashes, equal sweeps.
    pub sweep: String,
    /// Name of the study.
    pub name: String,
    /// Version of the program.
    pub tool_version: String,
    /// Version of the machine's behaviour.
    pub model_version: u32,
    /// How much is simulated, and its settings.
    pub fidelity: String,
    /// Workloads.
    pub workloads: Vec<Named>,
    /// GPUs, with the hash of the machine on which the axes change something.
    pub gpus: Vec<Named>,
    /// Keys of the axes, one for each column.
    pub keys: Vec<String>,
    /// What a good point is; the first one is that of effects.
    pub objectives: Vec<Objective>,
    /// Columns that the sweep asks for beside the usual ones.
    pub columns: Vec<String>,
    /// Points, in the order of the results.
    pub points: Vec<Point>,
}

/// A workload or a GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// Name in the results.
    pub name: String,
    /// Hash of its content.
    pub hash: String,
    /// It is a model, which has columns of its own.
    #[serde(default)]
    pub model: bool,
}

/// What is to be small or large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Column.
    pub column: String,
    /// Which way is better.
    pub goal: Goal,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Small.
    Minimize,
    /// Large.
    Maximize,
}

/// A point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Hash of all that its result depends on; two points may have the same.
    pub key: String,
    /// Its workload.
    pub workload: usize,
    /// Its GPU.
    pub gpu: usize,
    /// Values of the keys.
    pub values: Vec<String>,
}

impl Manifest {
    /// The hash of the points.
    pub fn identity(&self) -> String {
        let mut hash = ContentHash::default();
        hash.word(u64::from(self.schema_version));
        hash.word(u64::from(self.model_version));
        hash.bytes(self.name.as_bytes());
        hash.bytes(self.fidelity.as_bytes());
        for named in self.workloads.iter().chain(&self.gpus) {
            hash.bytes(named.name.as_bytes());
            hash.bytes(named.hash.as_bytes());
        }
        self.keys.iter().for_each(|key| hash.bytes(key.as_bytes()));
        for point in &self.points {
            hash.bytes(point.key.as_bytes());
            hash.word(point.workload as u64);
            hash.word(point.gpu as u64);
            let values = point.values.iter();
            values.for_each(|value| hash.bytes(value.as_bytes()));
        }
        hash.hex()
    }

    /// Points by key: for each key the first point that has it.
    pub fn owners(&self) -> Vec<usize> {
        let mut seen = std::collections::BTreeSet::new();
        let points = self.points.iter().enumerate();
        points
            .filter(|(_, point)| seen.insert(&point.key))
            .map(|(at, _)| at)
            .collect()
    }

    /// What differs first between this sweep and `other`, in words.
    pub fn difference(&self, other: &Manifest) -> String {
        let names = |named: &[Named]| -> Vec<String> {
            named
                .iter()
                .map(|n| format!("{} ({})", n.name, n.hash))
                .collect()
        };
        let pairs = [
            ("name", self.name.clone(), other.name.clone()),
            (
                "version of the model",
                self.model_version.to_string(),
                other.model_version.to_string(),
            ),
            ("fidelity", self.fidelity.clone(), other.fidelity.clone()),
            (
                "workloads",
                names(&self.workloads).join(", "),
                names(&other.workloads).join(", "),
            ),
            (
                "GPUs",
                names(&self.gpus).join(", "),
                names(&other.gpus).join(", "),
            ),
            ("axes", self.keys.join(", "), other.keys.join(", ")),
            (
                "number of points",
                self.points.len().to_string(),
                other.points.len().to_string(),
            ),
        ];
        match pairs.iter().find(|(_, a, b)| a != b) {
            Some((what, a, b)) => format!("its {what}: {a} there, {b} here"),
            None => "values of its axes".to_owned(),
        }
    }

    /// Reads the manifest of `folder`; nothing where there is none.
    ///
    /// # Errors
    /// A file that is no manifest of this version.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = input::text(&path, 1 << 32, "the manifest of a sweep")?;
        let fault = |place: String, what: String| {
            let remedy = "name another folder, or remove this one";
            Error::input(path.display().to_string(), place, what, remedy)
        };
        /// What every version has.
        #[derive(Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let broken = |e: serde_json::Error| fault(format!("line {}", e.line()), e.to_string());
        let version: Version = serde_json::from_str(&text).map_err(broken)?;
        if version.schema_version != SCHEMA_VERSION {
            let what = format!(
                "the folder is of version {}, this program reads and writes version {SCHEMA_VERSION}",
                version.schema_version
            );
            return Err(fault("schema_version".into(), what));
        }
        let manifest: Manifest = serde_json::from_str(&text).map_err(broken)?;
        match manifest.sweep == manifest.identity() {
            true => Ok(Some(manifest)),
            false => Err(fault("whole file".into(), "it is damaged".into())),
        }
    }

    /// Writes the manifest to `folder`, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut text = serde_json::to_string(self).expect("string keys");
        text.push('\n');
        output::write_text(&folder.join(FILE), &text)
    }
}
