//! Results as a page.

use super::results::{Results, RowResult};
use crate::report::html::{Cloud, Column, Page, cloud, largest, scatter};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The band around equality that charts show.
const BAND: f64 = 0.2;

/// The page of `results`.
pub fn page(results: &Results) -> Page {
    let mut page = Page::new("Predicted and measured times");
    page.paragraph(&format!(
        "{}: {} rows, {} kernels, {} fidelity. Mean absolute error {:.1} % (roofline {:.1} %), without rows of low \
         trust and of busy hosts.",
        results.dataset,
        results.rows.len(),
        results.algorithm,
        results.fidelity,
        results.overall.mape,
        results.overall.roofline_mape
    ));
    if let Some(right) = results.bottleneck_right {
        page.paragraph(&format!(
            "The bottleneck is right in {:.0} % of the {} rows where it is clear at published peaks.",
            100.0 * right,
            results.bottleneck_rows
        ));
    }
    let by_op = clouds(
        results,
        |row| row.op.clone(),
        |row| (row.truth_us, row.predicted_us),
    );
    page.figure(
        "Predicted against measured, with 20 % to both sides",
        &scatter("measured, us", "predicted, us", &by_op, BAND),
    );
    let ratios = clouds(
        results,
        |row| row.gpu.clone(),
        |row| (row.truth_us, row.predicted_us / row.truth_us),
    );
    page.figure(
        "Error against size, by GPU",
        &cloud("measured, us", "predicted / measured", &ratios),
    );
    groups(&mut page, results);
    rows(&mut page, results);
    for skipped in &results.skipped {
        page.paragraph(&format!(
            "Left out: {} rows: {}",
            skipped.count, skipped.reason
        ));
    }
    page
}

fn clouds(
    results: &Results,
    key: impl Fn(&RowResult) -> String,
    point: impl Fn(&RowResult) -> (f64, f64),
) -> Vec<Cloud> {
    let mut by_key: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for row in &results.rows {
        by_key.entry(key(row)).or_default().push(point(row));
    }
    let clouds = by_key.into_iter();
    largest(
        clouds
            .map(|(name, points)| Cloud { name, points })
            .collect(),
    )
}

fn groups(page: &mut Page, results: &Results) {
    let columns = [
        Column::text("operator"),
        Column::text("type"),
        Column::text("GPU"),
        Column::text("kept apart"),
        Column::number("rows", 0),
        Column::number("MAPE %", 1),
        Column::number("median %", 1),
        Column::number("p90 %", 1),
        Column::number("bias %", 1),
        Column::number("tau", 2),
        Column::number("roofline %", 1),
    ];
    let line = |g: &super::results::Group| -> Vec<Value> {
        let s = &g.score;
        vec![
            json!(g.op),
            json!(g.dtype),
            json!(g.gpu),
            json!(super::table::apart(g)),
            json!(s.n),
            json!(s.mape),
            json!(s.median),
            json!(s.p90),
            json!(s.bias),
            json!(s.tau),
            json!(s.roofline_mape),
        ]
    };
    page.table(
        "Groups",
        &columns,
        results.groups.iter().map(line).collect(),
    );
}

fn rows(page: &mut Page, results: &Results) {
    let columns = [
        Column::text("row"),
        Column::text("GPU"),
        Column::text("operator"),
        Column::text("type"),
        Column::number("predicted us", 1),
        Column::number("measured us", 1),
        Column::number("error %", 1),
        Column::number("roofline us", 1),
        Column::text("bound"),
        Column::text("trust"),
        Column::text("kernels"),
    ];
    let line = |row: &RowResult| -> Vec<Value> {
        let kernels: Vec<&str> = row.launched.iter().map(|l| l.kernel.as_str()).collect();
        vec![
            json!(row.id),
            json!(row.gpu),
            json!(row.op),
            json!(row.dtype),
            json!(row.predicted_us),
            json!(row.truth_us),
            json!(100.0 * row.error_rel),
            json!(row.roofline_us),
            json!(row.bound.name()),
            json!(row.trust),
            json!(kernels.join(" + ")),
        ]
    };
    page.table("Rows", &columns, results.rows.iter().map(line).collect());
}
