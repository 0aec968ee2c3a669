//! What has moved between two results: reports, or folders of sweeps.
//!
//! Both sides become numbers and words by place ([`leaves`], [`sweeps`]); what differs is ranked, and held against what
//! is allowed ([`tolerance`]).

mod leaves;
mod sweeps;
mod tolerance;

pub use tolerance::Tolerance;

use crate::error::{Error, Result};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;

/// One side: what stands at each place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// Numbers and words that a run has left.
    pub found: BTreeMap<String, Leaf>,
    /// Configuration keys, and what else was given.
    pub given: BTreeMap<String, Json>,
    /// Version of its form, where it says one.
    pub version: Option<u64>,
}

/// A number or a word.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// What it is, wherever it is: `l1.sector_hits`.
    pub name: String,
    /// Its value.
    pub value: Json,
}

/// A place at which the two sides differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// The place.
    pub place: String,
    /// What is there.
    pub name: String,
    /// On the first side; null where it is not there.
    pub a: Json,
    /// On the second side.
    pub b: Json,
    /// Relative change; null for words and for changes from zero.
    pub change: Option<f64>,
    /// It is more than what is allowed.
    pub beyond: bool,
}

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Given {
    /// Key.
    pub key: String,
    /// On the first side; null where it is not there.
    pub a: Json,
    /// On the second side.
    pub b: Json,
}

/// All that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// Version of this JSON.
    pub schema_version: u32,
    /// Places that both sides have.
    pub compared: usize,
    /// Places that differ by more than what is allowed.
    pub beyond: usize,
    /// Places that only the second side has: results may grow.
    pub added: usize,
    /// Keys that differ.
    pub given: Vec<Given>,
    /// What differs, the most first; what is beyond comes first.
    pub moved: Vec<Moved>,
}

/// Compares what is at `a` with what is at `b`: two files, or two folders of sweeps.
///
/// # Errors
/// What cannot be read, or not be compared.
pub fn diff(a: &Path, b: &Path, tolerance: &Tolerance) -> Result<Diff> {
    let sides = match (a.is_dir(), b.is_dir()) {
        (true, true) => sweeps::sides(a, b)?,
        (false, false) => [leaves::read(a)?, leaves::read(b)?],
        _ => {
            return Err(Error::Usage(format!(
                "{} and {}: one is a folder and the other is not; compare two reports, or two folders of sweeps",
                a.display(),
                b.display()
            )));
        }
    };
    let [one, two] = &sides;
    if let (Some(own), Some(other)) = (one.version, two.version)
        && own != other
    {
        return Err(Error::input(
            b.display().to_string(),
            "schema_version",
            format!(
                "{other}, and that of {} is {own}: they are of two forms",
                a.display()
            ),
            "compare results that one version of phantom-gpu has written",
        ));
    }
    let diff = compare(one, two, tolerance);
    let ignored = |place: &String, leaf: &Leaf| {
        two.found.contains_key(place) && tolerance.allowed(&leaf.name).is_none()
    };
    if diff.compared == 0 && one.found.iter().any(|(place, leaf)| ignored(place, leaf)) {
        return Err(Error::input(
            &tolerance.file,
            "whole file",
            "it ignores every number that both sides have",
            "name what is to be compared, with a share: cycles = 0.02",
        ));
    }
    if diff.compared == 0 {
        return Err(Error::input(
            b.display().to_string(),
            "whole file",
            format!("it has nothing in common with {}", a.display()),
            "compare results of the same command",
        ));
    }
    Ok(diff)
}

/// Compares two sides.
fn compare(a: &Side, b: &Side, tolerance: &Tolerance) -> Diff {
    let mut moved = Vec::new();
    let mut compared = 0;
    for (place, one) in &a.found {
        let allowed = tolerance.allowed(&one.name);
        let Some(allowed) = allowed else { continue };
        let other = b.found.get(place);
        compared += usize::from(other.is_some());
        let other = other.map_or(Json::Null, |leaf| leaf.value.clone());
        if other == one.value {
            continue;
        }
        let change = change(&one.value, &other);
        moved.push(Moved {
            place: place.clone(),
            name: one.name.clone(),
            a: one.value.clone(),
            b: other,
            change,
            beyond: change.is_none_or(|change| change.abs() > allowed),
        });
    }
    // Words, and what came from nothing, are not less than any number.
    let size = |m: &Moved| m.change.map_or(f64::INFINITY, f64::abs);
    moved.sort_by(|x, y| {
        let order = y.beyond.cmp(&x.beyond).then(size(y).total_cmp(&size(x)));
        order.then_with(|| x.place.cmp(&y.place))
    });
    let keys = a
        .given
        .keys()
        .chain(b.given.keys().filter(|k| !a.given.contains_key(*k)));
    let given = keys.filter_map(|key| {
        let side = |side: &Side| side.given.get(key).cloned().unwrap_or(Json::Null);
        let (one, two) = (side(a), side(b));
        (one != two).then(|| Given {
            key: key.clone(),
            a: one,
            b: two,
        })
    });
    Diff {
        schema_version: 1,
        compared,
        beyond: moved.iter().filter(|m| m.beyond).count(),
        added: b
            .found
            .keys()
            .filter(|place| !a.found.contains_key(*place))
            .count(),
        given: given.collect(),
        moved,
    }
}

/// The relative change from `a` to `b`.
fn change(a: &Json, b: &Json) -> Option<f64> {
    let (a, b) = (a.as_f64()?, b.as_f64()?);
    (a != 0.0).then(|| (b - a) / a.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn side(report: Json) -> Side {
        leaves::of(&report)
    }

    fn report(cycles: u64, hits: u64, ways: u64) -> Json {
        json!({
            "schema_version": 1,
            "status": "complete",
            "config": { "hash": "x", "l1": { "ways": ways } },
            "workload": { "source": "a", "hash": "h" },
            "kernels": [{ "name": "k", "cycles": cycles, "l1": { "sector_hits": hits } }],
            "simulation": { "wall_s": cycles as f64 / 3.0 },
        })
    }

    #[test]
    fn what_moved_is_ranked_and_keys_that_differ_are_named() {
        let (a, b) = (side(report(100, 50, 4)), side(report(110, 40, 8)));
        let diff = compare(&a, &b, &Tolerance::default());
        let names: Vec<&str> = diff.moved.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["l1.sector_hits", "cycles"]);
        assert_eq!(diff.moved[0].change, Some(-0.2));
        assert_eq!(diff.beyond, 2);
        let keys: Vec<&str> = diff.given.iter().map(|g| g.key.as_str()).collect();
        assert_eq!(keys, ["l1.ways"]);
        assert_eq!(compare(&a, &a, &Tolerance::default()).moved, []);
    }

    #[test]
    fn what_is_allowed_is_not_beyond() {
        let (a, b) = (side(report(100, 50, 4)), side(report(103, 0, 4)));
        let tolerance = |text: &str| Tolerance::parse("t.toml", text).unwrap();
        let beyond = |text: &str| compare(&a, &b, &tolerance(text)).beyond;
        assert_eq!(beyond("cycles = 0.05\n\"l1.*\" = 1.0\n"), 0);
        assert_eq!(beyond("cycles = 0.02\n\"l1.*\" = \"ignore\"\n"), 1);
        assert_eq!(beyond("\"*\" = 0.05\n\"l1.sector_hits\" = 2.0\n"), 0);
        // From nothing to something is beyond every share.
        let back = compare(&b, &a, &tolerance("\"*\" = 9.0\n"));
        assert_eq!((back.beyond, back.moved[0].change), (1, None));
    }

    #[test]
    fn what_compares_nothing_or_is_of_another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, json: Json| {
            let path = folder.path().join(name);
            std::fs::write(&path, json.to_string()).unwrap();
            path
        };
        let a = file("a.json", report(100, 50, 4));
        let tolerance = Tolerance::parse("t.toml", "\"*\" = \"ignore\"\n").unwrap();
        let error = diff(&a, &a, &tolerance).unwrap_err().to_string();
        assert!(
            error.contains("t.toml") && error.contains("ignores every number"),
            "{error}"
        );
        let mut newer = report(100, 50, 4);
        newer["schema_version"] = json!(99);
        let b = file("b.json", newer);
        let error = diff(&a, &b, &Tolerance::default()).unwrap_err().to_string();
        assert!(
            error.contains("b.json") && error.contains("schema_version"),
            "{error}"
        );
        // Other results have versions of their own, of which both must be one.
        let scores = |version: u32| json!({ "schema_version": version, "score": 1.5 });
        let (one, two) = (file("one.json", scores(1)), file("two.json", scores(2)));
        assert!(diff(&two, &two, &Tolerance::default()).is_ok());
        let error = diff(&one, &two, &Tolerance::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("two forms"), "{error}");
    }

    #[test]
    fn kernels_that_are_gone_are_beyond_and_new_numbers_are_not() {
        let mut b = report(100, 50, 4);
        b["kernels"][0]["l1"]["new_counter"] = json!(7);
        let (a, grown) = (side(report(100, 50, 4)), side(b));
        let diff = compare(&a, &grown, &Tolerance::default());
        assert_eq!((diff.beyond, diff.added), (0, 1));
        assert!(compare(&grown, &a, &Tolerance::default()).beyond == 1);
    }
}
