//! What a sweep runs: every trace, application and model is loaded once and shared by all points.

use super::file::{self, Fidelity, File};
use crate::benchmark::build::{Builder, Shape, Wanted};
use crate::benchmark::{Depth, Phase, Runner};
use crate::error::{Error, Result};
use crate::hash::ContentHash;
use crate::model::graph::Graph;
use crate::model::lower::{Optimizer, Path as Attention, Precision, Runtime};
use crate::model::options::{Bindings, EXTENT_MAX};
use crate::progress::Progress;
use crate::ptx::launch::Application;
use crate::ptx::record::{How, record_watched};
use crate::report::Report;
use crate::sampling::{Memo, Settings};
use crate::session::{Options, Session, open_trace};
use crate::trace;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Widest interval of a sampled kernel of a model, where none is asked for: as for `benchmark`.
const MODEL_CI: f64 = 0.05;
/// Warp instructions that a warp of a generated kernel is taken to have, to put long points first.
const WARP_INSTRUCTIONS: u64 = 256;
/// Floating-point operations of a model that are taken to be a warp instruction, for the same purpose.
const FLOPS: u64 = 1024;

/// A workload that is ready to run.
pub struct Workload {
    /// Name in the results.
    pub name: String,
    /// What reports and messages call it. A file has the workload's name: its path as it is written says nothing about
    /// the result, which is to be the same from every place.
    source: String,
    /// Hash of its content.
    pub hash: String,
    /// Warp instructions, roughly.
    pub cost: u64,
    /// It is a model.
    pub is_model: bool,
    /// Path of `source` as it was opened, which messages name.
    opened: String,
    content: Content,
}

enum Content {
    /// The same kernels on every GPU.
    Kernels(trace::Workload),
    /// Kernels that depend on the GPU.
    Synth,
    /// A model.
    Model(Box<Model>),
}

struct Model {
    graph: Graph,
    dims: Vec<(String, u64)>,
    shape: Shape,
    wanted: Wanted,
}

/// How points are run.
pub struct Manner<'a> {
    /// How much is simulated.
    pub fidelity: Fidelity,
    /// Widest interval of a sampled kernel, where the sweep says it.
    pub ci: Option<f64>,
    /// Most core cycles.
    pub max_cycles: Option<u64>,
    /// Most memory of the simulated machine.
    pub memory_limit: u64,
    /// What was estimated before.
    pub memo: &'a Memo,
}

/// Opens workload number `at` of `file`. `session` is the machine that a generated kernel is tried on, `threads` are for
/// PTX that has to be executed.
///
/// # Errors
/// A workload that is none or several, and whatever is wrong with it.
pub fn open(file: &File, at: usize, session: &Session, threads: usize) -> Result<Workload> {
    let written = &file.written.workload[at];
    let place = format!("workload {}", at + 1);
    only_of_models(file, &place, written)?;
    let named = |text: &str| written.name.clone().unwrap_or_else(|| text.to_owned());
    Ok(
        match (
            &written.trace,
            &written.synth,
            (&written.ptx, &written.launch),
            &written.model,
        ) {
            (Some(path), None, (None, None), None) => {
                let opened = file.beside(path);
                kernels(named(path), open_trace(&opened)?, opened)
            }
            (None, Some(text), (None, None), None) => {
                let kernels = session.open(&[text])?;
                Workload {
                    name: named(text),
                    content: Content::Synth,
                    ..self::kernels(text.clone(), kernels, text.clone())
                }
            }
            (None, None, (Some(ptx), Some(launch)), None) => {
                let opened = file.beside(launch);
                let how = How {
                    race_check: false,
                    threads,
                    memory_limit: None,
                };
                let application = Application::load(Path::new(&opened))?;
                let code = file.beside(ptx);
                let (recorded, _) =
                    record_watched(Path::new(&code), &application, how, &Progress::default())?;
                kernels(named(&format!("{ptx} with {launch}")), recorded, opened)
            }
            (None, None, (None, None), Some(name)) => model(file, &place, written, name)?,
            _ => {
                let what = "what is run cannot be told";
                let remedy = "give one of trace, synth, ptx with launch, and model";
                return Err(file.fault(place, what, remedy));
            }
        },
    )
}

/// Refuses keys of models for other workloads.
fn only_of_models(file: &File, place: &str, written: &file::Workload) -> Result<()> {
    let given = [
        ("batch_size", written.batch_size.is_some()),
        ("seq_len", written.seq_len.is_some()),
        ("kv_len", written.kv_len.is_some()),
        ("precision", written.precision.is_some()),
        ("phase", written.phase.is_some()),
        ("optimizer", written.optimizer.is_some()),
        ("runtime", written.runtime.is_some()),
        ("attention", written.attention.is_some()),
        ("tensor_parallel", written.tensor_parallel.is_some()),
        ("dims", !written.dims.is_empty()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((key, _)) if written.model.is_none() => Err(file.fault(
            place,
            format!("{key} is of models alone"),
            "leave it away, or name a model",
        )),
        _ => Ok(()),
    }
}

/// Kernels that `source` names and that were read from `opened`.
fn kernels(source: String, mut content: trace::Workload, opened: String) -> Workload {
    let cost = content
        .launches()
        .map(|kernel| match kernel.totals {
            Some(totals) => totals.warp_insts,
            None => {
                let warps = u64::from(kernel.header.warps_per_cta());
                (kernel.header.cta_count() * warps).saturating_mul(WARP_INSTRUCTIONS)
            }
        })
        .fold(0, u64::saturating_add);
    content.source.clone_from(&source);
    for note in &mut content.notes {
        *note = note.replace(&opened, &source);
    }
    Workload {
        name: source.clone(),
        source,
        hash: content.hash.clone(),
        cost,
        is_model: false,
        opened,
        content: Content::Kernels(content),
    }
}

/// One of `names`, or the first where nothing is said.
fn choice<T: Copy>(
    key: &str,
    said: Option<&String>,
    names: &[(&str, T)],
) -> std::result::Result<T, String> {
    let Some(said) = said else {
        return Ok(names[0].1);
    };
    let found = names.iter().find(|(name, _)| name == said);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("{key} = {said:?} is none of {}", all.join(", "))
    })
}

/// How the model of `written` is run.
fn wanted(written: &file::Workload) -> std::result::Result<Wanted, String> {
    let optimizers = [
        ("adamw", Optimizer::AdamW),
        ("adam", Optimizer::Adam),
        ("sgd", Optimizer::Sgd),
        ("none", Optimizer::None),
    ];
    let optimizer = choice("optimizer", written.optimizer.as_ref(), &optimizers)?;
    let phases = [
        ("prefill", Phase::Prefill),
        ("decode", Phase::Decode),
        ("train", Phase::Train(optimizer)),
    ];
    let phase = choice("phase", written.phase.as_ref(), &phases)?;
    if written.optimizer.is_some() && phase.optimizer().is_none() {
        return Err("optimizer needs phase = \"train\": nothing else changes weights".into());
    }
    let precision = written.precision.as_deref().map(Precision::named);
    Ok(Wanted {
        phase,
        precision: precision.transpose()?,
        runtime: choice(
            "runtime",
            written.runtime.as_ref(),
            &[
                ("graph", Runtime::Graph),
                ("eager", Runtime::Eager),
                ("compile", Runtime::Compile),
            ],
        )?,
        attention: choice(
            "attention",
            written.attention.as_ref(),
            &[("fused", Attention::Fused), ("math", Attention::Spelt)],
        )?,
        tensor_parallel: written.tensor_parallel.unwrap_or(1),
        kv_len: written.kv_len,
    })
}

fn model(file: &File, place: &str, written: &file::Workload, name: &str) -> Result<Workload> {
    let fault = |what: String| file.fault(place, what, "docs/sweeps.md lists what a model may say");
    let wanted = wanted(written).map_err(fault)?;
    let extents = [written.batch_size, written.seq_len, written.tensor_parallel];
    if let Some(n) = extents
        .iter()
        .flatten()
        .find(|n| !(1..=EXTENT_MAX).contains(*n))
    {
        return Err(fault(format!("{n}: expected 1 to 2^32")));
    }
    let mut dims = Vec::new();
    for (key, value) in &written.dims {
        let extent = value.as_integer().and_then(|n| u64::try_from(n).ok());
        let extent = extent.filter(|n| (1..=EXTENT_MAX).contains(n));
        let extent = extent.ok_or_else(|| fault(format!("dims.{key} = {value} is no extent")))?;
        dims.push((key.clone(), extent));
    }
    // A file is relative to the sweep; everything else is a built-in name.
    let beside = file.beside(name);
    let (opened, is_file) = match Path::new(&beside).exists() {
        true => (beside, true),
        false => (name.to_owned(), false),
    };
    let shape = Shape {
        batch: written.batch_size,
        seq: written.seq_len,
    };
    let mut model = Model {
        graph: Graph::default(),
        dims,
        shape,
        wanted,
    };
    model.graph = model.builder(&opened).graph(shape)?;
    let said = format!("{:?} {:?} {:?}", model.graph, model.shape, model.wanted);
    let flops = model.graph.flops();
    let phase = wanted.phase.name();
    let usual = match shape.batch {
        Some(batch) => format!("{name} {phase} {batch}"),
        None => format!("{name} {phase}"),
    };
    let given = written.name.as_deref();
    Ok(Workload {
        name: given.unwrap_or(&usual).to_owned(),
        source: given.filter(|_| is_file).unwrap_or(name).to_owned(),
        hash: ContentHash::of(said.as_bytes()).hex(),
        cost: flops / FLOPS,
        is_model: true,
        opened,
        content: Content::Model(Box::new(model)),
    })
}

impl Model {
    fn builder<'a>(&self, name: &'a str) -> Builder<'a> {
        Builder {
            model: name,
            format: None,
            bindings: Bindings {
                dims: self.dims.clone(),
                ..Bindings::default()
            },
            run: self.wanted,
        }
    }
}

impl Workload {
    /// The report of this on the machine of `session`, which the sweep calls `gpu`; `stop` ends it early.
    ///
    /// # Errors
    /// As [`Session::run`] and [`Builder::report_of`].
    pub fn run(
        &self,
        gpu: &str,
        session: &Session,
        manner: &Manner<'_>,
        stop: &AtomicBool,
    ) -> Result<Report> {
        match &self.content {
            Content::Kernels(kernels) => kernels_on(kernels, session, manner, stop),
            Content::Synth => {
                let mut kernels = session.open(&[&self.source])?;
                kernels.source.clone_from(&self.source);
                kernels_on(&kernels, session, manner, stop)
            }
            Content::Model(model) => {
                let progress = Progress::default();
                let runner = Runner {
                    depth: match manner.fidelity {
                        Fidelity::Full => Depth::Full,
                        Fidelity::Sampled => Depth::Sampled,
                        Fidelity::Roofline => Depth::Roofline,
                    },
                    settings: Settings {
                        ci: manner.ci.unwrap_or(MODEL_CI),
                        ..Settings::default()
                    },
                    memo: manner.memo,
                    stop,
                    jobs: 1,
                    progress: &progress,
                    host: None,
                };
                let builder = model.builder(&self.opened);
                let machine = (gpu, session);
                let mut report = builder.report_of(&model.graph, model.shape, machine, &runner)?;
                if let Some(model) = &mut report.model {
                    model.name.clone_from(&self.source);
                }
                Ok(report)
            }
        }
    }

    /// `text` with the names that the sweep has, in place of the paths that were opened.
    pub fn named(&self, text: &str) -> String {
        match self.opened.is_empty() {
            true => text.to_owned(),
            false => text.replace(&self.opened, &self.source),
        }
    }
}

fn kernels_on(
    kernels: &trace::Workload,
    session: &Session,
    manner: &Manner<'_>,
    stop: &AtomicBool,
) -> Result<Report> {
    let options = Options {
        max_cycles: manner.max_cycles,
        stop: Some(stop),
        memory_limit: Some(manner.memory_limit),
        ..Options::default()
    };
    let usual = Settings::default();
    let settings = Settings {
        ci: manner.ci.unwrap_or(usual.ci),
        ..usual
    };
    if kernels.launches().next().is_none() {
        let what = "no kernel launch";
        return Err(Error::input(
            &kernels.source,
            "commands",
            what,
            "name one that has some",
        ));
    }
    Ok(match manner.fidelity {
        Fidelity::Full => session.run(kernels, &options)?.report,
        Fidelity::Sampled => {
            session
                .sample(kernels, &options, settings, manner.memo)?
                .report
        }
        Fidelity::Roofline => session.rooflines(kernels, &options)?.report,
    })
}
