//! Datasets of measured kernels: CSV with `id,gpu,op,dtype,shape,latency_us,extra,source`, shape and extra as JSON. A
//! column `measured_ms` in place of `latency_us` makes it a dataset of whole models (`models.rs`).

use super::models;
use crate::error::{Error, Result, input};
use serde_json::{Map, Value};
use std::path::Path;

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Line of the file, from 1.
    pub line: u64,
    /// Name of the row.
    pub id: String,
    /// GPU, as the dataset calls it.
    pub gpu: String,
    /// Operator.
    pub op: String,
    /// Type of the numbers.
    pub dtype: String,
    /// Sizes.
    pub shape: Map<String, Value>,
    /// Measured time, microseconds.
    pub latency_us: f64,
    /// What else is known.
    pub extra: Map<String, Value>,
    /// Where it is from.
    pub source: String,
}

/// Columns that a dataset must have; `extra` and `source` may be missing.
const REQUIRED: [&str; 6] = ["id", "gpu", "op", "dtype", "shape", "latency_us"];

/// The rows of `file`.
///
/// # Errors
/// A file that cannot be read, a column that is missing, a cell that is not what its column says; with the line.
pub fn read(file: &Path) -> Result<Vec<Row>> {
    let text = input::text(file, input::MADE_MAX, "a dataset (CSV)")?;
    parse(&text, &file.display().to_string())
}

/// The rows of `text`, which stands in `file`.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, file: &str) -> Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(false)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|e| unreadable(file, &e))?.clone();
    let column = |name: &str| headers.iter().position(|header| header.trim() == name);
    let columns = Columns::of(column).map_err(|(missing, all)| {
        Error::input(
            file,
            "line 1",
            format!("no column {}", missing.join(", ")),
            format!("a dataset has the columns {}", all.join(",")),
        )
    })?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| unreadable(file, &e))?;
        let line = record.position().map_or(0, |at| line_of(text, at));
        rows.push(
            columns.row(&record, line).map_err(|(what, remedy)| {
                Error::input(file, format!("line {line}"), what, remedy)
            })?,
        );
    }
    if rows.is_empty() {
        return Err(Error::input(
            file,
            "line 2",
            "the dataset has no row",
            "add one measurement a line",
        ));
    }
    if let Columns::Models(_) = columns {
        models::mark_host_bound(&mut rows);
    }
    Ok(rows)
}

/// The line of the record at `at`, which begins behind any empty lines.
fn line_of(text: &str, at: &csv::Position) -> u64 {
    let from = (at.byte() as usize).min(text.len());
    let rest = &text.as_bytes()[from..];
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
    at.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

fn unreadable(file: &str, error: &csv::Error) -> Error {
    let line = error.position().map_or(1, csv::Position::line);
    Error::input(
        file,
        format!("line {line}"),
        error.to_string(),
        "write one record a line, with as many fields as the first line has, quoting JSON",
    )
}

/// Where the columns of either kind of dataset are.
enum Columns {
    Kernels(KernelColumns),
    Models(models::Columns),
}

/// Columns that are missing, and all that are required.
type Missing = (Vec<&'static str>, &'static [&'static str]);

impl Columns {
    fn of(column: impl Fn(&str) -> Option<usize>) -> std::result::Result<Self, Missing> {
        if column("measured_ms").is_some() && column("latency_us").is_none() {
            let columns = models::Columns::of(column);
            let columns = columns.map_err(|missing| (missing, models::REQUIRED.as_slice()))?;
            return Ok(Columns::Models(columns));
        }
        let missing = REQUIRED.into_iter().filter(|name| column(name).is_none());
        let missing: Vec<&str> = missing.collect();
        if !missing.is_empty() {
            return Err((missing, REQUIRED.as_slice()));
        }
        Ok(Columns::Kernels(KernelColumns {
            required: REQUIRED.map(|name| column(name).expect("checked above")),
            extra: column("extra"),
            source: column("source"),
        }))
    }

    fn row(
        &self,
        record: &csv::StringRecord,
        line: u64,
    ) -> std::result::Result<Row, (String, String)> {
        match self {
            Columns::Kernels(columns) => columns.row(record, line),
            Columns::Models(columns) => columns.row(record, line),
        }
    }
}

struct KernelColumns {
    required: [usize; 6],
    extra: Option<usize>,
    source: Option<usize>,
}

impl KernelColumns {
    fn row(
        &self,
        record: &csv::StringRecord,
        line: u64,
    ) -> std::result::Result<Row, (String, String)> {
        let cell = |at: usize| record.get(at).unwrap_or("").trim();
        let text = |at: usize| cell(self.required[at]).to_owned();
        for (at, name) in REQUIRED.iter().enumerate() {
            if cell(self.required[at]).is_empty() {
                return Err((format!("{name} is empty"), "fill it in".into()));
            }
        }
        let latency = cell(self.required[5]);
        let latency_us: f64 = latency
            .parse()
            .ok()
            .filter(|us: &f64| (1e-6..1e12).contains(us))
            .ok_or_else(|| {
                let what = format!("latency_us = {latency:?} is no time");
                (what, "give microseconds, from 1e-6 to 1e12".to_owned())
            })?;
        let optional = |at: Option<usize>| at.map_or("", cell);
        Ok(Row {
            line,
            id: text(0),
            gpu: text(1),
            op: text(2),
            dtype: text(3),
            shape: object("shape", cell(self.required[4]))?,
            latency_us,
            extra: match optional(self.extra) {
                "" => Map::new(),
                json => object("extra", json)?,
            },
            source: optional(self.source).to_owned(),
        })
    }
}

/// The JSON object in the cell `name`.
pub(super) fn object(
    name: &str,
    json: &str,
) -> std::result::Result<Map<String, Value>, (String, String)> {
    match serde_json::from_str(json) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err((
            format!("{name} is JSON, but no object"),
            "write {\"M\": 1024, ...}".into(),
        )),
        Err(e) => Err((
            format!("{name} is no JSON: {e}"),
            "write {\"M\": 1024, ...}, with quotes doubled inside the CSV field".into(),
        )),
    }
}

impl Row {
    /// How much the time can be trusted: `low`, `mid`, `high`; empty when nothing is said.
    pub fn trust(&self) -> &str {
        self.extra
            .get("trust")
            .and_then(Value::as_str)
            .unwrap_or("")
    }

    /// Whether the measured time is that of a host which the device waited for.
    pub fn is_host_bound(&self) -> bool {
        self.extra.get("host_bound") == Some(&Value::Bool(true))
    }

    /// The measured time of the device alone where it is known, else what was measured.
    pub fn device_us(&self) -> f64 {
        let estimate = self.extra.get("kernel_est_us").and_then(Value::as_f64);
        estimate
            .filter(|us| us.is_finite() && *us > 0.0)
            .unwrap_or(self.latency_us)
    }
}
