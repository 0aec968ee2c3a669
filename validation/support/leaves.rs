//! The leaves of a report: what must not change between two versions of the program.

use serde_json::Value;
use std::collections::BTreeMap;

/// Parts of a report that may differ between two builds or two names of one input.
const DROPPED: &[&str] = &["simulation", "tool", "config", "validity"];

/// Every leaf of `report` by path (`kernels[0].l2.read_hits`), without what may differ.
pub fn leaves(report: &Value) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    walk(String::new(), report, &mut out);
    out
}

fn walk(path: String, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let dropped = match path.as_str() {
                    "" => DROPPED.contains(&name.as_str()),
                    "workload" => name == "hash",
                    _ => false,
                };
                if !dropped {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(format!("{path}{dot}{name}"), field, out);
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(format!("{path}[{at}]"), item, out);
            }
        }
        leaf => {
            out.insert(path, leaf.to_string());
        }
    }
}

/// `path` with every index taken out: the name of the leaf in all kernels.
pub fn name_of(path: &str) -> String {
    let mut name = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                name.push_str("[]");
            }
            ']' => inside = false,
            _ if !inside => name.push(c),
            _ => {}
        }
    }
    name
}
