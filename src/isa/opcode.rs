//! The opcode table: SASS mnemonic to timing class.
