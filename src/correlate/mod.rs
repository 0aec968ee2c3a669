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
mod unread;

pub use map::Map;
pub use page::page;
#[cfg(feature = "gpu-profiling-research")]
pub use profile::launches;
pub use profile::{Profile, profile, report};
pub use stats::Stats;
pub use unread::check;

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
    /// It was cut off before its end, so that its numbers are those of a part.
    pub partial: bool,
    /// Compute capability of its GPU, e.g. 7.0, where the file says it.
    pub capability: Option<String>,
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
/// Nothing in common, and names of `map` that neither side has.
pub fn correlate(simulated: &[Launch], profile: &Profile, map: &Map) -> Result<Correlation> {
    map.check(simulated, profile)?;
    let found = matching::find(simulated, &profile.launches, map);
    let mut notes = profile.notes.clone();
    notes.extend(other_gpu(simulated, &profile.launches));
    let (whole, cut) = without_cut(simulated, &profile.launches, &found.matches);
    if !cut.is_empty() {
        notes.push(format!(
            "kernels that were cut off before their end are not compared: {}",
            listed(cut.into_iter())
        ));
    }
    notes.extend(unpaired(simulated, &profile.launches, &found));
    let metrics = pairs(simulated, profile, &whole);
    if metrics.is_empty() {
        return Err(nothing(
            simulated,
            profile,
            [&found.matches, &whole],
            &notes,
        ));
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
        kernels: whole.len(),
        only_simulated: names(simulated, &found.only_simulated),
        only_measured: names(&profile.launches, &found.only_measured),
        unknown_metrics: unknown.into_iter().collect(),
        notes,
        metrics: metrics
            .into_iter()
            .map(|(name, pairs)| of_metric(name, pairs))
            .collect(),
    })
}

/// `matches` without launches that were cut off, and the names of these.
fn without_cut<'a>(
    simulated: &'a [Launch],
    measured: &'a [Launch],
    matches: &[Match],
) -> (Vec<Match>, Vec<&'a str>) {
    let mut cut = Vec::new();
    let mut whole = Vec::new();
    for of in matches {
        let (parts, own): (Vec<usize>, Vec<usize>) =
            of.simulated.iter().partition(|at| simulated[**at].partial);
        cut.extend(parts.iter().map(|at| simulated[*at].name.as_str()));
        let theirs = &measured[of.measured];
        match theirs.partial {
            true => cut.push(&theirs.name),
            false if own.is_empty() => {}
            false => whole.push(Match {
                simulated: own,
                measured: of.measured,
            }),
        }
    }
    (whole, cut)
}

/// A note on launches without a partner whose kernel has others with one: which of them they are.
fn unpaired(simulated: &[Launch], measured: &[Launch], found: &matching::Matches) -> Vec<String> {
    let paired: BTreeSet<String> = found
        .matches
        .iter()
        .flat_map(|of| {
            [
                &measured[of.measured].name,
                &simulated[of.simulated[0]].name,
            ]
        })
        .map(|name| kernel_name::bare(name))
        .collect();
    let of_side = |side: &str, launches: &[Launch], left: &[usize]| {
        let again = left.iter().map(|at| (at, &launches[*at].name));
        let again: Vec<String> = again
            .filter(|(_, name)| paired.contains(&kernel_name::bare(name)))
            .map(|(at, name)| format!("{at} ({name})"))
            .collect();
        (!again.is_empty()).then(|| {
            format!(
                "kernels stand on one side more often than on the other; {side} launches without a partner, from 0: {}",
                listed(again.iter().map(String::as_str))
            )
        })
    };
    let own = of_side("simulated", simulated, &found.only_simulated);
    let theirs = of_side("measured", measured, &found.only_measured);
    own.into_iter().chain(theirs).collect()
}

/// Pairs of numbers of `matches`, by metric.
fn pairs<'a>(
    simulated: &[Launch],
    profile: &'a Profile,
    matches: &[Match],
) -> BTreeMap<&'a str, Vec<Pair>> {
    let mut metrics: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
    for of in matches {
        for (name, measured) in &profile.launches[of.measured].numbers {
            let own = of.simulated.iter();
            let values: Vec<f64> = own
                .filter_map(|at| simulated[*at].numbers.get(name).copied())
                .collect();
            if values.is_empty() {
                continue;
            }
            let value = values.iter().sum::<f64>() / values.len() as f64;
            metrics.entry(name).or_default().push(Pair {
                kernel: simulated[of.simulated[0]].name.clone(),
                index: of.simulated[0],
                simulated: value,
                measured: *measured,
                error: (*measured != 0.0).then(|| (value - measured) / measured.abs()),
                outlier: false,
            });
        }
    }
    metrics
}

/// A note where the two sides are of GPUs of other compute capabilities.
fn other_gpu(simulated: &[Launch], measured: &[Launch]) -> Option<String> {
    let of = |launches: &[Launch]| -> BTreeSet<String> {
        launches
            .iter()
            .filter_map(|l| l.capability.clone())
            .collect()
    };
    let (own, theirs) = (of(simulated), of(measured));
    let is_other = !own.is_empty() && theirs.iter().any(|one| !own.contains(one));
    let shown = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(", ");
    is_other.then(|| {
        format!(
            "the profile is of compute capability {} and the report of {}: these are two GPUs",
            shown(&theirs),
            shown(&own)
        )
    })
}

/// Why nothing can be compared, with what both sides have.
fn nothing(
    simulated: &[Launch],
    profile: &Profile,
    [matches, whole]: [&[Match]; 2],
    notes: &[String],
) -> Error {
    let kernels = |launches: &[Launch]| listed(launches.iter().map(|l| l.name.as_str()));
    if profile.launches.is_empty() {
        let remedy = "export the profile of a run that launches kernels";
        return Error::input(&profile.file, "kernels", "there is none in it", remedy);
    }
    let (mut what, remedy) = match (matches.is_empty(), whole.is_empty()) {
        (true, _) => (
            format!(
                "none of its kernels was simulated: it has {}, and the report {}",
                kernels(&profile.launches),
                kernels(simulated)
            ),
            "profile the same launches, or name the pairs with --map FILE",
        ),
        (false, true) => (
            "none of its kernels was simulated to the end".to_owned(),
            "simulate them without a bound of cycles, or with a higher one",
        ),
        (false, false) => (
            format!(
                "none of its metrics is in the report: it has {}",
                listed(profile.unknown_metrics.iter().map(String::as_str))
            ),
            "profile with metrics that the report has: `phantom-gpu explain` lists Nsight's names",
        ),
    };
    for note in notes {
        what.push_str(&format!("; {note}"));
    }
    Error::input(&profile.file, "kernels", what, remedy)
}

/// Names, each once and shortened, as far as a message has room for them.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
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
        let profile = Profile::default();
        let error = correlate(&[launch("own", 5.0)], &profile, &Map::default()).unwrap_err();
        assert!(error.to_string().contains("there is none in it"), "{error}");
    }

    #[test]
    fn kernels_that_were_cut_off_are_not_compared_and_another_gpu_is_noted() {
        let on = |name: &str, capability: &str| Launch {
            capability: Some(capability.into()),
            ..launch(name, 100.0)
        };
        let cut = Launch {
            partial: true,
            ..on("k", "7.0")
        };
        let mut profile = Profile {
            file: "p".into(),
            launches: vec![on("k", "8.0"), on("j", "8.0")],
            ..Profile::default()
        };
        let found = correlate(&[cut.clone(), on("j", "7.0")], &profile, &Map::default()).unwrap();
        assert_eq!((found.kernels, found.metrics[0].pairs.len()), (1, 1));
        let notes = found.notes.join("\n");
        assert!(
            notes.contains("cut off before their end are not compared: k"),
            "{notes}"
        );
        assert!(
            notes.contains("capability 8.0 and the report of 7.0"),
            "{notes}"
        );
        profile.launches = vec![on("k", "7.0")];
        let error = correlate(&[cut], &profile, &Map::default()).unwrap_err();
        assert!(error.to_string().contains("cut off"), "{error}");
    }

    #[test]
    fn repeated_kernels_without_a_partner_are_named_by_place() {
        let simulated = ["a", "b", "a"].map(|name| launch(name, 1.0));
        let profile = Profile {
            launches: ["b", "a"].map(|name| launch(name, 1.0)).into(),
            ..Profile::default()
        };
        let found = correlate(&simulated, &profile, &Map::default()).unwrap();
        assert!(found.notes[0].contains("simulated launches without a partner, from 0: 0 (a)"));
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
