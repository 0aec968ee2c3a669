//! `trace record`: runs the kernels of a PTX file, checks what they compute, writes their trace.

pub mod info;

use super::common::{ThreadArgs, refuse_standard};
use crate::error::{Error, Result};
use crate::output;
use crate::progress::{self, Progress};
use crate::ptx::launch::Application;
use crate::ptx::record::{How, Report, record_watched};
use crate::trace::pgt::write_pgt;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `trace record`.
#[derive(clap::Args, Clone, Debug)]
pub struct RecordArgs {
    /// PTX file.
    #[arg(value_name = "FILE.ptx")]
    pub input: PathBuf,
    /// Launch file: kernels with grid, block and arguments, buffers, checks (see traces/ptx/README.md).
    #[arg(long, value_name = "LAUNCH.toml")]
    pub launch: PathBuf,
    /// Trace to write.
    #[arg(short, long, value_name = "FILE.pgt")]
    pub output: PathBuf,
    /// Also look for races in shared memory between barriers.
    #[arg(long)]
    pub race_check: bool,
    /// Most memory that the launch's buffers may take, e.g. 16GiB (default: half of the host's).
    #[arg(long, value_name = "SIZE", value_parser = crate::memory_limit::size)]
    pub memory_limit: Option<u64>,
    /// Whether instructions are put into the order that a compiler would give them, whatever the launch file says.
    #[arg(long, value_enum)]
    pub schedule: Option<Schedule>,
    /// Threads, which run CTAs at once.
    #[command(flatten)]
    pub threads: ThreadArgs,
}

/// Values of `--schedule`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// As a compiler would.
    On,
    /// As the PTX file has them: for studies.
    Off,
}

/// Runs the command.
pub fn run(args: &RecordArgs) -> Result<()> {
    refuse_standard("-o", &args.output, "a .pgt file is binary")?;
    output::check(&args.output)?;
    output::spare(&[("-o", Some(&args.output))], [&*args.input, &*args.launch])?;
    let mut application = Application::load(&args.launch)?;
    for dump in &application.dumps {
        output::check(&dump.path)?;
        let inputs = [&*args.input, &*args.launch, &*args.output];
        output::spare(&[("dump", Some(&*dump.path))], inputs)?;
    }
    if let Some(schedule) = args.schedule {
        for launch in &mut application.launches {
            launch.schedule = schedule == Schedule::On;
        }
    }
    let how = How {
        race_check: args.race_check,
        threads: usize::from(args.threads.threads),
        memory_limit: args.memory_limit,
    };
    let progress = Progress::default();
    let (workload, report) = progress::watch(&progress, "CTAs", || {
        record_watched(&args.input, &application, how, &progress)
    })?;
    write_pgt(&workload, &args.output)?;
    for (path, bytes) in &report.dumps {
        let io = |e| Error::io(path.display().to_string(), e);
        output::write(path, |sink| sink.write_all(bytes).map_err(io))?;
        output::note(format_args!("{}: {} bytes", path.display(), bytes.len()));
    }
    output::note(format_args!("{}: {}", args.output.display(), said(&report)));
    Ok(())
}

fn said(report: &Report) -> String {
    let rate = report.executed as f64 / report.seconds.max(1e-9) / 1e6;
    let outcome = match (report.checks, report.kernels) {
        (0, _) => "not checked: the launch file has no [check]".to_owned(),
        (1, 1) => "verified".to_owned(),
        (checks, kernels) => format!("verified by {checks} checks of {kernels} kernels"),
    };
    let (executed, seconds) = (report.executed, report.seconds);
    format!("{executed} PTX warp instructions in {seconds:.3} s ({rate:.1} M/s), {outcome}")
}
