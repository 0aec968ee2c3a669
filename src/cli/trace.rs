//! `trace record`, `trace info`, `trace dump`, `trace convert`.

mod census;
mod convert;
mod dump;
mod info;

use super::record;
use crate::error::{Error, Result};
use crate::trace::open::open;
use crate::trace::{Command, Kernel, Workload};
use crate::workload::synthetic;
use std::io::{BufWriter, ErrorKind, Write};
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
        Action::Info(args) if record::info::is_ptx(Path::new(&args.input.name)) => {
            let text = record::info::describe(Path::new(&args.input.name), args.json, args.top)?;
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
pub struct Input {
    /// Trace: a `.pgt` file, `kernelslist.g`, a `.traceg` file, or a generated workload `synth:...`.
    #[arg(id = "input", value_name = "INPUT")]
    pub name: String,
    /// GPU that a generated workload is made for.
    #[arg(long, default_value = "v100", value_name = "NAME")]
    pub gpu: String,
}

impl Input {
    /// Opens the input.
    pub fn open(&self) -> Result<Workload> {
        if self.name.starts_with(synthetic::PREFIX) {
            return synthetic::parse(&self.name, &crate::config::load(&self.gpu, &[])?.spec);
        }
        open(&self.name)
    }
}

/// The launches of a workload in order.
fn launches(workload: &Workload) -> impl Iterator<Item = &Kernel> {
    workload.commands.iter().filter_map(|c| match c {
        Command::Launch(kernel) => Some(&**kernel),
        Command::MemcpyHtoD { .. } => None,
    })
}

/// Calls `write` with a writer to `file`, complete or not at all, or to standard output.
fn output(file: Option<&PathBuf>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let Some(path) = file else {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let result = write(&mut out).and_then(|()| out.flush().map_err(print_error));
        return match result {
            // The reader of a pipe has seen enough.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
            result => result,
        };
    };
    crate::output::write(path, |out| write(out))
}

fn print_error(error: std::io::Error) -> Error {
    Error::io(Path::new("the output"), error)
}
