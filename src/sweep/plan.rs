//! From a sweep's file to its points: everything is loaded, checked and hashed before the first point runs.

use super::axis::{self, Axis, Setting};
use super::design::Design;
use super::file::{File, Usual};
use super::manifest::{Goal, Manifest, Named, Objective, Point, SCHEMA_VERSION};
use super::metrics;
use super::workload::{self, Workload};
use crate::config::{Layers, Resolved, registry};
use crate::error::{Error, Result};
use crate::hash::ContentHash;
use crate::memory_limit;
use crate::session::{MODEL_VERSION, Session};
use crate::trace;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// A sweep that is ready to run.
pub struct Study {
    /// What it says.
    pub file: File,
    /// What it is.
    pub manifest: Manifest,
    /// Workloads, in the order of the manifest.
    pub workloads: Vec<Workload>,
    /// For each point its row of the design.
    pub rows: Vec<usize>,
    /// Most memory of a simulated machine, where the sweep says it.
    pub memory_limit: Option<u64>,
    gpus: Vec<Gpu>,
    design: Design,
}

struct Gpu {
    name: String,
    opened: String,
    layers: Layers,
    /// What every point sets, as `key=value`.
    sets: Vec<String>,
}

impl Study {
    /// Reads the sweep at `path`, what it leaves open being `usual`, and loads all that it names; `threads` are for PTX that
    /// has to be executed.
    ///
    /// # Errors
    /// Everything that is wrong with the sweep, its GPUs, axes and workloads.
    pub fn open(path: &Path, usual: &Usual, threads: usize) -> Result<Self> {
        let file = File::read(path, usual)?;
        let memory_limit = limits(&file)?;
        let gpus = gpus(&file)?;
        let drawn = file.written.sample.is_some();
        let axes = (0..file.written.axis.len())
            .map(|at| axis::read(&file, at, &gpus[0].layers, drawn))
            .collect::<Result<Vec<_>>>()?;
        let keys: Vec<String> = axes.iter().flat_map(|axis| axis.keys.clone()).collect();
        once(&file, &keys)?;
        let bases = bases(&file, &gpus)?;
        let mut workloads = Vec::new();
        for at in 0..file.written.workload.len() {
            let session = Session::of(bases[0].clone());
            let opened = workload::open(&file, at, &session, threads);
            let place = format!("workload {}", at + 1);
            workloads.push(opened.map_err(|e| file.within(&place, e))?);
        }
        names_differ(&file, "workload", workloads.iter().map(|w| &w.name))?;
        let models = workloads.iter().any(|workload| workload.is_model);
        let columns = columns(&file, models)?;
        let objectives = objectives(&file, &axes, &columns, &workloads)?;
        let times = (workloads.len() * gpus.len()) as u64;
        let echoes: Vec<&serde_json::Value> = bases.iter().map(|base| &base.echo).collect();
        let design = Design::of(&file, axes, times, &echoes)?;
        let named = |name: &str, hash: &str, model| Named {
            name: name.to_owned(),
            hash: hash.to_owned(),
            model,
        };
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            sweep: String::new(),
            name: match (&file.written.name, path.file_stem()) {
                (Some(name), _) => name.clone(),
                (None, Some(stem)) => stem.to_string_lossy().into_owned(),
                (None, None) => "sweep".to_owned(),
            },
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            model_version: MODEL_VERSION,
            fidelity: fidelity(&file),
            workloads: workloads
                .iter()
                .map(|w| named(&w.name, &w.hash, w.is_model))
                .collect(),
            gpus: gpus
                .iter()
                .zip(&bases)
                .map(|(gpu, base)| named(&gpu.name, &base.hash, false))
                .collect(),
            keys,
            objectives,
            columns,
            points: Vec::new(),
        };
        let mut study = Study {
            file,
            manifest,
            workloads,
            rows: Vec::new(),
            memory_limit,
            gpus,
            design,
        };
        study.place_points(&bases)?;
        study.manifest.sweep = study.manifest.identity();
        Ok(study)
    }

    /// Every point with its key.
    fn place_points(&mut self, bases: &[Resolved]) -> Result<()> {
        let constraints = self.file.written.constraints.clone();
        let mut machines: Vec<Vec<(usize, String)>> = Vec::new();
        let mut first_fault = None;
        let (mut good, mut all) = (0, 0);
        for (gpu, base) in bases.iter().enumerate() {
            let kept = self.design.kept(&self.file, &constraints, &base.echo)?;
            let made: Vec<(usize, Result<String>)> = kept
                .into_par_iter()
                .map(|row| (row, self.resolve_row(gpu, row).map(|c| c.hash)))
                .collect();
            all += made.len();
            let mut hashes = Vec::with_capacity(made.len());
            for (row, hash) in made {
                hashes.push(match hash {
                    Ok(hash) => {
                        good += 1;
                        (row, hash)
                    }
                    Err(fault) => {
                        first_fault.get_or_insert(fault);
                        (row, self.refused(gpu, row))
                    }
                });
            }
            machines.push(hashes);
        }
        if all == 0 {
            let what = "no point is left by them";
            return Err(self.file.fault("constraints", what, "loosen one of them"));
        }
        if let (0, Some(fault)) = (good, first_fault) {
            return Err(fault);
        }
        for (workload, content) in self.workloads.iter().enumerate() {
            for (gpu, machines) in machines.iter().enumerate() {
                for (row, machine) in machines {
                    let settings = self.design.settings(&self.design.rows[*row]);
                    self.manifest.points.push(Point {
                        key: key(machine, &content.hash, &self.manifest.fidelity),
                        workload,
                        gpu,
                        values: settings.map(|(_, s)| s.shown.clone()).collect(),
                    });
                    self.rows.push(*row);
                }
            }
        }
        Ok(())
    }

    /// Stands for the machine of a row whose keys are in conflict.
    fn refused(&self, gpu: usize, row: usize) -> String {
        let mut hash = ContentHash::default();
        hash.bytes(self.gpus[gpu].name.as_bytes());
        for set in self.sets(gpu, row) {
            hash.bytes(set.as_bytes());
        }
        hash.hex()
    }

    /// All that a row sets, as `key=value`.
    fn sets(&self, gpu: usize, row: usize) -> Vec<String> {
        let own = self.design.settings(&self.design.rows[row]);
        let own = own.map(|(key, setting)| format!("{key}={}", setting.text));
        self.gpus[gpu].sets.iter().cloned().chain(own).collect()
    }

    fn resolve_row(&self, gpu: usize, row: usize) -> Result<Resolved> {
        let made = self.gpus[gpu].layers.with(&self.sets(gpu, row));
        made.map_err(|error| match error {
            // Nobody has written --set: the keys are of axes and of [set].
            Error::Config { file, faults } => Error::Config {
                file,
                faults: faults
                    .into_iter()
                    .map(|fault| {
                        fault
                            .strip_prefix("--set: ")
                            .map_or(fault.clone(), str::to_owned)
                    })
                    .collect(),
            },
            other => other,
        })
    }

    /// The machine of a point.
    ///
    /// # Errors
    /// Keys in conflict.
    pub fn machine(&self, point: usize) -> Result<Resolved> {
        self.resolve_row(self.manifest.points[point].gpu, self.rows[point])
    }

    /// Memory of the host that the largest machine takes, of those whose keys are not in conflict.
    pub fn largest_machine_bytes(&self) -> u64 {
        let points = self.manifest.owners();
        let bytes = points.into_par_iter().filter_map(|at| {
            let parts = memory_limit::machine(&self.machine(at).ok()?.spec);
            Some(
                parts
                    .iter()
                    .fold(0u64, |sum, p| sum.saturating_add(p.bytes)),
            )
        });
        bytes.max().unwrap_or(0)
    }

    /// Every file that the sweep is made of, its own one first.
    pub fn inputs(&self) -> Vec<PathBuf> {
        let gpus = self.gpus.iter().map(|gpu| PathBuf::from(&gpu.opened));
        let mut all: Vec<PathBuf> = [self.file.path.clone()].into_iter().chain(gpus).collect();
        for written in &self.file.written.workload {
            if let Some(trace) = &written.trace {
                all.extend(trace::open::files(&self.file.beside(trace)));
            }
            let others = [&written.ptx, &written.launch, &written.model];
            let others = others.into_iter().flatten();
            all.extend(others.map(|name| PathBuf::from(self.file.beside(name))));
        }
        all
    }

    /// `text` with the names that the sweep has, in place of the paths that were opened for point number `at`.
    pub fn named(&self, at: usize, text: &str) -> String {
        let point = &self.manifest.points[at];
        let gpu = &self.gpus[point.gpu];
        self.workloads[point.workload].named(&text.replace(&gpu.opened, &gpu.name))
    }

    /// Points to run, the longest first: each that is the first of its key.
    pub fn queue(&self) -> Vec<usize> {
        let mut owners = self.manifest.owners();
        let cost = |at: &usize| self.workloads[self.manifest.points[*at].workload].cost;
        owners.sort_by_key(|at| std::cmp::Reverse(cost(at)));
        owners
    }
}

/// The name of a point's result.
fn key(machine: &str, workload: &str, fidelity: &str) -> String {
    let mut hash = ContentHash::default();
    hash.word(u64::from(MODEL_VERSION));
    for part in [machine, workload, fidelity] {
        hash.bytes(part.as_bytes());
    }
    hash.hex()
}

/// How much is simulated, with all that results depend on.
fn fidelity(file: &File) -> String {
    let mut text = file.written.fidelity.name().to_owned();
    if let Some(ci) = file.written.ci {
        text.push_str(&format!(", ci {ci}"));
    }
    if let Some(cycles) = file.written.limits.max_cycles {
        text.push_str(&format!(", at most {cycles} cycles"));
    }
    text
}

/// Checks what bounds points; returns the most memory of a machine.
fn limits(file: &File) -> Result<Option<u64>> {
    use super::file::Fidelity;
    let (limits, fidelity) = (&file.written.limits, file.written.fidelity);
    if let Some(s) = limits.time_s
        && !(s > 0.0 && s <= 1e9)
    {
        let what = format!("time_s = {s}");
        return Err(file.fault("limits", what, "give seconds, above 0"));
    }
    if limits.max_cycles.is_some() && fidelity != Fidelity::Full {
        let what = "max_cycles needs fidelity = \"full\": nothing else has a course in time";
        return Err(file.fault("limits", what, "leave one of them away"));
    }
    match file.written.ci {
        Some(_) if fidelity != Fidelity::Sampled => {
            let what = "it needs fidelity = \"sampled\": nothing else has an interval";
            return Err(file.fault("ci", what, "leave it away"));
        }
        Some(ci) if !(0.0001..=1.0).contains(&ci) => {
            return Err(file.fault("ci", format!("{ci}"), "give a share from 0.0001 to 1"));
        }
        _ => {}
    }
    let memory = limits.memory.as_deref().map(memory_limit::size);
    memory
        .transpose()
        .map_err(|what| file.fault("limits.memory", what, "write \"4 GiB\""))
}

fn gpus(file: &File) -> Result<Vec<Gpu>> {
    let mut gpus = Vec::new();
    for name in &file.written.gpus {
        let opened = match name.ends_with(".toml") {
            true => file.beside(name),
            false => name.clone(),
        };
        gpus.push(Gpu {
            layers: Layers::of(&opened).map_err(|e| file.within("gpus", e))?,
            name: name.clone(),
            opened,
            sets: Vec::new(),
        });
    }
    let known = |name: &String| match name.ends_with(".toml") {
        true => name.clone(),
        false => registry::lookup(name).map_or(name.clone(), str::to_owned),
    };
    let known: Vec<String> = file.written.gpus.iter().map(known).collect();
    names_differ(file, "gpus", known.iter())?;
    for (key, value) in file.sets() {
        let setting = Setting::of(&gpus[0].layers, &key, &value).map_err(|fault| {
            Error::config(file.path.display().to_string(), format!("set: {fault}"))
        })?;
        for gpu in &mut gpus {
            gpu.sets.push(format!("{key}={}", setting.text));
        }
    }
    Ok(gpus)
}

/// The machine of each GPU before the axes change it. Where `set` alone is in conflict, an axis may mend it.
fn bases(file: &File, gpus: &[Gpu]) -> Result<Vec<Resolved>> {
    let base = |gpu: &Gpu| match gpu.layers.with(&gpu.sets) {
        Err(_) if !file.written.axis.is_empty() => gpu.layers.with(&[]),
        made => made,
    };
    gpus.iter().map(base).collect()
}

/// Refuses keys that are set twice.
fn once(file: &File, keys: &[String]) -> Result<()> {
    let set = file.sets();
    let all: Vec<&String> = set.iter().map(|(key, _)| key).chain(keys).collect();
    match all
        .iter()
        .enumerate()
        .find(|(at, key)| all[..*at].contains(key))
    {
        Some((_, key)) => {
            let what = format!("{key} is set twice");
            Err(file.fault("axis", what, "name each key once, in [set] or in one axis"))
        }
        None => Ok(()),
    }
}

fn names_differ<'a>(
    file: &File,
    place: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let what = format!("{name} stands there twice");
            return Err(file.fault(place, what, "give each another name"));
        }
    }
    Ok(())
}

fn columns(file: &File, models: bool) -> Result<Vec<String>> {
    let mut columns: Vec<String> = Vec::new();
    for name in &file.written.columns {
        let name = metrics::check(name, models).map_err(|what| {
            let remedy = "`phantom-gpu explain` lists the numbers of a report";
            file.fault("columns", what, remedy)
        })?;
        if !metrics::is_usual(&name) && !columns.contains(&name) {
            columns.push(name);
        }
    }
    Ok(columns)
}

fn objectives(
    file: &File,
    axes: &[Axis],
    columns: &[String],
    workloads: &[Workload],
) -> Result<Vec<Objective>> {
    let models = workloads.iter().any(|workload| workload.is_model);
    let mut objectives = Vec::new();
    for written in &file.written.objective {
        let (column, goal) = match (&written.minimize, &written.maximize) {
            (Some(column), None) => (column, Goal::Minimize),
            (None, Some(column)) => (column, Goal::Maximize),
            _ => {
                let what = "which way is better cannot be told";
                return Err(file.fault("objective", what, "give either minimize or maximize"));
            }
        };
        let axis = axes.iter().find(|axis| axis.keys.contains(column));
        let column = match (axis, metrics::check(column, models)) {
            (Some(axis), _) if axis.is_number(column) => column.clone(),
            (Some(_), _) => {
                let what = format!("{column} has values that are no numbers");
                return Err(file.fault("objective", what, "name a key or column of numbers"));
            }
            (None, Ok(name)) if metrics::is_usual(&name) || columns.contains(&name) => name,
            (None, Ok(name)) => {
                let what = format!("{name} is no column of the results");
                return Err(file.fault("objective", what, "name it in columns, too"));
            }
            (None, Err(what)) => {
                let what = format!("no column of the results: {what}");
                return Err(file.fault("objective", what, "name a column or a key of an axis"));
            }
        };
        objectives.push(Objective { column, goal });
    }
    if objectives.is_empty() {
        let all = workloads.iter().all(|workload| workload.is_model);
        objectives.push(Objective {
            column: if all { "latency_ms" } else { "time_us" }.to_owned(),
            goal: Goal::Minimize,
        });
    }
    Ok(objectives)
}
