//! A sweep as a page: what is best, what axes change, and every row.

use super::Outcome;
use super::manifest::Manifest;
use super::summary::{Effect, OfWorkload, Summary};
use super::table::{Row, Table};
use crate::report::html::{Cloud, Column, Curve, Page, Scale, curves, plane};
use serde_json::{Value as Json, json};

/// Axes whose effect is drawn, those that change most.
const EFFECTS_SHOWN: usize = 6;
/// An effect that is smaller, of the mean, is a straight line: the table has it.
const EFFECT_LEAST: f64 = 0.001;

/// The page of `outcome`.
pub fn page(manifest: &Manifest, outcome: &Outcome) -> Page {
    let Outcome { summary, table } = outcome;
    let mut page = Page::new(&format!("Sweep {}", summary.name));
    let counts: Vec<String> = summary
        .status
        .iter()
        .map(|(status, n)| format!("{n} {}", status.replace('_', " ")))
        .collect();
    page.paragraph(&format!(
        "{} points: {}; {} without a result yet.",
        summary.points,
        counts.join(", "),
        summary.missing
    ));
    for (at, workload) in summary.workloads.iter().enumerate() {
        page.heading(&workload.workload);
        let rows: Vec<&Row> = table
            .rows
            .iter()
            .filter(|row| manifest.points[row.point].workload == at && row.status.is_whole())
            .collect();
        front(&mut page, (manifest, summary, table), workload, &rows);
        let effects = workload.effects.iter();
        let seen = effects.filter(|effect| effect.range >= EFFECT_LEAST);
        for effect in seen.take(EFFECTS_SHOWN) {
            draw(&mut page, summary, effect);
        }
        if !workload.effects.is_empty() {
            let columns = [
                Column::text("key"),
                Column::text("value"),
                Column::number("points", 0),
                Column::number("mean", 3),
            ];
            let rows = workload.effects.iter().flat_map(|effect| {
                effect.groups.iter().map(|group| {
                    vec![
                        json!(effect.key),
                        json!(group.value),
                        json!(group.points),
                        json!(group.mean),
                    ]
                })
            });
            let caption = format!("Mean {} by value", summary.objectives[0].column);
            page.table(&caption, &columns, rows.collect());
        }
    }
    points(&mut page, manifest, table);
    page
}

/// All points by the first two objectives, and those that nothing beats.
fn front(
    page: &mut Page,
    (manifest, summary, table): (&Manifest, &Summary, &Table),
    workload: &OfWorkload,
    rows: &[&Row],
) {
    let [first, second, ..] = summary.objectives.as_slice() else {
        return;
    };
    let place = |row: &Row| {
        let number = |column: &str| table.number(manifest, row, column);
        Some((number(&first.column)?, number(&second.column)?))
    };
    let is_best = |row: &Row| workload.pareto.iter().any(|best| best.point == row.point);
    let of = |best: bool| -> Vec<(f64, f64)> {
        let own = rows.iter().filter(|row| is_best(row) == best);
        own.filter_map(|row| place(row)).collect()
    };
    let clouds = [
        Cloud {
            name: "points".to_owned(),
            points: of(false),
        },
        Cloud {
            name: "Pareto front".to_owned(),
            points: of(true),
        },
    ];
    page.figure(
        &format!("{} and {}", first.column, second.column),
        &plane(&first.column, &second.column, &clouds),
    );
    let mut columns = vec![Column::number("point", 0), Column::text("GPU")];
    columns.extend(manifest.keys.iter().map(|key| Column::text(key)));
    columns.extend(
        summary
            .objectives
            .iter()
            .map(|o| Column::number(&o.column, 3)),
    );
    let rows = workload.pareto.iter().map(|best| {
        let values = manifest.keys.iter().map(|key| json!(best.values[key]));
        let objectives = best.objectives.iter().map(|value| json!(value));
        let own = [json!(best.point), json!(best.gpu)];
        own.into_iter().chain(values).chain(objectives).collect()
    });
    page.table("Pareto front", &columns, rows.collect());
}

/// The means of an axis of numbers.
fn draw(page: &mut Page, summary: &Summary, effect: &Effect) {
    let number = |value: &str| value.split(" to ").next()?.parse::<f64>().ok();
    let points: Option<Vec<(f64, f64)>> = effect
        .groups
        .iter()
        .map(|group| Some((number(&group.value)?, group.mean)))
        .collect();
    let Some(points) = points else { return };
    let scale = match points.iter().all(|(x, _)| *x > 0.0) {
        true => Scale::Log,
        false => Scale::Linear,
    };
    let objective = &summary.objectives[0].column;
    let curve = Curve {
        name: format!("mean {objective}"),
        points,
    };
    page.figure(
        &format!("{}: {:.1} % of the mean", effect.key, effect.range * 100.0),
        &curves(&effect.key, objective, &[curve], scale, Scale::Linear),
    );
}

/// Every row, as the CSV has it.
fn points(page: &mut Page, manifest: &Manifest, table: &Table) {
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
    let keys = manifest.keys.len();
    let numeric: Vec<bool> = (0..keys)
        .map(|at| {
            manifest
                .points
                .iter()
                .all(|p| number(&p.values[at]).is_some())
        })
        .collect();
    let mut columns = vec![
        Column::number("point", 0),
        Column::text("workload"),
        Column::text("GPU"),
    ];
    columns.extend(
        manifest
            .keys
            .iter()
            .zip(&numeric)
            .map(|(key, numeric)| match numeric {
                true => Column::number(key, 0),
                false => Column::text(key),
            }),
    );
    columns.push(Column::text("status"));
    columns.extend(table.columns.iter().map(|name| Column::number(name, 3)));
    let row = |row: &Row| {
        let point = &manifest.points[row.point];
        let mut cells = vec![
            json!(row.point),
            json!(manifest.workloads[point.workload].name),
            json!(manifest.gpus[point.gpu].name),
        ];
        let values = point.values.iter().zip(&numeric);
        cells.extend(values.map(|(value, numeric)| match numeric {
            true => json!(number(value)),
            false => json!(value),
        }));
        cells.push(json!(row.status.name()));
        cells.extend(row.numbers.iter().map(|n| n.clone().unwrap_or(Json::Null)));
        cells
    };
    page.table("Points", &columns, table.rows.iter().map(row).collect());
}
