//! A file of results as numbers and words by place.

use super::{Leaf, Side};
use crate::error::{Error, Result, input};
use crate::report::schema::SCHEMA_VERSION;
use serde_json::Value as Json;
use std::path::Path;

/// What differs between two runs of the same input, or says nothing about it.
const LEFT_OUT: &[&str] = &["simulation", "tool", "schema_version", "validity"];

/// Reads a report, several of them, or any other results.
///
/// # Errors
/// A file that is no JSON, or of a later version.
pub fn read(path: &Path) -> Result<Side> {
    let text = input::text(path, input::MADE_MAX, "a report (JSON)")?;
    let json: Json = serde_json::from_str(&text).map_err(|e| {
        Error::input(
            path.display().to_string(),
            format!("line {}", e.line()),
            e.to_string(),
            "give JSON that phantom-gpu has written, or two folders of sweeps",
        )
    })?;
    let version = json["schema_version"].as_u64();
    if let Some(version) = version.filter(|version| *version > u64::from(SCHEMA_VERSION))
        && json.get("kernels").is_some()
    {
        return Err(Error::input(
            path.display().to_string(),
            "schema_version",
            format!(
                "{version} is later than {SCHEMA_VERSION}, the last one of reports that this program knows"
            ),
            "compare it with the phantom-gpu that has written it",
        ));
    }
    Ok(Side {
        version,
        ..of(&json)
    })
}

/// The leaves of `json`.
pub fn of(json: &Json) -> Side {
    let mut side = Side::default();
    // A point of a sweep has its report within.
    let json = match (json.get("key"), json.get("report")) {
        (Some(_), Some(report)) => report,
        _ => json,
    };
    match json.get("results").and_then(Json::as_array) {
        Some(several) if several.iter().any(|one| one.get("kernels").is_some()) => {
            for (at, one) in several.iter().enumerate() {
                report(one, &format!("results[{at}]."), &mut side);
            }
        }
        _ => report(json, "", &mut side),
    }
    side
}

/// The leaves of one report, at `above`.
fn report(json: &Json, above: &str, side: &mut Side) {
    let Some(parts) = json.as_object() else {
        walk(json, above.trim_end_matches('.'), "", side);
        return;
    };
    for (name, part) in parts {
        match name.as_str() {
            name if LEFT_OUT.contains(&name) => {}
            "config" => given(part, above, "", side),
            "workload" => given(part, above, "workload", side),
            // Their numbers have the names that `explain` knows.
            "kernels" => walk(part, &format!("{above}kernels"), "", side),
            name => walk(part, &format!("{above}{name}"), name, side),
        }
    }
}

/// What was given: keys with their values. The hash of all keys differs whenever one of them does.
fn given(json: &Json, above: &str, name: &str, side: &mut Side) {
    match json {
        Json::Object(parts) => {
            for (part, value) in parts {
                if name.is_empty() && part == "hash" {
                    continue;
                }
                given(value, above, &join(name, part), side);
            }
        }
        value => {
            side.given.insert(format!("{above}{name}"), value.clone());
        }
    }
}

fn join(above: &str, name: &str) -> String {
    match above {
        "" => name.to_owned(),
        above => format!("{above}.{name}"),
    }
}

/// Adds the leaves of `json`, which is at `place` and called `name`.
fn walk(json: &Json, place: &str, name: &str, side: &mut Side) {
    match json {
        Json::Object(parts) => {
            for (part, value) in parts {
                walk(value, &join(place, part), &join(name, part), side);
            }
        }
        Json::Array(all) if all.iter().any(Json::is_object) => {
            for (at, one) in all.iter().enumerate() {
                // A kernel or a layer is its name, too: another one in its place is no longer the same.
                walk(one, &format!("{place}[{at}]"), name, side);
            }
        }
        Json::Null => {}
        value => {
            let leaf = Leaf {
                name: name.to_owned(),
                value: value.clone(),
            };
            side.found.insert(place.to_owned(), leaf);
        }
    }
}
