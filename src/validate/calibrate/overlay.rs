//! What a fit leaves: a description of a GPU on top of the shipped one, with where its numbers come from.

use super::Results;
use crate::output::is_standard;
use std::fmt::Write;
use std::path::Path;

/// The text of the description that will lie at `file`.
pub fn text(results: &Results, file: &Path) -> String {
    let error = &results.error;
    let machine = &results.machine;
    let mut out = String::new();
    let mut say = |text: String| {
        let _ = writeln!(out, "# {text}");
    };
    say(format!(
        "{}, fitted to measurements by phantom-gpu {} calibrate (model version {}). What is shipped stays as it is.",
        machine.name.escape_debug(),
        env!("CARGO_PKG_VERSION"),
        results.model_version
    ));
    let skipped: usize = results.skipped.iter().map(|skipped| skipped.count).sum();
    say(format!(
        "Dataset: {} (content {}): {} rows of {} shapes; {skipped} rows left out.",
        results.dataset.escape_debug(),
        results.dataset_hash,
        results.rows.len(),
        results.shapes
    ));
    say(format!(
        "Mean absolute error, --fidelity {}: {:.2} % as shipped, {:.2} % with the values below, {:.2} % on shapes that the \
         fit has not seen ({}).",
        results.fidelity,
        error.before.mape,
        error.after.mape,
        error.left_out.mape,
        results.method()
    ));
    for p in &results.parameters {
        let note = match (p.has_effect, p.at_bound) {
            (false, _) => "; WITHOUT EFFECT on these rows",
            (true, true) => "; ENDS AT ITS BOUND",
            (true, false) => "",
        };
        say(format!(
            "{} ({}): from {} to {} {}; bounds {} to {}, fits without some shapes {} to {}{note}.",
            p.name,
            p.key,
            p.shipped,
            p.value,
            p.unit,
            p.bounds[0],
            p.bounds[1],
            p.folds[0],
            p.folds[1]
        ));
    }
    let _ = writeln!(out, "base = {}", quoted(&base(&machine.base, file)));
    for (key, value) in &machine.set {
        if results.parameters.iter().all(|p| p.key != key) {
            let _ = writeln!(out, "{key} = {} # of the board", quoted(value));
        }
    }
    for p in &results.parameters {
        let _ = writeln!(out, "{} = {}", p.key, p.value);
    }
    out
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// `base` as the description at `file` has to name it: files are named from the folder that a description is in.
fn base(base: &str, file: &Path) -> String {
    if !base.ends_with(".toml") {
        return base.to_owned();
    }
    let Ok(whole) = std::fs::canonicalize(base) else {
        return base.to_owned();
    };
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::canonicalize(folder.unwrap_or(Path::new(".")));
    let beside = folder.is_ok_and(|folder| whole.parent() == Some(&folder)) && !is_standard(file);
    match (beside, whole.file_name()) {
        (true, Some(name)) => name.to_string_lossy().into_owned(),
        _ => whole.to_string_lossy().into_owned(),
    }
}
