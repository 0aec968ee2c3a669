//! Instructions as the model sees them: pre-decoded, architecture-independent static instructions.
//!
//! [`opcode`] knows mnemonics; nothing behind the trace readers sees a mnemonic again, except reports.

pub mod inst;
pub mod opcode;

pub use inst::{
    CacheOp, Control, MemKind, MemOp, MemSpace, OpClass, RegFile, RegRange, StaticInst, TensorOp,
    TensorType,
};
