//! Files that are read whole. Each has a bound: a device such as `/dev/zero` never ends, and its length says nothing.

use super::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Most bytes of a file that people write by hand: a GPU, a standard, a gate.
pub const WRITTEN_MAX: u64 = 1 << 20;
/// Most bytes of a file that a program writes: PTX, results, a launch file with its values.
pub const MADE_MAX: u64 = 256 << 20;

/// At most `most` bytes from the start of the file at `path`.
///
/// # Errors
/// A file that cannot be opened or read.
pub fn start(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|e| Error::io(path, e))?;
    Ok(bytes)
}

/// The bytes of the file at `path`, which should be `what` ("a GPU description (TOML)") and not be longer than `most`.
///
/// # Errors
/// As [`start`], and a longer file.
pub fn bytes(path: &Path, most: u64, what: &str) -> Result<Vec<u8>> {
    let bytes = start(path, most.saturating_add(1))?;
    match bytes.len() as u64 > most {
        false => Ok(bytes),
        true => Err(Error::input(
            path.display().to_string(),
            "whole file",
            format!("it is longer than the {most} bytes that are read"),
            format!("name {what}"),
        )),
    }
}

/// As [`bytes`], the text without a byte order mark.
///
/// # Errors
/// As [`bytes`], and bytes that are no UTF-8.
pub fn text(path: &Path, most: u64, what: &str) -> Result<String> {
    let bytes = bytes(path, most, what)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        Error::input(
            path.display().to_string(),
            format!("byte {}", e.utf8_error().valid_up_to()),
            "this is no text (UTF-8)",
            format!("name {what}"),
        )
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Longest line that is read: a binary file must not become one huge string.
pub const LINE_MAX: u64 = 4096;

/// The text of the file at `path`, to be read line by line (`.xz` and `.gz` are decompressed, `-` is standard input).
///
/// # Errors
/// A file that cannot be opened.
pub fn stream(path: &Path) -> Result<impl BufRead + use<>> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let raw: Box<dyn Read + Send> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(|e| Error::io(path, e))?)
    };
    let text: Box<dyn Read + Send> = match extension {
        "xz" => Box::new(liblzma::read::XzDecoder::new_multi_decoder(raw)),
        "gz" => Box::new(flate2::read::MultiGzDecoder::new(raw)),
        _ => raw,
    };
    Ok(BufReader::with_capacity(1 << 16, text))
}

/// Reads the next line of `text` into `buffer`, or a part of [`LINE_MAX`] bytes of a longer one; false at the end.
/// `file` is for messages.
///
/// # Errors
/// A file that cannot be read.
pub fn line(text: &mut impl BufRead, file: &str, buffer: &mut Vec<u8>) -> Result<bool> {
    buffer.clear();
    let read = text.by_ref().take(LINE_MAX).read_until(b'\n', buffer);
    read.map(|bytes| bytes > 0).map_err(|e| Error::io(file, e))
}

/// The start of a line, for messages.
pub fn shorten(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
    if line.len() > 60 { text + "…" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let four = file(b"four");
        assert_eq!(bytes(four.path(), 4, "x").unwrap(), b"four");
        let refused = bytes(four.path(), 3, "a list").unwrap_err().to_string();
        assert!(refused.contains("longer than the 3 bytes"), "{refused}");
        assert!(refused.ends_with("name a list"), "{refused}");
        assert_eq!(start(four.path(), 3).unwrap(), b"fou");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_without_an_end_is_refused() {
        let zero = Path::new("/dev/zero");
        assert!(bytes(zero, WRITTEN_MAX, "x").is_err());
    }

    #[test]
    fn text_has_no_mark_and_says_where_it_is_none() {
        let marked = file("\u{feff}name".as_bytes());
        assert_eq!(text(marked.path(), 99, "x").unwrap(), "name");
        let garbled = file(b"abc\xff");
        let refused = text(garbled.path(), 99, "a table").unwrap_err();
        assert!(refused.to_string().contains("byte 3"), "{refused}");
        assert_eq!(refused.exit_status(), 1);
    }
}
