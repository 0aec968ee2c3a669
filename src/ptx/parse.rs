//! Tokens to syntax tree: recursive descent with one token of look-ahead.

mod constant;
mod function;
mod operand;
#[cfg(test)]
mod tests;
mod variable;

use super::ast::{Item, Linkage, Module, Place};
use super::lex::{Kind, Lexer, Token};
use std::fmt;

/// What is wrong with a PTX text, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct ParseError {
    /// Where.
    pub place: Place,
    /// What the grammar wants there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {} where {} is expected",
            self.place.line, self.place.column, self.found, self.expected
        )
    }
}

impl std::error::Error for ParseError {}

/// Shorthand for parsing results.
pub type Parsed<T> = Result<T, ParseError>;

/// Nested scopes, brackets and initialisers: deeper ones are refused, so that no input overflows
/// the stack.
const DEPTH_MAX: u32 = 128;

/// Parses a PTX module.
///
/// # Errors
/// The first place that is not PTX, and what was expected there.
pub fn parse(text: &str) -> Parsed<Module<'_>> {
    let mut parser = Parser::new(text);
    parser.module()
}

/// A parser at some place of a text.
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let token = lexer.take();
        Parser {
            lexer,
            token,
            depth: 0,
        }
    }

    fn place(&mut self) -> Place {
        self.lexer.place(self.token.at)
    }

    /// Takes the current token.
    fn take(&mut self) -> Token<'a> {
        std::mem::replace(&mut self.token, self.lexer.take())
    }

    fn fault<T>(&mut self, expected: impl Into<String>) -> Parsed<T> {
        let found = match self.token.kind {
            Kind::End => "the end of the file".to_owned(),
            Kind::Dot => format!("`.{}`", self.token.text),
            Kind::Text => "a string".to_owned(),
            _ => format!("`{}`", self.token.text),
        };
        Err(ParseError {
            place: self.place(),
            expected: expected.into(),
            found,
        })
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return self.fault(format!("nesting of at most {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn is(&self, punctuation: &str) -> bool {
        self.token.kind == Kind::Punctuation && self.token.text == punctuation
    }

    fn accept(&mut self, punctuation: &str) -> bool {
        let found = self.is(punctuation);
        if found {
            self.take();
        }
        found
    }

    fn expect(&mut self, punctuation: &str) -> Parsed<()> {
        if self.accept(punctuation) {
            return Ok(());
        }
        self.fault(format!("`{punctuation}`"))
    }

    fn is_dot(&self, name: &str) -> bool {
        self.token.kind == Kind::Dot && self.token.text == name
    }

    fn word(&mut self, what: &str) -> Parsed<&'a str> {
        if self.token.kind == Kind::Word {
            return Ok(self.take().text);
        }
        self.fault(what)
    }

    fn string(&mut self) -> Parsed<&'a str> {
        if self.token.kind == Kind::Text {
            return Ok(self.take().text);
        }
        self.fault("a string")
    }

    fn module(&mut self) -> Parsed<Module<'a>> {
        let mut module = Module {
            address_size: 64,
            ..Module::default()
        };
        if !self.is_dot("version") {
            return self.fault("`.version`, with which a PTX file begins");
        }
        while self.token.kind != Kind::End {
            self.directive(&mut module)?;
        }
        Ok(module)
    }

    fn directive(&mut self, module: &mut Module<'a>) -> Parsed<()> {
        if self.accept(";") {
            return Ok(());
        }
        if self.token.kind != Kind::Dot {
            return self.fault("a directive");
        }
        match self.token.text {
            "version" => {
                self.take();
                if self.token.kind != Kind::Number {
                    return self.fault("a version such as 8.0");
                }
                module.version = self.take().text;
            }
            "target" => {
                self.take();
                module.target.push(self.word("an architecture")?);
                while self.accept(",") {
                    module.target.push(self.word("a target option")?);
                }
            }
            "address_size" => {
                self.take();
                let bits = self.integer()?;
                if !matches!(bits, 32 | 64) {
                    return self.fault("an address size of 32 or 64");
                }
                module.address_size = bits as u8;
            }
            "section" => self.section()?,
            "pragma" => {
                self.take();
                module.items.push(Item::Pragma(self.string()?));
                self.expect(";")?;
            }
            "alias" => {
                self.take();
                let name = self.word("a function")?;
                self.expect(",")?;
                let target = self.word("a function")?;
                self.expect(";")?;
                module.items.push(Item::Alias(name, target));
            }
            _ => self.declaration(module)?,
        }
        Ok(())
    }

    /// Debug sections are passed over: their content says nothing about what the code does.
    fn section(&mut self) -> Parsed<()> {
        self.take();
        if matches!(self.token.kind, Kind::Dot | Kind::Word) {
            self.take();
        }
        if !self.is("{") {
            return self.fault("`{`");
        }
        let mut depth = 0u32;
        loop {
            match (self.token.kind, self.token.text) {
                (Kind::End, _) => return self.fault("`}` at the end of the section"),
                (Kind::Punctuation, "{") => depth += 1,
                (Kind::Punctuation, "}") => depth -= 1,
                _ => {}
            }
            self.take();
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn declaration(&mut self, module: &mut Module<'a>) -> Parsed<()> {
        let linkage = self.linkage();
        match (self.token.kind, self.token.text) {
            (Kind::Dot, "entry" | "func") => {
                let function = self.function(linkage)?;
                module.items.push(Item::Function(function));
            }
            (Kind::Dot, _) => {
                for variable in self.variables(linkage)? {
                    module.items.push(Item::Variable(variable));
                }
            }
            _ => return self.fault("a function or a variable"),
        }
        Ok(())
    }

    fn linkage(&mut self) -> Linkage {
        let mut linkage = Linkage::Local;
        while self.token.kind == Kind::Dot {
            linkage = match self.token.text {
                "visible" => Linkage::Visible,
                "extern" => Linkage::Extern,
                "weak" => Linkage::Weak,
                "common" => Linkage::Common,
                _ => break,
            };
            self.take();
        }
        linkage
    }
}
