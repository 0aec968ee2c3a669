//! `research`: kernels or a model under the instruments of research features.

use super::common::{JsonFile, MachineArgs, ThreadArgs, winds_up};
use super::load_model::{FormatArg, ShapeArgs};
use super::project::ProjectArgs;
use super::variants::ArchitectureArgs;
use crate::benchmark::build::{Builder, Shape, Wanted};
use crate::benchmark::kernels;
use crate::error::{Error, Result};
use crate::model::lower::Precision;
use crate::output::{self, MadeFolders, Tables};
use crate::report::html::Page;
use crate::report::{json, table, validity};
use crate::research::{self, Besides, FEATURES, Finding, Outcome, Request};
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
    /// What is run, and where the results go.
    #[command(flatten)]
    pub study: StudyArgs,
    /// Read the model as this format, whatever it looks like.
    #[arg(long, requires = "model")]
    pub format: Option<FormatArg>,
    /// Numbers of the model: fp32, tf32, fp16, bf16, fp8, int8, int4 [default: its own].
    #[arg(long, value_name = "NAME", requires = "model", value_parser = Precision::named)]
    pub precision: Option<Precision>,
    /// Other machines, with architecture-research.
    #[command(flatten)]
    pub architecture: ArchitectureArgs,
}

/// What is run, and where the results go.
#[derive(clap::Args, Clone, Debug)]
pub struct StudyArgs {
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
    let (outcome, tables) = study(args, &[], &Besides::default())?;
    tables.print(&text(&outcome))
}

/// Runs the study, with `besides`, and writes its files, among which `more` are not; what is printed goes to the tables.
///
/// # Errors
/// As [`run`].
pub(super) fn study(
    args: &Args,
    more: &[(&str, &Option<PathBuf>)],
    besides: &Besides,
) -> Result<(Outcome, Tables)> {
    let features = match args.features.is_empty() {
        true => research::chosen(args.project.read()?.research_features())?,
        false => research::chosen(&args.features)?,
    };
    let study = &args.study;
    let own = [("--output", &study.json.json), ("--html", &study.html)];
    let asked: Vec<(&str, &Option<PathBuf>)> = own.iter().chain(more).copied().collect();
    let tables = output::check_all(&asked)?;
    let files: Vec<(&str, Option<&Path>)> = asked
        .iter()
        .map(|(option, file)| (*option, file.as_deref()))
        .collect();
    output::spare(
        &files,
        study
            .inputs
            .iter()
            .chain(&study.model)
            .chain(&study.machine.gpu)
            .map(Path::new),
    )?;
    let session = study.machine.load()?;
    let gpu = study.machine.gpu.as_deref().unwrap_or_default();
    let architecture = args.architecture.wanted(&features, gpu)?;
    let workload = workload(args, &session)?;
    let _folder = study.latex.as_deref().map(folder).transpose()?;
    let outcome = research::run(&Request {
        session: &session,
        gpu,
        sets: &study.machine.set,
        workload: &workload,
        features,
        threads: usize::from(study.threads.threads),
        max_cycles: study.max_cycles,
        memory_limit: study.memory_limit,
        stop: winds_up(),
        besides,
        architecture,
    })?;
    for warning in validity::warnings(&outcome.report) {
        output::note(format_args!("warning: {warning}"));
    }
    if let Some(file) = &study.json.json {
        json::write(file, &outcome.report)?;
    }
    if let Some(file) = &study.html {
        page(&outcome, &session).write(file)?;
    }
    if let Some(folder) = &study.latex {
        for finding in &outcome.findings {
            finding.exhibits.write(finding.name, folder)?;
        }
    }
    Ok((outcome, tables))
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
    let study = &args.study;
    let Some(model) = &study.model else {
        let shapes = &study.shapes;
        if shapes.batch_size.is_some() || shapes.seq_len.is_some() {
            return Err(Error::Usage(
                "--batch-size and --seq-len need --model: kernels have their sizes".into(),
            ));
        }
        let workload = session.open(&study.inputs)?;
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
        bindings: study.shapes.extents.bindings()?,
        run: Wanted::prefill(args.precision),
    };
    let shape = Shape {
        batch: study.shapes.batch_size,
        seq: study.shapes.seq_len,
    };
    let gpu = study.machine.gpu.as_deref().unwrap_or_default();
    kernels::workload(&builder, shape, gpu, session)
}

/// What a section is about.
fn about(finding: &Finding) -> &'static str {
    let feature = FEATURES.iter().find(|f| f.section == finding.name);
    feature.map_or("", |f| f.text)
}

/// What is printed of a study.
pub(super) fn text(outcome: &Outcome) -> String {
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
