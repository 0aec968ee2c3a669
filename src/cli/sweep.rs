//! `sweep`: many points of a design, each simulated once and kept.

use super::common::winds_up;
use super::project::ProjectArgs;
use crate::error::{Error, Result};
use crate::output;
use crate::report::table::table;
use crate::sampling::Memo;
use crate::sweep::point::Status;
use crate::sweep::store::Store;
use crate::sweep::summary::{Best, Summary};
use crate::sweep::table::FILE as RESULTS;
use crate::sweep::{
    Cluster, Manners, Outcome, Shard, Study, Usual, foresee, merge, run as run_sweep, script,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Points of a Pareto front that are printed.
const FRONT_SHOWN: usize = 12;

/// `phantom-gpu sweep`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "The folder has results.csv, summary.json, manifest.json and a report for each point. It can be killed at any time and
run again: what is stored is kept. docs/sweeps.md has the format of SWEEP.toml.

Examples:
  phantom-gpu sweep configs/sweeps/l1-study.toml -o l1-study
  phantom-gpu sweep study.toml -o out --shard 0/4        (1/4, 2/4 and 3/4 elsewhere)
  phantom-gpu sweep merge out-0 out-1 out-2 out-3 -o all
  phantom-gpu sweep study.toml -o out --emit slurm --shards 16 --jobs 8 > job.sh"
)]
pub struct Args {
    /// Folders of one sweep into one.
    #[command(subcommand)]
    pub command: Option<SubCommand>,
    /// The sweep.
    #[arg(value_name = "SWEEP.toml", required = true)]
    pub file: Option<PathBuf>,
    /// What a project says.
    #[command(flatten)]
    pub project: ProjectArgs,
    /// Folder of the results; it is made if it is missing.
    #[arg(short, long, value_name = "DIR", required_unless_present = "dry_run")]
    pub output: Option<PathBuf>,
    /// Points at a time; all cores when not given. Results do not depend on it.
    #[arg(long, visible_alias = "threads", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Go on with what is in the folder, which is done in any case; points that ran out of time or memory are tried again.
    #[arg(long)]
    pub resume: bool,
    /// Only every Nth point, from the Ith on (from 0): shares of one sweep, in one folder or in several.
    #[arg(long, value_name = "I/N", value_parser = Shard::parse)]
    pub shard: Option<Shard>,
    /// Say what would be run, and run nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print a script for a cluster instead of running.
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = ["shard", "resume", "dry_run"])]
    pub emit: Option<Emit>,
    /// With --emit: tasks that share the points.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "emit", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub shards: u16,
    /// Most memory that a simulated machine may take, e.g. 16GiB, in place of what the sweep says (default: half of the host's).
    #[arg(long, value_name = "SIZE", value_parser = crate::memory_limit::size)]
    pub memory_limit: Option<u64>,
    /// Write charts and tables to a file, or to standard output with - (the table then goes to standard error).
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
    /// At fidelity sampled, keep estimates of kernels in this folder, and take those that are there.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

/// What else can be done with sweeps.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum SubCommand {
    /// Put the results of several folders of one sweep together.
    Merge(MergeArgs),
}

/// `phantom-gpu sweep merge`.
#[derive(clap::Args, Clone, Debug)]
pub struct MergeArgs {
    /// Folders of one sweep.
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// Folder of all results [default: the first].
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Write charts and tables to a file, or to standard output with - (the table then goes to standard error).
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
    /// Exit with 0 also when points have no result yet.
    #[arg(long)]
    pub partial: bool,
}

/// Scripts that can be printed.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// A job array of Slurm.
    Slurm,
}

/// Runs the command.
///
/// # Errors
/// Everything that is wrong with the sweep and its folder; a sweep that was ended early; one of which every point failed.
pub fn run(args: &Args) -> Result<()> {
    if let Some(SubCommand::Merge(merged)) = &args.command {
        return merge_folders(merged);
    }
    let file = args
        .file
        .as_ref()
        .ok_or_else(|| Error::Usage("name a sweep".into()))?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or_else(cores, usize::from);
    let stop = winds_up();
    let project = args.project.read()?;
    let usual = Usual {
        gpus: project.gpus(),
        model: project.model(),
    };
    let study = Study::open(file, &usual, jobs)?;
    let shard = args.shard.unwrap_or(Shard { index: 0, count: 1 });
    if args.dry_run {
        return dry_run(args, &study, shard);
    }
    let folder = args
        .output
        .as_ref()
        .ok_or_else(|| Error::Usage("name a folder with -o".into()))?;
    if args.emit == Some(Emit::Slurm) {
        return emit(args, &study, project.file(), folder);
    }
    let tables = output::check_all(&[("--html", &args.html)])?;
    spare(args, &study, project.file(), folder)?;
    let memo = Memo::new(args.cache.as_deref())?;
    let manners = Manners {
        jobs,
        shard,
        retry: args.resume,
        memory_limit: args.memory_limit,
        memo: &memo,
        stop,
        html: args.html.as_deref(),
    };
    let outcome = run_sweep(&study, folder, &manners)?;
    tables.print(&text(&outcome, folder))?;
    note_failed(&outcome, folder);
    let summary = &outcome.summary;
    if stop.load(Ordering::SeqCst) && summary.missing > 0 {
        return Err(Error::Run(format!(
            "stopped; {} of {} points have a result in {}; run the same command again to go on",
            summary.points - summary.missing,
            summary.points,
            folder.display()
        )));
    }
    all_failed(&outcome)
}

/// Prints the script. What a task would not find where it runs has its absolute path.
fn emit(args: &Args, study: &Study, project: Option<&Path>, folder: &Path) -> Result<()> {
    let html = args.html.as_deref();
    if html.is_some_and(output::is_standard) {
        let what =
            "--html -: standard output has the script; name a file for the page of the tasks";
        return Err(Error::Usage(what.into()));
    }
    spare(args, study, project, folder)?;
    let files = [
        ("--project", project),
        ("--cache", args.cache.as_deref()),
        ("--html", html),
    ];
    let cluster = Cluster {
        shards: usize::from(args.shards),
        jobs: args.jobs.map_or(1, usize::from),
        memory_limit: args.memory_limit,
        files: &files,
    };
    output::print_text(&script(study, folder, cluster)?)
}

/// Refuses a page that would take the place of an input or of a result.
fn spare(args: &Args, study: &Study, project: Option<&Path>, folder: &Path) -> Result<()> {
    let inputs = study.inputs();
    let inputs = inputs.iter().map(PathBuf::as_path).chain(project);
    output::spare(&[("--html", args.html.as_deref())], inputs)?;
    owned(args.html.as_deref(), &[folder])
}

/// Refuses a page that would take the place of a result in one of `folders`.
fn owned(html: Option<&Path>, folders: &[&Path]) -> Result<()> {
    let Some(html) = html.filter(|html| !output::is_standard(html)) else {
        return Ok(());
    };
    match folders.iter().any(|folder| Store::owns(folder, html)) {
        true => Err(Error::Usage(format!(
            "--html {}: this is a file of the sweep, which it would replace; name another file",
            html.display()
        ))),
        false => Ok(()),
    }
}

/// Merges folders; what is not there is a fault, so that a script does not go on with a part of a sweep.
fn merge_folders(args: &MergeArgs) -> Result<()> {
    let out = args.output.as_ref().unwrap_or(&args.folders[0]);
    let tables = output::check_all(&[("--html", &args.html)])?;
    let folders: Vec<&Path> = args
        .folders
        .iter()
        .chain([out])
        .map(PathBuf::as_path)
        .collect();
    owned(args.html.as_deref(), &folders)?;
    let outcome = merge(&args.folders, out, args.html.as_deref())?;
    tables.print(&text(&outcome, out))?;
    note_failed(&outcome, out);
    match outcome.summary.missing {
        0 => Ok(()),
        _ if args.partial => Ok(()),
        missing => Err(Error::Run(format!(
            "{missing} of {} points have no result; {} has what there is: run the sweep with -o {} to make the others, \
             merge the folders that have them, or accept this with --partial",
            outcome.summary.points,
            out.display(),
            out.display()
        ))),
    }
}

/// Says that points failed, which does not end a sweep.
fn note_failed(outcome: &Outcome, folder: &Path) {
    let rows = &outcome.table.rows;
    let failed = rows.iter().filter(|row| row.status == Status::Failed);
    let (mut all, mut again) = (0, 0);
    for row in failed {
        all += 1;
        again += usize::from(row.again);
    }
    if all > 0 {
        let more = match again {
            0 => String::new(),
            n => format!("; the next run tries {n} of them again"),
        };
        output::note(format_args!(
            "note: {all} of {} points failed: see column error of {}{more}",
            outcome.summary.points,
            folder.join(RESULTS).display()
        ));
    }
}

/// Refuses a sweep of which no point came to an end.
fn all_failed(outcome: &Outcome) -> Result<()> {
    let rows = &outcome.table.rows;
    match rows.first() {
        Some(first) if rows.iter().all(|row| !row.error.is_empty()) => Err(Error::Run(format!(
            "all {} points failed; point {}: {}",
            rows.len(),
            first.point,
            first.error
        ))),
        _ => Ok(()),
    }
}

fn dry_run(args: &Args, study: &Study, shard: Shard) -> Result<()> {
    let (points, stored) = foresee(study, args.output.as_deref(), shard)?;
    let manifest = &study.manifest;
    let names = |named: &[crate::sweep::manifest::Named]| -> String {
        let names: Vec<&str> = named.iter().map(|n| n.name.as_str()).collect();
        names.join(", ")
    };
    let part = match args.shard {
        Some(shard) => format!(" in shard {}/{}", shard.index, shard.count),
        None => String::new(),
    };
    output::print_text(&format!(
        "{}: {} points of {} workload(s) on {} GPU(s), {} simulations{part}, of which {stored} are stored\n\
         workloads: {}\nGPUs: {}\nkeys: {}\nfidelity: {}\n",
        manifest.name,
        manifest.points.len(),
        manifest.workloads.len(),
        manifest.gpus.len(),
        points,
        names(&manifest.workloads),
        names(&manifest.gpus),
        manifest.keys.join(", "),
        manifest.fidelity,
    ))
}

/// What is in `folder`, for people.
fn text(outcome: &Outcome, folder: &Path) -> String {
    let summary = &outcome.summary;
    let counts: Vec<String> = summary
        .status
        .iter()
        .map(|(status, n)| format!("{n} {}", status.replace('_', " ")))
        .collect();
    let missing = match summary.missing {
        0 => None,
        n => Some(format!("{n} without a result yet")),
    };
    let counts: Vec<String> = counts.into_iter().chain(missing).collect();
    let mut text = format!(
        "{}: {} points: {}\n",
        summary.name,
        summary.points,
        counts.join(", ")
    );
    for workload in &summary.workloads {
        text.push_str(&format!("\n{}\n", workload.workload));
        if let Some(best) = &workload.best {
            text.push_str(&format!("best: {}\n", said(summary, best)));
        }
        if summary.objectives.len() > 1 {
            let more = workload.pareto.len().saturating_sub(FRONT_SHOWN);
            text.push_str("no point is better in everything than\n");
            for best in workload.pareto.iter().take(FRONT_SHOWN) {
                text.push_str(&format!("  {}\n", said(summary, best)));
            }
            if more > 0 {
                text.push_str(&format!("  and {more} more\n"));
            }
        }
        if !workload.effects.is_empty() {
            let mut effects = table(&["key", "effect", "mean by value"], 1);
            for effect in &workload.effects {
                let groups: Vec<String> = effect
                    .groups
                    .iter()
                    .map(|group| format!("{}: {:.1}", group.value, group.mean))
                    .collect();
                effects.add_row([
                    effect.key.clone(),
                    format!("{:.1} %", effect.range * 100.0),
                    groups.join(", "),
                ]);
            }
            text.push_str(&format!("{effects}\n"));
        }
    }
    if let Some(overall) = &summary.overall {
        text.push_str(&format!(
            "\nbest over all workloads: {}, geometric mean {:.3}\n",
            machine(&overall.gpu, &overall.values),
            overall.geometric_mean
        ));
    }
    text.push_str(&format!("\nresults: {}\n", folder.join(RESULTS).display()));
    text
}

fn machine(gpu: &str, values: &std::collections::BTreeMap<String, String>) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("{gpu} {}", values.join(" ")).trim_end().to_owned()
}

fn said(summary: &Summary, best: &Best) -> String {
    let objectives = summary.objectives.iter().zip(&best.objectives);
    let numbers: Vec<String> = objectives
        .map(|(objective, value)| format!("{} {value}", objective.column))
        .collect();
    format!(
        "point {}, {}: {}",
        best.point,
        machine(&best.gpu, &best.values),
        numbers.join(", ")
    )
}
