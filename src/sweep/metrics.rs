//! Columns of the results: numbers of a report, of which a run of several kernels has one each.

use super::kernels::{LISTS, OF_KERNELS, at, over_kernels};
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

/// The column that `name` means: a number of a kernel, of `totals` or of `model`. A name of Nsight Compute's stands for
/// `metrics.NAME`, which may have quotes.
///
/// # Errors
/// A name that no number has, in a sentence with a near one; a number of models where `models` is false.
pub fn check(name: &str, models: bool) -> Result<String, String> {
    let plain = name.replace('"', "");
    let of_models = OF_MODELS.contains(&name) || name.starts_with("model.");
    if of_models && !models {
        return Err(format!(
            "{name}: only models have it, and no workload is one"
        ));
    }
    if is_usual(name) {
        return Ok(name.to_owned());
    }
    if LISTS.contains(&name) {
        return Err(format!(
            "{name}: it is a list, and a column is of single numbers"
        ));
    }
    let metric = format!("metrics.{plain}");
    if OF_KERNELS.contains_key(&plain) {
        return Ok(plain);
    }
    if OF_KERNELS.contains_key(&metric) {
        return Ok(metric);
    }
    let all = catalogue();
    let whole = all.iter().filter(|entry| !entry.unit.is_empty());
    let whole = whole
        .map(|entry| entry.path.as_str())
        .filter(|path| path.starts_with("totals.") || models && path.starts_with("model."));
    if whole.clone().any(|path| path == name) {
        return Ok(name.to_owned());
    }
    let names = OF_KERNELS.keys().map(String::as_str);
    let hint = nearest(&plain, names.chain(whole));
    let hint = hint.map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err(format!("{name}: no report has such a number{hint}"))
}

/// The number `name` of `report`; nothing where it has none.
pub fn number(report: &Json, name: &str) -> Option<Json> {
    let model = report.get("model");
    match (name, model) {
        ("time_us", Some(model)) => Some(Json::from(model["latency_ms"].as_f64()? * 1000.0)),
        // The totals of a model have the instructions of each kind of kernel once.
        ("warp_instructions", Some(_)) => over_kernels(report, name),
        ("cycles" | "time_us" | "warp_instructions", _) => report["totals"].get(name).cloned(),
        ("ipc", _) => {
            let cycles = report["totals"]["cycles"].as_f64();
            let cycles = cycles.filter(|cycles| *cycles > 0.0)?;
            let instructions = number(report, "warp_instructions")?.as_f64()?;
            Some(Json::from(instructions / cycles))
        }
        ("latency_ms" | "throughput", Some(model)) => found(model.get(name)?),
        ("memory_bytes", Some(model)) => found(&model["memory"]["total_bytes"]),
        ("latency_ms" | "throughput" | "memory_bytes", None) => None,
        _ if name.starts_with("totals.") || name.starts_with("model.") => found(at(report, name)?),
        _ => over_kernels(report, name),
    }
}

fn found(value: &Json) -> Option<Json> {
    value.is_number().then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::super::kernels::Rule;
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
            assert_eq!(check(name, true).unwrap(), name);
        }
        let fault = check("l1.hit_percant", true).unwrap_err();
        assert!(fault.contains("did you mean l1.hit_percent"), "{fault}");
        assert!(check("name", true).is_err(), "a word is no number");
        for name in [
            "dram__bytes_read.sum",
            "metrics.dram__bytes_read.sum",
            "metrics.\"dram__bytes_read.sum\"",
        ] {
            assert_eq!(check(name, false).unwrap(), "metrics.dram__bytes_read.sum");
        }
        let list = check("grid", false).unwrap_err();
        assert!(list.contains("a list"), "{list}");
        for name in ["latency_ms", "model.flops"] {
            let fault = check(name, false).unwrap_err();
            assert!(fault.contains("only models have it"), "{fault}");
        }
    }

    /// The report of two kernels of unlike length.
    fn two_kernels() -> Json {
        let session = crate::session::Session::new::<&str>("v100", &[]).unwrap();
        let inputs = ["synth:gather?per=8&grid=8", "synth:stream?bytes=1MiB"];
        let workload = session.open(&inputs).unwrap();
        let options = crate::session::Options::default();
        let report = session.run(&workload, &options).unwrap().report;
        serde_json::to_value(&report).unwrap()
    }

    #[test]
    fn every_column_of_kernels_has_a_number_and_whole_numbers_are_no_means() {
        let report = two_kernels();
        let kernels = report["kernels"].as_array().unwrap();
        assert_eq!(kernels.len(), 2);
        for (name, rule) in OF_KERNELS.iter() {
            let one = over_kernels(&json!({ "kernels": kernels[..1] }), name);
            let of_pipe = name.starts_with("pipes.") && name.ends_with("utilisation_percent");
            // Only kernels whose clock is held by their power have these.
            let absent = of_pipe || name.starts_with("power.");
            assert!(one.is_some() || absent, "{name} has no value");
            let both = number(&report, name);
            let time = name == "time_us" || name.starts_with("metrics.");
            let real = one.as_ref().is_some_and(Json::is_f64);
            assert!(!real || time || *rule != Rule::Sum, "{name} is no count");
            let whole = one.is_some_and(|value| value.is_u64());
            assert!(
                !whole || matches!(rule, Rule::Sum | Rule::Same),
                "{name}: {rule:?}"
            );
            assert!(both.is_some() || absent || *rule == Rule::Same, "{name}");
        }
    }

    #[test]
    fn quotients_are_those_of_the_sums() {
        let report = two_kernels();
        let number = |name: &str| number(&report, name).unwrap().as_f64().unwrap();
        let kernels = report["kernels"].as_array().unwrap();
        let sum = |path: &str| -> f64 {
            kernels
                .iter()
                .map(|k| at(k, path).unwrap().as_f64().unwrap())
                .sum()
        };
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs().max(1.0);
        assert!(near(
            number("l1.hit_percent"),
            100.0 * sum("l1.sector_hits") / sum("l1.sector_reads")
        ));
        let (misses, reads) = (sum("l2.read_misses"), sum("l2.sector_reads"));
        assert!(near(
            number("l2.read_hit_percent"),
            100.0 * (1.0 - misses / reads)
        ));
        let accesses = sum("dram.reads") + sum("dram.writes");
        assert!(near(
            number("dram.row_hit_percent"),
            100.0 * (1.0 - sum("dram.activates") / accesses)
        ));
        // Over time: bytes of both by time of both.
        assert!(near(
            number("dram.read_gb_per_s"),
            32.0 * sum("dram.reads") / sum("time_us") / 1e3
        ));
        let both = sum("l1.sector_reads");
        assert!(
            kernels
                .iter()
                .all(|k| at(k, "l1.sector_reads").unwrap().as_f64() < Some(both))
        );
        assert_eq!(super::number(&report, "start_cycle"), None, "they differ");
    }
}
