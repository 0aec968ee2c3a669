//! Files of launches: what wrote them is told by their header.

use super::map::Map;
use super::sheet::{LeftOut, Sheet};
use super::unread::REPORT;
use super::{Launch, ncu, nvidia};
use crate::error::{Result, input};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A profile of a real GPU, or a report in its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The file, for messages.
    pub file: String,
    /// What wrote it.
    pub kind: &'static str,
    /// Launches in their order.
    pub launches: Vec<Launch>,
    /// Names of all of its metrics.
    pub metrics: BTreeSet<String>,
    /// Metrics that no report has.
    pub unknown_metrics: BTreeSet<String>,
    /// What of the file was left out, and why.
    pub notes: Vec<String>,
}

/// Reads `file` when a profiler of NVIDIA's or Accel-Sim's correlation has written it, or when it is a report; nothing for
/// other results.
///
/// # Errors
/// A file that cannot be read, or a table that is damaged.
pub fn profile(path: &Path, map: &Map) -> Result<Option<Profile>> {
    let text = input::text(path, input::MADE_MAX, "a profile (CSV or JSON)")?;
    let file = path.display().to_string();
    if text.trim_start().starts_with('{') {
        let json = serde_json::from_str(&text).ok();
        let launches = json.and_then(|json| launches(&json));
        return Ok(launches.map(|launches| as_profile(file, launches, map)));
    }
    type Read = fn(&Sheet<'_>) -> Result<Option<Profile>>;
    let kinds: &[(&[&str], Read)] = &[
        (&["ID"], ncu::read),
        (&["Start (", "Start(", "Time (%)", "Time(%)"], nvidia::nsys),
        (&["Start", "Device", "Type"], nvidia::nvprof),
        (&["Name"], accel_sim),
    ];
    for (starts, read) in kinds {
        if let Some(sheet) = Sheet::read(&file, &text, starts, map)?
            && let Some(profile) = read(&sheet)?
        {
            return Ok(Some(profile));
        }
    }
    Ok(None)
}

/// A report in place of a profile, with the names that `map` gives to its metrics.
fn as_profile(file: String, mut launches: Vec<Launch>, map: &Map) -> Profile {
    let metrics = launches
        .iter()
        .flat_map(|l| l.numbers.keys().cloned())
        .collect();
    for launch in &mut launches {
        let renamed = map.metrics.iter();
        let renamed: Vec<(&String, f64)> = renamed
            .filter_map(|(from, to)| Some((to, launch.numbers.remove(from)?)))
            .collect();
        for (to, number) in renamed {
            launch.numbers.insert(to.clone(), number);
        }
    }
    Profile {
        file,
        kind: REPORT,
        launches,
        metrics,
        ..Profile::default()
    }
}

/// The launches of the report of `simulate` at `path`; nothing for other results.
///
/// # Errors
/// A file that cannot be read.
pub fn report(path: &Path) -> Result<Option<Vec<Launch>>> {
    let text = input::text(path, input::MADE_MAX, "a report (JSON)")?;
    Ok(serde_json::from_str(&text)
        .ok()
        .and_then(|json| launches(&json)))
}

/// Kernels of a report, as JSON, with their metrics; nothing when it is not one.
pub fn launches(json: &Json) -> Option<Vec<Launch>> {
    let kernels = json.get("kernels")?.as_array()?;
    let dimensions = |value: &Json| serde_json::from_value(value.clone()).ok();
    let capability = json["config"]["gpu"]["compute_capability"].as_u64();
    let capability = capability.map(|n| format!("{}.{}", n / 10, n % 10));
    let launch = |kernel: &Json| {
        let metrics = kernel.get("metrics")?.as_object()?;
        let numbers = metrics
            .iter()
            .filter_map(|(name, n)| Some((name.clone(), n.as_f64()?)));
        Some(Launch {
            name: kernel["name"].as_str()?.to_owned(),
            grid: dimensions(&kernel["grid"]),
            block: dimensions(&kernel["block"]),
            is_mean: false,
            partial: kernel["partial"] == true,
            capability: capability.clone(),
            numbers: numbers.collect(),
        })
    };
    let launches: Option<Vec<Launch>> = kernels.iter().map(launch).collect();
    launches.filter(|launches| !launches.is_empty())
}

/// The raw table that Accel-Sim's correlation writes: application, kernel and launch in the name, hardware's cycles.
fn accel_sim(sheet: &Sheet<'_>) -> Result<Option<Profile>> {
    let (Some(name), Some(hardware)) = (sheet.column(&["Name"]), sheet.column(&["Hardware"]))
    else {
        return Ok(None);
    };
    let mut launches = Vec::new();
    let mut left_out = LeftOut::default();
    for (line, row) in &sheet.rows {
        let mut parts: Vec<&str> = row[name].split("--").collect();
        if parts.len() > 2
            && parts
                .last()
                .is_some_and(|id| id.bytes().all(|b| b.is_ascii_digit()))
        {
            parts.pop();
        }
        let mut launch = Launch {
            name: parts.pop().unwrap_or_default().to_owned(),
            ..Launch::default()
        };
        let number = ("gpc__cycles_elapsed.max", "cycles", row[hardware].as_str());
        sheet.add(&mut launch, &mut left_out, *line, number)?;
        launches.push(launch);
    }
    Ok(Some(sheet.profile("Accel-Sim", launches, left_out)))
}

/// Launches by their number in the file, in which each may have several rows.
pub type Numbered = BTreeMap<usize, Launch>;

#[cfg(test)]
mod tests {
    use super::*;

    /// The profile that `text` is.
    pub fn of(text: &str) -> Profile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        profile(file.path(), &Map::default()).unwrap().unwrap()
    }

    fn numbers(launch: &Launch) -> Vec<(&str, f64)> {
        launch
            .numbers
            .iter()
            .map(|(name, n)| (name.as_str(), *n))
            .collect()
    }

    #[test]
    fn the_raw_page_has_a_row_of_units() {
        let text = "==PROF== Connected to process 1\n\
            \"ID\",\"Process ID\",\"Kernel Name\",\"Block Size\",\"Grid Size\",\"gpu__time_duration.sum\",\"dram__bytes_read.sum\",\"sm__maximum\"\n\
            \"\",\"\",\"\",\"\",\"\",\"usecond\",\"Kbyte\",\"inst\"\n\
            \"0\",\"1\",\"void k<float>(float *, int)\",\"(256, 1, 1)\",\"(80, 2, 1)\",\"3.5\",\"1,024\",\"4\"\n";
        let profile = of(text);
        assert_eq!(profile.kind, "Nsight Compute");
        let launch = &profile.launches[0];
        assert_eq!(
            (launch.grid, launch.block),
            (Some([80, 2, 1]), Some([256, 1, 1]))
        );
        assert_eq!(
            numbers(launch),
            [
                ("dram__bytes_read.sum", 1_024_000.0),
                ("gpu__time_duration.sum", 3500.0)
            ]
        );
        assert!(profile.unknown_metrics.contains("sm__maximum"));
    }

    #[test]
    fn the_details_page_has_a_row_for_each_metric() {
        let text = "\"ID\",\"Kernel Name\",\"Block Size\",\"Grid Size\",\"Section Name\",\"Metric Name\",\"Metric Unit\",\"Metric Value\"\n\
            \"0\",\"k(int)\",\"(64, 1, 1)\",\"(8, 1, 1)\",\"GPU Speed Of Light Throughput\",\"Elapsed Cycles\",\"cycle\",\"4,812\"\n\
            \"0\",\"k(int)\",\"(64, 1, 1)\",\"(8, 1, 1)\",\"Occupancy\",\"Achieved Occupancy\",\"%\",\"12.50\"\n\
            \"1\",\"k(int)\",\"(64, 1, 1)\",\"(8, 1, 1)\",\"GPU Speed Of Light Throughput\",\"Elapsed Cycles\",\"cycle\",\"4,700\"\n";
        let profile = of(text);
        assert_eq!(profile.launches.len(), 2);
        assert_eq!(
            numbers(&profile.launches[0]),
            [
                ("gpc__cycles_elapsed.max", 4812.0),
                ("sm__warps_active.avg.pct_of_peak_sustained_active", 12.5),
            ]
        );
    }

    #[test]
    fn systems_and_nvprof_have_times() {
        let nsys = "Start (ns),Duration (ns),CorrId,GrdX,GrdY,GrdZ,BlkX,BlkY,BlkZ,Bytes (MB),Name\n\
            10,900,1,,,,,,,1.0,[CUDA memcpy HtoD]\n20,3500,2,8,1,1,64,1,1,,\"k(float*, int)\"\n";
        let profile = of(nsys);
        assert_eq!(profile.launches.len(), 1, "copies are no kernels");
        assert_eq!(
            numbers(&profile.launches[0]),
            [("gpu__time_duration.sum", 3500.0)]
        );
        assert_eq!(profile.launches[0].grid, Some([8, 1, 1]));

        let sum = "Time (%),Total Time (ns),Instances,Avg (ns),Med (ns),Name\n90.0,7000,2,3500.0,3500.0,k(int)\n";
        assert!(of(sum).launches[0].is_mean);
        // Another unit that was asked for, and an older version.
        for sum in [
            "Time (%),Total Time (us),Instances,Avg (us),Name\n90.0,7,2,3.5,k(int)\n",
            "Time(%),Total Time (ns),Instances,Average,Minimum,Maximum,Name\n90.0,7000,2,3500.0,1,2,k(int)\n",
            "Start(nsec),Duration(nsec),CorrId,GrdX,GrdY,GrdZ,BlkX,BlkY,BlkZ,Name\n1,3500,2,8,1,1,64,1,1,k(int)\n",
        ] {
            let profile = of(sum);
            assert_eq!(profile.kind, "Nsight Systems");
            assert_eq!(
                numbers(&profile.launches[0]),
                [("gpu__time_duration.sum", 3500.0)]
            );
        }

        let nvprof = "==12== Profiling result:\n\
            \"Start\",\"Duration\",\"Grid Size\",\"Block Size\",\"Device\",\"Name\"\n\
            ms,us,,,,\n1.0,3.5,\"(8 1 1)\",\"(64 1 1)\",\"V100\",\"k(float*) [12]\"\n2.0,1.0,,,\"V100\",\"[CUDA memcpy DtoH]\"\n";
        let profile = of(nvprof);
        assert_eq!(profile.launches.len(), 1);
        assert_eq!(
            numbers(&profile.launches[0]),
            [("gpu__time_duration.sum", 3500.0)]
        );

        let summary = "\"Type\",\"Time(%)\",\"Time\",\"Calls\",\"Avg\",\"Min\",\"Max\",\"Name\"\n\
            ,%,ms,,us,us,us,\n\"GPU activities\",90.0,0.007,2,3.5,3.0,4.0,\"k(int)\"\n\
            \"API calls\",9.0,1.0,2,3.5,3.0,4.0,\"cudaLaunchKernel\"\n";
        let profile = of(summary);
        assert_eq!(
            (profile.launches.len(), profile.launches[0].is_mean),
            (1, true)
        );
        assert_eq!(
            numbers(&profile.launches[0]),
            [("gpu__time_duration.sum", 3500.0)]
        );

        let metrics = "\"Device\",\"Kernel\",\"Invocations\",\"Metric Name\",\"Metric Description\",\"Min\",\"Max\",\"Avg\"\n\
            \"V100\",\"k(int)\",\"2\",\"inst_executed\",\"Instructions\",\"10\",\"20\",\"15\"\n\
            \"V100\",\"k(int)\",\"2\",\"dram_read_throughput\",\"x\",\"1.0GB/s\",\"3.0GB/s\",\"2.0GB/s\"\n";
        let profile = of(metrics);
        assert_eq!(
            numbers(&profile.launches[0]),
            [
                ("dram__bytes_read.sum.per_second", 2e9),
                ("smsp__inst_executed.sum", 15.0)
            ]
        );
    }

    #[test]
    fn the_correlation_of_accel_sim_has_cycles_of_hardware() {
        let text =
            "Name,Hardware,Simulator,Sim/HW\nrodinia/bfs--_Z6KernelPi--3,4812.00,5000.00,1.04\n";
        let profile = of(text);
        assert_eq!(profile.launches[0].name, "_Z6KernelPi");
        assert_eq!(
            numbers(&profile.launches[0]),
            [("gpc__cycles_elapsed.max", 4812.0)]
        );
    }

    #[test]
    fn wrong_units_are_noted_and_cut_tables_refused_with_their_line() {
        let refused = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            profile(file.path(), &Map::default())
                .unwrap_err()
                .to_string()
        };
        let head = "ID,Kernel Name,Metric Name,Metric Unit,Metric Value\n";
        let profile = of(&format!("{head}0,k,Elapsed Cycles,byte,5\n"));
        let note = &profile.notes[0];
        assert!(profile.launches[0].numbers.is_empty());
        assert!(
            note.contains("line 2") && note.contains("no unit"),
            "{note}"
        );
        let error = refused(&format!("{head}0,k,Elapsed\n"));
        assert!(
            error.contains("line 2") && error.contains("3 cells"),
            "{error}"
        );
    }
}
