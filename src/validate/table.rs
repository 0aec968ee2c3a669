//! Results as tables.

use super::results::{Group, Results};
use super::score::Score;
use crate::report::table::table;
use std::fmt::Write;

/// Groups, and with `verbose` every row.
pub fn render(results: &Results, verbose: bool) -> String {
    let mut out = groups(results);
    if verbose {
        out.push_str(&rows(results));
    }
    if let Some(right) = results.bottleneck_right {
        let _ = writeln!(
            out,
            "bottleneck right in {:.0} % of the {} rows where it is clear",
            100.0 * right,
            results.bottleneck_rows
        );
    }
    for skipped in &results.skipped {
        let _ = writeln!(out, "left out: {} rows: {}", skipped.count, skipped.reason);
    }
    let accuracy = &results.accuracy;
    if let Some(overall) = accuracy.overall {
        let gpus = accuracy.gpus.iter();
        let gpus: Vec<String> = gpus
            .map(|one| format!("{} {:.1} %", one.gpu.escape_debug(), one.accuracy))
            .collect();
        let _ = writeln!(
            out,
            "accuracy ({}): {}; overall {overall:.1} %",
            accuracy.method,
            gpus.join(", ")
        );
    }
    out
}

fn groups(results: &Results) -> String {
    let header = [
        "operator",
        "type",
        "GPU",
        "rows",
        "MAPE %",
        "95 %",
        "median %",
        "p90 %",
        "bias %",
        "tau",
        "roofline %",
    ];
    let mut lines: Vec<Vec<String>> = results
        .groups
        .iter()
        .map(|g| line([&g.op, &g.dtype, &g.gpu], apart(g), &g.score))
        .collect();
    for (score, apart) in [
        (&results.overall, ""),
        (&results.low_trust, LOW_TRUST),
        (&results.host_bound, HOST_BOUND),
    ] {
        if score.n > 0 {
            lines.push(line(["all", "", ""], apart, score));
        }
    }
    format!("{}\n", filled(&header, 3, lines))
}

/// How tables call rows of low trust.
const LOW_TRUST: &str = "low trust";
/// How they call rows whose time is that of a host which the device waited for.
const HOST_BOUND: &str = "host-bound";

/// Why the rows of a group are kept apart; empty where they are not.
pub(super) fn apart(group: &Group) -> &'static str {
    match (group.low_trust, group.host_bound) {
        (true, _) => LOW_TRUST,
        (false, true) => HOST_BOUND,
        (false, false) => "",
    }
}

fn line(names: [&str; 3], apart: &str, s: &Score) -> Vec<String> {
    let name = match apart {
        "" => names[0].to_owned(),
        why => format!("{} ({why})", names[0]),
    };
    vec![
        name,
        names[1].to_owned(),
        names[2].to_owned(),
        s.n.to_string(),
        format!("{:.1}", s.mape),
        format!("{:.1} to {:.1}", s.mape_ci95[0], s.mape_ci95[1]),
        format!("{:.1}", s.median),
        format!("{:.1}", s.p90),
        format!("{:+.1}", s.bias),
        s.tau.map_or("-".into(), |tau| format!("{tau:.2}")),
        format!("{:.1}", s.roofline_mape),
    ]
}

fn rows(results: &Results) -> String {
    let header = [
        "row",
        "GPU",
        "predicted us",
        "measured us",
        "error %",
        "bound",
        "kernels",
    ];
    let rows = results.rows.iter().map(|row| {
        let kernels: Vec<&str> = row.launched.iter().map(|l| l.kernel.as_str()).collect();
        vec![
            row.id.escape_debug().to_string(),
            row.gpu.clone(),
            format!("{:.1}", row.predicted_us),
            format!("{:.1}", row.truth_us),
            format!("{:+.1}", 100.0 * row.error_rel),
            row.bound.name().to_owned(),
            kernels.join(" + "),
        ]
    });
    format!("{}\n", filled(&header, 2, rows))
}

/// A table with `rows`, whose first `names` columns are words.
pub(super) fn filled(
    header: &[&str],
    names: usize,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> comfy_table::Table {
    let mut table = table(header, names);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    table
}
