//! `validate`: predicted times against measured ones.

use super::benchmark::microseconds;
use super::common::{FidelityArgs, JsonFile, winds_up};
use crate::error::{Error, Result};
use crate::output;
use crate::progress::{self, Progress};
use crate::validate::dataset::{self, Row};
use crate::validate::filter::Filter;
use crate::validate::predict::{Choice, Depth, Predictor};
use crate::validate::{self, Job, Truth, gate, html, table};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `phantom-gpu validate`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "A dataset is CSV with the columns id,gpu,op,dtype,shape,latency_us,extra,source; shape and extra are JSON.
Operators: gemm, bmm, elementwise, softmax, layernorm, rmsnorm, rope, conv2d, attention. What is not modelled is
counted and left out. Without --dataset the project's own reference set is used.

Examples:
  phantom-gpu validate
  phantom-gpu validate --dataset gemm.csv --sample 200 --seed 1 --json -
  phantom-gpu validate --dataset gemm.csv --rows 'gpu=V100*|A100*,dtype=fp32,M>=1024' --algo row --verbose
  phantom-gpu validate --gpu a100-80 --gate tolerances.toml --html a100.html"
)]
pub struct Args {
    /// Only rows of this GPU or board.
    #[arg(long, value_name = "NAME")]
    pub gpu: Option<String>,
    /// Override a configuration key on every board, e.g. l1.ways=64 (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Measurements.
    #[arg(long, value_name = "FILE.csv")]
    pub dataset: Option<PathBuf>,
    /// Only rows that meet these conditions.
    #[arg(long, value_name = "FILTER")]
    pub rows: Option<String>,
    /// Draw so many of the rows that can be predicted.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// Seed of the draw.
    #[arg(long, value_name = "S", default_value_t = 1, requires = "sample")]
    pub seed: u64,
    /// Whose kernels: the chooser's (chosen), the fastest of its best candidates (best), those that a row names (row),
    /// or the candidate of a name.
    #[arg(long, value_name = "chosen|best|row|NAME", default_value = "chosen")]
    pub algo: String,
    /// The measured time that counts: the device's where it is known apart, or what stands in the dataset.
    #[arg(long, value_enum, default_value_t = TruthArg::Device)]
    pub truth: TruthArg,
    /// Microseconds that the host takes for a call of an operator of a model [default: by runtime].
    #[arg(long, value_name = "US", value_parser = microseconds)]
    pub host_us: Option<f64>,
    /// How much of each kernel is simulated.
    #[arg(long, value_enum, default_value_t = super::common::Fidelity::Sampled)]
    pub fidelity: super::common::Fidelity,
    /// How parts are chosen, and what is remembered.
    #[command(flatten)]
    pub sampling: FidelityArgs,
    /// Show every row.
    #[arg(long)]
    pub verbose: bool,
    /// Fail when groups exceed the errors of this TOML file.
    #[arg(long, value_name = "FILE")]
    pub gate: Option<PathBuf>,
    /// The results as JSON.
    #[command(flatten)]
    pub json: JsonFile,
    /// Write charts and tables that sort and filter as one HTML file, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
    /// Threads; all cores when not given. Results do not depend on them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

/// Which measured time counts.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TruthArg {
    /// The device's where it is known apart.
    Device,
    /// That of the dataset.
    Raw,
}

/// Runs the command.
///
/// # Errors
/// A dataset with faults, a failed simulation, a gate that does not hold.
pub fn run(args: &Args) -> Result<()> {
    let tables = output::check_all(&[("--json", &args.json.json), ("--html", &args.html)])?;
    output::spare(
        &[
            ("--json", args.json.json.as_deref()),
            ("--html", args.html.as_deref()),
        ],
        args.dataset.iter().chain(&args.gate).map(PathBuf::as_path),
    )?;
    if args.fidelity == super::common::Fidelity::Roofline {
        args.sampling.cache_is_used(args.fidelity)?;
        if args.algo != "chosen" {
            return Err(Error::Usage(
                "--algo needs --fidelity sampled or full: a roofline has no kernels".into(),
            ));
        }
    }
    let filter = args.rows.as_deref().map(Filter::parse).transpose()?;
    let bounds = args.gate.as_deref().map(gate::read).transpose()?;
    let (name, rows) = rows(args.dataset.as_deref(), filter.as_ref())?;
    let memo = args.sampling.memo()?;
    let progress = Progress::default();
    let job = Job {
        dataset: name,
        rows,
        gpu: args.gpu.clone(),
        sets: args.set.clone(),
        sample: args.sample.map(|count| (count as usize, args.seed)),
        truth: match args.truth {
            TruthArg::Device => Truth::Device,
            TruthArg::Raw => Truth::Raw,
        },
        predictor: Predictor {
            choice: Choice::of(&args.algo),
            depth: match args.fidelity {
                super::common::Fidelity::Full => Depth::Full,
                super::common::Fidelity::Sampled => Depth::Sampled,
                super::common::Fidelity::Roofline => Depth::Roofline,
            },
            settings: args.sampling.settings(args.fidelity)?,
            memo: &memo,
            stop: winds_up(),
            host_us: args.host_us,
        },
        progress: &progress,
        jobs: args.threads.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        ),
    };
    let results = progress::watch(&progress, "rows", || validate::run(&job))?;
    if let Some(file) = &args.json.json {
        output::write(file, |out| {
            serde_json::to_writer_pretty(&mut *out, &results)
                .map_err(|e| Error::io(file, e.into()))?;
            writeln!(out).map_err(|e| Error::io(file, e))
        })?;
    }
    if let Some(file) = &args.html {
        html::page(&results).write(file)?;
    }
    tables.print(&table::render(&results, args.verbose))?;
    match bounds {
        Some(gate) => gate.check(&results),
        None => Ok(()),
    }
}

/// The rows of the dataset that meet the filter, and its name.
fn rows(file: Option<&Path>, filter: Option<&Filter>) -> Result<(String, Vec<Row>)> {
    let (name, mut rows) = match file {
        Some(file) => (file.display().to_string(), dataset::read(file)?),
        None => ("own reference set".to_owned(), validate::reference()?),
    };
    if let Some(filter) = filter {
        rows.retain(|row| filter.holds(row));
        if rows.is_empty() {
            return Err(Error::Usage(format!("--rows: no row of {name} meets it")));
        }
    }
    Ok((name, rows))
}
