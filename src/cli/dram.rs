//! `phantom-gpu dram`: one DRAM channel fed by a request trace, for comparison with DRAM simulators.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::common::JsonFile;
use crate::config::{DramPage, DramRefresh, DramScheduler};
use crate::error::{Error, Result, input};
use crate::mem::dram::replay::{self, CommandLog, Limits, Record, Replay, Report};
use crate::mem::dram::{
    Channel, ChannelSpec, MAX_QUEUE, Map, PagePolicy, Policy, RefreshMode, StandardSpec, checker,
    research, spec, standard, timing,
};
use crate::output::{self, Tables};

/// One DRAM channel or pseudo-channel, fed by a request trace.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Standard: a name (see --list) or a parameter file NAME.json.
    #[arg(long, value_name = "NAME|FILE.json", required_unless_present = "list")]
    pub standard: Option<String>,
    /// Request trace, `<cycle> 0x<address> R|W` a line (.txt, .xz, .gz, or - for standard input).
    #[arg(long, value_name = "FILE", required_unless_present_any = ["list", "list_timing"])]
    pub trace: Option<PathBuf>,
    /// Scheduling policy, or `all` to compare all of them (feature dram-research).
    #[arg(long, value_name = "NAME", default_value = "fr-fcfs")]
    pub policy: String,
    /// Page policy: open, closed, closed-batch, timeout or timeout=CYCLES.
    #[arg(long, value_name = "NAME", default_value = "open")]
    pub page: String,
    /// Address map: m0, m1, or a hashed one (see --list).
    #[arg(long, value_name = "NAME", default_value = "m0")]
    pub map: String,
    /// Entries of the read queue and of the write queue.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub queue: u32,
    /// Most reads outstanding (closed-loop traces).
    #[arg(long, value_name = "N")]
    pub mlp: Option<u32>,
    /// Switch refresh off.
    #[arg(long)]
    pub no_refresh: bool,
    /// Refresh scheme: all-bank or per-bank.
    #[arg(
        long,
        value_name = "MODE",
        default_value = "all-bank",
        conflicts_with = "no_refresh"
    )]
    pub refresh: String,
    /// Refreshes that may be put off while requests wait.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub postpone: u32,
    /// Command clock in MHz; analogue times keep their nanoseconds.
    #[arg(long, value_name = "MHZ")]
    pub clock_mhz: Option<f64>,
    /// Write every command as `CK MNEMONIC bank-group bank row column`, to a file or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub command_log: Option<PathBuf>,
    /// Check every gap of the issued commands with the independent checker.
    #[arg(long)]
    pub check: bool,
    /// The report as JSON.
    #[command(flatten)]
    pub json: JsonFile,
    /// List standards, policies, page policies and maps.
    #[arg(long)]
    pub list: bool,
    /// Print the timing rules of the standard.
    #[arg(long)]
    pub list_timing: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<()> {
    if args.list {
        return print_names();
    }
    let spec = channel_spec(args)?;
    if args.list_timing {
        return print_timing(&spec.standard);
    }
    if args.mlp == Some(0) {
        return Err(Error::Usage(
            "--mlp 0: expected at least one outstanding read".to_owned(),
        ));
    }
    let path = args.trace.as_deref().unwrap_or(Path::new("-"));
    let capacity = spec.standard.org.capacity_bytes();
    if args.policy == "all" && !research::ENABLED {
        return Err(Error::Usage(research::MISSING.to_owned()));
    }
    let tables = output::check_all(&[
        ("--json", &args.json.json),
        ("--command-log", &args.command_log),
    ])?;
    output::spare(
        &[
            ("--json", args.json.json.as_deref()),
            ("--command-log", args.command_log.as_deref()),
        ],
        [
            path,
            Path::new(args.standard.as_deref().unwrap_or_default()),
        ],
    )?;
    let mut limits = Limits::new(capacity, &spec.standard.name);
    if wants_commands(args) {
        let cycles = Channel::new(&spec).cycles_of_refreshes(REFRESHES_KEPT);
        let why = "--command-log and --check keep every refresh until there";
        limits.cycle = (cycles.min(replay::CYCLE_MAX), why);
    }
    let records = replay::read(path, limits)?;
    if args.policy == "all" {
        return compare(args, &spec, &records, tables);
    }
    single(args, spec, &records, tables)
}

/// Refreshes that a command log holds at most: some hundred megabytes, about a second.
const REFRESHES_KEPT: u64 = 4_000_000;

/// Whether every command has to be kept.
fn wants_commands(args: &Args) -> bool {
    args.command_log.is_some() || args.check
}

/// One policy: report, command log, check.
fn single(args: &Args, spec: ChannelSpec, records: &[Record], tables: Tables) -> Result<()> {
    let replay = Replay {
        spec,
        mlp: args.mlp,
        every_cycle: false,
    };
    let started = Instant::now();
    let (run, section) = if wants_commands(args) {
        let mut log = CommandLog::default();
        let out = research::run(&replay, records, &mut log);
        if args.check {
            check_log(&replay.spec, &log)?;
        }
        if let Some(path) = &args.command_log {
            let org = &replay.spec.standard.org;
            let ticks = replay.spec.standard.family.bus().ticks_per_ck;
            output::write(path, |w| {
                log.write(w, org.banks_per_group, ticks)
                    .map_err(|e| Error::io(path, e))
            })?;
        }
        out
    } else {
        research::run(&replay, records, &mut crate::mem::dram::NoDramProbe)
    };
    let report = Report::new(&replay.spec, &run, started.elapsed().as_secs_f64());
    let whole = Output {
        report: &report,
        research: section.as_ref(),
    };
    write_json(args, &whole)?;
    tables.print(&(report.table() + &section.as_ref().map_or(String::new(), |s| s.text())))
}

/// The report with what the instruments saw, if they are compiled in.
#[derive(Serialize)]
struct Output<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    research: Option<&'a research::Section>,
}

/// All policies on one trace, with speed-ups over FCFS.
fn compare(args: &Args, spec: &ChannelSpec, records: &[Record], tables: Tables) -> Result<()> {
    let comparison = research::compare(spec, args.mlp, records);
    write_json(args, &comparison)?;
    tables.print(&comparison.text())
}

fn check_log(spec: &ChannelSpec, log: &CommandLog) -> Result<()> {
    let mut violations = checker::check(&spec.standard, &log.commands);
    if let RefreshMode::AllBank { postpone } = spec.refresh {
        violations.extend(checker::check_refresh(
            &spec.standard,
            &log.commands,
            postpone,
        ));
    }
    match violations.first() {
        None => {
            output::note(format_args!(
                "{} commands checked: every gap is legal",
                log.commands.len()
            ));
            Ok(())
        }
        Some(first) => Err(Error::Run(format!(
            "{} illegal command gap(s); the first: {first}; this is a fault of the model, please report it",
            violations.len()
        ))),
    }
}

/// The channel that the arguments describe.
pub fn channel_spec(args: &Args) -> Result<ChannelSpec> {
    let standard = standard_from(args)?;
    let unknown = |what: &str, name: &str, names: String| {
        Error::Usage(format!("--{what} {name}: unknown; expected one of {names}"))
    };
    let mut spec = ChannelSpec::new(&standard);
    spec.policy = match args.policy.as_str() {
        "all" => Policy::FrFcfs,
        name => Policy::from_name(name)
            .ok_or_else(|| unknown("policy", name, DramScheduler::NAMES.join(", ") + ", all"))?,
    };
    spec.page = PagePolicy::from_name(&args.page).ok_or_else(|| {
        unknown(
            "page",
            &args.page,
            DramPage::NAMES.join(", ") + ", timeout=CYCLES",
        )
    })?;
    spec.map = Map::from_name(&args.map)
        .ok_or_else(|| unknown("map", &args.map, Map::NAMES.join(", ")))?;
    let refresh = match args.no_refresh {
        true => DramRefresh::Off,
        false => DramRefresh::from_name(&args.refresh)
            .ok_or_else(|| unknown("refresh", &args.refresh, DramRefresh::NAMES.join(", ")))?,
    };
    spec.refresh = RefreshMode::new(refresh, args.postpone);
    if !(1..=MAX_QUEUE).contains(&args.queue) {
        let message = format!("--queue {}: expected 1 to {MAX_QUEUE} entries", args.queue);
        return Err(Error::Usage(message));
    }
    spec.set_queues(args.queue, args.queue);
    spec.check()
        .map_err(|faults| Error::Usage(faults.join("; ")))?;
    Ok(spec)
}

fn join<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The standard by name or from a file, at the clock asked for.
fn standard_from(args: &Args) -> Result<StandardSpec> {
    let name = args.standard.as_deref().unwrap_or_default();
    let found = match standard(name) {
        Some(known) => known.clone(),
        None if name.ends_with(".json") => {
            let what = "the parameters of a standard (JSON)";
            let text = input::text(name.as_ref(), input::WRITTEN_MAX, what)?;
            spec::from_json(&text).map_err(|what| {
                Error::input(
                    name,
                    "parameters",
                    what,
                    "compare with a built-in standard's numbers (--list-timing)",
                )
            })?
        }
        None => {
            let names = join(spec::standards().map(|s| s.name.as_ref()));
            let message =
                format!("--standard {name}: unknown; expected a FILE.json or one of {names}");
            return Err(Error::Usage(message));
        }
    };
    match args.clock_mhz {
        None => Ok(found),
        Some(mhz) if (10.0..=20_000.0).contains(&mhz) => {
            Ok(found.at_clock((1e6 / mhz).round() as u32))
        }
        Some(mhz) => Err(Error::Usage(format!(
            "--clock-mhz {mhz}: expected 10 to 20000"
        ))),
    }
}

fn print_names() -> Result<()> {
    let mut text = String::from("standards\n");
    for s in spec::standards() {
        text += &format!("  {:20} {:8.3} GB/s  {}\n", s.name, s.peak_gbps(), s.source);
    }
    text += &format!("policies   {}\n", DramScheduler::NAMES.join(", "));
    text += &format!("pages      {}\n", DramPage::NAMES.join(", "));
    text += &format!("maps       {}\n", Map::NAMES.join(", "));
    output::print_text(&text)
}

fn print_timing(s: &StandardSpec) -> Result<()> {
    let mut text = format!("{} ({}), tCK {} ps\n", s.name, s.source, s.tck_ps);
    text += &format!(
        "{:10} {:6} {:6} {:>6}  {:8} formula\n",
        "scope", "from", "to", "gap", "counts"
    );
    for row in timing::rows(&s.timing, s.family.bus()) {
        text += &format!(
            "{:10} {:6} {:6} {:6}  {:8} {}\n",
            format!("{:?}", row.scope),
            row.preceding.mnemonic(),
            row.following.mnemonic(),
            row.gap,
            format!("{:?}", row.count),
            row.formula
        );
    }
    output::print_text(&text)
}

/// Writes `value` where --json says, if it was given.
fn write_json(args: &Args, value: &impl Serialize) -> Result<()> {
    let Some(path) = &args.json.json else {
        return Ok(());
    };
    let mut text = serde_json::to_string_pretty(value).expect("reports have string keys");
    text.push('\n');
    output::write_text(path, &text)
}
