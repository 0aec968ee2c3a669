//! PTX front end: from the text of a kernel to a verified functional run and a trace.
//!
//! [`parse`] reads the language (not the habits of one compiler), [`ast`] holds what was written and
//! [`print`] writes it back. Nothing here knows what an instruction does; an unknown one is an error
//! only when a kernel executes it.

pub mod ast;
pub mod exec;
pub mod flat;
pub mod launch;
pub mod lex;
pub mod lower;
pub mod parse;
pub mod print;
pub mod record;

pub use parse::{ParseError, parse};
