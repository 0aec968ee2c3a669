//! Raw configuration: layers of TOML, flattened to dotted keys that remember where they came from.
//!
//! A later layer replaces a key of an earlier one; nothing is interpreted here.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// A value as written.
#[derive(Clone, Debug, PartialEq)]
pub enum RawValue {
    /// An integer that fits 64 bits.
    Integer(i64),
    /// `true` or `false`.
    Flag(bool),
    /// A string.
    Text(String),
    /// An array of integers.
    Integers(Vec<i64>),
    /// Anything else: what the file says, and of which TOML type it is.
    Other(&'static str),
}

impl std::fmt::Display for RawValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RawValue::Integer(value) => write!(f, "{value}"),
            RawValue::Flag(value) => write!(f, "{value}"),
            RawValue::Text(value) => write!(f, "{value:?}"),
            RawValue::Integers(values) => write!(f, "{values:?}"),
            RawValue::Other(kind) => write!(f, "({kind})"),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct RawEntry {
    /// What was written.
    pub value: RawValue,
    /// File and line, or `--set`.
    pub place: String,
}

/// One key of a parsed layer: its path and what it says.
type Flat = (Vec<String>, RawEntry);

/// All layers merged: dotted key to entry, in key order.
#[derive(Clone, Debug, Default)]
pub struct RawConfig {
    entries: BTreeMap<String, RawEntry>,
}

impl RawConfig {
    /// The entry of `key`.
    pub fn get(&self, key: &str) -> Option<&RawEntry> {
        self.entries.get(key)
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawEntry)> {
        self.entries
            .iter()
            .map(|(key, entry)| (key.as_str(), entry))
    }

    /// Lays `layer` over what is there.
    pub fn lay(&mut self, layer: Layer) {
        for (path, entry) in layer.entries {
            self.entries.insert(path.join("."), entry);
        }
    }

    /// Applies one `key=value`. The value is TOML, or a string when it is not (`6 MiB`).
    pub fn set(&mut self, setting: &str) -> Result<()> {
        let usage = |what: &str| {
            Error::Usage(format!(
                "--set {setting}: {what}; write --set key=value, e.g. --set l1.ways=4 or \
                 --set l2.bytes='6 MiB' (`phantom-gpu list-hardware --verbose` lists the keys)"
            ))
        };
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| usage("no `=` found"))?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || value.is_empty() {
            return Err(usage("key or value is empty"));
        }
        let place = "--set";
        let quoted = format!("{key} = {}", toml::Value::String(value.to_owned()));
        let layer = Layer::parse(place, &format!("{key} = {value}"))
            .or_else(|_| Layer::parse(place, &quoted))
            .map_err(|_| usage("the key cannot be read"))?;
        if layer.base.is_some() {
            return Err(usage("`base` cannot be set"));
        }
        if layer.entries.len() != 1 {
            return Err(usage("the value must be one number, string, flag or list"));
        }
        self.lay(layer);
        for entry in self.entries.values_mut().filter(|e| e.place == "--set:1") {
            entry.place = place.to_owned();
        }
        Ok(())
    }
}

/// One parsed file.
#[derive(Debug, Default)]
pub struct Layer {
    /// `base = "..."`: the layer below.
    pub base: Option<String>,
    entries: Vec<Flat>,
}

impl Layer {
    /// Parses the text of `file`.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let document = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            Error::input(
                file,
                format!("line {line}"),
                format!("not TOML: {}", error.message().trim()),
                "correct the syntax",
            )
        })?;
        let mut layer = Layer::default();
        let mut path = Vec::new();
        flatten(
            file,
            text,
            document.get_ref(),
            &mut path,
            &mut layer.entries,
        );
        let base = layer.entries.iter().position(|(path, _)| path == &["base"]);
        if let Some(at) = base {
            let (_, entry) = layer.entries.remove(at);
            let RawValue::Text(base) = entry.value else {
                let fault = format!(
                    "{}: base = {}: name a built-in GPU, an architecture or a FILE.toml, e.g. base = \"v100\"",
                    entry.place, entry.value
                );
                return Err(Error::config(file, fault));
            };
            layer.base = Some(base);
        }
        Ok(layer)
    }
}

impl Layer {
    /// Its entries in the order of the file, each with its dotted key.
    pub fn entries(&self) -> impl Iterator<Item = (String, &RawEntry)> {
        self.entries
            .iter()
            .map(|(path, entry)| (path.join("."), entry))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    text.as_bytes()[..end]
        .iter()
        .filter(|&&b| b == b'\n')
        .count()
        + 1
}

fn flatten(
    file: &str,
    text: &str,
    table: &DeTable<'_>,
    path: &mut Vec<String>,
    out: &mut Vec<Flat>,
) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(file, text, inner, path, out);
        } else {
            let entry = RawEntry {
                value: raw(value.get_ref()),
                place: format!("{file}:{}", line_of(text, key.span().start)),
            };
            out.push((path.clone(), entry));
        }
        path.pop();
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let DeValue::Integer(integer) = value else {
        return None;
    };
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn raw(value: &DeValue<'_>) -> RawValue {
    match value {
        DeValue::Integer(_) => {
            integer(value).map_or(RawValue::Other("integer beyond 64 bits"), RawValue::Integer)
        }
        DeValue::Boolean(flag) => RawValue::Flag(*flag),
        DeValue::String(text) => RawValue::Text(text.to_string()),
        DeValue::Array(array) => {
            let integers: Option<Vec<i64>> = array.iter().map(|v| integer(v.get_ref())).collect();
            integers.map_or(
                RawValue::Other("array of other things than integers"),
                RawValue::Integers,
            )
        }
        DeValue::Float(_) => RawValue::Other("float"),
        DeValue::Datetime(_) => RawValue::Other("datetime"),
        DeValue::Table(_) => RawValue::Other("table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_layers_replace_keys_and_keep_their_places() {
        let mut raw = RawConfig::default();
        raw.lay(Layer::parse("a", "[l1]\nways = 4\nmshrs = 8\n").unwrap());
        raw.lay(Layer::parse("b", "l1.ways = 5\n").unwrap());
        raw.set("l1.mshrs=9").unwrap();
        assert_eq!(raw.get("l1.ways").unwrap().place, "b:1");
        assert_eq!(raw.get("l1.ways").unwrap().value, RawValue::Integer(5));
        assert_eq!(raw.get("l1.mshrs").unwrap().place, "--set");
    }

    #[test]
    fn a_set_value_that_is_no_toml_is_a_string() {
        let mut raw = RawConfig::default();
        raw.set("l2.bytes = 6 MiB").unwrap();
        assert_eq!(
            raw.get("l2.bytes").unwrap().value,
            RawValue::Text("6 MiB".into())
        );
        for bad in [
            "l2.bytes",
            "=3",
            "l2=",
            "base=\"v100\"",
            "a b=3",
            "x={a=1,b=2}",
        ] {
            assert!(raw.set(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bad_syntax_names_the_line() {
        let error = Layer::parse("f.toml", "a = 1\nb = = 2\n")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("f.toml: line 2: "), "{error}");
    }
}
