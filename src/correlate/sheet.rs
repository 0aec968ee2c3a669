//! Tables that tools print: a header, rows, and talk around them.

use super::map::Map;
use super::number::{Cell, number};
use super::{Launch, Profile, units};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers of one metric that are this near each other, as a share, are one number that was rounded twice.
const SAME: f64 = 0.01;

/// A table with a header, without what a tool prints around it.
pub struct Sheet<'a> {
    /// The file.
    pub file: &'a str,
    /// Names of its columns.
    pub header: Vec<String>,
    /// Rows, with the number of their line.
    pub rows: Vec<(usize, Vec<String>)>,
    /// What a user says about names.
    pub map: &'a Map,
}

impl<'a> Sheet<'a> {
    /// The first table of `text`: from the line that begins with one of the columns of `starts`, to the next that is no row.
    /// A start with an open bracket at its end is a column with whatever unit behind it.
    pub fn read(file: &'a str, text: &str, starts: &[&str], map: &'a Map) -> Result<Option<Self>> {
        let begins = |line: &str| {
            let cells = cells(line);
            let Some(cell) = cells.first() else {
                return false;
            };
            let is =
                |start: &&str| cell == start || (start.ends_with('(') && cell.starts_with(start));
            starts.iter().any(is)
        };
        let mut lines = text
            .lines()
            .enumerate()
            .skip_while(|(_, line)| !begins(line));
        let Some((_, header)) = lines.next() else {
            return Ok(None);
        };
        let header = cells(header);
        let mut rows = Vec::new();
        for (at, line) in lines {
            // Tools talk in lines of their own, and end a table with an empty one.
            if line.starts_with("==") {
                continue;
            }
            if line.trim().is_empty() {
                break;
            }
            let row = cells(line);
            if row.len() != header.len() {
                let what = format!("{} cells in a table of {} columns", row.len(), header.len());
                let remedy = "export the whole table again";
                return Err(Error::input(file, format!("line {}", at + 1), what, remedy));
            }
            rows.push((at + 1, row));
        }
        Ok(Some(Sheet {
            file,
            header,
            rows,
            map,
        }))
    }

    /// The column with one of `names`.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        self.header
            .iter()
            .position(|column| names.contains(&column.as_str()))
    }

    /// The column called `name` with a unit in brackets behind it, and that unit.
    pub fn with_unit(&self, name: &str) -> Option<(usize, &str)> {
        self.header.iter().enumerate().find_map(|(at, column)| {
            let unit = column.strip_prefix(name)?.trim_start();
            Some((at, unit.strip_prefix('(')?.strip_suffix(')')?))
        })
    }

    /// The profile of `launches` that `kind` has written.
    pub fn profile(&self, kind: &'static str, launches: Vec<Launch>, left_out: LeftOut) -> Profile {
        Profile {
            file: self.file.to_owned(),
            kind,
            launches,
            notes: left_out.notes(),
            metrics: left_out.metrics,
            unknown_metrics: left_out.unknown,
        }
    }

    fn foreign(&self, line: usize, name: &str, text: &str, why: &str) -> Error {
        Error::input(
            self.file,
            format!("line {line}, column {name}"),
            format!("{text:?}: {why}"),
            "export it once more in the C locale (LC_ALL=C), with a point before decimals",
        )
    }

    /// Adds what `name` in `unit` is to `launch`; what cannot be compared goes to `left_out`.
    ///
    /// # Errors
    /// A number with the separators of another language.
    pub fn add(
        &self,
        launch: &mut Launch,
        left_out: &mut LeftOut,
        line: usize,
        (name, unit, text): (&str, &str, &str),
    ) -> Result<()> {
        if !left_out.metrics.contains(name) {
            left_out.metrics.insert(name.to_owned());
        }
        let meant = self.map.metrics.get(name).map_or(name, String::as_str);
        let Some(metric) = units::named(meant) else {
            if !text.is_empty() {
                left_out.unknown.insert(name.to_owned());
            }
            // One comma for decimals says how to read all others, such as 3,670.
            return match number(text) {
                Cell::Foreign(why) if text.matches(',').count() == 1 && !text.contains('.') => {
                    Err(self.foreign(line, name, text, why))
                }
                _ => Ok(()),
            };
        };
        if name == meant && units::is_elsewhere(name, unit) {
            left_out.unknown.insert(format!("{name} in {unit}"));
            return Ok(());
        }
        let Some(factor) = units::factor(unit, metric.unit) else {
            let why = format!("{unit:?} is no unit of {} ({})", metric.name, metric.unit);
            left_out.cell(name, why, line);
            return Ok(());
        };
        let value = match number(text) {
            Cell::Number(value) if value >= 0.0 => value * factor,
            Cell::Number(_) => {
                let why = format!("{text:?} is below zero, which no metric is");
                left_out.cell(name, why, line);
                return Ok(());
            }
            Cell::Other(why) => {
                left_out.cell(name, why, line);
                return Ok(());
            }
            Cell::Foreign(why) => return Err(self.foreign(line, name, text, why)),
        };
        let first = launch.numbers.entry(metric.name.to_owned());
        let first = *first.or_insert(value);
        if (first - value).abs() > SAME * first.abs() {
            let why = format!(
                "{} of this kernel stood there before, and was {first}",
                metric.name
            );
            left_out.cell(name, why, line);
        }
        Ok(())
    }
}

/// The metrics of a file, and what of them a comparison does not have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeftOut {
    /// Names of all metrics.
    metrics: BTreeSet<String>,
    /// Metrics that no report has.
    pub unknown: BTreeSet<String>,
    /// Cells by metric and reason: the first line, and how many there are.
    cells: BTreeMap<(String, String), (usize, usize)>,
}

impl LeftOut {
    /// Leaves a cell of the metric `name` out.
    fn cell(&mut self, name: &str, why: impl Into<String>, line: usize) {
        let key = (name.to_owned(), why.into());
        self.cells.entry(key).or_insert((line, 0)).1 += 1;
    }

    /// A line for each metric and reason.
    fn notes(&self) -> Vec<String> {
        let note = |((name, why), (line, times)): (&(String, String), &(usize, usize))| {
            let more = match times {
                1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            format!("{name} is left out at line {line}{more}: {why}")
        };
        self.cells.iter().map(note).collect()
    }
}

/// The cells of a line; quoted ones may have commas.
pub fn cells(line: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(line.as_bytes());
    let mut records = reader.records();
    match records.next() {
        Some(Ok(record)) => record.iter().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// `(64, 1, 1)`, `64 1 1` and `(64 1 1)` as three numbers.
pub fn dimensions(text: &str) -> Option<[u32; 3]> {
    let numbers: Vec<u32> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The profile of one launch with a time of `cell` microseconds.
    fn with(cell: &str) -> Result<Profile> {
        let text = format!(
            "\"ID\",\"Kernel Name\",\"gpu__time_duration.sum\",\"sm__unknown\"\n\"\",\"\",\"usecond\",\"\"\n\
             \"0\",\"k\",\"{cell}\",\"3,670\"\n"
        );
        let map = Map::default();
        let sheet = Sheet::read("p.csv", &text, &["ID"], &map)?.unwrap();
        Ok(super::super::ncu::read(&sheet)?.unwrap())
    }

    #[test]
    fn the_separators_of_other_languages_are_refused_with_line_and_column() {
        for cell in [
            "3,67",
            "1.234,56",
            "1,2345",
            "50,59",
            ",5",
            "5 059",
            "1.234.567",
        ] {
            let error = with(cell).unwrap_err().to_string();
            for word in [
                "p.csv",
                "line 3",
                "gpu__time_duration.sum",
                cell,
                "C locale",
            ] {
                assert!(error.contains(word), "{cell}: {error}");
            }
        }
    }

    #[test]
    fn a_metric_below_zero_is_left_out_and_said() {
        let said = |cell| format!("{:?}", with(cell).unwrap());
        assert!(said("-3").contains("below zero"));
        assert!(!said("0").contains("below zero"));
    }

    #[test]
    fn one_name_in_two_sections_is_told_apart_by_its_unit() {
        let row = |id: u32, section: &str, metric: &str, unit: &str, value: &str| {
            format!("\"{id}\",\"k\",\"{section}\",\"{metric}\",\"{unit}\",\"{value}\"\n")
        };
        let text = "ID,Kernel Name,Section Name,Metric Name,Metric Unit,Metric Value\n".to_owned()
            + &row(
                0,
                "GPU Speed Of Light Throughput",
                "Memory Throughput",
                "%",
                "3.1",
            )
            + &row(
                0,
                "Memory Workload Analysis",
                "Memory Throughput",
                "Gbyte/s",
                "21",
            )
            + &row(
                0,
                "GPU Speed Of Light Throughput",
                "Elapsed Cycles",
                "byte",
                "5,059",
            )
            + &row(
                0,
                "GPU Speed Of Light Throughput",
                "Duration",
                "\u{3bc}s",
                "3.67",
            )
            + &row(0, "Other", "Duration", "us", "9");
        let map = Map::default();
        let sheet = Sheet::read("p.csv", &text, &["ID"], &map).unwrap().unwrap();
        let profile = super::super::ncu::read(&sheet).unwrap().unwrap();
        let numbers: Vec<_> = profile.launches[0].numbers.iter().collect();
        assert_eq!(
            numbers,
            [
                (&"dram__bytes.sum.per_second".to_owned(), &21e9),
                (&"gpu__time_duration.sum".to_owned(), &3670.0),
            ]
        );
        assert!(profile.unknown_metrics.contains("Memory Throughput in %"));
        let notes = profile.notes.join("\n");
        assert!(
            notes.contains("Elapsed Cycles is left out at line 4: \"byte\" is no unit"),
            "{notes}"
        );
        assert!(notes.contains("Duration is left out at line 6"), "{notes}");
    }

    #[test]
    fn one_comma_for_decimals_says_how_all_are_meant() {
        let text = "ID,Kernel Name,gpu__time_duration.sum,sm__unknown\n0,k,\"3,670\",\"0,87\"\n";
        let map = Map::default();
        let sheet = Sheet::read("p.csv", text, &["ID"], &map).unwrap().unwrap();
        let error = super::super::ncu::read(&sheet).unwrap_err().to_string();
        assert!(
            error.contains("sm__unknown") && error.contains("C locale"),
            "{error}"
        );
    }

    #[test]
    fn cells_without_a_number_are_noted_by_name() {
        for (cell, why) in [
            ("n/a", "no value"),
            ("", "no value"),
            ("nan", "no finite number"),
            ("5,059 (1; 2; 3)", "no number"),
        ] {
            let profile = with(cell).unwrap();
            assert!(profile.launches[0].numbers.is_empty(), "{cell}");
            let note = &profile.notes[0];
            assert!(
                note.starts_with("gpu__time_duration.sum is left out at line 3")
                    && note.contains(why),
                "{note}"
            );
        }
        assert_eq!(with("1,234.5").unwrap().notes, [""; 0]);
    }
}
