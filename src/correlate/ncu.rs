//! Nsight Compute: `ncu --csv`, pages raw (a column for each metric) and details (a row for each metric).

use super::Launch;
use super::profile::{Numbered, Profile};
use super::sheet::{LeftOut, Sheet, dimensions};
use crate::error::Result;

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
    let capability = sheet.column(&["CC"]);
    let start = |row: &[String]| Launch {
        name: row[name].clone(),
        grid: shapes.0.and_then(|at| dimensions(&row[at])),
        block: shapes.1.and_then(|at| dimensions(&row[at])),
        capability: capability
            .map(|at| row[at].clone())
            .filter(|cc| !cc.is_empty()),
        ..Launch::default()
    };
    let mut left_out = LeftOut::default();
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
                &mut left_out,
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
                if !OF_LAUNCH.contains(&metric.as_str()) {
                    sheet.add(
                        launch,
                        &mut left_out,
                        *line,
                        (metric, &units[column], &row[column]),
                    )?;
                }
            }
        }
    }
    let launches = launches.into_values().collect();
    Ok(Some(sheet.profile("Nsight Compute", launches, left_out)))
}
