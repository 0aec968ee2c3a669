//! `research`: kernels or a model under the instruments of research features.

use super::common::{JsonFile, MachineArgs, ThreadArgs, winds_up};
use super::load_model::{FormatArg, ShapeArgs};
use super::project::ProjectArgs;
use super::variants::ArchitectureArgs;
use crate::benchmark::build::{Builder, Shape, Wanted};
use crate::benchmark::kernels;
use crate::error::{Error, Result};
use crate::model::lower::Precision;
use crate::output::{self, MadeFolders};
use crate::report::html::Page;
use crate::report::{json, table, validity};
use crate::research::{self, FEATURES, Finding, Outcome, Request};
use crate::session::Session;
use crate::trace::Workload;
use std::path::{Path, PathBuf};

/// `phantom-gpu research`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Needs a build with the features that are asked for, such as `cargo build --release --features \
cache-research,dram-research`. docs/research.md has an example for each of them, and `phantom-gpu explain \
research.dram.row_hit_rate` the meaning of every number.

Of a model each kernel that it launches runs once, in the order of the first launches. Instruments change no cycle:
the report is that of `simulate`, with the sections of the features under `research`.

Examples:
  phantom-gpu research --features cache-research,dram-research traces/sgemm.pgt --gpu v100 --output r.json --html r.html
  phantom-gpu research --features dram-research 'synth:gather?span=64MiB' --gpu a100-80 --latex paper/
  phantom-gpu research --features cache-research --model bert-base --gpu a100-80 --output m.json
  phantom-gpu research --features architecture-research --variants larger-l1,mesh,./mine.toml --slopes traces/sgemm.pgt --gpu v100 --output a.json"
)]
#[command(mut_arg("gpu", |gpu| gpu.required(true)))]
#[command(mut_arg("json", |json| json.long("output").visible_alias("json")))]
pub struct Args {
    /// Research features, separated by commas [default: those of the project].
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub features: Vec<String>,
    /// What a project says.
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Traces or generated kernels.
    #[arg(required_unless_present = "model")]
    pub inputs: Vec<String>,
    /// Name of a built-in model (list-models), an ONNX file, a config.json, a PyTorch export.
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "inputs")]
    pub model: Option<String>,
    /// Read the model as this format, whatever it looks like.
    #[arg(long, requires = "model")]
    pub format: Option<FormatArg>,
    /// What the model is run on.
    #[command(flatten)]
    pub shapes: ShapeArgs,
    /// Numbers of the model: fp32, tf32, fp16, bf16, fp8, int8, int4 [default: its own].
    #[arg(long, value_name = "NAME", requires = "model", value_parser = Precision::named)]
    pub precision: Option<Precision>,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Threads.
    #[command(flatten)]
    pub threads: ThreadArgs,
    /// The report as JSON.
    #[command(flatten)]
    pub json: JsonFile,
    /// Other machines, with architecture-research.
    #[command(flatten)]
    pub architecture: ArchitectureArgs,
    /// Write tables and figures as one HTML file, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
    /// Write each table as LaTeX and each figure as SVG to this folder.
    #[arg(long, value_name = "DIR")]
    pub latex: Option<PathBuf>,
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
/// A feature that there is not, or not in this build; bad input; a failed run.
pub fn run(args: &Args) -> Result<()> {
    let features = match args.features.is_empty() {
        true => research::chosen(args.project.read()?.research_features())?,
        false => research::chosen(&args.features)?,
    };
    let asked = [("--output", &args.json.json), ("--html", &args.html)];
    let tables = output::check_all(&asked)?;
    output::spare(
        &asked.map(|(option, file)| (option, file.as_deref())),
        args.inputs
            .iter()
            .chain(&args.model)
            .chain(&args.machine.gpu)
            .map(Path::new),
    )?;
    let session = args.machine.load()?;
    let gpu = args.machine.gpu.as_deref().unwrap_or_default();
    let architecture = args.architecture.wanted(&features, gpu)?;
    let workload = workload(args, &session)?;
    let _folder = args.latex.as_deref().map(folder).transpose()?;
    let outcome = research::run(&Request {
        session: &session,
        gpu,
        sets: &args.machine.set,
        workload: &workload,
        features,
        threads: usize::from(args.threads.threads),
        max_cycles: args.max_cycles,
        memory_limit: args.memory_limit,
        stop: winds_up(),
        architecture,
    })?;
    for warning in validity::warnings(&outcome.report) {
        output::note(format_args!("warning: {warning}"));
    }
    if let Some(file) = &args.json.json {
        json::write(file, &outcome.report)?;
    }
    if let Some(file) = &args.html {
        page(&outcome, &session).write(file)?;
    }
    if let Some(folder) = &args.latex {
        for finding in &outcome.findings {
            finding.exhibits.write(finding.name, folder)?;
        }
    }
    tables.print(&text(&outcome))
}

/// The folder of tables and figures, which is made if it is not there.
fn folder(path: &Path) -> Result<MadeFolders> {
    match path.is_file() {
        false => output::make_folders(path),
        true => Err(Error::input(
            path.display().to_string(),
            "output folder",
            "it is a file",
            "name a folder",
        )),
    }
}

/// What is run.
pub(super) fn workload(args: &Args, session: &Session) -> Result<Workload> {
    let Some(model) = &args.model else {
        let shapes = &args.shapes;
        if shapes.batch_size.is_some() || shapes.seq_len.is_some() {
            return Err(Error::Usage(
                "--batch-size and --seq-len need --model: kernels have their sizes".into(),
            ));
        }
        let workload = session.open(&args.inputs)?;
        if workload.launches().next().is_some() {
            return Ok(workload);
        }
        return Err(Error::input(
            &workload.source,
            "commands",
            "no kernel launch",
            "name a list that launches at least one kernel",
        ));
    };
    let builder = Builder {
        model,
        format: args.format.map(FormatArg::format),
        bindings: args.shapes.extents.bindings()?,
        run: Wanted::prefill(args.precision),
    };
    let shape = Shape {
        batch: args.shapes.batch_size,
        seq: args.shapes.seq_len,
    };
    let gpu = args.machine.gpu.as_deref().unwrap_or_default();
    kernels::workload(&builder, shape, gpu, session)
}

/// What a section is about.
fn about(finding: &Finding) -> &'static str {
    let feature = FEATURES.iter().find(|f| f.section == finding.name);
    feature.map_or("", |f| f.text)
}

fn text(outcome: &Outcome) -> String {
    let mut text = table::render(&outcome.report);
    for finding in &outcome.findings {
        let about = about(finding);
        let exhibits = finding.exhibits.text();
        text.push_str(&format!(
            "\nresearch.{}: {about}\n\n{exhibits}",
            finding.name
        ));
    }
    text
}

fn page(outcome: &Outcome, session: &Session) -> Page {
    let report = &outcome.report;
    let mut page = Page::new(&format!(
        "{} on {}",
        report.workload.source,
        session.spec().name
    ));
    page.paragraph(&format!(
        "{} core cycles, {:.3} us, {} kernels, {} warp instructions",
        report.totals.cycles,
        report.totals.time_us,
        report.totals.kernels,
        report.totals.warp_instructions
    ));
    for finding in &outcome.findings {
        finding.exhibits.show(about(finding), &mut page);
    }
    page
}
