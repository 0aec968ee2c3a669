//! Simulated against measured: joins results by benchmark and point, or kernels by name, and says how
//! near and how well ordered they are.

use super::results::{Point, Results};
use super::units::factor;
use crate::error::{Error, Result, input};
use std::collections::BTreeMap;
use std::path::Path;

/// A number with its name: benchmark and point, or kernel and occurrence.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Benchmark or kernel.
    pub name: String,
    /// Point, or which launch of the kernel.
    pub parameter: String,
    /// The number; finite.
    pub value: f64,
    /// Its unit; empty when the file does not say.
    pub unit: String,
    /// Where it is in its file.
    pub place: String,
}

impl Named {
    /// Point or launch. Who measured a kernel once gives none: the first launch is meant.
    fn point(&self) -> &str {
        match &*self.parameter {
            "" => "1",
            given => given,
        }
    }
}

/// The numbers of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// The file, for messages.
    pub file: String,
    /// In the order of the file.
    pub all: Vec<Named>,
    /// The core clock, kHz, where the file says it: with it cycles can be compared with times.
    pub clock_khz: Option<f64>,
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
pub fn read(file: &Path) -> Result<Numbers> {
    let text = input::text(file, input::MADE_MAX, "results (JSON or CSV)")?;
    let shown = file.display().to_string();
    if file.extension().is_some_and(|e| e == "csv") {
        return csv(&text, &shown);
    }
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| {
        let remedy = "give JSON of micro-benchmark, simulate or the hardware kit, or CSV";
        Error::input(&shown, format!("line {}", e.line()), e.to_string(), remedy)
    })?;
    if json.get("kernels").is_some() {
        return Ok(kernels(&json, shown));
    }
    let results: Results = serde_json::from_value(json).map_err(|e| {
        let remedy = "it needs `results` with name, parameter, simulated and unit";
        Error::input(&shown, "results", e.to_string(), remedy)
    })?;
    let named = |(at, p): (usize, Point)| {
        Some(Named {
            value: p.simulated?,
            name: p.name,
            parameter: p.parameter,
            unit: p.unit,
            place: format!("results[{at}]"),
        })
    };
    let all = results.results.into_iter().enumerate();
    Ok(Numbers {
        file: shown,
        all: all.filter_map(named).collect(),
        clock_khz: None,
    })
}

/// Kernels of a report, numbered when they occur again.
fn kernels(json: &serde_json::Value, file: String) -> Numbers {
    let mut all: Vec<Named> = Vec::new();
    for (at, kernel) in json["kernels"].as_array().into_iter().flatten().enumerate() {
        let name = kernel["name"].as_str().unwrap_or("").to_owned();
        let Some(value) = kernel["cycles"].as_f64() else {
            continue;
        };
        let before = all.iter().filter(|n| n.name == name).count();
        all.push(Named {
            name,
            parameter: (before + 1).to_string(),
            value,
            unit: "cycles".into(),
            place: format!("kernels[{at}]"),
        });
    }
    Numbers {
        file,
        all,
        clock_khz: json["config"]["gpu"]["core_clock_khz"].as_f64(),
    }
}

/// Rows of a table with a header; cells may be quoted (RFC 4180), lines that begin with `#` say something.
fn csv(text: &str, file: &str) -> Result<Numbers> {
    let fault = |place: &str, what: String| {
        let remedy =
            "the header is name,parameter,value[,unit], and every value is a finite number";
        Error::input(file, place, what, remedy)
    };
    let mut rows = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let columns = rows.headers().map_err(|e| fault("header", e.to_string()))?;
    let column = |names: &[&str]| columns.iter().position(|c| names.contains(&c));
    let missing = |name: &str| fault("header", format!("no column {name}"));
    let name = column(&["name", "kernel"]).ok_or_else(|| missing("name"))?;
    let value = column(&["value", "simulated", "cycles"]).ok_or_else(|| missing("value"))?;
    let (parameter, unit) = (column(&["parameter", "id"]), column(&["unit"]));
    // The name of the column may say the unit.
    let default_unit = match &columns[value] {
        "cycles" => "cycles",
        _ => "",
    };
    let mut all = Vec::new();
    for row in rows.into_records() {
        let row = row.map_err(|e| fault("row", e.to_string()))?;
        if row.iter().all(str::is_empty) {
            continue;
        }
        let place = format!("line {}", row.position().map_or(0, |at| line(text, at)));
        let cell = |column: Option<usize>| column.and_then(|c| row.get(c)).unwrap_or("");
        let given = cell(Some(value));
        let number = given.parse().ok().filter(|n: &f64| n.is_finite());
        let number = number.ok_or_else(|| {
            fault(
                &place,
                format!("the value {given:?} is not a finite number"),
            )
        })?;
        all.push(Named {
            name: cell(Some(name)).to_owned(),
            parameter: cell(parameter).to_owned(),
            value: number,
            unit: match cell(unit) {
                "" => default_unit.to_owned(),
                unit => unit.to_owned(),
            },
            place,
        });
    }
    if let Some((first, again)) = twice(&all) {
        let what = format!(
            "{} {} stands in {first} already",
            again.name, again.parameter
        );
        return Err(fault(&again.place, what));
    }
    Ok(Numbers {
        file: file.to_owned(),
        all,
        clock_khz: None,
    })
}

/// The line of the row that the reader found from `at` on: what it passes over before the row counts too.
fn line(text: &str, at: &csv::Position) -> u64 {
    let rest = text.get(at.byte() as usize..).unwrap_or("");
    let passed = rest
        .lines()
        .take_while(|l| l.is_empty() || l.starts_with('#'));
    at.line() + passed.count() as u64
}

/// The first number whose name and parameter an earlier one has, with the place of that.
fn twice(all: &[Named]) -> Option<(&str, &Named)> {
    let mut places: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    all.iter().find_map(|one| {
        let known = places.insert((&one.name, one.point()), &one.place);
        known.map(|first| (first, one))
    })
}

/// Joins by name and parameter; measured numbers are brought to the unit of the simulated ones.
///
/// # Errors
/// A measured number whose unit cannot be compared with that of its simulated one.
pub fn join(simulated: &Numbers, measured: &Numbers) -> Result<Joined> {
    let mut joined = Joined::default();
    let clock = simulated.clock_khz.or(measured.clock_khz);
    for one in &simulated.all {
        let same = |m: &&Named| m.name == one.name && m.point() == one.point();
        let Some(other) = measured.all.iter().find(same) else {
            joined.only_simulated += 1;
            continue;
        };
        let factor = factor(&other.unit, &one.unit, clock).ok_or_else(|| {
            let point = format!("{} {}", other.name, other.parameter);
            Error::input(
                &measured.file,
                &other.place,
                format!(
                    "{}: {:?} cannot be compared with {:?} of {}",
                    point.trim_end(),
                    other.unit,
                    one.unit,
                    simulated.file
                ),
                "give both in units of the same kind (for cycles against times, the report of `simulate` \
                 knows the clock)",
            )
        })?;
        let mut pair = Point {
            name: one.name.clone(),
            parameter: one.parameter.clone(),
            simulated: Some(one.value),
            reference: Some(other.value * factor),
            unit: match one.unit.as_str() {
                "" => other.unit.clone(),
                unit => unit.to_owned(),
            },
            source: Some("measured".into()),
            tolerance: 0.05,
            ..Point::default()
        };
        pair.judge(true);
        joined.pairs.push(pair);
    }
    joined.only_measured = measured.all.len() - joined.pairs.len().min(measured.all.len());
    Ok(joined)
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
            place: "line 2".into(),
        }
    }

    fn numbers(all: &[Named]) -> Numbers {
        Numbers {
            file: "x.csv".into(),
            all: all.to_vec(),
            clock_khz: None,
        }
    }

    #[test]
    fn pairs_are_joined_by_name_and_the_rest_is_counted() {
        let simulated = [named("a", 11.0), named("b", 20.0), named("c", 1.0)];
        let measured = [named("b", 25.0), named("a", 10.0)];
        let joined = join(&numbers(&simulated), &numbers(&measured)).unwrap();
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
            read.all,
            [Named {
                value: 4.1,
                place: "line 3".into(),
                ..named("latency_ffma", 0.0)
            }]
        );
        assert!(csv("name,value\na,b\n", "x").is_err());
    }

    #[test]
    fn quoted_names_keep_their_commas() {
        let text = "kernel,cycles\r\n\"void gemm<float, 4>(\"\"a\"\", int)\",12\r\n\r\nb,3\r\n";
        let read = csv(text, "x").unwrap();
        let names: Vec<&str> = read.all.iter().map(|n| &*n.name).collect();
        assert_eq!(names, ["void gemm<float, 4>(\"a\", int)", "b"]);
        assert_eq!((read.all[0].value, &*read.all[1].place), (12.0, "line 4"));
    }

    #[test]
    fn a_number_that_stands_twice_is_refused() {
        let refused = csv("name,parameter,value\na,,1\nb,,2\na,1,3\n", "x").unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("line 4: a 1 stands in line 2 already"),
            "{refused}"
        );
    }

    #[test]
    fn a_kernel_without_a_number_is_its_first_launch() {
        let report = serde_json::json!({ "kernels": [{ "name": "a", "cycles": 8 }] });
        let measured = csv("name,cycles\na,10\n", "x").unwrap();
        let joined = join(&kernels(&report, "r.json".into()), &measured).unwrap();
        assert_eq!((joined.pairs.len(), joined.only_measured), (1, 0));
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_line() {
        for value in ["NaN", "inf", "-inf", "1e999", ""] {
            let text = format!("name,value\ngood,1\nbad,{value}\n");
            let error = csv(&text, "hw.csv").unwrap_err().to_string();
            assert!(error.starts_with("hw.csv: line 3"), "{value}: {error}");
        }
    }

    #[test]
    fn times_are_compared_with_cycles_when_the_clock_is_known() {
        let simulated = numbers(&[named("k", 1380.0)]);
        let measured = numbers(&[Named {
            unit: "us".into(),
            ..named("k", 2.0)
        }]);
        let error = join(&simulated, &measured).unwrap_err().to_string();
        assert!(error.starts_with("x.csv: line 2: k: \"us\""), "{error}");
        let clocked = Numbers {
            clock_khz: Some(1_380_000.0),
            ..simulated
        };
        let joined = join(&clocked, &measured).unwrap();
        assert!((joined.pairs[0].error_rel.unwrap() + 0.5).abs() < 1e-12);
    }
}
