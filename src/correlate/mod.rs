//! Simulated kernels against profiles of real ones, counter by counter.
//!
//! A profile ([`profile`]) and a report both become launches: a kernel's name, its shape, and numbers by Nsight Compute's
//! names, in the units of the report. Launches are matched ([`matching`]), and each metric that both have gets statistics
//! ([`stats`]).

mod kernel_name;
mod map;
mod matching;
mod ncu;
mod number;
mod nvidia;
mod page;
mod profile;
mod sheet;
mod stats;
mod units;

pub use map::Map;
pub use page::page;
#[cfg(feature = "gpu-profiling-research")]
pub use profile::launches;
pub use profile::{Profile, profile, report};
pub use stats::Stats;

use crate::error::{Error, Result};
use matching::Match;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A launch of a kernel, or the mean of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Launch {
    /// Kernel as the file has it.
    pub name: String,
    /// CTAs in each dimension, where the file says it.
    pub grid: Option<[u32; 3]>,
    /// Threads of a CTA in each dimension.
    pub block: Option<[u32; 3]>,
    /// Numbers are means over all launches of this kernel.
    pub is_mean: bool,
    /// Numbers by Nsight Compute's names, in the units of the report.
    pub numbers: BTreeMap<String, f64>,
}

/// A simulated and a measured number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// Kernel, as it was simulated.
    pub kernel: String,
    /// Which of the simulated kernels, from 0; the first one where a mean was measured.
    pub index: usize,
    /// Simulated.
    pub simulated: f64,
    /// Measured.
    pub measured: f64,
    /// Relative error; null where 0 was measured.
    pub error: Option<f64>,
    /// It is far from what the others are.
    pub outlier: bool,
}

/// All pairs of a metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfMetric {
    /// Name.
    pub metric: String,
    /// Unit.
    pub unit: String,
    /// What to know when comparing, or nothing.
    pub note: String,
    /// Statistics.
    pub stats: Stats,
    /// Pairs, in the order of the simulated kernels.
    pub pairs: Vec<Pair>,
}

/// What the comparison has found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// Version of this JSON.
    pub schema_version: u32,
    /// What wrote the profile.
    pub profile: &'static str,
    /// How kernels were matched: `name` or `order`.
    pub matched_by: &'static str,
    /// Kernels that were matched.
    pub kernels: usize,
    /// Simulated kernels without a measured one.
    pub only_simulated: Vec<String>,
    /// Measured kernels without a simulated one.
    pub only_measured: Vec<String>,
    /// Measured metrics that the report does not have.
    pub unknown_metrics: Vec<String>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// Metrics that both have.
    pub metrics: Vec<OfMetric>,
}

/// Compares the launches of a report with those of a profile.
///
/// # Errors
/// Nothing in common.
pub fn correlate(simulated: &[Launch], profile: &Profile, map: &Map) -> Result<Correlation> {
    let found = matching::find(simulated, &profile.launches, map);
    let mut metrics: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
    for Match {
        simulated: own,
        measured,
    } in &found.matches
    {
        for (name, measured) in &profile.launches[*measured].numbers {
            let values: Vec<f64> = own
                .iter()
                .filter_map(|at| simulated[*at].numbers.get(name).copied())
                .collect();
            if values.is_empty() {
                continue;
            }
            let value = values.iter().sum::<f64>() / values.len() as f64;
            metrics.entry(name).or_default().push(Pair {
                kernel: simulated[own[0]].name.clone(),
                index: own[0],
                simulated: value,
                measured: *measured,
                error: (*measured != 0.0).then(|| (value - measured) / measured.abs()),
                outlier: false,
            });
        }
    }
    if metrics.is_empty() {
        return Err(nothing(simulated, profile, found.matches.is_empty()));
    }
    let known = |launches: &[Launch]| -> BTreeSet<String> {
        launches
            .iter()
            .flat_map(|l| l.numbers.keys().cloned())
            .collect()
    };
    let own = known(simulated);
    let mut unknown = profile.unknown_metrics.clone();
    unknown.extend(
        known(&profile.launches)
            .into_iter()
            .filter(|name| !own.contains(name)),
    );
    let names = |launches: &[Launch], at: &[usize]| {
        at.iter().map(|at| launches[*at].name.clone()).collect()
    };
    Ok(Correlation {
        schema_version: 1,
        profile: profile.kind,
        matched_by: found.by,
        kernels: found.matches.len(),
        only_simulated: names(simulated, &found.only_simulated),
        only_measured: names(&profile.launches, &found.only_measured),
        unknown_metrics: unknown.into_iter().collect(),
        notes: profile.notes.clone(),
        metrics: metrics
            .into_iter()
            .map(|(name, pairs)| of_metric(name, pairs))
            .collect(),
    })
}

/// Why nothing can be compared, with what both sides have.
fn nothing(simulated: &[Launch], profile: &Profile, other_kernels: bool) -> Error {
    let kernels = |launches: &[Launch]| listed(launches.iter().map(|l| l.name.as_str()));
    let (mut what, remedy) = match other_kernels {
        true => (
            format!(
                "none of its kernels was simulated: it has {}, and the report {}",
                kernels(&profile.launches),
                kernels(simulated)
            ),
            "profile the same launches, or name the pairs with --map FILE",
        ),
        false => (
            format!(
                "none of its metrics is in the report: it has {}",
                listed(profile.unknown_metrics.iter().map(String::as_str))
            ),
            "profile with metrics that the report has: `phantom-gpu explain` lists Nsight's names",
        ),
    };
    for note in &profile.notes {
        what.push_str(&format!("; {note}"));
    }
    Error::input(&profile.file, "kernels", what, remedy)
}

/// Names, each once and shortened, as far as a message has room for them.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const NAMES: usize = 5;
    const LETTERS: usize = 60;
    let mut all: Vec<&str> = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    let short = |name: &&str| match name.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => (*name).to_owned(),
    };
    let mut text: Vec<String> = all.iter().take(NAMES).map(short).collect();
    match all.len() {
        0 => text.push("none".into()),
        n if n > NAMES => text.push(format!("{} more", n - NAMES)),
        _ => {}
    }
    text.join("; ")
}

fn of_metric(name: &str, mut pairs: Vec<Pair>) -> OfMetric {
    pairs.sort_by_key(|pair| pair.index);
    let stats = Stats::of(&mut pairs);
    let known = units::metric(name);
    OfMetric {
        metric: name.to_owned(),
        unit: known.map_or(String::new(), |m| m.unit.to_owned()),
        note: known.map_or(String::new(), |m| m.note.to_owned()),
        stats,
        pairs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(name: &str, cycles: f64) -> Launch {
        Launch {
            name: name.into(),
            numbers: [("gpc__cycles_elapsed.max".to_owned(), cycles)].into(),
            ..Launch::default()
        }
    }

    #[test]
    fn nothing_in_common_names_both_sides() {
        let profile = Profile {
            file: "p.csv".into(),
            launches: vec![launch(&"long".repeat(50), 5.0)],
            ..Profile::default()
        };
        let error = correlate(&[launch("own", 5.0)], &profile, &Map::default());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("longlong") && error.contains("the report own"),
            "{error}"
        );
        assert!(error.len() < 400, "{error}");
    }

    #[test]
    fn a_mean_is_compared_with_the_mean_of_all_launches() {
        let simulated = [launch("k", 100.0), launch("j", 5.0), launch("k", 200.0)];
        let mean = Launch {
            is_mean: true,
            ..launch("k(float*)", 100.0)
        };
        let profile = Profile {
            file: "p".into(),
            kind: "nsys",
            launches: vec![mean],
            ..Profile::default()
        };
        let found = correlate(&simulated, &profile, &Map::default()).unwrap();
        assert_eq!(found.metrics[0].pairs[0].simulated, 150.0);
        assert_eq!(found.metrics[0].pairs[0].error, Some(0.5));
        assert_eq!(found.only_simulated, ["j"]);
    }
}
