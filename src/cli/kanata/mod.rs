//! `profile --kanata`: the instructions of an SM, cycle by cycle, for the viewer Konata (feature
//! `gpu-profiling-research`).
//!
//! `enabled.rs` and `disabled.rs` have the same interface; only this file knows the feature.

#[cfg(feature = "gpu-profiling-research")]
mod enabled;
#[cfg(feature = "gpu-profiling-research")]
pub use enabled::run;

#[cfg(not(feature = "gpu-profiling-research"))]
mod disabled;
#[cfg(not(feature = "gpu-profiling-research"))]
pub use disabled::run;

use crate::engine::Cycle;
use crate::error::{Error, Result};
use std::path::PathBuf;

/// Most cycles of a window.
const CYCLES_MAX: Cycle = 1_000_000;

/// Cycles of the run, the last not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First.
    pub from: Cycle,
    /// First behind the window.
    pub to: Cycle,
}

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |part: &str| part.trim().parse::<Cycle>().ok();
        let ends = text
            .split_once(':')
            .map(|(from, to)| (number(from), number(to)));
        match ends {
            Some((Some(from), Some(to))) if from < to && to - from <= CYCLES_MAX => {
                Ok(Window { from, to })
            }
            _ => Err(format!(
                "FROM:TO in core cycles of the run, at most {CYCLES_MAX} apart, such as 1000:2000"
            )),
        }
    }
}

/// Options of the log.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Args {
    /// Write the instructions of an SM in a window of cycles as a log for the viewer Konata, or to standard output with -.
    #[arg(long, value_name = "FILE|-")]
    pub kanata: Option<PathBuf>,
    /// Core cycles of the run that the log covers.
    #[arg(
        long,
        value_name = "FROM:TO",
        requires = "kanata",
        default_value = "0:10000"
    )]
    pub window: Window,
    /// The SM of the log.
    #[arg(long, value_name = "N", requires = "kanata", default_value_t = 0)]
    pub sm: u16,
}

impl Args {
    /// The SM, if the machine has it.
    ///
    /// # Errors
    /// A machine of `sms` SMs that has it not.
    pub fn sm_of(&self, sms: u16) -> Result<u16> {
        match self.sm < sms {
            true => Ok(self.sm),
            false => Err(Error::Usage(format!(
                "--sm {}: this GPU has {sms} SMs, 0 to {}",
                self.sm,
                sms - 1
            ))),
        }
    }
}
