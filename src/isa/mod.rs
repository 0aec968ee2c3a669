//! Instructions as the model sees them: pre-decoded, architecture-independent static instructions.
//!
//! [`opcode`] knows mnemonics; nothing behind the trace readers sees a mnemonic again, except reports.

pub mod inst;
pub mod opcode;

pub use inst::{
    CacheOp, Control, MemKind, MemOp, MemSpace, OpClass, PrefetchHint, RegFile, RegRange,
    StaticInst, TensorOp, TensorType,
};

/// SASS versions that there are, Kepler to Blackwell.
pub const SASS_VERSIONS: [u16; 25] = [
    30, 32, 35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 88, 89, 90, 100, 101, 103, 110,
    120, 121,
];

/// The same as text, for messages.
pub fn known_sass_versions() -> String {
    SASS_VERSIONS.map(|version| version.to_string()).join(", ")
}
