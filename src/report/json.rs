//! The report as JSON, written piece by piece.

use super::Report;
use crate::error::{Error, Result};
use crate::output;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

/// Prints the report to standard output, and nothing else.
///
/// # Errors
/// When standard output cannot be written. A reader that has seen enough is no error.
pub fn print(report: &Report) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match write_to(&mut out, report) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| Error::io("standard output", e)),
    }
}

/// Writes the report to `path`, complete or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, report: &Report) -> Result<()> {
    output::write(path, |out| {
        write_to(out, report).map_err(|e| Error::io(path, e))
    })
}

fn write_to(out: &mut dyn Write, report: &Report) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    out.write_all(b"\n")?;
    out.flush()
}
