//! Nsight Compute: `ncu --csv`, pages raw (a column for each metric) and details (a row for each metric).

use super::Launch;
use super::profile::{Numbered, Profile, Sheet, dimensions};
use crate::error::Result;
use std::collections::BTreeSet;

/// Columns that say which launch it is.
const OF_LAUNCH: &[&str] = &[
    "ID",
    "Process ID",
    "Process Name",
    "Host Name",
    "Kernel Name",
    "Kernel Time",
    "Context",
    "Stream",
    "Block Size",
    "Grid Size",
    "Device",
    "CC",
];

/// Reads either page; nothing for other tables.
///
/// # Errors
/// Units that are none of their metrics.
pub fn read(sheet: &Sheet<'_>) -> Result<Option<Profile>> {
    let (Some(id), Some(name)) = (sheet.column(&["ID"]), sheet.column(&["Kernel Name"])) else {
        return Ok(None);
    };
    let shapes = (sheet.column(&["Grid Size"]), sheet.column(&["Block Size"]));
    let start = |row: &[String]| Launch {
        name: row[name].clone(),
        grid: shapes.0.and_then(|at| dimensions(&row[at])),
        block: shapes.1.and_then(|at| dimensions(&row[at])),
        ..Launch::default()
    };
    let mut unknown = BTreeSet::new();
    let mut launches = Numbered::new();
    let number = |row: &[String]| row[id].parse::<usize>().ok();
    let by_row = (
        sheet.column(&["Metric Name"]),
        sheet.column(&["Metric Unit"]),
        sheet.column(&["Metric Value"]),
    );
    if let (Some(metric), Some(unit), Some(value)) = by_row {
        for (line, row) in &sheet.rows {
            // Rows of rules have no metric.
            let Some(at) = number(row).filter(|_| !row[metric].is_empty()) else {
                continue;
            };
            let launch = launches.entry(at).or_insert_with(|| start(row));
            sheet.add(
                launch,
                &mut unknown,
                *line,
                (&row[metric], &row[unit], &row[value]),
            )?;
        }
    } else {
        let mut units: Vec<String> = vec![String::new(); sheet.header.len()];
        for (line, row) in &sheet.rows {
            let Some(at) = number(row) else {
                units.clone_from(row);
                continue;
            };
            let launch = launches.entry(at).or_insert_with(|| start(row));
            for (column, metric) in sheet.header.iter().enumerate() {
                if !OF_LAUNCH.contains(&metric.as_str()) && !row[column].is_empty() {
                    sheet.add(
                        launch,
                        &mut unknown,
                        *line,
                        (metric, &units[column], &row[column]),
                    )?;
                }
            }
        }
    }
    Ok(Some(Profile {
        file: sheet.file.to_owned(),
        kind: "Nsight Compute",
        launches: launches.into_values().collect(),
        unknown_metrics: unknown,
    }))
}
