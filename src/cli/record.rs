//! `trace record`: runs a PTX kernel, checks what it computes, writes its trace.

pub mod info;

use super::common::{ThreadArgs, refuse_standard};
use crate::error::Result;
use crate::output;
use crate::progress::{self, Progress};
use crate::ptx::record::record_watched;
use crate::trace::pgt::write_pgt;
use std::path::PathBuf;

/// Arguments of `trace record`.
#[derive(clap::Args, Clone, Debug)]
pub struct RecordArgs {
    /// PTX file.
    #[arg(value_name = "FILE.ptx")]
    pub input: PathBuf,
    /// Launch file: kernel, grid, block, arguments, check (see traces/ptx/README.md).
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
    /// Threads, which run CTAs at once.
    #[command(flatten)]
    pub threads: ThreadArgs,
}

/// Runs the command.
pub fn run(args: &RecordArgs) -> Result<()> {
    refuse_standard("-o", &args.output, "a .pgt file is binary")?;
    output::check(&args.output)?;
    output::spare(&[("-o", Some(&args.output))], [&*args.input, &*args.launch])?;
    let progress = Progress::default();
    let (workload, report) = progress::watch(&progress, "CTAs", || {
        record_watched(
            &args.input,
            &args.launch,
            args.race_check,
            usize::from(args.threads.threads),
            args.memory_limit,
            &progress,
        )
    })?;
    write_pgt(&workload, &args.output)?;
    let rate = report.executed as f64 / report.seconds.max(1e-9) / 1e6;
    let outcome = match report.verified {
        true => "verified",
        false => "not checked: the launch file has no [check]",
    };
    output::note(format_args!(
        "{}: {} PTX warp instructions in {:.3} s ({rate:.1} M/s), {outcome}",
        args.output.display(),
        report.executed,
        report.seconds
    ));
    Ok(())
}
