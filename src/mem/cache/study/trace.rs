//! Address traces: CSV with the columns `cycle,sm,pc,address,bytes,op`, a contiguous piece of an access a row.
//!
//! The columns may come in any order, blank lines and `#` comments are skipped, and cycles do not fall. Numbers are whole,
//! in decimal or with `0x`. A row is read at a time, so that a trace may be of any length.

use crate::error::{Error, Result, input};
use crate::isa::{CacheOp, MemKind, MemOp};
use std::io::{self, BufRead, Write};
use std::path::Path;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    Load,
    /// Writes.
    Store,
    /// Reads, changes and writes, past the cache.
    Atomic,
    /// Writes local memory of threads.
    LocalStore,
}

/// The column `op`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// What the access does.
    pub kind: Kind,
    /// It writes some bytes, nobody says which, of each sector that its row touches.
    pub part: bool,
    /// Its cache operator.
    pub cache: CacheOp,
}

/// Operations by name.
const KINDS: &[(&str, Kind, bool)] = &[
    ("load", Kind::Load, false),
    ("store", Kind::Store, false),
    ("store_part", Kind::Store, true),
    ("atomic", Kind::Atomic, false),
    ("local_store", Kind::LocalStore, false),
    ("local_store_part", Kind::LocalStore, true),
];
/// Cache operators by the end of a name; without one it is [`CacheOp::All`].
const CACHES: &[(&str, CacheOp)] = &[
    ("streaming", CacheOp::Streaming),
    ("last_use", CacheOp::LastUse),
];

impl Op {
    /// The operation that is spelt `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        let (base, cache) = match name.split_once('.') {
            None => (name, CacheOp::All),
            Some((base, end)) => (base, CACHES.iter().find(|c| c.0 == end)?.1),
        };
        let &(_, kind, part) = KINDS.iter().find(|k| k.0 == base)?;
        Some(Op { kind, part, cache })
    }

    /// What an instruction does to L1 when it accesses global memory; nothing where it passes L1 by.
    pub fn of(op: &MemOp) -> Option<Self> {
        let coherent = matches!(op.cache, CacheOp::Global | CacheOp::Volatile);
        let kind = match op.kind {
            MemKind::Load | MemKind::CpAsync if coherent => return None,
            MemKind::Load | MemKind::CpAsync => Kind::Load,
            MemKind::Store => Kind::Store,
            MemKind::Atomic | MemKind::Reduction => Kind::Atomic,
            MemKind::LoadMatrix | MemKind::StoreMatrix => return None,
        };
        Some(Op {
            kind,
            part: false,
            cache: if coherent { CacheOp::All } else { op.cache },
        })
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is = |k: &&(&str, Kind, bool)| (k.1, k.2) == (self.kind, self.part);
        f.write_str(KINDS.iter().find(is).map_or("load", |k| k.0))?;
        match CACHES.iter().find(|c| c.1 == self.cache) {
            Some((end, _)) => write!(f, ".{end}"),
            None => Ok(()),
        }
    }
}

/// A row of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Core cycle.
    pub cycle: u64,
    /// SM.
    pub sm: u16,
    /// Program counter of the instruction, bytes.
    pub pc: u64,
    /// First byte.
    pub address: u64,
    /// Bytes, at least one.
    pub bytes: u64,
    /// What is done.
    pub op: Op,
}

/// The columns, in the order in which they are written.
pub const COLUMNS: [&str; 6] = ["cycle", "sm", "pc", "address", "bytes", "op"];
/// Most bytes of a row: what a warp can move at once, several times over.
const BYTES_MAX: u64 = 1 << 16;

/// Writes the line of the columns.
///
/// # Errors
/// What the system says.
pub fn write_header(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))
}

impl Row {
    /// Writes the row as a line.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Row {
            cycle,
            sm,
            pc,
            address,
            bytes,
            op,
        } = self;
        writeln!(out, "{cycle},{sm},{pc:#x},{address:#x},{bytes},{op}")
    }
}

/// The rows of a trace, in order.
pub struct Rows<R> {
    text: R,
    file: String,
    buffer: Vec<u8>,
    line: u64,
    /// Which field of a line is which column; empty before the header was read.
    fields: Vec<usize>,
    cycle: u64,
}

/// What is wrong with a line, and what to do.
type Wrong = (String, String);

impl Rows<()> {
    /// The rows of the file at `path` (`.xz` and `.gz` are decompressed, `-` is standard input).
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn open(path: &Path) -> Result<Rows<impl BufRead + use<>>> {
        Ok(Rows::new(input::stream(path)?, &path.display().to_string()))
    }
}

impl<R: BufRead> Rows<R> {
    /// The rows of `text`; `file` is for messages.
    pub fn new(text: R, file: &str) -> Self {
        Rows {
            text,
            file: file.to_owned(),
            buffer: Vec::new(),
            line: 0,
            fields: Vec::new(),
            cycle: 0,
        }
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    /// A file that cannot be read, an empty one, a line that is no row.
    pub fn next_row(&mut self) -> Result<Option<Row>> {
        while input::line(&mut self.text, &self.file, &mut self.buffer)? {
            self.line += 1;
            let line = match self.line {
                1 => self
                    .buffer
                    .strip_prefix(b"\xef\xbb\xbf")
                    .unwrap_or(&self.buffer),
                _ => &self.buffer,
            };
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let result = match self.fields.is_empty() {
                true => header(line).map(|fields| {
                    self.fields = fields;
                    None
                }),
                false => row(line, &self.fields, self.cycle).map(Some),
            };
            match result {
                Ok(None) => {}
                Ok(Some(row)) => {
                    self.cycle = row.cycle;
                    return Ok(Some(row));
                }
                Err((what, remedy)) => {
                    let place = format!("line {}", self.line);
                    return Err(Error::input(self.file.as_str(), place, what, remedy));
                }
            }
        }
        match self.fields.is_empty() {
            false => Ok(None),
            true => Err(Error::input(
                self.file.as_str(),
                "whole file",
                "it is empty",
                form(),
            )),
        }
    }
}

fn form() -> String {
    format!("expected CSV with the columns {}", COLUMNS.join(","))
}

fn text(line: &[u8]) -> std::result::Result<&str, Wrong> {
    std::str::from_utf8(line).map_err(|_| {
        let what = format!("{:?} is no text", input::shorten(line));
        (what, form())
    })
}

/// Which field is which column.
fn header(line: &[u8]) -> std::result::Result<Vec<usize>, Wrong> {
    let names: Vec<&str> = text(line)?.split(',').map(str::trim_ascii).collect();
    let wrong = |what: String| (what, form());
    if let Some(unknown) = names.iter().find(|n| !COLUMNS.contains(n)) {
        let name = input::shorten(unknown.as_bytes());
        return Err(wrong(format!("there is no column {name:?}")));
    }
    if let Some(twice) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
        return Err(wrong(format!(
            "the column {:?} is there twice",
            names[twice]
        )));
    }
    let place = |column: &&str| {
        let found = names.iter().position(|name| name == column);
        found.ok_or_else(|| wrong(format!("the column {column:?} is missing")))
    };
    COLUMNS.iter().map(place).collect()
}

fn number(value: &str, column: &str, max: u64) -> std::result::Result<u64, Wrong> {
    let digits = value
        .strip_prefix("0x")
        .or_else(|| value.strip_prefix("0X"));
    let parsed = match digits {
        // A sign is none of the digits that `from_str_radix` should take.
        Some(hex) if !hex.starts_with('+') => u64::from_str_radix(hex, 16),
        None if !value.starts_with('+') => value.parse(),
        _ => "+".parse(),
    };
    match parsed {
        Ok(number) if number <= max => Ok(number),
        _ => Err((
            format!("{column} = {:?}", input::shorten(value.as_bytes())),
            format!("expected a whole number from 0 to {max}, in decimal or with 0x"),
        )),
    }
}

/// The row in `line`, which comes after `cycle`.
fn row(line: &[u8], fields: &[usize], cycle: u64) -> std::result::Result<Row, Wrong> {
    let mut values = [""; COLUMNS.len()];
    let mut count = 0;
    for value in text(line)?.split(',') {
        if let Some(place) = values.get_mut(count) {
            *place = value.trim_ascii();
        }
        count += 1;
    }
    if count != COLUMNS.len() {
        let what = format!("{:?} has {count} fields", input::shorten(line));
        return Err((what, format!("write {} in each row", COLUMNS.len())));
    }
    let value = |column: usize| values[fields[column]];
    let number = |column: usize, max| number(value(column), COLUMNS[column], max);
    let name = value(5);
    let row = Row {
        cycle: number(0, u64::MAX)?,
        sm: number(1, u16::MAX.into())? as u16,
        pc: number(2, u64::MAX)?,
        address: number(3, u64::MAX)?,
        bytes: number(4, BYTES_MAX)?,
        op: Op::from_name(name).ok_or_else(|| {
            let kinds: Vec<&str> = KINDS.iter().map(|k| k.0).collect();
            let ends: Vec<String> = CACHES.iter().map(|c| format!(".{}", c.0)).collect();
            (
                format!("op = {:?}", input::shorten(name.as_bytes())),
                format!(
                    "expected one of {}, perhaps with {} behind it",
                    kinds.join(", "),
                    ends.join(" or ")
                ),
            )
        })?,
    };
    if row.bytes == 0 {
        let what = "bytes = 0: an access without a byte".to_owned();
        return Err((what, format!("expected 1 to {BYTES_MAX}")));
    }
    if row.address.checked_add(row.bytes - 1).is_none() {
        let what = format!(
            "address = {:#x}: {} bytes from there end beyond 2^64",
            row.address, row.bytes
        );
        return Err((what, "correct address or bytes".to_owned()));
    }
    if row.cycle < cycle {
        let what = format!("cycle {} comes after cycle {cycle}", row.cycle);
        return Err((what, "sort the trace by cycle".to_owned()));
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Row>> {
        let mut rows = Rows::new(text.as_bytes(), "t.csv");
        let mut found = Vec::new();
        while let Some(row) = rows.next_row()? {
            found.push(row);
        }
        Ok(found)
    }

    #[test]
    fn rows_are_read_as_they_are_written() {
        let mut text = Vec::new();
        write_header(&mut text).unwrap();
        let mut rows = Vec::new();
        for (at, (base, ..)) in KINDS.iter().enumerate() {
            for end in ["", ".streaming", ".last_use"] {
                let row = Row {
                    cycle: at as u64,
                    sm: 131,
                    pc: 0x1a0,
                    address: u64::MAX - 31,
                    bytes: 32,
                    op: Op::from_name(&format!("{base}{end}")).unwrap(),
                };
                assert_eq!(row.op.to_string(), format!("{base}{end}"));
                row.write(&mut text).unwrap();
                rows.push(row);
            }
        }
        assert_eq!(all(std::str::from_utf8(&text).unwrap()).unwrap(), rows);
    }

    #[test]
    fn columns_have_any_order_and_comments_are_skipped() {
        let text =
            "\u{feff}# by hand\r\n\r\nop, bytes,address ,pc,sm,cycle\r\nload,4,0x80,16,2,7\r\n#\n";
        let rows = all(text).unwrap();
        let row = rows[0];
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (row.cycle, row.sm, row.pc, row.address, row.bytes),
            (7, 2, 16, 128, 4)
        );
        assert!(all("cycle,sm,pc,address,bytes,op\n").unwrap().is_empty());
    }

    #[test]
    fn each_fault_names_file_line_and_remedy() {
        const HEAD: &str = "cycle,sm,pc,address,bytes,op\n5,0,0,0,4,load\n";
        let refused = |text: &str| {
            let error = all(text).unwrap_err();
            assert_eq!(error.exit_status(), 1);
            error.to_string()
        };
        assert!(refused("").starts_with("t.csv: whole file: it is empty; expected CSV"));
        for (header, what) in [
            ("cycle,sm,pc,address,op", "the column \"bytes\" is missing"),
            ("cycle,sm,pc,address,bytes,op,warp", "no column \"warp\""),
            ("cycle,sm,pc,address,bytes,op,sm", "\"sm\" is there twice"),
            ("0,0,0,0,4,load", "no column \"0\""),
        ] {
            let text = refused(header);
            assert!(
                text.starts_with("t.csv: line 1: ") && text.contains(what),
                "{text}"
            );
            assert!(
                text.ends_with("the columns cycle,sm,pc,address,bytes,op"),
                "{text}"
            );
        }
        for (row, what) in [
            (
                "6,0,0,NaN,4,load",
                "address = \"NaN\"; expected a whole number",
            ),
            ("6,0,0,-1,4,load", "address = \"-1\""),
            ("6,0,0,+1,4,load", "address = \"+1\""),
            ("6,0,0,0x+1,4,load", "address = \"0x+1\""),
            ("6,0,0,1e3,4,load", "address = \"1e3\""),
            (
                "6,0,0,18446744073709551616,4,load",
                "from 0 to 18446744073709551615",
            ),
            ("6,0,0,18446744073709551615,2,load", "end beyond 2^64"),
            (
                "6,65536,0,0,4,load",
                "sm = \"65536\"; expected a whole number from 0 to 65535",
            ),
            ("6,0,0,0,0,load", "an access without a byte"),
            ("6,0,0,0,65537,load", "bytes = \"65537\""),
            ("6,0,,0,4,load", "pc = \"\""),
            (
                "6,0,0,0,4,prefetch",
                "op = \"prefetch\"; expected one of load, store",
            ),
            (
                "6,0,0,0,4,load.fast",
                "perhaps with .streaming or .last_use",
            ),
            ("6,0,0,0,4", "has 5 fields; write 6"),
            ("6,0,0,0,4,load,1", "has 7 fields"),
            (
                "4,0,0,0,4,load",
                "cycle 4 comes after cycle 5; sort the trace by cycle",
            ),
        ] {
            let text = refused(&format!("{HEAD}{row}\n"));
            assert!(
                text.starts_with("t.csv: line 3: ") && text.contains(what),
                "{row}: {text}"
            );
        }
        let long = refused(&format!("{HEAD}{}", "A".repeat(9000)));
        assert!(long.len() < 300, "{long}");
        let mut bytes = Rows::new(&b"\xff\xfe\n"[..], "t.csv");
        assert!(
            bytes
                .next_row()
                .unwrap_err()
                .to_string()
                .contains("is no text")
        );
    }
}
