//! The suite as a command: select, run, print, write, gate.

use super::definition::{self, Definition};
use super::reference::Reference;
use super::results::{Results, Score, Status};
use super::suite::{self, Watch};
use super::{Request, chart, gate};
use crate::error::{Error, Result};
use crate::output::{self, Tables};
use crate::progress::{self, Progress};
use crate::report::table::table;
use comfy_table::CellAlignment;
use std::io::Write;
use std::sync::atomic::AtomicBool;

/// Whether the suite is compiled in.
pub const ENABLED: bool = true;

/// Runs the suite as `request` says; without a machine it only lists the benchmarks.
///
/// # Errors
/// Bad input, a failed run, or a gate that does not hold.
pub fn run(request: &Request) -> Result<()> {
    let mut definitions = definition::select(definition::all()?, &request.only)?;
    if request.cache_analysis {
        definitions.retain(|d| d.cache);
    }
    let Some(session) = &request.machine else {
        return output::print_text(&list(&definitions));
    };
    let tables = output::check_all(&[("--json", &request.json), ("--html", &request.html)])?;
    let gpu = session.spec();
    // A pattern may well cover benchmarks of other chips; a name asks for that one.
    for name in definition::not_for(&definitions, gpu.compute_capability) {
        if request.only.iter().any(|asked| asked == name) {
            output::note(format_args!(
                "note: {name} is not for {}: left out",
                gpu.name
            ));
        }
    }
    let tolerances = request.gate.as_deref().map(gate::read).transpose()?;
    let reference = Reference::of(&gpu.name)?;
    let progress = Progress::default();
    let never = AtomicBool::new(false);
    let results = progress::watch(&progress, "points", || {
        suite::run_watched(
            &definitions,
            session,
            &reference,
            request.points,
            request.jobs,
            Watch {
                progress: &progress,
                stop: request.stop.unwrap_or(&never),
            },
        )
    })?;
    show(request, &results, tables)?;
    match tolerances {
        Some(_) if results.status == Status::Interrupted => Err(Error::Run(
            "gate: the suite was interrupted, so nothing can be said".into(),
        )),
        Some(tolerances) => tolerances.check(&results),
        None => Ok(()),
    }
}

fn list(definitions: &[Definition]) -> String {
    let line =
        |d: &Definition| format!("{:<28} {:<16} {:<12} {}\n", d.name, d.class, d.unit, d.what);
    definitions.iter().map(line).collect()
}

fn show(request: &Request, results: &Results, tables: Tables) -> Result<()> {
    let mut text = result_table(results);
    if request.validate_accuracy {
        text.push_str(&accuracy(results));
    }
    if let Some(file) = &request.html {
        chart::page(&format!("Micro-benchmarks: {}", results.gpu), results).write(file)?;
    }
    if let Some(file) = &request.json {
        output::write(file, |out| {
            let written = serde_json::to_writer_pretty(&mut *out, results);
            written
                .map_err(std::io::Error::from)
                .and_then(|()| out.write_all(b"\n"))
                .map_err(|e| Error::io(file, e))
        })?;
    }
    tables.print(&text)
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(v) if v.abs() >= 1000.0 => format!("{v:.0}"),
        Some(v) if v.abs() >= 100.0 => format!("{v:.1}"),
        Some(v) => format!("{v:.3}"),
    }
}

fn result_table(results: &Results) -> String {
    let header = [
        "benchmark",
        "point",
        "simulated",
        "reference",
        "error",
        "unit",
        "verdict",
        "source",
    ];
    let mut table = table(&header, 1);
    for column in table.column_iter_mut().skip(5) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    for p in &results.results {
        let error = p.error_rel.map(|e| format!("{:+.1} %", e * 100.0));
        let source: String = p.source.as_deref().unwrap_or("").chars().take(48).collect();
        table.add_row([
            p.name.clone(),
            p.parameter.clone(),
            number(p.simulated),
            number(p.reference),
            error.unwrap_or_default(),
            p.unit.clone(),
            p.verdict.clone(),
            source,
        ]);
    }
    let status = match results.status {
        Status::Complete => "",
        Status::Interrupted => "INTERRUPTED: what follows is what was done until then\n",
    };
    format!("{}\n{status}{table}\n", results.gpu)
}

fn accuracy(results: &Results) -> String {
    let header = [
        "class",
        "results",
        "median error",
        "mean error",
        "within tolerance",
    ];
    let mut table = table(&header, 1);
    let all = ("overall".to_owned(), results.accuracy.overall);
    let classes = results.accuracy.by_class.iter();
    for (class, s) in classes.map(|(c, s)| (c.clone(), *s)).chain([all]) {
        let percent = |x: f64| format!("{:.1} %", x * 100.0);
        let Score { results, .. } = s;
        table.add_row([
            class,
            results.to_string(),
            percent(s.median_abs_error),
            percent(s.mean_abs_error),
            percent(s.within_tolerance),
        ]);
    }
    format!("{table}\n")
}
