//! This build has no variants.

use super::{FEATURE, Listed};
use crate::error::{Error, Result};

/// What a user wants to know: nothing that this build could tell.
#[derive(Clone, Debug, Default)]
pub struct Wanted {}

impl Wanted {
    /// Refuses whatever is asked for.
    ///
    /// # Errors
    /// When anything is.
    pub fn read(variants: &[String], slopes: Option<&[String]>, _gpu: &str) -> Result<Self> {
        match variants.is_empty() && slopes.is_none() {
            true => Ok(Wanted {}),
            false => Err(missing("--variants and --slopes need it")),
        }
    }
}

/// The built-in variants.
///
/// # Errors
/// Always.
pub fn listed(_gpu: Option<(&str, &[String])>) -> Result<Vec<Listed>> {
    Err(missing("list-variants needs it"))
}

fn missing(what: &str) -> Error {
    Error::Usage(format!(
        "not in this build: {FEATURE}, and {what}; build with `cargo build --release --features {FEATURE}`"
    ))
}
