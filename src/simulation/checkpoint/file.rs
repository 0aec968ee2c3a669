//! The file of a checkpoint: a head that says what it belongs to, the state, a hash of both.
//!
//! ```text
//! magic 8 · format u32 · model version u32 · source of the build u128 · run u128 · state (bincode, zstd) · hash u128
//! ```
//!
//! Numbers are little-endian. The hash is compared before anything else is believed, so that what was cut off or
//! changed is never decoded, and lengths within the state are those that were written.

use super::Checkpoint;
use crate::engine::state::{Loaded, Saved};
use crate::error::{Error, Result};
use crate::hash::ContentHash;
use crate::output;
use bincode::config::{Configuration, Fixint, Limit, LittleEndian, NoLimit, legacy};
use bincode::de::DecoderImpl;
use bincode::enc::EncoderImpl;
use bincode::error::{DecodeError, EncodeError};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: [u8; 8] = *b"PGTSTATE";
/// Rises with every change of what is around the state.
const FORMAT: u32 = 1;
const HEAD_BYTES: usize = 8 + 4 + 4 + 16 + 16;
const HASH_BYTES: usize = 16;
/// No state is as large, bytes: far more than the machines that fit a host have.
pub(super) const STATE_BYTES_MAX: usize = 1 << 34;
const LEVEL: i32 = 1;
/// The source that this build was made of, and its features (`scripts/build.rs`).
const BUILD: &str = env!("PHANTOM_GPU_SOURCE");

/// What the state is written with.
pub(in crate::simulation) type Encoder<'a> =
    EncoderImpl<Bytes<&'a mut dyn Write>, Configuration<LittleEndian, Fixint, NoLimit>>;
/// What it is read with.
pub(in crate::simulation) type Decoder<'a> = DecoderImpl<
    Bytes<&'a mut dyn Read>,
    Configuration<LittleEndian, Fixint, Limit<STATE_BYTES_MAX>>,
    (),
>;

/// Bincode's view of a stream.
pub(in crate::simulation) struct Bytes<T>(pub(super) T);

impl bincode::enc::write::Writer for Bytes<&mut dyn Write> {
    fn write(&mut self, bytes: &[u8]) -> Saved {
        let written = self.0.write_all(bytes);
        written.map_err(|inner| EncodeError::Io { inner, index: 0 })
    }
}

impl bincode::de::read::Reader for Bytes<&mut dyn Read> {
    fn read(&mut self, bytes: &mut [u8]) -> Loaded {
        let read = self.0.read_exact(bytes);
        read.map_err(|inner| DecodeError::Io {
            inner,
            additional: bytes.len(),
        })
    }
}

/// A stream with the hash of what went through it.
struct Hashed<T> {
    stream: T,
    hash: ContentHash,
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn head(checkpoint: &Checkpoint, run: ContentHash) -> [u8; HEAD_BYTES] {
    let build = ContentHash::of(BUILD.as_bytes());
    let parts: [&[u8]; 5] = [
        &MAGIC,
        &FORMAT.to_le_bytes(),
        &checkpoint.model.to_le_bytes(),
        &build.value().to_le_bytes(),
        &run.value().to_le_bytes(),
    ];
    let mut head = [0; HEAD_BYTES];
    head.copy_from_slice(&parts.concat());
    head
}

/// Writes the state that `body` gives, by a temporary name.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(
    checkpoint: &Checkpoint,
    run: ContentHash,
    body: impl FnOnce(&mut Encoder) -> Saved,
) -> Result<()> {
    let path = &checkpoint.file;
    let io = |e| Error::io(path, e);
    output::write(path, |out| {
        let mut hashed = Hashed {
            stream: &mut *out,
            hash: ContentHash::default(),
        };
        hashed.write_all(&head(checkpoint, run)).map_err(io)?;
        let mut packed = zstd::Encoder::new(&mut hashed, LEVEL).map_err(io)?;
        let mut stream = io::BufWriter::new(&mut packed);
        let encoded = body(&mut EncoderImpl::new(Bytes(&mut stream), legacy()));
        encoded.map_err(|error| match error {
            EncodeError::Io { inner, .. } => io(inner),
            other => Error::Run(format!("{}: {other}", path.display())),
        })?;
        stream.flush().map_err(io)?;
        drop(stream);
        packed.finish().map_err(io)?;
        let hash = hashed.hash.value().to_le_bytes();
        out.write_all(&hash).map_err(io)
    })
}

/// Opens the file and checks all of it; `None` where there is none. The stream stands at the state.
fn open(checkpoint: &Checkpoint, run: ContentHash) -> Result<Option<BufReader<io::Take<File>>>> {
    let path = checkpoint.file.as_path();
    let io = |e| Error::io(path, e);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let meta = file.metadata().map_err(io)?;
    let mut found = Vec::new();
    if meta.is_file() {
        let head = Read::by_ref(&mut file).take(HEAD_BYTES as u64);
        { head }.read_to_end(&mut found).map_err(io)?;
    }
    let whole = (HEAD_BYTES + HASH_BYTES) as u64;
    if !found.starts_with(&MAGIC[..found.len().min(MAGIC.len())]) || !meta.is_file() {
        return Err(refused(path, "it is no checkpoint", "name another file"));
    }
    if meta.len() < whole {
        return Err(damaged(path));
    }
    let expected = head(checkpoint, run);
    if found[8..12] != expected[8..12] {
        return Err(refused(
            path,
            "it has another format than the checkpoints of this version",
            "go on with the version that wrote it, or remove it to start from the beginning",
        ));
    }
    let state_bytes = meta.len() - whole;
    if hash_of(&mut file, &found, state_bytes).map_err(io)? != hash_behind(&mut file).map_err(io)? {
        return Err(damaged(path));
    }
    compare(path, &found, &expected)?;
    let start = file.seek(SeekFrom::Start(HEAD_BYTES as u64));
    start.map_err(io)?;
    Ok(Some(BufReader::new(file.take(state_bytes))))
}

/// The hash of `head` and the next `bytes` of `file`.
fn hash_of(file: &mut File, head: &[u8], bytes: u64) -> io::Result<u128> {
    let mut hashed = Hashed {
        stream: io::sink(),
        hash: ContentHash::default(),
    };
    hashed.write_all(head)?;
    io::copy(&mut file.take(bytes), &mut hashed)?;
    Ok(hashed.hash.value())
}

/// The hash that stands next in `file`.
fn hash_behind(file: &mut File) -> io::Result<u128> {
    let mut hash = [0; HASH_BYTES];
    file.read_exact(&mut hash)?;
    Ok(u128::from_le_bytes(hash))
}

/// Whether the file belongs to this build and this run.
fn compare(path: &Path, found: &[u8], expected: &[u8]) -> Result<()> {
    if found[12..32] != expected[12..32] {
        return Err(refused(
            path,
            "it was written by another build of phantom-gpu",
            "go on with the build that wrote it, or remove it to start from the beginning",
        ));
    }
    if found[32..] != expected[32..] {
        return Err(refused(
            path,
            "it belongs to another run: the machine, the inputs or the options are not the same",
            "repeat the command that it was written by, or name another file",
        ));
    }
    Ok(())
}

/// Hands the state to `body`; whether there was one.
///
/// # Errors
/// A file that is no checkpoint, is damaged, or belongs to something else; what the reading of it gives.
pub(super) fn read(
    checkpoint: &Checkpoint,
    run: ContentHash,
    body: impl FnOnce(&mut Decoder) -> Loaded,
) -> Result<bool> {
    let path = checkpoint.file.as_path();
    let Some(state) = open(checkpoint, run)? else {
        return Ok(false);
    };
    let mut state = zstd::Decoder::with_buffer(state).map_err(|e| Error::io(path, e))?;
    let mut stream = BufReader::new(&mut state);
    let config = legacy().with_limit::<STATE_BYTES_MAX>();
    let decoded = body(&mut DecoderImpl::new(Bytes(&mut stream), config, ()));
    let mut rest = [0; 1];
    match decoded.is_ok() && stream.read(&mut rest).is_ok_and(|bytes| bytes == 0) {
        true => Ok(true),
        false => Err(damaged(path)),
    }
}

fn damaged(path: &Path) -> Error {
    refused(
        path,
        "it is cut off or damaged",
        "remove it to start from the beginning",
    )
}

fn refused(path: &Path, what: &str, remedy: &str) -> Error {
    Error::input(path.display().to_string(), "checkpoint", what, remedy)
}
