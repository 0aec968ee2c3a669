//! The page of some results: a chart for each curve, and a table of all numbers.

use super::results::{Point, Results};
use crate::report::html::{Column, Curve, Page, Scale, curves};
use serde_json::{Value, json};

/// The page of `results`.
pub fn page(title: &str, results: &Results) -> Page {
    let mut page = Page::new(title);
    for points in of_one_benchmark(&results.results) {
        let caption = format!("{} ({})", points[0].name, points[0].unit);
        page.figure(&caption, &chart(&points));
    }
    page.table(
        &results.gpu,
        &columns(),
        results.results.iter().map(row).collect(),
    );
    page
}

/// Runs of points of one benchmark with more than two points.
fn of_one_benchmark(points: &[Point]) -> impl Iterator<Item = Vec<&Point>> {
    let runs = points.chunk_by(|a, b| a.name == b.name);
    runs.filter(|run| run.len() > 2)
        .map(|run| run.iter().collect())
}

fn chart(points: &[&Point]) -> String {
    let numbers: Option<Vec<f64>> = points.iter().map(|p| p.parameter.parse().ok()).collect();
    // Sizes are spread by factors; points that are no sizes stand side by side.
    let (places, scale) = match numbers.filter(|n| n.iter().all(|x| *x > 0.0)) {
        Some(numbers) => (numbers, Scale::Log),
        None => (
            (1..=points.len()).map(|n| n as f64).collect(),
            Scale::Linear,
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
    curves("point", &points[0].unit, &lines, scale, Scale::Linear)
}

fn columns() -> [Column; 8] {
    [
        Column::text("benchmark"),
        Column::text("point"),
        Column::number("simulated", 3),
        Column::number("reference", 3),
        Column::text("unit"),
        Column::number("error %", 1),
        Column::text("verdict"),
        Column::text("source"),
    ]
}

fn row(point: &Point) -> Vec<Value> {
    vec![
        json!(point.name),
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
