//! Operands of instructions.

use super::{Parsed, Parser};
use crate::ptx::ast::{Name, Number, Operand};
use crate::ptx::lex::Kind;

impl<'a> Parser<'a> {
    /// Operands up to the semicolon, which stays.
    pub(super) fn operands(&mut self) -> Parsed<Vec<Operand<'a>>> {
        let mut operands = Vec::with_capacity(4);
        if self.is(";") {
            return Ok(operands);
        }
        loop {
            operands.push(self.operand()?);
            if !self.accept(",") {
                return Ok(operands);
            }
        }
    }

    fn operand(&mut self) -> Parsed<Operand<'a>> {
        match (self.token.kind, self.token.text) {
            (Kind::Word, _) => self.named(),
            (Kind::Punctuation, "{") => {
                self.take();
                Ok(Operand::Vector(self.deeper(|p| p.list("}"))?))
            }
            (Kind::Punctuation, "[") => {
                self.take();
                Ok(Operand::Address(self.deeper(|p| p.list("]"))?))
            }
            (Kind::Punctuation, "(") => self.parenthesised(),
            (Kind::Punctuation, "!") => {
                self.take();
                if self.token.kind == Kind::Word {
                    let mut name = self.name()?;
                    name.negated = true;
                    return Ok(Operand::Name(name));
                }
                match self.number()? {
                    Number::Int(value) => Ok(Operand::Number(Number::Int(i64::from(value == 0)))),
                    _ => self.fault("an integer or a predicate"),
                }
            }
            (Kind::Punctuation, "-") => {
                // Some inline assembly negates a register where an immediate may stand.
                Ok(Operand::Number(self.number()?))
            }
            (Kind::Punctuation, "~" | "+") | (Kind::Number, _) => {
                Ok(Operand::Number(self.number()?))
            }
            _ => self.fault("an operand"),
        }
    }

    /// `(` opens the parameters of a call or a constant expression.
    fn parenthesised(&mut self) -> Parsed<Operand<'a>> {
        self.take();
        let inner = self.deeper(|p| p.list(")"))?;
        let follows = self.token.kind == Kind::Punctuation
            && !matches!(self.token.text, "," | ";" | "]" | "}" | ")");
        if let (true, [Operand::Number(first)]) = (follows, inner.as_slice()) {
            return self.continued(*first);
        }
        Ok(Operand::Parameters(inner))
    }

    /// `(1 << 4) + 2`: what follows the parenthesis is folded from left to right.
    fn continued(&mut self, first: Number) -> Parsed<Operand<'a>> {
        let Number::Int(mut value) = first else {
            return self.fault("an integer expression");
        };
        while self.token.kind == Kind::Punctuation
            && matches!(self.token.text, "+" | "-" | "*" | "|" | "<<" | ">>")
        {
            let operator = self.take().text;
            let right = self.integer()?;
            let shift = u32::try_from(right).unwrap_or(u32::MAX);
            value = match operator {
                "+" => value.wrapping_add(right),
                "-" => value.wrapping_sub(right),
                "*" => value.wrapping_mul(right),
                "|" => value | right,
                "<<" => value.checked_shl(shift).unwrap_or(0),
                _ => value.checked_shr(shift).unwrap_or(0),
            };
        }
        Ok(Operand::Number(Number::Int(value)))
    }

    fn list(&mut self, close: &str) -> Parsed<Vec<Operand<'a>>> {
        let mut list = Vec::with_capacity(4);
        if self.accept(close) {
            return Ok(list);
        }
        loop {
            list.push(self.operand()?);
            if self.accept(close) {
                return Ok(list);
            }
            if !self.accept(",") {
                return self.fault(format!("`,` or `{close}`"));
            }
        }
    }

    fn named(&mut self) -> Parsed<Operand<'a>> {
        let name = self.name()?;
        if !self.accept("|") {
            return Ok(Operand::Name(name));
        }
        let second = self.name()?;
        Ok(Operand::Pair(name, second))
    }

    fn name(&mut self) -> Parsed<Name<'a>> {
        let mut name = Name::plain(self.word("a name")?);
        if self.token.kind == Kind::Dot {
            name.component = Some(self.take().text);
        }
        while self.is("+") || self.is("-") {
            let minus = self.take().text == "-";
            let value = match self.token.kind {
                Kind::Number => match self.literal()? {
                    Number::Int(value) => value,
                    _ => return self.fault("an integer offset"),
                },
                _ => self.integer()?,
            };
            name.offset = if minus {
                name.offset.wrapping_sub(value)
            } else {
                name.offset.wrapping_add(value)
            };
        }
        Ok(name)
    }
}
