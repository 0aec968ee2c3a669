//! Text that fits.

/// `text` in lines of at most `width` characters, cut at spaces.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("one line at least");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// `text`, its middle left out when it is longer than `width`.
pub(super) fn shorten(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let head = (width - 2) / 2;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - (width - 2 - head)).collect();
    format!("{start}..{end}")
}

/// A rate or a time with about five digits.
pub(super) fn real(x: f64) -> String {
    match x {
        x if x >= 1e4 => group(x.round() as u64),
        x if x >= 1e3 => format!("{x:.1}"),
        _ => format!("{x:.2}"),
    }
}

/// Digits in groups of three; from a hundred million on, in millions or thousand millions.
pub(super) fn group(n: u64) -> String {
    if n >= 10_000_000_000 {
        return format!("{:.2} G", n as f64 / 1e9);
    }
    if n >= 100_000_000 {
        return format!("{:.1} M", n as f64 / 1e6);
    }
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_fit() {
        assert_eq!(group(0), "0");
        assert_eq!(group(1_234_567), "1,234,567");
        assert_eq!(group(12_345_678_901), "12.35 G");
        assert_eq!(shorten("abcdefghij", 6), "ab..ij");
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
    }
}
