//! Compares two reports: every leaf of OLD must stand in NEW, at the same path, with the same value.
//!
//! `simulation`, `tool`, `config`, `validity` and `workload.hash` are not compared. Leaves that only NEW has
//! are listed: a report may grow. Exit status 0: equal; 1: not; 2: usage.

#[path = "../validation/support/leaves.rs"]
mod leaves;

use leaves::{leaves, name_of};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

fn read(file: &str) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    let value = serde_json::from_str(&text).map_err(|e| format!("{file}: {e}"))?;
    Ok(leaves(&value))
}

/// The lines to print, and whether the reports agree.
fn compare(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    for (path, was) in old {
        match new.get(path) {
            None => lines.push(format!("missing: {path} (was {was})")),
            Some(is) if is != was => lines.push(format!("differs: {path}: {was} -> {is}")),
            Some(_) => {}
        }
    }
    let agree = lines.is_empty();
    let added: BTreeSet<String> = new
        .keys()
        .filter(|path| !old.contains_key(*path))
        .map(|path| name_of(path))
        .collect();
    lines.extend(added.iter().map(|name| format!("new: {name}")));
    (lines, agree)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [old, new] = args.as_slice() else {
        eprintln!("usage: scripts/same-report OLD.json NEW.json");
        return ExitCode::from(2);
    };
    match (read(old), read(new)) {
        (Ok(old), Ok(new)) => {
            let (lines, agree) = compare(&old, &new);
            lines.iter().for_each(|line| println!("{line}"));
            if agree {
                println!("same: {} leaves", old.len());
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_new_leaf_is_listed_and_a_changed_or_missing_one_fails() {
        let old = leaves(&json!({"kernels": [{"cycles": 7}], "tool": {"version": "1"}}));
        let grown = leaves(&json!({"kernels": [{"cycles": 7, "ipc": 1.5}], "tool": 3}));
        let (lines, agree) = compare(&old, &grown);
        assert!(agree);
        assert_eq!(lines, ["new: kernels[].ipc"]);
        let changed = leaves(&json!({"kernels": [{"cycles": 8}]}));
        assert_eq!(
            compare(&old, &changed).0,
            ["differs: kernels[0].cycles: 7 -> 8"]
        );
        assert!(!compare(&old, &leaves(&json!({"kernels": []}))).1);
    }
}
