//! `simulate`: kernels on a GPU, as a table for people and JSON for machines.

use super::address_trace;
use super::checkpoint::CheckpointArgs;
use super::common::{Fidelity, FidelityArgs, JsonFile, MachineArgs, ThreadArgs, winds_up};
use crate::error::{Error, Result};
use crate::kernels::choose::Algorithm;
use crate::mem::cache::study;
use crate::output;
use crate::progress::{self, Progress};
use crate::report;
use crate::sampling::Settings;
use crate::session::{Outcome, Session};
use crate::simulation::Options;
use crate::trace::{self, Workload};
use regex::Regex;
use std::path::{Path, PathBuf};

/// `phantom-gpu simulate`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Inputs: kernelslist.g, *.traceg[.xz|.gz], *.tracez, *.pgt, or a generated \
kernel such as 'synth:stream?bytes=64MiB' (list-workloads lists them). Several inputs run one after \
another on the same machine.

Ctrl-C, SIGTERM or --max-cycles end a run early; the report then has what was done, says so in `status`, and the
exit status is 0.

Examples:
  phantom-gpu simulate traces/sgemm.pgt --gpu v100
  phantom-gpu simulate kernelslist.g --gpu a100-80 --set sm.scheduler=gto --json -
  phantom-gpu simulate 'synth:hgemm?m=4096&n=4096&k=4096' --gpu h100-sxm --timeline gemm.json
  phantom-gpu simulate kernelslist.g --gpu v100 --json r.json --checkpoint r.state   (repeat it after a kill)"
)]
#[command(mut_arg("gpu", |gpu| gpu.required(true)))]
pub struct Args {
    /// Traces or generated kernels.
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Threads.
    #[command(flatten)]
    pub threads: ThreadArgs,
    /// Only kernels whose name matches.
    #[arg(long, value_name = "REGEX")]
    pub kernel: Option<Regex>,
    /// The report as JSON.
    #[command(flatten)]
    pub json: JsonFile,
    /// Stop after so many core cycles, with a partial report.
    #[arg(long, value_name = "N")]
    pub max_cycles: Option<u64>,
    /// Write a Chrome/Perfetto trace of kernels, CTAs and activity over time to a file, or to standard output
    /// with -.
    #[arg(long, value_name = "FILE|-")]
    pub timeline: Option<PathBuf>,
    /// Write a page with charts and tables to a file, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
    /// Write each access of L1 to global memory as a row of CSV (cycle,sm,pc,address,bytes,op) to a file, or to standard
    /// output with -; `phantom-gpu cache` reads it (feature cache-research).
    #[arg(long, value_name = "FILE|-")]
    pub address_trace: Option<PathBuf>,
    /// Most memory that the simulated machine may take, e.g. 16GiB (default: half of the host's).
    #[arg(long, value_name = "SIZE", value_parser = crate::memory_limit::size)]
    pub memory_limit: Option<u64>,
    /// How much of each kernel is simulated.
    #[arg(long, value_enum, default_value_t = Fidelity::Full)]
    pub fidelity: Fidelity,
    /// How parts are chosen, and what is remembered.
    #[command(flatten)]
    pub sampling: FidelityArgs,
    /// Which of the candidates for an operator (synth:gemm, ...) is run, by its name; without it the one with the best
    /// estimate.
    #[arg(long, value_name = "NAME")]
    pub algo: Option<String>,
    /// Whether and when the state is kept.
    #[command(flatten)]
    pub checkpoint: CheckpointArgs,
    /// Visit every cycle instead of skipping idle ones (slow; same result).
    #[arg(long)]
    pub no_skip: bool,
}

/// CTAs that the run will have.
fn cta_count(workload: &Workload, kernel: Option<&Regex>) -> u64 {
    workload
        .launches()
        .filter(|k| kernel.is_none_or(|wanted| wanted.is_match(&k.header.name)))
        .map(|k| k.header.cta_count())
        .sum()
}

/// Checks where outputs go; where tables go then.
///
/// # Errors
/// Outputs that cannot be made, or that this build has not.
fn outputs(args: &Args) -> Result<output::Tables> {
    if args.address_trace.is_some() && !address_trace::ENABLED {
        return Err(Error::Usage(format!("--address-trace {}", study::MISSING)));
    }
    let asked = [
        ("--json", &args.json.json),
        ("--timeline", &args.timeline),
        ("--html", &args.html),
        ("--address-trace", &args.address_trace),
        ("--checkpoint", &args.checkpoint.checkpoint),
    ];
    args.checkpoint
        .check(args.fidelity, args.address_trace.is_some())?;
    let tables = output::check_all(&asked)?;
    let files: Vec<PathBuf> = args
        .inputs
        .iter()
        .flat_map(|i| trace::open::files(i))
        .collect();
    output::spare(
        &asked.map(|(option, file)| (option, file.as_deref())),
        files
            .iter()
            .map(PathBuf::as_path)
            .chain(args.machine.gpu.iter().map(Path::new)),
    )?;
    Ok(tables)
}

/// Runs the command.
///
/// # Errors
/// Bad input, or a run that failed.
pub fn run(args: &Args) -> Result<()> {
    let tables = outputs(args)?;
    let settings = settings(args)?;
    let algorithm = match &args.algo {
        Some(name) => Algorithm::Named(name.clone()),
        None => Algorithm::Chosen,
    };
    let session = args.machine.load()?;
    let workload = session.open_with(&args.inputs, &algorithm)?;
    if workload.launches().next().is_none() {
        return Err(Error::input(
            &workload.source,
            "commands",
            "no kernel launch",
            "name a list that launches at least one kernel",
        ));
    }
    let ctas = cta_count(&workload, args.kernel.as_ref());
    if let Some(wanted) = &args.kernel
        && ctas == 0
    {
        return Err(Error::Usage(format!(
            "--kernel {wanted}: no kernel of {} matches; `phantom-gpu trace info` lists them",
            workload.source
        )));
    }
    let (done, unit) = match args.fidelity {
        Fidelity::Full => (ctas, "CTAs"),
        Fidelity::Sampled | Fidelity::Roofline => (workload.launches().count() as u64, "kernels"),
    };
    let progress = Progress::of(done);
    // What is estimated has no course in time; the page is without it then.
    let sampled = args.timeline.is_some() || args.html.is_some() && args.fidelity == Fidelity::Full;
    let options = Options {
        threads: usize::from(args.threads.threads),
        max_cycles: args.max_cycles,
        no_skip: args.no_skip,
        kernel: args.kernel.clone(),
        stop: Some(winds_up()),
        memory_limit: args.memory_limit,
        progress: Some(&progress.done),
        timeline: sampled.then_some(report::TIMELINE_INTERVAL),
        checkpoint: args.checkpoint.of(&session, &workload),
        ..Options::default()
    };
    let show = |outcome: &Outcome<_>| write(args, &session, &tables, outcome);
    match args.fidelity {
        Fidelity::Full => match &args.address_trace {
            Some(file) => {
                let run = || address_trace::run(&session, &workload, &options, file);
                let outcome = progress::watch(&progress, unit, run)?;
                write(args, &session, &tables, &outcome)
            }
            None => {
                let run = || session.run(&workload, &options);
                let outcome = progress::watch(&progress, unit, run)?;
                write(args, &session, &tables, &outcome)
            }
        },
        Fidelity::Sampled => {
            let memo = args.sampling.memo()?;
            let run = || session.sample(&workload, &options, settings, &memo);
            show(&progress::watch(&progress, unit, run)?)
        }
        Fidelity::Roofline => show(&session.rooflines(&workload, &options)?),
    }
}

/// How kernels are sampled.
///
/// # Errors
/// Options that have no effect at the fidelity that was asked for.
fn settings(args: &Args) -> Result<Settings> {
    args.sampling.cache_is_used(args.fidelity)?;
    let course =
        args.timeline.is_some() || args.address_trace.is_some() || args.max_cycles.is_some();
    if args.fidelity != Fidelity::Full && course {
        return Err(Error::Usage(
            "--timeline, --address-trace and --max-cycles need --fidelity full: nothing else has a course in time"
                .into(),
        ));
    }
    let ci = args.sampling.settings(args.fidelity)?.ci;
    Ok(Settings {
        ci,
        ..Settings::patient()
    })
}

/// Writes everything that was asked for.
fn write<P>(
    args: &Args,
    session: &Session,
    tables: &output::Tables,
    outcome: &Outcome<P>,
) -> Result<()> {
    let report = &outcome.report;
    for warning in report::validity::warnings(report) {
        output::note(format_args!("warning: {warning}"));
    }
    if let Some(file) = &args.timeline {
        report::timeline::write(file, report, &outcome.run, session.spec())?;
    }
    if let Some(file) = &args.html {
        report::page::page(report, &outcome.run, session.spec()).write(file)?;
    }
    if let Some(file) = &args.json.json {
        report::json::write(file, report)?;
    }
    tables.print(&report::table::render(report))?;
    args.checkpoint.settle(outcome.run.stopped)
}
