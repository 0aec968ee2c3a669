//! Columns of the results: numbers of a report, of which a run of several kernels has one each.
//!
//! Whole numbers (counts) are added up over the kernels; all others are averaged, weighted by cycles.

use crate::config::check::nearest;
use crate::report::explain::catalogue;
use serde_json::Value as Json;

/// Columns that every sweep has.
pub const USUAL: &[&str] = &[
    "cycles",
    "time_us",
    "warp_instructions",
    "ipc",
    "l1.hit_percent",
    "l2.read_hit_percent",
    "dram.reads",
    "dram.writes",
];
/// Columns of models.
pub const OF_MODELS: &[&str] = &["latency_ms", "throughput", "memory_bytes"];

/// Whether every sweep has column `name`.
pub fn is_usual(name: &str) -> bool {
    USUAL.contains(&name) || OF_MODELS.contains(&name)
}

/// Whether the report has a number `name`: of a kernel, of `totals` or of `model`.
///
/// # Errors
/// A name that no number has, in a sentence with a near one.
pub fn check(name: &str) -> Result<(), String> {
    if is_usual(name) {
        return Ok(());
    }
    let all = catalogue();
    let names: Vec<&str> = all
        .iter()
        .filter(|entry| !entry.unit.is_empty())
        .filter_map(|entry| match entry.path.strip_prefix("kernels[].") {
            Some(of_kernel) => Some(of_kernel),
            None => (entry.path.starts_with("totals.") || entry.path.starts_with("model."))
                .then_some(entry.path.as_str()),
        })
        .collect();
    if names.contains(&name) {
        return Ok(());
    }
    let hint = nearest(name, names.iter().copied());
    let hint = hint.map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err(format!("{name}: no report has such a number{hint}"))
}

/// The number `name` of `report`; nothing where it has none.
pub fn number(report: &Json, name: &str) -> Option<Json> {
    let model = report.get("model");
    match (name, model) {
        ("time_us", Some(model)) => Some(Json::from(model["latency_ms"].as_f64()? * 1000.0)),
        ("cycles" | "time_us" | "warp_instructions", _) => report["totals"].get(name).cloned(),
        ("ipc", _) => {
            let totals = &report["totals"];
            let cycles = totals["cycles"].as_f64().filter(|cycles| *cycles > 0.0)?;
            Some(Json::from(totals["warp_instructions"].as_f64()? / cycles))
        }
        ("latency_ms" | "throughput", Some(model)) => found(model.get(name)?),
        ("memory_bytes", Some(model)) => found(&model["memory"]["total_bytes"]),
        ("latency_ms" | "throughput" | "memory_bytes", None) => None,
        _ if name.starts_with("totals.") || name.starts_with("model.") => found(at(report, name)?),
        _ => over_kernels(report["kernels"].as_array()?, name),
    }
}

fn found(value: &Json) -> Option<Json> {
    value.is_number().then(|| value.clone())
}

/// The value at the dotted `path`; names of metrics have dots of their own.
fn at<'a>(value: &'a Json, path: &str) -> Option<&'a Json> {
    match path.split_once('.') {
        Some(("metrics", name)) => value.get("metrics")?.get(name),
        Some((first, rest)) => at(value.get(first)?, rest),
        None => value.get(path),
    }
}

fn over_kernels(kernels: &[Json], name: &str) -> Option<Json> {
    let mut counted: Option<u64> = Some(0);
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut any = false;
    for kernel in kernels {
        let Some(value) = at(kernel, name).filter(|value| value.is_number()) else {
            continue;
        };
        any = true;
        counted = counted
            .zip(value.as_u64())
            .and_then(|(sum, n)| sum.checked_add(n));
        let cycles = kernel["cycles"].as_f64().unwrap_or(0.0).max(1.0);
        sum += value.as_f64()? * cycles;
        weight += cycles;
    }
    match (any, counted) {
        (false, _) => None,
        (true, Some(count)) => Some(Json::from(count)),
        (true, None) => Some(Json::from(sum / weight)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_added_and_rates_are_weighted() {
        let report = json!({
            "totals": { "cycles": 400, "time_us": 2.0, "warp_instructions": 100 },
            "kernels": [
                { "cycles": 100, "dram": { "reads": 3 }, "l1": { "hit_percent": 10.0 },
                  "metrics": { "dram__bytes.sum": 5 } },
                { "cycles": 300, "dram": { "reads": 4 }, "l1": { "hit_percent": 50.0 },
                  "metrics": { "dram__bytes.sum": 6 } },
            ],
        });
        let number = |name: &str| number(&report, name);
        assert_eq!(number("dram.reads"), Some(json!(7)));
        assert_eq!(number("l1.hit_percent"), Some(json!(40.0)));
        assert_eq!(number("metrics.dram__bytes.sum"), Some(json!(11)));
        assert_eq!(number("ipc"), Some(json!(0.25)));
        assert_eq!(number("latency_ms"), None);
    }

    #[test]
    fn a_column_is_a_number_that_reports_have() {
        for name in [
            "issue.long_scoreboard",
            "occupancy.achieved",
            "totals.cycles",
            "model.flops",
        ] {
            check(name).unwrap();
        }
        let fault = check("l1.hit_percant").unwrap_err();
        assert!(fault.contains("did you mean l1.hit_percent"), "{fault}");
        assert!(check("name").is_err(), "a word is no number");
    }
}
