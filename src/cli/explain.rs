//! `explain`: what a number of the report means.

use crate::error::{Error, Result};
use crate::report::explain::{Entry, find, similar};
use crate::research::catalogue;

/// `phantom-gpu explain`.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(after_help = "Examples:
  phantom-gpu explain                                    # everything, one line each
  phantom-gpu explain l1.sector_hits
  phantom-gpu explain long_scoreboard dram.row_hit_percent
  phantom-gpu explain smsp__inst_executed.sum
  phantom-gpu explain 'kernels[0].l2.read_hits'           # a path of the JSON as jq or an editor shows it
  phantom-gpu explain config.l2.slices")]
pub struct Args {
    /// Counters, issue labels, derived numbers, Nsight metrics or configuration keys.
    pub counters: Vec<String>,
}

/// What the command prints.
///
/// # Errors
/// A name that is not known.
pub fn text(args: &Args) -> Result<String> {
    let all = catalogue();
    match args.counters.as_slice() {
        [] => Ok(list(&all)),
        counters => {
            let texts: Result<Vec<String>> = counters.iter().map(|c| one(&all, c)).collect();
            Ok(texts?.join("\n"))
        }
    }
}

/// One line for each entry, under the place where it stands. Configuration keys have their own list.
fn list(all: &[Entry]) -> String {
    let mut out = String::new();
    let mut place = None;
    for entry in all.iter().filter(|e| !e.path.starts_with("config.")) {
        let here = entry
            .path
            .strip_suffix(&entry.name)
            .unwrap_or("kernels[].metrics.");
        if place != Some(here) {
            place = Some(here);
            let title = match here.trim_end_matches('.') {
                "" => "report",
                other => other,
            };
            out.push_str(&format!("\n{title}\n"));
        }
        let text = match entry.path.starts_with("kernels[].metrics.\"") {
            true => &entry.formula,
            false => &entry.text,
        };
        let text = text
            .split_once(". ")
            .map_or(text.as_str(), |(first, _)| first);
        let width = 34.max(entry.name.len());
        out.push_str(&format!(
            "  {:width$} {}\n",
            entry.name,
            text.trim_end_matches('.')
        ));
    }
    out.push_str("\n`phantom-gpu explain NAME` says more; `list-hardware --verbose` lists the configuration.\n");
    out.trim_start_matches('\n').to_owned()
}

/// Everything about one name.
fn one(all: &[Entry], query: &str) -> Result<String> {
    let found = find(all, query);
    if found.is_empty() {
        let near = similar(all, query);
        let hint = match near.is_empty() {
            true => "`phantom-gpu explain` lists all names".to_owned(),
            false => format!("did you mean {}?", near.join(", ")),
        };
        return Err(Error::Usage(format!(
            "explain: nothing in the report is called {query}; {hint}"
        )));
    }
    let texts: Vec<String> = found.into_iter().map(describe).collect();
    Ok(texts.join("\n"))
}

fn describe(entry: &Entry) -> String {
    let mut out = format!("{}\n  {}\n", entry.path, entry.text);
    let mut line = |title: &str, text: &str| {
        if !text.is_empty() {
            out.push_str(&format!("  {title:8} {text}\n"));
        }
    };
    line("unit", entry.unit);
    line("formula", &entry.formula);
    line("Nsight", &entry.nsight.join(", "));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(counters: &[&str]) -> Result<String> {
        let counters = counters.iter().map(|c| (*c).to_owned()).collect();
        text(&Args { counters })
    }

    #[test]
    fn a_counter_is_explained_with_unit_and_metric() {
        let text = explain(&["l1.sector_reads"]).unwrap();
        for part in ["kernels[].l1.sector_reads", "sectors", "op_ld.sum"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_bad_usage_and_gets_suggestions() {
        let error = explain(&["long_scorebord"]).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        assert!(error.to_string().contains("long_scoreboard"), "{error}");
    }

    #[test]
    fn without_a_name_everything_is_listed() {
        let text = explain(&[]).unwrap();
        assert!(text.lines().count() > 250 && text.contains("smsp__inst_executed.sum"));
    }
}
