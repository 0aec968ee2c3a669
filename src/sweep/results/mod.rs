//! Results of a sweep for other programs and for questions (feature `studies`): Parquet, SQL, tables for papers.

#[cfg(feature = "studies")]
mod columns;
#[cfg(feature = "studies")]
mod enabled;
#[cfg(feature = "studies")]
mod export;
#[cfg(feature = "studies")]
mod query;
#[cfg(feature = "studies")]
pub use enabled::{ask, keep};

#[cfg(not(feature = "studies"))]
mod disabled;
#[cfg(not(feature = "studies"))]
pub use disabled::{ask, keep};

use super::store::{POINTS, TIMINGS};
use super::{manifest, summary, table};
use crate::error::{Error, Result};
use crate::output;
use std::path::{Path, PathBuf};

/// The results as Parquet.
pub const FILE: &str = "results.parquet";
/// Files of a sweep, in its folder.
const OWN: &[&str] = &[manifest::FILE, table::FILE, summary::FILE, FILE, TIMINGS];

/// Refuses the folder of a sweep without results, which would be one in which no point has run.
///
/// # Errors
/// A folder of which `points` is none.
pub fn has_points(folder: &Path) -> Result<()> {
    let points = folder.join(POINTS);
    let what = match points.exists() {
        _ if points.is_dir() => return Ok(()),
        true => "it is a file, and not the folder of a sweep's results",
        false => "there is no folder of results beside manifest.json",
    };
    let remedy = "copy the folder of the sweep as a whole, or run the sweep again";
    Err(Error::input(
        points.display().to_string(),
        "whole folder",
        what,
        remedy,
    ))
}

/// Refuses outputs, named by their options, that would take the place of a file of a sweep that is read: `inputs` are
/// folders of sweeps, or files of them.
///
/// # Errors
/// [`Error::Usage`] when there is one.
pub fn spare(asked: &[(&str, Option<&Path>)], inputs: &[&Path]) -> Result<()> {
    let above = inputs.iter().flat_map(|input| {
        let input = std::fs::canonicalize(input).unwrap_or_default();
        let folders = input.ancestors().take(3).map(Path::to_path_buf);
        folders.collect::<Vec<PathBuf>>()
    });
    let sweeps: Vec<PathBuf> = above.filter(|f| f.join(manifest::FILE).is_file()).collect();
    let own = sweeps
        .iter()
        .flat_map(|f| OWN.iter().map(|name| f.join(name)));
    let own: Vec<PathBuf> = own.collect();
    output::spare(asked, own.iter().map(PathBuf::as_path))?;
    let points: Vec<PathBuf> = sweeps.iter().map(|f| f.join(POINTS)).collect();
    output::spare_within(asked, &points)
}

/// What is asked of a sweep's results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// Folder of the sweep.
    pub folder: PathBuf,
    /// Which rows: an expression of SQL.
    pub filter: Option<String>,
    /// Columns to sort by; one that begins with `-` from the largest down.
    pub sort: Vec<String>,
    /// Columns, or expressions; all where none is named.
    pub columns: Vec<String>,
    /// Columns whose equal values make a group.
    pub group: Vec<String>,
    /// Rows at most.
    pub limit: Option<u64>,
    /// Where the answer goes; its ending says in which form.
    pub export: Option<PathBuf>,
    /// In which form it is printed.
    pub form: Form,
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A table for people.
    #[default]
    Table,
    /// Comma-separated values.
    Csv,
    /// A list of objects.
    Json,
    /// A table of Markdown.
    Markdown,
    /// A tabular of LaTeX.
    Latex,
    /// Columns of Apache Parquet.
    Parquet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_without_a_folder_of_results_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let says = || has_points(folder.path()).map_err(|e| e.to_string());
        assert!(says().unwrap_err().contains("no folder of results"));
        std::fs::write(folder.path().join(POINTS), "").unwrap();
        assert!(
            says()
                .unwrap_err()
                .contains("points: whole folder: it is a file")
        );
        std::fs::remove_file(folder.path().join(POINTS)).unwrap();
        std::fs::create_dir(folder.path().join(POINTS)).unwrap();
        assert_eq!(says(), Ok(()));
    }

    #[test]
    fn files_of_a_sweep_that_is_read_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path(POINTS)).unwrap();
        std::fs::write(path("manifest.json"), "{}").unwrap();
        std::fs::write(path("points/k.json"), "{}").unwrap();
        let other = tempfile::tempdir().unwrap();
        for input in [
            folder.path(),
            &path("points/k.json"),
            &path("manifest.json"),
        ] {
            let to = |file: &Path| spare(&[("--export", Some(file))], &[input]);
            for name in OWN.iter().copied().chain([
                "points/k.json",
                "points/new.json",
                "points/../results.csv",
            ]) {
                let error = to(&path(name)).unwrap_err().to_string();
                assert!(
                    error.contains("--export") && error.contains("input"),
                    "{error}"
                );
            }
            assert!(to(&path("best.csv")).is_ok());
            assert!(to(&other.path().join("results.csv")).is_ok());
        }
    }
}
