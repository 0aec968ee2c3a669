//! `--rows`: which rows of a dataset are looked at.

use super::dataset::Row;
use crate::error::{Error, Result};
use serde_json::Value;

/// Conditions that a row must meet, all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(Vec<Condition>);

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    /// Equal to one of these; a `*` at the end stands for anything.
    Is(Vec<String>),
    /// Not equal to any.
    IsNot(Vec<String>),
    AtLeast(f64),
    AtMost(f64),
    Above(f64),
    Below(f64),
}

/// Keys of a row besides those of its shape and extra.
const KEYS: [&str; 7] = ["id", "gpu", "op", "dtype", "source", "trust", "latency_us"];

impl Filter {
    /// Reads `text`: conditions with commas between them, such as `gpu=V100*|A100*,dtype=fp32,M>=1024`.
    ///
    /// # Errors
    /// A condition that is none.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let conditions: Result<Vec<Condition>> = parts.map(condition).collect();
        let conditions = conditions?;
        match conditions.is_empty() {
            true => Err(refuse(text)),
            false => Ok(Filter(conditions)),
        }
    }

    /// Whether `row` meets every condition. A row without a key does not meet a condition on it.
    pub fn holds(&self, row: &Row) -> bool {
        self.0.iter().all(|condition| condition.holds(row))
    }
}

fn refuse(text: &str) -> Error {
    Error::Usage(format!(
        "--rows {text:?}: expected KEY=VALUE, KEY!=VALUE, KEY>=NUMBER, ... with commas between, e.g. \
         'gpu=V100*|A100*,dtype=fp32,M>=1024'; keys are {} and those of shape and extra",
        KEYS.join(", ")
    ))
}

fn condition(text: &str) -> Result<Condition> {
    let number = |value: &str| value.trim().parse::<f64>().map_err(|_| refuse(text));
    let names = |value: &str| value.split('|').map(|v| v.trim().to_owned()).collect();
    for sign in [">=", "<=", "!=", ">", "<", "="] {
        let Some((key, value)) = text.split_once(sign) else {
            continue;
        };
        let key = key.trim();
        if key.is_empty() || value.trim().is_empty() {
            return Err(refuse(text));
        }
        let test = match sign {
            ">=" => Test::AtLeast(number(value)?),
            "<=" => Test::AtMost(number(value)?),
            ">" => Test::Above(number(value)?),
            "<" => Test::Below(number(value)?),
            "!=" => Test::IsNot(names(value)),
            _ => Test::Is(names(value)),
        };
        return Ok(Condition {
            key: key.to_owned(),
            test,
        });
    }
    Err(refuse(text))
}

impl Condition {
    fn holds(&self, row: &Row) -> bool {
        let Some(value) = value(row, &self.key) else {
            return matches!(self.test, Test::IsNot(_));
        };
        let number = || value.parse::<f64>().ok();
        let one_of = |names: &[String]| names.iter().any(|name| matches(name, &value));
        match &self.test {
            Test::Is(names) => one_of(names),
            Test::IsNot(names) => !one_of(names),
            Test::AtLeast(least) => number().is_some_and(|n| n >= *least),
            Test::AtMost(most) => number().is_some_and(|n| n <= *most),
            Test::Above(below) => number().is_some_and(|n| n > *below),
            Test::Below(above) => number().is_some_and(|n| n < *above),
        }
    }
}

fn matches(pattern: &str, value: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => value.starts_with(start),
        None => value == pattern,
    }
}

fn value(row: &Row, key: &str) -> Option<String> {
    Some(match key {
        "id" => row.id.clone(),
        "gpu" => row.gpu.clone(),
        "op" => row.op.clone(),
        "dtype" => row.dtype.clone(),
        "source" => row.source.clone(),
        "trust" => row.trust().to_owned(),
        "latency_us" => row.latency_us.to_string(),
        _ => match row.shape.get(key).or_else(|| row.extra.get(key))? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::dataset::parse;

    #[test]
    fn conditions_are_met_by_names_patterns_and_numbers() {
        let text = "id,gpu,op,dtype,shape,latency_us,extra,source\n\
                    a,V100-PCIE-32GB,gemm,fp32,\"{\"\"M\"\":64}\",5,\"{\"\"trust\"\":\"\"low\"\"}\",x\n";
        let row = &parse(text, "t.csv").unwrap()[0];
        let holds = |text: &str| Filter::parse(text).unwrap().holds(row);
        assert!(holds("gpu=V100*,op=gemm|bmm,M>=64,M<=64,latency_us>4"));
        assert!(!holds("gpu=A100*") && !holds("M>64") && !holds("trust!=low"));
        assert!(!holds("K>=1") && holds("K!=1"));
        for bad in ["", "gpu", "=x", "M>=many", "gpu="] {
            assert_eq!(Filter::parse(bad).unwrap_err().exit_status(), 2, "{bad}");
        }
    }
}
