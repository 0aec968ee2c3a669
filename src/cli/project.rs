//! `phantom-gpu.toml`: what a project says once, so that commands need not be told each time.
//!
//! It is read from the current folder, or from where `--project` says. Options win over it.

use super::load_model::FormatArg;
use crate::config::check::nearest;
use crate::config::registry;
use crate::error::{Error, Result, input};
use crate::output;
use crate::report::Report;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The file that is read where none is named.
const FILE: &str = "phantom-gpu.toml";

/// `--project` of commands that read it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ProjectArgs {
    /// Model, GPUs and constraints of a project, where no option says them [default: phantom-gpu.toml, if it is there].
    #[arg(long, value_name = "FILE")]
    pub project: Option<PathBuf>,
}

/// Whether two names are of one GPU.
fn same(a: &str, b: &str) -> bool {
    let is_file = a.ends_with(".toml") || b.ends_with(".toml");
    match (registry::lookup(a), registry::lookup(b)) {
        (Some(a), Some(b)) if !is_file => a == b,
        _ => a == b,
    }
}

/// What a project says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    #[serde(skip)]
    file: PathBuf,
    model: Option<Model>,
    #[serde(default)]
    constraints: Constraints,
    gpus: Option<Gpus>,
    research: Option<Research>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    path: String,
    framework: Option<Framework>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Framework {
    Onnx,
    #[serde(alias = "transformers", alias = "hugging-face")]
    HuggingFace,
    #[serde(alias = "torch")]
    PyTorch,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constraints {
    max_memory_gb: Option<f64>,
    target_latency_ms: Option<f64>,
    max_cost_per_hour: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gpus {
    candidates: Option<Vec<String>>,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Research {
    #[serde(default)]
    features: Vec<String>,
    correlation_target: Option<f64>,
    output_format: Option<String>,
}

impl ProjectArgs {
    /// The project, or an empty one where there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or says what no project says.
    pub fn read(&self) -> Result<Project> {
        match &self.project {
            Some(file) => Project::read(file),
            None if Path::new(FILE).is_file() => Project::read(Path::new(FILE)),
            None => Ok(Project::default()),
        }
    }
}

impl Project {
    fn read(file: &Path) -> Result<Self> {
        let text = input::text(file, input::WRITTEN_MAX, "a project (TOML)")?;
        let mut project: Project = toml::from_str(&text).map_err(|e| {
            let place = e.span().map_or(0, |span| span.start).min(text.len());
            let line = text.as_bytes()[..place].iter().filter(|b| **b == b'\n').count() + 1;
            Error::input(
                file.display().to_string(),
                format!("line {line}"),
                e.message().trim().to_owned(),
                "a project has [model], [constraints], [gpus] and [research]; docs/project.md lists their keys",
            )
        })?;
        project.file = file.to_path_buf();
        project.check()?;
        let research = project.research.as_ref();
        let unbuilt = [
            (
                project.constraints.max_cost_per_hour.is_some(),
                "constraints.max_cost_per_hour",
                "costs are",
            ),
            (
                research.is_some_and(|r| r.correlation_target.is_some()),
                "research.correlation_target",
                "targets of a correlation are",
            ),
            (
                research.is_some_and(|r| r.output_format.is_some()),
                "research.output_format",
                "formats beyond the options of research are",
            ),
        ];
        for (said, key, what) in unbuilt {
            if said {
                let shown = file.display();
                output::note(format_args!(
                    "note: {shown}: {key} is not looked at: {what} not built yet"
                ));
            }
        }
        Ok(project)
    }

    fn check(&self) -> Result<()> {
        let limits = &self.constraints;
        for (key, limit) in [
            ("max_memory_gb", limits.max_memory_gb),
            ("target_latency_ms", limits.target_latency_ms),
            ("max_cost_per_hour", limits.max_cost_per_hour),
        ] {
            if limit.is_some_and(|limit| !(limit > 0.0 && limit.is_finite())) {
                return Err(self.fault(
                    &format!("constraints.{key}"),
                    "it is no number above 0",
                    "correct it",
                ));
            }
        }
        self.check_gpus()?;
        if self.gpus.is_some() && self.gpus().is_empty() {
            let what = "no candidate is left";
            return Err(self.fault("gpus", what, "name more candidates, or exclude fewer"));
        }
        Ok(())
    }

    /// Refuses candidates that are the same, none, and those that exclude nothing because no GPU has their name.
    fn check_gpus(&self) -> Result<()> {
        let Some(gpus) = &self.gpus else {
            return Ok(());
        };
        let candidates = gpus.candidates.as_deref();
        if candidates.is_some_and(<[String]>::is_empty) {
            let what = "it is empty";
            return Err(self.fault("gpus.candidates", what, "leave it away to have all GPUs"));
        }
        let candidates = candidates.unwrap_or_default();
        for (at, gpu) in candidates.iter().enumerate() {
            if let Some(other) = candidates[..at].iter().find(|other| same(gpu, other)) {
                let what = format!("{other} and {gpu} are the same GPU");
                return Err(self.fault("gpus.candidates", &what, "name each GPU once"));
            }
        }
        for out in &gpus.exclude {
            let known = registry::lookup(out).is_some();
            if !known && !candidates.iter().any(|gpu| same(gpu, out)) {
                let names = registry::names().into_iter();
                let near = nearest(out, names.chain(candidates.iter().map(String::as_str)));
                let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
                let what = format!("no GPU is called {out}{near}");
                return Err(self.fault("gpus.exclude", &what, "correct it, or leave it away"));
            }
        }
        Ok(())
    }

    fn fault(&self, place: &str, what: &str, remedy: &str) -> Error {
        Error::input(self.file.display().to_string(), place, what, remedy)
    }

    /// Its file, where there is one.
    pub fn file(&self) -> Option<&Path> {
        Some(self.file.as_path()).filter(|file| !file.as_os_str().is_empty())
    }

    /// The model: a built-in name, or a file, which is relative to the project's.
    pub fn model(&self) -> Option<String> {
        let path = &self.model.as_ref()?.path;
        let beside = self.file.parent().unwrap_or(Path::new("")).join(path);
        Some(match beside.exists() {
            true => beside.display().to_string(),
            false => path.clone(),
        })
    }

    /// The features of `research`.
    pub fn research_features(&self) -> &[String] {
        self.research.as_ref().map_or(&[], |r| &r.features)
    }

    /// The format of the model.
    pub fn format(&self) -> Option<FormatArg> {
        let framework = self.model.as_ref()?.framework?;
        Some(match framework {
            Framework::Onnx => FormatArg::Onnx,
            Framework::HuggingFace => FormatArg::HuggingFace,
            Framework::PyTorch => FormatArg::Pt2,
        })
    }

    /// Candidates, all built-in GPUs where none is named, without those that are excluded.
    pub fn gpus(&self) -> Vec<String> {
        let Some(gpus) = &self.gpus else {
            return Vec::new();
        };
        let all = match &gpus.candidates {
            None => registry::names().into_iter().map(str::to_owned).collect(),
            Some(candidates) => candidates.clone(),
        };
        let left = all
            .into_iter()
            .filter(|gpu| !gpus.exclude.iter().any(|out| same(gpu, out)));
        // A description of one's own is relative to the project.
        let beside = |gpu: String| match gpu.ends_with(".toml") {
            true => self
                .file
                .parent()
                .unwrap_or(Path::new(""))
                .join(gpu)
                .display()
                .to_string(),
            false => gpu,
        };
        left.map(beside).collect()
    }

    /// A line for each of `reports`: whether it keeps the constraints; empty without any.
    pub fn verdicts(&self, reports: &[Report]) -> String {
        let limits = &self.constraints;
        if limits.max_memory_gb.is_none() && limits.target_latency_ms.is_none() {
            return String::new();
        }
        let mut text = String::new();
        for model in reports.iter().filter_map(|report| report.model.as_ref()) {
            let mut faults = Vec::new();
            let gigabytes = model.memory.total_bytes as f64 / 1e9;
            if let Some(most) = limits.max_memory_gb.filter(|most| gigabytes > *most) {
                faults.push(format!("{gigabytes:.3} GB of memory are more than {most}"));
            }
            match (limits.target_latency_ms, model.latency_ms) {
                (Some(most), Some(ms)) if ms > most => {
                    faults.push(format!("{ms:.3} ms are more than {most}"));
                }
                (_, None) => faults.push("it has no room".to_owned()),
                _ => {}
            }
            let verdict = match faults.is_empty() {
                true => "keeps the constraints".to_owned(),
                false => format!("does not keep the constraints: {}", faults.join(", ")),
            };
            text.push_str(&format!(
                "{} on {}, batch of {}: {verdict}\n",
                model.name, model.gpu, model.batch_size
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_that_are_none_or_the_same_are_named() {
        let read = |gpus: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), format!("[gpus]\n{gpus}\n")).unwrap();
            Project::read(file.path())
        };
        let left = read("candidates = [\"v100\", \"a100-40\"]\nexclude = [\"A100-40\"]");
        assert_eq!(left.unwrap().gpus(), ["v100"]);
        assert!(read("exclude = [\"a100-40\"]").unwrap().gpus().len() > 5);
        for (gpus, word) in [
            ("exclude = [\"a100-44\"]", "did you mean a100-40"),
            (
                "candidates = [\"v100\", \"V100\"]",
                "v100 and V100 are the same",
            ),
            ("candidates = []", "it is empty"),
            (
                "candidates = [\"v100\"]\nexclude = [\"v100\"]",
                "no candidate is left",
            ),
        ] {
            let error = read(gpus).unwrap_err().to_string();
            assert!(error.contains(word), "{gpus}: {error}");
        }
    }
}
