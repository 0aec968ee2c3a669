//! The page of some results: how near they are to their references, a chart for each curve, and a table of all numbers.

use super::results::{Point, Results, Score};
use crate::report::html::{
    Bar, Chart, Cloud, Column, Curve, Page, Scale, bars, curves, largest, scatter,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The band around equality that the overview shows.
const BAND: f64 = 0.2;

/// The page of `results`.
pub fn page(title: &str, results: &Results) -> Page {
    let mut page = Page::new(title);
    overview(&mut page, results);
    let curves: Vec<Vec<&Point>> = of_one_benchmark(&results.results).collect();
    if !curves.is_empty() {
        page.heading("Curves");
    }
    for points in curves {
        let caption = format!("{} ({})", points[0].name, points[0].unit);
        page.figure(&caption, &chart(&points));
    }
    page.heading("All numbers");
    page.table(
        &results.gpu,
        &columns(),
        results.results.iter().map(row).collect(),
    );
    page
}

/// How near the results are to their references, where there are any.
fn overview(page: &mut Page, results: &Results) {
    let all = &results.accuracy.overall;
    if all.results == 0 {
        return;
    }
    page.paragraph(&format!(
        "{} of {} numbers have a trusted reference: {:.0} % of them within their tolerance, {:.1} % off on average.",
        all.results,
        results.results.len(),
        100.0 * all.within_tolerance,
        100.0 * all.mean_abs_error
    ));
    let mut by_class: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for point in &results.results {
        if let (Some(simulated), Some(reference)) = (point.simulated, point.reference) {
            let points = by_class.entry(&point.class).or_default();
            points.push((reference, simulated));
        }
    }
    let clouds = by_class.into_iter().map(|(name, points)| Cloud {
        name: name.to_owned(),
        points,
    });
    let clouds = largest(clouds.collect());
    page.figure(
        "Simulated against reference, each in its own unit, with 20 % to both sides",
        &scatter("reference", "simulated", &clouds, BAND),
    );
    let errors: Vec<Bar> = scores(results)
        .map(|(class, score)| Bar {
            name: class.to_owned(),
            parts: vec![100.0 * score.mean_abs_error],
        })
        .collect();
    page.figure(
        "Mean error by class, %",
        &bars("%", &["mean error"], &errors),
    );
    let columns = [
        Column::text("class"),
        Column::number("numbers", 0),
        Column::number("within tolerance %", 1),
        Column::number("mean error %", 2),
        Column::number("median error %", 2),
    ];
    let row = |(class, score): (&str, &Score)| -> Vec<Value> {
        vec![
            json!(class),
            json!(score.results),
            json!(100.0 * score.within_tolerance),
            json!(100.0 * score.mean_abs_error),
            json!(100.0 * score.median_abs_error),
        ]
    };
    page.table(
        "Accuracy by class",
        &columns,
        scores(results).map(row).collect(),
    );
}

fn scores(results: &Results) -> impl Iterator<Item = (&str, &Score)> {
    let classes = results.accuracy.by_class.iter();
    classes.map(|(class, score)| (class.as_str(), score))
}

/// Runs of points of one benchmark with more than two points.
fn of_one_benchmark(points: &[Point]) -> impl Iterator<Item = Vec<&Point>> {
    let runs = points.chunk_by(|a, b| a.name == b.name);
    runs.filter(|run| run.len() > 2)
        .map(|run| run.iter().collect())
}

fn chart(points: &[&Point]) -> Chart {
    let numbers: Option<Vec<f64>> = points.iter().map(|p| p.parameter.parse().ok()).collect();
    // Sizes are spread by factors; points that are no sizes stand side by side.
    let (first, last) = (&points[0].parameter, &points[points.len() - 1].parameter);
    let (places, scale, axis) = match numbers.filter(|n| n.iter().all(|x| *x > 0.0)) {
        Some(numbers) => (numbers, Scale::Log, "point".to_owned()),
        None => (
            (1..=points.len()).map(|n| n as f64).collect(),
            Scale::Linear,
            format!("number of the point, from {first} to {last}"),
        ),
    };
    let of = |name: &str, value: fn(&Point) -> Option<f64>| Curve {
        name: name.to_owned(),
        points: places
            .iter()
            .zip(points)
            .filter_map(|(x, point)| Some((*x, value(point)?)))
            .collect(),
    };
    let lines = [
        of("simulated", |p| p.simulated),
        of("reference", |p| p.reference),
    ];
    curves(&axis, &points[0].unit, &lines, scale, Scale::Linear)
}

fn columns() -> [Column; 9] {
    [
        Column::text("benchmark"),
        Column::text("class"),
        Column::text("point"),
        Column::number("simulated", 3),
        Column::number("reference", 3),
        Column::text("unit"),
        Column::number("error %", 1),
        Column::text("verdict").marked(&[
            ("ok", "good"),
            ("off", "bad"),
            ("no reference", "quiet"),
            ("untrusted reference", "quiet"),
            ("not modelled", "quiet"),
        ]),
        Column::text("source"),
    ]
}

fn row(point: &Point) -> Vec<Value> {
    vec![
        json!(point.name),
        json!(point.class),
        json!(point.parameter),
        json!(point.simulated),
        json!(point.reference),
        json!(point.unit),
        json!(point.error_rel.map(|error| 100.0 * error)),
        json!(point.verdict),
        json!(point.source.as_deref().unwrap_or("")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_drawn_and_every_point_is_in_the_table() {
        let point = |name: &str, parameter: &str, simulated| Point {
            name: name.into(),
            parameter: parameter.into(),
            simulated,
            reference: Some(2.0),
            ..Point::default()
        };
        let results = Results {
            gpu: "v100".into(),
            results: vec![
                point("alone", "", Some(1.0)),
                point("curve", "16", Some(1.0)),
                point("curve", "32", None),
                point("curve", "64", Some(3.0)),
            ],
            ..Results::default()
        };
        let html = page("Micro-benchmarks", &results).render();
        assert_eq!(html.matches("<svg").count(), 1);
        // Two of ours and three of the reference.
        assert_eq!(html.matches("<circle").count(), 5);
        assert_eq!(html.matches("\"curve\"").count(), 3);
        assert!(html.contains("\"alone\""));
    }
}
