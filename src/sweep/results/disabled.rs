//! A build without the feature `studies`.

use super::Question;
use crate::error::{Error, Result};
use crate::sweep::manifest::Manifest;
use crate::sweep::store::Store;
use crate::sweep::table::Table;

/// Says which feature is missing.
///
/// # Errors
/// Always.
pub fn ask(_: &Question) -> Result<()> {
    Err(Error::Usage(
        "results needs the feature `studies`: build with --features studies; results.csv has the same rows".into(),
    ))
}

/// Results are kept as CSV alone.
///
/// # Errors
/// Never.
pub fn keep(_: &Manifest, _: &Table, _: &Store) -> Result<()> {
    Ok(())
}
