//! `profile`: where the time and the energy of kernels go, as Nsight Compute would show it.

use super::common::winds_up;
use super::kanata;
use super::project::ProjectArgs;
use super::research::{self, StudyArgs};
use super::variants::ArchitectureArgs;
use crate::correlate::{self, Map, Profile};
use crate::error::{Error, Result};
use crate::output;
use crate::report::TIMELINE_INTERVAL;
use crate::research::{Besides, Outcome, catalogue};
use crate::session::Options;
use serde_json::Value as Json;
use std::path::PathBuf;

/// The feature whose instruments are on.
const FEATURE: &str = "gpu-profiling-research";

/// `phantom-gpu profile`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Needs a build with the feature gpu-profiling-research. It is `research --features \
gpu-profiling-research`: the report of `simulate`, with the sections `profile` (speed of light, roofline, opcodes, why \
warps wait, and at which instruction) and `energy` (joules and watts by part) under `research`. \
`--correlate-hardware` compares them with an export of Nsight Compute, counter by counter; `correlate` does the same with \
a report that is there.

Examples:
  phantom-gpu profile traces/sgemm.pgt --gpu v100 --output p.json
  phantom-gpu profile traces/sgemm.pgt --gpu v100 --kanata k.log --window 1000:2000
  phantom-gpu profile traces/sgemm.pgt --gpu v100 --over-time t.csv --interval 500
  phantom-gpu profile traces/tiny_list --gpu v100 --correlate-hardware ncu.csv --html p.html
  phantom-gpu profile 'synth:softmax?rows=4096&cols=1024' --gpu a100-80 --html p.html"
)]
#[command(mut_arg("gpu", |gpu| gpu.required(true)))]
#[command(mut_arg("json", |json| json.long("output").visible_alias("json")))]
pub struct Args {
    /// What is run, and where the results go.
    #[command(flatten)]
    pub study: StudyArgs,
    /// Write counters over time as CSV, a row for each interval of the run, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub over_time: Option<PathBuf>,
    /// Core cycles of an interval; of a long run they are doubled until there are no more than some 32,000 rows.
    #[arg(
        long,
        value_name = "CYCLES",
        requires = "over_time",
        default_value_t = TIMELINE_INTERVAL,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub interval: u64,
    /// Compare each counter of each kernel with a profile of real ones, as `correlate` does: ncu --csv and others.
    #[arg(long, value_name = "FILE")]
    pub correlate_hardware: Option<PathBuf>,
    /// Which names of that profile are which of the report.
    #[arg(long, value_name = "FILE", requires = "correlate_hardware")]
    pub map: Option<PathBuf>,
    /// The log of an SM.
    #[command(flatten)]
    pub log: kanata::Args,
}

/// Runs the command.
///
/// # Errors
/// A build without the feature; bad input; a failed run.
pub fn run(args: &Args) -> Result<()> {
    let Args { study, log, .. } = args.clone();
    if log.kanata.is_some() {
        log.sm_of(study.machine.load()?.spec().sms)?;
    }
    let written = [
        ("--output", study.json.json.as_deref()),
        ("--html", study.html.as_deref()),
        ("--over-time", args.over_time.as_deref()),
        ("--kanata", log.kanata.as_deref()),
    ];
    let read = [&args.correlate_hardware, &args.map];
    output::spare(&written, read.into_iter().flatten().map(PathBuf::as_path))?;
    let besides = Besides {
        interval: args.over_time.as_ref().map(|_| args.interval),
        hardware: hardware(args)?,
    };
    let more = [("--kanata", &log.kanata), ("--over-time", &args.over_time)];
    let study = research::Args {
        features: vec![FEATURE.to_owned()],
        project: ProjectArgs::default(),
        study,
        format: None,
        precision: None,
        architecture: ArchitectureArgs::default(),
    };
    let (outcome, tables) = research::study(&study, &more, &besides)?;
    if let Some(file) = &args.over_time {
        output::write_text(file, &over_time(&outcome))?;
    }
    tables.print(&research::text(&outcome))?;
    if log.kanata.is_none() {
        return Ok(());
    }
    let session = study.study.machine.load()?;
    let workload = research::workload(&study, &session)?;
    let options = Options {
        threads: usize::from(study.study.threads.threads),
        max_cycles: study.study.max_cycles,
        memory_limit: study.study.memory_limit,
        stop: Some(winds_up()),
        ..Options::default()
    };
    kanata::run(&log, &session, &workload, options)
}

/// The profile to compare with.
fn hardware(args: &Args) -> Result<Option<(Profile, Map)>> {
    let Some(file) = &args.correlate_hardware else {
        return Ok(None);
    };
    let map = args.map.as_deref().map(Map::read).transpose()?;
    let map = map.unwrap_or_default();
    match correlate::profile(file, &map)? {
        Some(profile) => Ok(Some((profile, map))),
        None => Err(Error::input(
            file.display().to_string(),
            "format",
            "no profile of kernels",
            "name an export of ncu --csv, nsys stats --format csv or nvprof --csv, or a report of simulate",
        )),
    }
}

/// Place of the intervals in a report.
const OVER_TIME: &str = "research.profile.over_time[].";

/// The intervals of `outcome` as CSV: their fields in the order in which they are explained, then issue slots by label.
fn over_time(outcome: &Outcome) -> String {
    let catalogue = catalogue();
    let fields = catalogue.iter().filter_map(|entry| {
        let field = entry.path.strip_prefix(OVER_TIME)?;
        (!field.contains("slots")).then_some(field)
    });
    let fields: Vec<&str> = fields.collect();
    let found = outcome.findings.iter().find(|f| f.name == "profile");
    let rows = found.and_then(|f| f.data["over_time"].as_array());
    let rows = rows.map_or(&[][..], Vec::as_slice);
    let slots = |row: &Json, of: &str| -> Vec<String> {
        let slots = row["slots"].as_array().into_iter().flatten();
        slots.map(|slot| text(&slot[of])).collect()
    };
    let names = fields.iter().map(|field| (*field).to_owned());
    let labels = rows.first().map_or(Vec::new(), |row| slots(row, "label"));
    let mut csv = line(names.chain(labels));
    for row in rows {
        let own = fields.iter().map(|field| text(&row[*field]));
        csv.push_str(&line(own.chain(slots(row, "slots"))));
    }
    csv
}

fn text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        number => number.to_string(),
    }
}

/// A line of names and numbers, none of which has a comma in it.
fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    cells.join(",") + "\n"
}
