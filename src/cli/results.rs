//! `results`: questions to the results of a sweep.

use crate::error::{Error, Result};
use crate::output;
use crate::sweep::results::{Form, Question, ask, spare};
use std::path::PathBuf;

/// `phantom-gpu results`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Needs the feature `studies`. Expressions are SQL (SQLite), in which names of columns stand as they are: l1.ways > 8.

Examples:
  phantom-gpu results l1-study --where 'l1.unified_bytes > 131072' --sort cycles --columns point,l1.mshrs,cycles --limit 10
  phantom-gpu results l1-study --columns 'l1.mshrs, avg(cycles)' --group l1.mshrs
  phantom-gpu results l1-study --where \"status = 'complete'\" --export results.parquet"
)]
pub struct Args {
    /// Folder of a sweep.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Which rows: an expression.
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
    /// Columns to sort by; with - in front from the largest down.
    #[arg(
        long,
        value_name = "COLUMN,...",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub sort: Vec<String>,
    /// Columns or expressions [default: all].
    #[arg(long, value_name = "COLUMN,...")]
    pub columns: Option<String>,
    /// Columns whose equal values make a group; columns are then counts, means, ... of it.
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub group: Vec<String>,
    /// Rows at most.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Write the answer to a file: .csv, .json, .md, .tex or .parquet.
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// Form in which the answer is printed.
    #[arg(long, value_enum, default_value_t = Printed::Table, conflicts_with = "export")]
    pub format: Printed,
}

/// Forms that can be printed.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printed {
    /// For people.
    Table,
    /// Comma-separated values.
    Csv,
    /// A list of objects.
    Json,
    /// A table of Markdown.
    Markdown,
    /// A tabular of LaTeX.
    Latex,
}

/// Runs the command.
///
/// # Errors
/// A build without the feature, and everything that is wrong with folder, expressions and output.
pub fn run(args: &Args) -> Result<()> {
    if let Some(file) = &args.export {
        output::check(file)?;
        if output::is_standard(file) {
            return Err(Error::Usage(
                "--export -: a file's ending says the form; print with --format instead".into(),
            ));
        }
    }
    let asked = [("--export", args.export.as_deref())];
    spare(&asked, &[args.folder.as_path()])?;
    ask(&Question {
        folder: args.folder.clone(),
        filter: args.filter.clone(),
        sort: args.sort.clone(),
        // Expressions have commas of their own.
        columns: args.columns.iter().cloned().collect(),
        group: args.group.clone(),
        limit: args.limit,
        export: args.export.clone(),
        form: match args.format {
            Printed::Table => Form::Table,
            Printed::Csv => Form::Csv,
            Printed::Json => Form::Json,
            Printed::Markdown => Form::Markdown,
            Printed::Latex => Form::Latex,
        },
    })
}
