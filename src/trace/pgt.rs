//! Our own trace form: stored CTA streams, and the `.pgt` file that holds a workload.
//!
//! ```text
//! 8 bytes   magic
//! u32       version
//! u32       zero
//! …         body of each kernel (see [`blocks`])
//! …         index: bincode (legacy) under zstd (see [`format`]); in version 2 with the lines of source behind it
//! 32 bytes  footer: index offset u64, packed u32, raw u32, CRC-32 u32, version u32, magic
//! ```
//!
//! All numbers are little-endian. The index comes last so that writing is one pass; reading takes the
//! footer, the index, and then only the frames that a simulation asks for.

pub mod blocks;
pub mod cache;
pub mod encoded;
pub mod format;
pub mod hash;
pub mod read;
pub mod spool;
pub mod stored;
pub mod write;

pub use read::read_pgt;
pub use write::write_pgt;
