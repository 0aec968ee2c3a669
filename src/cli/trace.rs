//! `trace record`, `trace info`, `trace dump`, `trace convert`.

mod census;
mod convert;
mod dump;
mod info;

use super::common::MachineArgs;
use super::record;
use crate::error::{Error, Result};
use crate::kernels::synth::is_synth;
use crate::ptx::is_ptx;
use crate::session::open_trace;
use crate::trace::{Kernel, Workload};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `phantom-gpu trace`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What `trace` can do.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Action {
    /// Run a PTX kernel, check its result, and write its trace.
    Record(record::RecordArgs),
    /// Say what a trace holds: kernels, instructions, opcodes, memory accesses, size.
    Info(info::InfoArgs),
    /// Print the instructions of one thread block as text.
    Dump(dump::DumpArgs),
    /// Write a trace in another form: `.pgt`, or `kernelslist.g` for Accel-Sim.
    Convert(convert::ConvertArgs),
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    match &args.action {
        Action::Record(args) => record::run(args),
        Action::Info(args) if is_ptx(Path::new(&args.input.name)) => {
            let text =
                record::info::describe(Path::new(&args.input.name), args.json.json, args.top)?;
            output(args.output.as_ref(), |out| {
                writeln!(out, "{}", text.trim_end()).map_err(print_error)
            })
        }
        Action::Info(args) => info::run(args, &args.input.open()?),
        Action::Dump(args) => dump::run(args, &args.input.open()?),
        Action::Convert(args) => {
            convert::check(args)?;
            convert::run(args, &args.input.open()?)
        }
    }
}

/// The input of every action.
#[derive(clap::Args, Clone, Debug)]
#[command(mut_arg("gpu", |gpu| gpu.default_value("v100").help("GPU that a generated workload is made for")))]
pub struct Input {
    /// Trace: a `.pgt` file, `kernelslist.g`, a `.traceg` file, or a generated workload `synth:...`.
    #[arg(id = "input", value_name = "INPUT")]
    pub name: String,
    /// The machine that a generated workload is made for.
    #[command(flatten)]
    pub machine: MachineArgs,
}

impl Input {
    /// Opens the input.
    pub fn open(&self) -> Result<Workload> {
        if is_synth(&self.name) {
            return self.machine.load()?.open(&[&self.name]);
        }
        open_trace(&self.name)
    }
}

/// The launches of a workload in order.
fn launches(workload: &Workload) -> impl Iterator<Item = &Kernel> {
    workload.launches()
}

/// Calls `write` with a writer to `file`, complete or not at all, or to standard output.
fn output(file: Option<&PathBuf>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let file = file.map_or(Path::new("-"), PathBuf::as_path);
    crate::output::write(file, |out| write(out))
}

fn print_error(error: std::io::Error) -> Error {
    Error::io(Path::new("the output"), error)
}
