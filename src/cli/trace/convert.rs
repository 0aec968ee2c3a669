//! `trace convert`: a trace in another form.

use super::Input;
use crate::cli::common::refuse_standard;
use crate::error::{Error, Result};
use crate::output;
use crate::trace::Workload;
use crate::trace::accelsim::export::{ExportPacking, export};
use crate::trace::pgt::write_pgt;
use std::path::PathBuf;

/// Arguments of `trace convert`.
#[derive(clap::Args, Clone, Debug)]
pub struct ConvertArgs {
    /// What to read.
    #[command(flatten)]
    pub input: Input,
    /// Output: NAME.pgt, or DIRECTORY/kernelslist.g with its kernels beside it.
    #[arg(short, long)]
    pub output: PathBuf,
    /// Pack the trace files of a kernelslist.g with xz.
    #[arg(long)]
    pub xz: bool,
}

/// The two forms that can be written.
enum Form {
    Pgt,
    AccelSim,
}

fn form(args: &ConvertArgs) -> Result<Form> {
    match args.output.extension().and_then(|e| e.to_str()) {
        Some("pgt") if args.xz => Err(Error::Usage(
            "--xz packs Accel-Sim traces; a .pgt file is packed already".into(),
        )),
        Some("pgt") => Ok(Form::Pgt),
        Some("g") => Ok(Form::AccelSim),
        _ => Err(Error::Usage(format!(
            "-o {}: the name must end in .pgt, or in .g for an Accel-Sim list",
            args.output.display()
        ))),
    }
}

/// Refuses bad arguments before the input is read.
pub fn check(args: &ConvertArgs) -> Result<()> {
    let what = "a trace is binary or several files";
    refuse_standard("-o", &args.output, what)?;
    match form(args)? {
        Form::Pgt => output::check(&args.output),
        // Its folder is made.
        Form::AccelSim => Ok(()),
    }
}

/// Writes `workload` as the arguments say; notes go to standard error.
pub fn run(args: &ConvertArgs, workload: &Workload) -> Result<()> {
    let notes = match form(args)? {
        Form::Pgt => {
            write_pgt(workload, &args.output)?;
            Vec::new()
        }
        Form::AccelSim => {
            let packing = if args.xz {
                ExportPacking::Xz
            } else {
                ExportPacking::Plain
            };
            export(workload, &args.output, packing)?
        }
    };
    for note in workload.notes.iter().chain(&notes) {
        output::note(format_args!("note: {note}"));
    }
    Ok(())
}
