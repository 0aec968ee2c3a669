//! Simulated against measured: joins results by benchmark and point, or kernels by name, and says how
//! near and how well ordered they are.

use super::results::{Point, Results};
use crate::error::{Error, Result};
use std::path::Path;

/// A number with its name: benchmark and point, or kernel and occurrence.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Benchmark or kernel.
    pub name: String,
    /// Point, or which launch of the kernel.
    pub parameter: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: String,
}

/// Pairs that were joined, and what was not.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// Simulated as `simulated`, measured as `reference`.
    pub pairs: Vec<Point>,
    /// Simulated numbers without a measured one.
    pub only_simulated: usize,
    /// Measured numbers without a simulated one.
    pub only_measured: usize,
}

/// Errors of all pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Mean absolute relative error.
    pub mape: f64,
    /// Median absolute relative error.
    pub median: f64,
    /// Kendall's tau-b of the two orders.
    pub tau: f64,
}

/// Reads results of the suite or the hardware kit, a report of `simulate`, or a CSV file with columns
/// `name,parameter,value[,unit]`.
///
/// # Errors
/// A file that is none of these.
pub fn read(file: &Path) -> Result<Vec<Named>> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, e))?;
    let shown = file.display().to_string();
    if file.extension().is_some_and(|e| e == "csv") {
        return csv(&text, &shown);
    }
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| {
        let remedy = "give JSON of micro-benchmark, simulate or the hardware kit, or CSV";
        Error::input(&shown, "JSON", e.to_string(), remedy)
    })?;
    if json.get("kernels").is_some() {
        return Ok(kernels(&json));
    }
    let results: Results = serde_json::from_value(json).map_err(|e| {
        let remedy = "it needs `results` with name, parameter, simulated and unit";
        Error::input(&shown, "results", e.to_string(), remedy)
    })?;
    let named = |p: Point| {
        Some(Named {
            value: p.simulated?,
            name: p.name,
            parameter: p.parameter,
            unit: p.unit,
        })
    };
    Ok(results.results.into_iter().filter_map(named).collect())
}

/// Kernels of a report, numbered when they occur again.
fn kernels(json: &serde_json::Value) -> Vec<Named> {
    let mut out: Vec<Named> = Vec::new();
    for kernel in json["kernels"].as_array().into_iter().flatten() {
        let name = kernel["name"].as_str().unwrap_or("").to_owned();
        let Some(value) = kernel["cycles"].as_f64() else {
            continue;
        };
        let before = out.iter().filter(|n| n.name == name).count();
        out.push(Named {
            name,
            parameter: (before + 1).to_string(),
            value,
            unit: "cycles".into(),
        });
    }
    out
}

fn csv(text: &str, file: &str) -> Result<Vec<Named>> {
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'));
    let fault = |line: usize, what: &str| {
        let remedy = "the header is name,parameter,value[,unit]";
        Error::input(file, format!("line {}", line + 1), what, remedy)
    };
    let (at, header) = lines.next().ok_or_else(|| fault(0, "an empty file"))?;
    let columns: Vec<&str> = header.split(',').map(str::trim).collect();
    let column = |names: &[&str]| columns.iter().position(|c| names.contains(c));
    let name = column(&["name", "kernel"]).ok_or_else(|| fault(at, "no column name"))?;
    let value = column(&["value", "simulated", "cycles"]);
    let value = value.ok_or_else(|| fault(at, "no column value"))?;
    let (parameter, unit) = (column(&["parameter", "id"]), column(&["unit"]));
    let mut out = Vec::new();
    for (at, line) in lines {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let cell = |column: Option<usize>| column.and_then(|c| cells.get(c)).copied().unwrap_or("");
        let number = cell(Some(value)).parse();
        out.push(Named {
            name: cell(Some(name)).to_owned(),
            parameter: cell(parameter).to_owned(),
            value: number.map_err(|_| fault(at, "the value is not a number"))?,
            unit: cell(unit).to_owned(),
        });
    }
    Ok(out)
}

/// Joins by name and parameter.
pub fn join(simulated: &[Named], measured: &[Named]) -> Joined {
    let mut joined = Joined::default();
    for one in simulated {
        let same = |m: &&Named| m.name == one.name && m.parameter == one.parameter;
        let Some(other) = measured.iter().find(same) else {
            joined.only_simulated += 1;
            continue;
        };
        let mut pair = Point {
            name: one.name.clone(),
            parameter: one.parameter.clone(),
            simulated: Some(one.value),
            reference: Some(other.value),
            unit: one.unit.clone(),
            source: Some("measured".into()),
            tolerance: 0.05,
            ..Point::default()
        };
        pair.judge(true);
        joined.pairs.push(pair);
    }
    joined.only_measured = measured.len() - joined.pairs.len().min(measured.len());
    joined
}

/// The summary of some pairs; nothing for none.
pub fn summary(pairs: &[Point]) -> Option<Summary> {
    let mut errors: Vec<f64> = pairs
        .iter()
        .filter_map(|p| Some(p.error_rel?.abs()))
        .collect();
    if errors.is_empty() {
        return None;
    }
    errors.sort_by(f64::total_cmp);
    let n = errors.len();
    let values = pairs
        .iter()
        .filter_map(|p| Some((p.simulated?, p.reference?)));
    Some(Summary {
        mape: errors.iter().sum::<f64>() / n as f64,
        median: (errors[(n - 1) / 2] + errors[n / 2]) / 2.0,
        tau: tau(&values.collect::<Vec<_>>()),
    })
}

/// Kendall's tau-b, with ties; 1 for fewer than two pairs.
fn tau(pairs: &[(f64, f64)]) -> f64 {
    let (mut agree, mut differ, mut tied_x, mut tied_y) = (0.0, 0.0, 0.0, 0.0);
    for (at, (x0, y0)) in pairs.iter().enumerate() {
        for (x1, y1) in &pairs[at + 1..] {
            match (x0 == x1, y0 == y1) {
                (true, true) => {}
                (true, false) => tied_x += 1.0,
                (false, true) => tied_y += 1.0,
                _ if (x0 < x1) == (y0 < y1) => agree += 1.0,
                _ => differ += 1.0,
            }
        }
    }
    let scale: f64 = f64::sqrt((agree + differ + tied_x) * (agree + differ + tied_y));
    if scale == 0.0 {
        1.0
    } else {
        (agree - differ) / scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, value: f64) -> Named {
        Named {
            name: name.into(),
            parameter: String::new(),
            value,
            unit: "cycles".into(),
        }
    }

    #[test]
    fn pairs_are_joined_by_name_and_the_rest_is_counted() {
        let simulated = [named("a", 11.0), named("b", 20.0), named("c", 1.0)];
        let measured = [named("b", 25.0), named("a", 10.0)];
        let joined = join(&simulated, &measured);
        assert_eq!(
            (
                joined.pairs.len(),
                joined.only_simulated,
                joined.only_measured
            ),
            (2, 1, 0)
        );
        let summary = summary(&joined.pairs).unwrap();
        assert!((summary.mape - 0.15).abs() < 1e-12);
        assert_eq!(summary.tau, 1.0);
    }

    #[test]
    fn tau_counts_order() {
        assert_eq!(tau(&[(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]), -1.0);
        assert!((tau(&[(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)]) - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_table_is_read_by_its_header() {
        let text = "# clocks locked\nname,parameter,value,unit\nlatency_ffma,,4.1,cycles\n";
        let read = csv(text, "hw.csv").unwrap();
        assert_eq!(
            read,
            [Named {
                value: 4.1,
                ..named("latency_ffma", 0.0)
            }]
        );
        assert!(csv("name,value\na,b\n", "x").is_err());
    }
}
