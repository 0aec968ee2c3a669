//! `correlate`: simulated results against measured ones.

use crate::error::{Error, Result};
use crate::output;
use crate::validate::chart;
use crate::validate::correlate::{join, read, summary};
use crate::validate::results::Results;
use comfy_table::{Table, presets};
use std::path::PathBuf;

/// `phantom-gpu correlate`.
#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Joins by benchmark and point, or kernels of two reports by name and occurrence.

Examples:
  phantom-gpu correlate sim.json hardware.json --html correlation.html
  phantom-gpu correlate report.json measured.csv      (name,parameter,value; parameter: which launch)"
)]
pub struct Args {
    /// JSON of micro-benchmark or simulate.
    pub simulated: PathBuf,
    /// JSON of the hardware kit, or CSV: name,parameter,value[,unit].
    pub hardware: PathBuf,
    /// Write charts and a table to a file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read, or have nothing in common.
pub fn run(args: &Args) -> Result<()> {
    let joined = join(&read(&args.simulated)?, &read(&args.hardware)?);
    let Some(summary) = summary(&joined.pairs) else {
        return Err(Error::input(
            args.hardware.display().to_string(),
            "names",
            format!("nothing in common with {}", args.simulated.display()),
            "compare files of the same benchmarks or kernels",
        ));
    };
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["name", "point", "simulated", "measured", "unit", "error"]);
    for p in &joined.pairs {
        let show = |v: Option<f64>| v.map(|v| format!("{v:.3}")).unwrap_or_default();
        let error = p.error_rel.map(|e| format!("{:+.1} %", e * 100.0));
        table.add_row([
            p.name.clone(),
            p.parameter.clone(),
            show(p.simulated),
            show(p.reference),
            p.unit.clone(),
            error.unwrap_or_default(),
        ]);
    }
    println!("{table}");
    println!(
        "{} pairs; mean absolute error {:.1} %, median {:.1} %, Kendall's tau {:.3}; only simulated {}, \
         only measured {}",
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
        output::write_text(file, &chart::page("Simulated and measured", &[&results]))?;
    }
    Ok(())
}
