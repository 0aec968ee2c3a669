//! A fit as tables.

use super::{Fitted, Results};
use crate::validate::table::filled;
use std::fmt::Write;

impl Results {
    /// How shapes were left out.
    pub fn method(&self) -> String {
        match self.folds == self.shapes {
            true => "each shape left out in turn".to_owned(),
            false => format!("shapes left out in {} parts", self.folds),
        }
    }

    /// What a person must read before using the fit, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let of = |p: &Fitted| {
            let name = p.name;
            match (p.has_effect, p.at_bound) {
                (false, _) => Some(format!(
                    "{name} changes no prediction of these rows, so they say nothing of it; it stays as it was"
                )),
                (true, true) => Some(format!(
                    "{name} ENDS AT ITS BOUND ({} {}): what is wrong lies elsewhere, or is more than the bounds allow",
                    p.value, p.unit
                )),
                (true, false) => None,
            }
        };
        let mut out: Vec<String> = self.parameters.iter().filter_map(of).collect();
        let (before, left_out) = (self.error.before.mape, self.error.left_out.mape);
        if self.error.left_out.n > 0 && left_out >= before && before > 0.0 {
            out.push(format!(
                "on shapes that the fit has not seen the error is {left_out:.2} %, no less than the {before:.2} % as \
                 shipped: do not use it"
            ));
        }
        out
    }
}

/// Parameters, errors, and with `verbose` every row.
pub fn render(results: &Results, verbose: bool) -> String {
    let mut out = String::new();
    if results.status == "interrupted" {
        out.push_str("INTERRUPTED: what follows is what was done until then\n");
    }
    if !results.parameters.is_empty() {
        out.push_str(&parameters(results));
    }
    out.push_str(&errors(results));
    if verbose {
        out.push_str(&rows(results));
    }
    for skipped in &results.skipped {
        let _ = writeln!(out, "left out: {} rows: {}", skipped.count, skipped.reason);
    }
    let _ = writeln!(
        out,
        "{} rows of {} shapes, {}; {} predictions",
        results.rows.len(),
        results.shapes,
        results.method(),
        results.simulations
    );
    out
}

fn parameters(results: &Results) -> String {
    let header = [
        "parameter",
        "key",
        "unit",
        "shipped",
        "fitted",
        "change %",
        "bounds",
        "without some shapes",
    ];
    let range = |[low, high]: [u64; 2]| format!("{low} to {high}");
    let lines = results.parameters.iter().map(|p| {
        let change = 100.0 * (p.value as f64 / p.shipped.max(1) as f64 - 1.0);
        vec![
            p.name.to_owned(),
            p.key.to_owned(),
            p.unit.to_owned(),
            p.shipped.to_string(),
            p.value.to_string(),
            format!("{change:+.1}"),
            range(p.bounds),
            range(p.folds),
        ]
    });
    format!("{}\n", filled(&header, 3, lines))
}

fn errors(results: &Results) -> String {
    let header = ["error of", "MAPE %", "95 %", "median %", "p90 %", "bias %"];
    let error = &results.error;
    let lines = [
        ("as shipped", &error.before),
        ("fit", &error.after),
        ("fit, shape not seen", &error.left_out),
    ];
    let lines = lines.into_iter().filter(|(_, score)| score.n > 0);
    let lines = lines.map(|(name, score)| {
        let [low, high] = score.mape_ci95;
        vec![
            name.to_owned(),
            format!("{:.2}", score.mape),
            format!("{low:.1} to {high:.1}"),
            format!("{:.2}", score.median),
            format!("{:.2}", score.p90),
            format!("{:+.2}", score.bias),
        ]
    });
    format!("{}\n", filled(&header, 1, lines))
}

fn rows(results: &Results) -> String {
    let header = [
        "row",
        "operator",
        "type",
        "measured us",
        "shipped us",
        "fit us",
        "not seen us",
        "error %",
    ];
    let lines = results.rows.iter().map(|row| {
        let us = |value: f64| format!("{value:.3}");
        let known = |value: Option<f64>| value.map_or("-".into(), us);
        vec![
            row.id.escape_debug().to_string(),
            row.op.escape_debug().to_string(),
            row.dtype.escape_debug().to_string(),
            us(row.truth_us),
            us(row.before_us),
            known(row.after_us),
            known(row.left_out_us),
            row.error_rel
                .map_or("-".into(), |error| format!("{:+.2}", 100.0 * error)),
        ]
    });
    format!("{}\n", filled(&header, 3, lines))
}
