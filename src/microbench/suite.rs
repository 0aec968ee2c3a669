//! Runs benchmarks: kernels on the machine, in parallel over points, results in the order of the
//! definitions.

use super::definition::Definition;
use super::points;
use super::reference::Reference;
use super::results::{Point, Results, Status};
use super::template::substitute;
use crate::config::GpuSpec;
use crate::error::{Error, Result};
use crate::expression::evaluate;
use crate::power;
use crate::progress::Progress;
use crate::session::Session;
use crate::simulation::{KernelRun, Options};
use crate::trace::{Command, Workload};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// A benchmark at a point.
struct Task<'a> {
    definition: &'a Definition,
    parameter: String,
}

/// Who looks at a suite while it runs, and may end it.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// Counts points.
    pub progress: &'a Progress,
    /// Once set, points that are not done yet are left out.
    pub stop: &'a AtomicBool,
}

/// Runs `definitions` on the machine of `session` with `jobs` threads, curves at about `count` points.
///
/// # Errors
/// The first fault in the order of the definitions.
pub fn run(
    definitions: &[Definition],
    session: &Session,
    reference: &Reference,
    count: usize,
    jobs: usize,
) -> Result<Results> {
    let watch = Watch {
        progress: &Progress::default(),
        stop: &AtomicBool::new(false),
    };
    run_watched(definitions, session, reference, count, jobs, watch)
}

/// As [`run`], under `watch`.
///
/// # Errors
/// As [`run`].
pub fn run_watched(
    definitions: &[Definition],
    session: &Session,
    reference: &Reference,
    count: usize,
    jobs: usize,
    watch: Watch<'_>,
) -> Result<Results> {
    let gpu = session.spec();
    let why = "what is measured becomes cycles and rates at that of the configuration";
    power::one_clock(gpu, "micro-benchmark", why)?;
    let mut tasks = Vec::new();
    for definition in definitions {
        if !definition.is_for(gpu.compute_capability) {
            continue;
        }
        for parameter in points::choose(definition, reference, gpu, count) {
            tasks.push(Task {
                definition,
                parameter,
            });
        }
    }
    let total = tasks.len() as u64;
    watch.progress.total.store(total, Ordering::Relaxed);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    let pool = pool.map_err(|e| Error::Run(format!("cannot start threads: {e}")))?;
    // One task at a time, last ones first: the curves, which take longest, are in the middle.
    let results: Result<Vec<Option<Point>>> = pool.install(|| {
        let tasks = tasks.par_iter().with_max_len(1);
        let run = |task: &Task<'_>| {
            let point = task.run(session, reference, watch.stop);
            watch.progress.advance();
            point
        };
        tasks.map(run).collect()
    });
    let points = results?;
    let mut results = Results {
        gpu: gpu.name.clone(),
        status: match points.iter().all(Option::is_some) {
            true => Status::Complete,
            false => Status::Interrupted,
        },
        results: points.into_iter().flatten().collect(),
        ..Results::default()
    };
    results.score();
    Ok(results)
}

impl Task<'_> {
    /// The point; nothing when `stop` was set before it was done.
    fn run(
        &self,
        session: &Session,
        reference: &Reference,
        stop: &AtomicBool,
    ) -> Result<Option<Point>> {
        let definition = self.definition;
        let simulated = match definition.not_modelled {
            Some(_) => None,
            None => match self.number(session, stop)? {
                None => return Ok(None),
                number => number,
            },
        };
        let found = reference.find(&definition.name, &self.parameter);
        if let Some(found) = found.as_ref().filter(|f| f.unit != definition.unit) {
            return Err(Error::Run(format!(
                "reference {} of {} is in {}, not {}",
                definition.name,
                session.spec().name,
                found.unit,
                definition.unit
            )));
        }
        let mut point = Point {
            name: definition.name.clone(),
            parameter: self.parameter.clone(),
            simulated,
            unit: definition.unit.clone(),
            reference: found.as_ref().map(|f| f.value),
            source: found.as_ref().map(|f| f.source.clone()),
            class: definition.class.clone(),
            tolerance: definition.tolerance,
            ..Point::default()
        };
        point.judge(found.is_none_or(|f| f.trusted));
        Ok(Some(point))
    }

    /// Runs the kernels and evaluates the formula; nothing when `stop` was set.
    fn number(&self, session: &Session, stop: &AtomicBool) -> Result<Option<f64>> {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let facts = Facts::new(session.spec(), &self.parameter);
        let (names, workload) = self.workload(session, &facts)?;
        let options = Options {
            stop: Some(stop),
            ..Options::default()
        };
        let run = session.run(&workload, &options)?.run;
        if run.stopped.is_some() {
            return Ok(None);
        }
        let kernels = names.iter().zip(&run.kernels);
        let mut values = facts.values.clone();
        for (name, kernel) in kernels {
            note(name, kernel, &mut values);
        }
        if let (Some(first), Some(last)) = (run.kernels.first(), run.kernels.last()) {
            values.insert("all.cycles".into(), (last.end - first.start) as f64);
        }
        evaluate(&self.definition.value, &|name| values.get(name).copied()).map(Some)
    }

    fn workload(&self, session: &Session, facts: &Facts) -> Result<(Vec<String>, Workload)> {
        let mut names = Vec::new();
        let mut all = Workload::default();
        for entry in &self.definition.run {
            let (name, spec) = entry.split_once('=').ok_or_else(|| {
                Error::input(
                    &self.definition.name,
                    entry,
                    "no name",
                    "write `name = synth:...`",
                )
            })?;
            let (name, spec) = (name.trim(), spec.trim());
            let spec = substitute(spec, &|name| facts.text(name), &|name| {
                facts.values.get(name).copied()
            })?;
            if name == "copy" {
                let bytes = spec.parse().unwrap_or(0);
                let address = 0x7f00_0000_0000;
                all.commands.push(Command::MemcpyHtoD { address, bytes });
                continue;
            }
            let mut more = session.open(&[spec])?;
            for (at, _) in more.launches().enumerate() {
                names.push(if at == 0 {
                    name.to_owned()
                } else {
                    format!("{name}{at}")
                });
            }
            all.commands.append(&mut more.commands);
            all.source = more.source;
        }
        Ok((names, all))
    }
}

/// What definitions may ask of the GPU and the point.
struct Facts {
    values: HashMap<String, f64>,
    parts: Vec<String>,
    parameter: String,
}

impl Facts {
    fn new(gpu: &GpuSpec, parameter: &str) -> Facts {
        let separators = ['x', ':'];
        let parts: Vec<String> = parameter.split(separators).map(str::to_owned).collect();
        let clock = gpu.core_clock_khz as f64;
        let mut values: HashMap<String, f64> = [
            ("sms", f64::from(gpu.sms)),
            ("cc", f64::from(gpu.compute_capability)),
            ("ghz", clock / 1e6),
            ("mhz", clock / 1e3),
            ("l1_bytes", f64::from(gpu.l1.unified_bytes)),
            ("l2_bytes", gpu.l2.bytes as f64),
            ("partitions", f64::from(gpu.l2.partitions)),
            ("warps", f64::from(gpu.sm.warps_max)),
            ("threads", f64::from(gpu.sm.warps_max) * 32.0),
            ("smem_cta", f64::from(gpu.smem.per_cta_bytes_max)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (n, part) in parts.iter().enumerate() {
            if let Ok(value) = part.parse() {
                values.insert(format!("p{n}"), value);
            }
        }
        Facts {
            values,
            parts,
            parameter: parameter.to_owned(),
        }
    }

    /// The point, or part `pN` of it, as text, when it is not a number.
    fn text(&self, name: &str) -> Option<String> {
        if name == "p" {
            return Some(self.parameter.clone());
        }
        let part = self
            .parts
            .get(name.strip_prefix('p')?.parse::<usize>().ok()?)?;
        part.parse::<f64>().is_err().then(|| part.clone())
    }
}

/// Everything a kernel's run gives to formulas.
fn note(name: &str, kernel: &KernelRun, values: &mut HashMap<String, f64>) {
    let mut put = |key: String, value: f64| {
        values.insert(format!("{name}.{key}"), value);
    };
    put("cycles".into(), (kernel.end - kernel.start) as f64);
    put("start".into(), kernel.start as f64);
    put("end".into(), kernel.end as f64);
    put("insts".into(), kernel.warp_instructions as f64);
    for (path, count) in kernel.counters.named() {
        put(path, count as f64);
    }
    put("occupancy".into(), f64::from(kernel.occupancy.ctas_per_sm));
}
