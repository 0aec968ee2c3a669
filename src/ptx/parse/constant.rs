//! Constant expressions, with the operators and precedences of C.

use super::{Parsed, Parser};
use crate::ptx::ast::{Number, WARP_SIZE};
use crate::ptx::lex::Kind;

/// Binary operators by precedence, loosest first.
const LEVELS: [&[&str]; 9] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["+", "-"],
];

impl<'a> Parser<'a> {
    /// A constant integer expression.
    pub(super) fn integer(&mut self) -> Parsed<i64> {
        match self.number()? {
            Number::Int(value) => Ok(value),
            _ => self.fault("an integer"),
        }
    }

    /// A constant expression; fractions only as single literals.
    pub(super) fn number(&mut self) -> Parsed<Number> {
        let first = self.level(0)?;
        if !self.accept("?") {
            return Ok(first);
        }
        let yes = self.deeper(Self::number)?;
        self.expect(":")?;
        let no = self.deeper(Self::number)?;
        Ok(if first == Number::Int(0) { no } else { yes })
    }

    fn level(&mut self, level: usize) -> Parsed<Number> {
        let Some(operators) = LEVELS.get(level) else {
            return self.product();
        };
        let mut left = self.level(level + 1)?;
        while self.token.kind == Kind::Punctuation && operators.contains(&self.token.text) {
            let operator = self.take().text;
            let right = self.level(level + 1)?;
            left = self.apply(operator, left, right)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed<Number> {
        let mut left = self.unary()?;
        while self.is("*") || self.is("/") || self.is("%") {
            let operator = self.take().text;
            let right = self.unary()?;
            left = self.apply(operator, left, right)?;
        }
        Ok(left)
    }

    fn apply(&mut self, operator: &str, left: Number, right: Number) -> Parsed<Number> {
        let (Number::Int(a), Number::Int(b)) = (left, right) else {
            return self.fault("integers on both sides of the operator");
        };
        let shift = u32::try_from(b).unwrap_or(u32::MAX);
        Ok(Number::Int(match operator {
            "||" => i64::from(a != 0 || b != 0),
            "&&" => i64::from(a != 0 && b != 0),
            "|" => a | b,
            "^" => a ^ b,
            "&" => a & b,
            "==" => i64::from(a == b),
            "!=" => i64::from(a != b),
            "<" => i64::from(a < b),
            ">" => i64::from(a > b),
            "<=" => i64::from(a <= b),
            ">=" => i64::from(a >= b),
            "<<" => a.checked_shl(shift).unwrap_or(0),
            ">>" => a.checked_shr(shift).unwrap_or(0),
            "+" => a.wrapping_add(b),
            "-" => a.wrapping_sub(b),
            "*" => a.wrapping_mul(b),
            "/" | "%" if b == 0 => return self.fault("a divisor other than zero"),
            "/" => a.wrapping_div(b),
            _ => a.wrapping_rem(b),
        }))
    }

    fn unary(&mut self) -> Parsed<Number> {
        if self.token.kind == Kind::Number {
            return self.literal();
        }
        if self.token.kind == Kind::Word && self.token.text == "WARP_SZ" {
            self.take();
            return Ok(Number::Int(WARP_SIZE));
        }
        if self.token.kind != Kind::Punctuation {
            return self.fault("a number");
        }
        match self.token.text {
            "(" => {
                self.take();
                // Casts of the form (.s64)1 appear in hand-written code.
                if matches!(self.token.text, "s64" | "u64") {
                    self.take();
                    self.expect(")")?;
                    return self.deeper(Self::unary);
                }
                let inner = self.deeper(Self::number)?;
                self.expect(")")?;
                Ok(inner)
            }
            "-" => {
                self.take();
                Ok(match self.deeper(Self::unary)? {
                    Number::Int(value) => Number::Int(value.wrapping_neg()),
                    Number::F32(bits) => Number::F32(bits ^ 1 << 31),
                    Number::F64(bits) => Number::F64(bits ^ 1 << 63),
                })
            }
            "+" => {
                self.take();
                self.deeper(Self::unary)
            }
            "~" | "!" => {
                let not = self.take().text == "!";
                match self.deeper(Self::unary)? {
                    Number::Int(value) if not => Ok(Number::Int(i64::from(value == 0))),
                    Number::Int(value) => Ok(Number::Int(!value)),
                    _ => self.fault("an integer"),
                }
            }
            _ => self.fault("a number"),
        }
    }

    /// A single literal.
    pub(super) fn literal(&mut self) -> Parsed<Number> {
        match literal(self.token.text) {
            Some(number) => {
                self.take();
                Ok(number)
            }
            None => {
                self.fault("a number (0f with 8 or 0d with 16 hexadecimal digits for fractions)")
            }
        }
    }
}

/// The value of a literal's text.
fn literal(text: &str) -> Option<Number> {
    let bytes = text.as_bytes();
    let radix = match (bytes.first(), bytes.get(1)) {
        (Some(b'0'), Some(b'f' | b'F')) => {
            let digits = text.get(2..).filter(|d| d.len() == 8)?;
            return u32::from_str_radix(digits, 16).ok().map(Number::F32);
        }
        (Some(b'0'), Some(b'd' | b'D')) => {
            let digits = text.get(2..).filter(|d| d.len() == 16)?;
            return u64::from_str_radix(digits, 16).ok().map(Number::F64);
        }
        (Some(b'0'), Some(b'x' | b'X')) => 16,
        (Some(b'0'), Some(b'b' | b'B')) => 2,
        _ if text.contains('.') || text.contains(['e', 'E']) => {
            let value: f64 = text.parse().ok()?;
            return Some(Number::F64(value.to_bits()));
        }
        (Some(b'0'), Some(b'0'..=b'7')) => 8,
        _ => 10,
    };
    let digits = text.trim_end_matches(['u', 'U']);
    let digits = match radix {
        16 | 2 => digits.get(2..)?,
        _ => digits,
    };
    // Anything that fits 64 bits, signed or not.
    let value = u64::from_str_radix(digits, radix).ok()?;
    Some(Number::Int(value as i64))
}
