//! Arithmetic in benchmark definitions and constraints of sweeps: numbers, names, `+ - * /`, comparisons, and a few functions.

use crate::error::{Error, Result};

/// Evaluates `text`; `lookup` knows the names.
///
/// # Errors
/// A syntax error, or a name that `lookup` does not know.
pub fn evaluate(text: &str, lookup: &dyn Fn(&str) -> Option<f64>) -> Result<f64> {
    let mut parser = Parser {
        text,
        rest: text,
        lookup,
    };
    let value = parser.comparison()?;
    parser.skip();
    match parser.rest {
        "" => Ok(value),
        rest => Err(parser.fault(&format!("unexpected {rest:?}"))),
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    lookup: &'a dyn Fn(&str) -> Option<f64>,
}

impl<'a> Parser<'a> {
    fn fault(&self, what: &str) -> Error {
        let place = format!("character {}", self.text.len() - self.rest.len() + 1);
        Error::input(self.text, place, what, "correct the expression")
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn comparison(&mut self) -> Result<f64> {
        let left = self.sum()?;
        type Compare = fn(f64, f64) -> bool;
        let operators: [(&str, Compare); 5] = [
            ("<=", |a, b| a <= b),
            (">=", |a, b| a >= b),
            ("==", |a, b| a == b),
            ("<", |a, b| a < b),
            (">", |a, b| a > b),
        ];
        for (token, holds) in operators {
            if self.take(token) {
                let right = self.sum()?;
                return Ok(f64::from(u8::from(holds(left, right))));
            }
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<f64> {
        let mut value = self.product()?;
        loop {
            if self.take("+") {
                value += self.product()?;
            } else if self.take("-") {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64> {
        let mut value = self.factor()?;
        loop {
            if self.take("*") {
                value *= self.factor()?;
            } else if self.take("/") {
                value /= self.factor()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn factor(&mut self) -> Result<f64> {
        if self.take("(") {
            let value = self.comparison()?;
            return match self.take(")") {
                true => Ok(value),
                false => Err(self.fault("expected )")),
            };
        }
        if self.take("-") {
            return Ok(-self.factor()?);
        }
        let number = self.word(|c| c.is_ascii_digit() || c == '.');
        if !number.is_empty() {
            return number.parse().map_err(|_| self.fault("expected a number"));
        }
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        if name.is_empty() {
            return Err(self.fault("expected a number, a name or ("));
        }
        if self.take("(") {
            return self.call(name);
        }
        (self.lookup)(name).ok_or_else(|| self.fault(&format!("no value {name}")))
    }

    fn word(&mut self, of: impl Fn(char) -> bool) -> &'a str {
        self.skip();
        let end = self.rest.find(|c| !of(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn call(&mut self, name: &str) -> Result<f64> {
        let mut arguments = Vec::new();
        while !self.take(")") {
            arguments.push(self.comparison()?);
            if !self.take(",") && !self.rest.trim_start().starts_with(')') {
                return Err(self.fault("expected , or )"));
            }
        }
        match (name, arguments.as_slice()) {
            ("min", [a, b]) => Ok(a.min(*b)),
            ("max", [a, b]) => Ok(a.max(*b)),
            ("floor", [a]) => Ok(a.floor()),
            ("ceil", [a]) => Ok(a.ceil()),
            ("if", [condition, yes, no]) => Ok(if *condition != 0.0 { *yes } else { *no }),
            _ => Err(self.fault(&format!(
                "no function {name} of {} arguments",
                arguments.len()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str) -> Option<f64> {
        match name {
            "many.cycles" => Some(300.0),
            "few.cycles" => Some(100.0),
            _ => None,
        }
    }

    #[test]
    fn precedence_and_functions() {
        let value = |text: &str| evaluate(text, &names).unwrap();
        assert_eq!(value("(many.cycles - few.cycles) / 2 * 3"), 300.0);
        assert_eq!(value("1 + 2 * 3 - 4 / 2"), 5.0);
        assert_eq!(value("if(2 < 3, max(1, 7), -1)"), 7.0);
        assert_eq!(value("-(2 - 5) * 1.5"), 4.5);
    }

    #[test]
    fn faults_name_the_place() {
        for text in ["1 +", "(1", "nobody", "sin(1)", "1 2", "min(1 2)"] {
            let error = evaluate(text, &names).unwrap_err().to_string();
            assert!(error.contains("character"), "{text}: {error}");
        }
    }
}
