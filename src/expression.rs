//! Arithmetic in benchmark definitions and constraints of sweeps: numbers, names, `+ - * /`, comparisons, and a few functions.

use crate::error::{Error, Result};

/// Most parentheses, calls and signs within one another: each is a call of the parser, whose stack has an end.
const DEPTH_MAX: usize = 64;

/// Evaluates `text`; `lookup` knows the names.
///
/// # Errors
/// A syntax error, or a name that `lookup` does not know.
pub fn evaluate(text: &str, lookup: &dyn Fn(&str) -> Option<f64>) -> Result<f64> {
    Parser::new(text, lookup).whole()
}

/// Whether the condition `text` holds; `lookup` knows the names.
///
/// # Errors
/// As [`evaluate`]; a text without a comparison, and one that compares what is no number, as after a division by 0.
pub fn holds(text: &str, lookup: &dyn Fn(&str) -> Option<f64>) -> Result<bool> {
    let mut parser = Parser::new(text, lookup);
    let value = parser.whole()?;
    match (parser.compared, parser.not_finite) {
        (false, _) => Err(parser.fault("nothing is compared")),
        (true, true) => Err(parser.fault("a division by 0 is compared")),
        (true, false) => Ok(value != 0.0),
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
    /// There was a comparison.
    compared: bool,
    /// There was a comparison of something that is infinite or no number.
    not_finite: bool,
    lookup: &'a dyn Fn(&str) -> Option<f64>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, lookup: &'a dyn Fn(&str) -> Option<f64>) -> Self {
        Parser {
            text,
            rest: text,
            depth: 0,
            compared: false,
            not_finite: false,
            lookup,
        }
    }

    fn whole(&mut self) -> Result<f64> {
        let value = self.comparison()?;
        self.skip();
        match self.rest {
            "" => Ok(value),
            rest => {
                let rest = crate::error::input::shorten(rest.as_bytes());
                Err(self.fault(&format!("unexpected {rest:?}")))
            }
        }
    }

    fn fault(&self, what: &str) -> Error {
        let place = format!("character {}", self.text.len() - self.rest.len() + 1);
        let shown = crate::error::input::shorten(self.text.as_bytes());
        Error::input(shown, place, what, "correct the expression")
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
                self.compared = true;
                self.not_finite |= !(left.is_finite() && right.is_finite());
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
        if self.depth == DEPTH_MAX {
            return Err(self.fault(&format!("more than {DEPTH_MAX} levels of ( and -")));
        }
        self.depth += 1;
        let value = self.single();
        self.depth -= 1;
        value
    }

    fn single(&mut self) -> Result<f64> {
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
    fn conditions_compare_numbers() {
        let holds = |text: &str| holds(text, &names).map_err(|e| e.to_string());
        assert_eq!(holds("many.cycles > few.cycles"), Ok(true));
        assert_eq!(holds("(1 > 2) * (1 < 2)"), Ok(false));
        assert_eq!(
            holds("if(few.cycles == 0, 0, 1 / few.cycles) < 1"),
            Ok(true)
        );
        let refused = |text: &str| holds(text).unwrap_err();
        assert!(refused("many.cycles").contains("nothing is compared"));
        assert!(refused("1 / (few.cycles - 100) > 2").contains("division by 0"));
    }

    #[test]
    fn levels_without_end_are_refused() {
        let nested =
            |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
        assert_eq!(evaluate(&nested("(", ")", 60), &names).unwrap(), 1.0);
        assert_eq!(evaluate(&nested("-", "", 60), &names).unwrap(), 1.0);
        for text in [
            nested("(", ")", 20_000),
            nested("-", "", 100_000),
            nested("floor(", ")", 20_000),
        ] {
            let error = evaluate(&text, &names).unwrap_err().to_string();
            assert!(error.contains("more than 64 levels"), "{error}");
            assert!(error.len() < 300, "{error}");
        }
    }

    #[test]
    fn faults_name_the_place() {
        for text in ["1 +", "(1", "nobody", "sin(1)", "1 2", "min(1 2)"] {
            let error = evaluate(text, &names).unwrap_err().to_string();
            assert!(error.contains("character"), "{text}: {error}");
        }
    }
}
