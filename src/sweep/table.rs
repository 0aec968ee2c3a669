//! The results of a sweep as rows, made of the stored points.

use super::manifest::Manifest;
use super::metrics;
use super::point::{Status, Stored};
use super::store::Store;
use crate::error::{Error, Result};
use crate::output;
use rayon::prelude::*;
use serde_json::Value as Json;

/// The file of the rows.
pub const FILE: &str = "results.csv";

/// All rows.
pub struct Table {
    /// Columns that hold numbers of reports.
    pub columns: Vec<String>,
    /// Rows of the points that have a result, in the order of points.
    pub rows: Vec<Row>,
}

/// A point with its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number.
    pub point: usize,
    /// How it ended.
    pub status: Status,
    /// A number for each column; nothing where the report has none.
    pub numbers: Vec<Option<Json>>,
    /// Why it failed.
    pub error: String,
    /// The next run tries it again.
    pub again: bool,
}

impl Table {
    /// Of the points that are stored.
    pub fn of(manifest: &Manifest, store: &Store) -> Self {
        let mut columns: Vec<String> = metrics::USUAL.iter().map(|&c| c.to_owned()).collect();
        if manifest.workloads.iter().any(|workload| workload.model) {
            columns.extend(metrics::OF_MODELS.iter().map(|&c| c.to_owned()));
        }
        columns.extend(manifest.columns.iter().cloned());
        let points = manifest.points.par_iter().enumerate();
        let row = |(at, point): (usize, &super::manifest::Point)| {
            Some(Row::of(at, &columns, store.read(&point.key)?))
        };
        let rows = points.filter_map(row).collect();
        Table { columns, rows }
    }

    /// The number of `column` in `row`: a column, or a key of an axis that is a number.
    pub fn number(&self, manifest: &Manifest, row: &Row, column: &str) -> Option<f64> {
        if let Some(at) = self.columns.iter().position(|c| c == column) {
            return row.numbers[at].as_ref()?.as_f64();
        }
        let key = manifest.keys.iter().position(|key| key == column)?;
        manifest.points[row.point].values[key].parse().ok()
    }

    /// Names of all columns, in their order.
    pub fn header(&self, manifest: &Manifest) -> Vec<String> {
        let own = ["point", "workload", "gpu"].map(str::to_owned);
        let keys = manifest.keys.iter().cloned();
        let status = ["status".to_owned()];
        let columns = self.columns.iter().cloned();
        let all = own.into_iter().chain(keys).chain(status);
        all.chain(columns).chain(["error".to_owned()]).collect()
    }

    /// The cells of a row.
    pub fn cells(&self, manifest: &Manifest, row: &Row) -> Vec<String> {
        let point = &manifest.points[row.point];
        let mut cells = vec![
            row.point.to_string(),
            manifest.workloads[point.workload].name.clone(),
            manifest.gpus[point.gpu].name.clone(),
        ];
        cells.extend(point.values.iter().cloned());
        cells.push(row.status.name().to_owned());
        let show = |number: &Option<Json>| number.as_ref().map_or(String::new(), Json::to_string);
        cells.extend(row.numbers.iter().map(show));
        cells.push(row.error.clone());
        cells
    }

    /// Writes the rows as CSV to the folder of `store`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, manifest: &Manifest, store: &Store) -> Result<()> {
        let path = store.folder().join(FILE);
        output::write(&path, |out| {
            let fault = |e: csv::Error| Error::io(&path, e.into());
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(self.header(manifest)).map_err(fault)?;
            for row in &self.rows {
                writer
                    .write_record(self.cells(manifest, row))
                    .map_err(fault)?;
            }
            writer.flush().map_err(|e| Error::io(&path, e))
        })
    }
}

impl Row {
    fn of(point: usize, columns: &[String], stored: Stored<Json>) -> Self {
        // What does not fit was not run: only what is known of the model itself has a value.
        let known = |column: &str| {
            stored.status != Status::DoesNotFit
                || column == "memory_bytes"
                || column.starts_with("model.")
        };
        let number = |column: &String| {
            metrics::number(stored.report.as_ref()?, column).filter(|_| known(column))
        };
        Row {
            point,
            status: stored.status,
            numbers: columns.iter().map(number).collect(),
            again: stored.again,
            // A cell of a table is one line.
            error: stored.error.unwrap_or_default().replace('\n', " "),
        }
    }
}
