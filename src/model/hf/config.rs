//! A `config.json`: keys that must be there and make sense, or an error that names them.

use crate::error::{Error, Result};
use crate::model::graph::Dtype;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Largest number that a dimension may have.
const COUNT_MAX: u64 = 1 << 32;
/// Most layers.
const LAYERS_MAX: u64 = 1000;

/// A value whose objects have each key once: of two, nobody could say which one is meant.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

/// Values that are as they come.
macro_rules! plain {
    ($($visit:ident($kind:ty)),*) => { $(
        fn $visit<E: serde::de::Error>(self, value: $kind) -> std::result::Result<Once, E> {
            Ok(Once(value.into()))
        }
    )* };
}

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    plain!(
        visit_bool(bool),
        visit_i64(i64),
        visit_u64(u64),
        visit_f64(f64),
        visit_str(&str)
    );

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Once, E> {
        Ok(Once(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Once, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Once(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Once, A::Error> {
        let mut keys = Map::new();
        while let Some((key, Once(value))) = map.next_entry::<String, Once>()? {
            if keys.contains_key(&key) {
                let what = format!("key {key} is there twice");
                return Err(serde::de::Error::custom(what));
            }
            keys.insert(key, value);
        }
        Ok(Once(Value::Object(keys)))
    }
}

/// A configuration, or a section of one.
#[derive(Clone, Debug)]
pub struct Config {
    file: String,
    section: String,
    keys: Map<String, Value>,
}

impl Config {
    /// Reads `text`, the content of `file`.
    ///
    /// # Errors
    /// What is no JSON object.
    pub fn read(file: &str, text: &str) -> Result<Self> {
        let parsed: Once = serde_json::from_str(text).map_err(|e| {
            Error::input(
                file,
                format!("line {}", e.line()),
                format!("it cannot be read as JSON ({e})"),
                "name the config.json of a model",
            )
        })?;
        match parsed.0 {
            Value::Object(keys) => Ok(Config {
                file: file.into(),
                section: String::new(),
                keys,
            }),
            _ => Err(Error::input(
                file,
                "whole file",
                "this is JSON, but no object",
                "name the config.json of a model",
            )),
        }
    }

    /// The file that it is from, or the name of the model.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// An error at `key`.
    pub fn wrong(&self, key: &str, what: impl Into<String>) -> Error {
        Error::input(
            &self.file,
            format!("key {}{key}", self.section),
            what,
            "correct the key, or fetch the configuration again",
        )
    }

    /// The value of `key`, unless it is absent or null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    /// Whether `key` is there, and neither null, nor an empty list.
    pub fn has(&self, key: &str) -> bool {
        let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        self.get(key).is_some_and(|value| !empty(value))
    }

    /// A positive number that may be absent.
    ///
    /// # Errors
    /// What is no such number.
    pub fn maybe(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(n) if (1..=COUNT_MAX).contains(&n) => Ok(Some(n)),
            _ => Err(self.wrong(key, format!("{value} is not an integer from 1 to 2^32"))),
        }
    }

    /// A positive number.
    ///
    /// # Errors
    /// A missing key, and what is no such number.
    pub fn count(&self, key: &str) -> Result<u64> {
        self.maybe(key)?
            .ok_or_else(|| self.wrong(key, format!("{key} is missing")))
    }

    /// A number that may be zero.
    ///
    /// # Errors
    /// What is no such number.
    pub fn count_or(&self, key: &str, default: u64) -> Result<u64> {
        match self.get(key) {
            None => Ok(default),
            Some(value) if value.as_u64() == Some(0) => Ok(0),
            Some(_) => self.count(key),
        }
    }

    /// A number of layers.
    ///
    /// # Errors
    /// As [`Config::count`], and more layers than are read.
    pub fn layers(&self, key: &str) -> Result<u64> {
        match self.count(key)? {
            n if n <= LAYERS_MAX => Ok(n),
            n => Err(self.wrong(key, format!("{n} layers; up to {LAYERS_MAX} are read"))),
        }
    }

    /// The part of `whole` (key and value) that each of `parts` has.
    ///
    /// # Errors
    /// Parts that do not divide the whole.
    pub fn divided(&self, whole: (&str, u64), parts: (&str, u64)) -> Result<u64> {
        match whole.1 % parts.1 {
            0 => Ok(whole.1 / parts.1),
            _ => Err(self.wrong(
                parts.0,
                format!(
                    "{} = {} is not divisible by it ({})",
                    whole.0, whole.1, parts.1
                ),
            )),
        }
    }

    /// A truth value.
    ///
    /// # Errors
    /// What is none.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.wrong(key, format!("{value} is neither true nor false"))),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// What is none.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.wrong(key, format!("{value} is no text"))),
        }
    }

    /// A section, empty where it is absent.
    ///
    /// # Errors
    /// What is no object.
    pub fn section(&self, key: &str) -> Result<Config> {
        let keys = match self.get(key) {
            None => Map::new(),
            Some(Value::Object(keys)) => keys.clone(),
            Some(value) => return Err(self.wrong(key, format!("{value} is no object"))),
        };
        Ok(Config {
            file: self.file.clone(),
            section: format!("{key}."),
            keys,
        })
    }

    /// The type of the weights: 32-bit floats where the file does not say.
    ///
    /// # Errors
    /// A type that is none.
    pub fn dtype(&self) -> Result<Dtype> {
        let key = match self.get("dtype") {
            Some(_) => "dtype",
            None => "torch_dtype",
        };
        Ok(match self.text(key)? {
            None | Some("float32" | "auto") => Dtype::Float32,
            Some("float16") => Dtype::Float16,
            Some("bfloat16") => Dtype::Bfloat16,
            Some("float64") => Dtype::Float64,
            Some(other) => {
                let what = format!("{other}: expected float32, float16, bfloat16 or float64");
                return Err(self.wrong(key, what));
            }
        })
    }
}
