//! Checks of a launch file.

use super::super::check::{NAMES, TOLERANCE};
use super::super::{Argument, Check, Operand};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One check, or several.
#[derive(Debug, Default)]
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

/// By hand, so that a fault of a check is told as it is: of an untagged enum, serde only says that no variant fits.
impl<'de> Deserialize<'de> for RawChecks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = RawChecks;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table [check], or several [[check]]")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawChecks, A::Error> {
                RawCheck::deserialize(MapAccessDeserializer::new(map)).map(RawChecks::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawChecks, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(RawChecks::More)
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

#[derive(Debug, serde::Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::RawChecks;

    #[derive(Debug, serde::Deserialize)]
    struct File {
        #[serde(default)]
        check: RawChecks,
    }

    #[test]
    fn a_fault_of_a_check_is_named() {
        let read = |text: &str| toml::from_str::<File>(text).map(|file| file.check);
        assert!(matches!(read(""), Ok(RawChecks::None)));
        assert!(matches!(
            read("[check]\nname = \"a\""),
            Ok(RawChecks::One(_))
        ));
        let two = "[[check]]\nname = \"a\"\n[[check]]\nname = \"b\"";
        assert!(matches!(read(two), Ok(RawChecks::More(list)) if list.len() == 2));
        let fault = |text: &str| read(text).unwrap_err().to_string();
        assert!(fault("[check]\ntolerence = 1.0").contains("unknown field `tolerence`"));
        assert!(fault("[[check]]\ntolerence = 1.0").contains("unknown field `tolerence`"));
        assert!(fault("check = 3").contains("a table [check], or several [[check]]"));
    }
}
