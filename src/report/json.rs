//! The report as JSON.

use super::Report;
use crate::error::{Error, Result};
use std::path::Path;

/// Prints the report to standard output, and nothing else.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(report: &Report) -> Result<()> {
    println!("{}", text(report)?);
    Ok(())
}

/// Writes the report to `file`, complete or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: &Path, report: &Report) -> Result<()> {
    let text = text(report)?;
    std::fs::write(file, text).map_err(|e| Error::io(file, e))
}

fn text(report: &Report) -> Result<String> {
    serde_json::to_string_pretty(report).map_err(|e| Error::Run(e.to_string()))
}
