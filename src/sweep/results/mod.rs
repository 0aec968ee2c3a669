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

use std::path::PathBuf;

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
