//! Studies are not compiled in.

use super::{MISSING, Request};
use crate::error::{Error, Result};
use serde::Serialize;
use std::sync::atomic::AtomicU64;

/// Whether studies are compiled in.
pub const ENABLED: bool = false;

/// There is no report without a study.
#[derive(Clone, Debug, Serialize)]
pub enum Report {}

impl Report {
    /// Never called: there is no report.
    pub fn text(&self) -> String {
        match *self {}
    }
}

/// Says which feature is missing.
///
/// # Errors
/// Always.
pub fn run(_request: &Request, _rows: &AtomicU64) -> Result<Report> {
    Err(Error::Usage(format!("cache {MISSING}")))
}
