//! Whitespace-separated fields of a line, with columns for error messages.

/// What is wrong in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// First column, from 1.
    pub column: usize,
    /// What was found and what was expected.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

/// Remedy for text that no tracer writes.
pub const DAMAGED: &str = "the file is damaged or no Accel-Sim trace; record or copy it again";

impl Fault {
    /// A fault at byte `at` of a line.
    pub fn new(at: usize, what: impl Into<String>) -> Self {
        Fault {
            column: at + 1,
            what: what.into(),
            remedy: DAMAGED,
        }
    }
}

/// Cursor over the fields of one line. A newline ends the line, so that the cursor may stand in a
/// block of many lines without anybody having looked for the newline first.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// The line, or a block that begins with it.
    pub line: &'a [u8],
    /// Next byte.
    pub at: usize,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// The start of `bytes` for a message.
pub fn excerpt(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(40)];
    let more = if cut.len() < bytes.len() { "…" } else { "" };
    format!("\"{}{more}\"", cut.escape_ascii())
}

impl<'a> Fields<'a> {
    /// A cursor at byte `at` of `line`.
    pub fn new(line: &'a [u8], at: usize) -> Self {
        Fields { line, at }
    }

    /// Passes white space.
    #[inline]
    pub fn skip_space(&mut self) {
        while self.line.get(self.at).is_some_and(|&b| is_space(b)) {
            self.at += 1;
        }
    }

    /// Whether nothing but white space is left.
    #[inline]
    pub fn at_end(&mut self) -> bool {
        self.skip_space();
        self.line.get(self.at).is_none_or(|&b| b == b'\n')
    }

    /// What is left of the line.
    pub fn remaining(&self) -> &'a [u8] {
        let rest = self.line.get(self.at..).unwrap_or(&[]);
        rest.split(|&b| b == b'\n').next().unwrap_or(&[])
    }

    /// The next field, empty at the end of the line.
    #[inline]
    pub fn token(&mut self) -> &'a [u8] {
        self.skip_space();
        let rest = self.line.get(self.at..).unwrap_or(&[]);
        let length = rest
            .iter()
            .position(|&b| b <= b' ' && (is_space(b) || b == b'\n'))
            .unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A fault at the field just read.
    #[cold]
    pub fn fault(&self, token: &[u8], expected: &str) -> Fault {
        let what = if token.is_empty() {
            format!("the line ends where {expected} is expected")
        } else {
            format!("{} where {expected} is expected", excerpt(token))
        };
        Fault::new(self.at - token.len(), what)
    }

    /// A decimal number.
    #[inline]
    pub fn decimal(&mut self, expected: &str) -> Result<u64, Fault> {
        let token = self.token();
        decimal(token).ok_or_else(|| self.fault(token, expected))
    }

    /// A decimal number with an optional sign.
    #[inline]
    pub fn signed(&mut self, expected: &str) -> Result<i64, Fault> {
        let token = self.token();
        let value = match token.strip_prefix(b"-") {
            Some(digits) => decimal(digits).map(|v| (v as i64).wrapping_neg()),
            None => decimal(token.strip_prefix(b"+").unwrap_or(token)).map(|v| v as i64),
        };
        value.ok_or_else(|| self.fault(token, expected))
    }

    /// A hexadecimal number with or without `0x`.
    #[inline]
    pub fn hexadecimal(&mut self, expected: &str) -> Result<u64, Fault> {
        let token = self.token();
        hexadecimal(token).ok_or_else(|| self.fault(token, expected))
    }
}

/// Decimal digits; `None` for anything else or an overflow.
#[inline]
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Value of a hexadecimal digit; 0xff for any other byte.
const HEX: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut i = 0;
    while i < 10 {
        table[b'0' as usize + i] = i as u8;
        i += 1;
    }
    let mut i = 0;
    while i < 6 {
        table[b'a' as usize + i] = 10 + i as u8;
        table[b'A' as usize + i] = 10 + i as u8;
        i += 1;
    }
    table
};

/// Hexadecimal digits with or without `0x`; `None` for anything else or more than 64 bits.
#[inline]
pub fn hexadecimal(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for &byte in digits {
        let digit = HEX[usize::from(byte)];
        if digit > 15 || value >> 60 != 0 {
            return None;
        }
        value = value << 4 | u64::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_or_refused() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(decimal(b""), None);
        assert_eq!(hexadecimal(b"0xFfffffffffffffff"), Some(u64::MAX));
        assert_eq!(hexadecimal(b"10000000000000000"), None);
        assert_eq!(hexadecimal(b"0x"), None);
        assert_eq!(Fields::new(b" -42 ", 0).signed("").ok(), Some(-42));
    }

    #[test]
    fn a_fault_names_the_column() {
        let mut f = Fields::new(b"12  zz", 0);
        assert_eq!(f.decimal("a count").ok(), Some(12));
        let fault = f.decimal("a count").unwrap_err();
        assert_eq!(fault.column, 5);
        assert_eq!(fault.what, "\"zz\" where a count is expected");
    }
}
