//! Accel-Sim traces: `kernelslist.g` with its `*.traceg` files, tracer versions 1 to 6.
//!
//! Reading is one pass: [`decompress`] yields blocks of whole lines from a thread of its own,
//! [`import`] walks the sections, [`mod@line`] cuts an instruction line, [`code`] turns it into an index
//! of the code table. Nothing is kept of the text.

pub mod code;
pub mod decompress;
pub mod export;
pub mod fields;
pub mod header;
pub mod import;
pub mod line;
pub mod list;
pub mod print;
pub mod section;
pub mod tracez;
