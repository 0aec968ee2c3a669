//! Results as a page.

use crate::report::Report;
use crate::report::html::{Bar, Chart, Cloud, Column, Page, Roof, bars, roofline};
use crate::report::schema::{Layer, Model};
use serde_json::{Value, json};

/// What bounds a layer, each with a colour.
const BOUNDS: [&str; 4] = ["compute", "memory", "latency", "launch"];
/// Layers that have a bar.
const LAYERS_SHOWN: usize = 20;

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
        Column::text("fits").marked(&[("out of memory", "bad")]),
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
            "Layers by what they do for each byte that they must move, under the roof of peak rates",
            &roofline("FLOP/byte", "GFLOP/s", &clouds(&report.layers), roof(&report.layers)),
        );
        page.figure(
            "The longest layers, by what bounds them",
            &longest(&report.layers),
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
    let drawn = |layer: &&Layer| layer.bytes > 0 && layer.flops > 0 && layer.time_us > 0.0;
    let place = |layer: &Layer| {
        let flops = layer.flops as f64;
        (flops / layer.bytes as f64, flops / layer.time_us / 1e3)
    };
    let clouds = BOUNDS.map(|bound| Cloud {
        name: bound.to_owned(),
        points: layers
            .iter()
            .filter(|layer| layer.bound == bound)
            .filter(drawn)
            .map(place)
            .collect(),
    });
    clouds.to_vec()
}

/// The peak rates that the layers' bounds were made of: the time at peak is the longer of that of the bytes and that of
/// the operations, so the highest rate of each kind is the peak where any layer is bound by it.
fn roof(layers: &[Layer]) -> Roof {
    let at_peak = |layer: &&Layer| layer.flops > 0 && layer.peak_fraction > 0.0;
    let rates = |layer: &Layer| {
        let us = layer.peak_fraction * layer.time_us;
        (layer.bytes as f64 / us / 1e3, layer.flops as f64 / us / 1e3)
    };
    let all: Vec<(f64, f64)> = layers.iter().filter(at_peak).map(rates).collect();
    let most = |of: fn(&(f64, f64)) -> f64| all.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
    let (slope, top) = (most(|r| r.0), most(|r| r.1));
    let bound_by_operations = all.iter().any(|(bytes, _)| *bytes < 0.999 * slope);
    Roof {
        slope,
        top: bound_by_operations.then_some(top),
    }
}

/// The layers that take most of the time.
fn longest(layers: &[Layer]) -> Chart {
    let mut longest: Vec<&Layer> = layers.iter().filter(|layer| layer.time_us > 0.0).collect();
    longest.sort_by(|a, b| b.time_us.total_cmp(&a.time_us));
    longest.truncate(LAYERS_SHOWN);
    let bar = |layer: &&Layer| Bar {
        name: layer.name.clone(),
        parts: BOUNDS
            .map(|b| if b == layer.bound { layer.time_us } else { 0.0 })
            .to_vec(),
    };
    bars("us", &BOUNDS, &longest.iter().map(bar).collect::<Vec<_>>())
}

fn layers(page: &mut Page, layers: &[Layer]) {
    let columns = [
        Column::text("layer"),
        Column::text("operator"),
        Column::number("time us", 2),
        Column::number("% of the time", 2),
        Column::number("GFLOP", 3),
        Column::number("MB", 2),
        Column::number("FLOP/byte", 2),
        Column::number("GFLOP/s", 1),
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
            json!((layer.bytes > 0).then(|| layer.flops as f64 / layer.bytes as f64)),
            json!((layer.time_us > 0.0).then(|| layer.flops as f64 / layer.time_us / 1e3)),
            json!(layer.bound),
            json!(100.0 * layer.peak_fraction),
            json!(100.0 * layer.dram_fraction),
            json!(layer.provenance.kind),
        ]
    };
    page.table("Layers", &columns, layers.iter().map(line).collect());
}
