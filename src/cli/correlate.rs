//! `correlate`: simulated results against measured ones.

use super::common::JsonFile;
use crate::correlate::{self, Correlation, Map};
use crate::error::{Error, Result};
use crate::microbench::chart;
use crate::microbench::correlate::{Numbers, join, read, summary};
use crate::microbench::results::Results;
use crate::output;
use crate::report::table::table;
use crate::sweep::results;
use comfy_table::CellAlignment;
use std::path::PathBuf;

/// Names of what was left over that are printed.
const NAMES_SHOWN: usize = 5;

/// `phantom-gpu correlate`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Kernels of a report are compared with those of a profile, metric by metric: ncu --csv (pages raw and details), nsys stats
--format csv (cuda_gpu_trace, cuda_gpu_kern_sum), nvprof --csv (traces, sums of metrics), the raw CSV of Accel-Sim's
correlation, or another report. They are matched by name, shape and order: where a kernel was launched more often on one
side, along the longest order that both sides have in common. A map says which is which where names differ:
  [kernels]
  \"simulated name\" = \"measured name\"
  [metrics]
  \"name in the profile\" = \"name in the report\"

Names of a map that neither side has are errors. Kernels that were cut off before their end are not compared. Values that
fit no unit of their metric, or are no numbers, are left out with a note; numbers with the separators of another language
(3,67) are refused: export in the C locale.

All other results are joined by benchmark and point, or kernels by name and occurrence.

Examples:
  phantom-gpu correlate sim.json ncu.csv --html correlation.html
  phantom-gpu correlate sim.json hardware.json --html correlation.html
  phantom-gpu correlate report.json measured.csv      (name,parameter,value[,unit]; parameter: which launch)

Only equal units are compared: times and rates are converted, and times are compared with cycles when the simulated
file is a report of simulate, which knows the clock. Numbers without unit are taken to have that of the other file."
)]
pub struct Args {
    /// JSON of micro-benchmark or simulate.
    pub simulated: PathBuf,
    /// A profile, JSON of the hardware kit, or CSV: `name,parameter,value`, perhaps with `,unit`.
    pub hardware: PathBuf,
    /// Which names of the profile are which of the report.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Write charts and tables to a file, or to standard output with - (the table then goes to standard error).
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
    /// Statistics and pairs as JSON.
    #[command(flatten)]
    pub json: JsonFile,
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read, or have nothing in common.
pub fn run(args: &Args) -> Result<()> {
    let tables = output::check_all(&[("--html", &args.html), ("--json", &args.json.json)])?;
    let asked = [
        ("--html", args.html.as_deref()),
        ("--json", args.json.json.as_deref()),
    ];
    let sides = [args.simulated.as_path(), args.hardware.as_path()];
    let inputs = sides.into_iter().chain(args.map.as_deref());
    output::spare(&asked, inputs)?;
    results::spare(&asked, &sides)?;
    let map = args.map.as_deref().map(Map::read).transpose()?;
    let profile = correlate::profile(&args.hardware, &map.clone().unwrap_or_default())?;
    if let (Some(launches), Some(profile)) = (correlate::report(&args.simulated)?, &profile) {
        let found = correlate::correlate(&launches, profile, &map.unwrap_or_default())?;
        return write(args, &found, tables);
    }
    correlate::check(&args.simulated, &args.hardware, profile.as_ref())?;
    if map.is_some() {
        return Err(Error::Usage(format!(
            "--map needs a report of simulate and a profile of its kernels: {} and {} are joined by their names",
            args.simulated.display(),
            args.hardware.display()
        )));
    }
    by_name(args, tables)
}

/// Writes the comparison of kernels.
fn write(args: &Args, found: &Correlation, tables: output::Tables) -> Result<()> {
    if let Some(file) = &args.html {
        let title = format!(
            "{} and {}",
            args.simulated.display(),
            args.hardware.display()
        );
        correlate::page(&title, found).write(file)?;
    }
    if let Some(file) = &args.json.json {
        json(file, found)?;
    }
    tables.print(&text(found))
}

fn json(file: &std::path::Path, value: &impl serde::Serialize) -> Result<()> {
    let mut json = serde_json::to_string_pretty(value).expect("string keys");
    json.push('\n');
    output::write_text(file, &json)
}

/// A line for each metric, and what was left over.
fn text(found: &Correlation) -> String {
    let header = [
        "metric", "pairs", "MAPE", "bias", "median", "RMSE", "Pearson", "Spearman", "outliers",
    ];
    let mut metrics = table(&header, 1);
    let percent = |share: Option<f64>, sign: bool| match (share, sign) {
        (None, _) => String::new(),
        (Some(share), true) => format!("{:+.1} %", share * 100.0),
        (Some(share), false) => format!("{:.1} %", share * 100.0),
    };
    let real = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
    for of_metric in &found.metrics {
        let stats = &of_metric.stats;
        metrics.add_row([
            of_metric.metric.clone(),
            stats.n.to_string(),
            percent(stats.mape, false),
            percent(stats.bias, true),
            percent(stats.median, false),
            format!("{:.3} {}", stats.rmse, of_metric.unit),
            real(stats.pearson),
            real(stats.spearman),
            stats.outliers.to_string(),
        ]);
    }
    let mut text = format!(
        "{metrics}\n{} kernels of {}, matched by {}\n",
        found.kernels, found.profile, found.matched_by
    );
    let mut rest = |what: &str, names: &[String]| {
        let shown = &names[..names.len().min(NAMES_SHOWN)];
        if !shown.is_empty() {
            let more = match names.len() - shown.len() {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            text.push_str(&format!("{what}: {}{more}\n", shown.join("; ")));
        }
    };
    rest("only simulated", &found.only_simulated);
    rest("only measured", &found.only_measured);
    rest(
        "metrics that the report does not have",
        &found.unknown_metrics,
    );
    for note in &found.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

/// Results that are joined by their names.
fn by_name(args: &Args, tables: output::Tables) -> Result<()> {
    let (simulated, measured) = (read(&args.simulated)?, read(&args.hardware)?);
    let names = |of: &Numbers| correlate::listed(of.all.iter().map(|n| n.name.as_str()));
    let mut joined = join(&simulated, &measured)?;
    let Some(summary) = summary(&joined.pairs) else {
        let (place, what, remedy) = match joined.pairs.is_empty() {
            true => (
                "names",
                format!(
                    "nothing in common with {}: it has {}, and that has {}",
                    args.simulated.display(),
                    names(&measured),
                    names(&simulated)
                ),
                "compare files of the same benchmarks or kernels",
            ),
            false => (
                "values",
                "every measured number is 0, so that no error can be given".to_owned(),
                "correct the measured numbers",
            ),
        };
        let file = args.hardware.display().to_string();
        return Err(Error::input(file, place, what, remedy));
    };
    let header = ["name", "point", "simulated", "measured", "error", "unit"];
    let mut table = table(&header, 1);
    if let Some(unit) = table.column_mut(5) {
        unit.set_cell_alignment(CellAlignment::Left);
    }
    for p in &joined.pairs {
        let show = |v: Option<f64>| v.map(|v| format!("{v:.3}")).unwrap_or_default();
        let error = p.error_rel.map(|e| format!("{:+.1} %", e * 100.0));
        table.add_row([
            p.name.clone(),
            p.parameter.clone(),
            show(p.simulated),
            show(p.reference),
            error.unwrap_or_default(),
            p.unit.clone(),
        ]);
    }
    let text = format!(
        "{table}\n{} pairs; mean absolute error {:.1} %, median {:.1} %, Kendall's tau {:.3}; only simulated {}, \
         only measured {}\n",
        joined.pairs.len(),
        summary.mape * 100.0,
        summary.median * 100.0,
        summary.tau,
        joined.only_simulated,
        joined.only_measured
    );
    if let Some(file) = &args.html {
        let results = Results {
            gpu: format!(
                "{} and {}",
                args.simulated.display(),
                args.hardware.display()
            ),
            results: joined.pairs,
            ..Results::default()
        };
        chart::page("Simulated and measured", &results).write(file)?;
        joined.pairs = results.results;
    }
    if let Some(file) = &args.json.json {
        json(file, &joined.pairs)?;
    }
    tables.print(&text)
}
