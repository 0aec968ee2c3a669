//! What a user says about names: which kernel, and which metric, is which.

use super::kernel_name::bare;
use super::{Launch, Profile, listed};
use crate::config::check::nearest;
use crate::error::{Error, Result, input};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Names of the profile for names of the report.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The file, for messages.
    #[serde(skip)]
    pub file: String,
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
        let mut map: Map = toml::from_str(&text)
            .map_err(|e| Error::input(&shown, "map", e.message().trim(), remedy))?;
        map.file.clone_from(&shown);
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

    /// Refuses names that neither side has: what they should have mapped would be left as it is, with no word.
    ///
    /// # Errors
    /// The first such name, with the nearest that there is.
    pub fn check(&self, simulated: &[Launch], profile: &Profile) -> Result<()> {
        fn names(launches: &[Launch]) -> Vec<&str> {
            launches.iter().map(|launch| launch.name.as_str()).collect()
        }
        let (own, theirs) = (names(simulated), names(&profile.launches));
        for (from, to) in &self.kernels {
            if !own.iter().any(|name| name == from || bare(name) == *from) {
                return Err(self.no_such("kernels", from, "the report has no such kernel", &own));
            }
            if !theirs.iter().any(|name| bare(name) == bare(to)) {
                return Err(self.no_such("kernels", to, "the profile has no such kernel", &theirs));
            }
        }
        let metrics: Vec<&str> = profile.metrics.iter().map(String::as_str).collect();
        match self
            .metrics
            .keys()
            .find(|name| !profile.metrics.contains(*name))
        {
            Some(name) => {
                Err(self.no_such("metrics", name, "the profile has no such metric", &metrics))
            }
            None => Ok(()),
        }
    }

    fn no_such(&self, table: &str, name: &str, what: &str, there: &[&str]) -> Error {
        let bares: Vec<String> = there.iter().map(|name| bare(name)).collect();
        let all = there
            .iter()
            .copied()
            .chain(bares.iter().map(String::as_str));
        let remedy = match nearest(name, all) {
            Some(near) => format!(
                "did you mean {near}? It has {}",
                listed(there.iter().copied())
            ),
            None => format!("it has {}", listed(there.iter().copied())),
        };
        Error::input(&self.file, format!("{table}: {name}"), what, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_neither_side_has_are_refused_with_the_nearest() {
        let launch = |name: &str| Launch {
            name: name.into(),
            ..Launch::default()
        };
        let profile = Profile {
            launches: vec![launch("void gathered<float>(int)")],
            metrics: ["my_occupancy".to_owned()].into(),
            ..Profile::default()
        };
        let check = |kernel: (&str, &str), metric: &str| {
            let map = Map {
                file: "map.toml".into(),
                kernels: [(kernel.0.to_owned(), kernel.1.to_owned())].into(),
                metrics: [(metric.to_owned(), "sm__cycles_active.avg".to_owned())].into(),
            };
            map.check(&[launch("tiny_list")], &profile)
                .map_err(|e| e.to_string())
        };
        assert_eq!(check(("tiny_list", "gathered"), "my_occupancy"), Ok(()));
        for (kernel, metric, words) in [
            (
                ("tiny_lst", "gathered"),
                "my_occupancy",
                ["kernels: tiny_lst", "tiny_list"],
            ),
            (
                ("tiny_list", "gatherd"),
                "my_occupancy",
                ["kernels: gatherd", "mean gathered?"],
            ),
            (
                ("tiny_list", "gathered"),
                "my_ocupancy",
                ["metrics: my_ocupancy", "my_occupancy"],
            ),
        ] {
            let error = check(kernel, metric).unwrap_err();
            assert!(
                error.contains("map.toml") && words.iter().all(|w| error.contains(w)),
                "{error}"
            );
        }
    }
}
