//! `correlate`: simulated results against measured ones.

use crate::error::{Error, Result};
use crate::microbench::chart;
use crate::microbench::correlate::{join, read, summary};
use crate::microbench::results::Results;
use crate::output;
use crate::report::table::table;
use comfy_table::CellAlignment;
use std::path::PathBuf;

/// `phantom-gpu correlate`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Joins by benchmark and point, or kernels of two reports by name and occurrence.

Examples:
  phantom-gpu correlate sim.json hardware.json --html correlation.html
  phantom-gpu correlate report.json measured.csv      (name,parameter,value[,unit]; parameter: which launch)

Only equal units are compared: times and rates are converted, and times are compared with cycles when the simulated
file is a report of simulate, which knows the clock. Numbers without unit are taken to have that of the other file."
)]
pub struct Args {
    /// JSON of micro-benchmark or simulate.
    pub simulated: PathBuf,
    /// JSON of the hardware kit, or CSV: `name,parameter,value`, perhaps with `,unit`.
    pub hardware: PathBuf,
    /// Write charts and a table to a file, or to standard output with - (the table then goes to standard error).
    #[arg(long, value_name = "FILE|-")]
    pub html: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read, or have nothing in common.
pub fn run(args: &Args) -> Result<()> {
    let tables = output::check_all(&[("--html", &args.html)])?;
    output::spare(
        &[("--html", args.html.as_deref())],
        [&*args.simulated, &*args.hardware],
    )?;
    let joined = join(&read(&args.simulated)?, &read(&args.hardware)?)?;
    let Some(summary) = summary(&joined.pairs) else {
        let (place, what, remedy) = match joined.pairs.is_empty() {
            true => (
                "names",
                format!("nothing in common with {}", args.simulated.display()),
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
    }
    tables.print(&text)
}
