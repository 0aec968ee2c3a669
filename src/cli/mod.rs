//! The command line: one module for each command.

pub mod correlate;
pub mod dram;
pub mod explain;
pub mod list;
pub mod micro_benchmark;
pub mod record;
pub mod simulate;
pub mod trace;

use crate::error::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Cycle-level, discrete-event GPU microarchitecture simulator.
#[derive(Debug, Parser)]
#[command(name = "phantom-gpu", version, propagate_version = true)]
#[command(after_help = "Examples:
  phantom-gpu list-gpus
  phantom-gpu simulate traces/sgemm.pgt --gpu v100
  phantom-gpu simulate 'synth:stream?bytes=64MiB' --gpu a100-80 --json report.json
  phantom-gpu simulate kernelslist.g --gpu h100-pcie --set l2.bytes=\"25 MiB\" --threads 2
  phantom-gpu trace convert kernelslist.g -o kernels.pgt")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate kernels on a GPU.
    Simulate(simulate::Args),
    /// What a number of the report means: definition, unit, formula, Nsight name.
    Explain(explain::Args),
    /// The GPUs that are described in this build.
    ListGpus(list::ListGpus),
    /// The units, policies and configuration keys of the model.
    ListHardware(list::ListHardware),
    /// Look at traces and convert them.
    Trace(trace::Args),
    /// The model of a GPU through the micro-benchmark suite, next to measured numbers.
    MicroBenchmark(micro_benchmark::Args),
    /// Simulated results against measured ones.
    Correlate(correlate::Args),
    /// One DRAM channel alone, fed by a request trace.
    Dram(dram::Args),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Simulate(args) => simulate::run(&args),
        Command::Explain(args) => explain::run(&args, &mut std::io::stdout().lock()),
        Command::ListGpus(args) => args.run(&mut std::io::stdout().lock()),
        Command::ListHardware(args) => args.run(&mut std::io::stdout().lock()),
        Command::Trace(args) => trace::run(&args),
        Command::MicroBenchmark(args) => micro_benchmark::run(&args),
        Command::Correlate(args) => correlate::run(&args),
        Command::Dram(args) => dram::run(&args),
    }
}
