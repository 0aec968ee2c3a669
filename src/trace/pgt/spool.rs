//! Where an import puts its frames: a share of memory while there is some, one unlinked temporary
//! file for all kernels of the workload beyond.

use super::blocks::FrameSink;
use super::cache::FrameCache;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the kernels of one workload keep in memory together before they use the file.
pub const SPOOL_MEMORY_BYTES: u64 = 32 << 20;

/// Offsets from here on are in the file, those below in memory.
const FILE_SPAN: u64 = 1 << 62;

/// The space that all kernels of an import share.
#[derive(Debug)]
pub struct SpoolSpace {
    limit: u64,
    in_memory: AtomicU64,
    in_file: AtomicU64,
    file: Mutex<Option<Arc<File>>>,
    cache: Arc<FrameCache>,
}

impl SpoolSpace {
    /// Space with at most `limit` bytes in memory.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(SpoolSpace {
            limit,
            in_memory: AtomicU64::new(0),
            in_file: AtomicU64::new(0),
            file: Mutex::new(None),
            cache: Arc::default(),
        })
    }

    /// The file, made when it is first needed.
    fn file(&self) -> io::Result<Arc<File>> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*slot {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(tempfile::tempfile()?);
        *slot = Some(Arc::clone(&file));
        Ok(file)
    }
}

/// The frames of one kernel.
#[derive(Debug)]
pub struct Spool {
    space: Arc<SpoolSpace>,
    memory: Vec<u8>,
    file: Option<Arc<File>>,
}

impl Spool {
    /// An empty spool in `space`.
    pub fn new(space: &Arc<SpoolSpace>) -> Self {
        Spool {
            space: Arc::clone(space),
            memory: Vec::new(),
            file: None,
        }
    }

    /// Bytes that are in memory, not in the file.
    pub fn in_memory(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Reads from where a frame was put.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if let Some(at) = offset.checked_sub(FILE_SPAN) {
            return match &self.file {
                Some(file) => file.read_exact_at(into, at),
                None => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        let part = usize::try_from(offset)
            .ok()
            .and_then(|from| self.memory.get(from..)?.get(..into.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(part);
        Ok(())
    }

    /// The cache of unpacked frames that belongs to the space.
    pub fn cache(&self) -> Arc<FrameCache> {
        Arc::clone(&self.space.cache)
    }

    /// Whether anything went to the file.
    pub fn spilled(&self) -> bool {
        self.file.is_some()
    }
}

impl FrameSink for Spool {
    fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let length = bytes.len() as u64;
        let used = self.space.in_memory.fetch_add(length, Ordering::Relaxed);
        if used + length <= self.space.limit {
            let offset = self.memory.len() as u64;
            self.memory.extend_from_slice(bytes);
            return Ok(offset);
        }
        self.space.in_memory.fetch_sub(length, Ordering::Relaxed);
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(self.space.file()?),
        };
        let at = self.space.in_file.fetch_add(length, Ordering::Relaxed);
        file.write_all_at(bytes, at)?;
        Ok(FILE_SPAN + at)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let bytes = self.memory.len() as u64;
        self.space.in_memory.fetch_sub(bytes, Ordering::Relaxed);
    }
}
