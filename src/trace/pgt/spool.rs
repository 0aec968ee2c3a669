//! The sink of an import: memory while it is small, an unlinked temporary file beyond.

use super::stored::Backing;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// What is kept in memory before the spool moves to a file.
pub const SPOOL_MEMORY_BYTES: usize = 8 << 20;

/// Bytes in order of writing.
#[derive(Debug)]
pub struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    limit: usize,
}

impl Spool {
    /// An empty spool that keeps at most `limit` bytes in memory.
    pub fn new(limit: usize) -> Self {
        Spool {
            memory: Vec::new(),
            file: None,
            limit,
        }
    }

    /// The finished spool, ready to be read.
    pub fn into_backing(self) -> Backing {
        match self.file {
            Some(file) => Backing::File(Arc::new(file)),
            None => Backing::Memory(self.memory),
        }
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() > self.limit {
            let mut file = tempfile::tempfile()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
