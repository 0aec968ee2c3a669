//! The wire format of protocol buffers, read in place: nothing is copied, and nothing is longer than the file.
//!
//! The readers that are kept as crates copy every weight, follow nested messages without a limit, and do not say
//! where a file is damaged.

/// A stretch of the file that holds a message, a text or packed numbers.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Where it begins in the file.
    pub offset: usize,
}

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// An integer of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// Anything with a length in front.
    Span(Span<'a>),
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its number.
    pub number: u64,
    /// Its value.
    pub value: Value<'a>,
    /// Where it begins in the file.
    pub offset: usize,
}

/// Damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Byte of the file.
    pub offset: usize,
    /// What is wrong there.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Damage {
    /// Bytes that cannot be right.
    pub fn at(offset: usize, what: impl Into<String>) -> Self {
        Damage {
            offset,
            what: what.into(),
            remedy: "export the model again, and copy the file whole",
        }
    }
}

/// Shorthand for what damage can end.
pub type Read<T> = Result<T, Damage>;

impl<'a> Span<'a> {
    /// The whole file.
    pub fn file(bytes: &'a [u8]) -> Self {
        Span { bytes, offset: 0 }
    }

    /// The fields of the message.
    pub fn fields(self) -> Fields<'a> {
        Fields { span: self, at: 0 }
    }

    /// The text.
    ///
    /// # Errors
    /// Bytes that are no UTF-8.
    pub fn text(self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes)
            .map_err(|e| Damage::at(self.offset + e.valid_up_to(), "this is no text (UTF-8)"))
    }
}

impl<'a> Field<'a> {
    fn wrong<T>(&self, expected: &str) -> Read<T> {
        let found = match self.value {
            Value::Varint(_) => 0,
            Value::Fixed64(_) => 1,
            Value::Span(_) => 2,
            Value::Fixed32(_) => 5,
        };
        let what = format!(
            "field {} has wire type {found}, expected {expected}",
            self.number
        );
        Err(Damage::at(self.offset, what))
    }

    /// The message, text or bytes of the field.
    ///
    /// # Errors
    /// Another wire type.
    pub fn span(&self) -> Read<Span<'a>> {
        match self.value {
            Value::Span(span) => Ok(span),
            _ => self.wrong("2"),
        }
    }

    /// The text of the field.
    ///
    /// # Errors
    /// Another wire type, and bytes that are no text.
    pub fn text(&self) -> Read<&'a str> {
        self.span()?.text()
    }

    /// The integer of the field.
    ///
    /// # Errors
    /// Another wire type.
    pub fn int(&self) -> Read<i64> {
        match self.value {
            Value::Varint(n) => Ok(n as i64),
            _ => self.wrong("0"),
        }
    }

    /// The 32-bit float of the field.
    ///
    /// # Errors
    /// Another wire type.
    pub fn float(&self) -> Read<f32> {
        match self.value {
            Value::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => self.wrong("5"),
        }
    }

    /// Adds the integers of a repeated field, packed or one by one.
    ///
    /// # Errors
    /// Another wire type, and a last one that is cut.
    pub fn ints(&self, into: &mut Vec<i64>) -> Read<()> {
        let Value::Span(span) = self.value else {
            into.push(self.int()?);
            return Ok(());
        };
        let mut fields = span.fields();
        while fields.at < span.bytes.len() {
            into.push(fields.varint()? as i64);
        }
        Ok(())
    }

    /// Adds the 32-bit floats of a repeated field, packed or one by one.
    ///
    /// # Errors
    /// Another wire type, and a last one that is cut.
    pub fn floats(&self, into: &mut Vec<f64>) -> Read<()> {
        let Value::Span(span) = self.value else {
            into.push(f64::from(self.float()?));
            return Ok(());
        };
        let mut fields = span.fields();
        while fields.at < span.bytes.len() {
            into.push(f64::from(f32::from_le_bytes(fields.fixed()?)));
        }
        Ok(())
    }

    /// Adds the 64-bit floats of a repeated field, packed or one by one.
    ///
    /// # Errors
    /// As [`Field::floats`].
    pub fn doubles(&self, into: &mut Vec<f64>) -> Read<()> {
        match self.value {
            Value::Fixed64(bits) => into.push(f64::from_bits(bits)),
            Value::Span(span) => {
                let mut fields = span.fields();
                while fields.at < span.bytes.len() {
                    into.push(f64::from_le_bytes(fields.fixed()?));
                }
            }
            _ => return self.wrong("1"),
        }
        Ok(())
    }
}

/// The fields of a message, one after the other.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    span: Span<'a>,
    at: usize,
}

impl<'a> Fields<'a> {
    fn damage<T>(&self, what: impl Into<String>) -> Read<T> {
        Err(Damage::at(self.span.offset + self.at, what))
    }

    fn varint(&mut self) -> Read<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.span.bytes.get(self.at) else {
                return self.damage("the message ends within a number");
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.damage("a number has more than ten bytes")
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        let rest = self.span.bytes.get(self.at..).unwrap_or_default();
        match rest.first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => self.damage("the message ends within a number"),
        }
    }

    fn field(&mut self) -> Read<Field<'a>> {
        let offset = self.span.offset + self.at;
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            5 => Value::Fixed32(u32::from_le_bytes(self.fixed()?)),
            2 => {
                let length = self.varint()?;
                let left = self.span.bytes.len() - self.at;
                let Some(length) = usize::try_from(length).ok().filter(|&n| n <= left) else {
                    return self.damage(format!(
                        "the file is truncated or damaged: field {} should have {length} bytes, but {left} are left",
                        tag >> 3
                    ));
                };
                let start = self.at;
                self.at += length;
                Value::Span(Span {
                    bytes: &self.span.bytes[start..self.at],
                    offset: self.span.offset + start,
                })
            }
            other => {
                self.at = offset - self.span.offset;
                return self.damage(format!("wire type {other}, which no ONNX file has"));
            }
        };
        match tag >> 3 {
            0 => {
                self.at = offset - self.span.offset;
                self.damage("a field with number 0")
            }
            number => Ok(Field {
                number,
                value,
                offset,
            }),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Read<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.span.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.at = self.span.bytes.len();
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_end_is_damage_with_its_place() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 0x05, b'a', b'b'];
        let fields: Vec<_> = Span::file(&bytes).fields().collect();
        assert_eq!(fields[0].as_ref().unwrap().int(), Ok(150));
        let damage = fields[1].as_ref().unwrap_err();
        assert_eq!(damage.offset, 5);
        assert!(damage.what.contains("5 bytes, but 2"), "{}", damage.what);
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn repeated_numbers_are_read_packed_and_single() {
        let bytes = [0x0a, 0x03, 0x01, 0x80, 0x01, 0x08, 0x07];
        let mut ints = Vec::new();
        for field in Span::file(&bytes).fields() {
            field.unwrap().ints(&mut ints).unwrap();
        }
        assert_eq!(ints, [1, 128, 7]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let fields: Vec<_> = Span::file(&bytes).fields().collect();
            proptest::prop_assert!(fields.len() <= bytes.len());
        }
    }
}
