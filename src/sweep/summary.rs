//! What follows from the results: the best point, the Pareto front, and what each axis changes.
//!
//! Workloads are told apart, because cycles of one say nothing about cycles of another. Over all workloads a machine is
//! judged by the geometric mean of its first objective.

use super::manifest::{Goal, Manifest, Objective};
use super::store::Store;
use super::table::{Row, Table};
use crate::error::Result;
use crate::output;
use serde::Serialize;
use std::collections::BTreeMap;

/// The file of the summary.
pub const FILE: &str = "summary.json";
/// Groups of numbers at most, for which effects are given: neighbours are put together.
const GROUPS_MAX: usize = 8;

/// The summary of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Version of the files of a folder.
    pub schema_version: u32,
    /// Hash of the sweep.
    pub sweep: String,
    /// Name of the study.
    pub name: String,
    /// Points.
    pub points: usize,
    /// Points that have no result yet.
    pub missing: usize,
    /// Results by how they ended.
    pub status: BTreeMap<&'static str, usize>,
    /// What a good point is.
    pub objectives: Vec<Objective>,
    /// Each workload by itself.
    pub workloads: Vec<OfWorkload>,
    /// The machine that is best over all workloads; absent with one workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overall: Option<Overall>,
}

/// The results of one workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfWorkload {
    /// Its name.
    pub workload: String,
    /// The point with the best first objective.
    pub best: Option<Best>,
    /// Points that no other is better than in every objective.
    pub pareto: Vec<Best>,
    /// What each axis changes, the most first.
    pub effects: Vec<Effect>,
}

/// A point that is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// Its number.
    pub point: usize,
    /// Its GPU.
    pub gpu: String,
    /// Values of the keys.
    pub values: BTreeMap<String, String>,
    /// Values of the objectives, in their order.
    pub objectives: Vec<f64>,
}

/// The best machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overall {
    /// Its GPU.
    pub gpu: String,
    /// Values of the keys.
    pub values: BTreeMap<String, String>,
    /// Geometric mean of the first objective over the workloads.
    pub geometric_mean: f64,
}

/// What an axis changes of the first objective.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// Key, or `gpu`.
    pub key: String,
    /// Largest less smallest mean, of the mean over all.
    pub range: f64,
    /// Means.
    pub groups: Vec<Group>,
}

/// Points with one value of a key, or with one of several near ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The value, or the first and the last one.
    pub value: String,
    /// Points.
    pub points: usize,
    /// Mean of the first objective.
    pub mean: f64,
}

/// A row whose objectives are all numbers, the better the smaller.
struct Judged<'a> {
    row: &'a Row,
    costs: Vec<f64>,
    shown: Vec<f64>,
}

impl Summary {
    /// Of the rows of `table`.
    pub fn of(manifest: &Manifest, table: &Table) -> Self {
        let mut status = BTreeMap::new();
        for row in &table.rows {
            *status.entry(row.status.name()).or_default() += 1;
        }
        let judged: Vec<Judged<'_>> = table
            .rows
            .iter()
            .filter(|row| row.status.is_whole())
            .filter_map(|row| judge(manifest, table, row))
            .collect();
        let of_workload = |at: usize| {
            let own: Vec<&Judged<'_>> = judged
                .iter()
                .filter(|j| manifest.points[j.row.point].workload == at)
                .collect();
            OfWorkload {
                workload: manifest.workloads[at].name.clone(),
                best: best(&own).map(|j| show(manifest, j)),
                pareto: pareto(&own)
                    .into_iter()
                    .map(|j| show(manifest, j))
                    .collect(),
                effects: effects(manifest, &own),
            }
        };
        Summary {
            schema_version: manifest.schema_version,
            sweep: manifest.sweep.clone(),
            name: manifest.name.clone(),
            points: manifest.points.len(),
            missing: manifest.points.len() - table.rows.len(),
            status,
            objectives: manifest.objectives.clone(),
            workloads: (0..manifest.workloads.len()).map(of_workload).collect(),
            overall: overall(manifest, &judged),
        }
    }

    /// Writes it to the folder of `store`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, store: &Store) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("string keys");
        text.push('\n');
        output::write_text(&store.folder().join(FILE), &text)
    }
}

fn judge<'a>(manifest: &Manifest, table: &Table, row: &'a Row) -> Option<Judged<'a>> {
    let mut judged = Judged {
        row,
        costs: Vec::new(),
        shown: Vec::new(),
    };
    for objective in &manifest.objectives {
        let value = table.number(manifest, row, &objective.column)?;
        judged.shown.push(value);
        judged.costs.push(match objective.goal {
            Goal::Minimize => value,
            Goal::Maximize => -value,
        });
    }
    Some(judged)
}

fn show(manifest: &Manifest, judged: &Judged<'_>) -> Best {
    let point = &manifest.points[judged.row.point];
    Best {
        point: judged.row.point,
        gpu: manifest.gpus[point.gpu].name.clone(),
        values: values(manifest, judged.row.point),
        objectives: judged.shown.clone(),
    }
}

fn values(manifest: &Manifest, point: usize) -> BTreeMap<String, String> {
    let values = manifest.points[point].values.iter().cloned();
    manifest.keys.iter().cloned().zip(values).collect()
}

/// By the first objective, then by the others, then by number.
fn order(a: &Judged<'_>, b: &Judged<'_>) -> std::cmp::Ordering {
    let costs = a.costs.iter().zip(&b.costs);
    let differ = costs.map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne());
    differ.unwrap_or_else(|| a.row.point.cmp(&b.row.point))
}

fn best<'a, 'b>(judged: &[&'a Judged<'b>]) -> Option<&'a Judged<'b>> {
    judged.iter().copied().min_by(|a, b| order(a, b))
}

/// Points that no other is at least as good as in every objective, and better in one. Of equal ones the first stands for
/// all. With one objective that is the best.
fn pareto<'a, 'b>(judged: &[&'a Judged<'b>]) -> Vec<&'a Judged<'b>> {
    let mut sorted = judged.to_vec();
    sorted.sort_by(|a, b| order(a, b));
    let mut front: Vec<&Judged<'_>> = Vec::new();
    for candidate in sorted {
        // Whoever could be better comes before it in this order.
        let beaten = front.iter().any(|known| {
            let costs = known.costs.iter().zip(&candidate.costs);
            costs.into_iter().all(|(known, own)| known <= own)
        });
        if !beaten {
            front.push(candidate);
        }
    }
    front
}

/// The means of each axis.
fn effects(manifest: &Manifest, judged: &[&Judged<'_>]) -> Vec<Effect> {
    let mut effects = Vec::new();
    if manifest.gpus.len() > 1 {
        let gpu = |j: &Judged<'_>| manifest.gpus[manifest.points[j.row.point].gpu].name.clone();
        effects.extend(effect("gpu", judged, &gpu));
    }
    for (at, key) in manifest.keys.iter().enumerate() {
        let value = |j: &Judged<'_>| manifest.points[j.row.point].values[at].clone();
        effects.extend(effect(key, judged, &value));
    }
    effects.sort_by(|a, b| b.range.total_cmp(&a.range));
    effects
}

/// The means of one axis; nothing where it has one value.
fn effect(
    key: &str,
    judged: &[&Judged<'_>],
    value: &dyn Fn(&Judged<'_>) -> String,
) -> Option<Effect> {
    let mut by_value: Vec<(String, Vec<f64>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for j in judged {
        let value = value(j);
        let at = *places.entry(value.clone()).or_insert_with(|| {
            by_value.push((value, Vec::new()));
            by_value.len() - 1
        });
        by_value[at].1.push(j.shown[0]);
    }
    if by_value.len() < 2 {
        return None;
    }
    let number = |text: &str| text.parse::<f64>().ok();
    // Words have no neighbours to be put together with.
    let numbers = by_value.iter().all(|(value, _)| number(value).is_some());
    if numbers {
        by_value.sort_by(|a, b| {
            number(&a.0)
                .unwrap_or(0.0)
                .total_cmp(&number(&b.0).unwrap_or(0.0))
        });
    }
    let size = match numbers {
        true => by_value.len().div_ceil(GROUPS_MAX),
        false => 1,
    };
    let groups: Vec<Group> = by_value
        .chunks(size)
        .map(|chunk| {
            let costs: Vec<f64> = chunk.iter().flat_map(|(_, costs)| costs.clone()).collect();
            let (first, last) = (&chunk[0].0, &chunk[chunk.len() - 1].0);
            Group {
                value: match first == last {
                    true => first.clone(),
                    false => format!("{first} to {last}"),
                },
                points: costs.len(),
                mean: mean(&costs),
            }
        })
        .collect();
    let all: Vec<f64> = judged.iter().map(|j| j.shown[0]).collect();
    let least = groups.iter().map(|g| g.mean).fold(f64::INFINITY, f64::min);
    let most = groups
        .iter()
        .map(|g| g.mean)
        .fold(f64::NEG_INFINITY, f64::max);
    let whole = mean(&all).abs();
    Some(Effect {
        key: key.to_owned(),
        range: if whole > 0.0 {
            (most - least) / whole
        } else {
            0.0
        },
        groups,
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The machine with the best geometric mean, of those that all workloads were run on.
fn overall(manifest: &Manifest, judged: &[Judged<'_>]) -> Option<Overall> {
    if manifest.workloads.len() < 2 {
        return None;
    }
    /// A GPU and the values of its keys.
    type Machine<'a> = (usize, &'a [String]);
    // Of each workload that was run there the logarithm and the point.
    let mut machines: BTreeMap<Machine<'_>, Vec<(f64, usize)>> = BTreeMap::new();
    for j in judged.iter().filter(|j| j.shown[0] > 0.0) {
        let point = &manifest.points[j.row.point];
        let machine = machines.entry((point.gpu, &point.values)).or_default();
        machine.push((j.shown[0].ln(), j.row.point));
    }
    let whole = machines
        .values()
        .filter(|m| m.len() == manifest.workloads.len());
    let sign = match manifest.objectives[0].goal {
        Goal::Minimize => 1.0,
        Goal::Maximize => -1.0,
    };
    let means = whole.map(|machine| {
        let logs: Vec<f64> = machine.iter().map(|(log, _)| *log).collect();
        (mean(&logs).exp(), machine[0].1)
    });
    let (geometric_mean, point) =
        means.min_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0)).then(a.1.cmp(&b.1)))?;
    Some(Overall {
        gpu: manifest.gpus[manifest.points[point].gpu].name.clone(),
        values: values(manifest, point),
        geometric_mean,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::manifest::{Named, Point};
    use crate::sweep::point::Status;
    use serde_json::json;

    /// A sweep of `l1.mshrs` whose points cost `cycles` on two workloads.
    fn sweep(points: &[(u64, [u64; 2])]) -> (Manifest, Table) {
        let named = |name: &str| Named {
            name: name.into(),
            hash: String::new(),
            model: false,
        };
        let objective = |column: &str| Objective {
            column: column.into(),
            goal: Goal::Minimize,
        };
        let mut manifest = Manifest {
            schema_version: 1,
            sweep: String::new(),
            name: "s".into(),
            tool_version: String::new(),
            model_version: 1,
            fidelity: "full".into(),
            workloads: vec![named("a"), named("b")],
            gpus: vec![named("v100")],
            keys: vec!["l1.mshrs".into()],
            objectives: vec![objective("cycles"), objective("l1.mshrs")],
            columns: Vec::new(),
            points: Vec::new(),
        };
        let mut table = Table {
            columns: vec!["cycles".into()],
            rows: Vec::new(),
        };
        for workload in 0..2 {
            for (mshrs, cycles) in points {
                table.rows.push(Row {
                    point: manifest.points.len(),
                    status: Status::Complete,
                    numbers: vec![Some(json!(cycles[workload]))],
                    error: String::new(),
                    again: false,
                });
                manifest.points.push(Point {
                    key: String::new(),
                    workload,
                    gpu: 0,
                    values: vec![mshrs.to_string()],
                });
            }
        }
        (manifest, table)
    }

    #[test]
    fn the_front_has_what_nothing_beats() {
        let points = [
            (8, [40, 10]),
            (16, [40, 30]),
            (32, [20, 21]),
            (64, [20, 21]),
            (128, [10, 90]),
        ];
        let (manifest, table) = sweep(&points);
        let summary = Summary::of(&manifest, &table);
        let front = |at: usize| -> Vec<usize> {
            summary.workloads[at]
                .pareto
                .iter()
                .map(|b| b.point)
                .collect()
        };
        assert_eq!(front(0), [4, 2, 0]);
        assert_eq!(front(1), [5]);
        assert_eq!(summary.workloads[0].best.as_ref().unwrap().point, 4);
        let overall = summary.overall.unwrap();
        assert_eq!(overall.values["l1.mshrs"], "8");
        assert!((overall.geometric_mean - 20.0).abs() < 1e-9);
    }

    #[test]
    fn effects_are_means_by_value_and_drawn_values_are_grouped() {
        let points: Vec<(u64, [u64; 2])> = (1..=16).map(|n| (n, [100 + n, 50])).collect();
        let (manifest, table) = sweep(&points);
        let summary = Summary::of(&manifest, &table);
        let effect = &summary.workloads[0].effects[0];
        assert_eq!(effect.groups.len(), GROUPS_MAX);
        assert_eq!(
            (&*effect.groups[0].value, effect.groups[0].points),
            ("1 to 2", 2)
        );
        assert!((effect.groups[0].mean - 101.5).abs() < 1e-9);
        assert!((effect.range - 14.0 / 108.5).abs() < 1e-9);
        assert_eq!(summary.workloads[1].effects[0].range, 0.0);
    }

    #[test]
    fn a_point_that_failed_is_counted_and_never_best() {
        let (manifest, mut table) = sweep(&[(8, [40, 40]), (16, [10, 10])]);
        table.rows[1].status = Status::Failed;
        table.rows.truncate(3);
        let summary = Summary::of(&manifest, &table);
        assert_eq!(summary.workloads[0].best.as_ref().unwrap().point, 0);
        assert_eq!((summary.missing, summary.status["failed"]), (1, 1));
    }
}
