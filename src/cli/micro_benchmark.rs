//! `micro-benchmark`: the model of a GPU through the micro-benchmark suite, next to measured numbers.

use super::common::{JsonFile, MachineArgs, winds_up};
use crate::error::Result;
use crate::microbench::{self, Request};
use std::path::PathBuf;

/// `phantom-gpu micro-benchmark`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Needs a build with `--features micro-benchmarking`.

Examples:
  phantom-gpu micro-benchmark --gpu v100
  phantom-gpu micro-benchmark --gpu h100-pcie --validate-accuracy --json h100.json --html h100.html
  phantom-gpu micro-benchmark --gpu a100-80 --only 'latency_*,stream_read' --points 20
  phantom-gpu micro-benchmark --gpu v100 --gate tolerances.toml")]
#[command(mut_arg("gpu", |gpu| gpu.required_unless_present("list")))]
pub struct Args {
    /// The machine.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Only these benchmarks; a name may end in *.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Only the benchmarks of caches: sizes, lines, sectors, policies.
    #[arg(long)]
    pub cache_analysis: bool,
    /// Show the accuracy of each class and overall.
    #[arg(long)]
    pub validate_accuracy: bool,
    /// Fail when results exceed the tolerances of this TOML file.
    #[arg(long, value_name = "FILE")]
    pub gate: Option<PathBuf>,
    /// Points of a curve.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=400))]
    pub points: u16,
    /// The results as JSON.
    #[command(flatten)]
    pub json: JsonFile,
    /// Write charts and a table to a file, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
    /// Threads; all cores when not given. Results do not depend on them.
    #[arg(long = "threads", visible_alias = "jobs", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// List the benchmarks.
    #[arg(long)]
    pub list: bool,
}

/// Runs the command.
///
/// # Errors
/// Bad input, a failed run, a gate that does not hold, a build without the suite.
pub fn run(args: &Args) -> Result<()> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let machine = match (args.list, microbench::ENABLED) {
        (false, true) => Some(args.machine.load()?),
        _ => None,
    };
    microbench::run(&Request {
        machine,
        only: args.only.clone(),
        cache_analysis: args.cache_analysis,
        validate_accuracy: args.validate_accuracy,
        gate: args.gate.clone(),
        points: usize::from(args.points),
        jobs: args.jobs.map_or_else(cores, usize::from),
        json: args.json.json.clone(),
        html: args.html.clone(),
        stop: Some(winds_up()),
    })
}
