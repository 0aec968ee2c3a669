//! What may move: physical quantities that differ from board to board, or that were set as a part of a measured sum.

use crate::config::Resolved;
use crate::error::{Error, Result};
use std::fmt::Write;

/// A quantity that a fit may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What the command line calls it.
    pub name: &'static str,
    /// The key of the configuration.
    pub key: &'static str,
    /// Unit of the key's numbers.
    pub unit: &'static str,
    /// Least and greatest value, percent of the shipped one.
    pub bounds: [u32; 2],
    /// Distance of two values that are told apart, thousandths of the shipped one.
    step: u32,
    /// Whether it moves when none is named.
    pub usual: bool,
    /// Whether a roofline depends on it.
    pub in_roofline: bool,
    /// Why it may move, and why so far.
    pub why: &'static str,
}

/// Every quantity that may move. Structure (sizes, ports, rates) is known of each chip and stays.
pub const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "core-clock",
        key: "gpu.core_clock_khz",
        unit: "kHz",
        bounds: [50, 115],
        step: 5,
        usual: true,
        in_roofline: true,
        why: "a board holds its boost only as long as power and heat allow (boards of 70 W hold half of it under \
              load), and makers raise it by up to 15 %",
    },
    Parameter {
        name: "dram-clock",
        key: "dram.clock_khz",
        unit: "kHz",
        bounds: [80, 110],
        step: 5,
        usual: false,
        in_roofline: true,
        why: "memory runs at the clock of its board: variants of a chip and compute modes are up to 20 % below, \
              raised ones 10 % above",
    },
    Parameter {
        name: "dram-latency",
        key: "dram.controller_latency",
        unit: "cycles",
        bounds: [40, 200],
        step: 20,
        usual: true,
        in_roofline: false,
        why: "controller and PHY are the rest of the measured latency when the device's timing is taken off; \
              published latencies of a chip differ by a third",
    },
    Parameter {
        name: "l2-latency",
        key: "l2.hit_latency",
        unit: "cycles",
        bounds: [40, 300],
        step: 40,
        usual: false,
        in_roofline: false,
        why: "the slice's part of the measured latency of a hit, which was split by assumption between slice and \
              crossbar",
    },
    Parameter {
        name: "launch",
        key: "launch.kernel_start",
        unit: "cycles",
        bounds: [25, 400],
        step: 50,
        usual: true,
        in_roofline: false,
        why: "drivers, and what a profiler counts as the begin of a kernel: 0.5 to 3 us were published",
    },
    Parameter {
        name: "stream-gap",
        key: "launch.stream_gap",
        unit: "cycles",
        bounds: [25, 400],
        step: 50,
        usual: false,
        in_roofline: false,
        why: "drivers and kinds of launch: 0.6 us within a recorded graph, up to 3 us in a stream",
    },
];

impl Parameter {
    /// The parameter of this name.
    ///
    /// # Errors
    /// A name that none has.
    pub fn named(name: &str) -> std::result::Result<Self, String> {
        let found = PARAMETERS.iter().find(|known| known.name == name);
        found.copied().ok_or_else(|| {
            let known: Vec<&str> = PARAMETERS.iter().map(|known| known.name).collect();
            format!(
                "{name} is none that may move; those are {}",
                known.join(", ")
            )
        })
    }

    /// Its value in `config`.
    pub fn shipped(&self, config: &Resolved) -> u64 {
        let parts = self.key.split('.');
        let value = parts.fold(&config.echo, |at, part| &at[part]);
        value.as_u64().expect("a key with a number")
    }

    /// First and last step within the bounds.
    pub fn steps(&self) -> [i32; 2] {
        let step = self.step as i32;
        self.bounds
            .map(|percent| (percent as i32 * 10 - 1000) / step)
    }

    /// The value at a step from the `shipped` one.
    pub fn value(&self, shipped: u64, step: i32) -> u64 {
        let thousandths = 1000 + i64::from(step) * i64::from(self.step);
        (shipped * thousandths.unsigned_abs() + 500) / 1000
    }
}

/// Those of `names`; the usual ones where none is named. With `roofline` only those that a roofline depends on.
///
/// # Errors
/// A name twice, and one that has no influence on a roofline.
pub fn chosen(names: &[Parameter], roofline: bool) -> Result<Vec<Parameter>> {
    if names.is_empty() {
        let usual = PARAMETERS.iter().filter(|p| match roofline {
            true => p.in_roofline,
            false => p.usual,
        });
        return Ok(usual.copied().collect());
    }
    for (at, parameter) in names.iter().enumerate() {
        if names[..at].contains(parameter) {
            let name = parameter.name;
            return Err(Error::Usage(format!("--parameters: {name} is named twice")));
        }
        if roofline && !parameter.in_roofline {
            return Err(Error::Usage(format!(
                "--parameters {}: a roofline does not depend on it; use --fidelity sampled or full",
                parameter.name
            )));
        }
    }
    Ok(names.to_vec())
}

/// All parameters, as the help shows them.
pub fn help() -> String {
    let mut out = String::from(
        "What may move (percent of the shipped value; * if --parameters names none):\n",
    );
    for p in PARAMETERS {
        let star = if p.usual { '*' } else { ' ' };
        let [low, high] = p.bounds;
        let _ = writeln!(
            out,
            "  {star} {:<13} {:<24} {low:>3} to {high} %: {}",
            p.name, p.key, p.why
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// Both ends of every parameter's bounds, and all of them at once, are machines, on every GPU.
    #[test]
    fn every_bound_is_a_machine() {
        for gpu in config::names() {
            let shipped = config::load(gpu, &[]).unwrap();
            for end in [0, 1] {
                let sets: Vec<String> = PARAMETERS
                    .iter()
                    .map(|p| {
                        let value = p.value(p.shipped(&shipped), p.steps()[end]);
                        format!("{}={value}", p.key)
                    })
                    .collect();
                config::load(gpu, &sets).unwrap_or_else(|e| panic!("{gpu}: {e}"));
            }
        }
    }

    #[test]
    fn steps_go_from_bound_to_bound() {
        for p in PARAMETERS {
            let [low, high] = p.steps();
            assert!(low < 0 && high > 0, "{}", p.name);
            assert_eq!(p.value(1_000_000, 0), 1_000_000);
            for (step, percent) in [(low, p.bounds[0]), (high, p.bounds[1])] {
                let value = p.value(1_000_000, step);
                let bound = u64::from(percent) * 10_000;
                let within = u64::from(p.step) * 1000;
                assert!(value.abs_diff(bound) < within, "{}: {value}", p.name);
            }
            assert!(p.value(1_000_000, low) >= u64::from(p.bounds[0]) * 10_000);
            assert!(p.value(1_000_000, high) <= u64::from(p.bounds[1]) * 10_000);
        }
    }

    #[test]
    fn the_document_has_the_same_table() {
        let document = include_str!("../../../docs/validation.md");
        for p in PARAMETERS {
            let star = if p.usual { "**" } else { "" };
            let [low, high] = p.bounds;
            let line = format!(
                "| {star}`{}`{star} | `{}` | {low} to {high} | {} |",
                p.name, p.key, p.why
            );
            assert!(document.lines().any(|own| own == line), "{line}");
        }
    }

    #[test]
    fn what_does_not_move_a_roofline_is_refused_there() {
        let latency = Parameter::named("dram-latency").unwrap();
        let clock = Parameter::named("core-clock").unwrap();
        assert_eq!(chosen(&[latency], true).unwrap_err().exit_status(), 2);
        assert_eq!(chosen(&[clock, clock], false).unwrap_err().exit_status(), 2);
        assert_eq!(chosen(&[clock], true).unwrap(), [clock]);
        assert!(chosen(&[], true).unwrap().iter().all(|p| p.in_roofline));
        assert!(Parameter::named("l2.ways").is_err());
    }
}
