//! What a configuration key is: its kind and range, how it is read, echoed and documented.
//!
//! The macros of `super::declare` declare a spec once; the struct, the TOML keys, `--set`, the range checks,
//! the JSON echo and the key documentation all follow from that declaration.

use super::raw::{RawConfig, RawEntry, RawValue};
use super::units;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Kind and allowed range of a key's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A number without unit, from and to.
    Count(u64, u64),
    /// Cycles of the core clock, or a time (`24 ns`).
    Cycles(u64, u64),
    /// Bytes, or a size (`6 MiB`).
    Bytes(u64, u64),
    /// kHz, or a frequency (`1.38 GHz`).
    Kilohertz(u64, u64),
    /// Free text.
    Text,
    /// One of these names.
    Name(&'static [&'static str]),
    /// A list of numbers, each from and to; not empty.
    Counts(u64, u64),
    /// A table of opcode prefix to cycles, from and to.
    OpcodeCycles(u64, u64),
    /// A section of further keys.
    Section,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Flag => write!(f, "true or false"),
            Kind::Count(min, max) => write!(f, "{min} to {max}"),
            Kind::Cycles(min, max) => {
                write!(f, "{min} to {max} cycles, or a time (\"24 ns\")")
            }
            Kind::Bytes(min, max) => write!(
                f,
                "{} to {}, in bytes or with a unit (\"6 MiB\")",
                units::show_bytes(*min),
                units::show_bytes(*max)
            ),
            Kind::Kilohertz(min, max) => {
                write!(f, "{min} to {max} kHz, or with a unit (\"1.38 GHz\")")
            }
            Kind::Text => write!(f, "a string"),
            Kind::Name(names) => write!(f, "one of {}", names.join(", ")),
            Kind::Counts(min, max) => write!(f, "a list of numbers, {min} to {max} each"),
            Kind::OpcodeCycles(min, max) => {
                write!(f, "\"OPCODE.PREFIX\" = cycles, {min} to {max} each")
            }
            Kind::Section => write!(f, "a section"),
        }
    }
}

/// Documentation of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyDoc {
    /// Dotted key, e.g. `l1.ways`.
    pub key: String,
    /// What it means.
    pub doc: &'static str,
    /// Kind and range.
    pub kind: Kind,
    /// What each name of a [`Kind::Name`] means, where the names are declared with their meanings.
    pub meanings: &'static [&'static str],
}

/// Reads checked values out of a raw configuration and collects every fault.
pub struct Reader<'a> {
    raw: &'a RawConfig,
    file: &'a str,
    core_clock_khz: u64,
    /// Keys that must be there; all where this is not said.
    needed: Option<&'static [&'static str]>,
    faults: Vec<String>,
    faulty: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader of `raw`; `file` is named for keys that no layer has.
    pub fn new(raw: &'a RawConfig, file: &'a str) -> Self {
        let mut reader = Reader {
            raw,
            file,
            core_clock_khz: 1,
            needed: None,
            faults: Vec::new(),
            faulty: Vec::new(),
        };
        // Times become cycles of this clock, so it is needed before the keys are read in order. A
        // bad value is reported when its own turn comes.
        reader.core_clock_khz = match raw.get("gpu.core_clock_khz").map(|entry| &entry.value) {
            Some(RawValue::Integer(khz)) => u64::try_from(*khz).unwrap_or(1),
            Some(RawValue::Text(text)) => units::kilohertz(text).unwrap_or(1),
            _ => 1,
        };
        reader
    }

    /// The same reader, for which only the keys `needed` must be there. Another one that is missing has the start of its
    /// range, its first name or an empty list.
    pub fn for_keys(mut self, needed: &'static [&'static str]) -> Self {
        self.needed = Some(needed);
        self
    }

    /// The faults so far, one line each.
    pub fn into_faults(self) -> Vec<String> {
        self.faults
    }

    /// Whether `key` had a fault.
    pub fn refused(&self, key: &str) -> bool {
        self.faulty.iter().any(|faulty| faulty == key)
    }

    /// Records a fault of `key`: its value as written, what is allowed, what to do.
    pub fn fault(&mut self, key: &str, allowed: &str, remedy: &str) {
        let line = match self.raw.get(key) {
            Some(entry) => format!(
                "{}: {key} = {}: allowed: {allowed}; {remedy}",
                entry.place, entry.value
            ),
            None if self.needed.is_some_and(|needed| !needed.contains(&key)) => return,
            None => format!(
                "{}: {key} is missing: allowed: {allowed}; {remedy}",
                self.file
            ),
        };
        self.faulty.push(key.to_owned());
        self.faults.push(line);
    }

    /// Records a fault of a key that nothing declares.
    pub fn unknown(&mut self, key: &str, entry: &RawEntry, hint: &str) {
        self.faults.push(format!(
            "{}: {key} = {}: no such key; {hint}",
            entry.place, entry.value
        ));
    }

    fn bad_kind(&mut self, key: &str, kind: &Kind) {
        let remedy = match self.raw.get(key) {
            Some(_) => "change the value",
            None => "add the key, or name a `base` that has it",
        };
        self.fault(key, &kind.to_string(), remedy);
    }

    fn number(&self, value: &RawValue, kind: &Kind) -> Option<u64> {
        match (value, kind) {
            (RawValue::Integer(value), _) => u64::try_from(*value).ok(),
            (RawValue::Text(text), Kind::Bytes(..)) => units::bytes(text),
            (RawValue::Text(text), Kind::Kilohertz(..)) => units::kilohertz(text),
            (RawValue::Text(text), Kind::Cycles(..)) => units::cycles(text, self.core_clock_khz),
            _ => None,
        }
    }

    /// A number within the range of `kind`; the range's start after a fault.
    fn ranged(&mut self, key: &str, kind: &Kind) -> u64 {
        let (Kind::Count(min, max)
        | Kind::Cycles(min, max)
        | Kind::Bytes(min, max)
        | Kind::Kilohertz(min, max)) = *kind
        else {
            unreachable!("{key}: a number needs a range, not {kind:?}");
        };
        let raw = self.raw;
        let value = raw.get(key).and_then(|e| self.number(&e.value, kind));
        match value {
            Some(value) if (min..=max).contains(&value) => value,
            _ => {
                self.bad_kind(key, kind);
                min
            }
        }
    }

    /// A list within the range of `kind`; empty after a fault.
    fn list(&mut self, key: &str, kind: &Kind) -> Vec<u64> {
        let Kind::Counts(min, max) = *kind else {
            unreachable!("{key}: a list needs a range, not {kind:?}");
        };
        if let Some(RawValue::Integers(values)) = self.raw.get(key).map(|e| &e.value) {
            let list: Option<Vec<u64>> = values
                .iter()
                .map(|&v| u64::try_from(v).ok().filter(|v| (min..=max).contains(v)))
                .collect();
            match list {
                Some(list) if !list.is_empty() => return list,
                _ => {}
            }
        }
        self.bad_kind(key, kind);
        Vec::new()
    }

    /// Which of `names` the key says; the first after a fault.
    pub fn name(&mut self, key: &str, kind: &Kind) -> usize {
        let Kind::Name(names) = *kind else {
            unreachable!("{key}: a name needs a list, not {kind:?}");
        };
        if let Some(RawValue::Text(text)) = self.raw.get(key).map(|e| &e.value)
            && let Some(at) = names.iter().position(|name| name == text)
        {
            return at;
        }
        self.bad_kind(key, kind);
        0
    }

    fn opcode_cycles(&mut self, table: &str, kind: &Kind) -> Vec<(String, u64)> {
        let Kind::OpcodeCycles(min, max) = *kind else {
            unreachable!("{table}: an opcode table needs a range, not {kind:?}");
        };
        let prefix = format!("{table}.");
        let raw = self.raw;
        let mut rows = Vec::new();
        for (key, _) in raw.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            let cycles = self.ranged(key, &Kind::Cycles(min, max));
            rows.push((key[prefix.len()..].to_owned(), cycles));
        }
        rows
    }
}

/// The value that `raw` has for `key`, of `kind`, as it is echoed; nothing where it is not allowed.
pub fn value(raw: &RawConfig, key: &str, kind: Kind) -> Option<Json> {
    let mut reader = Reader::new(raw, "");
    let mut echo = Echo::new();
    match kind {
        Kind::Flag => bool::read(&mut reader, key, kind).echo(key, kind, &mut echo),
        Kind::Text | Kind::Name(_) => {
            String::read(&mut reader, key, kind).echo(key, kind, &mut echo)
        }
        Kind::Counts(..) => {
            let list = reader.list(key, &kind);
            echo.insert(key.to_owned(), Json::from(list));
        }
        Kind::Count(..) | Kind::Cycles(..) | Kind::Bytes(..) | Kind::Kilohertz(..) => {
            u64::read(&mut reader, key, kind).echo(key, kind, &mut echo)
        }
        Kind::OpcodeCycles(..) | Kind::Section => return None,
    }
    match reader.faults.is_empty() {
        true => echo.remove(key),
        false => None,
    }
}

/// A type that a key may have.
pub trait Field: Sized {
    /// Appends the documentation of `key`, or of the section's keys.
    fn document(key: &str, doc: &'static str, kind: Kind, out: &mut Vec<KeyDoc>) {
        let key = key.to_owned();
        out.push(KeyDoc {
            key,
            doc,
            kind,
            meanings: &[],
        });
    }
    /// Reads and checks `key`; a placeholder after a fault.
    fn read(reader: &mut Reader<'_>, key: &str, kind: Kind) -> Self;
    /// Appends the resolved value under its dotted key.
    fn echo(&self, key: &str, kind: Kind, out: &mut Echo);
}

/// Resolved values by dotted key.
pub type Echo = BTreeMap<String, Json>;

/// The dotted key of `name` in `section`. Keys of the chip itself are in `[gpu]`; its sections have
/// names of their own.
pub fn join(section: &str, name: &str, kind: Kind) -> String {
    match (section, kind) {
        ("", Kind::Section) => name.to_owned(),
        ("", _) => format!("gpu.{name}"),
        _ => format!("{section}.{name}"),
    }
}

macro_rules! number_field {
    ($($ty:ty)+) => {$(
        impl Field for $ty {
            fn read(reader: &mut Reader<'_>, key: &str, kind: Kind) -> Self {
                let value = reader.ranged(key, &kind);
                <$ty>::try_from(value).expect("the range fits the type")
            }
            fn echo(&self, key: &str, _: Kind, out: &mut Echo) {
                out.insert(key.to_owned(), Json::from(*self));
            }
        }
    )+};
}
number_field!(u8 u16 u32 u64);

macro_rules! list_field {
    ($($ty:ty)+) => {$(
        impl Field for Vec<$ty> {
            fn read(reader: &mut Reader<'_>, key: &str, kind: Kind) -> Self {
                let list = reader.list(key, &kind);
                let fits = |v| <$ty>::try_from(v).expect("the range fits the type");
                list.into_iter().map(fits).collect()
            }
            fn echo(&self, key: &str, _: Kind, out: &mut Echo) {
                out.insert(key.to_owned(), Json::from(self.clone()));
            }
        }
    )+};
}
list_field!(u16 u32);

impl Field for bool {
    fn read(reader: &mut Reader<'_>, key: &str, kind: Kind) -> Self {
        if let Some(RawValue::Flag(flag)) = reader.raw.get(key).map(|e| &e.value) {
            return *flag;
        }
        reader.bad_kind(key, &kind);
        false
    }
    fn echo(&self, key: &str, _: Kind, out: &mut Echo) {
        out.insert(key.to_owned(), Json::from(*self));
    }
}

impl Field for String {
    fn read(reader: &mut Reader<'_>, key: &str, kind: Kind) -> Self {
        if let Kind::Name(names) = kind {
            return names[reader.name(key, &kind)].to_owned();
        }
        match reader.raw.get(key).map(|e| &e.value) {
            Some(RawValue::Text(text)) if !text.is_empty() => text.clone(),
            _ => {
                reader.bad_kind(key, &kind);
                String::new()
            }
        }
    }
    fn echo(&self, key: &str, _: Kind, out: &mut Echo) {
        out.insert(key.to_owned(), Json::from(self.as_str()));
    }
}

impl Field for Vec<super::TensorLatency> {
    fn read(reader: &mut Reader<'_>, key: &str, kind: Kind) -> Self {
        let rows = reader.opcode_cycles(key, &kind).into_iter();
        let row = |(opcode, cycles)| super::TensorLatency {
            opcode,
            cycles: u16::try_from(cycles).expect("the range fits the type"),
        };
        rows.map(row).collect()
    }
    fn echo(&self, key: &str, _: Kind, out: &mut Echo) {
        let rows = self.iter();
        let table = rows.map(|row| (row.opcode.clone(), Json::from(row.cycles)));
        out.insert(key.to_owned(), Json::Object(table.collect()));
    }
}
