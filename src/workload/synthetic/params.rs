//! Parameters of synthetic workloads: declared in tables, parsed from `name?key=value&key=value`.

use crate::config::check::nearest;
use crate::config::units;
use crate::error::{Error, Result};

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamKind {
    /// A number, from and to.
    Count(u64, u64),
    /// A size (`64MiB`), from and to.
    Bytes(u64, u64),
    /// One of these names; the value is its position.
    Name(&'static [&'static str]),
}

/// One parameter of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Param {
    /// Name.
    pub name: &'static str,
    /// Range.
    pub kind: ParamKind,
    /// Value when it is not given.
    pub default: u64,
    /// What it means.
    pub doc: &'static str,
}

impl Param {
    /// A number.
    pub const fn count(
        name: &'static str,
        default: u64,
        min: u64,
        max: u64,
        doc: &'static str,
    ) -> Self {
        let kind = ParamKind::Count(min, max);
        Param {
            name,
            kind,
            default,
            doc,
        }
    }

    /// A size.
    pub const fn bytes(
        name: &'static str,
        default: u64,
        min: u64,
        max: u64,
        doc: &'static str,
    ) -> Self {
        let kind = ParamKind::Bytes(min, max);
        Param {
            name,
            kind,
            default,
            doc,
        }
    }

    /// One of `names`; the first is the default.
    pub const fn name(
        name: &'static str,
        names: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        let kind = ParamKind::Name(names);
        Param {
            name,
            kind,
            default: 0,
            doc,
        }
    }

    /// The allowed values in words.
    pub fn allowed(&self) -> String {
        match self.kind {
            ParamKind::Count(min, max) => format!("{min} to {max}"),
            ParamKind::Bytes(min, max) => {
                format!("{} to {}", units::show_bytes(min), units::show_bytes(max))
            }
            ParamKind::Name(names) => names.join("|"),
        }
    }

    /// `value` in words.
    pub fn show(&self, value: u64) -> String {
        match self.kind {
            ParamKind::Name(names) => names[value as usize].to_owned(),
            _ => value.to_string(),
        }
    }

    fn parse(&self, text: &str) -> Option<u64> {
        match self.kind {
            ParamKind::Count(min, max) => {
                let value = text.parse().ok()?;
                (min..=max).contains(&value).then_some(value)
            }
            ParamKind::Bytes(min, max) => {
                let value = units::bytes(text)?;
                (min..=max).contains(&value).then_some(value)
            }
            ParamKind::Name(names) => {
                let at = names.iter().position(|name| *name == text)?;
                Some(at as u64)
            }
        }
    }
}

/// The resolved parameters of one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    spec: String,
    table: Vec<Param>,
    values: Vec<u64>,
}

impl Params {
    /// Parses `query` (`key=value&key=value`) against `table`; `spec` is the whole input, for errors.
    ///
    /// # Errors
    /// All faults at once.
    pub fn parse(spec: &str, query: &str, table: Vec<Param>) -> Result<Self> {
        let mut values: Vec<u64> = table.iter().map(|param| param.default).collect();
        let mut given = vec![false; table.len()];
        let mut faults = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(at) = table.iter().position(|param| param.name == key) else {
                let names = table.iter().map(|param| param.name);
                let hint = match nearest(key, names.clone()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("known: {}", names.collect::<Vec<_>>().join(", ")),
                };
                faults.push(format!("no parameter {key}; {hint}"));
                continue;
            };
            if given[at] {
                faults.push(format!("{key} is given twice"));
            }
            given[at] = true;
            match table[at].parse(value) {
                Some(value) => values[at] = value,
                None => faults.push(format!("{key}={value}: allowed: {}", table[at].allowed())),
            }
        }
        if !faults.is_empty() {
            return Err(Error::Usage(format!(
                "{spec}: {}; `phantom-gpu list-workloads` lists workloads and parameters",
                faults.join("; ")
            )));
        }
        Ok(Params {
            spec: spec.to_owned(),
            table,
            values,
        })
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> u64 {
        let at = self.table.iter().position(|param| param.name == name);
        self.values[at.unwrap_or_else(|| panic!("{name} is not in the table"))]
    }

    /// The same as 32 bits; the ranges of the tables allow it.
    pub fn get32(&self, name: &str) -> u32 {
        u32::try_from(self.get(name)).expect("the parameter's range fits 32 bits")
    }

    /// An error about the parameter `name`.
    pub fn fault(&self, name: &str, what: impl std::fmt::Display) -> Error {
        let value = self.get(name);
        let spec = &self.spec;
        Error::Usage(format!(
            "{spec}: {name}={value}: {what}; `phantom-gpu list-workloads` lists workloads and parameters"
        ))
    }

    /// Every parameter with its value, in table order: `block=256&bytes=67108864`.
    pub fn canonical(&self) -> String {
        let pairs = self.table.iter().zip(&self.values);
        let shown = pairs.map(|(param, &value)| format!("{}={}", param.name, param.show(value)));
        shown.collect::<Vec<_>>().join("&")
    }
}
