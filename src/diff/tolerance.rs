//! By how much numbers may differ: a TOML file of names and shares.

use crate::error::{Error, Result, input};
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// What is allowed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tolerance {
    /// The file, for messages.
    pub file: String,
    /// Names, and names that end with `*`, with the relative change that is allowed; `None`: any.
    shares: BTreeMap<String, Option<f64>>,
}

impl Tolerance {
    /// Reads `file`.
    ///
    /// # Errors
    /// A file that is none.
    pub fn read(file: &Path) -> Result<Self> {
        let text = input::text(file, input::WRITTEN_MAX, "a tolerance (TOML)")?;
        Self::parse(&file.display().to_string(), &text)
    }

    /// Reads the text of `file`.
    ///
    /// # Errors
    /// As [`Tolerance::read`].
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let remedy =
            "write lines such as cycles = 0.02, \"dram.*\" = 0.05, \"issue.*\" = \"ignore\"";
        let table: Table = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| {
                text.as_bytes()[..span.start.min(text.len())]
                    .iter()
                    .filter(|b| **b == b'\n')
                    .count()
                    + 1
            });
            Error::input(file, format!("line {line}"), e.message().trim(), remedy)
        })?;
        let mut tolerance = Tolerance {
            file: file.to_owned(),
            ..Tolerance::default()
        };
        flatten(&table, "", &mut |name, value| {
            let share = match value {
                Value::String(word) if word == "ignore" => None,
                Value::Float(share) if *share >= 0.0 && share.is_finite() => Some(*share),
                Value::Integer(share) if *share >= 0 => Some(*share as f64),
                other => {
                    let what = format!("{other} is neither a share from 0 on nor \"ignore\"");
                    return Err(Error::input(file, name, what, remedy));
                }
            };
            tolerance.shares.insert(name.to_owned(), share);
            Ok(())
        })?;
        match tolerance.shares.is_empty() {
            true => Err(Error::input(
                file,
                "whole file",
                "it allows nothing",
                remedy,
            )),
            false => Ok(tolerance),
        }
    }

    /// The relative change that `name` may have; `None`: it is not compared. The longest name that fits counts.
    pub fn allowed(&self, name: &str) -> Option<f64> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        };
        let fitting = self.shares.iter().filter(|(pattern, _)| fits(pattern));
        let best = fitting.max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()));
        best.map_or(Some(0.0), |(_, share)| *share)
    }
}

fn flatten(
    table: &Table,
    above: &str,
    each: &mut dyn FnMut(&str, &Value) -> Result<()>,
) -> Result<()> {
    for (key, value) in table {
        let name = match above {
            "" => key.clone(),
            above => format!("{above}.{key}"),
        };
        match value {
            Value::Table(inner) => flatten(inner, &name, each)?,
            value => each(&name, value)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_that_fits_counts() {
        let text =
            "\"*\" = 0.1\n\"l1.*\" = 0.2\nl1.sector_hits = 0\nissue = { \"*\" = \"ignore\" }\n";
        let tolerance = Tolerance::parse("t", text).unwrap();
        assert_eq!(tolerance.allowed("cycles"), Some(0.1));
        assert_eq!(tolerance.allowed("l1.evictions"), Some(0.2));
        assert_eq!(tolerance.allowed("l1.sector_hits"), Some(0.0));
        assert_eq!(tolerance.allowed("issue.wait"), None);
        assert_eq!(Tolerance::default().allowed("cycles"), Some(0.0));
    }

    #[test]
    fn what_allows_nothing_is_refused() {
        for text in ["", "cycles = -1", "cycles = \"some\"", "cycles ="] {
            assert!(Tolerance::parse("t", text).is_err(), "{text}");
        }
    }
}
