//! `trace record`: runs a PTX kernel, checks what it computes, writes its trace.

pub mod info;

use crate::error::Result;
use crate::output;
use crate::ptx::record::record_within;
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
    /// Host threads, which run CTAs at once. The result does not depend on it.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
}

/// Runs the command.
pub fn run(args: &RecordArgs) -> Result<()> {
    output::check(&args.output)?;
    let (workload, report) = record_within(
        &args.input,
        &args.launch,
        args.race_check,
        usize::from(args.threads),
        args.memory_limit,
    )?;
    write_pgt(&workload, &args.output)?;
    let rate = report.executed as f64 / report.seconds.max(1e-9) / 1e6;
    let outcome = match report.verified {
        true => "verified",
        false => "not checked: the launch file has no [check]",
    };
    eprintln!(
        "{}: {} PTX warp instructions in {:.3} s ({rate:.1} M/s), {outcome}",
        args.output.display(),
        report.executed,
        report.seconds
    );
    Ok(())
}
