//! PTX text to tokens.
//!
//! Two traps are dealt with here: `.loc` and `.file` lines end without a semicolon, so they vanish
//! whole; and modifiers may start with a digit (`.2d`) or hold `::` (`.shared::cta`).

use super::ast::Place;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Identifier, with `%` or `$` where it has one.
    Word,
    /// `.name`; the text is without the dot.
    Dot,
    /// Numeric literal.
    Number,
    /// String; the text is without the quotes.
    Text,
    /// Operator or bracket of one or two characters.
    Punctuation,
    /// A byte that no token starts with.
    Stray,
    /// Nothing is left.
    End,
}

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: &'a str,
    /// First byte.
    pub at: usize,
}

/// Cuts a text into tokens.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    // Places are asked for in ascending order nearly always, so the last one is a good start.
    line: u32,
    line_start: usize,
}

const DOUBLE: [&str; 8] = ["<<", ">>", "==", "!=", "<=", ">=", "&&", "||"];

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$')
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Lexer {
            text,
            at: 0,
            line: 1,
            line_start: 0,
        }
    }

    /// Line and column of byte `at`.
    pub fn place(&mut self, at: usize) -> Place {
        if at < self.line_start {
            self.line = 1;
            self.line_start = 0;
        }
        let bytes = self.text.as_bytes();
        while let Some(end) = bytes
            .get(self.line_start..at)
            .and_then(|line| line.iter().position(|&b| b == b'\n'))
        {
            self.line += 1;
            self.line_start += end + 1;
        }
        Place {
            line: self.line,
            column: (at - self.line_start) as u32 + 1,
        }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text
            .as_bytes()
            .get(self.at + ahead)
            .copied()
            .unwrap_or(0)
    }

    fn skip_line(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or(&[]);
        self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    }

    fn skip_blank(&mut self) {
        loop {
            match self.byte(0) {
                // Some compilers hand the C string over with its end.
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | 0 if self.at < self.text.len() => {
                    self.at += 1;
                }
                b'/' if self.byte(1) == b'/' => self.skip_line(),
                b'/' if self.byte(1) == b'*' => {
                    let rest = self.text.get(self.at + 2..).unwrap_or("");
                    self.at = match rest.find("*/") {
                        Some(end) => self.at + end + 4,
                        None => self.text.len(),
                    };
                }
                b'@' if self.byte(1) == b'@' => self.skip_line(),
                _ => return,
            }
        }
    }

    fn while_word(&self, mut end: usize) -> usize {
        let bytes = self.text.as_bytes();
        while bytes.get(end).is_some_and(|&b| in_word(b)) {
            end += 1;
        }
        end
    }

    fn token(&mut self, kind: Kind, start: usize, end: usize) -> Token<'a> {
        let token = Token {
            kind,
            text: self.text.get(start..end).unwrap_or(""),
            at: self.at,
        };
        self.at = end;
        token
    }

    /// The next token.
    pub fn take(&mut self) -> Token<'a> {
        loop {
            self.skip_blank();
            let start = self.at;
            if start >= self.text.len() {
                return self.token(Kind::End, start, start);
            }
            let first = self.byte(0);
            if first == b'.' && in_word(self.byte(1)) {
                let token = self.dot(start);
                if matches!(token.text, "loc" | "file") {
                    self.skip_line();
                    continue;
                }
                return token;
            }
            if starts_word(first) || first == b'%' && starts_word(self.byte(1)) {
                let end = self.while_word(start + 1);
                return self.token(Kind::Word, start, end);
            }
            if first.is_ascii_digit() {
                let end = self.number_end(start);
                return self.token(Kind::Number, start, end);
            }
            if first == b'"' {
                return self.string(start);
            }
            return self.punctuation(start, first);
        }
    }

    fn dot(&mut self, start: usize) -> Token<'a> {
        let mut end = self.while_word(start + 1);
        let bytes = self.text.as_bytes();
        while bytes.get(end..end + 2) == Some(b"::") {
            end = self.while_word(end + 2);
        }
        self.token(Kind::Dot, start + 1, end)
    }

    fn number_end(&self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
        let prefixed = at(start) == b'0' && at(start + 1).is_ascii_alphabetic();
        let mut end = self.while_word(start);
        if prefixed {
            return end;
        }
        // A fraction, then an exponent with a sign.
        if at(end) == b'.' && !starts_word(at(end + 1)) {
            end = self.while_word(end + 1);
        }
        if matches!(at(end.wrapping_sub(1)), b'e' | b'E')
            && matches!(at(end), b'+' | b'-')
            && at(end + 1).is_ascii_digit()
        {
            end = self.while_word(end + 1);
        }
        end
    }

    fn string(&mut self, start: usize) -> Token<'a> {
        let rest = self.text.get(start + 1..).unwrap_or("");
        match rest.find(['"', '\n']) {
            Some(end) if rest.as_bytes().get(end) == Some(&b'"') => {
                let token = self.token(Kind::Text, start + 1, start + 1 + end);
                self.at += 1;
                token
            }
            _ => self.token(Kind::Stray, start, start + 1),
        }
    }

    fn punctuation(&mut self, start: usize, first: u8) -> Token<'a> {
        if let Some(two) = self.text.get(start..start + 2)
            && DOUBLE.contains(&two)
        {
            return self.token(Kind::Punctuation, start, start + 2);
        }
        if b"{}()[]<>,;:=@!|+-*/%&^~?.".contains(&first) {
            return self.token(Kind::Punctuation, start, start + 1);
        }
        let rest = self.text.get(start..).unwrap_or("");
        let length = rest.chars().next().map_or(1, char::len_utf8);
        self.token(Kind::Stray, start, start + length)
    }
}
