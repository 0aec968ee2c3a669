//! PTX front end: from the text of a kernel to a verified functional run and a trace.
//!
//! [`parse`] reads the language (not the habits of one compiler), [`ast`] holds what was written and
//! [`print`] writes it back. Nothing here knows what an instruction does; an unknown one is an error
//! only when a kernel executes it.

pub mod ast;
pub mod exec;
pub mod flat;
pub mod launch;
pub mod lazy;
pub mod lex;
pub mod lower;
pub mod parse;
pub mod print;
pub mod record;
pub mod schedule;

pub use parse::{ParseError, parse};

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Whether the file at `path` is PTX: by its ending, or because its first word is `.version`. A file that cannot
/// be read is none.
pub fn is_ptx(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|f| f.take(1 << 16).read_to_end(&mut start));
    if read.is_err() {
        return false;
    }
    let text = String::from_utf8_lossy(&start);
    let first = lex::Lexer::new(&text).take();
    let named = path.extension().is_some_and(|e| e == "ptx");
    named || first.kind == lex::Kind::Dot && first.text == "version"
}
