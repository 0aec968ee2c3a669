//! Numbers with units, as configuration files spell them: `6 MiB`, `1.38 GHz`, `24 ns`.
//!
//! Everything is exact integer arithmetic; no float touches a configuration value.

/// A decimal number scaled by a power of ten: `digits / 10^decimals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    digits: u128,
    decimals: u32,
}

/// Splits `1.38 GHz` into the number and the unit.
fn split(text: &str) -> Option<(Decimal, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let mut parts = number.splitn(2, '.');
    let whole = parts.next()?.replace('_', "");
    let fraction = parts.next().unwrap_or("").replace('_', "");
    if whole.is_empty() || whole.len() + fraction.len() > 24 {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    let decimals = fraction.len() as u32;
    Some((Decimal { digits, decimals }, unit.trim()))
}

impl Decimal {
    /// `self * numerator / denominator`, rounded to the nearest integer (half up).
    fn scale(self, numerator: u128, denominator: u128) -> Option<u64> {
        let denominator = denominator.checked_mul(10u128.checked_pow(self.decimals)?)?;
        let product = self.digits.checked_mul(numerator)?;
        let rounded = product.checked_add(denominator / 2)? / denominator;
        u64::try_from(rounded).ok()
    }

    /// The same, or `None` when the result is no integer.
    fn scale_exactly(self, factor: u128) -> Option<u64> {
        let denominator = 10u128.checked_pow(self.decimals)?;
        let product = self.digits.checked_mul(factor)?;
        if product % denominator != 0 {
            return None;
        }
        u64::try_from(product / denominator).ok()
    }
}

/// Bytes: `80 GiB`, `128 KiB`, `1.5 MB`, `64B`, or a plain number.
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u128 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        "tib" | "t" => 1 << 40,
        _ => return None,
    };
    number.scale_exactly(factor)
}

/// Kilohertz: `1.38 GHz`, `877 MHz`, `1380000 kHz`, or a plain number of kHz.
pub fn kilohertz(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u128 = match unit.to_ascii_lowercase().as_str() {
        "" | "khz" => 1,
        "mhz" => 1_000,
        "ghz" => 1_000_000,
        _ => return None,
    };
    number.scale_exactly(factor)
}

/// Cycles of a clock of `clock_khz`: `24 ns`, `1.2 us`, `40 cycles`, or a plain number of cycles.
/// Times are rounded to the nearest cycle.
pub fn cycles(text: &str, clock_khz: u64) -> Option<u64> {
    let (number, unit) = split(text)?;
    let khz = u128::from(clock_khz);
    match unit.to_ascii_lowercase().as_str() {
        "" | "cycle" | "cycles" => number.scale_exactly(1),
        "ps" => number.scale(khz, 1_000_000_000),
        "ns" => number.scale(khz, 1_000_000),
        "us" => number.scale(khz, 1_000),
        _ => None,
    }
}

/// Bytes for people: the largest binary unit that leaves at most two decimals.
pub fn show_bytes(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift {
            let hundredths = (u128::from(bytes) * 100) >> shift;
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let text = text.trim_end_matches('0').trim_end_matches('.');
            return format!("{text} {unit}");
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_exact() {
        assert_eq!(bytes("6 MiB"), Some(6 << 20));
        assert_eq!(bytes("4.5MiB"), Some(9 << 19));
        assert_eq!(bytes("80 GB"), Some(80_000_000_000));
        assert_eq!(bytes("64"), Some(64));
        assert_eq!(bytes("0.3 B"), None);
        assert_eq!(bytes("6 Mib/s"), None);
        assert_eq!(bytes(""), None);
        assert_eq!(kilohertz("1.38 GHz"), Some(1_380_000));
        assert_eq!(kilohertz("877 MHz"), Some(877_000));
        assert_eq!(cycles("24 ns", 1_000_000), Some(24));
        assert_eq!(cycles("24 ns", 1_380_000), Some(33));
        assert_eq!(cycles("1.5 us", 1_755_000), Some(2633));
        assert_eq!(cycles("40", 1), Some(40));
        assert_eq!(cycles("1 s", 1), None);
    }

    #[test]
    fn absurd_numbers_are_no_numbers() {
        assert_eq!(bytes("99999999999999999999999999999"), None);
        assert_eq!(bytes("18446744073709551615 TiB"), None);
        assert_eq!(kilohertz("-1 GHz"), None);
        assert_eq!(bytes("1.2.3 MiB"), None);
    }

    #[test]
    fn bytes_read_well() {
        assert_eq!(show_bytes(6 << 20), "6 MiB");
        assert_eq!(show_bytes(9 << 19), "4.5 MiB");
        assert_eq!(show_bytes(512), "512 B");
    }
}
