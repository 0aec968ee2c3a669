//! `compare-models`: models on GPUs next to each other.

use super::benchmark::{RunArgs, all};
use super::common::JsonFile;
use super::load_model::{ExtentArgs, FormatArg};
use super::project::{Project, ProjectArgs};
use crate::benchmark::build::{Builder, Shape};
use crate::benchmark::{html, table};
use crate::error::{Error, Result};
use crate::model::options::EXTENT_MAX;
use crate::output;
use crate::report::Report;
use crate::report::schema::{Model, SCHEMA_VERSION};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `phantom-gpu compare-models`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "A model that has no room on a GPU is a result (OOM), with what is missing in the JSON.

Examples:
  phantom-gpu compare-models --models bert-base-uncased,llama2-7b --gpus v100,a100,rtx4090 --batch-sizes 1,16
  phantom-gpu compare-models --models gpt2,gpt2-medium --gpus h100-sxm --seq-len 512 --precision fp16 --csv compared.csv"
)]
pub struct Args {
    /// Models: built-in names or files.
    #[arg(
        long,
        visible_alias = "model",
        value_name = "NAME|FILE,...",
        value_delimiter = ','
    )]
    pub models: Vec<String>,
    /// What a project says.
    #[command(flatten)]
    pub project: ProjectArgs,
    /// What they are run on, and how.
    #[command(flatten)]
    pub run: RunArgs,
    /// Extents that they leave open.
    #[command(flatten)]
    pub extents: ExtentArgs,
    /// Sequences or images at a time [default of configurations: 1].
    #[arg(long, visible_alias = "batch-size", value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=EXTENT_MAX))]
    pub batch_sizes: Vec<u64>,
    /// Tokens of a sequence [default of configurations: 128].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=EXTENT_MAX))]
    pub seq_len: Option<u64>,
    /// The results as JSON.
    #[command(flatten)]
    pub json: JsonFile,
    /// Write tables and charts as one HTML file, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
    /// Write the results as CSV to a file, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub csv: Option<PathBuf>,
}

/// All results.
#[derive(Serialize)]
struct Compared<'a> {
    schema_version: u32,
    results: Vec<&'a Model>,
    /// Of each GPU the run with the greatest throughput, for each unit.
    best: Vec<&'a Model>,
}

/// Runs the command.
///
/// # Errors
/// Everything that is wrong with arguments, models, configurations and output.
pub fn run(args: &Args) -> Result<()> {
    let tables = output::check_all(&[
        ("--json", &args.json.json),
        ("--csv", &args.csv),
        ("--html", &args.html),
    ])?;
    output::spare(
        &[
            ("--json", args.json.json.as_deref()),
            ("--csv", args.csv.as_deref()),
            ("--html", args.html.as_deref()),
        ],
        args.models.iter().chain(&args.run.gpu).map(Path::new),
    )?;
    let project = args.project.read()?;
    let (models, format) = models(args, &project)?;
    let sessions = args.run.sessions(&project.gpus())?;
    let mut builders = Vec::new();
    for model in &models {
        builders.push(Builder {
            model,
            format: format.map(FormatArg::format),
            bindings: args.extents.bindings()?,
            run: args.run.wanted(),
        });
    }
    let batches = all(&args.batch_sizes);
    let reports = args.run.run(move |runner| {
        let mut reports = Vec::new();
        for (gpu, session) in &sessions {
            for builder in &builders {
                for &batch in &batches {
                    let shape = Shape {
                        batch,
                        seq: args.seq_len,
                    };
                    reports.push(builder.report(shape, gpu, session, runner)?);
                }
            }
        }
        Ok(reports)
    })?;
    let compared = compared(&reports);
    if let Some(file) = &args.json.json {
        output::write(file, |out| {
            serde_json::to_writer_pretty(&mut *out, &compared)
                .map_err(|e| Error::io(file, e.into()))?;
            writeln!(out).map_err(|e| Error::io(file, e))
        })?;
    }
    if let Some(file) = &args.csv {
        output::write_text(file, &csv(&compared)?)?;
    }
    if let Some(file) = &args.html {
        html::page(&reports).write(file)?;
    }
    let mut text = text(&reports, &compared);
    text.push_str(&project.verdicts(&reports));
    tables.print(&text)
}

/// The models that were asked for, and their format.
fn models(args: &Args, project: &Project) -> Result<(Vec<String>, Option<FormatArg>)> {
    if !args.models.is_empty() {
        return Ok((args.models.clone(), None));
    }
    let model = project.model().ok_or_else(|| {
        Error::Usage(
            "--models is missing; name some, or write [model] path = \"...\" into phantom-gpu.toml"
                .into(),
        )
    })?;
    Ok((vec![model], project.format()))
}

fn compared(reports: &[Report]) -> Compared<'_> {
    let results: Vec<&Model> = reports
        .iter()
        .filter_map(|report| report.model.as_ref())
        .collect();
    let mut best: Vec<&Model> = Vec::new();
    for &model in results.iter().filter(|model| model.fits) {
        match best
            .iter_mut()
            .find(|b| (&b.gpu, b.unit) == (&model.gpu, model.unit))
        {
            Some(known) if known.throughput < model.throughput => *known = model,
            Some(_) => {}
            None => best.push(model),
        }
    }
    Compared {
        schema_version: SCHEMA_VERSION,
        results,
        best,
    }
}

/// All runs, and the best of each GPU.
fn text(reports: &[Report], compared: &Compared<'_>) -> String {
    let mut text = table::overview(reports);
    for best in &compared.best {
        text.push_str(&format!(
            "best on {}: {}, batch of {}, {:.1} {}\n",
            best.gpu,
            best.name,
            best.batch_size,
            best.throughput.unwrap_or(0.0),
            best.unit
        ));
    }
    text
}

/// A line for each result.
fn csv(compared: &Compared<'_>) -> Result<String> {
    let fault = |e: csv::Error| Error::Run(format!("--csv: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "model",
        "gpu",
        "batch_size",
        "seq_len",
        "precision",
        "runtime",
        "phase",
        "tensor_parallel",
        "fits",
        "latency_ms",
        "throughput",
        "unit",
        "memory_bytes",
        "capacity_bytes",
    ];
    writer.write_record(header).map_err(fault)?;
    let maybe = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    for model in &compared.results {
        let line = [
            model.name.clone(),
            model.gpu.clone(),
            model.batch_size.to_string(),
            model.seq_len.map_or(String::new(), |n| n.to_string()),
            model.precision.to_owned(),
            model.runtime.to_owned(),
            model.phase.to_owned(),
            model.tensor_parallel.to_string(),
            model.fits.to_string(),
            maybe(model.latency_ms),
            maybe(model.throughput),
            model.unit.to_owned(),
            model.memory.total_bytes.to_string(),
            model.memory.capacity_bytes.to_string(),
        ];
        writer.write_record(line).map_err(fault)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|e| Error::Run(format!("--csv: {e}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
