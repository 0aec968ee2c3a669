//! The suite as a command: select, run, print, write, gate.

use super::definition::{self, Definition};
use super::reference::Reference;
use super::results::{Results, Score};
use super::{Request, chart, gate, suite};
use crate::config;
use crate::error::{Error, Result};
use crate::output;
use comfy_table::{Table, presets};
use std::path::Path;

/// Runs the suite as `request` says.
///
/// # Errors
/// Bad input, a failed run, or a gate that does not hold.
pub fn run(request: &Request) -> Result<()> {
    let mut definitions = definition::select(definition::all()?, &request.only)?;
    if request.cache_analysis {
        definitions.retain(|d| d.cache);
    }
    if request.list {
        list(&definitions);
        return Ok(());
    }
    output::check_all([&request.json, &request.html])?;
    let config = config::load(&request.gpu, &request.set)?;
    // A pattern may well cover benchmarks of other chips; a name asks for that one.
    for name in definition::not_for(&definitions, config.spec.compute_capability) {
        if request.only.iter().any(|asked| asked == name) {
            eprintln!("note: {name} is not for {}: left out", config.spec.name);
        }
    }
    let tolerances = request.gate.as_deref().map(gate::read).transpose()?;
    let reference = Reference::of(&config.spec.name)?;
    let results = suite::run(
        &definitions,
        &config.spec,
        &reference,
        request.points,
        request.jobs,
    )?;
    show(request, &results)?;
    if let Some(tolerances) = tolerances {
        tolerances.check(&results)?;
    }
    Ok(())
}

fn list(definitions: &[Definition]) {
    for d in definitions {
        println!("{:<28} {:<16} {:<12} {}", d.name, d.class, d.unit, d.what);
    }
}

fn show(request: &Request, results: &Results) -> Result<()> {
    let mut text = table(results);
    if request.validate_accuracy {
        text.push_str(&accuracy(results));
    }
    if let Some(file) = &request.html {
        output::write_text(
            file,
            &chart::page(&format!("Micro-benchmarks: {}", results.gpu), &[results]),
        )?;
    }
    let json = || serde_json::to_string_pretty(results).map_err(|e| Error::Run(e.to_string()));
    match &request.json {
        Some(file) if file == Path::new("-") => {
            eprint!("{text}");
            println!("{}", json()?);
        }
        Some(file) => {
            print!("{text}");
            output::write_text(file, &json()?)?;
        }
        None => print!("{text}"),
    }
    Ok(())
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(v) if v.abs() >= 1000.0 => format!("{v:.0}"),
        Some(v) if v.abs() >= 100.0 => format!("{v:.1}"),
        Some(v) => format!("{v:.3}"),
    }
}

fn table(results: &Results) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "benchmark",
        "point",
        "simulated",
        "reference",
        "unit",
        "error",
        "verdict",
        "source",
    ]);
    for p in &results.results {
        let error = p.error_rel.map(|e| format!("{:+.1} %", e * 100.0));
        let source: String = p.source.as_deref().unwrap_or("").chars().take(48).collect();
        table.add_row([
            p.name.clone(),
            p.parameter.clone(),
            number(p.simulated),
            number(p.reference),
            p.unit.clone(),
            error.unwrap_or_default(),
            p.verdict.clone(),
            source,
        ]);
    }
    format!("{}\n{table}\n", results.gpu)
}

fn accuracy(results: &Results) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "class",
        "results",
        "median error",
        "mean error",
        "within tolerance",
    ]);
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
