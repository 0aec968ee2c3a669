//! The comparison as a page.

use super::{Correlation, OfMetric};
use crate::report::html::{Cloud, Column, Page, largest, scatter};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The band that charts show on both sides of equality.
const BAND: f64 = 0.2;

/// The page of `correlation`.
pub fn page(title: &str, correlation: &Correlation) -> Page {
    let mut page = Page::new(title);
    page.paragraph(&format!(
        "{} kernels of {}, matched by {}; {} only simulated, {} only measured.",
        correlation.kernels,
        correlation.profile,
        correlation.matched_by,
        correlation.only_simulated.len(),
        correlation.only_measured.len()
    ));
    for note in &correlation.notes {
        page.paragraph(note);
    }
    let columns = [
        Column::text("metric"),
        Column::text("unit"),
        Column::number("pairs", 0),
        Column::number("MAPE %", 1),
        Column::number("bias %", 1),
        Column::number("median %", 1),
        Column::number("RMSE", 3),
        Column::number("Pearson", 3),
        Column::number("Spearman", 3),
        Column::number("outliers", 0),
        Column::text("note"),
    ];
    page.table(
        "Metrics",
        &columns,
        correlation.metrics.iter().map(metric).collect(),
    );
    for of_metric in &correlation.metrics {
        let positive = |p: &&super::Pair| p.measured > 0.0 && p.simulated > 0.0;
        if of_metric.pairs.iter().filter(positive).count() < 2 {
            continue;
        }
        let axis = |side: &str| format!("{side}, {}", of_metric.unit);
        page.figure(
            &format!("{}: identity and ±20 %", of_metric.metric),
            &scatter(
                &axis("measured"),
                &axis("simulated"),
                &clouds(of_metric),
                BAND,
            ),
        );
    }
    pairs(&mut page, correlation);
    page
}

/// The table of all pairs.
fn pairs(page: &mut Page, correlation: &Correlation) {
    let columns = [
        Column::text("metric"),
        Column::text("kernel"),
        Column::number("simulated kernel", 0),
        Column::number("simulated", 3),
        Column::number("measured", 3),
        Column::number("error %", 1),
        Column::text("outlier"),
    ];
    let rows = correlation.metrics.iter().flat_map(|of_metric| {
        of_metric.pairs.iter().map(|pair| {
            vec![
                json!(of_metric.metric),
                json!(pair.kernel),
                json!(pair.index),
                json!(pair.simulated),
                json!(pair.measured),
                json!(pair.error.map(|e| e * 100.0)),
                json!(if pair.outlier { "yes" } else { "" }),
            ]
        })
    });
    page.table("Pairs", &columns, rows.collect());
}

fn metric(of_metric: &OfMetric) -> Vec<Value> {
    let stats = &of_metric.stats;
    let percent = |share: Option<f64>| json!(share.map(|s| s * 100.0));
    vec![
        json!(of_metric.metric),
        json!(of_metric.unit),
        json!(stats.n),
        percent(stats.mape),
        percent(stats.bias),
        percent(stats.median),
        json!(stats.rmse),
        json!(stats.pearson),
        json!(stats.spearman),
        json!(stats.outliers),
        json!(of_metric.note),
    ]
}

/// A cloud for each of the kernels with most pairs.
fn clouds(of_metric: &OfMetric) -> Vec<Cloud> {
    let mut by_kernel: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for pair in &of_metric.pairs {
        let points = by_kernel.entry(&pair.kernel).or_default();
        points.push((pair.measured, pair.simulated));
    }
    let clouds = by_kernel.into_iter().map(|(name, points)| Cloud {
        name: name.to_owned(),
        points,
    });
    largest(clouds.collect())
}
