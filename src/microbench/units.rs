//! Units of results, and when a number in one can be compared with a number in another.

/// Units that differ by a factor: each group with its units and their size in the first one's.
const SCALES: &[&[(&str, f64)]] = &[
    &[
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
    ],
    &[
        ("B/s", 1.0),
        ("KB/s", 1e3),
        ("MB/s", 1e6),
        ("GB/s", 1e9),
        ("TB/s", 1e12),
    ],
    &[
        ("B", 1.0),
        ("KiB", 1024.0),
        ("MiB", 1048576.0),
        ("GiB", 1073741824.0),
    ],
    &[("cycles", 1.0), ("cycle", 1.0), ("clk", 1.0)],
];

/// Nanoseconds of a unit of time.
fn nanoseconds(unit: &str) -> Option<f64> {
    let time = SCALES[0].iter().find(|(name, _)| *name == unit);
    time.map(|(_, size)| *size)
}

fn is_cycles(unit: &str) -> bool {
    SCALES[3].iter().any(|(name, _)| *name == unit)
}

/// What a number in `from` must be multiplied with to be one in `to`; nothing when they measure different things.
/// Cycles and times need the clock, `khz`. A number without unit is taken as it is.
pub fn factor(from: &str, to: &str, khz: Option<f64>) -> Option<f64> {
    if from == to || from.is_empty() || to.is_empty() {
        return Some(1.0);
    }
    for scale in SCALES {
        let size = |unit: &str| scale.iter().find(|(name, _)| *name == unit).map(|u| u.1);
        if let (Some(from), Some(to)) = (size(from), size(to)) {
            return Some(from / to);
        }
    }
    let cycles_per_ns = khz? / 1e6;
    match (nanoseconds(from), nanoseconds(to)) {
        (Some(ns), None) if is_cycles(to) => Some(ns * cycles_per_ns),
        (None, Some(ns)) if is_cycles(from) => Some(1.0 / (ns * cycles_per_ns)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_units_of_the_same_thing_are_compared() {
        let close = |found: Option<f64>, expected: f64| {
            let found = found.unwrap();
            assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
        };
        close(factor("us", "ns", None), 1e3);
        close(factor("ms", "us", None), 1e3);
        close(factor("GB/s", "TB/s", None), 1e-3);
        close(factor("us", "cycles", Some(1_380_000.0)), 1380.0);
        close(factor("cycles", "us", Some(2_000_000.0)), 0.0005);
        close(factor("", "cycles", None), 1.0);
        for (from, to) in [
            ("us", "cycles"),
            ("B", "B/s"),
            ("FMA/clk/SM", "cycles"),
            ("ratio", "us"),
        ] {
            assert_eq!(factor(from, to, None), None, "{from} {to}");
        }
        assert_eq!(factor("B", "cycles", Some(1e6)), None);
    }
}
