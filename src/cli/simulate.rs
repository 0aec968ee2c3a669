//! `simulate`: kernels on a GPU, as a table for people and JSON for machines.

use crate::config::{self, Resolved};
use crate::error::{Error, Result};
use crate::output;
use crate::probe::BuildProbe;
use crate::report::{self, Report};
use crate::simulation::{self, Options};
use crate::trace::Workload;
use indicatif::{ProgressBar, ProgressStyle};
use regex::Regex;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// `phantom-gpu simulate`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Inputs: kernelslist.g, *.traceg[.xz|.gz], *.tracez, *.pgt, or a generated \
kernel such as 'synth:stream?bytes=64MiB' (synth:help lists them). Several inputs run one after \
another on the same machine.

Ctrl-C or --max-cycles end a run early; the report then has what was done, says so in `status`, and the
exit status is 0.

Examples:
  phantom-gpu simulate traces/sgemm.pgt --gpu v100
  phantom-gpu simulate kernelslist.g --gpu a100-80 --set sm.scheduler=gto --json -
  phantom-gpu simulate 'synth:hgemm?m=4096&n=4096&k=4096' --gpu h100-sxm --timeline gemm.json"
)]
pub struct Args {
    /// Traces or generated kernels.
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// Built-in GPU (see list-gpus) or a TOML file.
    #[arg(long)]
    pub gpu: String,
    /// Override a configuration key, e.g. l1.ways=64 (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Threads; the result does not depend on them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
    /// Only kernels whose name matches.
    #[arg(long, value_name = "REGEX")]
    pub kernel: Option<Regex>,
    /// Write the report as JSON to a file, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<PathBuf>,
    /// Stop after so many core cycles, with a partial report.
    #[arg(long, value_name = "N")]
    pub max_cycles: Option<u64>,
    /// Write a Chrome/Perfetto trace of kernels, CTAs and activity over time.
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// Most memory that the simulated machine may take, e.g. 16GiB (default: half of the host's).
    #[arg(long, value_name = "SIZE", value_parser = crate::memory_limit::size)]
    pub memory_limit: Option<u64>,
    /// Visit every cycle instead of skipping idle ones (slow; same result).
    #[arg(long)]
    pub no_skip: bool,
}

/// Opens an input: a generated kernel or any trace file.
///
/// # Errors
/// What is wrong with it.
pub fn open(input: &str, config: &Resolved) -> Result<Workload> {
    if input.starts_with("synth:") {
        crate::workload::synthetic::parse(input, &config.spec)
    } else {
        crate::trace::open::open(input)
    }
}

/// One workload of all inputs, in order.
fn open_all(inputs: &[String], config: &Resolved) -> Result<Workload> {
    let mut all: Option<Workload> = None;
    for input in inputs {
        let more = open(input, config)?;
        match &mut all {
            None => all = Some(more),
            Some(all) => all.append(more),
        }
    }
    all.ok_or_else(|| Error::Usage("no input".into()))
}

/// Runs the command.
///
/// # Errors
/// Bad input, or a run that failed.
pub fn run(args: &Args) -> Result<()> {
    let config = config::load(&args.gpu, &args.set)?;
    let workload = open_all(&args.inputs, &config)?;
    if workload.launches().next().is_none() {
        return Err(Error::input(
            &workload.source,
            "commands",
            "no kernel launch",
            "name a list that launches at least one kernel",
        ));
    }
    output::check_all([&args.json, &args.timeline])?;
    if let Some(wanted) = &args.kernel
        && !workload.launches().any(|k| wanted.is_match(&k.header.name))
    {
        return Err(Error::Usage(format!(
            "--kernel {wanted}: no kernel of {} matches; `phantom-gpu trace info` lists them",
            workload.source
        )));
    }
    let stop = interrupt_flag()?;
    let cycles = AtomicU64::new(0);
    let options = Options {
        threads: usize::from(args.threads),
        max_cycles: args.max_cycles,
        no_skip: args.no_skip,
        kernel: args.kernel.clone(),
        stop: Some(stop),
        memory_limit: args.memory_limit,
        progress: Some(&cycles),
        timeline: args.timeline.is_some().then_some(report::TIMELINE_INTERVAL),
        ..Options::default()
    };
    let result = with_progress(&cycles, || {
        simulation::run::<BuildProbe>(&workload, &config.spec, &options)
    })?;
    if result.kernels.is_empty() && result.stopped.is_none() {
        return Err(Error::Usage(format!(
            "--kernel {}: no kernel of the workload has such a name",
            args.kernel.as_ref().map_or("", Regex::as_str)
        )));
    }
    let report = Report::new(&config, &workload, &result, usize::from(args.threads));
    if let Some(file) = &args.timeline {
        report::timeline::write(file, &report, &result, &config.spec)?;
    }
    match &args.json {
        Some(file) if file == Path::new("-") => report::json::print(&report)?,
        Some(file) => {
            report::json::write(file, &report)?;
            eprint!("{}", report::table::render(&report));
        }
        None => print_text(&report::table::render(&report))?,
    }
    Ok(())
}

/// Prints to standard output. A reader that has seen enough is no error.
fn print_text(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| Error::io("standard output", e)),
    }
}

/// Set by Ctrl-C; a second one ends the process at once.
fn interrupt_flag() -> Result<&'static AtomicBool> {
    static STOP: AtomicBool = AtomicBool::new(false);
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("stopping; what is done will be reported");
    })
    .map_err(|e| Error::Run(format!("cannot handle Ctrl-C: {e}")))?;
    Ok(&STOP)
}

/// Runs `work`; shows cycles done when it takes more than two seconds and a person watches.
fn with_progress<T: Send>(cycles: &AtomicU64, work: impl FnOnce() -> T + Send) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut bar: Option<ProgressBar> = None;
            let mut waited = 0;
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                waited += 1;
                if waited > 40 {
                    let bar = bar.get_or_insert_with(spinner);
                    bar.set_position(cycles.load(Ordering::Relaxed));
                    bar.tick();
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::no_length();
    let style =
        ProgressStyle::with_template("{spinner} {elapsed_precise} {human_pos} cycles {per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar
}
