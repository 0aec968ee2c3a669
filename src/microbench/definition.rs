//! Benchmark definitions: the TOML files of `microbench/`, which are part of the program.

use crate::config::check::nearest;
use crate::error::{Error, Result};
use crate::report::features;
use serde::Deserialize;
use std::collections::BTreeSet;

/// One benchmark.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Name; unique.
    pub name: String,
    /// Class of the accuracy table.
    pub class: String,
    /// Unit of its number.
    pub unit: String,
    /// What is measured, in words.
    pub what: String,
    /// Kernels that run one after another on one machine: `name = synth:...`, or `copy = BYTES` for a
    /// host copy. `{...}` is replaced by the point or an expression.
    #[serde(default)]
    pub run: Vec<String>,
    /// The number, from `NAME.cycles`, `NAME.insts`, counters `NAME.l2.read_hits` and the GPU's facts.
    #[serde(default)]
    pub value: String,
    /// How points are chosen where no reference says; see [`super::points`].
    #[serde(default)]
    pub curve: Option<String>,
    /// The points themselves.
    #[serde(default)]
    pub points: Vec<String>,
    /// Ranges of compute capabilities it is for, each from and to; none: all.
    #[serde(default)]
    pub cc: Vec<[u16; 2]>,
    /// Largest relative error that is all right.
    #[serde(default = "five_percent")]
    pub tolerance: f64,
    /// Belongs to `--cache-analysis`.
    #[serde(default)]
    pub cache: bool,
    /// Why this machine cannot run the benchmark, if it cannot.
    #[serde(default)]
    pub not_modelled: Option<String>,
    /// PTX kernel of the hardware kit that measures the same.
    #[serde(default)]
    pub ptx: Option<String>,
}

fn five_percent() -> f64 {
    0.05
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    benchmark: Vec<Definition>,
}

const FILES: &[(&str, &str)] = &[
    ("alu.toml", include_str!("../../microbench/alu.toml")),
    ("rates.toml", include_str!("../../microbench/rates.toml")),
    ("tensor.toml", include_str!("../../microbench/tensor.toml")),
    ("shared.toml", include_str!("../../microbench/shared.toml")),
    ("cache.toml", include_str!("../../microbench/cache.toml")),
    ("curves.toml", include_str!("../../microbench/curves.toml")),
    ("launch.toml", include_str!("../../microbench/launch.toml")),
    ("front.toml", include_str!("../../microbench/front.toml")),
];

/// Files of builds with a feature.
const OF_FEATURES: &[(&str, (&str, &str))] = &[(
    "memory-research",
    ("tlb.toml", include_str!("../../microbench/tlb.toml")),
)];

/// All benchmarks, in the order of the files.
///
/// # Errors
/// A definition that cannot be read.
pub fn all() -> Result<Vec<Definition>> {
    let mut all: Vec<Definition> = Vec::new();
    let here = features();
    let more = OF_FEATURES
        .iter()
        .filter(|(feature, _)| here.contains(feature));
    for (name, text) in FILES.iter().chain(more.map(|(_, file)| file)) {
        let file: File = toml::from_str(text).map_err(|e| {
            Error::input(
                format!("microbench/{name}"),
                "definition",
                e.to_string(),
                "correct it and build again",
            )
        })?;
        // What a feature models stands in place of what says that it is missing.
        let now = |d: &Definition| file.benchmark.iter().any(|new| new.name == d.name);
        all.retain(|d| d.not_modelled.is_none() || !now(d));
        all.extend(file.benchmark);
    }
    Ok(all)
}

impl Definition {
    /// Whether it is for this compute capability.
    pub fn is_for(&self, compute_capability: u16) -> bool {
        let within = |[from, to]: &[u16; 2]| (*from..=*to).contains(&compute_capability);
        self.cc.is_empty() || self.cc.iter().any(within)
    }
}

/// Those of `all` that are wanted: by name, by a name that ends in `*`, or all.
///
/// # Errors
/// A name that nothing has.
pub fn select(all: Vec<Definition>, only: &[String]) -> Result<Vec<Definition>> {
    let matches = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    for pattern in only {
        if !all.iter().any(|d| matches(pattern, &d.name)) {
            let names = all.iter().map(|d| d.name.as_str());
            let hint = match nearest(pattern, names.clone()) {
                Some(near) => format!("did you mean {near}?"),
                None => "`micro-benchmark --list` lists them".to_owned(),
            };
            return Err(Error::Usage(format!("no benchmark {pattern}; {hint}")));
        }
    }
    let wanted = |d: &Definition| only.is_empty() || only.iter().any(|o| matches(o, &d.name));
    Ok(all.into_iter().filter(wanted).collect())
}

/// Names of which no definition is for this compute capability.
pub fn not_for(definitions: &[Definition], compute_capability: u16) -> BTreeSet<&str> {
    let names = |here: bool| -> BTreeSet<&str> {
        let of = definitions.iter();
        let of = of.filter(|d| d.is_for(compute_capability) == here);
        of.map(|d| d.name.as_str()).collect()
    };
    &names(false) - &names(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_whole() {
        let all = all().unwrap();
        assert!(all.len() >= 60, "{}", all.len());
        for (at, one) in all.iter().enumerate() {
            let both = all[..at]
                .iter()
                .find(|d| d.name == one.name && (0..200).any(|cc| d.is_for(cc) && one.is_for(cc)));
            assert!(both.is_none(), "{} twice", one.name);
            assert!(
                one.not_modelled.is_some() || !one.run.is_empty() && !one.value.is_empty(),
                "{}",
                one.name
            );
        }
    }

    #[test]
    fn benchmarks_of_other_chips_are_named() {
        let only = ["rate_hfma2_chain", "latency_hfma2"].map(str::to_owned);
        let chosen = select(all().unwrap(), &only).unwrap();
        assert_eq!(not_for(&chosen, 70), BTreeSet::from(["rate_hfma2_chain"]));
        assert_eq!(not_for(&chosen, 90), BTreeSet::new());
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_hint() {
        let error = select(all().unwrap(), &["latency_ffna".into()]).unwrap_err();
        assert!(error.to_string().contains("latency_ffma"), "{error}");
    }
}
