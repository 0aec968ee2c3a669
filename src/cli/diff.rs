//! `diff`: what has moved between two results, and whether it is allowed.

use super::common::JsonFile;
use crate::diff::{Diff, Tolerance, diff};
use crate::error::{Error, Result};
use crate::output;
use crate::report::table::table;
use crate::sweep::results;
use comfy_table::CellAlignment;
use serde_json::Value as Json;
use std::path::PathBuf;

/// `phantom-gpu diff`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Exit status: 0 when nothing has moved by more than the tolerance, 1 when something has. Wall times, versions of the
program and validity are not compared. docs/regression.md has an example for CI.

A tolerance is a TOML file of names and relative changes; the longest name that fits counts, and what none fits must not
change at all:
  cycles = 0.02
  \"dram.*\" = 0.05
  \"metrics.*\" = \"ignore\"

Examples:
  phantom-gpu diff before.json after.json
  phantom-gpu diff baseline/ out/ --tolerance tolerance.toml --json moved.json"
)]
pub struct Args {
    /// The first result: a report (JSON) or the folder of a sweep.
    pub a: PathBuf,
    /// The second result.
    pub b: PathBuf,
    /// By how much numbers may differ.
    #[arg(long, value_name = "FILE")]
    pub tolerance: Option<PathBuf>,
    /// Rows that are printed at most.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub top: usize,
    /// All that differs as JSON.
    #[command(flatten)]
    pub json: JsonFile,
}

/// Runs the command.
///
/// # Errors
/// What cannot be compared, and what has moved by more than is allowed.
pub fn run(args: &Args) -> Result<()> {
    let tables = output::check_all(&[("--json", &args.json.json)])?;
    let asked = [("--json", args.json.json.as_deref())];
    let sides = [args.a.as_path(), args.b.as_path()];
    let inputs = sides.into_iter().chain(args.tolerance.as_deref());
    output::spare(&asked, inputs)?;
    results::spare(&asked, &sides)?;
    let tolerance = args.tolerance.as_deref().map(Tolerance::read);
    let diff = diff(
        &args.a,
        &args.b,
        &tolerance.transpose()?.unwrap_or_default(),
    )?;
    tables.print(&text(&diff, args.top))?;
    if let Some(file) = &args.json.json {
        let mut json = serde_json::to_string_pretty(&diff).expect("string keys");
        json.push('\n');
        output::write_text(file, &json)?;
    }
    match diff.beyond {
        0 => Ok(()),
        n => Err(Error::Run(format!(
            "{n} of {} numbers of {} have moved by more than is allowed in {}",
            diff.compared,
            args.a.display(),
            args.b.display()
        ))),
    }
}

fn show(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn text(diff: &Diff, top: usize) -> String {
    let mut text = format!(
        "{} compared, {} moved, {} by more than is allowed, {} new\n",
        diff.compared,
        diff.moved.len(),
        diff.beyond,
        diff.added
    );
    if !diff.given.is_empty() {
        let mut given = table(&["key", "A", "B"], 1);
        for key in &diff.given {
            given.add_row([key.key.clone(), show(&key.a), show(&key.b)]);
        }
        text.push_str(&format!("\n{given}\n"));
    }
    if diff.moved.is_empty() {
        return text;
    }
    let mut moved = table(&["place", "A", "B", "change", ""], 1);
    if let Some(mark) = moved.column_mut(4) {
        mark.set_cell_alignment(CellAlignment::Left);
    }
    for row in diff.moved.iter().take(top) {
        let change = row.change.map(|change| format!("{:+.2} %", change * 100.0));
        moved.add_row([
            row.place.clone(),
            show(&row.a),
            show(&row.b),
            change.unwrap_or_default(),
            if row.beyond { "beyond" } else { "allowed" }.to_owned(),
        ]);
    }
    text.push_str(&format!("\n{moved}\n"));
    if diff.moved.len() > top {
        text.push_str(&format!(
            "and {} more; --top shows them, --json writes all\n",
            diff.moved.len() - top
        ));
    }
    text
}
