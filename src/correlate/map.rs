//! What a user says about names: which kernel, and which metric, is which.

use crate::error::{Error, Result, input};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Names of the profile for names of the report.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Simulated kernel to measured kernel.
    #[serde(default)]
    pub kernels: BTreeMap<String, String>,
    /// Metric of the profile to metric of the report.
    #[serde(default)]
    pub metrics: BTreeMap<String, String>,
}

impl Map {
    /// Reads `file`.
    ///
    /// # Errors
    /// A file that is none, or names metrics that no report has.
    pub fn read(file: &Path) -> Result<Self> {
        let text = input::text(file, input::WRITTEN_MAX, "a map of names (TOML)")?;
        let shown = file.display().to_string();
        let remedy =
            "write [kernels] and [metrics] tables, e.g. \"simulated name\" = \"measured name\"";
        let map: Map = toml::from_str(&text)
            .map_err(|e| Error::input(&shown, "map", e.message().trim(), remedy))?;
        match map
            .metrics
            .values()
            .find(|name| super::units::metric(name).is_none())
        {
            Some(name) => Err(Error::input(
                &shown,
                format!("metrics: {name}"),
                "no report has such a metric",
                "`phantom-gpu explain` lists Nsight's names",
            )),
            None => Ok(map),
        }
    }
}
