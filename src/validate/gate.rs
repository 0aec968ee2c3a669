//! Errors that groups must not exceed, for continuous integration.
//!
//! A TOML file of `[[bound]]` tables: `op`, `dtype` and `gpu` (each may end in `*`, and is `*` when missing) and the
//! largest `mape` in percent of the rows that they cover together, those left out that are kept apart.

use super::results::Results;
use super::score::{Pair, Score};
use crate::error::{Error, Result, input};
use serde::Deserialize;
use std::path::Path;

/// Bounds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    #[serde(default)]
    bound: Vec<Limit>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    #[serde(default = "any")]
    op: String,
    #[serde(default = "any")]
    dtype: String,
    #[serde(default = "any")]
    gpu: String,
    mape: f64,
}

fn any() -> String {
    "*".into()
}

/// Reads a gate.
///
/// # Errors
/// A file that cannot be read, or that bounds nothing.
pub fn read(file: &Path) -> Result<Gate> {
    let text = input::text(file, input::WRITTEN_MAX, "a gate (TOML)")?;
    parse(&text, &file.display().to_string())
}

fn parse(text: &str, file: &str) -> Result<Gate> {
    let fault = |place: &str, what: String| {
        let remedy = "give tables such as [[bound]] op = \"gemm\", dtype = \"fp32\", gpu = \"V100*\", mape = 11.0";
        Error::input(file, place, what, remedy)
    };
    let gate: Gate = toml::from_str(text).map_err(|e| fault("gate", e.to_string()))?;
    if gate.bound.is_empty() {
        return Err(fault(
            "gate",
            "it bounds nothing, so any result would pass".into(),
        ));
    }
    for limit in &gate.bound {
        if !limit.mape.is_finite() || limit.mape < 0.0 {
            return Err(fault(
                "bound",
                format!("mape = {} bounds nothing", limit.mape),
            ));
        }
    }
    Ok(gate)
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

impl Gate {
    /// Checks all bounds.
    ///
    /// # Errors
    /// Everything that is out of bounds, and bounds that cover no row.
    pub fn check(&self, results: &Results) -> Result<()> {
        let mut faults = Vec::new();
        for limit in &self.bound {
            let name = format!("{} {} on {}", limit.op, limit.dtype, limit.gpu);
            let rows = results.rows.iter().filter(|row| {
                row.counts()
                    && covers(&limit.op, &row.op)
                    && covers(&limit.dtype, &row.dtype)
                    && covers(&limit.gpu, &row.gpu)
            });
            let pairs: Vec<Pair> = super::pairs(rows);
            let score = Score::of(&pairs);
            if score.n == 0 {
                faults.push(format!("{name}: no row"));
            } else if score.mape > limit.mape {
                faults.push(format!(
                    "{name}: MAPE {:.2} % of {} rows, allowed {}",
                    score.mape, score.n, limit.mape
                ));
            }
        }
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Error::Run(format!(
                "the gate does not hold:\n{}",
                faults.join("\n")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_that_bounds_nothing_is_refused() {
        for text in [
            "",
            "[[bound]]\nmape = nan",
            "[[bound]]\nop = \"gemm\"",
            "[[bond]]\nmape = 1.0",
        ] {
            assert_eq!(parse(text, "g").unwrap_err().exit_status(), 1, "{text}");
        }
        let gate = parse("[[bound]]\nop = \"gemm\"\nmape = 10.0", "g").unwrap();
        assert!(covers(&gate.bound[0].gpu, "V100") && !covers("V100*", "A100"));
    }
}
