//! The answer of builds without the suite.

use super::Request;
use crate::error::{Error, Result};

/// Whether the suite is compiled in.
pub const ENABLED: bool = false;

/// Says which feature is missing.
///
/// # Errors
/// Always.
pub fn run(_request: &Request) -> Result<()> {
    Err(Error::Usage(
        "micro-benchmark is not in this build; build with `--features micro-benchmarking`".into(),
    ))
}
