//! `profile`: where the time and the energy of kernels go, as Nsight Compute would show it.

use super::common::{JsonFile, MachineArgs, ThreadArgs, winds_up};
use super::kanata;
use super::load_model::ShapeArgs;
use super::project::ProjectArgs;
use super::research;
use super::variants::ArchitectureArgs;
use crate::error::Result;
use crate::output;
use crate::session::Options;
use std::path::PathBuf;

/// The feature whose instruments are on.
const FEATURE: &str = "gpu-profiling-research";

/// `phantom-gpu profile`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Needs a build with the feature gpu-profiling-research. It is `research --features \
gpu-profiling-research`: the report of `simulate`, with the sections `profile` (speed of light, roofline, opcodes, why \
warps wait, and at which instruction) and `energy` (joules and watts by part) under `research`. \
`correlate` compares such a report with an export of Nsight Compute, counter by counter.

Examples:
  phantom-gpu profile traces/sgemm.pgt --gpu v100 --output p.json
  phantom-gpu profile traces/sgemm.pgt --gpu v100 --kanata k.log --window 1000:2000
  phantom-gpu profile 'synth:softmax?rows=4096&cols=1024' --gpu a100-80 --html p.html"
)]
#[command(mut_arg("gpu", |gpu| gpu.required(true)))]
#[command(mut_arg("json", |json| json.long("output").visible_alias("json")))]
pub struct Args {
    /// Traces or generated kernels.
    #[arg(required_unless_present = "model")]
    pub inputs: Vec<String>,
    /// Name of a built-in model (list-models), an ONNX file, a config.json, a PyTorch export.
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "inputs")]
    pub model: Option<String>,
    /// What the model is run on.
    #[command(flatten)]
    pub shapes: ShapeArgs,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Threads.
    #[command(flatten)]
    pub threads: ThreadArgs,
    /// The report as JSON.
    #[command(flatten)]
    pub json: JsonFile,
    /// Write tables and figures as one HTML file, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
    /// Write each table as LaTeX and each figure as SVG to this folder.
    #[arg(long, value_name = "DIR")]
    pub latex: Option<PathBuf>,
    /// The log of an SM.
    #[command(flatten)]
    pub log: kanata::Args,
    /// Stop after so many core cycles, with what there is.
    #[arg(long, value_name = "N")]
    pub max_cycles: Option<u64>,
    /// Most memory that the simulated machine may take, e.g. 16GiB (default: half of the host's).
    #[arg(long, value_name = "SIZE", value_parser = crate::memory_limit::size)]
    pub memory_limit: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// A build without the feature; bad input; a failed run.
pub fn run(args: &Args) -> Result<()> {
    let args = args.clone();
    output::check_all(&[
        ("--output", &args.json.json),
        ("--html", &args.html),
        ("--kanata", &args.log.kanata),
    ])?;
    let threads = usize::from(args.threads.threads);
    let log = args.log;
    let study = research::Args {
        features: vec![FEATURE.to_owned()],
        project: ProjectArgs::default(),
        inputs: args.inputs,
        model: args.model,
        format: None,
        shapes: args.shapes,
        precision: None,
        machine: args.machine,
        threads: args.threads,
        json: args.json,
        architecture: ArchitectureArgs::default(),
        html: args.html,
        latex: args.latex,
        max_cycles: args.max_cycles,
        memory_limit: args.memory_limit,
    };
    if log.kanata.is_some() {
        log.sm_of(study.machine.load()?.spec().sms)?;
    }
    research::run(&study)?;
    if log.kanata.is_none() {
        return Ok(());
    }
    let session = study.machine.load()?;
    let workload = research::workload(&study, &session)?;
    let options = Options {
        threads,
        memory_limit: study.memory_limit,
        stop: Some(winds_up()),
        ..Options::default()
    };
    kanata::run(&log, &session, &workload, options)
}
