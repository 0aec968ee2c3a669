//! The parameters of a textual workload: `key=value&key=value` against the table of a family.

use crate::config::check::nearest;
use crate::error::{Error, Result};
use crate::kernels::fields::Param;

/// The resolved parameters of one workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
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
            return Err(fault(spec, faults.join("; ")));
        }
        Ok(Params { table, values })
    }

    /// The values in table order.
    pub fn values(&self) -> &[u64] {
        &self.values
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> u64 {
        let at = self.table.iter().position(|param| param.name == name);
        self.values[at.unwrap_or_else(|| panic!("{name} is not in the table"))]
    }

    /// Every parameter with its value, in table order: `block=256&bytes=67108864`.
    pub fn canonical(&self) -> String {
        canonical(self.table.iter().copied().zip(self.values.iter().copied()))
    }
}

/// Parameters with their values as text: `block=256&bytes=67108864`.
pub fn canonical(fields: impl IntoIterator<Item = (Param, u64)>) -> String {
    let fields = fields.into_iter();
    let shown = fields.filter(|(param, value)| !param.quiet || *value != param.default);
    let shown = shown.map(|(param, value)| format!("{}={}", param.name, param.show(value)));
    shown.collect::<Vec<_>>().join("&")
}

/// An error about the parameters of `spec`.
pub fn fault(spec: &str, what: impl std::fmt::Display) -> Error {
    Error::Usage(format!(
        "{spec}: {what}; `phantom-gpu list-workloads` lists workloads and parameters"
    ))
}
