//! What becomes of a key: a value, or how many times what it was.

use crate::config::field::Kind;
use crate::config::raw::RawValue;
use serde_json::Value as Json;

/// The only key whose values can be tried one after the other.
pub const TRIED: &str = "l1.carveouts_kib";

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This value, as TOML.
    Is(String),
    /// So many times what it was, rounded to the next whole number.
    Times(u64, u64),
    /// Of a list only the last value.
    Last,
    /// Of [`TRIED`] whatever suits each kernel best.
    Best,
}

/// Reads `value` of a key of `kind`; `key` decides whether values can be tried.
///
/// # Errors
/// A relative value that is none, with what would be one.
pub fn read(key: &str, kind: Kind, value: &RawValue) -> Result<Change, String> {
    let number = matches!(
        kind,
        Kind::Count(..) | Kind::Cycles(..) | Kind::Bytes(..) | Kind::Kilohertz(..)
    );
    let text = match value {
        RawValue::Text(text) => text.trim(),
        _ => return Ok(Change::Is(value.to_string())),
    };
    match (kind, text) {
        (Kind::Counts(..), "last") => Ok(Change::Last),
        (Kind::Counts(..), "best") if key == TRIED => Ok(Change::Best),
        _ if number && text.starts_with(['x', '+', '-']) => relative(text).ok_or_else(|| {
            format!("{value} is no relative value: write \"x2\", \"x0.5\", \"+50%\" or \"-10%\"")
        }),
        _ => Ok(Change::Is(value.to_string())),
    }
}

/// `x2`, `x0.5`, `+50%`, `-10%`; above nothing and at most a thousand times.
fn relative(text: &str) -> Option<Change> {
    let (of, whole) = match text.strip_prefix('x') {
        Some(times) => (decimal(times)?, 1),
        None => {
            let percent = text.strip_suffix('%')?;
            let (digits, scale) = decimal(&percent[1..])?;
            let all = 100 * scale;
            let sum = match percent.starts_with('+') {
                true => all + digits,
                false => all.checked_sub(digits)?,
            };
            ((sum, scale), 100)
        }
    };
    let (digits, scale) = (of.0, of.1 * whole);
    (digits > 0 && digits <= 1000 * scale).then_some(Change::Times(digits, scale))
}

/// A decimal number as digits and the power of ten that they are divided by.
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{part}");
    let plain =
        !whole.is_empty() && digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| Some((digits.parse().ok()?, 10u64.pow(part.len() as u32))))?
}

/// `number` times `times` / `of`, rounded half up.
pub fn scaled(number: u64, times: u64, of: u64) -> u64 {
    let product = u128::from(number) * u128::from(times);
    let (of, half) = (u128::from(of), u128::from(of / 2));
    u64::try_from((product + half) / of).unwrap_or(u64::MAX)
}

impl Change {
    /// The value of a key that is `base` on the machine, as TOML; nothing where it is not one value.
    pub fn of(&self, base: &Json) -> Option<String> {
        match self {
            Change::Is(value) => Some(value.clone()),
            Change::Times(times, of) => Some(scaled(base.as_u64()?, *times, *of).to_string()),
            Change::Last => Some(format!("[{}]", base.as_array()?.last()?)),
            Change::Best => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(text: &str) -> Result<Change, String> {
        read(
            "l1.ways",
            Kind::Count(1, 4096),
            &RawValue::Text(text.into()),
        )
    }

    #[test]
    fn relative_values_are_exact() {
        for (text, base, value) in [
            ("x2", 7, "14"),
            ("x0.5", 7, "4"),
            ("x1.25", 64, "80"),
            ("+50%", 3, "5"),
            ("+12.5%", 80, "90"),
            ("-10%", 877_000, "789300"),
        ] {
            let change = of(text).unwrap();
            assert_eq!(change.of(&json!(base)).unwrap(), value, "{text}");
        }
        assert_eq!(scaled(u64::MAX, 2, 1), u64::MAX);
    }

    #[test]
    fn what_is_no_relative_value_says_what_one_is() {
        for bad in [
            "x", "x0", "xx", "x1001", "+5", "+%", "-100%", "-200%", "x1e3", "x-1", "x1.2.3",
        ] {
            let fault = of(bad).unwrap_err();
            assert!(fault.contains("\"x0.5\""), "{bad}: {fault}");
        }
        assert_eq!(of("6 MiB"), Ok(Change::Is("\"6 MiB\"".into())));
    }

    #[test]
    fn words_are_of_lists_and_names_are_not_relative() {
        let words =
            |key: &str, kind: Kind, text: &str| read(key, kind, &RawValue::Text(text.into()));
        let list = Kind::Counts(0, 9);
        assert_eq!(words("noc.gpc_offsets", list, "last"), Ok(Change::Last));
        assert_eq!(words(TRIED, list, "best"), Ok(Change::Best));
        assert_eq!(Change::Last.of(&json!([0, 8, 96])).unwrap(), "[96]");
        let literal = Ok(Change::Is("\"best\"".into()));
        assert_eq!(words("noc.gpc_offsets", list, "best"), literal);
        let name = words("sm.scheduler", Kind::Name(&["gto"]), "x2");
        assert_eq!(name, Ok(Change::Is("\"x2\"".into())));
    }
}
