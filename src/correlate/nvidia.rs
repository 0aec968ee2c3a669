//! Nsight Systems (`nsys stats --format csv`: cuda_gpu_trace, cuda_gpu_kern_sum) and nvprof (`--csv`: traces of launches,
//! sums of metrics).

use super::Launch;
use super::Profile;
use super::sheet::{LeftOut, Sheet, dimensions};
use crate::error::Result;

const TIME: &str = "gpu__time_duration.sum";

/// Reads a table of Nsight Systems; nothing for other tables.
///
/// # Errors
/// As [`Sheet::add`].
pub fn nsys(sheet: &Sheet<'_>) -> Result<Option<Profile>> {
    let Some(name) = sheet.column(&["Name"]) else {
        return Ok(None);
    };
    let mut left_out = LeftOut::default();
    let mut launches = Vec::new();
    // What older versions call Average has the unit of the total.
    let average = || {
        let (_, unit) = sheet.with_unit("Total Time")?;
        Some((sheet.column(&["Average"])?, unit))
    };
    let mean = sheet.with_unit("Avg").or_else(average);
    let (time, unit, is_mean) = match (sheet.with_unit("Duration"), mean) {
        (Some((time, unit)), _) => (time, unit, false),
        (None, Some((mean, unit))) => (mean, unit, true),
        (None, None) => return Ok(None),
    };
    let three = |names: [&str; 3]| -> Option<[usize; 3]> {
        let places: Option<Vec<usize>> = names.iter().map(|name| sheet.column(&[name])).collect();
        places?.try_into().ok()
    };
    let (grid, block) = (
        three(["GrdX", "GrdY", "GrdZ"]),
        three(["BlkX", "BlkY", "BlkZ"]),
    );
    for (line, row) in &sheet.rows {
        let shape =
            |places: Option<[usize; 3]>| dimensions(&places?.map(|at| row[at].as_str()).join(" "));
        // Copies have no grid.
        if grid.is_some() && shape(grid).is_none() {
            continue;
        }
        let mut launch = Launch {
            name: row[name].clone(),
            grid: shape(grid),
            block: shape(block),
            is_mean,
            ..Launch::default()
        };
        sheet.add(&mut launch, &mut left_out, *line, (TIME, unit, &row[time]))?;
        launches.push(launch);
    }
    Ok(Some(sheet.profile("Nsight Systems", launches, left_out)))
}

/// Reads a table of nvprof; nothing for other tables.
///
/// # Errors
/// As [`Sheet::add`].
pub fn nvprof(sheet: &Sheet<'_>) -> Result<Option<Profile>> {
    if let (Some(kernel), Some(metric), Some(mean)) = (
        sheet.column(&["Kernel"]),
        sheet.column(&["Metric Name"]),
        sheet.column(&["Avg"]),
    ) {
        return metrics(sheet, [kernel, metric, mean]).map(Some);
    }
    if let (Some(kind), Some(mean), Some(name)) = (
        sheet.column(&["Type"]),
        sheet.column(&["Avg"]),
        sheet.column(&["Name"]),
    ) {
        return summary(sheet, [kind, mean, name]).map(Some);
    }
    let (Some(name), Some(grid), Some(block)) = (
        sheet.column(&["Name", "Kernel"]),
        sheet.column(&["Grid Size"]),
        sheet.column(&["Block Size"]),
    ) else {
        return Ok(None);
    };
    let time = sheet.column(&["Duration"]);
    // What is neither is a metric of nvprof's, in a trace of metrics.
    let own = [
        "Start",
        "Name",
        "Kernel",
        "Grid Size",
        "Block Size",
        "Device",
        "Context",
        "Stream",
        "Correlation_ID",
    ];
    let mut units: Vec<String> = vec![String::new(); sheet.header.len()];
    let mut left_out = LeftOut::default();
    let mut launches = Vec::new();
    for (line, row) in &sheet.rows {
        if row[name].is_empty() {
            units.clone_from(row);
            continue;
        }
        let Some(shape) = dimensions(&row[grid]) else {
            continue;
        };
        let mut launch = Launch {
            name: row[name].clone(),
            grid: Some(shape),
            block: dimensions(&row[block]),
            ..Launch::default()
        };
        for (column, metric) in sheet.header.iter().enumerate() {
            if own.contains(&metric.as_str()) {
                continue;
            }
            let metric = if Some(column) == time { TIME } else { metric };
            let (number, unit) = split(&row[column], &units[column]);
            sheet.add(&mut launch, &mut left_out, *line, (metric, unit, number))?;
        }
        launches.push(launch);
    }
    Ok(Some(sheet.profile("nvprof", launches, left_out)))
}

/// What nvprof prints where nothing else is asked for: means over the launches of each kernel.
fn summary(sheet: &Sheet<'_>, [kind, mean, name]: [usize; 3]) -> Result<Profile> {
    let mut left_out = LeftOut::default();
    let mut launches = Vec::new();
    let mut unit = String::new();
    for (line, row) in &sheet.rows {
        if row[kind].is_empty() {
            unit.clone_from(&row[mean]);
            continue;
        }
        if row[kind] != "GPU activities" || row[name].starts_with("[CUDA") {
            continue;
        }
        let mut launch = Launch {
            name: row[name].clone(),
            is_mean: true,
            ..Launch::default()
        };
        sheet.add(&mut launch, &mut left_out, *line, (TIME, &unit, &row[mean]))?;
        launches.push(launch);
    }
    Ok(sheet.profile("nvprof", launches, left_out))
}

/// A number with its unit behind it, or with that of its column.
fn split<'a>(cell: &'a str, of_column: &'a str) -> (&'a str, &'a str) {
    let end = cell.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | '-')));
    match end {
        Some(end) if end > 0 => (&cell[..end], cell[end..].trim()),
        _ => (cell, of_column),
    }
}

/// Sums of metrics: a row for each kernel and metric, means over its launches.
fn metrics(sheet: &Sheet<'_>, [kernel, metric, mean]: [usize; 3]) -> Result<Profile> {
    let mut left_out = LeftOut::default();
    let mut launches: Vec<Launch> = Vec::new();
    for (line, row) in &sheet.rows {
        let at = launches
            .iter()
            .position(|launch| launch.name == row[kernel]);
        let at = at.unwrap_or_else(|| {
            launches.push(Launch {
                name: row[kernel].clone(),
                is_mean: true,
                ..Launch::default()
            });
            launches.len() - 1
        });
        let (number, unit) = split(&row[mean], "");
        sheet.add(
            &mut launches[at],
            &mut left_out,
            *line,
            (&row[metric], unit, number),
        )?;
    }
    Ok(sheet.profile("nvprof", launches, left_out))
}
