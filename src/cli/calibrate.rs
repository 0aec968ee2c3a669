//! `calibrate`: physical quantities of a GPU from measurements of one board.

use super::common::{Fidelity, FidelityArgs, JsonFile, winds_up};
use crate::config::registry;
use crate::error::{Error, Result, input};
use crate::hash::ContentHash;
use crate::output;
use crate::progress::{self, Progress};
use crate::validate::calibrate::machine::Asked;
use crate::validate::calibrate::parameters::{self, Parameter, chosen};
use crate::validate::calibrate::{self, Job, Results, overlay, table};
use crate::validate::dataset;
use crate::validate::filter::Filter;
use crate::validate::predict::{Choice, Depth, Predictor};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `phantom-gpu calibrate`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = help())]
pub struct Args {
    /// GPU (see list-gpus), board (configs/boards) or TOML file that is fitted.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub gpu: String,
    /// Measurements, as validate reads them. Rows of other GPUs are left out.
    #[arg(long, value_name = "FILE.csv")]
    pub benchmark_data: PathBuf,
    /// Write the fitted GPU, for --gpu FILE.toml of every command, or to standard output with -.
    #[arg(short, long, value_name = "OVERLAY.toml")]
    pub output: Option<PathBuf>,
    /// What may move [default: those with a star below].
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = Parameter::named)]
    pub parameters: Vec<Parameter>,
    /// Only rows that meet these conditions, as of validate.
    #[arg(long, value_name = "FILTER")]
    pub rows: Option<String>,
    /// Draw so many of the rows that can be predicted.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// Seed of the draw.
    #[arg(long, value_name = "S", default_value_t = 1, requires = "sample")]
    pub seed: u64,
    /// How much of each kernel is simulated.
    #[arg(long, value_enum, default_value_t = Fidelity::Sampled)]
    pub fidelity: Fidelity,
    /// How parts are chosen, and what is remembered.
    #[command(flatten)]
    pub sampling: FidelityArgs,
    /// Show every row.
    #[arg(long)]
    pub verbose: bool,
    /// The results as JSON.
    #[command(flatten)]
    pub json: JsonFile,
    /// Threads; all cores when not given. Results do not depend on them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

fn help() -> String {
    format!(
        "{}
The error of a row is that of a fit that has not seen its shape. What is shipped does not change.

Examples:
  phantom-gpu calibrate --gpu a100-80 --benchmark-data gemm.csv -o my-a100.toml
  phantom-gpu calibrate --gpu t4 --benchmark-data t4.csv --parameters core-clock,dram-clock --fidelity roofline
  phantom-gpu simulate traces/sgemm.pgt --gpu my-a100.toml",
        parameters::help()
    )
}

/// Runs the command.
///
/// # Errors
/// Arguments, a dataset with faults, too few shapes, a failed simulation, an output that cannot be written; a signal, when
/// what was done until then is written.
pub fn run(args: &Args) -> Result<()> {
    let asked = [("--json", &args.json.json), ("--output", &args.output)];
    let tables = output::check_all(&asked)?;
    output::spare(
        &asked.map(|(option, file)| (option, file.as_deref())),
        [args.benchmark_data.as_path(), Path::new(&args.gpu)],
    )?;
    let roofline = args.fidelity == Fidelity::Roofline;
    if roofline {
        args.sampling.cache_is_used(args.fidelity)?;
    }
    let parameters = chosen(&args.parameters, roofline)?;
    let machine = Asked::of(&args.gpu)?;
    let filter = args.rows.as_deref().map(Filter::parse).transpose()?;
    let name = args.benchmark_data.display().to_string();
    let text = input::text(&args.benchmark_data, input::MADE_MAX, "a dataset (CSV)")?;
    let mut rows = dataset::parse(&text, &name)?;
    if let Some(filter) = filter {
        rows.retain(|row| filter.holds(row));
        if rows.is_empty() {
            return Err(Error::Usage(format!("--rows: no row of {name} meets it")));
        }
    }
    let memo = args.sampling.memo()?;
    let progress = Progress::default();
    let job = Job {
        dataset: name,
        dataset_hash: ContentHash::of(text.as_bytes()).hex(),
        rows,
        asked: machine,
        sample: args.sample.map(|count| (count as usize, args.seed)),
        parameters,
        predictor: Predictor {
            choice: Choice::Chosen,
            depth: match args.fidelity {
                Fidelity::Full => Depth::Full,
                Fidelity::Sampled => Depth::Sampled,
                Fidelity::Roofline => Depth::Roofline,
            },
            settings: args.sampling.settings(args.fidelity)?,
            memo: &memo,
            stop: winds_up(),
            host_us: None,
        },
        progress: &progress,
        jobs: args.threads.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        ),
    };
    if let Some(note) = registry::note(&args.gpu) {
        output::note(note);
    }
    let results = progress::watch(&progress, "predictions", || calibrate::run(&job))?;
    for warning in results.warnings() {
        output::note(format_args!("warning: {warning}"));
    }
    write(args, &results)?;
    tables.print(&table::render(&results, args.verbose))?;
    match results.status {
        "complete" => Ok(()),
        _ => Err(interrupted(args, &results)),
    }
}

/// What a signal has left, and how to go on.
fn interrupted(args: &Args, results: &Results) -> Error {
    let done = match results.error.left_out.n {
        0 if results.error.after.n == 0 => "as shipped, and no fit is done".to_owned(),
        n => format!("by the fit, and {n} of them by fits that have not seen their shape"),
    };
    let overlay = args.output.as_ref().map(|file| {
        let file = file.display();
        format!("; {file} is not written, because a fit has to be held against shapes that it has not seen")
    });
    let estimates = match (&args.sampling.cache, args.fidelity) {
        (Some(folder), _) => format!(
            "the same command goes on with the estimates in {}",
            folder.display()
        ),
        (None, Fidelity::Sampled) => "--cache DIR keeps estimates for the next time".into(),
        (None, _) => "run it again for the whole".into(),
    };
    Error::Run(format!(
        "interrupted: {} rows are done {done}{}; {estimates}",
        results.rows.len(),
        overlay.unwrap_or_default()
    ))
}

/// Writes what was asked for; a description only of a fit that is finished.
fn write(args: &Args, results: &Results) -> Result<()> {
    if let Some(file) = args
        .output
        .as_ref()
        .filter(|_| results.status == "complete")
    {
        let text = overlay::text(results, file);
        output::write(file, |out| {
            out.write_all(text.as_bytes())
                .map_err(|e| Error::io(file, e))
        })?;
    }
    if let Some(file) = &args.json.json {
        output::write(file, |out| {
            serde_json::to_writer_pretty(&mut *out, results)
                .map_err(|e| Error::io(file, e.into()))?;
            writeln!(out).map_err(|e| Error::io(file, e))
        })?;
    }
    Ok(())
}
