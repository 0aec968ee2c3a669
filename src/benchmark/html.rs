//! Results as a page.

use crate::report::Report;
use crate::report::html::{Cloud, Column, Page, cloud};
use crate::report::schema::{Layer, Model};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The page of `reports`: all runs, then the layers of each.
pub fn page(reports: &[Report]) -> Page {
    let mut page = Page::new("Models on GPUs");
    let models = || reports.iter().filter_map(|report| report.model.as_ref());
    let columns = [
        Column::text("model"),
        Column::text("GPU"),
        Column::text("phase"),
        Column::text("type"),
        Column::number("batch", 0),
        Column::number("latency ms", 3),
        Column::number("throughput", 1),
        Column::text("unit"),
        Column::number("memory GiB", 2),
        Column::text("fits"),
    ];
    page.table("Runs", &columns, models().map(run).collect());
    for report in reports {
        let Some(model) = report.model.as_ref().filter(|model| model.fits) else {
            continue;
        };
        page.heading(&format!(
            "{} on {}, batch of {}, {}",
            model.name, model.gpu, model.batch_size, model.precision
        ));
        page.figure(
            "Layers by what they do for each byte that they must move, and how fast they do it",
            &cloud("FLOP/byte", "GFLOP/s", &clouds(&report.layers)),
        );
        layers(&mut page, &report.layers);
    }
    page
}

fn run(model: &Model) -> Vec<Value> {
    vec![
        json!(model.name),
        json!(model.gpu),
        json!(model.phase),
        json!(model.precision),
        json!(model.batch_size),
        json!(model.latency_ms),
        json!(model.throughput),
        json!(model.unit),
        json!(model.memory.total_bytes as f64 / f64::from(1 << 30)),
        json!(if model.fits { "yes" } else { "out of memory" }),
    ]
}

/// Layers by what bounds them.
fn clouds(layers: &[Layer]) -> Vec<Cloud> {
    let mut by_bound: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for layer in layers
        .iter()
        .filter(|layer| layer.bytes > 0 && layer.flops > 0 && layer.time_us > 0.0)
    {
        let point = (
            layer.flops as f64 / layer.bytes as f64,
            layer.flops as f64 / layer.time_us / 1e3,
        );
        by_bound.entry(layer.bound).or_default().push(point);
    }
    let clouds = by_bound.into_iter().map(|(name, points)| Cloud {
        name: name.to_owned(),
        points,
    });
    clouds.collect()
}

fn layers(page: &mut Page, layers: &[Layer]) {
    let columns = [
        Column::text("layer"),
        Column::text("operator"),
        Column::number("time us", 2),
        Column::number("% of the time", 2),
        Column::number("GFLOP", 3),
        Column::number("MB", 2),
        Column::text("bound"),
        Column::number("peak %", 1),
        Column::number("DRAM %", 1),
        Column::text("by"),
    ];
    let total: f64 = layers.iter().map(|layer| layer.time_us).sum();
    let line = |layer: &Layer| {
        vec![
            json!(layer.name),
            json!(layer.op),
            json!(layer.time_us),
            json!(100.0 * layer.time_us / total.max(f64::MIN_POSITIVE)),
            json!(layer.flops as f64 / 1e9),
            json!(layer.bytes as f64 / 1e6),
            json!(layer.bound),
            json!(100.0 * layer.peak_fraction),
            json!(100.0 * layer.dram_fraction),
            json!(layer.provenance.kind),
        ]
    };
    page.table("Layers", &columns, layers.iter().map(line).collect());
}
