//! `--checkpoint`: a simulation that another process can go on with.

use super::common::Fidelity;
use crate::error::{Error, Result};
use crate::output;
use crate::session::{Checkpoint, Session};
use crate::simulation::Stopped;
use crate::trace::Workload;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Whether and when the state of a run is kept.
#[derive(clap::Args, Clone, Debug)]
pub struct CheckpointArgs {
    /// Keep the state of the run in this file between kernels, and go on from it when it is there: after a kill, repeat
    /// the same command. The file is removed when the run is over and its report is written.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Least time between two checkpoints, seconds; 0 for one between any two kernels [default: 1, or more, so that at
    /// most a twentieth of the run goes into them].
    #[arg(long, value_name = "SECONDS", requires = "checkpoint", value_parser = seconds)]
    pub checkpoint_every: Option<Duration>,
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|e| e.to_string())
}

impl CheckpointArgs {
    /// Refuses a checkpoint of what has none: an estimate, or a run `traced` into a file that only grows.
    ///
    /// # Errors
    /// A checkpoint that could not be kept.
    pub fn check(&self, fidelity: Fidelity, traced: bool) -> Result<()> {
        let Some(file) = &self.checkpoint else {
            return Ok(());
        };
        if fidelity != Fidelity::Full {
            return Err(Error::Usage(
                "--checkpoint needs --fidelity full; a sampled run goes on from the estimates in --cache DIR"
                    .into(),
            ));
        }
        if traced {
            return Err(Error::Usage(
                "--checkpoint cannot be used with --address-trace: its rows are written as the run goes".into(),
            ));
        }
        if output::is_standard(file) {
            return Err(Error::Usage(
                "--checkpoint needs the name of a file: the run is to go on from it".into(),
            ));
        }
        Ok(())
    }

    /// The checkpoint of a run of `workload`, if one was asked for; what there is to say about it is said.
    pub fn of(&self, session: &Session, workload: &Workload) -> Option<Checkpoint> {
        let file = self.checkpoint.as_ref()?;
        let streams: BTreeSet<u64> = workload.launches().map(|k| k.header.stream).collect();
        if streams.len() > 1 {
            output::note(format_args!(
                "warning: the kernels of {} streams may overlap; {} is written only while none is on the chip",
                streams.len(),
                file.display()
            ));
        }
        if file.exists() {
            output::note(format_args!("the run goes on from {}", file.display()));
        }
        Some(Checkpoint {
            every: self.checkpoint_every,
            ..session.checkpoint(file)
        })
    }

    /// The report is written: removes what is not needed any more, or says what it is good for.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn settle(&self, stopped: Option<Stopped>) -> Result<()> {
        let Some(file) = self.checkpoint.as_ref().filter(|file| file.exists()) else {
            return Ok(());
        };
        if stopped.is_none() {
            return std::fs::remove_file(file).map_err(|e| Error::io(file, e));
        }
        output::note(format_args!(
            "the same command goes on from {}",
            file.display()
        ));
        Ok(())
    }
}
