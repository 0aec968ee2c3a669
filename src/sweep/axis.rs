//! Axes: which values a key takes, or several keys together.

use super::file::{self, File};
use crate::config::Layers;
use crate::error::{Error, Result};
use serde_json::Value as Json;
use toml::Value;

/// Most points of a sweep.
pub const POINTS_MAX: u64 = 1_000_000;

/// A value of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// As TOML.
    pub text: String,
    /// As the results show it: a number without unit where it has one.
    pub shown: String,
    /// The number that it is.
    pub number: Option<f64>,
}

/// An axis of a sweep.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its keys: more than one where they move together.
    pub keys: Vec<String>,
    /// Its values.
    pub values: Values,
}

/// Values of an axis.
#[derive(Clone, Debug)]
pub enum Values {
    /// These; each has a setting for each key.
    List(Vec<Vec<Setting>>),
    /// Any number between two, of which some are drawn.
    Between {
        /// The least.
        from: u64,
        /// The greatest.
        to: u64,
        /// Each order of magnitude is as likely as another.
        log: bool,
    },
}

impl Axis {
    /// Whether all values of its key `key` are numbers as the results show them.
    pub fn is_number(&self, key: &str) -> bool {
        let at = self.keys.iter().position(|own| own == key);
        match &self.values {
            Values::List(rows) => at.is_some_and(|at| {
                rows.iter()
                    .all(|row| row[at].shown.parse::<f64>().is_ok_and(f64::is_finite))
            }),
            Values::Between { .. } => at.is_some(),
        }
    }
}

impl Setting {
    /// `value` of `key` on the machine of `layers`.
    ///
    /// # Errors
    /// A key that does not exist, a value that it does not allow; in a sentence.
    pub fn of(layers: &Layers, key: &str, value: &Value) -> std::result::Result<Self, String> {
        let text = value.to_string();
        let meant = layers.value(key, &text)?;
        let shown = match (&meant, value) {
            (Json::String(text), _) => text.clone(),
            // A time is another number of cycles on another machine.
            (_, Value::String(written)) if written.trim_end().ends_with('s') => written.clone(),
            (other, _) => other.to_string(),
        };
        let number = match &meant {
            Json::Bool(flag) => Some(f64::from(u8::from(*flag))),
            other => other.as_f64(),
        };
        Ok(Setting {
            text,
            shown,
            number,
        })
    }

    /// A whole number.
    pub fn whole(number: u64) -> Self {
        Setting {
            text: number.to_string(),
            shown: number.to_string(),
            number: Some(number as f64),
        }
    }
}

/// Reads axis number `at` of `file`. `drawn`: a range may leave open which of its numbers are taken.
///
/// # Errors
/// An axis without key or values, keys that do not exist, values that they do not allow.
pub fn read(file: &File, at: usize, layers: &Layers, drawn: bool) -> Result<Axis> {
    let written = &file.written.axis[at];
    let keys = match (&written.key, &written.keys) {
        (Some(key), None) => vec![key.clone()],
        (None, Some(keys)) if !keys.is_empty() => keys.clone(),
        _ => {
            let place = format!("axis {}", at + 1);
            let remedy = "give either key = \"l1.ways\" or keys = [\"l2.bytes\", \"l2.ways\"]";
            return Err(file.fault(place, "which key it is of cannot be told", remedy));
        }
    };
    let reader = Reader {
        file,
        place: format!("axis {}", keys.join(", ")),
        keys: &keys,
        layers,
    };
    let values = match (&written.values, &written.range) {
        (Some(values), None) => Values::List(reader.list(values, written.keys.is_some())?),
        (None, Some(range)) => reader.range(range, drawn)?,
        _ => {
            let remedy = "give either values = [...] or range = { from, to, step }";
            return Err(reader.fault("which values it takes cannot be told", remedy));
        }
    };
    Ok(Axis { keys, values })
}

struct Reader<'a> {
    file: &'a File,
    place: String,
    keys: &'a [String],
    layers: &'a Layers,
}

impl Reader<'_> {
    fn fault(&self, what: impl Into<String>, remedy: &str) -> Error {
        self.file.fault(self.place.clone(), what, remedy)
    }

    fn setting(&self, key: &str, value: &Value) -> Result<Setting> {
        Setting::of(self.layers, key, value).map_err(|fault| {
            let file = self.file.path.display().to_string();
            Error::config(file, format!("{}: {fault}", self.place))
        })
    }

    fn list(&self, values: &[Value], together: bool) -> Result<Vec<Vec<Setting>>> {
        let mut all: Vec<Vec<Setting>> = Vec::with_capacity(values.len());
        for value in values {
            let row = match (together, value) {
                (false, value) => vec![self.setting(&self.keys[0], value)?],
                (true, Value::Array(row)) if row.len() == self.keys.len() => {
                    let pairs = self.keys.iter().zip(row);
                    pairs
                        .map(|(key, value)| self.setting(key, value))
                        .collect::<Result<_>>()?
                }
                (true, other) => {
                    let what = format!("{other} is not a list of {} values", self.keys.len());
                    return Err(self.fault(what, "give each point a value for each key"));
                }
            };
            let shown = |row: &[Setting]| -> Vec<String> {
                row.iter().map(|setting| setting.shown.clone()).collect()
            };
            if all.iter().any(|known| shown(known) == shown(&row)) {
                let what = format!("{} stands there twice", shown(&row).join(", "));
                return Err(self.fault(what, "name each value once"));
            }
            all.push(row);
        }
        match all.is_empty() {
            true => Err(self.fault("it has no values", "give it some, or leave the axis away")),
            false => Ok(all),
        }
    }

    /// A whole number for an end or a step of the range.
    fn whole(&self, what: &str, value: &Value, key: bool) -> Result<u64> {
        let number = match key {
            true => self.setting(&self.keys[0], value)?.number,
            // A step need not be a value that the key allows, but it may have the unit of one.
            false => match value {
                Value::String(text) => crate::config::units::bytes(text)
                    .or_else(|| crate::config::units::kilohertz(text))
                    .map(|n| n as f64),
                other => other.as_integer().map(|n| n as f64),
            },
        };
        let whole = number.filter(|n| *n >= 0.0 && n.fract() == 0.0 && *n < 9e15);
        whole.map(|n| n as u64).ok_or_else(|| {
            let what = format!("{what} = {value} is no whole number from 0 on");
            self.fault(
                what,
                "ranges are of numbers; give other keys values = [...]",
            )
        })
    }

    fn range(&self, range: &file::Range, drawn: bool) -> Result<Values> {
        if self.keys.len() > 1 {
            let what = "a range is of one key";
            return Err(self.fault(what, "give keys that move together values = [[...], ...]"));
        }
        let from = self.whole("from", &range.from, true)?;
        let to = self.whole("to", &range.to, true)?;
        if from > to {
            let what = format!("from = {from} is above to = {to}: it has no values");
            return Err(self.fault(what, "put the smaller one first"));
        }
        if from == 0 && (range.log || range.factor.is_some()) {
            return Err(self.fault("0 has no logarithm", "begin above 0, or give a step"));
        }
        let numbers = match (&range.step, range.factor, range.count) {
            (Some(step), None, None) => self.steps(from, to, self.whole("step", step, false)?)?,
            (None, Some(factor), None) => self.factors(from, to, factor)?,
            (None, None, Some(count)) => self.spread(from, to, count, range.log)?,
            (None, None, None) if drawn => {
                return Ok(Values::Between {
                    from,
                    to,
                    log: range.log,
                });
            }
            _ => {
                let what = "which numbers of the range are taken cannot be told";
                let remedy =
                    "give one of step, factor and count (with a [sample] none of them is needed)";
                return Err(self.fault(what, remedy));
            }
        };
        let mut all = Vec::with_capacity(numbers.len());
        for number in numbers {
            // Each of them is looked at: a range may pass through what the key does not allow.
            let value = Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
            all.push(vec![self.setting(&self.keys[0], &value)?]);
        }
        Ok(Values::List(all))
    }

    /// Refuses `count` values of a range when they are too many.
    fn bounded(&self, count: u64) -> Result<()> {
        if count <= POINTS_MAX {
            return Ok(());
        }
        let what = format!("it has {count} values; a sweep has at most {POINTS_MAX} points");
        Err(self.fault(what, "take a larger step, or draw points with [sample]"))
    }

    fn steps(&self, from: u64, to: u64, step: u64) -> Result<Vec<u64>> {
        if step == 0 {
            return Err(self.fault("step = 0 never ends", "give a step above 0"));
        }
        let count = (to - from) / step + 1;
        self.bounded(count)?;
        Ok((0..count).map(|n| from + n * step).collect())
    }

    fn factors(&self, from: u64, to: u64, factor: f64) -> Result<Vec<u64>> {
        if !(factor > 1.0 && factor.is_finite()) {
            let what = format!("factor = {factor} never ends");
            return Err(self.fault(what, "give a factor above 1"));
        }
        let (mut all, mut value) = (Vec::new(), from as f64);
        while value.round() as u64 <= to {
            self.bounded(all.len() as u64)?;
            all.push(value.round() as u64);
            value *= factor;
        }
        all.dedup();
        Ok(all)
    }

    fn spread(&self, from: u64, to: u64, count: u64, log: bool) -> Result<Vec<u64>> {
        self.bounded(count)?;
        if count == 0 {
            return Err(self.fault("count = 0: it has no values", "give a count above 0"));
        }
        let place = |n: u64| n as f64 / (count - 1).max(1) as f64;
        let mut all: Vec<u64> = (0..count)
            .map(|n| between(from, to, place(n), log))
            .collect();
        all.dedup();
        Ok(all)
    }
}

/// The whole number at `place` (0 to 1) from `from` to `to`.
pub fn between(from: u64, to: u64, place: f64, log: bool) -> u64 {
    let (low, high) = (from as f64, to as f64);
    let value = match log {
        true => low * (high / low).powf(place),
        false => low + (high - low) * place,
    };
    (value.round() as u64).clamp(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::file::Usual;

    /// The values of an axis that says `text`, as the results show them.
    fn values(text: &str) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let text =
            format!("gpus = [\"v100\"]\n[[workload]]\nsynth = \"synth:empty\"\n[[axis]]\n{text}\n");
        std::fs::write(&path, text).unwrap();
        let file = File::read(&path, &Usual::default())?;
        let axis = read(&file, 0, &Layers::of("v100")?, false)?;
        let Values::List(rows) = axis.values else {
            panic!("a range that is not drawn has values");
        };
        let join = |row: Vec<Setting>| {
            let shown: Vec<String> = row.into_iter().map(|s| s.shown).collect();
            shown.join("+")
        };
        Ok(rows.into_iter().map(join).collect())
    }

    #[test]
    fn values_come_as_numbers_whatever_they_are_written_as() {
        let got = |text: &str| values(text).unwrap().join(" ");
        assert_eq!(
            got("key = \"l2.bytes\"\nvalues = [\"3 MiB\", 6291456]"),
            "3145728 6291456"
        );
        assert_eq!(
            got("key = \"l1.mshrs\"\nrange = { from = 16, to = 64, step = 16 }"),
            "16 32 48 64"
        );
        assert_eq!(
            got("key = \"l1.mshrs\"\nrange = { from = 16, to = 200, factor = 2 }"),
            "16 32 64 128"
        );
        assert_eq!(
            got("key = \"l1.mshrs\"\nrange = { from = 8, to = 512, count = 4, log = true }"),
            "8 32 128 512"
        );
        assert_eq!(
            got("keys = [\"l1.mshrs\", \"sm.scheduler\"]\nvalues = [[8, \"gto\"], [16, \"lrr\"]]"),
            "8+gto 16+lrr"
        );
    }

    #[test]
    fn what_is_no_axis_is_refused_with_its_key() {
        for (text, status, word) in [
            ("values = [1]", 1, "which key"),
            ("key = \"l1.ways\"", 1, "which values"),
            ("key = \"l1.ways\"\nvalues = []", 1, "no values"),
            ("key = \"l1.ways\"\nvalues = [4, 4]", 1, "twice"),
            ("key = \"l1.way\"\nvalues = [4]", 2, "did you mean l1.ways"),
            ("key = \"l1.ways\"\nvalues = [\"four\"]", 2, "allowed"),
            (
                "key = \"l1.mshrs\"\nrange = { from = 8, to = 4, step = 1 }",
                1,
                "no values",
            ),
            (
                "key = \"l1.mshrs\"\nrange = { from = 1, to = 4, step = 0 }",
                1,
                "never ends",
            ),
            (
                "key = \"l1.mshrs\"\nrange = { from = 1, to = 4 }",
                1,
                "cannot be told",
            ),
            (
                "keys = [\"l1.mshrs\", \"l1.ways\"]\nvalues = [[8]]",
                1,
                "list of 2",
            ),
            (
                "key = \"l2.bytes\"\nrange = { from = 0, to = \"1 TiB\", step = 1 }",
                2,
                "allowed",
            ),
        ] {
            let error = values(text).unwrap_err();
            assert_eq!(error.exit_status(), status, "{text}: {error}");
            assert!(error.to_string().contains(word), "{text}: {error}");
        }
    }
}
