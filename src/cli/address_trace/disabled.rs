//! Address traces are not compiled in.

use crate::error::{Error, Result};
use crate::mem::cache::study;
use crate::probe::NoProbe;
use crate::session::{Outcome, Session};
use crate::simulation::Options;
use crate::trace::Workload;
use std::path::Path;

/// Whether address traces are compiled in.
pub const ENABLED: bool = false;

/// Says which feature is missing.
///
/// # Errors
/// Always.
pub fn run(
    _session: &Session,
    _workload: &Workload,
    _options: &Options,
    _file: &Path,
) -> Result<Outcome<NoProbe>> {
    Err(Error::Usage(format!("--address-trace {}", study::MISSING)))
}
