//! This build keeps no log.

use super::Args;
use crate::error::Result;
use crate::session::Session;
use crate::simulation::Options;
use crate::trace::Workload;

/// Writes nothing: `profile` has refused to run before.
///
/// # Errors
/// None.
pub fn run(_: &Args, _: &Session, _: &Workload, _: Options) -> Result<()> {
    Ok(())
}
