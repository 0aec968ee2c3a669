//! What a file looks like that is none of those which can be compared.

use super::profile::{profile, report};
use super::sheet::cells;
use super::{Map, Profile};
use crate::error::{Error, Result, input};
use std::path::Path;

/// What can be compared.
const KNOWN: &str = "give an export of ncu --csv (page raw or details), nsys stats --format csv, nvprof --csv, the CSV of \
                     Accel-Sim's correlation, a report of simulate --json, or a table name,parameter,value[,unit]";
/// Letters of a line that are shown.
const LETTERS: usize = 80;

/// Refuses two files of which `measured` is a profile when `simulated` is no report, and files that are nothing that is
/// known, with what they look like.
///
/// # Errors
/// As said; files that cannot be read.
pub fn check(simulated: &Path, measured: &Path, measured_is: Option<&Profile>) -> Result<()> {
    let is_table = |profile: &Profile| profile.kind != REPORT;
    if let Ok(Some(own)) = profile(simulated, &Map::default())
        && is_table(&own)
    {
        return Err(Error::input(
            simulated.display().to_string(),
            "format",
            format!(
                "this is a profile of {}, in the place of the simulated kernels",
                own.kind
            ),
            "name the report of simulate first and the profile behind it",
        ));
    }
    if let Some(theirs) = measured_is.filter(|profile| is_table(profile))
        && report(simulated)?.is_none()
    {
        recognised(simulated)?;
        return Err(Error::input(
            simulated.display().to_string(),
            "format",
            format!(
                "no report of simulate, which a profile of {} is compared with",
                theirs.kind
            ),
            "write one with simulate --json FILE",
        ));
    }
    recognised(simulated)?;
    match measured_is {
        Some(_) => Ok(()),
        None => recognised(measured),
    }
}

/// The kind of a profile that is a report.
pub const REPORT: &str = "report";

/// Refuses a file that is neither JSON nor a table with names.
fn recognised(path: &Path) -> Result<()> {
    let text = input::text(path, input::MADE_MAX, "results (JSON or CSV)")?;
    match fault(&text) {
        Some((what, remedy)) => Err(Error::input(
            path.display().to_string(),
            "format",
            what,
            remedy,
        )),
        None => Ok(()),
    }
}

/// What `text` looks like where it is nothing that is known, and what to do.
fn fault(text: &str) -> Option<(String, String)> {
    let known = |what: &str| Some((what.to_owned(), KNOWN.to_owned()));
    if text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    if text.trim().is_empty() {
        return known("the file is empty");
    }
    if text.contains("ERR_NVGPUCTRPERM") {
        return Some((
            "the profiler had no permission to read the GPU's counters (ERR_NVGPUCTRPERM), so that there is no table".into(),
            "let ncu run as root, or let the driver's administrator open the counters to all users, and export again".into(),
        ));
    }
    if let Some(line) = text.lines().find(|line| line.starts_with("==ERROR==")) {
        return Some((
            format!("the profiler failed: {}", short(line)),
            "profile and export again".into(),
        ));
    }
    if text.contains('\r') && !text.contains('\n') {
        return known("its lines end with carriage returns alone");
    }
    let talk =
        |line: &&str| line.trim().is_empty() || line.starts_with("==") || line.starts_with('#');
    let Some(header) = text.lines().find(|line| !talk(line)) else {
        return known("it has only what the profiler says of itself, and no table");
    };
    let columns = cells(header);
    let has = |names: &[&str]| {
        columns
            .iter()
            .any(|column| names.contains(&column.as_str()))
    };
    if has(&["name", "kernel"]) {
        return None;
    }
    for (separator, name) in [(';', "semicolons"), ('\t', "tabs")] {
        if columns.len() < 3 && header.matches(separator).count() > 1 {
            return Some((
                format!("its columns are set apart by {name}"),
                "export with commas between columns and a point before decimals (LC_ALL=C)".into(),
            ));
        }
    }
    if has(&["ID", "Metric Name", "Section Name"]) && !has(&["Kernel Name"]) {
        return known("it looks like a table of Nsight Compute, without the column Kernel Name");
    }
    let what = match columns.len() {
        0 | 1 => format!("no table: it begins with {:?}", short(header)),
        _ => format!(
            "a table of no known kind: its columns are {}",
            short(&columns.join(", "))
        ),
    };
    Some((what, KNOWN.to_owned()))
}

fn short(line: &str) -> String {
    match line.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const NCU: &str = "ID,Kernel Name,Metric Name,Metric Unit,Metric Value\n0,k,Duration,us,1\n";
    const REPORT: &str =
        r#"{"kernels":[{"name":"k","grid":[1,1,1],"block":[32,1,1],"metrics":{}}]}"#;

    #[test]
    fn what_a_file_looks_like_is_said_with_what_is_known() {
        for (text, words) in [
            ("", "empty"),
            ("==PROF== Connected\n==PROF== Disconnected\n", "no table"),
            (
                "==ERROR== ERR_NVGPUCTRPERM - no permission\n",
                "no permission",
            ),
            ("==ERROR== The application crashed\n", "application crashed"),
            ("\"ID\";\"Kernel Name\";\"x\"\n", "semicolons"),
            ("ID\tKernel Name\tx\n", "tabs"),
            ("ID,Foo,Metric Name\n", "without the column Kernel Name"),
            ("ID,Kernel Name\r0,k\r", "carriage returns"),
            ("hello world\n", "begins with \"hello world\""),
            ("a,b\n1,2\n", "columns are a, b"),
        ] {
            let (what, remedy) = fault(text).unwrap();
            assert!(what.contains(words), "{text}: {what}");
            assert!(!remedy.is_empty());
        }
        for text in [
            "{",
            "[]",
            "name,parameter,value\n",
            "# said\nkernel,cycles\n",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    #[test]
    fn sides_that_stand_in_each_others_place_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (ncu, sim) = (file("ncu.csv", NCU), file("sim.json", REPORT));
        let other = file("benchmark.json", "{\"layers\":[]}");
        let says = |simulated: &Path, measured: &Path| {
            let theirs = profile(measured, &Map::default()).unwrap();
            check(simulated, measured, theirs.as_ref()).map_err(|e| e.to_string())
        };
        assert_eq!(says(&sim, &ncu), Ok(()));
        let error = says(&ncu, &sim).unwrap_err();
        assert!(
            error.contains("ncu.csv") && error.contains("report of simulate first"),
            "{error}"
        );
        let error = says(&other, &ncu).unwrap_err();
        assert!(
            error.contains("benchmark.json") && error.contains("no report of simulate"),
            "{error}"
        );
    }
}
