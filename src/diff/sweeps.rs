//! Folders of sweeps as numbers and words by point.
//!
//! Points are the same when workload, GPU and the values of the keys are that both sweeps have, so that a sweep can be
//! compared with one of a later version of the program, or with another axis.

use super::{Leaf, Side};
use crate::error::{Error, Result};
use crate::sweep::manifest::{Manifest, Named};
use crate::sweep::results::has_points;
use crate::sweep::store::Store;
use crate::sweep::table::{Row, Table};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;

/// Both sides.
///
/// # Errors
/// A folder without a sweep; points of one side that have the same place.
pub fn sides(a: &Path, b: &Path) -> Result<[Side; 2]> {
    let read = |folder: &Path| -> Result<Manifest> {
        let manifest = Manifest::read(folder)?.ok_or_else(|| {
            let what = "there is no manifest.json of a sweep";
            let remedy = "name folders that `phantom-gpu sweep -o` has written";
            Error::input(folder.display().to_string(), "whole folder", what, remedy)
        })?;
        has_points(folder)?;
        Ok(manifest)
    };
    let (one, two) = (read(a)?, read(b)?);
    let common = |own: &Manifest, other: &Manifest| -> Vec<usize> {
        let keys = own.keys.iter().enumerate();
        let shared = keys.filter(|(_, key)| other.keys.contains(key));
        let mut places: Vec<usize> = shared.map(|(at, _)| at).collect();
        places.sort_by_key(|at| &own.keys[*at]);
        places
    };
    Ok([
        side(a, &one, &common(&one, &two))?,
        side(b, &two, &common(&two, &one))?,
    ])
}

fn side(folder: &Path, manifest: &Manifest, keys: &[usize]) -> Result<Side> {
    let mut side = Side::default();
    let table = Table::of(manifest, &Store::at(folder));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for row in &table.rows {
        let place = place(manifest, row, keys);
        if let Some(other) = seen.insert(place.clone(), row.point) {
            return Err(Error::Usage(format!(
                "{}: points {other} and {} differ only in keys that the other sweep does not have, so that they cannot be \
                 told apart; compare sweeps of the same axes",
                folder.display(),
                row.point
            )));
        }
        let mut add = |name: &str, value: Json| {
            let leaf = Leaf {
                name: name.to_owned(),
                value,
            };
            side.found.insert(format!("{place}: {name}"), leaf);
        };
        add("status", Json::from(row.status.name()));
        for (column, number) in table.columns.iter().zip(&row.numbers) {
            if let Some(number) = number {
                add(column, number.clone());
            }
        }
    }
    let mut given = |key: String, value: &str| {
        side.given.insert(key, Json::from(value));
    };
    given("name".into(), &manifest.name);
    given("fidelity".into(), &manifest.fidelity);
    given("model_version".into(), &manifest.model_version.to_string());
    given("axes".into(), &manifest.keys.join(", "));
    let mut hashes = |kind: &str, all: &[Named]| {
        for named in all {
            given(format!("{kind} {}", named.name), &named.hash);
        }
    };
    hashes("workload", &manifest.workloads);
    hashes("gpu", &manifest.gpus);
    Ok(side)
}

/// The place of a point: what it is run on, and the values of `keys`.
fn place(manifest: &Manifest, row: &Row, keys: &[usize]) -> String {
    let point = &manifest.points[row.point];
    let mut place = format!(
        "{} on {}",
        manifest.workloads[point.workload].name, manifest.gpus[point.gpu].name
    );
    for at in keys {
        place.push_str(&format!(" {}={}", manifest.keys[*at], point.values[*at]));
    }
    place
}
