//! Request traces: a record a line, `<cycle> 0x<address> R` or `W`; blank lines and `#` comments are skipped.

use std::io::BufRead;
use std::path::Path;

use crate::error::{self, Error, input};
use crate::mem::dram::Kind;

/// One request of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// CK before which the request is not offered.
    pub cycle: u64,
    /// Channel-local byte address.
    pub addr: u64,
    /// Read or write.
    pub kind: Kind,
}

/// Last cycle that a trace may name: later ones do not fit the channel's clock with half cycles.
pub const CYCLE_MAX: u64 = 1 << 62;

/// What a trace must keep to.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// Bytes of the channel: addresses are below.
    pub capacity: u64,
    /// The standard, for messages.
    pub standard: &'a str,
    /// Last cycle, and why there is an end, for messages.
    pub cycle: (u64, &'a str),
}

impl<'a> Limits<'a> {
    /// A channel of `capacity` bytes, as long as a trace can be.
    pub fn new(capacity: u64, standard: &'a str) -> Self {
        Limits {
            capacity,
            standard,
            cycle: (CYCLE_MAX, "the clock of a channel ends there"),
        }
    }
}

/// Reads the trace at `path` (`.xz` and `.gz` are decompressed, `-` is standard input).
///
/// # Errors
/// A file that cannot be read; a line that is no record, or not within `limits`.
pub fn read(path: &Path, limits: Limits<'_>) -> error::Result<Vec<Record>> {
    let text = input::stream(path)?;
    parse(text, &path.display().to_string(), limits)
}

/// Parses records from `text`; `file` is for messages.
///
/// # Errors
/// As [`read`].
pub fn parse(mut text: impl BufRead, file: &str, limits: Limits<'_>) -> error::Result<Vec<Record>> {
    let mut out: Vec<Record> = Vec::new();
    let mut buffer = Vec::new();
    let mut line = 0;
    loop {
        if !input::line(&mut text, file, &mut buffer)? {
            break;
        }
        line += 1;
        let trimmed = buffer.trim_ascii();
        if trimmed.is_empty() || trimmed.starts_with(b"#") {
            continue;
        }
        let previous = out.last().map_or(0, |r| r.cycle);
        let record = parse_line(trimmed)
            .map_err(|why| {
                let what = format!("{:?} is not a record ({why})", input::shorten(trimmed));
                (what, FORM.to_owned())
            })
            .and_then(|record| within(record, previous, limits));
        out.push(
            record.map_err(|(what, remedy)| {
                Error::input(file, format!("line {line}"), what, remedy)
            })?,
        );
    }
    if out.is_empty() {
        return Err(Error::input(file, "whole file", "the trace is empty", FORM));
    }
    Ok(out)
}

/// What a line must look like.
const FORM: &str = "expected `<cycle> 0x<address> R` or `… W`, a record a line";

/// `record`, or what is wrong with it and what to do.
fn within(record: Record, previous: u64, limits: Limits<'_>) -> Result<Record, (String, String)> {
    let Record { cycle, addr, .. } = record;
    let (last, why) = limits.cycle;
    if addr >= limits.capacity {
        let what = format!(
            "address {addr:#x} is beyond the channel, which ends at {:#x} ({})",
            limits.capacity, limits.standard
        );
        let remedy = "give addresses local to one channel, or another --standard";
        Err((what, remedy.to_owned()))
    } else if cycle < previous {
        let what = format!("cycle {cycle} comes after cycle {previous}");
        Err((what, "sort the trace by cycle".to_owned()))
    } else if cycle > last {
        let what = format!("cycle {cycle} is beyond cycle {last}: {why}");
        Err((what, "shorten the trace".to_owned()))
    } else {
        Ok(record)
    }
}

fn parse_line(line: &[u8]) -> Result<Record, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "not text")?;
    let mut fields = text.split_ascii_whitespace();
    let mut next = |why| fields.next().ok_or(why);
    let cycle = next("no cycle")?
        .parse()
        .map_err(|_| "the cycle is not a number")?;
    let address = next("no address")?;
    let addr = match address
        .strip_prefix("0x")
        .or_else(|| address.strip_prefix("0X"))
    {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => address.parse(),
    }
    .map_err(|_| "the address is not a number")?;
    let kind = match next("neither R nor W")? {
        "R" | "r" => Kind::Read,
        "W" | "w" => Kind::Write,
        _ => return Err("neither R nor W"),
    };
    if fields.next().is_some() {
        Err("more than three fields")
    } else {
        Ok(Record { cycle, addr, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes(), "t.txt", Limits::new(1 << 20, "HBM2_2000"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn records_comments_and_blank_lines_are_read() {
        let records = parse(
            "# c\n\n0 0x20 R\n5 64 W\n".as_bytes(),
            "t",
            Limits::new(1 << 20, "X"),
        )
        .unwrap();
        assert_eq!(
            records[0],
            Record {
                cycle: 0,
                addr: 32,
                kind: Kind::Read
            }
        );
        assert_eq!(
            records[1],
            Record {
                cycle: 5,
                addr: 64,
                kind: Kind::Write
            }
        );
    }

    #[test]
    fn each_fault_names_file_line_and_remedy() {
        assert!(error("").starts_with("t.txt: whole file: the trace is empty"));
        assert!(
            error("0 0x0 R\nrubbish\n").starts_with("t.txt: line 2: \"rubbish\" is not a record")
        );
        assert!(error("0 0x0 X").contains("neither R nor W"));
        assert!(error("0 0x0 R 7").contains("more than three fields"));
        assert!(error("0 0x100000 R").contains("beyond the channel, which ends at 0x100000"));
        assert!(error("9 0x0 R\n3 0x0 R").contains("sort the trace by cycle"));
        let late = error("0 0x0 R\n18446744073709551615 0x0 R");
        assert!(
            late.contains("line 2") && late.contains(&CYCLE_MAX.to_string()),
            "{late}"
        );
        assert!(error(&format!("0 0x0 {}", "A".repeat(9000))).len() < 300);
    }
}
