//! Numbers as the tools write them.

/// What a cell says.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// Something else, and what it is.
    Other(String),
    /// Perhaps a number, with separators that could mean two things; and which.
    Foreign(&'static str),
}

/// What `text` says. A comma is a separator of thousands only where each group behind it has three digits and no point
/// comes before it: `3,67` is a number in half of the world, and another one than here.
pub fn number(text: &str) -> Cell {
    let text = text.trim();
    let bare = text.trim_start_matches("(!)").trim();
    if bare.is_empty() || bare == "-" || bare.eq_ignore_ascii_case("n/a") {
        return Cell::Other("there is no value".into());
    }
    let plain = match text.contains(',') {
        true if are_thousands(text) => text.replace(',', ""),
        true if is_of_digits(text) => {
            return Cell::Foreign(
                "this comma stands between no thousands, so that it may begin decimals",
            );
        }
        _ => text.to_owned(),
    };
    match plain.parse::<f64>() {
        Ok(number) if number.is_finite() => Cell::Number(number),
        Ok(_) => Cell::Other(format!("{text:?} is no finite number")),
        Err(_) if is_of_digits(text) => {
            Cell::Foreign("these separators are not those of a number in the C locale")
        }
        Err(_) => Cell::Other(format!("{text:?} is no number")),
    }
}

/// Whether the commas of `text` stand between thousands.
fn are_thousands(text: &str) -> bool {
    let whole = text.split('.').next().unwrap_or(text);
    let mut groups = whole.trim_start_matches(['-', '+']).split(',');
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    let first = groups.next().unwrap_or("");
    // 0,670 is no thousand of anything.
    (1..=3).contains(&first.len())
        && digits(first)
        && !first.starts_with('0')
        && groups.all(|group| group.len() == 3 && digits(group))
        && !text[whole.len()..].contains(',')
}

/// Whether `text` has nothing but digits and what some language sets between them.
fn is_of_digits(text: &str) -> bool {
    let separator = |c: char| matches!(c, '.' | ',' | '\'' | '’' | '_') || c.is_whitespace();
    let rest = text.trim_start_matches(['-', '+']);
    rest.contains(|c: char| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || separator(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_are_thousands_or_nothing() {
        for (text, value) in [
            ("1,234,567.5", 1_234_567.5),
            ("-5,059", -5059.0),
            (" 12.25 ", 12.25),
            ("1e3", 1000.0),
            ("0", 0.0),
        ] {
            assert_eq!(number(text), Cell::Number(value), "{text}");
        }
        for text in [
            "3,67",
            "1.234,56",
            "1,2345",
            "50,59",
            ",5",
            "0,670",
            "1234,567",
            "1,23,456",
            "5 059",
            "5'059",
            "5\u{202f}059",
            "1.234.567",
            "1.234,567",
        ] {
            assert!(matches!(number(text), Cell::Foreign(_)), "{text}");
        }
        for text in [
            "",
            "n/a",
            "(!) n/a",
            "nan",
            "inf",
            "5,059 (1; 2; 3)",
            "CachePreferNone",
        ] {
            assert!(matches!(number(text), Cell::Other(_)), "{text}");
        }
    }
}
