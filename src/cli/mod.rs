//! The command line: one module for each command.

mod address_trace;
pub mod benchmark;
pub mod best_batch;
pub mod cache;
pub mod calibrate;
pub mod call;
pub mod checkpoint;
pub mod common;
pub mod compare_models;
pub mod correlate;
pub mod diff;
pub mod dram;
pub mod explain;
mod kanata;
pub mod list;
pub mod load_model;
pub mod micro_benchmark;
pub mod profile;
mod project;
pub mod record;
pub mod research;
pub mod results;
pub mod simulate;
pub mod sweep;
pub mod trace;
pub mod validate;
pub mod variants;

use crate::error::Result;
use crate::output;
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
    /// The units, policies and configuration keys of the model, and their values on a GPU.
    ListHardware(list::ListHardware),
    /// The kernels that the program makes itself (synth:...), with their parameters.
    ListWorkloads(list::ListWorkloads),
    /// A model on GPUs: time of every layer, what bounds it, latency, throughput, memory.
    Benchmark(benchmark::Args),
    /// Models on GPUs next to each other: time, throughput, memory or what is missing.
    CompareModels(compare_models::Args),
    /// What is in a model: operators, matrix products, parameters, memory.
    LoadModel(load_model::Args),
    /// The models that are built in.
    ListModels(list::ListModels),
    /// Look at traces and convert them.
    Trace(trace::Args),
    /// The model of a GPU through the micro-benchmark suite, next to measured numbers.
    MicroBenchmark(micro_benchmark::Args),
    /// Simulated results against measured ones.
    Correlate(correlate::Args),
    /// Many configurations and workloads, each simulated once and kept; tables, best points, effects.
    Sweep(Box<sweep::Args>),
    /// What has moved between two reports or two sweeps, and whether it is allowed.
    Diff(diff::Args),
    /// Questions to the results of a sweep: rows, means, exports.
    Results(results::Args),
    /// Predicted times of kernels against thousands of measured ones.
    Validate(validate::Args),
    /// Physical quantities of a GPU, fitted to measurements of a board.
    Calibrate(calibrate::Args),
    /// Where the time and the energy of kernels go: speed of light, roofline, stalls by instruction, watts.
    Profile(Box<profile::Args>),
    /// The variants of a machine that `research` can run beside it.
    ListVariants(variants::ListVariants),
    /// Kernels or a model under the instruments of research features: sections, tables, figures.
    Research(Box<research::Args>),
    /// One DRAM channel alone, fed by a request trace.
    Dram(dram::Args),
    /// One cache alone, fed by an address trace.
    Cache(cache::Args),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match common::handle_signals().and_then(|()| dispatch(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("error: {error}"));
            ExitCode::from(error.exit_status())
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Simulate(args) => simulate::run(&args),
        Command::Explain(args) => output::print_text(&explain::text(&args)?),
        Command::ListGpus(args) => output::print_text(&args.text()?),
        Command::ListHardware(args) => output::print_text(&args.text()?),
        Command::ListWorkloads(args) => output::print_text(&args.text()),
        Command::ListModels(args) => output::print_text(&args.text()?),
        Command::Benchmark(args) => benchmark::run(&args),
        Command::CompareModels(args) => compare_models::run(&args),
        Command::LoadModel(args) => load_model::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::MicroBenchmark(args) => micro_benchmark::run(&args),
        Command::Correlate(args) => correlate::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Results(args) => results::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::ListVariants(args) => output::print_text(&args.text()?),
        Command::Research(args) => research::run(&args),
        Command::Dram(args) => dram::run(&args),
        Command::Cache(args) => cache::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    /// clap says so itself only in builds with its assertions, and there when the command is used.
    #[test]
    fn options_and_groups_of_a_command_have_names_of_their_own() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            let groups = command.get_groups().map(|group| group.get_id().as_str());
            let options = command.get_arguments().map(|arg| arg.get_id().as_str());
            let mut names: Vec<&str> = groups.chain(options).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}: {names:?}", command.get_name());
        }
    }
}
