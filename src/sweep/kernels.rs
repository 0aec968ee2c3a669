//! Numbers of several kernels as one.
//!
//! Counters and times are added up, quotients of counters are formed again of the sums, other shares and rates are averaged
//! over time, and properties stand where all kernels have the same one. A model has each kind of kernel once in its report,
//! and counts it as often as it is launched.

use crate::expression::evaluate;
use crate::report::explain::{Entry, catalogue};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What a kernel has as a list of three numbers.
pub const LISTS: &[&str] = &["grid", "block", "cluster"];
/// Numbers of a kernel that are neither counted nor shares of what is.
const PROPERTIES: &[&str] = &[
    "index",
    "stream",
    "registers",
    "smem_bytes",
    "start_cycle",
    "occupancy.theoretical",
    "occupancy.ctas_per_sm",
    "occupancy.warps_per_cta",
    "occupancy.carveout_bytes",
    "dram.peak_gb_per_s",
    "dram.queued_writes_at_start",
    "dram.queued_writes_at_end",
];
/// Numbers of a kernel that add up, beside the counters of its sections.
const SUMS: &[&str] = &[
    "cycles",
    "time_us",
    "warp_instructions",
    "thread_instructions",
    "counted_cycles",
    "total_slots",
];
/// Averages while an SM is active, and not over all of a kernel.
const OF_ACTIVE_CYCLES: &[&str] = &[
    "occupancy.achieved",
    "metrics.sm__warps_active.avg.pct_of_peak_sustained_active",
];

/// How one number comes of those of several kernels.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Their sum.
    Sum,
    /// This of the sums of what it names; where it names something else, the mean over time.
    Quotient(String),
    /// The mean, weighted by this.
    Mean(&'static str),
    /// The value of all, or nothing where they differ.
    Same,
}

/// Every number of a kernel.
pub static OF_KERNELS: LazyLock<BTreeMap<String, Rule>> = LazyLock::new(|| {
    let all = catalogue();
    let own = all.iter().filter(|entry| !entry.unit.is_empty());
    let own = own.filter_map(|entry| Some((entry, entry.path.strip_prefix("kernels[].")?)));
    // A group of numbers is none; names of metrics begin like each other.
    let is_group = |name: &str| {
        let inner = format!("kernels[].{name}.");
        !name.starts_with("metrics.") && all.iter().any(|entry| entry.path.starts_with(&inner))
    };
    own.filter(|(_, name)| !LISTS.contains(name) && !is_group(name))
        .map(|(entry, name)| {
            let name = name.replace('"', "");
            let rule = rule(&name, entry);
            (name, rule)
        })
        .collect()
});

/// How kernels have number `name`, which `entry` explains.
fn rule(name: &str, entry: &Entry) -> Rule {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let metric = name.starts_with("metrics.");
    let summed = match metric {
        true => ends(&[".sum", ".max", "cycles_active.avg"]),
        // In a section everything is counted that is no share and has no formula.
        false => {
            let counted = name.contains('.') && entry.formula.is_empty() && entry.unit != "%";
            SUMS.contains(&name) || counted && !is_uncounted(name)
        }
    };
    match name {
        _ if PROPERTIES.contains(&name) => Rule::Same,
        _ if summed => Rule::Sum,
        _ if OF_ACTIVE_CYCLES.contains(&name) => Rule::Mean("sm.active_cycles"),
        _ if entry.formula.is_empty() => Rule::Mean("counted_cycles"),
        _ => Rule::Quotient(spelt_out(&entry.formula)),
    }
}

/// Whether `name` is of a part of a kernel that has no counters.
fn is_uncounted(name: &str) -> bool {
    ["occupancy.", "provenance."]
        .iter()
        .any(|part| name.starts_with(part))
}

/// `formula` with the signs that `explain` leaves away: `100 a / b` is `100 * a / b`.
fn spelt_out(formula: &str) -> String {
    let formula = formula.replace(" x ", " * ");
    let mut out = String::new();
    for word in formula.split_inclusive(' ') {
        out.push_str(word);
        let number = word.trim_matches(['(', ' ']);
        if word.ends_with(' ') && number.parse::<f64>().is_ok() {
            out.push_str("* ");
        }
    }
    // A number before a sign was no factor.
    ["* ", "/ ", "- ", "+ "]
        .iter()
        .fold(out, |out, sign| out.replace(&format!("* {sign}"), sign))
}

/// The value at the dotted `path`; names of metrics have dots of their own.
pub fn at<'a>(value: &'a Json, path: &str) -> Option<&'a Json> {
    match path.split_once('.') {
        Some(("metrics", name)) => value.get("metrics")?.get(name),
        Some((first, rest)) => at(value.get(first)?, rest),
        None => value.get(path),
    }
}

/// A kernel with a number of it.
struct Launched<'a> {
    kernel: &'a Json,
    value: &'a Json,
    times: u64,
}

/// How often each of the kernels of `report` is launched.
fn launches(report: &Json, kernels: usize) -> Vec<u64> {
    let layers = report["layers"]
        .as_array()
        .filter(|_| report["model"].is_object());
    let Some(layers) = layers else {
        return vec![1; kernels];
    };
    let mut all = vec![0; kernels];
    for layer in layers {
        let times = layer["times"].as_u64().unwrap_or(1);
        for kernel in layer["kernels"].as_array().into_iter().flatten() {
            let launched = kernel.as_u64().and_then(|at| all.get_mut(at as usize));
            *launched.unwrap_or(&mut 0) += times;
        }
    }
    all
}

/// The number `name` of all kernels of `report`; nothing where none has it, or what all should share differs.
pub fn over_kernels(report: &Json, name: &str) -> Option<Json> {
    let kernels = report["kernels"].as_array()?;
    let launches = launches(report, kernels.len());
    let having: Vec<Launched<'_>> = kernels
        .iter()
        .zip(launches)
        .filter(|(_, times)| *times > 0)
        .filter_map(|(kernel, times)| {
            let value = at(kernel, name).filter(|value| value.is_number())?;
            Some(Launched {
                kernel,
                value,
                times,
            })
        })
        .collect();
    let first = having.first()?.value;
    if having.len() == 1 && having[0].times == 1 {
        return Some(first.clone());
    }
    Some(match OF_KERNELS.get(name)? {
        Rule::Sum => sum(having.iter().map(|own| (own.value, own.times))),
        Rule::Same => {
            let same = having.iter().all(|own| own.value == first);
            return same.then(|| first.clone());
        }
        Rule::Mean(weight) => mean(&having, weight),
        Rule::Quotient(formula) => {
            let lookup = |part: &str| {
                matches!(OF_KERNELS.get(part)?, Rule::Sum).then_some(())?;
                let parts = having
                    .iter()
                    .map(|own| Some((at(own.kernel, part)?, own.times)));
                let parts: Option<Vec<_>> = parts.collect();
                sum(parts?.into_iter()).as_f64()
            };
            match evaluate(formula, &lookup) {
                // Nothing of nothing is nothing, as in the report of a kernel.
                Ok(value) => Json::from(if value.is_finite() { value } else { 0.0 }),
                Err(_) => mean(&having, "counted_cycles"),
            }
        }
    })
}

/// The mean of what `having` have, weighted by what is called `weight`.
fn mean(having: &[Launched<'_>], weight: &str) -> Json {
    let (mut sum, mut all) = (0.0, 0.0);
    for own in having {
        let weight = at(own.kernel, weight).or(own.kernel.get("cycles"));
        let weight = weight.and_then(Json::as_f64).unwrap_or(0.0) * own.times as f64;
        sum += own.value.as_f64().unwrap_or(0.0) * weight;
        all += weight;
    }
    Json::from(if all > 0.0 { sum / all } else { 0.0 })
}

/// The sum of `values`, each so many times: whole where all of them are.
fn sum<'a>(values: impl Iterator<Item = (&'a Json, u64)> + Clone) -> Json {
    let whole = |sum: u64, (value, times): (&Json, u64)| {
        sum.checked_add(value.as_u64()?.checked_mul(times)?)
    };
    match values.clone().try_fold(0, whole) {
        Some(sum) => Json::from(sum),
        None => {
            let real = values.filter_map(|(value, times)| Some(value.as_f64()? * times as f64));
            Json::from(real.sum::<f64>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kernel_of_a_model_counts_as_often_as_it_is_launched() {
        let kernel = |cycles: u64, hits: u64| {
            json!({ "cycles": cycles, "counted_cycles": cycles, "registers": 32,
                "l1": { "sector_hits": hits, "sector_reads": 100, "hit_percent": hits } })
        };
        let mut report = json!({
            "kernels": [kernel(10, 0), kernel(30, 100)],
            "layers": [
                { "kernels": [0, 1], "times": 1 },
                { "kernels": [1], "times": 2 },
            ],
            "model": {},
        });
        let number = |report: &Json, name: &str| over_kernels(report, name).unwrap();
        assert_eq!(number(&report, "cycles"), json!(100));
        assert_eq!(number(&report, "l1.sector_reads"), json!(400));
        assert_eq!(number(&report, "l1.hit_percent"), json!(75.0));
        assert_eq!(number(&report, "registers"), json!(32));
        report["model"] = Json::Null;
        assert_eq!(number(&report, "cycles"), json!(40));
        assert_eq!(number(&report, "l1.hit_percent"), json!(50.0));
    }

    #[test]
    fn formulas_are_spelt_out() {
        for (formula, text) in [
            ("100 l1.a / l1.b", "100 * l1.a / l1.b"),
            ("100 (1 - a / (b + c))", "100 * (1 - a / (b + c))"),
            ("100 x 32 (a + b) / time", "100 * 32 * (a + b) / time"),
        ] {
            assert_eq!(spelt_out(formula), text);
        }
    }
}
