//! Checks of a launch file.

use super::super::check::{NAMES, TOLERANCE};
use super::super::{Argument, Check, Operand};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One check, or several.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub enum RawChecks {
    /// None.
    #[default]
    None,
    /// `[check]`
    One(RawCheck),
    /// `[[check]]`
    More(Vec<RawCheck>),
}

impl RawChecks {
    /// The checks of a kernel with arguments `args`.
    pub fn check(self, args: &[Argument], folder: &Path, faults: &mut Vec<String>) -> Vec<Check> {
        let list = match self {
            RawChecks::None => Vec::new(),
            RawChecks::One(one) => vec![one],
            RawChecks::More(list) => list,
        };
        let checks: Vec<Check> = list
            .into_iter()
            .filter_map(|c| c.check(folder, faults))
            .collect();
        for check in &checks {
            let Check::Named { operands, .. } = check else {
                continue;
            };
            for (operand, what) in operands {
                if let Operand::Argument(name) = what
                    && !args.iter().any(|a| a.name == *name)
                {
                    faults.push(format!("check.operands.{operand}: no argument `{name}`"));
                }
            }
        }
        checks
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCheck {
    name: Option<String>,
    buffer: Option<String>,
    path: Option<PathBuf>,
    tolerance: Option<f64>,
    #[serde(default)]
    operands: BTreeMap<String, toml::Value>,
}

fn operands(
    raw: BTreeMap<String, toml::Value>,
    faults: &mut Vec<String>,
) -> BTreeMap<String, Operand> {
    let mut out = BTreeMap::new();
    for (name, value) in raw {
        let operand = match value {
            toml::Value::String(argument) => Operand::Argument(argument),
            toml::Value::Integer(x) => Operand::Number(x as f64),
            toml::Value::Float(x) => Operand::Number(x),
            toml::Value::Boolean(x) => Operand::Number(f64::from(u8::from(x))),
            other => {
                faults.push(format!(
                    "check.operands.{name} = {other}: the name of an argument, or a number"
                ));
                continue;
            }
        };
        out.insert(name, operand);
    }
    out
}

impl RawCheck {
    fn check(self, folder: &Path, faults: &mut Vec<String>) -> Option<Check> {
        // From 1 on a result of zeros would pass for any other.
        let tolerance = self.tolerance.unwrap_or(TOLERANCE);
        if !(0.0..1.0).contains(&tolerance) {
            faults.push(format!("check.tolerance = {tolerance}: 0 to below 1"));
        }
        let operands = operands(self.operands, faults);
        if self.path.is_some() && !operands.is_empty() {
            faults.push("check.operands: they are for a check with a `name`".to_owned());
        }
        match (self.name, self.buffer, self.path) {
            (Some(name), None, None) => {
                if !NAMES.contains(&name.as_str()) {
                    let known = NAMES.join(", ");
                    faults.push(format!("check.name = \"{name}\" is none of {known}"));
                }
                Some(Check::Named {
                    name,
                    tolerance,
                    operands,
                })
            }
            (None, Some(buffer), Some(path)) => Some(Check::File {
                buffer,
                path: folder.join(path),
                tolerance: self.tolerance,
            }),
            _ => {
                faults.push("check: either `name`, or `buffer` and `path`".to_owned());
                None
            }
        }
    }
}
