//! What commands share: groups of arguments, and how signals end them.

use crate::config::{self, registry};
use crate::error::{Error, Result};
use crate::output;
use crate::sampling::{Memo, Settings};
use crate::session::Session;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// The machine: a GPU and what is different about it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct MachineArgs {
    /// Built-in GPU (see list-gpus) or a TOML file.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub gpu: Option<String>,
    /// Override a configuration key, e.g. l1.ways=64 (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl MachineArgs {
    /// The checked machine. A name that means several GPUs is taken as one of them, with a note.
    ///
    /// # Errors
    /// A missing or unknown name, and everything that is wrong with the configuration.
    pub fn load(&self) -> Result<Session> {
        let gpu = self.gpu.as_deref().ok_or_else(|| {
            Error::Usage("--gpu is missing; `phantom-gpu list-gpus` lists the names".into())
        })?;
        let config = config::load(gpu, &self.set)?;
        if let Some(note) = registry::note(gpu) {
            output::note(note);
        }
        Ok(Session::of(config))
    }
}

/// `--threads` of commands whose result does not depend on it.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct ThreadArgs {
    /// Threads; the result does not depend on them.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
}

/// How much of a kernel is simulated.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fidelity {
    /// Every cycle.
    Full,
    /// A part of long kernels; the rest is extrapolated, with a confidence interval.
    Sampled,
    /// Nothing: the bound of peak rates.
    Roofline,
}

/// How much is simulated, and what is remembered.
#[derive(clap::Args, Clone, Debug)]
pub struct FidelityArgs {
    /// Widest confidence interval (half width, relative, 95 %) that a sampled kernel is extrapolated with; beyond it a
    /// larger part is simulated [default: 0.02; 0.05 for the kernels of a model].
    #[arg(long, value_name = "SHARE")]
    pub ci: Option<f64>,
    /// Keep estimates in this folder, and take those that are there.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

impl FidelityArgs {
    /// How kernels are sampled.
    ///
    /// # Errors
    /// An interval that is none, or where nothing is sampled.
    pub fn settings(&self, fidelity: Fidelity) -> Result<Settings> {
        let usual = Settings::default();
        let Some(ci) = self.ci else {
            return Ok(usual);
        };
        if fidelity != Fidelity::Sampled {
            return Err(Error::Usage(
                "--ci needs --fidelity sampled: nothing else has an interval".into(),
            ));
        }
        if !(0.0001..=1.0).contains(&ci) {
            return Err(Error::Usage(format!(
                "--ci {ci}: expected a share from 0.0001 to 1"
            )));
        }
        Ok(Settings { ci, ..usual })
    }

    /// Refuses a folder for estimates where none are made.
    ///
    /// # Errors
    /// A folder without estimates.
    pub fn cache_is_used(&self, fidelity: Fidelity) -> Result<()> {
        match &self.cache {
            Some(_) if fidelity != Fidelity::Sampled => Err(Error::Usage(
                "--cache needs --fidelity sampled: only estimates are kept".into(),
            )),
            _ => Ok(()),
        }
    }

    /// Estimates that were made before.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn memo(&self) -> Result<Memo> {
        Memo::new(self.cache.as_deref())
    }
}

/// `--json` of commands that print tables and can write their numbers besides.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct JsonFile {
    /// Write the results as JSON to a file, or to standard output with - (tables then go to standard error).
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<PathBuf>,
}

/// `--json` of commands that print one thing.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct JsonFlag {
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// Refuses `-` for an output that no terminal and no text tool can take.
///
/// # Errors
/// When `path` is standard output.
pub fn refuse_standard(option: &str, path: &std::path::Path, what: &str) -> Result<()> {
    match output::is_standard(path) {
        true => Err(Error::Usage(format!(
            "{option} -: {what} and cannot go to standard output; name a file"
        ))),
        false => Ok(()),
    }
}

/// Set by the first signal of a command that [`winds_up`].
static STOP: AtomicBool = AtomicBool::new(false);
/// The command looks at [`STOP`].
static WINDS_UP: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and SIGTERM set the flag that is returned, and the command ends with what is done. A
/// second signal ends the process at once.
pub fn winds_up() -> &'static AtomicBool {
    WINDS_UP.store(true, Ordering::SeqCst);
    &STOP
}

/// Asks all commands that run to end with what is done, as the first Ctrl-C does: for a program that has called them.
pub fn stop() {
    STOP.store(true, Ordering::SeqCst);
}

/// Nothing has been asked to end yet.
pub(super) fn begin() {
    STOP.store(false, Ordering::SeqCst);
}

/// Handles Ctrl-C and SIGTERM: a command that does not wind up ends at once, and leaves no unfinished file.
///
/// # Errors
/// When the system does not let signals be handled.
pub fn handle_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|e| Error::Run(format!("cannot handle Ctrl-C: {e}")))?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if !WINDS_UP.load(Ordering::SeqCst) || STOP.swap(true, Ordering::SeqCst) {
                // What a shell says of a process that a signal has ended.
                output::abandon(128 + signal);
            }
            output::note("stopping; what is done will be reported");
        }
    });
    Ok(())
}
