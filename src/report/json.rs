//! The report as JSON, written piece by piece.

use super::Report;
use crate::error::{Error, Result};
use crate::output;
use std::io::Write;
use std::path::Path;

/// Writes the report to `path`, complete or not at all; `-` is standard output.
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
