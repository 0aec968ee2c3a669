//! Request traces: a record a line, `<cycle> 0x<address> R` or `W`; blank lines and `#` comments are skipped.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

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

/// Why a trace cannot be used. Each message says where and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be opened or decompressed.
    #[error("{file}: {source}")]
    Io {
        /// Trace.
        file: String,
        /// Cause.
        source: std::io::Error,
    },
    /// A line is not a record.
    #[error(
        "{file}:{line}: {found:?} is not a record; expected `<cycle> 0x<address> R` or `… W` ({why})"
    )]
    Garbage {
        /// Trace.
        file: String,
        /// Line, from 1.
        line: usize,
        /// The line, shortened.
        found: String,
        /// The field that is wrong.
        why: &'static str,
    },
    /// An address outside the channel.
    #[error(
        "{file}:{line}: address {addr:#x} is beyond the channel, which ends at {end:#x} ({standard}); \
         give addresses local to one channel, or another --standard"
    )]
    Beyond {
        /// Trace.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Address.
        addr: u64,
        /// First address that is not in the channel.
        end: u64,
        /// Standard.
        standard: String,
    },
    /// Cycles run backwards.
    #[error("{file}:{line}: cycle {cycle} comes after cycle {previous}; sort the trace by cycle")]
    Unsorted {
        /// Trace.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Cycle of the line.
        cycle: u64,
        /// Cycle of the record before.
        previous: u64,
    },
    /// No record at all.
    #[error(
        "{file}: the trace is empty; expected at least one record `<cycle> 0x<address> R` or `… W`"
    )]
    Empty {
        /// Trace.
        file: String,
    },
}

/// Reads the trace at `path` (`.xz` and `.gz` are decompressed, `-` is standard input); addresses must be below
/// `capacity` bytes.
pub fn read(path: &Path, capacity: u64, standard: &str) -> Result<Vec<Record>, TraceError> {
    let file = path.display().to_string();
    let io = |source| TraceError::Io {
        file: file.clone(),
        source,
    };
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let raw: Box<dyn Read> = if file == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(io)?)
    };
    let text: Box<dyn Read> = match extension {
        "xz" => Box::new(liblzma::read::XzDecoder::new_multi_decoder(raw)),
        "gz" => Box::new(flate2::read::MultiGzDecoder::new(raw)),
        _ => raw,
    };
    parse(
        BufReader::with_capacity(1 << 16, text),
        &file,
        capacity,
        standard,
    )
}

/// Parses records from `text`; `file` is for messages.
pub fn parse(
    mut text: impl BufRead,
    file: &str,
    capacity: u64,
    standard: &str,
) -> Result<Vec<Record>, TraceError> {
    let mut out = Vec::new();
    let mut buffer = Vec::new();
    let mut line = 0;
    loop {
        buffer.clear();
        let io = |source| TraceError::Io {
            file: file.to_owned(),
            source,
        };
        if (&mut text)
            .take(MAX_LINE)
            .read_until(b'\n', &mut buffer)
            .map_err(io)?
            == 0
        {
            break;
        }
        line += 1;
        let trimmed = buffer.trim_ascii();
        if trimmed.is_empty() || trimmed.starts_with(b"#") {
            continue;
        }
        let garbage = |why| TraceError::Garbage {
            file: file.to_owned(),
            line,
            found: shorten(trimmed),
            why,
        };
        let record = parse_line(trimmed).map_err(garbage)?;
        if record.addr >= capacity {
            let (addr, standard) = (record.addr, standard.to_owned());
            return Err(TraceError::Beyond {
                file: file.to_owned(),
                line,
                addr,
                end: capacity,
                standard,
            });
        }
        if let Some(previous) = out
            .last()
            .map(|r: &Record| r.cycle)
            .filter(|&p| p > record.cycle)
        {
            return Err(TraceError::Unsorted {
                file: file.to_owned(),
                line,
                cycle: record.cycle,
                previous,
            });
        }
        out.push(record);
    }
    if out.is_empty() {
        return Err(TraceError::Empty {
            file: file.to_owned(),
        });
    }
    Ok(out)
}

/// Longest line that is read: a binary file must not become one huge string.
const MAX_LINE: u64 = 4096;

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

fn shorten(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
    if line.len() > 60 { text + "…" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes(), "t.txt", 1 << 20, "HBM2_2000")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn records_comments_and_blank_lines_are_read() {
        let records = parse("# c\n\n0 0x20 R\n5 64 W\n".as_bytes(), "t", 1 << 20, "X").unwrap();
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
        assert!(error("").starts_with("t.txt: the trace is empty"));
        assert!(error("0 0x0 R\nrubbish\n").starts_with("t.txt:2: \"rubbish\" is not a record"));
        assert!(error("0 0x0 X").contains("neither R nor W"));
        assert!(error("0 0x0 R 7").contains("more than three fields"));
        assert!(error("0 0x100000 R").contains("beyond the channel, which ends at 0x100000"));
        assert!(error("9 0x0 R\n3 0x0 R").contains("sort the trace by cycle"));
        assert!(error(&format!("0 0x0 {}", "A".repeat(9000))).len() < 300);
    }
}
