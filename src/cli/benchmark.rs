//! `benchmark`: a model on GPUs, layer by layer.

use super::best_batch::{Batch, best, curve};
use super::common::{Fidelity, FidelityArgs, JsonFile, winds_up};
use super::load_model::{ExtentArgs, FormatArg};
use super::project::{Project, ProjectArgs};
use crate::benchmark::build::{Builder, Shape, Wanted};
use crate::benchmark::{Depth, Host, Phase, Runner, html, table};
use crate::config::registry;
use crate::error::{Error, Result};
use crate::model::lower::{Optimizer, Path, Precision, Runtime};
use crate::model::options::EXTENT_MAX;
use crate::output;
use crate::progress::{self, Progress};
use crate::report::Report;
use crate::sampling::Settings;
use crate::session::Session;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// The GPU where none is named.
const USUAL_GPU: &str = "rtx4090";

/// Widest interval of a kernel where none is asked for: kernels of a model err independently, so that their sum is known
/// better.
const USUAL_CI: f64 = 0.05;

/// `phantom-gpu benchmark`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Lists are separated by commas: every GPU is run with every batch.

Examples:
  phantom-gpu benchmark --model llama2-7b --gpu a100-80 --batch-size 8 --seq-len 2048 --precision fp16
  phantom-gpu benchmark --model llama2-7b --gpu a100-80,h100-sxm --phase decode --seq-len 2048
  phantom-gpu benchmark --model gpt2 --gpu a100-80 --phase train --optimizer adamw --precision bf16 --seq-len 1024
  phantom-gpu benchmark --model llama2-70b --gpu h100-sxm --tensor-parallel 8 --precision fp16
  phantom-gpu benchmark --model resnet50.onnx --dim batch=8 --gpu v100 --runtime eager --json report.json
  phantom-gpu benchmark --model bert-base --gpus v100,my.toml --fidelity roofline"
)]
pub struct Args {
    /// Name of a built-in model (list-models), an ONNX file, a config.json, a PyTorch export.
    #[arg(long, value_name = "NAME|FILE")]
    pub model: Option<String>,
    /// What a project says.
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Read it as this format, whatever it looks like.
    #[arg(long)]
    pub format: Option<FormatArg>,
    /// What it is run on, and how.
    #[command(flatten)]
    pub run: RunArgs,
    /// Extents that it leaves open.
    #[command(flatten)]
    pub extents: ExtentArgs,
    /// Sequences or images at a time; auto: the batch with the greatest throughput [default of configurations: 1].
    #[arg(long, visible_alias = "batch-sizes", value_name = "N,...|auto", value_delimiter = ',', value_parser = Batch::parse)]
    pub batch_size: Vec<Batch>,
    /// With --batch-size auto: the longest time that a run may take.
    #[arg(long, value_name = "MS", value_parser = limit)]
    pub max_latency: Option<f64>,
    /// Tokens of a sequence [default of configurations: 128].
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=EXTENT_MAX))]
    pub seq_len: Vec<u64>,
    /// The results as JSON.
    #[command(flatten)]
    pub json: JsonFile,
    /// Write tables and charts as one HTML file, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
}

/// What models are run on, and how.
#[derive(clap::Args, Clone, Debug)]
pub struct RunArgs {
    /// GPUs (see list-gpus) or TOML files [default: rtx4090].
    #[arg(long, visible_aliases = ["gpus", "hardware-profiles"], value_name = "NAME|FILE.toml,...", value_delimiter = ',')]
    pub gpu: Vec<String>,
    /// Override a configuration key on every GPU (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Numbers: fp32, tf32, fp16, bf16, fp8, int8, int4 [default: the model's own].
    #[arg(long, value_name = "NAME", value_parser = Precision::named)]
    pub precision: Option<Precision>,
    /// Who launches the kernels.
    #[arg(long, value_enum, default_value_t = RuntimeArg::Graph)]
    pub runtime: RuntimeArg,
    /// Attention by one kernel where there is one, or by products with softmax between them.
    #[arg(long, value_enum, default_value_t = AttentionArg::Fused)]
    pub attention: AttentionArg,
    /// All tokens of the input, one token behind --seq-len others, or a step of training.
    #[arg(long, value_enum, default_value_t = PhaseArg::Prefill)]
    pub phase: PhaseArg,
    /// With --phase train: what changes the weights [default: adamw].
    #[arg(long, value_enum)]
    pub optimizer: Option<OptimizerArg>,
    /// GPUs that share every layer; what they exchange is not timed.
    #[arg(long, visible_alias = "tp", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=EXTENT_MAX))]
    pub tensor_parallel: u64,
    /// Tokens whose keys and values are kept, in decoding [default: --seq-len].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub kv_len: Option<u64>,
    /// Microseconds that the host takes for a call of an operator [default: by runtime].
    #[arg(long, value_name = "US", value_parser = microseconds)]
    pub host_us: Option<f64>,
    /// How much of each kernel is simulated.
    #[arg(long, value_enum, default_value_t = Fidelity::Sampled, conflicts_with_all = ["fast_mode", "real_hardware"])]
    pub fidelity: Fidelity,
    /// The same as --fidelity roofline.
    #[arg(long, conflicts_with = "real_hardware")]
    pub fast_mode: bool,
    /// The same as --fidelity sampled.
    #[arg(long)]
    pub real_hardware: bool,
    /// How parts are chosen, and what is remembered.
    #[command(flatten)]
    pub sampling: FidelityArgs,
    /// Threads; all cores when not given. Results do not depend on them.
    #[arg(long, visible_alias = "threads", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
}

/// A time that a host may take.
pub(super) fn microseconds(text: &str) -> std::result::Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    match (0.0..=1e6).contains(&value) {
        true => Ok(value),
        false => Err(format!("{text}: expected 0 to 1000000")),
    }
}

/// The longest time that a run may take.
fn limit(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ms) if ms > 0.0 && ms.is_finite() => Ok(ms),
        _ => Err(format!("{text}: expected a number of milliseconds")),
    }
}

/// Who launches the kernels.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeArg {
    /// A framework, operator by operator.
    Eager,
    /// A recorded graph of fused kernels.
    Graph,
    /// Fused kernels that are launched one by one.
    Compile,
}

/// How attention is computed.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionArg {
    /// One kernel, where there is one for the numbers and the GPU.
    Fused,
    /// Products with softmax between them.
    Math,
}

/// What a model is run for.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseArg {
    /// All tokens of the input.
    Prefill,
    /// One further token.
    Decode,
    /// Forward, backward and the optimizer.
    Train,
}

/// What changes the weights.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimizerArg {
    /// Nothing: forward and backward alone.
    None,
    /// Without momentum.
    Sgd,
    /// Two moments of every weight.
    Adam,
    /// The same with decay.
    Adamw,
}

impl OptimizerArg {
    /// The optimizer that it names.
    pub fn optimizer(self) -> Optimizer {
        match self {
            OptimizerArg::None => Optimizer::None,
            OptimizerArg::Sgd => Optimizer::Sgd,
            OptimizerArg::Adam => Optimizer::Adam,
            OptimizerArg::Adamw => Optimizer::AdamW,
        }
    }
}

/// Several runs.
#[derive(Serialize)]
struct Several<'a> {
    schema_version: u32,
    results: &'a [Report],
}

impl RunArgs {
    fn fidelity(&self) -> Fidelity {
        match self.fast_mode {
            true => Fidelity::Roofline,
            false => self.fidelity,
        }
    }

    /// The GPUs that were asked for; those of the `project` where none was.
    ///
    /// # Errors
    /// Unknown ones, and faults of their configurations.
    pub fn sessions(&self, project: &[String]) -> Result<Vec<(String, Session)>> {
        if self.optimizer.is_some() && self.phase != PhaseArg::Train {
            return Err(Error::Usage(
                "--optimizer needs --phase train: nothing else changes weights".into(),
            ));
        }
        if self.kv_len.is_some() && self.phase != PhaseArg::Decode {
            return Err(Error::Usage(
                "--kv-len needs --phase decode: elsewhere nothing is kept from before".into(),
            ));
        }
        let usual = [USUAL_GPU.to_owned()];
        let names = match (self.gpu.is_empty(), project.is_empty()) {
            (false, _) => &self.gpu[..],
            (true, false) => project,
            (true, true) => &usual[..],
        };
        let session = |name: &String| {
            if let Some(note) = registry::note(name) {
                output::note(note);
            }
            Ok((name.clone(), Session::new(name, &self.set)?))
        };
        names.iter().map(session).collect()
    }

    /// How models are run.
    pub fn wanted(&self) -> Wanted {
        let optimizer = self.optimizer.map(OptimizerArg::optimizer);
        Wanted {
            phase: match self.phase {
                PhaseArg::Prefill => Phase::Prefill,
                PhaseArg::Decode => Phase::Decode,
                PhaseArg::Train => Phase::Train(optimizer.unwrap_or(Optimizer::AdamW)),
            },
            precision: self.precision,
            runtime: match self.runtime {
                RuntimeArg::Eager => Runtime::Eager,
                RuntimeArg::Graph => Runtime::Graph,
                RuntimeArg::Compile => Runtime::Compile,
            },
            attention: match self.attention {
                AttentionArg::Fused => Path::Fused,
                AttentionArg::Math => Path::Spelt,
            },
            tensor_parallel: self.tensor_parallel,
            kv_len: self.kv_len,
        }
    }

    fn host(&self) -> Option<Host> {
        self.host_us.map(Host::stated)
    }

    /// Runs all of `cases` with one runner.
    ///
    /// # Errors
    /// Faults of the options, of the model, and of the simulation.
    pub fn run(
        &self,
        cases: impl FnOnce(&Runner<'_>) -> Result<Vec<Report>> + Send,
    ) -> Result<Vec<Report>> {
        let fidelity = self.fidelity();
        self.sampling.cache_is_used(fidelity)?;
        let memo = self.sampling.memo()?;
        let progress = Progress::default();
        let runner = Runner {
            depth: match fidelity {
                Fidelity::Full => Depth::Full,
                Fidelity::Sampled => Depth::Sampled,
                Fidelity::Roofline => Depth::Roofline,
            },
            settings: match self.sampling.ci {
                Some(_) => self.sampling.settings(fidelity)?,
                None => Settings {
                    ci: USUAL_CI,
                    ..Settings::default()
                },
            },
            memo: &memo,
            stop: winds_up(),
            jobs: self.jobs.map_or_else(
                || std::thread::available_parallelism().map_or(1, usize::from),
                usize::from,
            ),
            progress: &progress,
            host: self.host(),
        };
        progress::watch(&progress, "kernels", || cases(&runner))
    }
}

/// Runs the command.
///
/// # Errors
/// Everything that is wrong with arguments, model, configuration and output.
pub fn run(args: &Args) -> Result<()> {
    let tables = output::check_all(&[("--json", &args.json.json), ("--html", &args.html)])?;
    output::spare(
        &[
            ("--json", args.json.json.as_deref()),
            ("--html", args.html.as_deref()),
        ],
        args.model
            .iter()
            .chain(&args.run.gpu)
            .map(String::as_str)
            .chain(args.project.project.iter().filter_map(|file| file.to_str()))
            .map(std::path::Path::new),
    )?;
    let project = args.project.read()?;
    let (model, format) = model(args, &project)?;
    let sessions = args.run.sessions(&project.gpus())?;
    let builder = Builder {
        model: &model,
        format: format.map(FormatArg::format),
        bindings: args.extents.bindings()?,
        run: args.run.wanted(),
    };
    let auto = args.batch_size.contains(&Batch::Auto);
    if args.max_latency.is_some() && !auto {
        return Err(Error::Usage(
            "--max-latency needs --batch-size auto: it limits what is tried".into(),
        ));
    }
    let reports = args
        .run
        .run(move |runner| reports(args, &builder, &sessions, runner))?;
    for report in &reports {
        warn(report);
    }
    if let Some(file) = &args.json.json {
        write(file, &reports)?;
    }
    if let Some(file) = &args.html {
        html::page(&reports).write(file)?;
    }
    let mut text = text(&reports);
    if auto {
        text.push_str(&best(&reports, args.max_latency));
    }
    text.push_str(&project.verdicts(&reports));
    tables.print(&text)
}

/// The model that was asked for, and its format.
fn model(args: &Args, project: &Project) -> Result<(String, Option<FormatArg>)> {
    if let Some(model) = &args.model {
        return Ok((model.clone(), args.format));
    }
    let model = project.model().ok_or_else(|| {
        Error::Usage(
            "--model is missing; name a model, or write [model] path = \"...\" into phantom-gpu.toml".into(),
        )
    })?;
    Ok((model, args.format.or_else(|| project.format())))
}

/// A report for every GPU, number of tokens and batch.
fn reports(
    args: &Args,
    builder: &Builder<'_>,
    sessions: &[(String, Session)],
    runner: &Runner<'_>,
) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    for (gpu, session) in sessions {
        for seq in all(&args.seq_len) {
            for batch in all(&args.batch_size) {
                let batch = match batch {
                    Some(Batch::Auto) => {
                        let machine = (gpu.as_str(), session);
                        let most = args.max_latency;
                        reports.extend(curve(builder, seq, machine, most, runner)?);
                        continue;
                    }
                    Some(Batch::Of(n)) => Some(n),
                    None => None,
                };
                reports.push(builder.report(Shape { batch, seq }, gpu, session, runner)?);
            }
        }
    }
    Ok(reports)
}

/// Each of `values`; what the model itself says where there are none.
pub fn all<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    match values {
        [] => vec![None],
        _ => values.iter().copied().map(Some).collect(),
    }
}

/// What a person should read before the numbers.
fn warn(report: &Report) {
    for warning in crate::report::validity::warnings(report) {
        output::note(format_args!("warning: {warning}"));
    }
}

/// Layers of one run, and a line for each of several.
fn text(reports: &[Report]) -> String {
    let mut out: String = reports
        .iter()
        .map(|report| table::layers(report) + "\n")
        .collect();
    if reports.len() > 1 {
        out.push_str(&table::overview(reports));
    }
    out
}

/// The report of one run; of several a list of them.
///
/// # Errors
/// A file that cannot be written.
fn write(file: &PathBuf, reports: &[Report]) -> Result<()> {
    output::write(file, |out| {
        let written = match reports {
            [one] => serde_json::to_writer_pretty(&mut *out, one),
            results => serde_json::to_writer_pretty(
                &mut *out,
                &Several {
                    schema_version: crate::report::schema::SCHEMA_VERSION,
                    results,
                },
            ),
        };
        written.map_err(|e| Error::io(file, e.into()))?;
        writeln!(out).map_err(|e| Error::io(file, e))
    })
}
