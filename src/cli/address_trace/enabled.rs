//! A run in which the accesses of L1 are logged, and the log as a trace.

use crate::error::{Error, Result};
use crate::mem::cache::study::trace::write_header;
use crate::output;
use crate::probe::address_log::{ACCESSES_MAX, AddressLog};
use crate::session::{Outcome, Session};
use crate::simulation::Options;
use crate::trace::Workload;
use std::path::Path;

/// Whether address traces are compiled in.
pub const ENABLED: bool = true;

/// Runs `workload` and writes its address trace to `file`.
///
/// # Errors
/// As [`Session::run_with`]; a run of more accesses than are kept; a file that cannot be written.
pub fn run(
    session: &Session,
    workload: &Workload,
    options: &Options,
    file: &Path,
) -> Result<Outcome<AddressLog>> {
    let outcome = session.run_with::<AddressLog>(workload, options)?;
    let log = &outcome.run.probe;
    if let Some(sm) = log.overflown() {
        return Err(Error::Run(format!(
            "--address-trace {}: SM {sm} accessed more than the {ACCESSES_MAX} lines that are kept; choose kernels with \
             --kernel, or stop with --max-cycles",
            file.display()
        )));
    }
    output::write(file, |out| {
        write_header(out)
            .and_then(|()| log.rows().try_for_each(|row| row.write(out)))
            .map_err(|e| Error::io(file, e))
    })?;
    Ok(outcome)
}
